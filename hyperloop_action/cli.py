"""``hyperloop``: words and options are parsed here, and errors become exit codes. Nothing else.

Each command is one call into ``commands/``, imported only when it is typed: ``--version`` and
completion must not wait for what they do not need. It is long because click has this one door, and
short functions are easier to find in one place.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem, get_completion_class

from hyperloop_action import __version__
from hyperloop_action.console.troubles import report, report_bug, stop_writing
from hyperloop_action.errors import HyperloopError, UsageError

if TYPE_CHECKING:
    from hyperloop_action.commands.call import Call, Opener

F = TypeVar("F", bound=Callable[..., Any])

INTERRUPTED = 130


class Program(click.Group):
    """The root: errors that are raised on purpose become ``error: ...`` and their exit code."""

    def invoke(self, ctx: click.Context) -> None:
        try:
            code = super().invoke(ctx)
            sys.stdout.flush()
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except HyperloopError as error:
            code = report(error)
        except BrokenPipeError:
            code = stop_writing()
        except KeyboardInterrupt:
            code = INTERRUPTED
        except Exception:  # noqa: BLE001  # whatever else comes here is a bug, and says so
            code = report_bug()
        ctx.exit(code or 0)


class Group(click.Group):
    """``get task`` for ``get tasks`` and the like: a name that nearly fits is not sent away."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return next(
            (
                found
                for name in (cmd_name, f"{cmd_name}s", cmd_name.removesuffix("s"))
                if (found := super(Group, self).get_command(ctx, name))
            ),
            None,
        )


CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.group(cls=Program, context_settings=CONTEXT)
@click.version_option(__version__, prog_name="hyperloop")
def cli() -> None:
    """Keep code in sync with specs: markdown files say what should be true, AI agents make it so.

    \b
    hyperloop init            prepare a repository
    hyperloop run             work until no gap remains
    hyperloop get tasks       see what is being done, and what waits for you

    Exit codes: 0 done or waiting, 1 a person is needed (with --fail-on attention),
    2 wrong usage or configuration, 70 a bug, 75 try again later.
    """


def main() -> None:
    """The entry point of the package."""
    cli.main(prog_name="hyperloop", obj=_open_app)


def _open_app(*args: Any, **options: Any) -> Any:
    from hyperloop_action import wiring  # noqa: PLC0415  # see the docstring of this module

    return wiring.open_app(*args, **options)


# ---------------------------------------------------------------------------------- options

_WHERE = (
    click.option(
        "--path",
        type=click.Path(path_type=Path),
        default=".",
        help="The repository; default: here.",
    ),
    click.option("--repo", metavar="OWNER/NAME", hidden=True),  # refused in words until it works
    click.option("--branch", metavar="NAME", help="The branch that work is merged into."),
    click.option(
        *("--config", "-c"),
        type=click.Path(path_type=Path),
        help="A file to read instead of .hyperloop.yaml.",
    ),
    click.option(
        "--log-format", type=click.Choice(["console", "json"]), help="How progress is written."
    ),
    click.option(
        "--log-level",
        type=click.Choice(["debug", "info", "warning", "error"]),
        help="The least important progress that is written.",
    ),
)

_OUTPUT = click.option(
    *("-o", "--output"), type=click.Choice(["table", "json", "yaml"]), default="table",
    help="How results are printed.",
)  # fmt: skip

_WORK = (
    click.option("--max-workers", type=int, metavar="N", help="How many agents work at a time."),
    click.option(
        "--fail-on", type=click.Choice(["attention"]), help="Exit with 1 when a person is needed."
    ),
)

_DRY_RUN = click.option(
    "--dry-run", is_flag=True, help="Say what the next cycle would do; write and start nothing."
)


def _all(words: str) -> Any:
    return click.option("--all", "every", is_flag=True, help=words)


def _options(*groups: Any) -> Callable[[F], F]:
    flat = [one for group in groups for one in (group if isinstance(group, tuple) else (group,))]

    def decorate(function: F) -> F:
        for option in reversed(flat):
            function = option(function)
        return function

    return decorate


