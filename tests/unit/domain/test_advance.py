"""What moves by itself: gates, actions, what came of a merge, and a process that changed."""

import dataclasses
from typing import Literal

import pytest
from msgspec.structs import replace

from hyperloop_action.domain.advance import absorb, advance, realign
from hyperloop_action.domain.draft import Draft
from hyperloop_action.domain.effects import Merge, MergeOutcome
from hyperloop_action.domain.landing import (
    Blocked,
    Conflict,
    Landing,
    Merged,
    NothingToMerge,
    Raced,
    Strategy,
)
from hyperloop_action.domain.limits import Limits
from hyperloop_action.domain.model import Approval, Phase, Review, Task
from hyperloop_action.domain.orders import Verdict
from hyperloop_action.domain.process import ActionStep, AgentStep, GateStep, Process
from tests.fakes.states import BASE, HEAD, NOW, REVIEWED, SPEC, make_state, make_task
from tests.unit.domain.drafts import (
    IMPLEMENTER,
    LOOP,
    PLAIN,
    draft_of,
    lines,
    only,
    process_of,
    worker_of,
    world_of,
)

LANDED, LATER = "1" * 40, "2" * 40
WAITING = make_task(phase=Phase.WAITING, at=(1,))
ACTING = make_task(phase=Phase.ACTING, at=(2,), description="Because.")
WORD = Approval(gate="human-pr-approval", head=HEAD, by="Ada", at=NOW)
MERGE = Merge(
    task="task-001",
    branch="hyperloop/task-001",
    head=HEAD,
    since=BASE,
    title="Log in with a password",
    body="Because.",
    spec_ref=f"{SPEC}@{BASE}",
    strategy=Strategy.SQUASH,
)


def advanced(
    *tasks: Task,
    process: Process = REVIEWED,
    limits: Limits | None = None,
    merged: frozenset[str] = frozenset(),
    tried: frozenset[str] = frozenset(),
) -> Draft:
    draft = draft_of(make_state(*tasks), process, limits or Limits())
    advance(draft, world_of(merged=merged), tried)
    return draft


# --- gates and actions ----------------------------------------------------------------------------


def test_a_gate_without_a_word_gives_its_reason_once() -> None:
    draft = advanced(WAITING)
    assert only(draft).phase is Phase.WAITING
    assert only(draft).reason.startswith("waits at gate human-pr-approval (label)")
    assert len(draft.facts) == 1
    assert advanced(only(draft)).facts == []


def test_a_gate_says_that_the_spec_of_what_waits_there_has_changed() -> None:
    outdated = advanced(replace(WAITING, spec_blob="blob-0"))
    assert only(outdated).reason.endswith("; its spec has changed since")
    assert not only(advanced(WAITING)).reason.endswith("changed since")


def test_a_cleared_gate_uses_its_word_up_and_the_action_after_it_is_due_at_once() -> None:
    draft = advanced(replace(WAITING, approval=WORD, description="Because."))
    assert (only(draft).phase, only(draft).approval) == (Phase.ACTING, None)
    assert draft.effects == [MERGE]
    assert lines(draft) == [
        "task-001 passed gate human-pr-approval, by Ada",
        "task-001 goes on to action merge-pr",
    ]


def test_one_word_clears_one_gate() -> None:
    process = process_of(LOOP, GateStep("lgtm"), GateStep("lgtm"), ActionStep("merge"))
    task = replace(WAITING, step="gate lgtm", approval=replace(WORD, gate="lgtm"))
    draft = advanced(task, process=process)
    assert (only(draft).position, only(draft).phase) == ((2,), Phase.WAITING)


def test_a_merge_by_hand_clears_the_gate_and_is_adopted() -> None:
    draft = advanced(WAITING, merged=frozenset({WAITING.branch}))
    assert (only(draft).phase, len(draft.effects)) == (Phase.ACTING, 1)


def test_one_merge_at_a_time_and_the_oldest_first() -> None:
    draft = advanced(make_task(10, Phase.ACTING, (2,)), make_task(9, Phase.ACTING, (2,)))
    assert [effect.task for effect in draft.effects] == ["task-009"]


