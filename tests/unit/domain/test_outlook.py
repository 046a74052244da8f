"""What happens next if nobody does anything, and who must."""

from datetime import datetime, timedelta

import pytest
from msgspec.structs import replace

from hyperloop_action.domain.model import Backoff, Meta, Phase, Planner, SpecStatus, State
from hyperloop_action.domain.orders import ErrorKind, SessionError, Wants
from hyperloop_action.domain.outlook import Outlook, outlook
from hyperloop_action.domain.spawn import clock
from tests.fakes.states import NOW, make_spec, make_state, make_task
from tests.unit.domain.drafts import worker_of

SOON, LATER = NOW + timedelta(minutes=1), NOW + timedelta(minutes=9)
PENDING, SYNCED, FAILED = SpecStatus.PENDING, SpecStatus.SYNCED, SpecStatus.FAILED


@pytest.mark.parametrize(
    ("state", "converged"),
    [
        pytest.param(State(), True, id="no specs"),
        pytest.param(make_state(spec=make_spec(SYNCED)), True, id="synced"),
        pytest.param(make_state(spec=make_spec(SpecStatus.REMOVED)), True, id="removed"),
        *(
            pytest.param(make_state(spec=make_spec(status)), False, id=status)
            for status in (PENDING, SpecStatus.PLANNING, SpecStatus.RECONCILING, FAILED)
        ),
        pytest.param(make_state(make_task(), spec=make_spec(SYNCED)), False, id="an open task"),
        pytest.param(
            make_state(make_task(phase=Phase.COMPLETE), spec=make_spec(SYNCED)),
            True,
            id="a finished one",
        ),
    ],
)
def test_converged_is_no_gap_and_no_open_task(state: State, converged: bool) -> None:
    assert outlook(state, NOW).converged is converged


def test_the_whole_outlook_of_a_busy_state() -> None:
    pm = worker_of("pm-3", Wants.PROPOSALS)
    state = make_state(
        make_task(10, Phase.QUEUED, reason="backs off", not_before=LATER),
        make_task(9, Phase.WORKING, worker=worker_of("task-009-1"), reason="works"),
        make_task(8, Phase.WAITING, (1,), reason="waits at gate x"),
        make_task(7, Phase.ACTING, (2,), reason="cannot merge yet: local changes"),
        make_task(6, Phase.FAILED, reason="failed"),
        make_task(5, Phase.CANCELLED, reason="cancelled"),
        make_task(11, deps=("task-005",), reason="depends on task-005, which is cancelled"),
        make_task(12, deps=("task-006",), reason="depends on task-006, which is failed"),
        spec=make_spec(FAILED, reason="three plans"),
        meta=Meta(next_task=13, planner=Planner(worker=pm)),
    )
    assert outlook(state, NOW) == Outlook(
        converged=False,
        workers=(pm, worker_of("task-009-1")),
        wakes_at=LATER,
        attention=(
            "specs/auth.md: three plans",
            "task-007 cannot merge yet: local changes",
            "task-008 waits at gate x",
            "task-011 depends on task-005, which is cancelled",
        ),
        waiting=(
            "task-007 cannot merge yet: local changes",
            "task-008 waits at gate x",
            "task-010 backs off",
            "task-011 depends on task-005, which is cancelled",
            "task-012 depends on task-006, which is failed",
        ),
    )


HELD = {"claude": Backoff(until=SOON, reason="x")}
RESTING = Planner(not_before=LATER)


@pytest.mark.parametrize(
    ("state", "wakes_at"),
    [
        pytest.param(make_state(make_task(not_before=LATER)), LATER, id="a task backs off"),
        pytest.param(make_state(make_task(not_before=NOW)), None, id="no longer"),
        pytest.param(
            make_state(make_task(1, not_before=LATER), make_task(2, not_before=SOON)),
            SOON,
            id="the first of two",
        ),
        pytest.param(
            make_state(make_task(), meta=Meta(backoff=HELD)), SOON, id="its runtime backs off"
        ),
        pytest.param(
            make_state(make_task(phase=Phase.WAITING, at=(1,)), meta=Meta(backoff=HELD)),
            None,
            id="a runtime that nobody waits for",
        ),
        pytest.param(
            make_state(spec=make_spec(PENDING), meta=Meta(planner=RESTING)),
            LATER,
            id="the pm rests",
        ),
        pytest.param(
            make_state(spec=make_spec(SYNCED), meta=Meta(planner=RESTING)),
            None,
            id="the pm rests, and nothing is to be planned",
        ),
    ],
)
def test_it_wakes_when_the_first_pause_ends_that_holds_somebody_up(
    state: State, wakes_at: datetime | None
) -> None:
    assert outlook(state, NOW).wakes_at == wakes_at


def test_an_action_that_has_not_been_tried_yet_needs_nobody() -> None:
    state = make_state(make_task(phase=Phase.ACTING, at=(2,)))
    assert outlook(state, NOW).attention == ()
    assert outlook(replace(state, tasks={}), NOW).waiting == ()


def test_a_plan_that_backs_off_says_so_while_no_task_can() -> None:
    error = SessionError(kind=ErrorKind.AUTH, message="the key is refused")
    state = make_state(spec=make_spec(PENDING), meta=Meta(planner=replace(RESTING, error=error)))
    until = clock(LATER)

    assert outlook(state, NOW).waiting == (
        f"pm backs off until {until} (auth: the key is refused)",
    )
    assert outlook(state, LATER).waiting == ()
