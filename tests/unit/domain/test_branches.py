"""Where the branches of tasks point after a cycle, and that none moves from where nobody saw it."""

import pytest
from msgspec.structs import replace

from hyperloop_action.domain.branches import branch_moves
from hyperloop_action.domain.commits import RefMove
from hyperloop_action.domain.model import Phase, State, Task
from tests.fakes.states import HEAD, make_state, make_task
from tests.unit.domain.drafts import world_of

REF, BRANCH, NEW = "refs/heads/hyperloop/task-001", "hyperloop/task-001", "c" * 40
BEFORE = make_state(make_task(reason="before"))


def moves(
    after: Task, tip: str | None = HEAD, *, checked_out: bool = False, delete: bool = True
) -> tuple[RefMove, ...]:
    world = world_of(
        branches={BRANCH: tip} if tip else {},
        checked_out={BRANCH: "/app"} if checked_out else {},
    )
    return branch_moves(BEFORE, make_state(after), world, {}, delete_merged=delete)


@pytest.mark.parametrize(
    ("after", "tip", "expected"),
    [
        pytest.param(make_task(head=NEW), HEAD, (RefMove(REF, HEAD, NEW),), id="new commits"),
        pytest.param(make_task(head=NEW), None, (RefMove(REF, None, NEW),), id="the first ones"),
        pytest.param(make_task(), HEAD, (), id="it is there already"),
        pytest.param(make_task(head=None), None, (), id="no work yet"),
        pytest.param(make_task(), None, (RefMove(REF, None, HEAD),), id="deleted meanwhile"),
        pytest.param(make_task(phase=Phase.FAILED), HEAD, (), id="failed: kept to be looked at"),
        pytest.param(
            make_task(phase=Phase.CANCELLED), HEAD, (RefMove(REF, HEAD, None),), id="cancelled"
        ),
        pytest.param(
            make_task(phase=Phase.COMPLETE, head=None), HEAD, (RefMove(REF, HEAD, None),), id="done"
        ),
        pytest.param(make_task(phase=Phase.COMPLETE, head=None), None, (), id="done, and gone"),
        pytest.param(
            make_task(phase=Phase.QUEUED, head=None),
            HEAD,
            (RefMove(REF, HEAD, None),),
            id="merged, and goes on",
        ),
    ],
)
def test_a_branch_goes_where_its_task_says(
    after: Task, tip: str | None, expected: tuple[RefMove, ...]
) -> None:
    assert moves(after, tip) == expected


def test_merged_branches_stay_when_the_settings_say_so() -> None:
    assert moves(make_task(phase=Phase.COMPLETE, head=None), delete=False) == ()


@pytest.mark.parametrize("phase", [Phase.COMPLETE, Phase.CANCELLED, Phase.QUEUED])
def test_no_branch_moves_under_somebodys_feet(phase: Phase) -> None:
    assert moves(make_task(phase=phase, head=NEW), checked_out=True) == ()


def test_a_task_that_did_not_change_moves_nothing_wherever_its_branch_is() -> None:
    world = world_of(branches={BRANCH: NEW})
    assert branch_moves(BEFORE, BEFORE, world, {}, delete_merged=True) == ()


def test_the_branch_of_a_task_that_leaves_for_the_archive_goes_too() -> None:
    gone = make_task(phase=Phase.COMPLETE, head=None)
    after = replace(State(), archived={gone.id: gone})
    world = world_of(branches={BRANCH: HEAD})
    expected = (RefMove(REF, HEAD, None),)
    assert branch_moves(BEFORE, after, world, {}, delete_merged=True) == expected


def test_work_that_is_set_aside_gets_a_ref_of_its_own() -> None:
    refs = {"refs/hyperloop/aside/b": NEW, "refs/hyperloop/aside/a": HEAD}
    assert branch_moves(BEFORE, BEFORE, world_of(), refs, delete_merged=True) == (
        RefMove("refs/hyperloop/aside/a", None, HEAD),
        RefMove("refs/hyperloop/aside/b", None, NEW),
    )
