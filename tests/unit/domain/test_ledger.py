"""When a spec counts as changed, synced or removed, and what leaves for the archive."""

import pytest
from msgspec.structs import replace

from hyperloop_action.domain.draft import Draft
from hyperloop_action.domain.ledger import NO_SPECS, close_specs, observe_specs
from hyperloop_action.domain.model import Phase, SpecEntry, SpecStatus, State
from hyperloop_action.domain.world import SpecSeen, World
from tests.fakes.states import BASE, SPEC, make_spec, make_state, make_task
from tests.unit.domain.drafts import draft_of, lines, worker_of, world_of

OTHER = "specs/pay.md"
NOW_BASE = "e" * 40

PENDING, PLANNING, RECONCILING = SpecStatus.PENDING, SpecStatus.PLANNING, SpecStatus.RECONCILING
SYNCED, FAILED, REMOVED = SpecStatus.SYNCED, SpecStatus.FAILED, SpecStatus.REMOVED


def seen(**blobs: str) -> World:
    specs = {f"specs/{name}.md": SpecSeen(blob, 100) for name, blob in blobs.items()}
    return World(base=NOW_BASE, specs=specs)


def observed(state: State, *worlds: World) -> Draft:
    draft = draft_of(state)
    for world in worlds:
        observe_specs(draft, world)
    return draft


def synced(blob: str = "blob-1", **fields: object) -> SpecEntry:
    return make_spec(SYNCED, blob=blob, synced_blob=blob, attempts=0, **fields)


# --- change ---------------------------------------------------------------------------------------


def test_on_the_first_run_every_spec_is_new() -> None:
    draft = observed(State(), seen(auth="blob-1", pay="blob-2"))
    assert draft.specs == {
        SPEC: SpecEntry(blob="blob-1", commit=NOW_BASE, status=PENDING),
        OTHER: SpecEntry(blob="blob-2", commit=NOW_BASE, status=PENDING),
    }
    assert lines(draft) == ["specs/auth.md is new", "specs/pay.md is new"]


@pytest.mark.parametrize("status", [s for s in SpecStatus if s is not REMOVED])
def test_an_equal_blob_changes_nothing_whatever_commit_it_comes_from(status: SpecStatus) -> None:
    state = make_state(spec=make_spec(status))
    draft = observed(state, seen(auth="blob-1"))
    assert (draft.done(), draft.facts) == (state, [])


@pytest.mark.parametrize("status", [s for s in SpecStatus if s is not REMOVED])
def test_a_changed_text_is_a_gap_with_all_its_attempts(status: SpecStatus) -> None:
    before = make_spec(status, attempts=3, reason="three plans", synced_blob="blob-0")
    draft = observed(make_state(spec=before), seen(auth="blob-2"))
    assert draft.specs[SPEC] == SpecEntry(
        blob="blob-2", commit=NOW_BASE, status=PENDING, plan=1, synced_blob="blob-0"
    )
    assert lines(draft) == ["specs/auth.md is changed"]


def test_a_text_that_comes_back_before_it_was_planned_is_synced_again() -> None:
    draft = observed(make_state(spec=synced()), seen(auth="blob-2"), seen(auth="blob-1"))
    assert draft.specs[SPEC] == replace(synced(), commit=NOW_BASE)


def test_a_text_that_comes_back_after_its_plan_had_failed_unread_is_synced_again() -> None:
    empty = replace(synced(), blob="blob-2", status=FAILED, reason="the file is empty")
    draft = observed(make_state(spec=empty), seen(auth="blob-1"))
    assert draft.specs[SPEC] == replace(synced(), commit=NOW_BASE)


def test_finished_tasks_of_the_same_text_do_not_stand_in_the_way() -> None:
    kept = make_task(phase=Phase.COMPLETE, head=None)
    draft = observed(make_state(kept, spec=synced()), seen(auth="blob-2"), seen(auth="blob-1"))
    assert draft.specs[SPEC].status is SYNCED


@pytest.mark.parametrize("phase", list(Phase))
def test_a_text_that_comes_back_after_work_on_another_is_planned(phase: Phase) -> None:
    entry = replace(synced(), blob="blob-2", status=PENDING)
    state = make_state(make_task(phase=phase, spec_blob="blob-2"), spec=entry)
    assert observed(state, seen(auth="blob-1")).specs[SPEC].status is PENDING


def test_a_text_that_comes_back_while_a_pm_plans_another_is_planned() -> None:
    entry = replace(synced(), blob="blob-2", status=PLANNING)
    assert observed(make_state(spec=entry), seen(auth="blob-1")).specs[SPEC].status is PENDING


# --- removal --------------------------------------------------------------------------------------


