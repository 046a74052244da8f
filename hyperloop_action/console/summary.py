"""How things stand when ``run``, ``reconcile`` or ``watch`` ends, and what a person can do."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rich.console import Group
from rich.table import Table
from rich.text import Text

from hyperloop_action.console.screen import clean
from hyperloop_action.console.views import count, dollars
from hyperloop_action.cycle import Cycle
from hyperloop_action.domain.facts import TaskMerged
from hyperloop_action.domain.model import SpecStatus, State
from hyperloop_action.loop import Summary

MOST_TASKS = 10
"""Waiting tasks that are named; ``hyperloop get tasks`` has all of them."""


@dataclass(frozen=True, slots=True)
class Ending:
    """``state`` is the one at the end; ``unseen`` are specs that a person edited and
    that the base branch lacks: path -> why."""

    summary: Summary
    state: State
    base_branch: str
    specs_dir: str
    unseen: Mapping[str, str]

    def values(self) -> dict[str, object]:
        outlook = self.summary.outlook
        done, every = self._synced()
        return {
            "converged": outlook.converged,
            "specs": {"synced": done, "total": every},
            "merged": self._merged(),
            "attention": list(outlook.attention),
            "waiting": list(outlook.waiting),
            "running": list(outlook.live),
            "cost_usd": round(self.summary.cost_usd, 6),
        }

    def page(self) -> Group:
        parts: list[Text | Table] = [Text(self._headline(), style="bold")]
        if wanted := self._wanted():
            parts += [Text("\nneeds you:"), _pairs(wanted)]
        if others := self._others():
            parts += [Text("\nwaits:"), _pairs(others)]
        if self.unseen:
            parts += [Text("\nnot seen yet:", style="yellow"), _pairs(list(self.unseen.items()))]
        if next_step := self._next(bool(wanted)):
            parts.append(Text(f"\n{next_step}"))
        return Group(*parts)

    def _headline(self) -> str:
        done, every = self._synced()
        if not every:
            return f"There is no spec below {self.specs_dir}/ on {self.base_branch}."
        merged = self._merged()
        parts = [
            f"{done} of {every} specs synced",
            f"{count(len(merged), 'task')} merged" if merged else "",
            dollars(self.summary.cost_usd),
        ]
        return ", ".join(part for part in parts if part)

    def _synced(self) -> tuple[int, int]:
        live = [e for e in self.state.specs.values() if e.status is not SpecStatus.REMOVED]
        return sum(entry.status is SpecStatus.SYNCED for entry in live), len(live)

    def _merged(self) -> list[str]:
        return [fact.task for fact in self.summary.facts if isinstance(fact, TaskMerged)]

    def _wanted(self) -> list[tuple[str, str]]:
        """What stands still until a person acts, and the command that does."""
        rows = []
        for path, entry in sorted(self.state.specs.items()):
            if entry.status is SpecStatus.FAILED:
                rows += [(path, f"failed: {entry.reason}"), ("", _FAILED.format(path))]
        return rows + _tasks_of(self.summary.outlook.attention)

    def _others(self) -> list[tuple[str, str]]:
        outlook = self.summary.outlook
        rows = _tasks_of(one for one in outlook.waiting if one not in outlook.attention)
        more = len(rows) - MOST_TASKS
        last = [("", f"and {more} more: hyperloop get tasks")] if more > 0 else []
        return rows[:MOST_TASKS] + last

    def _next(self, wanted: bool) -> str:  # noqa: FBT001  # one caller, one meaning
        if not self.state.specs:
            name = next(iter(self.unseen), "") or f"{self.specs_dir}/NAME.md"
            return f"Write what should be true as {name}, commit it, then: hyperloop run"
        if self.summary.outlook.converged:
            return ""
        return "Then go on with: hyperloop run" if wanted else "Go on with: hyperloop run"


_FAILED = "edit it and commit, or: hyperloop retry {0}   (its story: hyperloop describe spec {0})"


@dataclass(frozen=True, slots=True)
class Preview:
    """What a cycle would do now."""

    cycle: Cycle
    base_branch: str

    def values(self) -> dict[str, object]:
        return {
            "dry_run": True,
            "facts": [{"event": fact.name, "line": fact.line()} for fact in self.cycle.facts],
            "merges": [effect.task for effect in self.cycle.effects],
            "starts": [order.id for order in self.cycle.orders],
        }

    def page(self) -> Group:
        lines = [fact.line() for fact in self.cycle.facts]
        lines += [
            f"{merge.branch} ({merge.head[:12]}) is merged into {self.base_branch}"
            for merge in self.cycle.effects
        ]
        if not lines:
            return Group(Text("Nothing to do."))
        head = Text("This is what a cycle would do now; nothing is written or started:")
        return Group(head, *(Text(clean(f"  {' '.join(line.split())}")) for line in lines))


def _tasks_of(said: Iterable[str]) -> list[tuple[str, str]]:
    """``task-001 waits for ...``, ``pm backs off ...`` as name and words; what is said of specs is
    not among them."""
    pairs = (one.partition(" ") for one in said if one.startswith(("task-", "pm ")))
    return [(name, words) for name, _, words in pairs]


def _pairs(rows: list[tuple[str, str]]) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, words in rows:
        grid.add_row(Text(clean(f"  {name}")), Text(clean(" ".join(words.split()))))
    return grid
