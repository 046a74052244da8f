"""What people may ask of tasks and specs, and what they are told when it cannot be granted."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from hyperloop_action.domain.commits import RefMove
from hyperloop_action.domain.facts import RetryOrdered, SpecFailed, TaskApproved, TaskCancelled
from hyperloop_action.domain.model import (
    Approval,
    Backoff,
    Meta,
    Phase,
    Planner,
    SpecStatus,
    State,
    Task,
    Worker,
)
from hyperloop_action.domain.orders import ErrorKind, SessionError, Wants
from hyperloop_action.domain.wishes import (
    approve,
    branch_moves_of,
    cancel,
    find_spec,
    find_task,
    retry_spec,
    retry_task,
)
from hyperloop_action.domain.world import World
from hyperloop_action.errors import UsageError
from tests.fakes.states import BASE, HEAD, NOW, REVIEWED, SPEC, make_spec, make_state, make_task

ERROR = SessionError(kind=ErrorKind.TIMEOUT, message="60 minutes were not enough")
WORKER = Worker(
    order="task-001-1",
    role="implementer",
    wants=Wants.CHANGES,
    runtime="claude",
    run="local",
    started=NOW,
    deadline=NOW + timedelta(hours=1),
)


def only(state: State) -> Task:
    (task,) = state.tasks.values()
    return task


class TestApprove:
    def test_binds_the_word_to_gate_head_person_and_time(self) -> None:
        task = make_task(phase=Phase.WAITING, at=(1,))

        granted = approve(make_state(task), task, "Ada", NOW)

        assert only(granted.state) == replace(
            task,
            approval=Approval(gate="human-pr-approval", head=HEAD, by="Ada", at=NOW),
            reason="approved by Ada: goes on with the next cycle",
        )
        assert granted.facts == (TaskApproved("task-001", "human-pr-approval", "Ada"),)

    def test_said_twice_changes_nothing(self) -> None:
        task = make_task(phase=Phase.WAITING, at=(1,))
        once = approve(make_state(task), task, "Ada", NOW).state

        assert approve(once, only(once), "Bob", NOW).facts == ()

    def test_of_another_head_does_not_count(self) -> None:
        old = Approval(gate="human-pr-approval", head=BASE, by="Ada", at=NOW)
        task = make_task(phase=Phase.WAITING, at=(1,), approval=old)

        assert approve(make_state(task), task, "Ada", NOW).facts != ()

    def test_elsewhere_says_where_the_task_stands(self) -> None:
        task = make_task(phase=Phase.WORKING, at=(0, 1), reason="verifier works on it")

        with pytest.raises(UsageError) as error:
            approve(make_state(task), task, "Ada", NOW)

        assert str(error.value) == (
            "task-001 waits at no gate: it is at agent verifier: verifier works on it\n"
            "  look at it: hyperloop describe task task-001"
        )


class TestCancel:
    def test_ends_a_task_at_work_and_leaves_its_spec_to_a_person(self) -> None:
        task = make_task(phase=Phase.WORKING, worker=WORKER)

        granted = cancel(make_state(task), task, "Ada", "the wrong idea")

        reason = "cancelled by Ada: the wrong idea"
        assert only(granted.state) == replace(
            task, phase=Phase.CANCELLED, worker=None, reason=reason
        )
        assert granted.state.specs[SPEC] == make_spec(
            SpecStatus.FAILED, reason=f"task-001 was {reason}"
        )
        assert granted.facts == (
            TaskCancelled("task-001", "the wrong idea (Ada)"),
            SpecFailed(SPEC, f"task-001 was {reason}"),
        )

    @pytest.mark.parametrize(
        "entry",
        [
            make_spec(plan=2),
            make_spec(SpecStatus.PENDING, blob="blob-2"),
            make_spec(SpecStatus.PLANNING),
        ],
        ids=["newer plan", "newer text", "planned at this moment"],
    )
    def test_of_a_task_that_the_spec_has_left_behind_leaves_the_spec(self, entry: object) -> None:
        task = make_task()

        granted = cancel(make_state(task, specs={SPEC: entry}), task, "Ada")

        assert granted.state.specs == {SPEC: entry}
        assert granted.facts == (TaskCancelled("task-001", "Ada said so"),)

    @pytest.mark.parametrize(
        ("phase", "said"),
        [
            (Phase.COMPLETE, "it is complete, its work is merged"),
            (Phase.CANCELLED, "it is cancelled"),
        ],
    )
    def test_of_an_ended_task_is_refused(self, phase: Phase, said: str) -> None:
        task = make_task(phase=phase)

        with pytest.raises(UsageError, match=f"task-001 cannot be cancelled: {said}"):
            cancel(make_state(task), task, "Ada")


class TestRetryTask:
    def test_an_error_is_tried_again_where_it_happened(self) -> None:
        task = make_task(
            phase=Phase.FAILED, at=(0, 1), error=ERROR, attempts=3, lost=2, conflicts=1, round=4
        )

        granted = retry_task(make_state(task), task, "Ada", REVIEWED)

        assert only(granted.state) == replace(
            task, phase=Phase.QUEUED, error=None, attempts=0, lost=0, conflicts=0
        )
        assert granted.facts == (RetryOrdered("task-001", "Ada"),)

    @pytest.mark.parametrize("at", [(0, 1), (1,), (2,)], ids=["verdict", "gate", "merge"])
    def test_a_verdict_sends_the_work_back_as_a_new_round(self, at: tuple[int, ...]) -> None:
        task = make_task(phase=Phase.FAILED, at=at, round=4)

        granted = retry_task(make_state(task), task, "Ada", REVIEWED)

        assert only(granted.state) == replace(
            task, phase=Phase.QUEUED, position=(0, 0), step="agent implementer", round=5
        )

    def test_a_cancelled_task_goes_on_where_it_was(self) -> None:
        task = make_task(phase=Phase.CANCELLED, at=(0, 1), reason="cancelled by Ada")

        granted = retry_task(make_state(task), task, "Ada", REVIEWED)

        assert only(granted.state) == replace(task, phase=Phase.QUEUED, reason="")

    def test_a_step_that_the_process_no_longer_has_is_begun_anew(self) -> None:
        task = replace(make_task(phase=Phase.FAILED, at=(0, 1)), step="agent auditor")

        granted = retry_task(make_state(task), task, "Ada", REVIEWED)

        assert only(granted.state).step == "agent implementer"

    def test_takes_the_spec_out_of_its_failure(self) -> None:
        task = make_task(phase=Phase.FAILED, error=ERROR)
        failed = make_spec(SpecStatus.FAILED, reason="3 plans did not close the gap")

        granted = retry_task(make_state(task, spec=failed), task, "Ada", REVIEWED)

        assert granted.state.specs == {SPEC: make_spec(SpecStatus.RECONCILING)}

    def test_ends_the_back_off_of_the_task_and_of_its_runtime(self) -> None:
        later = NOW + timedelta(minutes=5)
        task = make_task(not_before=later, attempts=2, reason="backs off until 14:05")
        meta = Meta(next_task=2, backoff={"claude": Backoff(until=later, reason="auth")})

        granted = retry_task(make_state(task, meta=meta), task, "Ada", REVIEWED)

        assert granted.state == make_state(make_task(), meta=Meta(next_task=2))

    @pytest.mark.parametrize(
        ("task", "entry", "said"),
        [
            (make_task(phase=Phase.COMPLETE), make_spec(), "it is complete, its work is merged"),
            (
                make_task(phase=Phase.WAITING, at=(1,), reason="waits at gate x"),
                make_spec(),
                "it is at gate human-pr-approval: waits at gate x",
            ),
            (
                make_task(phase=Phase.FAILED),
                make_spec(SpecStatus.PLANNING),
                "specs/auth.md is being planned again at this moment",
            ),
            (
                make_task(phase=Phase.FAILED),
                make_spec(plan=2),
                "a newer plan of specs/auth.md took its place",
            ),
            (
                make_task(phase=Phase.CANCELLED),
                make_spec(SpecStatus.REMOVED),
                "specs/auth.md was removed",
            ),
        ],
        ids=["complete", "at a gate", "planned again", "replaced", "spec removed"],
    )
    def test_elsewhere_is_refused_with_the_reason(
        self, task: Task, entry: object, said: str
    ) -> None:
        with pytest.raises(UsageError, match=f"task-001 cannot be retried: {said}"):
            retry_task(make_state(task, specs={SPEC: entry}), task, "Ada", REVIEWED)


class TestRetrySpec:
    def test_gives_a_failed_spec_all_its_attempts_again(self) -> None:
        task = make_task(phase=Phase.FAILED)
        entry = make_spec(SpecStatus.FAILED, attempts=3, reason="3 plans did not close the gap")

        granted = retry_spec(make_state(task, spec=entry), SPEC, "Ada")

        pending = make_spec(SpecStatus.PENDING, attempts=0)
        assert granted.state == make_state(task, spec=pending)
        assert granted.facts == (RetryOrdered(SPEC, "Ada"),)

    def test_ends_the_rest_of_the_pm(self) -> None:
        planner = Planner(sessions=2, attempts=1, not_before=NOW, error=ERROR)
        pending = make_spec(SpecStatus.PENDING)

        granted = retry_spec(make_state(spec=pending, meta=Meta(planner=planner)), SPEC, "Ada")

        assert granted.state.meta == Meta(planner=Planner(sessions=2, error=ERROR))

    @pytest.mark.parametrize(
        ("status", "hint"),
        [
            (SpecStatus.SYNCED, "there is no gap; to change what is built, edit the spec"),
            (SpecStatus.REMOVED, "the file is gone; commit it again"),
            (SpecStatus.PENDING, "hyperloop describe spec specs/auth.md"),
            (SpecStatus.RECONCILING, "hyperloop describe spec specs/auth.md"),
        ],
    )
    def test_elsewhere_is_refused_with_what_helps(self, status: SpecStatus, hint: str) -> None:
        with pytest.raises(UsageError) as error:
            retry_spec(make_state(spec=make_spec(status)), SPEC, "Ada")

        assert error.value.what == f"specs/auth.md cannot be retried: it is {status}"
        assert hint in error.value.hint


class TestBranches:
    REF = "refs/heads/hyperloop/task-001"

    def moves(self, was: Task, now: Task, world: World) -> tuple[RefMove, ...]:
        return branch_moves_of(make_state(was), make_state(now), world)

    def test_of_a_cancelled_task_goes(self) -> None:
        world = World(BASE, branches={"hyperloop/task-001": HEAD})

        assert self.moves(make_task(), make_task(phase=Phase.CANCELLED), world) == (
            RefMove(self.REF, HEAD, None),
        )

    @pytest.mark.parametrize(
        "world",
        [
            World(BASE, branches={"hyperloop/task-001": "c" * 40}),
            World(
                BASE,
                branches={"hyperloop/task-001": HEAD},
                checked_out={"hyperloop/task-001": "/somewhere"},
            ),
            World(BASE),
        ],
        ids=["moved by a person", "checked out", "gone already"],
    )
    def test_of_a_cancelled_task_stays_where_it_is_somebody_elses(self, world: World) -> None:
        assert self.moves(make_task(), make_task(phase=Phase.CANCELLED), world) == ()

    def test_of_a_reopened_task_is_there_again(self) -> None:
        assert self.moves(make_task(phase=Phase.CANCELLED), make_task(), World(BASE)) == (
            RefMove(self.REF, None, HEAD),
        )

    def test_of_an_approved_task_is_left_alone(self) -> None:
        world = World(BASE, branches={"hyperloop/task-001": "c" * 40})
        task = make_task(phase=Phase.WAITING, at=(1,))

        assert self.moves(task, replace(task, reason="approved by Ada"), world) == ()


class TestNames:
    @pytest.mark.parametrize("name", ["task-007", "task-7", "7", "007"])
    def test_a_task_may_be_named_by_its_number(self, name: str) -> None:
        assert find_task(make_state(make_task(9)), name) == "task-007"

    @pytest.mark.parametrize(
        ("name", "hint"),
        [("task-010", "did you mean task-009?"), ("auth", "see them all: hyperloop get tasks")],
    )
    def test_an_unknown_task_is_answered_with_the_nearest(self, name: str, hint: str) -> None:
        with pytest.raises(UsageError) as error:
            find_task(make_state(make_task(9)), name)

        assert (error.value.what, error.value.hint) == (f"there is no task {name}", hint)

    @pytest.mark.parametrize("name", ["specs/auth.md", "auth.md", "auth", "specs/auth"])
    def test_a_spec_may_be_named_by_its_end(self, name: str) -> None:
        assert find_spec(make_state(), name) == SPEC

    def test_an_end_that_two_specs_share_is_not_guessed(self) -> None:
        state = make_state(specs={"specs/a/x.md": make_spec(), "specs/b/x.md": make_spec()})

        with pytest.raises(UsageError, match=r"x may be specs/a/x.md or specs/b/x.md"):
            find_spec(state, "x")

    def test_an_unknown_spec_is_answered_with_the_nearest(self) -> None:
        with pytest.raises(UsageError) as error:
            find_spec(make_state(), "specs/auht.md")

        assert error.value.hint == "did you mean specs/auth.md?"
