"""INTAKE: order a plan for the gaps, and turn the pm's proposals into tasks.

A plan that breaks a rule goes back to the pm once, with the reasons; the second time it has failed.
"""

from typing import Literal

from msgspec.structs import replace

from hyperloop_action.domain.collect import back_off, finished, hold_runtime, release_runtime
from hyperloop_action.domain.draft import Draft, times
from hyperloop_action.domain.facts import (
    PlanRefused,
    SessionEnded,
    SessionErred,
    TaskPlanned,
)
from hyperloop_action.domain.ledger import fail_spec, failed_tasks, sync
from hyperloop_action.domain.model import (
    Phase,
    Planner,
    SpecEntry,
    SpecStatus,
    Task,
    Worker,
    task_id,
)
from hyperloop_action.domain.orders import (
    ErrorKind,
    Proposal,
    Result,
    SessionError,
    SpecToPlan,
)
from hyperloop_action.domain.pipeline import first
from hyperloop_action.domain.process import describe, step_at
from hyperloop_action.domain.proposals import problems_of, successors
from hyperloop_action.domain.spec_texts import refuse_size
from hyperloop_action.domain.world import World

NOBODYS_FAULT = frozenset({ErrorKind.INTERRUPTED, ErrorKind.OVERLOADED})
"""A person stopped the run, or the provider was down: no attempt is counted."""

MAX_SPECS_PER_PLAN = 20
"""More go into the next plan: a prompt has an end."""


def collect_plan(draft: Draft, world: World) -> None:
    """Fold the pm's result, if there is one."""
    planner = draft.meta.planner
    if planner.worker is None:
        return
    result = finished(planner.worker, world, draft)
    if result is None:
        return
    draft.spend(result.usage)
    if result.outcome == "error" or result.proposals is None:
        _errored(draft, planner, planner.worker, result)
        return
    usage = result.usage
    draft.say(
        SessionEnded(
            planner.worker.order,
            planner.worker.role,
            None,
            f"proposes {len(result.proposals)}",
            usage.cost_usd,
            usage.duration_s,
        )
    )
    release_runtime(draft, planner.worker.runtime)
    _judge(draft, planner, result.proposals)


def find_gaps(draft: Draft, world: World) -> None:
    """Mark what has to be planned: failed tasks as well as new text. Nothing is ordered here."""
    for path, entry in list(draft.specs.items()):
        if entry.status is SpecStatus.RECONCILING:
            _find_gap(draft, path)
        if draft.specs[path].status is SpecStatus.PENDING:
            refuse_size(draft, world, path)


def specs_to_plan(draft: Draft) -> tuple[SpecToPlan, ...]:
    """What the next plan would be about; empty while a pm works, or rests after an error."""
    planner = draft.meta.planner
    resting = planner.not_before is not None and draft.now < planner.not_before
    if planner.worker or resting:
        return ()
    pending = [p for p, e in sorted(draft.specs.items()) if e.status is SpecStatus.PENDING]
    return tuple(_to_plan(draft, path) for path in pending[:MAX_SPECS_PER_PLAN])


def claim_plan(draft: Draft, worker: Worker, specs: tuple[SpecToPlan, ...]) -> None:
    """Attempts are counted when the money is committed, so that no crash forgets one."""
    planner = draft.meta.planner
    excused = planner.error is not None and planner.error.kind in NOBODYS_FAULT
    again = bool(planner.refusal) or planner.attempts or planner.lost or excused
    for spec in specs:
        entry = draft.specs[spec.path]
        attempts = entry.attempts if again and entry.attempts else entry.attempts + 1
        draft.specs[spec.path] = replace(entry, status=SpecStatus.PLANNING, attempts=attempts)
    failed = tuple(
        task.id
        for spec in specs
        for task in _of_plan(draft, spec.path)
        if task.phase in (Phase.FAILED, Phase.CANCELLED)
    )
    sessions = planner.sessions + 1
    planner = replace(planner, worker=worker, specs=specs, failed=failed, sessions=sessions)
    draft.meta = replace(draft.meta, planner=planner)


