"""The state branch in memory: each save moves it, and one of what was read earlier is refused."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from msgspec.structs import replace

from hyperloop_action.domain.commits import LoggedCommit, RefMove
from hyperloop_action.domain.model import Review, State, Task
from hyperloop_action.errors import Moved
from hyperloop_action.ports import Stored
from tests.fakes.states import NOW


@dataclass
class MemoryStateStore:
    """``foreign`` are states that somebody else saves, one before each of our saves."""

    state: State = field(default_factory=State)
    commits: list[LoggedCommit] = field(default_factory=list)
    archived: dict[str, tuple[Task, tuple[Review, ...]]] = field(default_factory=dict)
    foreign: list[State] = field(default_factory=list)
    moves: list[RefMove] = field(default_factory=list)
    now: datetime = NOW

    @property
    def tip(self) -> str | None:
        """There is no branch before the first save, unless a test began with a state."""
        return f"{len(self.commits):040d}" if self.commits or self.state != State() else None

    def load(self) -> Stored:
        return Stored(self.tip, self.state)

    def save(
        self,
        stored: Stored,
        after: State,
        subject: str,
        lines: Iterable[str],
        moves: tuple[RefMove, ...],
    ) -> str | None:
        if self.foreign:
            self._commit(self.foreign.pop(0), "somebody else", ())
        if stored.tip != self.tip:
            raise Moved("somebody else was first")
        if after == self.state and not moves:
            return None
        self.moves += moves
        self._commit(after, subject, lines)
        return self.tip

    def history(self, grep: str | None = None, limit: int | None = None) -> list[LoggedCommit]:
        found = [
            commit
            for commit in reversed(self.commits)
            if grep is None or re.search(grep, commit.body, re.MULTILINE)
        ]
        return found[:limit]

    def finished(self, task_id: str) -> tuple[Task, tuple[Review, ...]] | None:
        return self.archived.get(task_id)

    def archive(self) -> list[Task]:
        return sorted((task for task, _ in self.archived.values()), key=lambda task: task.number)

    def _commit(self, after: State, subject: str, lines: Iterable[str]) -> None:
        touched = [name for name in after.tasks if after.tasks[name] != self.state.tasks.get(name)]
        trailers = "\n".join(f"Task-Ref: {name}" for name in touched)
        body = "\n\n".join(part for part in ("\n".join(lines), trailers) if part)
        values = {"Task-Ref": tuple(touched)} if touched else {}
        gone = after.archived.keys()
        self.archived |= {
            name: (task, after.reviews.get(name, ())) for name, task in after.archived.items()
        }
        reviews = {name: said for name, said in after.reviews.items() if name not in gone}
        self.state = replace(after, archived={}, reviews=reviews)
        name = f"{len(self.commits) + 1:040d}"
        self.commits.append(LoggedCommit(name, self.now, subject, body, values))
