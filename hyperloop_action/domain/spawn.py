"""SPAWN: choose who works next, within slots, dependencies, back-off and budget, and claim it.

Resumed before new, then oldest first. Whoever is not chosen is told why.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from msgspec.structs import replace

from hyperloop_action.domain.collect import busy
from hyperloop_action.domain.draft import Draft
from hyperloop_action.domain.facts import WorkerStarted
from hyperloop_action.domain.intake import claim_plan
from hyperloop_action.domain.model import Handle, Phase, Task, Worker
from hyperloop_action.domain.orders import Order, RuntimeSpec, SpecToPlan, Wants
from hyperloop_action.domain.pipeline import Trigger, move
from hyperloop_action.domain.process import AgentStep, step_at
from hyperloop_action.domain.proposals import is_archived
from hyperloop_action.domain.world import World

PLANNER = "pm"

GRACE_S = 300.0
"""What a session may take beyond its time-out for its clone, its checks and the work in
progress."""


@dataclass(frozen=True, slots=True)
class Role:
    """What the process needs to know about an agent to start it."""

    name: str
    wants: Wants
    runtime: RuntimeSpec


@dataclass(frozen=True, slots=True)
class Claim:
    """An order that is about to be written: for a task, or for a plan when ``task`` is ``None``."""

    worker: Worker
    role: Role
    task: Task | None = None
    specs: tuple[SpecToPlan, ...] = ()


@dataclass(frozen=True, slots=True)
class Claimer:
    """Who claims: where its sessions run, and how a later cycle can tell whether it still lives."""

    run: str
    handle: Handle | None


def spawn_planner(
    draft: Draft, specs: tuple[SpecToPlan, ...], role: Role, claimer: Claimer
) -> list[Claim]:
    """At most one pm at a time, over all gaps: only so can it see dependencies between specs.
    ``specs`` are those whose text was read and can be worked with."""
    if not specs or _held(draft, role.runtime.name) or _broke(draft) or free_slots(draft) < 1:
        return []
    worker = _worker(draft, role, f"{PLANNER}-{draft.meta.planner.sessions + 1}", claimer)
    claim_plan(draft, worker, specs)
    draft.say(WorkerStarted(worker.order, role.name, None))
    return [Claim(worker, role, specs=specs)]


def spawn(draft: Draft, world: World, roles: dict[str, Role], claimer: Claimer) -> list[Claim]:
    """Claim as many tasks as there are free slots; every other queued task gets its reason."""
    claims: list[Claim] = []
    free = free_slots(draft)
    queued = [task for task in draft.open_tasks() if task.phase is Phase.QUEUED]
    for task in sorted(queued, key=lambda task: (task.sessions == 0, task.number)):
        role = roles[_agent(draft, task)]
        reason = _why_not(draft, world, task, role)
        if not reason and len(claims) >= free:
            reason = "waits for a free slot"
        if reason:
            draft.wait(task, reason)
        else:
            claims.append(_claim(draft, world, task, role, claimer))
    return claims


def order_of(claim: Claim, base: str, prompt: str, protected: tuple[str, ...], mb: float) -> Order:
    """``base`` stands for tasks too when they are not on a branch yet (the pm never is)."""
    task = claim.task
    start = (task.base if task else None) or base
    return Order(
        id=claim.worker.order,
        role=claim.role.name,
        wants=claim.role.wants,
        task=task.id if task else None,
        title=task.title if task else "",
        spec_ref=task.spec_ref if task else None,
        specs=claim.specs,
        round=task.round if task else 0,
        base=start,
        branch=task.branch if task else None,
        head=(task.head if task else None) or start,
        prompt=prompt,
        runtime=claim.role.runtime,
        protected_paths=protected,
        max_change_mb=mb,
    )


def _claim(draft: Draft, world: World, task: Task, role: Role, claimer: Claimer) -> Claim:
    """A branch starts from the base of this moment, so that it has the code it depends on."""
    worker = _worker(draft, role, f"{task.id}-{task.sessions + 1}", claimer)
    task = replace(
        move(task, Trigger.CLAIMED),
        worker=worker,
        sessions=task.sessions + 1,
        base=task.base if task.head else world.base,
        not_before=None,
        reason=f"{role.name} works on it",
    )
    draft.put(task)
    draft.say(WorkerStarted(worker.order, role.name, task.id, task.round))
    return Claim(worker, role, task)


def _worker(draft: Draft, role: Role, order: str, claimer: Claimer) -> Worker:
    return Worker(
        order=order,
        role=role.name,
        wants=role.wants,
        runtime=role.runtime.name,
        run=claimer.run,
        started=draft.now,
        deadline=draft.now + timedelta(seconds=round(role.runtime.timeout_s + GRACE_S)),
        handle=claimer.handle,
    )


def _why_not(draft: Draft, world: World, task: Task, role: Role) -> str:
    """The first thing that keeps the task from starting, in the words that the board shows."""
    if task.branch in world.checked_out and role.wants is Wants.CHANGES:
        return busy(task, world)
    if task.spec_blob in world.missing:
        return f"waits for the text of {task.spec_ref}: fetch the history that holds it"
    if task.not_before and draft.now < task.not_before:
        kind = f" ({task.error.kind})" if task.error else ""
        return f"backs off until {clock(task.not_before)}{kind}"
    return _unmet(draft, task) or _held(draft, role.runtime.name) or _broke(draft)


def _unmet(draft: Draft, task: Task) -> str:
    """A dependency is met when it is merged; one that can never be met is said so."""
    for name in task.deps:
        dep = draft.tasks.get(name)
        if dep is None:
            if not is_archived(draft, name):
                return f"depends on {name}, which does not exist"
        elif dep.phase in (Phase.FAILED, Phase.CANCELLED):
            return f"depends on {name}, which is {dep.phase}"
        elif dep.open:
            return f"depends on {name}"
    return ""


def _held(draft: Draft, runtime: str) -> str:
    backoff = draft.meta.backoff.get(runtime)
    if backoff is None or draft.now >= backoff.until:
        return ""
    return f"runtime {runtime} backs off until {clock(backoff.until)} ({backoff.reason})"


def _broke(draft: Draft) -> str:
    most, spend = draft.limits.max_usd_per_day, draft.meta.spend
    today = spend.today_usd if spend.day == draft.now.date().isoformat() else 0.0
    if most is None or today < most:
        return ""
    return f"no budget left today (${today:.2f} of ${most:.2f} spent)"


def free_slots(draft: Draft) -> int:
    return draft.limits.max_workers - len(draft.done().workers())


def _agent(draft: Draft, task: Task) -> str:
    """`realign` keeps queued tasks at agent steps, so that every step here has a name."""
    step = step_at(draft.process.pipeline, task.position)
    return step.name if isinstance(step, AgentStep) else ""


def clock(at: datetime) -> str:
    """As the board shows times: day and minute in UTC, rounded up, so that it is over by then."""
    return (at + timedelta(seconds=59)).strftime("%Y-%m-%d %H:%M UTC")
