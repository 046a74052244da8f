"""``hyperloop init``: make what is missing, read it back, and say what comes next."""

from pathlib import Path

from hyperloop_action.commands.call import Call
from hyperloop_action.commands.scaffold import (
    Made,
    make_config,
    make_specs_folder,
    specs_on_disk,
    top_of,
)
from hyperloop_action.console.views import count
from hyperloop_action.errors import UsageError
from hyperloop_action.settings import CONFIG_FILE, Settings


def init(call: Call) -> int:
    """Raises :class:`UsageError` outside a working tree, :class:`ConfigError` for a configuration
    that was there and has mistakes."""
    top = top_of(call.path)
    made = [make_config(top)]
    settings = Settings.from_mapping(call.env, (top / CONFIG_FILE).read_bytes(), call.options)
    made.append(make_specs_folder(top, settings.specs_dir))
    for one in made:
        call.screen.show(f"{'created' if one.created else 'kept':<8} {one.path}")
    call.screen.show("", *_next_steps(call, top, settings, made))
    return 0


def _next_steps(call: Call, top: Path, settings: Settings, made: list[Made]) -> list[str]:
    on_disk = specs_on_disk(top, settings.specs_dir)
    committed = _committed(call)
    new = [path for path in on_disk if path not in committed]
    ready = [path for path in on_disk if path in committed]
    if not on_disk:
        steps = [
            f"write what should be true, a markdown file per topic: {settings.specs_dir}/NAME.md",
            _commit(settings),
            _RUN,
        ]
    elif new or any(one.created for one in made):
        steps = [_commit(settings), _RUN]
    else:
        steps = [_RUN]
    found = f"{count(len(on_disk), 'spec')} below {settings.specs_dir}/"
    head = [f"{found}, {len(ready)} committed on {settings.base_branch}.", ""] if on_disk else []
    return [*head, "Next:", *(f"  {n}. {step}" for n, step in enumerate(steps, start=1))]


_RUN = "see what would happen: hyperloop run --dry-run, then let it: hyperloop run"


def _commit(settings: Settings) -> str:
    return f"git add {CONFIG_FILE} {settings.specs_dir} && git commit -m 'Say what should be true'"


def _committed(call: Call) -> frozenset[str]:
    """The specs that a cycle would see; none while there is no commit or no base branch."""
    try:
        app = call.open()
        state = app.ports.state.load().state
        return frozenset(app.ports.repository.observe(state).specs)
    except UsageError as error:
        call.note(str(error.what))
        return frozenset()
