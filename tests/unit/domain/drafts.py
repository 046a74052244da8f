"""Drafts, worlds and results for tests of the phases; a test names what it wants different."""

from datetime import timedelta

from hyperloop_action.domain.draft import Draft
from hyperloop_action.domain.limits import Limits
from hyperloop_action.domain.model import State, Task, Worker
from hyperloop_action.domain.orders import (
    ErrorKind,
    Result,
    RuntimeSpec,
    SessionError,
    Usage,
    Verdict,
    Wants,
)
from hyperloop_action.domain.process import (
    ActionStep,
    AgentStep,
    GateStep,
    LabelGate,
    LoopStep,
    MergeAction,
    Process,
    ReadyAction,
    Step,
)
from hyperloop_action.domain.spawn import Claimer, Role
from hyperloop_action.domain.world import SpecSeen, World
from tests.fakes.states import BASE, NOW, REVIEWED, SPEC, make_state

IMPLEMENTER, VERIFIER = AgentStep("implementer"), AgentStep("verifier")
LIMITS = Limits()
CLAIMER = Claimer(run="local", handle=None)
USAGE = Usage(cost_usd=0.5, turns=3, input_tokens=10, output_tokens=20, duration_s=61.24)

ROLES = {
    "pm": Role("pm", Wants.PROPOSALS, RuntimeSpec()),
    "implementer": Role("implementer", Wants.CHANGES, RuntimeSpec()),
    "verifier": Role("verifier", Wants.VERDICT, RuntimeSpec()),
}


def process_of(*steps: Step) -> Process:
    """Every gate is a label, every action a merge, but for one named ``ready``."""
    return Process(
        name="test",
        pipeline=steps,
        gates={"lgtm": LabelGate(), "second": LabelGate()},
        actions={"merge": MergeAction(), "ready": ReadyAction()},
    )


LOOP = LoopStep((IMPLEMENTER, VERIFIER))
PLAIN = process_of(LOOP, ActionStep("merge"))
NESTED = process_of(
    LoopStep(
        (
            LoopStep((IMPLEMENTER, VERIFIER)),
            LoopStep((AgentStep("tester"), LoopStep((VERIFIER, GateStep("second"))))),
            VERIFIER,
        )
    ),
    GateStep("lgtm"),
    IMPLEMENTER,
    ActionStep("merge"),
)


def draft_of(
    state: State | None = None, process: Process = REVIEWED, limits: Limits = LIMITS
) -> Draft:
    return Draft.of(state or make_state(), process, limits, NOW)


def world_of(**fields: object) -> World:
    """The base at :data:`BASE` with the one spec as it was planned."""
    values: dict[str, object] = {
        "base": BASE,
        "specs": {SPEC: SpecSeen("blob-1", 100)},
        **fields,
    }
    return World(**values)  # type: ignore[arg-type]  # a test names the fields it wants


def worker_of(order: str = "task-001-1", wants: Wants = Wants.CHANGES, **fields: object) -> Worker:
    role = {Wants.CHANGES: "implementer", Wants.VERDICT: "verifier", Wants.PROPOSALS: "pm"}[wants]
    values: dict[str, object] = {
        "order": order,
        "role": role,
        "wants": wants,
        "runtime": "claude",
        "run": "local",
        "started": NOW - timedelta(minutes=10),
        "deadline": NOW + timedelta(minutes=55),
        **fields,
    }
    return Worker(**values)  # type: ignore[arg-type]  # a test names the fields it wants


def done(order: str = "task-001-1", **fields: object) -> Result:
    values: dict[str, object] = {"order": order, "outcome": "done", "usage": USAGE, **fields}
    return Result(**values)  # type: ignore[arg-type]  # a test names the fields it wants


def passes(order: str = "task-001-1", **fields: object) -> Result:
    return done(order, verdict=Verdict.PASS, **fields)


def fails(order: str = "task-001-1", detail: str = "it is red", **fields: object) -> Result:
    return done(order, verdict=Verdict.FAIL, detail=detail, **fields)


def errs(
    kind: ErrorKind, order: str = "task-001-1", retry_after_s: float | None = None, **fields: object
) -> Result:
    error = SessionError(kind=kind, message="no luck", retry_after_s=retry_after_s)
    return done(order, **{"outcome": "error", "error": error, **fields})


def world_with(*results: Result, **fields: object) -> World:
    return world_of(results={result.order: result for result in results}, **fields)


def only(draft: Draft) -> Task:
    (task,) = draft.tasks.values()
    return task


def lines(draft: Draft) -> list[str]:
    """What the cycle would write into its commit."""
    return [fact.line() for fact in draft.facts]
