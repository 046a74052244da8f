"""What becomes of a task when its session has ended, vanished, or been overtaken by a person."""

from datetime import datetime, timedelta

import pytest
from msgspec.structs import replace

from hyperloop_action.domain.collect import ASIDE, collect
from hyperloop_action.domain.draft import Draft
from hyperloop_action.domain.facts import SessionErred
from hyperloop_action.domain.limits import Limits
from hyperloop_action.domain.model import Backoff, Meta, Phase, Review, Task, Worker
from hyperloop_action.domain.orders import (
    ErrorKind,
    Result,
    SessionError,
    Usage,
    Verdict,
    Wants,
)
from hyperloop_action.domain.process import AgentStep, LoopStep, Process
from hyperloop_action.domain.world import World
from tests.fakes.states import BASE, HEAD, NOW, REVIEWED, make_state, make_task
from tests.unit.domain.drafts import (
    IMPLEMENTER,
    USAGE,
    VERIFIER,
    done,
    draft_of,
    errs,
    fails,
    lines,
    only,
    passes,
    process_of,
    worker_of,
    world_of,
    world_with,
)

NEW, PERSONS = "c" * 40, "d" * 40
BRANCH = "hyperloop/task-001"
HERE = {BRANCH: HEAD}


def working(wants: Wants = Wants.CHANGES, **fields: object) -> Task:
    at = (0, 0) if wants is Wants.CHANGES else (0, 1)
    worker = worker_of(wants=wants)
    return make_task(**{"phase": Phase.WORKING, "at": at, "worker": worker, **fields})  # type: ignore[arg-type]


def collected(
    task: Task, world: World, process: Process = REVIEWED, limits: Limits | None = None
) -> Draft:
    draft = draft_of(make_state(task), process, limits or Limits())
    collect(draft, world)
    return draft


# --- answers --------------------------------------------------------------------------------------


def test_changes_move_the_task_on_with_their_head_and_their_bill() -> None:
    task = working(
        sessions=1, attempts=2, lost=1, error=SessionError(kind=ErrorKind.LOST, message="x")
    )
    draft = collected(task, world_with(passes(head=NEW), branches=HERE))

    assert only(draft) == replace(
        task,
        phase=Phase.QUEUED,
        position=(0, 1),
        step="agent verifier",
        worker=None,
        head=NEW,
        attempts=0,
        lost=0,
        error=None,
        usage=replace(USAGE, duration_s=61.2),
    )
    assert lines(draft) == [
        "task-001: implementer pass (task-001-1, 61 s, $0.50)",
        "task-001 goes on to agent verifier",
    ]
    assert (draft.meta.spend.day, draft.meta.spend.today_usd) == ("2026-11-21", 0.5)


def test_an_implementer_without_changes_and_without_a_verdict_passes_with_the_head_it_had() -> None:
    draft = collected(working(), world_with(done(), branches=HERE))
    assert (only(draft).position, only(draft).head) == ((0, 1), HEAD)


def test_a_verdict_is_kept_as_a_review_of_its_round() -> None:
    draft = collected(
        working(Wants.VERDICT, round=3), world_with(passes(detail="fine"), branches=HERE)
    )
    assert draft.reviews["task-001"] == (
        Review(
            task_id="task-001",
            round=3,
            role="verifier",
            verdict=Verdict.PASS,
            order="task-001-1",
            findings="fine",
        ),
    )
    assert (only(draft).phase, only(draft).position) == (Phase.WAITING, (1,))


def test_a_verifier_without_a_verdict_has_failed() -> None:
    draft = collected(working(Wants.VERDICT), world_with(done(), branches=HERE))
    assert [review.verdict for review in draft.reviews["task-001"]] == [Verdict.FAIL]
    assert (only(draft).position, only(draft).round) == ((0, 0), 1)


def test_the_log_tells_a_verifier_that_said_nothing_from_one_that_refused() -> None:
    error = SessionError(kind=ErrorKind.BAD_ANSWER, message="it left no answer")
    draft = collected(working(Wants.VERDICT), world_with(fails(error=error), branches=HERE))
    assert lines(draft)[0].endswith(": it gave no verdict: it left no answer")


