"""From a gap to tasks: what is ordered from the pm, and what its answer may be."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from hyperloop_action.domain.draft import Draft
from hyperloop_action.domain.intake import (
    MAX_SPECS_PER_PLAN,
    claim_plan,
    collect_plan,
    find_gaps,
    specs_to_plan,
)
from hyperloop_action.domain.ledger import observe_specs
from hyperloop_action.domain.limits import Limits
from hyperloop_action.domain.model import (
    Meta,
    Phase,
    Planner,
    SpecEntry,
    SpecStatus,
    State,
    Task,
)
from hyperloop_action.domain.orders import (
    ErrorKind,
    Proposal,
    Result,
    SessionError,
    SpecToPlan,
    Wants,
)
from hyperloop_action.domain.spec_texts import MAX_SPEC_BYTES, refuse_blank
from hyperloop_action.domain.world import SpecSeen, World
from tests.fakes.states import BASE, NOW, SPEC, make_spec, make_state, make_task
from tests.unit.domain.drafts import (
    PLAIN,
    done,
    draft_of,
    errs,
    lines,
    worker_of,
    world_of,
    world_with,
)

PAY = "specs/pay.md"
PENDING, PLANNING, RECONCILING = SpecStatus.PENDING, SpecStatus.PLANNING, SpecStatus.RECONCILING
SYNCED, FAILED, REMOVED = SpecStatus.SYNCED, SpecStatus.FAILED, SpecStatus.REMOVED
PM = worker_of("pm-1", Wants.PROPOSALS)


def to_plan(path: str = SPEC, change: str = "new", blob: str = "blob-1") -> SpecToPlan:
    return SpecToPlan(path=path, commit=BASE, blob=blob, change=change)  # type: ignore[arg-type]


def proposal(key: str = "a", spec: str = SPEC, **fields: object) -> Proposal:
    title = f"Do {key}"
    values = {"key": key, "title": title, "description": "How.", "spec": spec, **fields}
    return Proposal(**values)  # type: ignore[arg-type]  # a test names the fields it wants


def planning(
    *tasks: Task,
    specs: tuple[SpecToPlan, ...] = (to_plan(),),
    entries: dict[str, SpecEntry] | None = None,
    **planner: object,
) -> State:
    """A pm works on ``specs``."""
    values = {"worker": PM, "specs": specs, "sessions": 1, **planner}
    last = max((task.number for task in tasks), default=0)
    meta = Meta(cycle=7, next_task=last + 1, planner=Planner(**values))  # type: ignore[arg-type]
    known = {spec.path: make_spec(PLANNING, blob=spec.blob, plan=0) for spec in specs}
    return make_state(*tasks, meta=meta, specs=known | (entries or {}))


def answered(state: State, *proposals: Proposal, limits: Limits | None = None) -> Draft:
    return ended(state, done("pm-1", proposals=proposals), limits)


def ended(state: State, result: Result, limits: Limits | None = None) -> Draft:
    draft = draft_of(state, PLAIN, limits or Limits())
    collect_plan(draft, world_with(result))
    return draft


def gaps(state: State, world: World | None = None, limits: Limits | None = None) -> Draft:
    draft = draft_of(state, PLAIN, limits or Limits())
    find_gaps(draft, world or world_of())
    return draft


# --- a plan becomes tasks -------------------------------------------------------------------------


def test_a_plan_becomes_tasks_in_order_with_keys_turned_into_ids() -> None:
    b = proposal("b", deps=("a",), covers=("it logs in",), title="  Do b ", description="How.\n")
    draft = answered(planning(), proposal("a"), b)
    task = Task(
        id="task-001",
        title="Do a",
        spec_ref=f"{SPEC}@{BASE}",
        phase=Phase.QUEUED,
        branch="hyperloop/task-001",
        step="agent implementer",
        position=(0, 0),
        process="test",
        plan=1,
        spec_blob="blob-1",
        description="How.",
    )
    assert draft.tasks == {
        "task-001": task,
        "task-002": replace(
            task,
            id="task-002",
            title="Do b",
            branch="hyperloop/task-002",
            deps=("task-001",),
            covers=("it logs in",),
        ),
    }
    assert draft.meta.next_task == 3
    assert draft.meta.planner == Planner(sessions=1)
    assert draft.specs[SPEC] == make_spec(RECONCILING, plan=1)
    assert lines(draft) == [
        "pm proposes 2 (pm-1, 61 s, $0.50)",
        "task-001 planned for specs/auth.md: Do a",
        "task-002 planned for specs/auth.md: Do b, after task-001",
    ]


def test_a_dependency_may_name_an_open_task_and_one_that_is_archived_is_met() -> None:
    state = planning(make_task(7, spec_ref=f"{PAY}@{BASE}"), entries={PAY: make_spec()})
    draft = answered(state, proposal(deps=("task-007", "task-003")))
    assert draft.tasks["task-008"].deps == ("task-007",)


def test_a_spec_that_needs_no_task_is_synced() -> None:
    draft = answered(planning())
    assert draft.specs[SPEC] == make_spec(
        SYNCED, plan=1, attempts=0, synced_blob="blob-1", blob="blob-1"
    )


def test_a_changed_spec_that_needs_no_new_task_waits_for_the_open_ones() -> None:
    draft = answered(planning(make_task(1, spec_blob="blob-0")))
    assert draft.specs[SPEC].status is RECONCILING
    assert draft.tasks["task-001"].plan == draft.specs[SPEC].plan == 1


def test_a_text_that_changed_while_it_was_planned_stays_pending() -> None:
    changed = make_spec(PENDING, blob="blob-2", plan=0, attempts=0)
    draft = answered(planning(entries={SPEC: changed}), proposal())
    assert draft.specs[SPEC] == replace(changed, plan=1)
    assert draft.tasks["task-001"].spec_blob == "blob-1"


@pytest.mark.parametrize("proposals", [(), (proposal("a"), proposal("p", PAY, deps=("a",)))])
def test_a_spec_that_was_removed_while_it_was_planned_gets_no_tasks(
    proposals: tuple[Proposal, ...],
) -> None:
    state = planning(
        specs=(to_plan(), to_plan(PAY)),
        entries={SPEC: make_spec(REMOVED, plan=0, attempts=0)},
    )
    draft = answered(state, *proposals)
    assert draft.specs[SPEC] == state.specs[SPEC]
    assert [(task.spec, task.deps) for task in draft.tasks.values()] == (
        [(PAY, ())] if proposals else []
    )


def test_without_an_answer_yet_nothing_changes() -> None:
    state = planning()
    draft = draft_of(state)
    collect_plan(draft, world_of(alive=frozenset({"pm-1"})))
    collect_plan(draft, world_with(done("pm-0", proposals=(proposal(),))))
    assert (draft.done(), draft.facts) == (state, [])


# --- failed tasks ---------------------------------------------------------------------------------


def failed_and_dependent(phase: Phase = Phase.FAILED) -> State:
    """task-001 failed and was told to the pm; task-002 of another spec waits for it."""
    tasks = (
        make_task(1, phase),
        make_task(2, spec_ref=f"{PAY}@{BASE}", deps=("task-001",)),
    )
    specs = (to_plan(change="failed"),)
    entries = {SPEC: make_spec(PLANNING), PAY: make_spec()}
    return planning(*tasks, specs=specs, entries=entries, failed=("task-001",))


@pytest.mark.parametrize("phase", [Phase.FAILED, Phase.CANCELLED])
def test_what_waited_for_a_task_that_is_over_waits_for_those_in_its_place(phase: Phase) -> None:
    draft = answered(failed_and_dependent(phase), proposal("a"), proposal("b"))
    assert draft.tasks["task-002"].deps == ("task-003", "task-004")
    assert draft.specs[SPEC].plan == 2


def test_silence_about_failed_tasks_is_refused() -> None:
    draft = answered(failed_and_dependent())
    assert draft.meta.planner.refusal == (
        "specs/auth.md has failed tasks, and nothing is proposed in their place"
    )


def test_a_task_in_place_of_a_failed_one_may_not_wait_for_its_dependents() -> None:
    draft = answered(failed_and_dependent(), proposal("a", deps=("task-002",)))
    assert draft.meta.planner.refusal == (
        "the dependencies go round in a circle: a -> task-002 -> a"
    )


def test_a_task_that_failed_while_the_pm_worked_is_a_gap_of_the_new_plan_too() -> None:
    told, since = make_task(1, Phase.FAILED), make_task(2, Phase.FAILED)
    specs = (to_plan(change="failed"),)
    entries = {SPEC: make_spec(PLANNING)}
    state = planning(told, since, specs=specs, entries=entries, failed=("task-001",))
    draft = answered(state, proposal())
    find_gaps(draft, world_of())
    assert draft.specs[SPEC].status is PENDING
    assert draft.specs[SPEC].reason == "planned again, since task-002 failed"


def test_an_open_task_joins_the_new_plan_so_that_its_failure_is_not_forgotten() -> None:
    told, still = make_task(1, Phase.FAILED), make_task(2)
    entries = {SPEC: make_spec(PLANNING)}
    state = planning(told, still, entries=entries, failed=("task-001",))
    assert answered(state, proposal()).tasks["task-002"] == replace(still, plan=2)


def test_failed_tasks_are_planned_again_with_what_the_pm_must_replace() -> None:
    draft = gaps(make_state(make_task(1, Phase.FAILED), make_task(2)))
    assert draft.specs[SPEC] == make_spec(PENDING, reason="planned again, since task-001 failed")
    claim_plan(draft, PM, specs_to_plan(draft))
    assert draft.meta.planner.specs == (to_plan(change="failed"),)
    assert draft.meta.planner.failed == ("task-001",)
    assert draft.specs[SPEC].attempts == 2


def test_after_its_last_plan_a_spec_fails_until_somebody_edits_it() -> None:
    state = make_state(make_task(1, Phase.FAILED), spec=make_spec(attempts=3))
    draft = gaps(state)
    reason = "3 plans did not close the gap; at last task-001 failed"
    assert draft.specs[SPEC] == make_spec(FAILED, attempts=3, reason=reason)
    assert lines(draft) == [f"specs/auth.md failed: {reason}"]
    find_gaps(draft, world_of())
    assert len(draft.facts) == 1
    observe_specs(draft, world_of(specs={SPEC: SpecSeen("blob-2", 100)}))
    assert (draft.specs[SPEC].status, draft.specs[SPEC].attempts) == (PENDING, 0)


def test_a_failure_of_a_plan_that_was_replaced_is_no_gap() -> None:
    state = make_state(make_task(1, Phase.FAILED), make_task(2, plan=2), spec=make_spec(plan=2))
    assert gaps(state).done() == state


def test_after_an_edit_what_failed_may_be_left_out() -> None:
    entry = make_spec(PENDING, blob="blob-2", synced_blob="blob-0")
    draft = draft_of(make_state(make_task(1, Phase.FAILED), spec=entry))
    assert specs_to_plan(draft) == (to_plan(change="changed", blob="blob-2"),)


def test_a_spec_whose_last_task_was_cancelled_needs_a_person() -> None:
    done_, gone = make_task(1, Phase.COMPLETE), make_task(2, Phase.CANCELLED)
    draft = gaps(make_state(done_, gone))
    assert draft.specs[SPEC].status is FAILED
    assert draft.specs[SPEC].reason == "task-002 was cancelled, and nothing else closes the gap"
    still = make_state(done_, gone, make_task(3))
    assert gaps(still).done() == still


def test_a_spec_whose_tasks_were_deleted_is_not_called_synced() -> None:
    draft = gaps(make_state())
    assert draft.specs[SPEC].reason == "planned again, since its tasks are gone"
    assert draft.specs[SPEC].status is PENDING


# --- refusals -------------------------------------------------------------------------------------

REFUSED = [
    pytest.param(
        (proposal(spec="specs/ghost.md"),),
        "proposal 'a' is for 'specs/ghost.md', which was not asked for (specs/auth.md)",
        id="a spec that was not asked for",
    ),
    pytest.param(
        (proposal(deps=("b",)),),
        "proposal 'a' depends on 'b', which is neither a key of this answer nor a task",
        id="an unknown dependency",
    ),
    pytest.param(
        (proposal(deps=("task-099",)),),
        "proposal 'a' depends on 'task-099', which is neither a key of this answer nor a task",
        id="a task that was never made",
    ),
    pytest.param(
        (proposal(deps=("task-2",)),),
        "proposal 'a' depends on 'task-2', which is neither a key of this answer nor a task",
        id="a misspelt task",
    ),
    pytest.param(
        (proposal(deps=("task-001",)),),
        "proposal 'a' depends on 'task-001', which is failed",
        id="a failed task",
    ),
    pytest.param(
        (proposal(deps=("task-003",)),),
        "proposal 'a' depends on 'task-003', which is cancelled",
        id="a cancelled task",
    ),
    pytest.param(
        (proposal("a", deps=("b",)), proposal("b", deps=("a",))),
        "the dependencies go round in a circle: a -> b -> a",
        id="a circle",
    ),
    pytest.param(
        (proposal(deps=("a",)),),
        "the dependencies go round in a circle: a -> a",
        id="itself",
    ),
    pytest.param(
        (proposal("a"), proposal("a", title="Other")), "the key 'a' stands twice", id="a key twice"
    ),
    pytest.param(
        (proposal("a", title="Do it"), proposal("b", title="do  IT")),
        "proposal 'b' repeats the title 'do  IT'",
        id="a title twice",
    ),
    pytest.param(
        (proposal(title=" "), proposal("b", description="\n")),
        "proposal 'a' has no title or no description; proposal 'b' has no title or no description",
        id="empty words, both told",
    ),
]


def asked() -> State:
    others = f"{PAY}@{BASE}"
    tasks = (
        make_task(1, Phase.FAILED, spec_ref=others),
        make_task(2, spec_ref=others),
        make_task(3, Phase.CANCELLED, spec_ref=others),
    )
    return planning(*tasks, entries={PAY: make_spec(FAILED)})


@pytest.mark.parametrize(("proposals", "reason"), REFUSED)
def test_a_plan_that_breaks_a_rule_goes_back_once_and_makes_no_task(
    proposals: tuple[Proposal, ...], reason: str
) -> None:
    state = asked()
    draft = answered(state, *proposals)
    assert draft.tasks == state.tasks
    assert draft.meta.planner == Planner(sessions=1, refusal=reason)
    assert draft.specs[SPEC].status is PENDING
    assert draft.specs[SPEC].reason == f"planned again, since the plan was refused: {reason}"
    assert lines(draft)[-1] == f"plan refused: {reason}"


def test_the_second_try_of_a_refused_plan_is_no_attempt_of_the_spec() -> None:
    draft = answered(planning(), proposal(deps=("x",)))
    claim_plan(draft, worker_of("pm-2", Wants.PROPOSALS), specs_to_plan(draft))
    assert draft.specs[SPEC].attempts == 1
    assert draft.meta.planner.sessions == 2


def test_an_answer_even_a_refused_one_ends_the_errors_in_a_row() -> None:
    error = SessionError(kind=ErrorKind.TIMEOUT, message="late")
    state = planning(attempts=2, lost=4, error=error, not_before=NOW)
    assert answered(state, proposal(deps=("x",))).meta.planner.attempts == 0


@pytest.mark.parametrize(
    ("attempts", "status"), [(1, PENDING), (2, PENDING), (3, FAILED), (4, FAILED)]
)
def test_a_plan_that_is_refused_twice_has_failed(attempts: int, status: SpecStatus) -> None:
    state = planning(entries={SPEC: make_spec(PLANNING, attempts=attempts)}, refusal="b")
    draft = answered(state, proposal(deps=("x",)))
    assert draft.specs[SPEC].status is status
    assert draft.specs[SPEC].reason.startswith("the plan was refused twice: proposal 'a' depends")
    assert draft.meta.planner == Planner(sessions=1)


# --- errors of the pm -----------------------------------------------------------------------------


def test_an_answer_without_proposals_is_an_error() -> None:
    planner = ended(planning(), done("pm-1")).meta.planner
    assert planner.error == SessionError(kind=ErrorKind.BAD_ANSWER, message="it proposed nothing")
    assert (planner.attempts, planner.not_before) == (1, NOW + timedelta(seconds=30))


def test_a_pm_that_erred_rests_longer_each_time() -> None:
    draft = ended(planning(attempts=1), errs(ErrorKind.TIMEOUT, "pm-1"))
    planner = draft.meta.planner
    assert (planner.worker, planner.specs, planner.attempts) == (None, (), 2)
    assert planner.not_before == NOW + timedelta(seconds=60)
    assert specs_to_plan(draft) == ()
    draft.now = NOW + timedelta(seconds=60)
    assert specs_to_plan(draft) == (to_plan(),)
    claim_plan(draft, PM, specs_to_plan(draft))
    assert draft.specs[SPEC].attempts == 1  # an error is no plan


def test_why_the_pm_erred_is_told_with_its_specs_until_a_plan_is_accepted() -> None:
    draft = ended(planning(), errs(ErrorKind.TIMEOUT, "pm-1"))
    draft.now = NOW + timedelta(seconds=60)
    claim_plan(draft, worker_of("pm-2", Wants.PROPOSALS), specs_to_plan(draft))
    again = "planned again, since pm ended with timeout: no luck"
    assert (draft.specs[SPEC].status, draft.specs[SPEC].reason) == (PLANNING, again)
    collect_plan(draft, world_with(done("pm-2", proposals=(proposal(),))))
    assert (draft.specs[SPEC].status, draft.specs[SPEC].reason) == (RECONCILING, "")


def test_once_is_one_time() -> None:
    draft = ended(planning(), errs(ErrorKind.AUTH, "pm-1"), Limits(max_spawn_attempts=1))
    assert draft.specs[SPEC].reason == "pm ended with auth 1 time: no luck"


def test_a_pm_that_erred_three_times_fails_its_specs_with_the_reason_in_words() -> None:
    draft = ended(planning(attempts=2), errs(ErrorKind.TIMEOUT, "pm-1"))
    assert draft.specs[SPEC].status is FAILED
    assert draft.specs[SPEC].reason == "pm ended with timeout 3 times: no luck"
    assert (draft.meta.planner.attempts, draft.meta.planner.worker) == (0, None)


def test_a_pm_that_vanished_is_tried_again_at_once_and_counted_apart() -> None:
    draft = draft_of(planning(attempts=1, lost=3))
    collect_plan(draft, world_of(ended=frozenset({"pm-1"})))
    planner = draft.meta.planner
    assert (planner.attempts, planner.lost, planner.not_before) == (1, 4, None)
    assert specs_to_plan(draft) == (to_plan(),)


def test_a_pm_that_was_interrupted_counts_for_nothing() -> None:
    draft = ended(planning(), errs(ErrorKind.INTERRUPTED, "pm-1"))
    planner = draft.meta.planner
    assert (planner.attempts, planner.lost, planner.not_before) == (0, 0, None)
    claim_plan(draft, worker_of("pm-2", Wants.PROPOSALS), specs_to_plan(draft))
    assert draft.specs[SPEC].attempts == 1


def test_an_overloaded_pm_holds_up_its_runtime() -> None:
    draft = ended(planning(), errs(ErrorKind.OVERLOADED, "pm-1", retry_after_s=90.0))
    assert draft.meta.backoff["claude"].until == NOW + timedelta(seconds=90)


@pytest.mark.parametrize("status", [PENDING, REMOVED])
def test_an_error_leaves_specs_alone_that_changed_meanwhile(status: SpecStatus) -> None:
    entries = {SPEC: make_spec(status, blob="blob-2")}
    draft = ended(planning(entries=entries, attempts=2), errs(ErrorKind.TIMEOUT, "pm-1"))
    assert draft.specs == entries


# --- what is asked --------------------------------------------------------------------------------


def pending(count: int) -> Draft:
    names = [f"specs/s{n:03d}.md" for n in range(count)]
    specs = {name: make_spec(PENDING, blob=f"b-{name}", attempts=0, plan=0) for name in names}
    return draft_of(make_state(specs=specs))


def test_one_plan_takes_a_bounded_number_of_specs() -> None:
    asked_for = specs_to_plan(pending(MAX_SPECS_PER_PLAN + 5))
    assert [spec.path for spec in asked_for] == [
        f"specs/s{n:03d}.md" for n in range(MAX_SPECS_PER_PLAN)
    ]


def test_while_a_pm_works_no_other_plan_is_wanted() -> None:
    assert specs_to_plan(draft_of(planning(entries={PAY: make_spec(PENDING)}))) == ()


@pytest.mark.parametrize(
    ("synced", "tasks", "change"),
    [
        (None, (), "new"),
        ("blob-0", (), "changed"),
        ("blob-0", (make_task(1, Phase.FAILED),), "failed"),
    ],
)
def test_the_pm_is_told_what_kind_of_gap_it_is(
    synced: str | None, tasks: tuple[Task, ...], change: str
) -> None:
    draft = draft_of(make_state(*tasks, spec=make_spec(PENDING, synced_blob=synced)))
    assert [spec.change for spec in specs_to_plan(draft)] == [change]


@pytest.mark.parametrize(
    ("size", "reason"),
    [
        (0, "the file is empty: write what should be true, then commit it"),
        (1, ""),
        (MAX_SPEC_BYTES, ""),
        (2**21, "the file has 2.0 MB, more than the 256 KB that fit a prompt: split it"),
    ],
)
def test_a_spec_that_no_prompt_can_hold_needs_a_person(size: int, reason: str) -> None:
    draft = gaps(make_state(spec=make_spec(PENDING)), world_of(specs={SPEC: SpecSeen("x", size)}))
    assert draft.specs[SPEC].reason == reason
    assert draft.specs[SPEC].status is (FAILED if reason else PENDING)


def test_a_spec_without_text_is_refused_and_the_others_are_planned() -> None:
    draft = pending(3)
    specs = specs_to_plan(draft)
    texts = dict(zip((spec.blob for spec in specs), [b" \n", b"\xff\n", b"# Text\n"], strict=True))
    assert [spec.path for spec in refuse_blank(draft, specs, texts)] == ["specs/s002.md"]
    assert [entry.reason for entry in draft.specs.values()] == [
        "the file has no text: write what should be true, then commit it",
        "the file is not UTF-8 text (byte 0): save it as UTF-8, then commit it",
        "",
    ]