def _judge(draft: Draft, planner: Planner, proposals: tuple[Proposal, ...]) -> None:
    problems = problems_of(draft, proposals)
    if not problems:
        _accept(draft, planner, proposals)
        return
    reason = "; ".join(problems)
    draft.say(PlanRefused(reason))
    if planner.refusal:
        why = f"the plan was refused twice: {reason}"
        _end_plan(draft, planner, why, refusal="")
    else:
        _release(draft, planner, f"the plan was refused: {reason}")
        again = Planner(sessions=planner.sessions, refusal=reason)
        draft.meta = replace(draft.meta, planner=again)


def _accept(draft: Draft, planner: Planner, answer: tuple[Proposal, ...]) -> None:
    """A spec that was removed meanwhile gets no tasks, and nothing waits for them."""
    live = {path for path, entry in draft.specs.items() if entry.status is not SpecStatus.REMOVED}
    planned = {spec.path: spec for spec in planner.specs if spec.path in live}
    proposals = tuple(proposal for proposal in answer if proposal.spec in planned)
    first_id = draft.meta.next_task
    ids = {proposal.key: task_id(first_id + index) for index, proposal in enumerate(proposals)}
    replaced = successors(draft, proposals, ids)
    for path in planned:
        _begin_plan(draft, planner, path)
    for proposal in proposals:
        _add_task(draft, proposal, ids, planned[proposal.spec])
    _inherit_dependents(draft, replaced)
    draft.meta = replace(
        draft.meta,
        next_task=first_id + len(proposals),
        planner=Planner(sessions=planner.sessions),
    )
    for spec in planned.values():
        _settle_planned(draft, spec)


def _begin_plan(draft: Draft, planner: Planner, path: str) -> None:
    """What the pm did not replace belongs to the new plan too: open tasks, and those that failed
    while it worked. Else nobody would miss what they were to build."""
    kept = [task for task in failed_tasks(draft, path) if task.id not in planner.failed]
    kept += [task for task in draft.tasks.values() if task.open and task.spec == path]
    entry = draft.specs[path]
    draft.specs[path] = replace(entry, plan=entry.plan + 1)
    for task in kept:
        draft.put(replace(task, plan=entry.plan + 1))


def _add_task(draft: Draft, proposal: Proposal, ids: dict[str, str], spec: SpecToPlan) -> None:
    position = first(draft.process)
    known = (ids.get(dep, dep) for dep in proposal.deps)
    # An id that is not among the open tasks is archived: its work is merged, the dependency met.
    deps = tuple(dep for dep in known if dep in draft.tasks or dep in ids.values())
    name = ids[proposal.key]
    task = Task(
        id=name,
        title=proposal.title.strip(),
        spec_ref=f"{spec.path}@{spec.commit}",
        phase=Phase.QUEUED,
        deps=deps,
        branch=f"{draft.limits.branch_prefix}{name}",
        step=describe(step_at(draft.process.pipeline, position)),
        position=position,
        process=draft.process.name,
        plan=draft.specs[spec.path].plan,
        spec_blob=spec.blob,
        covers=proposal.covers,
        description=proposal.description.strip(),
    )
    draft.put(task)
    draft.say(TaskPlanned(name, task.title, spec.path, deps))


def _settle_planned(draft: Draft, spec: SpecToPlan) -> None:
    """A text that changed while it was planned stays pending; one that needs no task is synced."""
    entry = draft.specs[spec.path]
    if entry.status is not SpecStatus.PLANNING:
        return
    draft.specs[spec.path] = replace(entry, status=SpecStatus.RECONCILING, reason="")
    if not _of_plan(draft, spec.path):
        sync(draft, spec.path)


def _of_plan(draft: Draft, path: str) -> list[Task]:
    plan = draft.specs[path].plan
    return [task for task in draft.tasks.values() if task.spec == path and task.plan == plan]


def _inherit_dependents(draft: Draft, replaced: dict[str, tuple[str, ...]]) -> None:
    """A dependency follows the work: what waited for a task that failed or was cancelled waits for
    those in its place."""
    for task in draft.open_tasks():
        if not any(dep in replaced for dep in task.deps):
            continue
        moved = [new for dep in task.deps for new in replaced.get(dep, (dep,))]
        deps = tuple(dict.fromkeys(dep for dep in moved if dep != task.id))
        draft.put(replace(task, deps=deps))


