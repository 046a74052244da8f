"""Who works next, who waits, and what stands in the order."""

from datetime import datetime, timedelta

import pytest
from msgspec.structs import replace

from hyperloop_action.domain.draft import Draft
from hyperloop_action.domain.limits import Limits
from hyperloop_action.domain.model import (
    Backoff,
    Handle,
    Meta,
    Phase,
    Planner,
    SpecStatus,
    Spend,
    Task,
    Worker,
)
from hyperloop_action.domain.orders import (
    ErrorKind,
    Order,
    RuntimeSpec,
    SessionError,
    SpecToPlan,
    Wants,
)
from hyperloop_action.domain.spawn import (
    GRACE_S,
    Claim,
    Claimer,
    Role,
    free_slots,
    order_of,
    spawn,
    spawn_planner,
)
from hyperloop_action.domain.world import World
from tests.fakes.states import BASE, HEAD, NOW, SPEC, make_spec, make_state, make_task
from tests.unit.domain.drafts import CLAIMER, ROLES, draft_of, lines, only, worker_of, world_of

TIP = "e" * 40
SPECS = (SpecToPlan(path=SPEC, commit=BASE, blob="blob-1", change="new"),)


def spawned(
    *tasks: Task,
    limits: Limits | None = None,
    meta: Meta | None = None,
    world: World | None = None,
    roles: dict[str, Role] | None = None,
) -> tuple[Draft, list[str]]:
    state = make_state(*tasks)
    draft = draft_of(replace(state, meta=meta or state.meta), limits=limits or Limits())
    claims = spawn(draft, world or world_of(base=TIP), roles or ROLES, CLAIMER)
    return draft, [claim.worker.order for claim in claims]


def reasons(draft: Draft) -> dict[str, str]:
    return {task.id: task.reason for task in draft.tasks.values()}


# --- claims ---------------------------------------------------------------------------------------


def test_a_claim_is_written_on_the_task_before_anybody_starts() -> None:
    handle = Handle(host="h", boot_id="b", pid=1, start_time="2")
    task = make_task(head=None, base=None, sessions=2, not_before=NOW, attempts=1)
    draft = draft_of(make_state(task))
    (claim,) = spawn(draft, world_of(base=TIP), ROLES, Claimer("https://run/7", handle))
    worker = Worker(
        order="task-001-3",
        role="implementer",
        wants=Wants.CHANGES,
        runtime="claude",
        run="https://run/7",
        started=NOW,
        deadline=NOW + timedelta(seconds=3600 + GRACE_S),
        handle=handle,
    )
    claimed = replace(
        task,
        phase=Phase.WORKING,
        worker=worker,
        sessions=3,
        base=TIP,
        not_before=None,
        reason="implementer works on it",
    )
    assert only(draft) == claimed
    assert claim == Claim(worker, ROLES["implementer"], claimed)
    assert lines(draft) == ["implementer starts on task-001 round 0 (task-001-3)"]


def test_a_branch_with_work_keeps_the_base_that_it_has() -> None:
    draft, _ = spawned(make_task(base=BASE, head=HEAD))
    assert only(draft).base == BASE


def test_a_task_gets_the_agent_of_the_step_at_which_it_stands() -> None:
    draft, _ = spawned(make_task(at=(0, 1)))
    assert only(draft).worker is not None
    assert only(draft).reason == "verifier works on it"


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase is not Phase.QUEUED], ids=str)
def test_only_queued_tasks_are_claimed(phase: Phase) -> None:
    assert spawned(make_task(phase=phase, at=(1,)))[1] == []


# --- order and slots ------------------------------------------------------------------------------


def test_resumed_before_new_and_the_oldest_first() -> None:
    tasks = [
        make_task(9),
        make_task(10),
        make_task(11, sessions=1),
        make_task(100, sessions=4),
        make_task(1000),
    ]
    assert spawned(*reversed(tasks), limits=Limits(max_workers=4))[1] == [
        "task-011-2",
        "task-100-5",
        "task-009-1",
        "task-010-1",
    ]


def test_whoever_finds_no_slot_is_told_so() -> None:
    draft, orders = spawned(make_task(1), make_task(2), limits=Limits(max_workers=1))
    assert orders == ["task-001-1"]
    assert reasons(draft)["task-002"] == "waits for a free slot"


def test_live_workers_hold_slots_and_waiting_tasks_hold_none() -> None:
    tasks = [
        make_task(1, Phase.WORKING, worker=worker_of()),
        *(make_task(n, Phase.WAITING, (1,)) for n in range(2, 9)),
        make_task(10),
        make_task(11),
    ]
    assert spawned(*tasks, limits=Limits(max_workers=2))[1] == ["task-010-1"]