def test_a_fail_starts_the_next_round_with_its_findings() -> None:
    draft = collected(working(Wants.VERDICT), world_with(fails(detail="too slow"), branches=HERE))
    task = only(draft)
    assert (task.phase, task.position, task.round, task.head) == (Phase.QUEUED, (0, 0), 1, HEAD)
    assert draft.reviews["task-001"][0].findings == "too slow"
    assert lines(draft)[-1] == "task-001 starts round 1 at agent implementer: verifier failed it"


def test_an_implementer_that_gives_up_leaves_its_words_and_its_work() -> None:
    draft = collected(working(), world_with(fails(detail="cannot", head=NEW), branches=HERE))
    task = only(draft)
    assert (task.position, task.round, task.head) == ((0, 0), 1, NEW)
    assert draft.reviews["task-001"][0].findings == "cannot"


@pytest.mark.parametrize(("round_", "phase"), [(0, Phase.QUEUED), (1, Phase.FAILED)])
def test_the_last_round_that_fails_fails_the_task(round_: int, phase: Phase) -> None:
    task = working(Wants.VERDICT, round=round_)
    draft = collected(task, world_with(fails(), branches=HERE), limits=Limits(max_task_rounds=2))
    assert (only(draft).phase, only(draft).round) == (phase, 1)
    if phase is Phase.FAILED:
        assert only(draft).reason == (
            "verifier failed it, in the last of 2 rounds (max_task_rounds)"
        )


def test_a_fail_outside_of_a_loop_fails_the_task() -> None:
    process = process_of(IMPLEMENTER, VERIFIER)
    task = replace(working(Wants.VERDICT), position=(1,), step="agent verifier")
    draft = collected(task, world_with(fails(), branches=HERE), process)
    assert only(draft).phase is Phase.FAILED
    assert only(draft).reason == "verifier failed it, and no loop encloses agent verifier"


def test_the_same_agent_twice_is_told_apart_by_place() -> None:
    process = process_of(LoopStep((IMPLEMENTER, VERIFIER, IMPLEMENTER, VERIFIER)))
    task = replace(working(Wants.VERDICT), position=(0, 1), step="agent verifier")
    assert only(collected(task, world_with(passes()), process)).position == (0, 2)
    task = replace(task, position=(0, 3))
    assert only(collected(task, world_with(passes()), process)).phase is Phase.COMPLETE


BACK = process_of(
    LoopStep((IMPLEMENTER, AgentStep("verifier", on_pass="implementer"), AgentStep("late")))
)


def test_a_pass_that_leads_back_is_a_round_so_that_it_cannot_go_on_for_ever() -> None:
    task = working(Wants.VERDICT)
    again = collected(task, world_with(passes()), BACK)
    assert (only(again).position, only(again).round) == ((0, 0), 1)
    last = collected(task, world_with(passes()), BACK, Limits(max_task_rounds=1))
    assert only(last).phase is Phase.FAILED


def test_the_answer_of_another_order_changes_nothing() -> None:
    before = make_state(working())
    draft = draft_of(before)
    collect(draft, world_with(passes("task-001-0", head=NEW), branches=HERE))
    assert (draft.done(), draft.facts) == (before, [])


def test_a_session_that_lives_changes_nothing() -> None:
    before = make_state(working())
    draft = draft_of(before)
    late = replace(only(draft).worker, deadline=NOW - timedelta(days=1))  # type: ignore[type-var]
    draft.put(replace(only(draft), worker=late))
    before = draft.done()
    collect(draft, world_of(alive=frozenset({"task-001-1"}), branches=HERE))
    assert (draft.done(), draft.facts) == (before, [])


def test_an_answer_to_a_step_that_the_process_no_longer_has_is_kept_but_moves_nothing() -> None:
    process = process_of(IMPLEMENTER, AgentStep("tester"))
    draft = collected(working(Wants.VERDICT), world_with(fails(), branches=HERE), process)
    task = only(draft)
    assert (task.phase, task.position, task.round) == (Phase.QUEUED, (0, 1), 0)
    assert len(draft.reviews["task-001"]) == 1


# --- errors ---------------------------------------------------------------------------------------