def _call(output: str = "table", max_workers: int | None = None, **where: Any) -> "Call":
    """What was typed, as the commands take it."""
    from hyperloop_action.commands.call import Call  # noqa: PLC0415
    from hyperloop_action.console.screen import Screen  # noqa: PLC0415

    if where["repo"]:
        raise UsageError(
            "--repo: this version does not work on GitHub yet",
            hint="leave it out: work is merged into the base branch of the repository itself",
        )
    options = {
        "base_branch": where["branch"],
        "max_workers": max_workers,
        "observability.log_format": where["log_format"],
        "observability.log_level": where["log_level"],
    }
    opener: Opener = click.get_current_context().find_root().obj
    return Call(
        screen=Screen(sys.stdout, sys.stderr, os.environ),
        opener=opener,
        env=os.environ,
        path=where["path"].absolute(),
        config=where["config"],
        options={key: value for key, value in options.items() if value is not None},
        output=output,  # type: ignore[arg-type]  # click has checked it
    )


def _complete(what: str) -> Callable[[click.Context, click.Parameter, str], list[CompletionItem]]:
    """Names for a shell. It has no place for an error: without a repository there are no names."""

    def complete(ctx: click.Context, _: click.Parameter, begun: str) -> list[CompletionItem]:
        try:
            from hyperloop_action import wiring  # noqa: PLC0415

            request = wiring.Request(ctx.params.get("path") or Path(), os.environ)
            state = wiring.open_app(request).ports.state.load().state
        except HyperloopError:
            return []
        names = [*(state.tasks if "task" in what else ()), *(state.specs if "spec" in what else ())]
        return [CompletionItem(name) for name in sorted(names) if name.startswith(begun)]

    return complete


# --------------------------------------------------------------------------------- commands


@cli.command()
@_options(_WHERE)
def init(**where: Any) -> int:
    """Prepare a repository.

    Writes settings and a folder for specs where there are none, and says what comes next.
    """
    from hyperloop_action.commands.init import init as command  # noqa: PLC0415

    return command(_call(**where))


@cli.command()
@_options(_WORK, _DRY_RUN, _OUTPUT, _WHERE)
def run(dry_run: bool, fail_on: str | None, **options: Any) -> int:
    """Work until no gap remains.

    Ends as well when all that is left needs a person, and says what to do. Sessions of an earlier
    run that still work are taken over.
    """
    from hyperloop_action.commands import cycles  # noqa: PLC0415

    call = _call(**options)
    if dry_run:
        return cycles.dry_run(call)
    return cycles.run(call, fail_on_attention=bool(fail_on))


@cli.command()
@_options(_WORK, _DRY_RUN, _OUTPUT, _WHERE)
def reconcile(dry_run: bool, fail_on: str | None, **options: Any) -> int:
    """Do one cycle.

    Collects results, plans, advances, starts sessions and waits for them.
    """
    from hyperloop_action.commands import cycles  # noqa: PLC0415

    call = _call(**options)
    if dry_run:
        return cycles.dry_run(call)
    return cycles.reconcile(call, fail_on_attention=bool(fail_on))


@cli.command()
@_options(_WORK, _WHERE)
def watch(fail_on: str | None, **options: Any) -> int:
    """Run until somebody ends it.

    Looks again every poll_interval. Ctrl-C or SIGTERM ends it, and keeps all work.
    """
    from hyperloop_action.commands import cycles  # noqa: PLC0415

    return cycles.watch(_call(**options), fail_on_attention=bool(fail_on))


@cli.command()
@_options(_WHERE)
def rebuild(**where: Any) -> int:
    """Restore a lost state branch.

    Open tasks come back from their branches; every other spec is looked at as new.
    """
    from hyperloop_action.commands import rebuild as command  # noqa: PLC0415

    return command.rebuild(_call(**where))


@cli.command()
@click.argument("order", type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="A folder for the result."
)
@_options(_WHERE)
def work(order: Path, out: Path, **where: Any) -> int:
    """Execute one work order.

    ORDER is a JSON file; the result is left in the folder that --out names.
    """
    from hyperloop_action.commands import cycles  # noqa: PLC0415

    return cycles.work(_call(**where), order, out)


@cli.group(cls=Group)
def get() -> None:
    """List specs, tasks or events."""