def test_what_was_tried_in_this_cycle_leaves_the_turn_to_the_next_task() -> None:
    draft = advanced(
        make_task(1, Phase.ACTING, (2,)),
        make_task(2, Phase.ACTING, (2,)),
        tried=frozenset({"task-001"}),
    )
    assert [effect.task for effect in draft.effects] == ["task-002"]


def test_with_auto_merge_off_a_person_merges() -> None:
    off = Limits(auto_merge=False)
    draft = advanced(ACTING, limits=off)
    assert draft.effects == []
    assert only(draft).reason == "auto_merge is off: merge hyperloop/task-001 yourself"
    assert advanced(ACTING, limits=off, merged=frozenset({ACTING.branch})).effects == [MERGE]


@pytest.mark.parametrize("name", ["squash", "merge", "rebase"])
def test_the_strategy_of_the_settings_is_that_of_the_merge(
    name: Literal["squash", "merge", "rebase"],
) -> None:
    limits, strategy = Limits(merge_strategy=name), Strategy(name)
    assert advanced(ACTING, limits=limits).effects == [
        dataclasses.replace(MERGE, strategy=strategy)
    ]


def test_a_task_without_a_change_has_nothing_to_merge() -> None:
    draft = advanced(replace(ACTING, head=None))
    assert (only(draft).phase, draft.effects) == (Phase.COMPLETE, [])
    assert lines(draft)[0] == "task-001: action merge-pr: there is no change to merge"


def test_without_pull_requests_there_is_none_to_mark_ready() -> None:
    process = process_of(LOOP, ActionStep("ready"), ActionStep("merge"))
    task = replace(ACTING, position=(1,), step="action ready")
    draft = advanced(task, process=process)
    assert (only(draft).position, len(draft.effects)) == ((2,), 1)


@pytest.mark.parametrize("phase", [Phase.QUEUED, Phase.WORKING, Phase.COMPLETE, Phase.FAILED])
def test_other_tasks_do_not_move_by_themselves(phase: Phase) -> None:
    state = make_state(make_task(phase=phase))
    draft = draft_of(state)
    advance(draft, world_of(), frozenset())
    assert (draft.done(), draft.effects, draft.facts) == (state, [], [])


# --- what came of a merge -------------------------------------------------------------------------


def absorbed(task: Task, landing: Landing, limits: Limits | None = None) -> Draft:
    draft = draft_of(make_state(task), REVIEWED, limits or Limits())
    absorb(draft, MergeOutcome(MERGE, landing, LATER))
    return draft


def test_a_merged_task_is_complete_and_has_no_branch_any_more() -> None:
    draft = absorbed(ACTING, Merged(LANDED, "tree"))
    assert only(draft) == replace(ACTING, phase=Phase.COMPLETE, base=LANDED, head=None)
    assert lines(draft) == ["task-001 merged as 111111111111", "task-001 is complete"]


def test_a_checkout_that_could_not_follow_is_said() -> None:
    draft = absorbed(ACTING, Merged(LANDED, "tree", "main here has commits of its own"))
    assert "main here has commits of its own" in lines(draft)


def test_a_head_that_the_base_has_already_is_done() -> None:
    draft = absorbed(ACTING, NothingToMerge())
    assert only(draft) == replace(ACTING, phase=Phase.COMPLETE, base=LATER, head=None)


def test_work_after_a_merge_starts_a_new_branch_from_what_landed() -> None:
    process = process_of(LOOP, ActionStep("merge"), AgentStep("implementer"))
    draft = draft_of(make_state(replace(ACTING, position=(1,), step="action merge")), process)
    absorb(draft, MergeOutcome(MERGE, Merged(LANDED, "tree"), LATER))
    task = only(draft)
    assert (task.phase, task.position, task.head, task.base) == (Phase.QUEUED, (2,), None, LANDED)


def test_a_conflict_goes_back_into_the_loop_with_its_files_and_the_new_base() -> None:
    draft = absorbed(ACTING, Conflict(("src/a.py", "src/b.py")))
    assert only(draft) == replace(
        ACTING,
        phase=Phase.QUEUED,
        position=(0, 0),
        step="agent implementer",
        round=1,
        conflicts=1,
        base=LATER,
    )
    assert draft.reviews["task-001"] == (
        Review(
            task_id="task-001",
            round=0,
            role="merge",
            verdict=Verdict.FAIL,
            findings=(
                "Merging into the base branch conflicts in: src/a.py, src/b.py.\n"
                "The base branch is merged into your work tree: resolve what is marked there,"
                " keeping the intent of both sides."
            ),
        ),
    )
    assert lines(draft) == [
        "task-001 conflicts with the base branch in src/a.py, src/b.py",
        "task-001 starts round 1 at agent implementer: conflicts in src/a.py, src/b.py",
    ]