def _errored(draft: Draft, planner: Planner, worker: Worker, result: Result) -> None:
    error = result.error or SessionError(kind=ErrorKind.BAD_ANSWER, message="it proposed nothing")
    draft.say(
        SessionErred(
            worker.order, worker.role, None, error.kind, error.message, result.usage.cost_usd
        )
    )
    vanished, excused = error.kind is ErrorKind.LOST, error.kind in NOBODYS_FAULT
    lost = planner.lost + vanished
    attempts = planner.attempts + (not vanished and not excused)
    planner = replace(planner, lost=lost, attempts=attempts, error=error)
    if attempts >= draft.limits.max_spawn_attempts or lost >= draft.limits.max_lost:
        often = f"{error.kind} {times(lost if vanished else attempts)}"
        why = f"{worker.role} ended with {often}: {error.message}"
        _end_plan(draft, planner, why, refusal="", final=True)
        return
    rest = None if vanished or excused else draft.retry_at(attempts, error)
    _release(draft, planner, f"{worker.role} ended with {error.kind}: {error.message}")
    draft.meta = replace(
        draft.meta, planner=replace(planner, worker=None, specs=(), not_before=rest)
    )
    if error.kind is ErrorKind.OVERLOADED:
        hold_runtime(draft, worker.runtime, error)
    elif rest:
        back_off(draft, worker.runtime, attempts, error)


def _end_plan(
    draft: Draft, planner: Planner, why: str, *, refusal: str, final: bool = False
) -> None:
    """This plan came to nothing: its specs are planned again while attempts are left."""
    for spec in planner.specs:
        entry = draft.specs.get(spec.path)
        if entry is None or entry.status is not SpecStatus.PLANNING:
            continue
        if final or entry.attempts >= draft.limits.max_spec_attempts:
            fail_spec(draft, spec.path, why)
        else:
            draft.specs[spec.path] = replace(entry, status=SpecStatus.PENDING, reason=why)
    kept = Planner(sessions=planner.sessions, refusal=refusal, error=planner.error)
    draft.meta = replace(draft.meta, planner=kept)


def _release(draft: Draft, planner: Planner, why: str) -> None:
    """The reason stands on the spec until its next plan is accepted, for those who look at it."""
    for spec in planner.specs:
        entry = draft.specs.get(spec.path)
        if entry and entry.status is SpecStatus.PLANNING:
            reason = f"planned again, since {why}"
            draft.specs[spec.path] = replace(entry, status=SpecStatus.PENDING, reason=reason)


def _find_gap(draft: Draft, path: str) -> None:
    """What the current plan of a spec will not close, although nobody works on more of it."""
    tasks = _of_plan(draft, path)
    failed = ", ".join(task.id for task in failed_tasks(draft, path))
    cancelled = ", ".join(task.id for task in tasks if task.phase is Phase.CANCELLED)
    if failed:
        _plan_again(draft, path, f"{failed} failed")
    elif not tasks:
        _plan_again(draft, path, "its tasks are gone")
    elif cancelled and not any(task.open for task in tasks):
        fail_spec(draft, path, f"{cancelled} was cancelled, and nothing else closes the gap")


def _plan_again(draft: Draft, path: str, why: str) -> None:
    entry = draft.specs[path]
    if entry.attempts >= draft.limits.max_spec_attempts:
        plans = f"{entry.attempts} plan{'s' if entry.attempts > 1 else ''}"
        fail_spec(draft, path, f"{plans} did not close the gap; at last {why}")
    else:
        pending = replace(entry, status=SpecStatus.PENDING, reason=f"planned again, since {why}")
        draft.specs[path] = pending


def _to_plan(draft: Draft, path: str) -> SpecToPlan:
    entry = draft.specs[path]
    return SpecToPlan(
        path=path, commit=entry.commit, blob=entry.blob, change=_change(draft, path, entry)
    )


def _change(draft: Draft, path: str, entry: SpecEntry) -> Literal["new", "changed", "failed"]:
    if any(task.spec_blob == entry.blob for task in failed_tasks(draft, path)):
        return "failed"  # of an older text: what failed may no longer be wanted
    return "changed" if entry.synced_blob else "new"