@get.command()
@_options(_all("Removed specs, too."), _OUTPUT, _WHERE)
def specs(every: bool, **options: Any) -> int:
    """Every spec, and how far its code is."""
    from hyperloop_action.commands import get as listing  # noqa: PLC0415

    return listing.get_specs(_call(**options), every=every)


@get.command()
@_options(_all("Finished and archived tasks, too."), _OUTPUT, _WHERE)
def tasks(every: bool, **options: Any) -> int:
    """Tasks, and why they stand where they stand.

    Those of synced specs are archived: --all shows them.
    """
    from hyperloop_action.commands import get as listing  # noqa: PLC0415

    return listing.get_tasks(_call(**options), every=every)


@get.command()
@_options(_all("From the beginning on, not only the latest."), _OUTPUT, _WHERE)
def events(every: bool, **options: Any) -> int:
    """What happened, the newest last."""
    from hyperloop_action.commands import get as listing  # noqa: PLC0415

    return listing.get_events(_call(**options), every=every)


@cli.group(cls=Group)
def describe() -> None:
    """Show all there is to know about one spec or task."""


@describe.command()
@click.argument("name", shell_complete=_complete("task"))
@_options(_OUTPUT, _WHERE)
def task(name: str, **options: Any) -> int:
    """A task, open or archived.

    Its step in the pipeline, rounds with their findings, cost, last error, events.
    """
    from hyperloop_action.commands import get as listing  # noqa: PLC0415

    return listing.describe_task(_call(**options), name)


@describe.command()
@click.argument("name", shell_complete=_complete("spec"))
@_options(_OUTPUT, _WHERE)
def spec(name: str, **options: Any) -> int:
    """A spec: versions, plans, tasks, cost, events."""
    from hyperloop_action.commands import get as listing  # noqa: PLC0415

    return listing.describe_spec(_call(**options), name)


@cli.command()
@click.argument("name", metavar="TASK", shell_complete=_complete("task"))
@_options(_WHERE)
def approve(name: str, **where: Any) -> int:
    """Let a task pass its gate.

    This counts for the commit that was seen last on its branch, and for no later one.
    """
    from hyperloop_action.commands import wish  # noqa: PLC0415

    return wish.approve_task(_call(**where), name)


@cli.command()
@click.argument("name", metavar="TASK|SPEC", shell_complete=_complete("task spec"))
@_options(_WHERE)
def retry(name: str, **where: Any) -> int:
    """Try a task or a spec again.

    A failed or cancelled task goes on, a failed spec is planned anew, a back-off ends.
    """
    from hyperloop_action.commands import wish  # noqa: PLC0415

    return wish.retry(_call(**where), name)


@cli.command()
@click.argument("name", metavar="TASK", shell_complete=_complete("task"))
@click.option("--reason", default="", help="Why; it is kept with the task and its spec.")
@_options(_WHERE)
def cancel(name: str, reason: str, **where: Any) -> int:
    """End a task.

    Its spec is not planned again until it is edited or retried.
    """
    from hyperloop_action.commands import wish  # noqa: PLC0415

    return wish.cancel_task(_call(**where), name, reason)


@cli.group()
def config() -> None:
    """Settings that hold now, and the schema of the file."""


@config.command()
@_options(_OUTPUT, _WHERE)
def show(**options: Any) -> int:
    """Every setting, and where it was set."""
    from hyperloop_action.commands import cycles  # noqa: PLC0415

    return cycles.config_show(_call(**options))


@config.command()
def schema() -> int:
    """The JSON Schema of .hyperloop.yaml, for editors."""
    from hyperloop_action.commands import cycles  # noqa: PLC0415
    from hyperloop_action.console.screen import Screen  # noqa: PLC0415

    return cycles.config_schema(Screen(sys.stdout, sys.stderr, os.environ))


@cli.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print a script that completes commands, tasks and specs.

    \b
    bash: hyperloop completion bash > ~/.local/share/bash-completion/completions/hyperloop
    zsh:  hyperloop completion zsh > ~/.zfunc/_hyperloop     (with ~/.zfunc in fpath)
    fish: hyperloop completion fish > ~/.config/fish/completions/hyperloop.fish
    """
    if made := get_completion_class(shell):  # click knows the three shells that are offered
        click.echo(made(cli, {}, "hyperloop", "_HYPERLOOP_COMPLETE").source())
