"""Every move that a task can make, and every way through a process."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from hyperloop_action.domain.model import FINAL, Phase, Position
from hyperloop_action.domain.pipeline import (
    TRANSITIONS,
    Trigger,
    arrive,
    failed,
    first,
    last_agent_before,
    leaves,
    mermaid,
    move,
    passed,
    rework,
    same_step,
    starts_a_round,
)
from hyperloop_action.domain.process import (
    ActionStep,
    AgentStep,
    GateStep,
    LoopStep,
    Process,
    Step,
    describe,
    step_at,
)
from hyperloop_action.errors import IllegalTransition
from tests.fakes.states import NOW, make_task
from tests.unit.domain.drafts import (
    IMPLEMENTER,
    LOOP,
    NESTED,
    PLAIN,
    VERIFIER,
    process_of,
    worker_of,
)

Q, W, G, A = Phase.QUEUED, Phase.WORKING, Phase.WAITING, Phase.ACTING
DONE, FAILED, GONE = Phase.COMPLETE, Phase.FAILED, Phase.CANCELLED
ILLEGAL = None

TABLE: dict[Trigger, dict[Phase, Phase | None]] = {
    # from:              Q        W        G        A        DONE     FAILED   GONE
    Trigger.CLAIMED: {Q: W, W: None, G: None, A: None, DONE: None, FAILED: None, GONE: None},
    Trigger.DROPPED: {Q: None, W: Q, G: None, A: None, DONE: None, FAILED: None, GONE: None},
    Trigger.TO_AGENT: {Q: Q, W: Q, G: Q, A: Q, DONE: None, FAILED: None, GONE: None},
    Trigger.TO_GATE: {Q: G, W: G, G: G, A: G, DONE: None, FAILED: None, GONE: None},
    Trigger.TO_ACTION: {Q: A, W: A, G: A, A: A, DONE: None, FAILED: None, GONE: None},
    Trigger.FINISHED: {Q: None, W: DONE, G: DONE, A: DONE, DONE: None, FAILED: None, GONE: None},
    Trigger.GAVE_UP: dict.fromkeys((Q, W, G, A), FAILED) | dict.fromkeys(sorted(FINAL)),
    Trigger.CANCELLED: dict.fromkeys((Q, W, G, A, FAILED), GONE) | dict.fromkeys((DONE, GONE)),
    Trigger.REOPENED: {Q: None, W: None, G: None, A: None, DONE: None, FAILED: Q, GONE: Q},
}

PAIRS = [
    pytest.param(phase, trigger, to, id=f"{phase}-{trigger.name.lower()}")
    for trigger, row in TABLE.items()
    for phase, to in row.items()
]


def test_the_table_of_this_test_names_every_pair() -> None:
    assert {(phase, trigger) for trigger, row in TABLE.items() for phase in row} == {
        (phase, trigger) for phase in Phase for trigger in Trigger
    }


@pytest.mark.parametrize(("phase", "trigger", "to"), PAIRS)
def test_a_move_is_in_the_table_or_illegal(
    phase: Phase, trigger: Trigger, to: Phase | None
) -> None:
    task = make_task(phase=phase)
    if to is None:
        with pytest.raises(IllegalTransition, match=f"task-001 is {phase}: it cannot be {trigger}"):
            move(task, trigger)
    else:
        assert move(task, trigger) == replace(task, phase=to)


@pytest.mark.parametrize("trigger", [t for t in Trigger if (Phase.WORKING, t) in TRANSITIONS])
def test_whoever_stops_working_has_no_worker(trigger: Trigger) -> None:
    working = make_task(phase=Phase.WORKING, worker=worker_of())
    assert move(working, trigger).worker is None


def test_a_claim_keeps_its_worker() -> None:
    assert move(make_task(worker=worker_of()), Trigger.CLAIMED).worker == worker_of()


def test_no_phase_but_the_final_ones_is_a_dead_end() -> None:
    assert {phase for phase in Phase if phase not in {a for a, _ in TRANSITIONS}} == {DONE}


# --- ways through a process -----------------------------------------------------------------------

NESTED_LEAVES = [
    ((0, 0, 0), "agent implementer"),
    ((0, 0, 1), "agent verifier"),
    ((0, 1, 0), "agent tester"),
    ((0, 1, 1, 0), "agent verifier"),
    ((0, 1, 1, 1), "gate second"),
    ((0, 2), "agent verifier"),
    ((1,), "gate lgtm"),
    ((2,), "agent implementer"),
    ((3,), "action merge"),
]


def test_leaves_are_in_the_order_in_which_a_task_walks() -> None:
    assert [(at, describe(step)) for at, step in leaves(NESTED.pipeline)] == NESTED_LEAVES


def test_a_task_begins_at_the_first_step_that_is_not_a_loop() -> None:
    assert first(NESTED) == (0, 0, 0)
    assert first(process_of(GateStep("lgtm"), LOOP)) == (0,)


def test_passing_every_step_visits_each_once_although_names_repeat() -> None:
    at: Position | None = first(NESTED)
    walked = []
    while at is not None:
        walked.append(at)
        at = passed(NESTED, at)
    assert walked == [position for position, _ in NESTED_LEAVES]


@pytest.mark.parametrize(
    ("at", "back"),
    [
        ((0, 0, 0), (0, 0, 0)),
        ((0, 0, 1), (0, 0, 0)),
        ((0, 1, 0), (0, 1, 0)),
        ((0, 1, 1, 0), (0, 1, 1, 0)),
        ((0, 1, 1, 1), (0, 1, 1, 0)),
        ((0, 2), (0, 0, 0)),
        ((1,), None),
        ((2,), None),
        ((3,), None),
    ],
)
def test_failing_restarts_the_innermost_loop_and_outside_of_one_the_task_fails(
    at: Position, back: Position | None
) -> None:
    assert failed(NESTED, at) == back


@pytest.mark.parametrize(
    ("at", "back"),
    [
        ((0, 1, 1, 1), (0, 1, 1, 0)),  # a gate in a loop: that loop
        ((1,), (0, 0, 0)),  # a gate after a loop: that loop
        ((3,), (0, 0, 0)),  # an agent stands nearer, but the loop does the work
    ],
)
def test_rework_is_done_in_the_loop_around_or_before(at: Position, back: Position) -> None:
    assert rework(NESTED, at) == back


def test_rework_without_a_loop_is_done_by_the_nearest_agent_before() -> None:
    process = process_of(IMPLEMENTER, VERIFIER, GateStep("lgtm"), ActionStep("merge"))
    assert rework(process, (3,)) == (1,)


def test_without_anybody_before_nobody_can_rework() -> None:
    assert rework(process_of(GateStep("lgtm"), LOOP), (0,)) is None


@pytest.mark.parametrize(
    ("at", "agent"),
    [((0, 0, 0), (0, 0, 0)), ((0, 1, 1, 1), (0, 1, 1, 0)), ((1,), (0, 2)), ((3,), (2,))],
)
def test_the_last_agent_before_a_step_is_told_by_place_not_by_name(
    at: Position, agent: Position
) -> None:
    assert last_agent_before(NESTED, at) == agent


def test_before_the_first_agent_there_is_none() -> None:
    assert last_agent_before(process_of(GateStep("lgtm"), LOOP), (0,)) is None


SIBLINGS = process_of(
    LoopStep(
        (
            IMPLEMENTER,
            AgentStep("quick", on_pass="fixer", on_fail="fixer"),
            VERIFIER,
            AgentStep("fixer", on_pass="verifier"),
            AgentStep("again", on_fail="quick"),
        )
    ),
)


@pytest.mark.parametrize(
    ("at", "where", "target"),
    [
        ((0, 1), passed, (0, 3)),
        ((0, 1), failed, (0, 3)),
        ((0, 3), passed, (0, 2)),
        ((0, 3), failed, (0, 0)),
        ((0, 4), failed, (0, 1)),
        ((0, 4), passed, None),
    ],
)
def test_on_pass_and_on_fail_lead_to_the_named_sibling(
    at: Position, where: Callable[[Process, Position], Position | None], target: Position | None
) -> None:
    assert where(SIBLINGS, at) == target


@pytest.mark.parametrize(
    ("at", "target", "counts"),
    [((0, 1), (0, 0), True), ((0, 1), (0, 1), True), ((0, 1), (0, 2), False), ((2,), (0, 0), True)],
)
def test_going_back_or_staying_is_a_round_and_going_on_is_none(
    at: Position, target: Position, counts: bool
) -> None:
    task = replace(make_task(), position=at)
    assert starts_a_round(task, target) is counts


@pytest.mark.parametrize(
    ("position", "phase", "step"),
    [
        ((0, 1), Phase.QUEUED, "agent verifier"),
        ((1,), Phase.ACTING, "action merge"),
    ],
)
def test_arriving_starts_the_counters_of_the_step_anew(
    position: Position, phase: Phase, step: str
) -> None:
    task = make_task(phase=Phase.WORKING, worker=worker_of(), action_attempts=2, reason="works")
    assert arrive(task, PLAIN, position) == replace(
        task,
        phase=phase,
        worker=None,
        position=position,
        step=step,
        process="test",
        action_attempts=0,
        reason="",
    )


def test_arriving_past_the_end_completes_the_task_where_it_stands() -> None:
    task = make_task(phase=Phase.ACTING, at=(2,), not_before=NOW, reason="waits")
    assert arrive(task, PLAIN, None) == replace(
        task, phase=Phase.COMPLETE, not_before=None, reason=""
    )


@pytest.mark.parametrize(
    ("at", "step", "same"),
    [
        ((0, 1), "agent verifier", True),
        ((0, 1), "agent tester", False),  # another agent stands there now
        ((0,), "loop", False),  # a loop is no place to stand
        ((0, 2), "agent verifier", False),  # the loop became shorter
        ((1, 0), "agent verifier", False),  # what was a loop is a step
        ((-1, 0), "agent verifier", False),
        ((), "agent verifier", False),
    ],
)
def test_a_step_is_the_same_by_place_and_kind_and_name(at: Position, step: str, same: bool) -> None:
    assert same_step(PLAIN, replace(make_task(), position=at, step=step)) is same


# --- any process ----------------------------------------------------------------------------------

agents = st.sampled_from(["implementer", "verifier", "tester"]).map(AgentStep)
others: st.SearchStrategy[Step] = st.sampled_from([GateStep("lgtm"), ActionStep("merge")])


def loops(inner: st.SearchStrategy[Step]) -> st.SearchStrategy[Step]:
    return st.tuples(agents, st.lists(inner, max_size=3)).map(lambda t: LoopStep((t[0], *t[1])))


steps: st.SearchStrategy[Step] = st.recursive(agents | others, loops, max_leaves=8)
processes = st.lists(steps, min_size=1, max_size=4).map(lambda each: process_of(*each))


@given(processes)
def test_in_any_process_every_way_leads_to_a_step_and_only_passing_goes_on(
    process: Process,
) -> None:
    places = [at for at, _ in leaves(process.pipeline)]
    for index, at in enumerate(places):
        following = passed(process, at)
        assert following == (places[index + 1] if index + 1 < len(places) else None)
        for back in (failed(process, at), rework(process, at), last_agent_before(process, at)):
            assert back is None or (back in places and back <= at)
            assert back is None or not isinstance(step_at(process.pipeline, back), LoopStep)


# --- the diagram ----------------------------------------------------------------------------------


def test_the_diagram_for_readers_is_the_table() -> None:
    text = (Path(__file__).parents[3] / "CONTRIBUTING.md").read_text()
    block = text.partition("## Phases of a task")[2].partition("```mermaid\n")[2]
    assert block.partition("```")[0] == mermaid()
