"""INTAKE: order a plan for the gaps, and turn the pm's proposals into tasks.

A plan that breaks a rule goes back to the pm once, with the reasons; the second time it has failed.
"""

from graphlib import CycleError, TopologicalSorter
from typing import Literal

from msgspec.structs import replace

from hyperloop_action.domain.collect import back_off, finished
from hyperloop_action.domain.draft import Draft
from hyperloop_action.domain.facts import (
    PlanRefused,
    SessionEnded,
    SessionErred,
    SpecFailed,
    TaskPlanned,
)
from hyperloop_action.domain.ledger import failed_tasks, sync
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
from hyperloop_action.domain.world import World

MAX_SPECS_PER_PLAN = 20
"""More go into the next plan: a prompt has an end."""

MAX_SPEC_BYTES = 256 * 1024
"""What still leaves room for work in an agent's context; a longer spec should be several."""


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
    _judge(draft, planner, result.proposals)


def find_gaps(draft: Draft, world: World) -> None:
    """Mark what has to be planned: failed tasks as well as new text. Nothing is ordered here."""
    for path, entry in list(draft.specs.items()):
        if entry.status is SpecStatus.RECONCILING and failed_tasks(draft, path):
            _plan_again(draft, path)
        if draft.specs[path].status is SpecStatus.PENDING:
            _refuse_unreadable(draft, world, path)


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
    again = bool(planner.refusal) or planner.attempts or planner.lost
    for spec in specs:
        entry = draft.specs[spec.path]
        attempts = entry.attempts if again and entry.attempts else entry.attempts + 1
        draft.specs[spec.path] = replace(entry, status=SpecStatus.PLANNING, attempts=attempts)
    planner = replace(planner, worker=worker, specs=specs, sessions=planner.sessions + 1)
    draft.meta = replace(draft.meta, planner=planner)


def problems_of(draft: Draft, proposals: tuple[Proposal, ...]) -> list[str]:
    """Every rule that the proposals break, in words for the pm."""
    planner = draft.meta.planner
    problems = [
        *_field_problems(proposals, {spec.path for spec in planner.specs}),
        *_dep_problems(draft, proposals),
        *_uncovered(draft, proposals, planner.specs),
    ]
    return problems or _cycle_problems(draft, proposals)


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
        _release(draft, planner)
        draft.meta = replace(
            draft.meta, planner=replace(planner, worker=None, specs=(), refusal=reason)
        )


def _accept(draft: Draft, planner: Planner, proposals: tuple[Proposal, ...]) -> None:
    ids = {
        proposal.key: task_id(draft.meta.next_task + index)
        for index, proposal in enumerate(proposals)
    }
    planned = {spec.path: spec for spec in planner.specs}
    successors = _successors(draft, planned, proposals, ids)
    for path in planned:
        if path in draft.specs:
            draft.specs[path] = replace(draft.specs[path], plan=draft.specs[path].plan + 1)
    for proposal in proposals:
        _add_task(draft, proposal, ids, planned[proposal.spec])
    draft.meta = replace(
        draft.meta,
        next_task=draft.meta.next_task + len(proposals),
        planner=Planner(sessions=planner.sessions),
    )
    _inherit_dependents(draft, successors)
    for path, spec in planned.items():
        _settle_planned(draft, spec, has_tasks=any(p.spec == path for p in proposals))


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


def _settle_planned(draft: Draft, spec: SpecToPlan, *, has_tasks: bool) -> None:
    """A text that changed while it was planned stays pending; one that needs no task is synced."""
    entry = draft.specs.get(spec.path)
    if entry is None or entry.status is not SpecStatus.PLANNING:
        return
    draft.specs[spec.path] = replace(entry, status=SpecStatus.RECONCILING, reason="")
    working = any(task.open and task.spec == spec.path for task in draft.tasks.values())
    if not has_tasks and not working:
        sync(draft, spec.path)


