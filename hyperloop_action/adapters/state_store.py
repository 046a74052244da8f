"""The state branch behind its port: bytes from ``state_branch.py``, values from
``domain/state_files.py``."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePath

from hyperloop_action.adapters.state_branch import ARCHIVE, StateBranch
from hyperloop_action.domain.commits import LoggedCommit, RefMove
from hyperloop_action.domain.model import Review, State, Task
from hyperloop_action.domain.state_files import (
    archive_path,
    changes,
    decode_review,
    decode_task,
    load_state,
    touched_tasks,
)
from hyperloop_action.errors import ConfigError, Problem
from hyperloop_action.ports import Stored


@dataclass(frozen=True, slots=True)
class BranchStateStore:
    """``tip`` asks where the branch is; ``now`` dates the commits; ``run`` is the ``Run-Ref``."""

    branch: StateBranch
    tip: Callable[[], str | None]
    now: Callable[[], datetime]
    run: str

    def load(self) -> Stored:
        tip = self.tip()
        if tip is None:
            return Stored(None, State())
        _, files = self.branch.read(tip)
        return Stored(tip, load_state(files, self.branch.branch))

    def save(
        self,
        stored: Stored,
        after: State,
        subject: str,
        lines: Iterable[str],
        moves: tuple[RefMove, ...],
    ) -> str | None:
        changed = changes(stored.state, after)
        if not changed and not moves:
            return None
        message = self._message(subject, lines, stored.state, after, touched_tasks(changed))
        return self.branch.write(stored.tip, changed, message, self.now(), moves)

    def history(self, grep: str | None = None, limit: int | None = None) -> list[LoggedCommit]:
        return self.branch.history(grep, limit)

    def finished(self, task_id: str) -> tuple[Task, tuple[Review, ...]] | None:
        files = self.branch.read_folder(archive_path(task_id))
        if not files:
            return None
        problems: list[Problem] = []
        task, reviews = None, []
        for path, content in files.items():
            where = f"{self.branch.branch}:{path}"
            if path.endswith("/task.md"):
                task = decode_task(content, f"{task_id}.md", where, problems)
            else:
                reviews.append(decode_review(content, where, problems))
        if problems:
            raise ConfigError(problems)
        read = sorted((r for r in reviews if r), key=lambda review: review.seq)
        return (task, tuple(read)) if task else None

    def archive(self) -> list[Task]:
        files = self.branch.read_folder(ARCHIVE)
        problems: list[Problem] = []
        tasks = [
            decode_task(content, f"{PurePath(path).parent.name}.md", where, problems)
            for path, content in files.items()
            if path.endswith("/task.md") and (where := f"{self.branch.branch}:{path}")
        ]
        if problems:
            raise ConfigError(problems)
        return sorted((task for task in tasks if task), key=lambda task: task.number)

    def _message(
        self, subject: str, lines: Iterable[str], before: State, after: State, tasks: list[str]
    ) -> str:
        """One line per transition, then trailers: the life of a task is what ``git log --grep``
        shows."""
        body = "\n".join(_one_line(line) for line in lines)
        known = {**before.tasks, **after.tasks, **after.archived}
        specs = sorted({known[name].spec_ref for name in tasks if name in known})
        trailers = [f"Task-Ref: {name}" for name in tasks]
        trailers += [f"Spec-Ref: {spec}" for spec in specs] + [f"Run-Ref: {self.run}"]
        return "\n\n".join(part for part in (subject, body, "\n".join(trailers)) if part) + "\n"


def _one_line(text: str) -> str:
    """An agent's words must not look like a paragraph of trailers."""
    return " ".join(text.split())
