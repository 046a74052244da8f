"""Small states for tests: one task of one spec, and what a test wants different about them."""

from datetime import UTC, datetime

from hyperloop_action.domain.model import (
    Meta,
    Phase,
    SpecEntry,
    SpecStatus,
    State,
    Task,
)
from hyperloop_action.domain.process import (
    ActionStep,
    AgentStep,
    GateStep,
    LabelGate,
    LoopStep,
    MergeAction,
    Process,
)

NOW = datetime(2026, 11, 21, 14, 0, tzinfo=UTC)
HEAD = "a" * 40
BASE = "b" * 40
SPEC = "specs/auth.md"

REVIEWED = Process(
    name="reviewed",
    pipeline=(
        LoopStep((AgentStep("implementer"), AgentStep("verifier"))),
        GateStep("human-pr-approval"),
        ActionStep("merge-pr"),
    ),
    gates={"human-pr-approval": LabelGate()},
    actions={"merge-pr": MergeAction()},
)

STEPS = {
    (0, 0): "agent implementer",
    (0, 1): "agent verifier",
    (1,): "gate human-pr-approval",
    (2,): "action merge-pr",
}


def make_task(
    number: int = 1,
    phase: Phase = Phase.QUEUED,
    at: tuple[int, ...] = (0, 0),
    **fields: object,
) -> Task:
    """A task of :data:`SPEC` in the process :data:`REVIEWED`."""
    name = f"task-{number:03d}"
    values: dict[str, object] = {
        "id": name,
        "title": "Log in with a password",
        "spec_ref": f"{SPEC}@{BASE}",
        "phase": phase,
        "branch": f"hyperloop/{name}",
        "step": STEPS[at],
        "position": at,
        "process": REVIEWED.name,
        "spec_blob": "blob-1",
        "base": BASE,
        "head": HEAD,
        **fields,
    }
    return Task(**values)  # type: ignore[arg-type]  # a test names the fields it wants


def make_spec(status: SpecStatus = SpecStatus.RECONCILING, **fields: object) -> SpecEntry:
    values: dict[str, object] = {
        "blob": "blob-1",
        "commit": BASE,
        "status": status,
        "attempts": 1,
        "plan": 1,
        **fields,
    }
    return SpecEntry(**values)  # type: ignore[arg-type]  # a test names the fields it wants


def make_state(*tasks: Task, spec: SpecEntry | None = None, **fields: object) -> State:
    """A state of :data:`SPEC` with these tasks."""
    last = max((task.number for task in tasks), default=0)
    values: dict[str, object] = {
        "meta": Meta(cycle=7, next_task=last + 1),
        "specs": {SPEC: spec or make_spec()},
        "tasks": {task.id: task for task in tasks},
        **fields,
    }
    return State(**values)  # type: ignore[arg-type]  # a test names the fields it wants