EXCUSED = (ErrorKind.INTERRUPTED, ErrorKind.LOST, ErrorKind.OVERLOADED)
COUNTED = [kind for kind in ErrorKind if kind not in EXCUSED]


def after_errors(task: Task, result: Result, limits: Limits | None = None) -> Draft:
    return collected(task, world_with(result, branches=HERE), limits=limits)


@pytest.mark.parametrize("kind", COUNTED)
def test_an_error_is_an_attempt_but_no_round_and_the_task_rests(kind: ErrorKind) -> None:
    task = working(round=2)
    draft = after_errors(task, errs(kind, head=NEW))
    assert replace(only(draft), reason="") == replace(
        task,
        phase=Phase.QUEUED,
        worker=None,
        attempts=1,
        head=NEW,  # work in progress is not lost
        error=SessionError(kind=kind, message="no luck"),
        not_before=NOW + timedelta(seconds=30),
        usage=replace(USAGE, duration_s=61.2),
    )
    assert draft.reviews == {}


@pytest.mark.parametrize("kind", COUNTED)
def test_the_third_error_in_a_row_fails_the_task_with_the_reason_in_words(kind: ErrorKind) -> None:
    task = only(after_errors(working(attempts=2), errs(kind)))
    assert (task.phase, task.attempts, task.not_before) == (Phase.FAILED, 3, None)
    assert task.reason == f"implementer ended with {kind} 3 times: no luck"


@pytest.mark.parametrize(
    ("attempts", "retry_after_s", "seconds"),
    [
        (1, None, 30),
        (2, None, 60),
        (3, None, 120),
        (7, None, 1920),
        (8, None, 3600),
        (20_000, None, 3600),
        (1, 29.0, 30),
        (1, 31.2, 32),
        (8, 7200.0, 7200),
        (1, -5.0, 30),
        (1, 1e300, 24 * 3600),
    ],
)
def test_the_pause_doubles_up_to_an_hour_and_the_provider_may_ask_for_a_day(
    attempts: int, retry_after_s: float | None, seconds: int
) -> None:
    limits = Limits(max_spawn_attempts=100_000)
    result = errs(ErrorKind.CRASHED, retry_after_s=retry_after_s)
    task = only(after_errors(working(attempts=attempts - 1), result, limits))
    assert task.not_before == NOW + timedelta(seconds=seconds)


def test_nobody_is_tried_again_even_a_fraction_of_a_second_too_early() -> None:
    draft = draft_of(make_state(working()))
    draft.now = NOW + timedelta(microseconds=900_000)
    collect(draft, world_with(errs(ErrorKind.CRASHED), branches=HERE))
    assert only(draft).not_before == NOW + timedelta(seconds=31)


def test_an_interrupted_session_counts_for_nothing_but_its_bill_and_its_work() -> None:
    task = working(attempts=2, lost=9)
    draft = after_errors(task, errs(ErrorKind.INTERRUPTED, head=NEW))
    assert replace(only(draft), reason="") == replace(
        task,
        phase=Phase.QUEUED,
        worker=None,
        head=NEW,
        error=SessionError(kind=ErrorKind.INTERRUPTED, message="no luck"),
        usage=replace(USAGE, duration_s=61.2),
    )


GONE = World(base=BASE, branches=HERE, ended=frozenset({"task-001-1"}))


def test_a_vanished_worker_is_counted_apart_and_tried_again_at_once() -> None:
    task = only(collected(working(attempts=2, lost=1), GONE))
    assert (task.phase, task.attempts, task.lost) == (Phase.QUEUED, 2, 2)
    assert (task.not_before, task.usage) == (None, Usage())
    assert task.error == SessionError(
        kind=ErrorKind.LOST, message="the worker ended without leaving a result"
    )


def test_workers_that_vanish_ten_times_in_a_row_fail_the_task() -> None:
    assert only(collected(working(lost=8), GONE)).phase is Phase.QUEUED
    task = only(collected(working(lost=9), GONE))
    assert (task.phase, task.reason) == (
        Phase.FAILED,
        "implementer ended with lost 10 times: the worker ended without leaving a result",
    )


