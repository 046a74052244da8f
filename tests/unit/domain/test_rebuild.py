"""A lost state comes back from what branches and trailers tell; nothing is begun anew over them."""

from datetime import UTC, datetime

import pytest

from hyperloop_action.domain.commits import LoggedCommit
from hyperloop_action.domain.model import Meta, Phase, SpecEntry, SpecStatus, State, Task
from hyperloop_action.domain.rebuild import (
    BranchFound,
    Evidence,
    rebuilt,
    refuse_lost_state,
    summary,
)
from hyperloop_action.domain.world import World
from hyperloop_action.errors import UsageError
from tests.fakes.states import BASE, HEAD, REVIEWED

REF = f"specs/auth.md@{BASE}"


def commit(subject: str, **trailers: str) -> LoggedCommit:
    values = {key.replace("_", "-"): (value,) for key, value in trailers.items()}
    return LoggedCommit("c" * 40, datetime(2026, 1, 1, tzinfo=UTC), subject, "", values)


def branch(name: str, *commits: LoggedCommit, blob: str | None = "blob-1") -> BranchFound:
    return BranchFound(f"hyperloop/{name}", HEAD, BASE, commits, blob)


WORK = (commit("Mend it", Spec_Ref=REF), commit("Log in", Spec_Ref=REF, Task_Ref="task-007"))


def test_an_open_branch_becomes_its_task_again_and_goes_to_the_verifier() -> None:
    state = rebuilt(Evidence((), (branch("task-007", *WORK),)), REVIEWED)
    assert state == State(
        meta=Meta(next_task=8),
        specs={
            "specs/auth.md": SpecEntry(
                blob="blob-1", commit=BASE, status=SpecStatus.RECONCILING, attempts=1, plan=1
            )
        },
        tasks={
            "task-007": Task(
                id="task-007",
                title="Log in",
                spec_ref=REF,
                phase=Phase.QUEUED,
                branch="hyperloop/task-007",
                step="agent verifier",
                position=(0, 1),
                process=REVIEWED.name,
                spec_blob="blob-1",
                base=BASE,
                head=HEAD,
                sessions=1,
                description="(restored from its branch: the description was lost with the state)",
            )
        },
    )


def test_no_number_is_given_twice_that_trunk_or_a_branch_knows() -> None:
    landed = (commit("x", Task_Ref="task-012"), commit("y", Task_Ref="task-003"))
    assert rebuilt(Evidence(landed, ()), REVIEWED) == State(meta=Meta(next_task=13))
    nameless = Evidence(landed, (branch("task-020", commit("no trailers")),))
    assert rebuilt(nameless, REVIEWED) == State(meta=Meta(next_task=21))


@pytest.mark.parametrize(
    "found",
    [
        pytest.param(branch("task-001", commit("no trailers")), id="no trailers"),
        pytest.param(branch("task-001", *WORK, blob=None), id="its spec is not to be found"),
        pytest.param(branch("notes", *WORK), id="no task's name"),
    ],
)
def test_a_branch_that_does_not_say_what_it_is_for_becomes_no_task(found: BranchFound) -> None:
    assert rebuilt(Evidence((), (found,)), REVIEWED).tasks == {}


def test_what_was_restored_is_told_in_numbers() -> None:
    state = rebuilt(Evidence((), (branch("task-007", *WORK),)), REVIEWED)
    assert summary(state, {"specs/auth.md": 1, "specs/pay.md": 1}) == (
        "open tasks restored from their branches: 1, specs looked at as new: 1,"
        " number of the next task: 8"
    )


def world(*branches: str) -> World:
    return World(base=BASE, branches=dict.fromkeys(branches, HEAD))


def test_task_branches_without_a_state_are_a_lost_state_and_never_begun_anew() -> None:
    names = [f"hyperloop/task-{number:03d}" for number in range(1, 6)]
    with pytest.raises(UsageError) as refused:
        refuse_lost_state(None, world(*names))
    assert str(refused.value) == (
        "there are branches of tasks (hyperloop/task-001, hyperloop/task-002,"
        " hyperloop/task-003, ...), and no state that knows of them\n"
        "  `hyperloop rebuild` restores it; or delete those branches to start anew"
    )


@pytest.mark.parametrize(
    ("tip", "seen"),
    [
        pytest.param(HEAD, world("hyperloop/task-001"), id="a state"),
        pytest.param(None, world(), id="a first run"),
        pytest.param(None, world("hyperloop/notes"), id="somebody's own branch"),
    ],
)
def test_otherwise_a_cycle_may_begin(tip: str | None, seen: World) -> None:
    refuse_lost_state(tip, seen)
