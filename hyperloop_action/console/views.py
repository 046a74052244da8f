"""State -> the tables of ``hyperloop get``, and the same as plain values for ``-o json`` and yaml.

Pure: nothing here asks anybody anything. Pages about one thing are in ``console/describe.py``.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec
from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.table import Table
from rich.text import Text

from hyperloop_action.console.screen import clean
from hyperloop_action.domain.commits import LoggedCommit
from hyperloop_action.domain.model import Phase, SpecEntry, SpecStatus, State, Task

STYLES = {
    "complete": "green",
    "synced": "green",
    "failed": "red",
    "cancelled": "dim",
    "removed": "dim",
    "waiting": "yellow",
    "in-progress": "cyan",
    "reconciling": "cyan",
    "planning": "cyan",
}
"""Colours of the words that tell where something stands; all others have none."""


def spec_values(path: str, entry: SpecEntry) -> dict[str, object]:
    values: dict[str, object] = msgspec.to_builtins(entry)
    return {"path": path, **values}


def task_values(task: Task) -> dict[str, object]:
    """Every field, ``status`` (the word that people use for the phase) among the first."""
    values: dict[str, object] = msgspec.to_builtins(task)
    first = {"id": task.id, "title": task.title, "status": task.status.value}
    return {**first, **values}


def event_values(commits: Iterable[LoggedCommit], about: str = "") -> list[dict[str, object]]:
    """Oldest first, one for each thing that happened; only those that name ``about``."""
    named = re.compile(rf"(?<!\w){re.escape(about)}(?![\w/])" if about else "")
    return [
        {"time": commit.time.isoformat(), "commit": commit.id, "what": line}
        for commit in reversed(list(commits))
        for line in lines_of(commit)
        if named.search(line)
    ]


def lines_of(commit: LoggedCommit) -> list[str]:
    """What happened in one save: its body without the trailers, else its subject."""
    keys = tuple(f"{key}:" for key in commit.trailers)
    lines = [line for line in commit.body.splitlines() if line.strip()]
    said = [line for line in lines if not (keys and line.startswith(keys))]
    return said or [commit.subject]


def shown_specs(state: State, *, every: bool) -> dict[str, SpecEntry]:
    """By path; removed ones only when ``every`` spec is asked for."""
    return {
        path: entry
        for path, entry in sorted(state.specs.items())
        if every or entry.status is not SpecStatus.REMOVED
    }


def specs_table(specs: dict[str, SpecEntry], state: State) -> Table:
    rows = [
        [
            path,
            entry.status.value,
            entry.commit[:12],
            progress_of(path, entry, state),
            entry.reason,
        ]
        for path, entry in specs.items()
    ]
    return table(["SPEC", "STATUS", "VERSION", "TASKS", "WHY"], rows)


def tasks_table(tasks: Iterable[Task]) -> Table:
    rows = [
        [
            task.id,
            status_word(task),
            task.step if task.open else "",
            str(task.round),
            dollars(task.usage.cost_usd),
            task.title,
            task.reason,
        ]
        for task in tasks
    ]
    return table(["TASK", "STATUS", "STEP", "ROUND", "COST", "TITLE", "WHY"], rows)


def events_table(events: Iterable[dict[str, object]]) -> Table:
    rows = [[moment(str(event["time"])), str(event["what"])] for event in events]
    return table(["TIME", "WHAT"], rows)


class Rows(Table):
    """A table without lines, as other command lines draw theirs. A narrow terminal gets one
    paragraph for each row instead."""

    def __init__(self, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        super().__init__(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        self.heads, self.texts = heads, rows
        for head in heads:
            self.add_column(head, overflow="fold", no_wrap=head in _SHORT)
        for row in rows:
            self.add_row(*(_cell(text) for text in row))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if options.max_width >= ROOM * len(self.heads):
            yield from super().__rich_console__(console, options)
        else:
            yield from map(self._paragraph, self.texts)

    def _paragraph(self, row: Sequence[str]) -> Group:
        name, *cells = (_cell(text) for text in row)
        name.stylize("bold")
        grid = Table.grid(padding=(0, 2, 0, 0))
        grid.add_column(style="dim", no_wrap=True)
        grid.add_column(overflow="fold")
        for head, cell in zip(self.heads[1:], cells, strict=True):
            if cell:
                grid.add_row(f"  {head.lower()}", cell)
        return Group(name, grid)


ROOM = 14
"""Columns of a terminal for each column of a table, below which words would be torn apart."""


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    return Rows(heads, tuple(rows))


_SHORT = frozenset({"TASK", "STATUS", "VERSION", "ROUND", "COST", "TIME", "TASKS"})


def status_word(task: Task) -> str:
    """The status; a task at a gate is ``waiting``, which is what a person looks for."""
    return "waiting" if task.phase is Phase.WAITING else task.status.value


def progress_of(path: str, entry: SpecEntry, state: State) -> str:
    """``1 of 3`` tasks of the current plan are merged; empty where there are none."""
    tasks = [t for t in state.tasks.values() if t.spec == path and t.plan == entry.plan]
    done = sum(task.phase is Phase.COMPLETE for task in tasks)
    return f"{done} of {len(tasks)}" if tasks else ""


def dollars(amount: float) -> str:
    return f"${amount:.2f}" if amount else ""


def moment(iso: str) -> str:
    """A time as people here read it: their own zone, to the second."""
    return datetime.fromisoformat(iso).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def span(seconds: float) -> str:
    """``45 s``, ``3 min``, ``2 h 5 min``."""
    minutes = round(seconds / 60)
    if seconds < 90:  # noqa: PLR2004  # as people count: a minute and a half is still seconds
        return f"{max(seconds, 0):.0f} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def count(number: int, noun: str) -> str:
    """``1 task``, ``2 tasks``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _cell(text: str) -> Text:
    flat = clean(" ".join(text.split()))
    return Text(flat, style=STYLES.get(flat, ""))