@pytest.mark.parametrize(
    ("deadline", "lost"),
    [(NOW + timedelta(seconds=1), False), (NOW, True), (NOW - timedelta(days=3), True)],
)
def test_of_an_unknown_worker_only_the_deadline_decides(deadline: datetime, lost: bool) -> None:
    task = working(worker=worker_of(deadline=deadline))
    draft = collected(task, world_of(branches=HERE))
    said = "task-001: implementer ended with lost (task-001-1): its deadline passed,"
    assert lines(draft) == ([f"{said} and it left no result"] if lost else [])
    assert only(draft).phase is (Phase.QUEUED if lost else Phase.WORKING)


def test_a_result_counts_even_from_a_worker_past_its_deadline() -> None:
    task = working(worker=worker_of(deadline=NOW - timedelta(days=3)))
    draft = collected(task, world_with(passes(head=NEW), ended=frozenset({"task-001-1"})))
    assert only(draft).position == (0, 1)


@pytest.mark.parametrize("kind", list(ErrorKind))
def test_what_every_task_would_meet_holds_up_the_whole_runtime(kind: ErrorKind) -> None:
    draft = after_errors(working(), errs(kind))
    wide = kind in (ErrorKind.OVERLOADED, ErrorKind.AUTH, ErrorKind.NO_CLI)
    until = NOW + timedelta(seconds=30)
    expected = {"claude": Backoff(until=until, reason=f"{kind}: no luck")} if wide else {}
    assert draft.meta.backoff == expected


def test_of_two_pauses_of_a_runtime_the_longer_one_stands() -> None:
    tasks = [working(), working(worker=worker_of("task-002-1"))]
    tasks[1] = replace(tasks[1], id="task-002", branch="hyperloop/task-002")
    draft = draft_of(make_state(*tasks))
    long = errs(ErrorKind.OVERLOADED, "task-001-1", retry_after_s=600.0)
    collect(draft, world_with(long, errs(ErrorKind.OVERLOADED, "task-002-1")))
    assert draft.meta.backoff["claude"].until == NOW + timedelta(seconds=600)


def outage(draft: Draft, after_s: float) -> Draft:
    """The same session once more, and the provider is down, so many seconds after a draft."""
    state = make_state(working(), meta=draft.meta)
    later = draft_of(state)
    later.now = NOW + timedelta(seconds=after_s)
    collect(later, world_with(errs(ErrorKind.OVERLOADED), branches=HERE))
    return later


def test_a_provider_that_is_down_is_no_attempt_and_each_pause_is_longer() -> None:
    first = after_errors(working(attempts=2), errs(ErrorKind.OVERLOADED, head=NEW))
    assert (only(first).phase, only(first).attempts) == (Phase.QUEUED, 2)
    assert (only(first).head, only(first).not_before) == (NEW, None)
    second = outage(first, after_s=30)
    assert second.meta.backoff["claude"].until == NOW + timedelta(seconds=30 + 60)
    assert second.meta.backoff["claude"].times == 2


def test_sessions_that_meet_the_same_outage_are_one_pause() -> None:
    first = after_errors(working(), errs(ErrorKind.OVERLOADED))
    same = outage(first, after_s=1)
    assert same.meta.backoff["claude"].times == 1


def test_a_session_that_goes_well_ends_the_pauses_of_its_runtime() -> None:
    meta = Meta(backoff={"claude": Backoff(until=NOW, reason="x", times=5)})
    draft = draft_of(make_state(working(), meta=meta))
    collect(draft, world_with(passes(head=NEW), branches=HERE))
    assert draft.meta.backoff == {}


# --- people ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("task", "phase", "position"),
    [
        pytest.param(make_task(), Phase.QUEUED, (0, 0), id="queued"),
        pytest.param(make_task(at=(0, 1)), Phase.QUEUED, (0, 1), id="queued for the verifier"),
        pytest.param(make_task(phase=Phase.WAITING, at=(1,)), Phase.QUEUED, (0, 1), id="waiting"),
        pytest.param(make_task(phase=Phase.ACTING, at=(2,)), Phase.QUEUED, (0, 1), id="acting"),
        pytest.param(make_task(head=None, base=None), Phase.QUEUED, (0, 0), id="not started"),
    ],
)
def test_a_persons_commit_on_a_task_branch_wins_and_is_verified(
    task: Task, phase: Phase, position: tuple[int, ...]
) -> None:
    draft = collected(task, world_of(branches={BRANCH: PERSONS}))
    moved = only(draft)
    assert (moved.head, moved.base) == (PERSONS, BASE)
    assert (moved.phase, moved.position, moved.round) == (phase, position, 0)
    assert lines(draft) == [
        "task-001: somebody moved the branch to dddddddddddd; it goes on from there"
    ]