@pytest.mark.parametrize(("conflicts", "phase"), [(2, Phase.QUEUED), (3, Phase.FAILED)])
def test_conflicts_are_bounded(conflicts: int, phase: Phase) -> None:
    draft = absorbed(replace(ACTING, conflicts=conflicts), Conflict(("a",)))
    assert only(draft).phase is phase
    if phase is Phase.FAILED:
        assert only(draft).reason == "it conflicted more than 3 times (max_rebase_attempts): a"


def test_a_conflict_in_the_last_round_fails_the_task() -> None:
    draft = absorbed(ACTING, Conflict(("a",)), Limits(max_task_rounds=1))
    assert only(draft).phase is Phase.FAILED
    assert "max_task_rounds" in only(draft).reason


def test_a_conflict_of_a_process_without_agents_before_it_fails_the_task() -> None:
    process = process_of(ActionStep("merge"), IMPLEMENTER)
    draft = draft_of(make_state(replace(ACTING, position=(0,), step="action merge")), process)
    absorb(draft, MergeOutcome(MERGE, Conflict(("a",)), LATER))
    assert only(draft).reason == "conflicts in a, and no loop encloses action merge"


@pytest.mark.parametrize(
    ("landing", "reason"),
    [
        (
            Blocked("local changes in /app", ("x", "y")),
            "cannot merge yet: local changes in /app (x, y)",
        ),
        (Blocked("the network is down"), "cannot merge yet: the network is down"),
        (Raced(LATER), "the base branch moved while it was merged: tried again next cycle"),
    ],
    ids=["files in the way", "trouble outside", "raced"],
)
def test_trouble_outside_is_no_verdict_the_task_waits(landing: Landing, reason: str) -> None:
    draft = absorbed(ACTING, landing)
    assert only(draft) == replace(ACTING, reason=reason)
    absorb(draft, MergeOutcome(MERGE, landing, LATER))
    assert len(draft.facts) == 1  # said once


# --- a process that changed -----------------------------------------------------------------------


def realigned(task: Task, process: Process) -> Draft:
    draft = draft_of(make_state(task), process)
    realign(draft)
    return draft


def test_a_task_keeps_its_place_where_the_step_is_the_same() -> None:
    longer = process_of(LOOP, GateStep("human-pr-approval"), GateStep("lgtm"), ActionStep("merge"))
    assert only(realigned(WAITING, longer)) == WAITING


def test_a_task_whose_step_is_gone_starts_again_with_its_round_and_its_work() -> None:
    draft = realigned(replace(WAITING, round=4, approval=WORD), PLAIN)
    assert only(draft) == replace(
        WAITING,
        phase=Phase.QUEUED,
        position=(0, 0),
        step="agent implementer",
        process="test",
        round=4,
    )
    stood = "task-001 stood at gate human-pr-approval, which the process no longer has"
    assert lines(draft) == [f"{stood}: it starts again at agent implementer"]


def test_a_session_that_is_paid_for_ends_before_its_task_starts_again() -> None:
    task = make_task(phase=Phase.WORKING, at=(0, 1), worker=worker_of())
    assert only(realigned(task, process_of(IMPLEMENTER))) == task


@pytest.mark.parametrize("phase", [Phase.COMPLETE, Phase.FAILED, Phase.CANCELLED])
def test_a_finished_task_stays_where_it_is(phase: Phase) -> None:
    task = make_task(phase=phase, at=(1,))
    assert only(realigned(task, PLAIN)) == task


@pytest.mark.parametrize(
    ("at", "phase"), [((0, 1), Phase.QUEUED), ((1,), Phase.WAITING), ((2,), Phase.ACTING)]
)
def test_a_task_that_was_reopened_by_hand_goes_on_where_it_stood(
    at: tuple[int, ...], phase: Phase
) -> None:
    task = make_task(phase=Phase.QUEUED, at=at)
    assert only(realigned(task, REVIEWED)).phase is phase
