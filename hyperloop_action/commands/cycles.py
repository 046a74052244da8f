"""The commands that work: run, reconcile, watch and their dry run, and the execution of one order.

Each takes a :class:`Call` and returns the exit code. The others are in ``commands/get.py``,
``commands/wish.py`` and ``commands/init.py``.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from msgspec import to_builtins

from hyperloop_action import wiring
from hyperloop_action.commands.call import Call, Opened
from hyperloop_action.commands.stop import StopSignal
from hyperloop_action.console.progress import LiveProgress, PlainProgress, Progress, Roster
from hyperloop_action.console.screen import Screen, clean
from hyperloop_action.console.spoken import words_of
from hyperloop_action.console.summary import Ending, Preview
from hyperloop_action.console.views import dollars, span
from hyperloop_action.cycle import preview_cycle
from hyperloop_action.domain.config_keys import Keys, schema
from hyperloop_action.errors import TransientError
from hyperloop_action.loop import Loop, Summary
from hyperloop_action.settings import show

ATTENTION = 1
"""Exit code when a person is needed, for those who asked for it with ``--fail-on attention``."""


def run(call: Call, *, fail_on_attention: bool) -> int:
    return _drive(call, Loop.run, fail_on_attention=fail_on_attention)


def reconcile(call: Call, *, fail_on_attention: bool) -> int:
    return _drive(call, Loop.reconcile, fail_on_attention=fail_on_attention)


def watch(call: Call, *, fail_on_attention: bool) -> int:
    return _drive(call, Loop.watch, fail_on_attention=fail_on_attention, endless=True)


def dry_run(call: Call) -> int:
    app = call.open()
    preview = Preview(preview_cycle(app.ports, app.rules()), app.settings.base_branch)
    call.note_unseen(app)
    if call.output == "table":
        call.screen.show(preview.page())
    else:
        call.screen.dump(preview.values(), call.output)
    return 0


def work(call: Call, order: Path, out: Path) -> int:
    """Execute one order. A session that ended in an error is for somebody to order again."""
    result = wiring.work(order, out, call.path, call.env, lambda line: _say(call, line))
    took = [dollars(result.usage.cost_usd), span(result.usage.duration_s)]
    how = result.verdict or result.outcome
    call.screen.note(
        f"{result.order}: {how} ({', '.join(word for word in took if word)}), in {out}"
    )
    if result.error:
        raise TransientError(
            f"{result.order} ended with {result.error.kind}: {clean(result.error.message)}",
            hint=f"what its agent said: {out / 'transcript.jsonl'}",
        )
    return 0


def config_show(call: Call) -> int:
    """The effective settings, and for each where it was set."""
    settings = call.open().settings
    if call.output == "json":
        values = to_builtins(settings)
        call.screen.dump({key: values[key] for key in Keys.__struct_fields__}, "json")
    else:
        call.screen.out.write(show(settings))
    return 0


def config_schema(screen: Screen) -> int:
    screen.dump(schema(), "json")
    return 0


def _drive(
    call: Call,
    action: Callable[[Loop], Summary],
    *,
    fail_on_attention: bool,
    endless: bool = False,
) -> int:
    with StopSignal() as stop:
        app = call.open(stopping=stop.wanted)
        for notice in app.rules().notices:
            call.note(notice)
        with _progress(call, app) as progress:
            ports = replace(app.ports, probe=progress.fact)
            poll = app.settings.poll_interval
            summary = action(Loop(ports, app.rules, progress, stop.wanted, poll))
        _end(call, app, summary)
        if stop.wanted() and not endless:
            raise TransientError("stopped before the end", hint="go on with: hyperloop run")
    return ATTENTION if fail_on_attention and summary.outlook.attention else 0


def _progress(call: Call, app: Opened) -> Progress:
    """A display that moves where a person watches, lines of a log elsewhere."""
    now, seen = app.ports.now, app.settings.observability
    if not call.screen.watched or seen.log_format == "json":
        return PlainProgress(app.log(call.screen.err), now, Roster(now))
    return LiveProgress(
        call.screen.live_console(),
        now,
        Roster(now),
        seen.log_level,
        lambda order: words_of(app.ports.workers.last_words(order)),
    )


def _end(call: Call, app: Opened, summary: Summary) -> None:
    settings, state = app.settings, app.ports.state.load().state
    unseen = app.ports.repository.unseen()
    ending = Ending(summary, state, settings.base_branch, settings.specs_dir, unseen)
    if call.output == "table":
        call.screen.show(ending.page())
    else:
        call.screen.dump(ending.values(), call.output)


def _say(call: Call, line: str) -> None:
    words = clean(" ".join(words_of(line).split()))
    if words:
        call.screen.note(f"  {words}")
