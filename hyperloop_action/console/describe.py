"""One task or one spec -> the page of ``hyperloop describe``, and the same as plain values.

Pure: ``commands/`` gathers what a page is about, and prints what comes back.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import msgspec
from rich.console import Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from hyperloop_action.console.screen import clean
from hyperloop_action.console.views import (
    STYLES,
    count,
    dollars,
    event_values,
    events_table,
    progress_of,
    span,
    spec_values,
    status_word,
    task_values,
    tasks_table,
)
from hyperloop_action.domain.commits import LoggedCommit
from hyperloop_action.domain.model import Review, SpecEntry, State, Task
from hyperloop_action.domain.orders import ErrorKind, SessionError, Usage
from hyperloop_action.domain.pipeline import same_step
from hyperloop_action.domain.process import LoopStep, Process, Step


@dataclass(frozen=True, slots=True)
class TaskPage:
    """``process`` is ``None`` where it cannot be read; ``deps`` are those that are not archived;
    ``transcripts`` are the paths of what its agents said on this machine, oldest first."""

    task: Task
    reviews: tuple[Review, ...]
    events: tuple[LoggedCommit, ...]
    deps: dict[str, Task]
    process: Process | None
    max_rounds: int
    base_branch: str
    now: datetime
    transcripts: tuple[str, ...] = ()

    def values(self) -> dict[str, object]:
        return {
            "task": task_values(self.task),
            "reviews": msgspec.to_builtins(self.reviews),
            "events": event_values(self.events, self.task.id),
            "transcripts": list(self.transcripts),
        }

    def page(self) -> Group:
        task = self.task
        title = Text.assemble((task.id, "bold"), "  ", clean(task.title))
        fields: dict[str, str | Text] = {
            "spec": task.spec_ref[: len(task.spec) + 13],
            "status": _status(task),
            "pipeline": self._pipeline(),
            "round": f"{task.round} of at most {self.max_rounds}",
            "branch": f"{task.branch} at {task.head[:12]}" if task.head else "",
            "look": f"git diff {self.base_branch}...{task.branch}" if _has_branch(task) else "",
            "depends on": ", ".join(self._dep(name) for name in task.deps),
            "cost": cost_words(task.usage, task.sessions),
            "worker": self._worker(),
            "last error": error_words(task.error) if task.error else "",
            "transcript": self._transcript(),
        }
        parts = [title, _grid(fields), *_section("description", clean(task.description))]
        return Group(*parts, *_reviews(self.reviews), *_events(self.events, task.id))

    def _pipeline(self) -> Text:
        if self.process is None:
            return Text(self.task.step)
        here = self.task.open and same_step(self.process, self.task)
        return draw(self.process, self.task.position if here else None)

    def _dep(self, name: str) -> str:
        dep = self.deps.get(name)
        return f"{name} ({dep.status if dep else 'complete'})"

    def _transcript(self) -> str:
        """The newest, since that is the one to read first."""
        older = len(self.transcripts) - 1
        more = f" and {older} older beside it" if older > 0 else ""
        return f"{self.transcripts[-1]}{more}" if self.transcripts else ""

    def _worker(self) -> str:
        worker = self.task.worker
        if worker is None:
            return ""
        since = span((self.now - worker.started).total_seconds())
        left = span((worker.deadline - self.now).total_seconds())
        return f"{worker.role} for {since}, at most {left} more ({worker.order}, {worker.runtime})"


@dataclass(frozen=True, slots=True)
class SpecPage:
    """``tasks`` are all that were ever made for the spec and are still known here."""

    path: str
    entry: SpecEntry
    state: State
    tasks: tuple[Task, ...]
    events: tuple[LoggedCommit, ...]

    def values(self) -> dict[str, object]:
        return {
            "spec": spec_values(self.path, self.entry),
            "tasks": [task_values(task) for task in self.tasks],
            "events": event_values(self.events, self.path),
        }

    def page(self) -> Group:
        entry, usage = self.entry, sum((task.usage for task in self.tasks), Usage())
        word = entry.status.value
        why = f": {clean(entry.reason)}" if entry.reason else ""
        fields: dict[str, str | Text] = {
            "status": Text.assemble((word, STYLES.get(word, "")), why),
            "version": f"commit {entry.commit[:12]}, blob {entry.blob[:12]}",
            "last synced": f"blob {entry.synced_blob[:12]}" if entry.synced_blob else "never",
            "plans": _plans(entry),
            "tasks": progress_of(self.path, entry, self.state),
            "cost": cost_words(usage, sum(task.sessions for task in self.tasks)),
        }
        parts: list[Text | Table] = [Text(clean(self.path), style="bold"), _grid(fields)]
        if self.tasks:
            parts += [Text("\ntasks", style="bold"), tasks_table(self.tasks)]
        return Group(*parts, *_events(self.events, self.path))


def draw(process: Process, here: tuple[int, ...] | None) -> Text:
    """``( implementer > [verifier] ) > human-pr-approval > merge-pr``: brackets are loops, and the
    step at ``here`` is marked; what is behind it is dim."""
    return _drawn(process.pipeline, (), here)


def cost_words(usage: Usage, sessions: int) -> str:
    if not sessions:
        return ""
    parts = [
        dollars(usage.cost_usd),
        count(usage.turns, "turn") if usage.turns else "",
        f"{usage.input_tokens:,} tokens in, {usage.output_tokens:,} out"
        if usage.input_tokens or usage.output_tokens
        else "",
        span(usage.duration_s),
    ]
    return f"{count(sessions, 'session')}: {', '.join(part for part in parts if part)}"


def error_words(error: SessionError) -> str:
    """What the kind means for a person, then what the agent said."""
    return f"{_MEANINGS[error.kind]}: {clean(' '.join(error.message.split()))}"


_MEANINGS = {
    ErrorKind.NO_CLI: "the agent's program is missing or too old",
    ErrorKind.AUTH: "the provider refused the credentials",
    ErrorKind.OVERLOADED: "the provider was busy",
    ErrorKind.TURN_LIMIT: "it used all its turns (max_turns)",
    ErrorKind.BUDGET: "it used all its money (max_budget_usd)",
    ErrorKind.PERMISSION_DENIED: "it was not allowed to use a tool that it needed",
    ErrorKind.BAD_ANSWER: "it did not answer in the form that was asked for",
    ErrorKind.NO_RESULT: "it ended without an answer",
    ErrorKind.NO_CHANGE: "it changed nothing, and did not say why",
    ErrorKind.TIMEOUT: "it ran out of time (timeout_minutes)",
    ErrorKind.INTERRUPTED: "somebody stopped it",
    ErrorKind.CRASHED: "it crashed",
    ErrorKind.LOST: "its process vanished",
}


def _drawn(steps: tuple[Step, ...], prefix: tuple[int, ...], here: tuple[int, ...] | None) -> Text:
    parts = []
    for index, step in enumerate(steps):
        at = (*prefix, index)
        if isinstance(step, LoopStep):
            parts.append(Text.assemble("( ", _drawn(step.steps, at, here), " )"))
        elif at == here:
            parts.append(Text(f"[{step.name}]", style="bold"))
        else:
            parts.append(Text(step.name, style="dim" if here and at < here else ""))
    return Text(" > ").join(parts)


def _plans(entry: SpecEntry) -> str:
    tried = f", {count(entry.attempts, 'attempt')} at this version" if entry.attempts else ""
    return f"{entry.plan} in all{tried}"


def _status(task: Task) -> Text:
    word = status_word(task)
    why = f": {clean(' '.join(task.reason.split()))}" if task.reason else ""
    return Text.assemble((word, STYLES.get(word, "")), why)


def _has_branch(task: Task) -> bool:
    return bool(task.head) and task.status.value not in ("complete", "cancelled")


def _grid(fields: dict[str, str | Text]) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in fields.items():
        if value:
            grid.add_row(name, value if isinstance(value, Text) else Text(clean(value)))
    return grid


def _section(name: str, text: str) -> list[Text | Padding]:
    return [Text(f"\n{name}", style="bold"), Padding(Text(text), (0, 0, 0, 2))] if text else []


def _reviews(reviews: Iterable[Review]) -> list[Text | Padding]:
    parts: list[Text | Padding] = []
    for review in reviews:
        style = "green" if review.verdict == "pass" else "red"
        order = f"  ({review.order})" if review.order else ""
        parts.append(
            Text.assemble(
                f"\nround {review.round}  {review.role}  ", (review.verdict.value, style), order
            )
        )
        if review.findings:
            parts.append(Padding(Text(clean(review.findings)), (0, 0, 0, 2)))
    return parts


def _events(commits: tuple[LoggedCommit, ...], about: str) -> list[Text | Table]:
    events = event_values(commits, about)
    return [Text("\nevents", style="bold"), events_table(events)] if events else []