@pytest.mark.parametrize("branches", [HERE, {}], ids=["where it was", "deleted"])
def test_a_branch_that_nobody_moved_changes_nothing(branches: dict[str, str]) -> None:
    before = make_state(make_task(phase=Phase.WAITING, at=(1,)))
    draft = draft_of(before)
    collect(draft, world_of(branches=branches))
    assert draft.done() == before


def test_a_finished_task_does_not_follow_its_branch() -> None:
    before = make_state(make_task(phase=Phase.FAILED))
    draft = draft_of(before)
    collect(draft, world_of(branches={BRANCH: PERSONS}))
    assert draft.done() == before


def test_commits_that_a_person_overtook_are_set_aside_not_lost() -> None:
    task = working()
    draft = collected(task, world_with(passes(head=NEW), branches={BRANCH: PERSONS}))
    assert only(draft) == replace(
        task,
        phase=Phase.QUEUED,
        worker=None,
        head=PERSONS,
        usage=replace(USAGE, duration_s=61.2),
    )
    assert draft.refs == {f"{ASIDE}task-001-1": NEW}
    (review,) = draft.reviews["task-001"]
    assert (review.role, review.verdict) == ("supervisor", Verdict.FAIL)
    assert f"{ASIDE}task-001-1" in review.findings


def test_a_verdict_on_what_a_person_overtook_does_not_count() -> None:
    draft = collected(working(Wants.VERDICT), world_with(passes(), branches={BRANCH: PERSONS}))
    task = only(draft)
    assert (task.phase, task.position, task.head) == (Phase.QUEUED, (0, 1), PERSONS)
    assert (draft.refs, draft.reviews) == ({}, {})
    assert draft.meta.spend.today_usd == 0.5


@pytest.mark.parametrize("result", [passes(), fails(), errs(ErrorKind.TIMEOUT)])
def test_a_session_that_was_overtaken_is_in_the_log_with_its_bill(result: Result) -> None:
    draft = collected(working(), world_with(result, branches={BRANCH: PERSONS}))
    fact = draft.facts[0]
    assert getattr(fact, "cost_usd", None) == 0.5
    assert isinstance(fact, SessionErred) is (result.outcome == "error")


def test_a_branch_under_somebodys_feet_is_not_moved_until_they_leave() -> None:
    task = working()
    draft = collected(
        task, world_with(passes(head=NEW), branches=HERE, checked_out={BRANCH: "/home/ada/app"})
    )
    why = f"waits until {BRANCH} is no longer checked out in /home/ada/app"
    assert only(draft) == replace(task, reason=why)
    assert draft.meta.spend.total_usd == 0.0  # counted once, when it is folded in


def test_a_verdict_moves_no_branch_so_it_counts_at_once() -> None:
    draft = collected(
        working(Wants.VERDICT),
        world_with(passes(), branches=HERE, checked_out={BRANCH: "/home/ada/app"}),
    )
    assert only(draft).phase is Phase.WAITING


# --- the bill -------------------------------------------------------------------------------------


def test_a_new_day_starts_from_zero_and_the_total_never_falls() -> None:
    draft = draft_of()
    draft.spend(Usage(cost_usd=1.5))
    draft.now = NOW + timedelta(days=1)
    draft.spend(Usage(cost_usd=0.25))
    draft.spend(Usage(turns=5))
    spend = draft.meta.spend
    assert (spend.day, spend.today_usd, spend.total_usd) == ("2026-11-22", 0.25, 1.75)


def test_workers_are_read_from_the_state_alone() -> None:
    worker: Worker = worker_of()
    assert make_state(working(), make_task(2)).workers() == [worker]
