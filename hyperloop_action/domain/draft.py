"""A state while a cycle works on it: the phases write here, and ``done()`` gives the values back.

Copying the state once per cycle instead of once per change keeps 1,000 moving tasks cheap. A
draft never leaves the cycle that made it, so to every caller the phases are functions from
values to values.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from msgspec.structs import replace

from hyperloop_action.domain.effects import Effect
from hyperloop_action.domain.facts import Fact, TaskFailed, TaskWaits
from hyperloop_action.domain.limits import Limits
from hyperloop_action.domain.model import Meta, Review, SpecEntry, State, Task
from hyperloop_action.domain.orders import SessionError, Usage
from hyperloop_action.domain.pipeline import Trigger, move
from hyperloop_action.domain.process import Process

MAX_BACKOFF_S = 3600.0
"""A task that erred often is still looked at once an hour."""

MAX_RETRY_AFTER_S = 24 * 3600.0
"""A provider may ask for a day, but not for ever: what it says came through an agent."""


@dataclass(slots=True)
class Draft:
    meta: Meta
    specs: dict[str, SpecEntry]
    tasks: dict[str, Task]
    reviews: dict[str, tuple[Review, ...]]
    process: Process
    limits: Limits
    now: datetime
    archived: dict[str, Task] = field(default_factory=dict)
    facts: list[Fact] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    refs: dict[str, str] = field(default_factory=dict)
    """Extra refs to create with the save, by full name: work that must stay reachable."""

    @classmethod
    def of(cls, state: State, process: Process, limits: Limits, now: datetime) -> "Draft":
        return cls(
            meta=state.meta,
            specs=dict(state.specs),
            tasks=dict(state.tasks),
            reviews=dict(state.reviews),
            process=process,
            limits=limits,
            now=now,
        )

    def done(self) -> State:
        return State(
            meta=self.meta,
            specs=self.specs,
            tasks=self.tasks,
            reviews=self.reviews,
            archived=self.archived,
        )

    def put(self, task: Task) -> Task:
        self.tasks[task.id] = task
        return task

    def say(self, fact: Fact) -> None:
        self.facts.append(fact)

    def open_tasks(self) -> list[Task]:
        """Oldest first, so that nothing starves."""
        return sorted((t for t in self.tasks.values() if t.open), key=lambda task: task.number)

    def review(self, review: Review) -> None:
        earlier = self.reviews.get(review.task_id, ())
        self.reviews[review.task_id] = (*earlier, replace(review, seq=len(earlier)))

    def wait(self, task: Task, reason: str) -> Task:
        """Give the task its one current reason for not moving; said once, not every cycle."""
        if task.reason == reason:
            return task
        self.say(TaskWaits(task.id, reason))
        return self.put(replace(task, reason=reason))

    def give_up(self, task: Task, reason: str) -> Task:
        self.say(TaskFailed(task.id, reason))
        return self.put(replace(move(task, Trigger.GAVE_UP), reason=reason, not_before=None))

    def spend(self, usage: Usage) -> None:
        """Add to today's bill, in UTC days. A new day starts from zero; the total never falls."""
        if not usage.cost_usd:
            return
        spend, day = self.meta.spend, self.now.date().isoformat()
        today = spend.today_usd if spend.day == day else 0.0
        spend = replace(
            spend,
            day=day,
            today_usd=round(today + usage.cost_usd, 6),
            total_usd=round(spend.total_usd + usage.cost_usd, 6),
        )
        self.meta = replace(self.meta, spend=spend)

    def retry_at(self, attempts: int, error: SessionError) -> datetime:
        """When to try again after the ``attempts``-th error in a row: doubling, or as the
        provider says."""
        doubled = min(self.limits.backoff_s * 2.0 ** min(attempts - 1, 30), MAX_BACKOFF_S)
        asked = min(error.retry_after_s or 0.0, MAX_RETRY_AFTER_S)
        at = self.now + timedelta(seconds=max(doubled, asked))
        return at if not at.microsecond else at.replace(microsecond=0) + timedelta(seconds=1)


def times(count: int) -> str:
    return f"{count} time{'' if count == 1 else 's'}"