def test_a_removed_spec_takes_its_open_tasks_with_it_and_leaves_the_others_alone() -> None:
    mine = make_task(1, Phase.WORKING, worker=worker_of())
    done = make_task(2, Phase.COMPLETE)
    other = make_task(3, spec_ref=f"{OTHER}@{BASE}")
    state = make_state(mine, done, other)
    state = replace(state, specs={SPEC: make_spec(synced_blob="blob-0"), OTHER: make_spec()})
    draft = observed(state, seen(pay="blob-1"))
    assert draft.specs[SPEC] == make_spec(REMOVED, attempts=0)
    assert draft.tasks == {
        "task-001": replace(
            mine, phase=Phase.CANCELLED, worker=None, reason="specs/auth.md was removed"
        ),
        "task-002": done,
        "task-003": other,
    }
    assert lines(draft) == [
        "specs/auth.md is gone",
        "task-001 cancelled: specs/auth.md was removed",
    ]


def test_a_removed_spec_is_said_once() -> None:
    state = replace(make_state(), specs={SPEC: make_spec(REMOVED), OTHER: make_spec()})
    draft = observed(state, seen(pay="blob-1"))
    assert (draft.done(), draft.facts) == (state, [])


def test_a_restored_spec_is_new_and_counts_its_plans_on() -> None:
    gone = make_spec(REMOVED, plan=4, attempts=0)
    draft = observed(make_state(spec=gone), seen(auth="blob-1"))
    assert draft.specs[SPEC] == SpecEntry(blob="blob-1", commit=NOW_BASE, status=PENDING, plan=4)
    assert lines(draft) == ["specs/auth.md is new"]


def test_an_empty_set_of_specs_is_taken_for_a_mistake() -> None:
    state = make_state(make_task())
    draft = observed(state, seen())
    assert draft.done() == state
    assert lines(draft) == [NO_SPECS]


def test_an_empty_set_after_every_spec_was_removed_is_no_news() -> None:
    draft = observed(make_state(spec=make_spec(REMOVED)), seen())
    assert draft.facts == []


# --- synced, and archived -------------------------------------------------------------------------


def closed(state: State) -> Draft:
    draft = draft_of(state)
    close_specs(draft)
    return draft


def test_a_spec_is_synced_when_every_task_of_its_plan_is_complete() -> None:
    tasks = [make_task(n, Phase.COMPLETE) for n in (1, 2)]
    draft = closed(make_state(*tasks, spec=make_spec(attempts=2, reason="again")))
    assert draft.specs[SPEC] == synced()
    assert (draft.tasks, sorted(draft.archived)) == ({}, ["task-001", "task-002"])
    assert lines(draft) == ["specs/auth.md is synced"]


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase is not Phase.COMPLETE])
def test_one_task_that_is_not_complete_keeps_it_in_work(phase: Phase) -> None:
    state = make_state(make_task(1, Phase.COMPLETE), make_task(2, phase))
    assert closed(state).done() == state


def test_what_failed_in_an_earlier_plan_is_forgotten_once_the_gap_is_closed() -> None:
    tasks = (make_task(1, Phase.FAILED), make_task(2, Phase.COMPLETE, plan=2))
    draft = closed(make_state(*tasks, spec=make_spec(plan=2)))
    assert draft.specs[SPEC].status is SYNCED
    assert sorted(draft.archived) == ["task-001", "task-002"]


@pytest.mark.parametrize("status", [PENDING, PLANNING, FAILED])
def test_a_spec_whose_gap_is_open_keeps_its_tasks_in_sight(status: SpecStatus) -> None:
    state = make_state(make_task(1, Phase.FAILED), spec=make_spec(status))
    assert closed(state).done() == state


def test_a_finished_task_on_which_open_work_depends_stays() -> None:
    tasks = (
        make_task(1, Phase.COMPLETE),
        make_task(2, Phase.COMPLETE),
        make_task(3, deps=("task-001",), spec_ref=f"{OTHER}@{BASE}"),
    )
    state = make_state(*tasks)
    draft = closed(replace(state, specs={SPEC: make_spec(), OTHER: make_spec()}))
    assert (sorted(draft.tasks), sorted(draft.archived)) == (["task-001", "task-003"], ["task-002"])


def test_a_task_of_a_spec_that_nobody_knows_is_archived_once_it_is_finished() -> None:
    state = replace(make_state(make_task(1, Phase.CANCELLED), make_task(2)), specs={})
    assert sorted(closed(state).archived) == ["task-001"]


def test_nothing_moves_in_an_idle_cycle() -> None:
    state = make_state(make_task(1, Phase.COMPLETE), make_task(2, deps=("task-001",)))
    draft = draft_of(state)
    observe_specs(draft, world_of())
    close_specs(draft)
    assert (draft.done(), draft.facts) == (state, [])