def _successors(
    draft: Draft,
    planned: dict[str, SpecToPlan],
    proposals: tuple[Proposal, ...],
    ids: dict[str, str],
) -> dict[str, tuple[str, ...]]:
    """Failed task -> the tasks planned in its place: those of the same spec in this answer."""
    return {
        task.id: tuple(ids[p.key] for p in proposals if p.spec == path)
        for path in planned
        if path in draft.specs
        for task in failed_tasks(draft, path)
    }


def _inherit_dependents(draft: Draft, successors: dict[str, tuple[str, ...]]) -> None:
    """A dependency follows the work: what waited for a failed task waits for those in its place."""
    for task in draft.open_tasks():
        if not any(dep in successors for dep in task.deps):
            continue
        moved = [new for dep in task.deps for new in successors.get(dep, (dep,))]
        deps = tuple(dict.fromkeys(dep for dep in moved if dep != task.id))
        draft.put(replace(task, deps=deps))


def _errored(draft: Draft, planner: Planner, worker: Worker, result: Result) -> None:
    error = result.error or SessionError(kind=ErrorKind.BAD_ANSWER, message="it proposed nothing")
    draft.say(
        SessionErred(
            worker.order, worker.role, None, error.kind, error.message, result.usage.cost_usd
        )
    )
    vanished = error.kind is ErrorKind.LOST
    stopped = error.kind is ErrorKind.INTERRUPTED
    lost = planner.lost + vanished
    attempts = planner.attempts + (not vanished and not stopped)
    planner = replace(planner, lost=lost, attempts=attempts, error=error)
    if attempts >= draft.limits.max_spawn_attempts or lost >= draft.limits.max_lost:
        times = lost if vanished else attempts
        why = f"{worker.role} ended with {error.kind} {times} times: {error.message}"
        _end_plan(draft, planner, why, refusal="", final=True)
        return
    rest = None if vanished or stopped else draft.retry_at(attempts, error)
    _release(draft, planner)
    draft.meta = replace(
        draft.meta, planner=replace(planner, worker=None, specs=(), not_before=rest)
    )
    if rest:
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


def _release(draft: Draft, planner: Planner) -> None:
    for spec in planner.specs:
        entry = draft.specs.get(spec.path)
        if entry and entry.status is SpecStatus.PLANNING:
            draft.specs[spec.path] = replace(entry, status=SpecStatus.PENDING)


def fail_spec(draft: Draft, path: str, reason: str) -> None:
    draft.say(SpecFailed(path, reason))
    draft.specs[path] = replace(draft.specs[path], status=SpecStatus.FAILED, reason=reason)


def _plan_again(draft: Draft, path: str) -> None:
    entry = draft.specs[path]
    names = ", ".join(task.id for task in failed_tasks(draft, path))
    if entry.attempts >= draft.limits.max_spec_attempts:
        plans = f"{entry.attempts} plan{'s' if entry.attempts > 1 else ''}"
        fail_spec(draft, path, f"{plans} did not close the gap; {names} failed last")
    else:
        draft.specs[path] = replace(
            entry, status=SpecStatus.PENDING, reason=f"planned again, since {names} failed"
        )


def _refuse_unreadable(draft: Draft, world: World, path: str) -> None:
    seen = world.specs.get(path)
    if seen is None:
        return
    if seen.size == 0:
        fail_spec(draft, path, "the file is empty: write what should be true, then commit it")
    elif seen.size > MAX_SPEC_BYTES:
        size, most = seen.size / 1024 / 1024, MAX_SPEC_BYTES // 1024
        why = f"the file has {size:.1f} MB, more than the {most} KB that fit a prompt: split it"
        fail_spec(draft, path, why)


def _to_plan(draft: Draft, path: str) -> SpecToPlan:
    entry = draft.specs[path]
    return SpecToPlan(
        path=path, commit=entry.commit, blob=entry.blob, change=_change(draft, path, entry)
    )