def test_the_pm_holds_a_slot() -> None:
    pm = Meta(next_task=3, planner=Planner(worker=worker_of("pm-1", Wants.PROPOSALS)))
    draft, orders = spawned(make_task(1), make_task(2), meta=pm, limits=Limits(max_workers=2))
    assert orders == ["task-001-1"]
    assert free_slots(draft) == 0


def test_fewer_slots_than_workers_starts_nobody() -> None:
    tasks = [make_task(n, Phase.WORKING, worker=worker_of()) for n in (1, 2)]
    assert spawned(*tasks, make_task(3), limits=Limits(max_workers=1))[1] == []


def test_a_poisoned_task_does_not_hold_up_the_others() -> None:
    poisoned = make_task(1, sessions=9, not_before=NOW + timedelta(hours=1))
    assert spawned(poisoned, make_task(2))[1] == ["task-002-1"]


# --- reasons --------------------------------------------------------------------------------------

LATER = NOW + timedelta(minutes=5)
TIMED_OUT = SessionError(kind=ErrorKind.TIMEOUT, message="late")


@pytest.mark.parametrize(
    ("until", "reason"),
    [
        (LATER, "backs off until 2026-11-21 14:05 UTC (timeout)"),
        (NOW + timedelta(seconds=1), "backs off until 2026-11-21 14:01 UTC (timeout)"),
        (NOW, "implementer works on it"),
    ],
)
def test_a_task_that_backs_off_says_until_when(until: datetime, reason: str) -> None:
    draft, _ = spawned(make_task(not_before=until, error=TIMED_OUT, sessions=1))
    assert only(draft).reason == reason


@pytest.mark.parametrize(
    ("dep", "reason"),
    [
        (make_task(1, Phase.QUEUED), "depends on task-001"),
        (make_task(1, Phase.ACTING, (2,)), "depends on task-001"),
        (make_task(1, Phase.FAILED), "depends on task-001, which is failed"),
        (make_task(1, Phase.CANCELLED), "depends on task-001, which is cancelled"),
        (make_task(1, Phase.COMPLETE), "implementer works on it"),
    ],
    ids=lambda value: value.phase if isinstance(value, Task) else "",
)
def test_a_dependency_is_met_when_it_is_merged(dep: Task, reason: str) -> None:
    draft, _ = spawned(dep, make_task(2, deps=("task-001",)))
    assert reasons(draft)["task-002"] == reason


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("task-001", "implementer works on it"),  # archived
        ("task-003", "depends on task-003, which does not exist"),
        ("task-1", "depends on task-1, which does not exist"),
        ("the login", "depends on the login, which does not exist"),
    ],
)
def test_a_dependency_that_nobody_knows_is_named(name: str, reason: str) -> None:
    draft, _ = spawned(make_task(2, deps=(name,)))
    assert only(draft).reason == reason


def test_a_runtime_that_backs_off_holds_up_its_tasks_and_no_others() -> None:
    house = replace(RuntimeSpec(), name="house")
    roles = {**ROLES, "verifier": Role("verifier", Wants.VERDICT, house)}
    meta = Meta(next_task=3, backoff={"claude": Backoff(until=LATER, reason="overloaded: busy")})
    draft, orders = spawned(make_task(1), make_task(2, at=(0, 1)), meta=meta, roles=roles)
    assert orders == ["task-002-1"]
    assert reasons(draft)["task-001"] == (
        "runtime claude backs off until 2026-11-21 14:05 UTC (overloaded: busy)"
    )


def test_a_pause_that_is_over_holds_up_nobody() -> None:
    meta = Meta(next_task=2, backoff={"claude": Backoff(until=NOW, reason="x")})
    assert spawned(make_task(1), meta=meta)[1] == ["task-001-1"]


@pytest.mark.parametrize(
    ("spend", "reason"),
    [
        (Spend(day="2026-11-21", today_usd=9.99), "implementer works on it"),
        (
            Spend(day="2026-11-21", today_usd=10.0),
            "no budget left today ($10.00 of $10.00 spent)",
        ),
        (Spend(day="2026-11-20", today_usd=99.0), "implementer works on it"),
    ],
    ids=["some left", "none left", "of yesterday"],
)
def test_no_budget_no_session(spend: Spend, reason: str) -> None:
    meta = Meta(next_task=2, spend=spend)
    draft, _ = spawned(make_task(1), meta=meta, limits=Limits(max_usd_per_day=10.0))
    assert only(draft).reason == reason


