"""What the state branch remembers: specs, tasks, reviews, workers. Frozen values; rules live
elsewhere."""

from datetime import datetime
from enum import StrEnum

import msgspec

from hyperloop_action.domain.orders import SessionError, SpecToPlan, Usage, Verdict, Wants

Position = tuple[int, ...]
"""Path of indices to a step: ``(0, 1)`` is the second step inside the first one. Never a name,
since one agent may stand in a pipeline twice."""


class Phase(StrEnum):
    """Where a task stands. Only ``pipeline.py`` changes it, by its transition table."""

    QUEUED = "queued"  # at an agent step, without a worker
    WORKING = "working"  # a worker has its order
    WAITING = "waiting"  # at a gate
    ACTING = "acting"  # at an action
    COMPLETE = "complete"
    FAILED = "failed"
    CANCELLED = "cancelled"


FINAL = frozenset({Phase.COMPLETE, Phase.FAILED, Phase.CANCELLED})


class Status(StrEnum):
    """The five words that people read and may edit; ``Phase`` is the same, finer."""

    NOT_STARTED = "not-started"
    IN_PROGRESS = "in-progress"
    COMPLETE = "complete"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Handle(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which process runs an order. A pid alone would be re-used; with boot id and start time it
    is not."""

    host: str
    boot_id: str
    pid: int
    start_time: str


class Worker(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A claimed order. ``run`` is ``local`` or the URL of a workflow run; ``handle`` names the
    claimer."""

    order: str
    role: str
    wants: Wants
    runtime: str
    run: str
    started: datetime
    deadline: datetime
    handle: Handle | None = None


class Approval(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A person's word at one gate, for one head. It is used up when the gate clears."""

    gate: str
    head: str
    by: str
    at: datetime


class Task(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One unit of work. Commits are full hashes; ``base`` is the trunk commit that the branch
    contains.

    ``attempts`` counts sessions in a row that ended in an error, ``lost`` those that vanished, and
    ``sessions`` all of them; none of the counters ever falls but by a session that went well.
    """

    id: str
    title: str
    spec_ref: str
    phase: Phase
    deps: tuple[str, ...] = ()
    round: int = 0
    branch: str
    pr: int | None = None
    step: str
    position: Position
    process: str = "default"
    plan: int = 1
    spec_blob: str
    covers: tuple[str, ...] = ()
    base: str | None = None
    head: str | None = None
    worker: Worker | None = None
    sessions: int = 0
    attempts: int = 0
    lost: int = 0
    action_attempts: int = 0
    conflicts: int = 0
    not_before: datetime | None = None
    approval: Approval | None = None
    reason: str = ""
    error: SessionError | None = None
    usage: Usage = Usage()
    description: str = ""

    @property
    def spec(self) -> str:
        """The path of the spec, without its version."""
        return self.spec_ref.rpartition("@")[0]

    @property
    def status(self) -> Status:
        if self.phase in FINAL:
            return Status(self.phase.value)
        untouched = self.phase is Phase.QUEUED and self.sessions == 0
        return Status.NOT_STARTED if untouched else Status.IN_PROGRESS

    @property
    def open(self) -> bool:
        return self.phase not in FINAL

    @property
    def number(self) -> int:
        """What orders tasks by age: ids sort wrongly as text from ``task-1000`` on."""
        return number_of(self.id)


class Review(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one session, person or failed action said about a task in one round. ``seq`` counts the
    reviews of a task from 0, since several may fall into one round."""

    task_id: str
    seq: int = 0
    round: int
    role: str
    verdict: Verdict
    order: str = ""
    findings: str = ""


class SpecStatus(StrEnum):
    PENDING = "pending"  # there is a gap, and no plan for it
    PLANNING = "planning"  # the pm has an order for it
    RECONCILING = "reconciling"  # tasks exist
    SYNCED = "synced"
    FAILED = "failed"  # not tried again until somebody edits the spec, or says so
    REMOVED = "removed"


class SpecEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line of the ledger. ``blob`` is the version being worked on, ``synced_blob`` the last
    one whose tasks were all complete. ``attempts`` counts plans for this version, ``plan`` all
    plans."""

    blob: str
    commit: str
    status: SpecStatus
    attempts: int = 0
    plan: int = 0
    synced_blob: str | None = None
    reason: str = ""


class Backoff(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Nobody is started on this runtime until then. ``times`` counts the pauses in a row; a session
    that goes well ends them."""

    until: datetime
    reason: str
    times: int = 1


class Planner(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The pm's side of the state: its live order, what was refused, how often it erred in a row.
    ``failed`` are the tasks of which it was told that they failed or were cancelled."""

    worker: Worker | None = None
    specs: tuple[SpecToPlan, ...] = ()
    failed: tuple[str, ...] = ()
    sessions: int = 0
    attempts: int = 0
    lost: int = 0
    not_before: datetime | None = None
    refusal: str = ""
    error: SessionError | None = None


class Spend(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """US dollars: today's (``day`` is a UTC date, ``2026-11-21``) and all there ever were."""

    day: str = ""
    today_usd: float = 0.0
    total_usd: float = 0.0


class Meta(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The content of ``state.yaml``."""

    schema: int = 1
    cycle: int = 0
    next_task: int = 1
    backoff: dict[str, Backoff] = {}
    planner: Planner = Planner()
    spend: Spend = Spend()


class State(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that a cycle reads and writes. Finished tasks leave for the archive with their
    reviews as soon as nothing needs them; ``archived`` holds those that left in this very cycle."""

    meta: Meta = Meta()
    specs: dict[str, SpecEntry] = {}
    tasks: dict[str, Task] = {}
    reviews: dict[str, tuple[Review, ...]] = {}
    archived: dict[str, Task] = {}

    def workers(self) -> list[Worker]:
        """Every live order, the pm's first."""
        planner = self.meta.planner.worker
        live = [task.worker for task in self.tasks.values() if task.worker]
        return [planner, *live] if planner else live


def number_of(task_id: str) -> int:
    return int(task_id.rpartition("-")[2])


def task_id(number: int) -> str:
    return f"task-{number:03d}"