def _change(draft: Draft, path: str, entry: SpecEntry) -> Literal["new", "changed", "failed"]:
    if failed_tasks(draft, path):
        return "failed"
    return "changed" if entry.synced_blob else "new"


def _field_problems(proposals: tuple[Proposal, ...], specs: set[str]) -> list[str]:
    problems, keys, titles = [], set[str](), set[tuple[str, str]]()
    for proposal in proposals:
        name = f"proposal {proposal.key!r}"
        if not proposal.title.strip() or not proposal.description.strip():
            problems.append(f"{name} has no title or no description")
        if proposal.spec not in specs:
            asked = ", ".join(sorted(specs))
            problems.append(f"{name} is for {proposal.spec!r}, which was not asked for ({asked})")
        if proposal.key in keys:
            problems.append(f"the key {proposal.key!r} stands twice")
        title = (proposal.spec, " ".join(proposal.title.lower().split()))
        if title in titles:
            problems.append(f"{name} repeats the title {proposal.title!r}")
        keys.add(proposal.key)
        titles.add(title)
    return problems


def _dep_problems(draft: Draft, proposals: tuple[Proposal, ...]) -> list[str]:
    keys = {proposal.key for proposal in proposals}
    return [
        f"proposal {proposal.key!r} depends on {dep!r}, which {why}"
        for proposal in proposals
        for dep in proposal.deps
        if dep not in keys and (why := _unusable(draft, dep))
    ]


def _unusable(draft: Draft, dep: str) -> str:
    task = draft.tasks.get(dep)
    if task:
        gone = task.phase in (Phase.FAILED, Phase.CANCELLED)
        return f"is {task.phase}" if gone else ""
    prefix, _, number = dep.rpartition("-")
    known = prefix == "task" and number.isdecimal() and 0 < int(number) < draft.meta.next_task
    return "" if known else "is neither a key of this answer nor a task"


def _uncovered(
    draft: Draft, proposals: tuple[Proposal, ...], specs: tuple[SpecToPlan, ...]
) -> list[str]:
    """A failed task needs something in its place: silence would call the spec synced."""
    planned = {proposal.spec for proposal in proposals}
    return [
        f"{spec.path} has failed tasks, and nothing is proposed in their place"
        for spec in specs
        if spec.change == "failed" and spec.path not in planned and spec.path in draft.specs
    ]


def _cycle_problems(draft: Draft, proposals: tuple[Proposal, ...]) -> list[str]:
    keys = {proposal.key: f"\0{proposal.key}" for proposal in proposals}
    planned = {spec.path: spec for spec in draft.meta.planner.specs}
    successors = _successors(draft, planned, proposals, keys)
    graph = {keys[p.key]: {keys.get(dep, dep) for dep in p.deps} for p in proposals}
    for task in draft.open_tasks():
        graph[task.id] = {new for dep in task.deps for new in successors.get(dep, (dep,))}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        names = " -> ".join(str(name).lstrip("\0") for name in error.args[1])
        return [f"the dependencies go round in a circle: {names}"]
    return []


def refuse_blank(
    draft: Draft, specs: tuple[SpecToPlan, ...], texts: dict[str, bytes]
) -> tuple[SpecToPlan, ...]:
    """The specs whose text (by blob) a pm can work with; the others fail until somebody edits
    them."""
    usable = []
    for spec in specs:
        why = _unreadable(texts[spec.blob])
        if why:
            fail_spec(draft, spec.path, why)
        else:
            usable.append(spec)
    return tuple(usable)


def _unreadable(text: bytes) -> str:
    try:
        blank = not text.decode("utf-8").strip()
    except UnicodeDecodeError as error:
        return f"the file is not UTF-8 text (byte {error.start}): save it as UTF-8, then commit it"
    return "the file has no text: write what should be true, then commit it" if blank else ""