def test_nobody_works_on_a_branch_that_a_person_has_checked_out_but_verifiers_may() -> None:
    world = world_of(checked_out={f"hyperloop/task-00{n}": "/home/ada/app" for n in (1, 2)})
    draft, orders = spawned(make_task(1), make_task(2, at=(0, 1)), world=world)
    assert orders == ["task-002-1"]
    assert reasons(draft)["task-001"] == (
        "waits until hyperloop/task-001 is no longer checked out in /home/ada/app"
    )


def test_nobody_works_without_the_text_that_the_task_is_pinned_to() -> None:
    task = make_task(1, spec_blob="gone")
    draft, orders = spawned(task, make_task(2), world=world_of(missing=frozenset({"gone"})))
    assert orders == ["task-002-1"]
    assert reasons(draft)["task-001"] == (
        f"waits for the text of {task.spec_ref}: fetch the history that holds it"
    )


def test_a_reason_that_stays_is_not_written_again() -> None:
    draft, _ = spawned(make_task(2, deps=("task-001",)), make_task(1, Phase.FAILED))
    again, _ = spawned(*draft.tasks.values())
    assert (again.tasks, again.facts) == (draft.tasks, [])


# --- the pm ---------------------------------------------------------------------------------------


def planner(draft: Draft, specs: tuple[SpecToPlan, ...] = SPECS) -> list[Claim]:
    return spawn_planner(draft, specs, ROLES["pm"], CLAIMER)


def gap(meta: Meta | None = None, limits: Limits | None = None, *tasks: Task) -> Draft:
    state = make_state(*tasks, spec=make_spec(SpecStatus.PENDING, attempts=0, plan=0))
    return draft_of(replace(state, meta=meta or Meta()), limits=limits or Limits())


def test_the_pm_is_claimed_over_all_gaps() -> None:
    draft = gap()
    (claim,) = planner(draft)
    assert (claim.worker.order, claim.specs, claim.task) == ("pm-1", SPECS, None)
    assert draft.meta.planner == Planner(worker=claim.worker, specs=SPECS, sessions=1)
    assert draft.specs[SPEC] == make_spec(SpecStatus.PLANNING, attempts=1, plan=0)
    assert lines(draft) == ["pm starts on the plan (pm-1)"]


HELD = Meta(backoff={"claude": Backoff(until=LATER, reason="x")})
BROKE = Meta(spend=Spend(day="2026-11-21", today_usd=5.0))


@pytest.mark.parametrize(
    "draft",
    [
        pytest.param(gap(HELD), id="its runtime backs off"),
        pytest.param(gap(BROKE, Limits(max_usd_per_day=5.0)), id="no budget"),
        pytest.param(
            gap(None, Limits(max_workers=1), make_task(1, Phase.WORKING, worker=worker_of())),
            id="no slot",
        ),
    ],
)
def test_the_pm_obeys_the_same_limits(draft: Draft) -> None:
    before = draft.done()
    assert planner(draft) == []
    assert draft.done() == before


def test_without_gaps_there_is_no_pm() -> None:
    assert planner(draft_of(), ()) == []


# --- orders ---------------------------------------------------------------------------------------


def test_an_order_holds_everything_that_a_session_needs() -> None:
    draft = draft_of(make_state(make_task(head=HEAD, base=BASE, round=3)))
    (claim,) = spawn(draft, world_of(base=TIP), ROLES, CLAIMER)
    assert order_of(claim, TIP, "Do it.", ("specs/**",), 5.0) == Order(
        id="task-001-1",
        role="implementer",
        wants=Wants.CHANGES,
        task="task-001",
        title="Log in with a password",
        spec_ref=f"{SPEC}@{BASE}",
        round=3,
        base=BASE,
        branch="hyperloop/task-001",
        head=HEAD,
        prompt="Do it.",
        runtime=RuntimeSpec(),
        protected_paths=("specs/**",),
        max_change_mb=5.0,
    )


@pytest.mark.parametrize(("head", "start"), [(HEAD, HEAD), (None, TIP)])
def test_a_session_goes_on_from_the_branch_or_starts_from_the_base_of_this_moment(
    head: str | None, start: str
) -> None:
    draft = draft_of(make_state(make_task(head=head, base=BASE if head else None)))
    (claim,) = spawn(draft, world_of(base=TIP), ROLES, CLAIMER)
    assert order_of(claim, TIP, "", (), 1.0).head == start


def test_the_pm_looks_at_the_base() -> None:
    (claim,) = planner(gap())
    order = order_of(claim, TIP, "Plan.", (), 1.0)
    assert (order.base, order.head, order.branch, order.task) == (TIP, TIP, None, None)
    assert order.specs == SPECS
