"""What a person may ask of a task or a spec: approve, retry, cancel. A state in, a state out.

``commands/wish.py`` saves the outcome as one commit. What cannot be granted raises
:class:`UsageError`, which says where the task stands and what else to type.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from msgspec.structs import replace

from hyperloop_action.domain.commits import RefMove
from hyperloop_action.domain.documents import nearest
from hyperloop_action.domain.facts import (
    Fact,
    RetryOrdered,
    SpecFailed,
    TaskApproved,
    TaskCancelled,
)
from hyperloop_action.domain.model import (
    Approval,
    Phase,
    SpecEntry,
    SpecStatus,
    State,
    Task,
    task_id,
)
from hyperloop_action.domain.pipeline import (
    Trigger,
    arrive,
    failed,
    first,
    last_agent_before,
    move,
    rework,
    same_step,
    starts_a_round,
)
from hyperloop_action.domain.process import AgentStep, Process, step_at
from hyperloop_action.domain.world import World
from hyperloop_action.errors import UsageError


@dataclass(frozen=True, slots=True)
class Granted:
    """``facts`` is empty when the state was as wished already."""

    state: State
    facts: tuple[Fact, ...]


def approve(state: State, task: Task, by: str, now: datetime) -> Granted:
    """Let the task pass the gate at which it waits, with the commit that it has now."""
    if task.phase is not Phase.WAITING:
        raise UsageError(f"{task.id} waits at no gate: {stands(task)}", hint=_look(task))
    gate, head = task.step.removeprefix("gate "), task.head or task.base or ""
    before = task.approval
    if before and (before.gate, before.head) == (gate, head):
        return Granted(state, ())
    approval = Approval(gate=gate, head=head, by=by, at=now)
    reason = f"approved by {by}: goes on with the next cycle"
    task = replace(task, approval=approval, reason=reason)
    return Granted(_with_task(state, task), (TaskApproved(task.id, gate, by),))


def cancel(state: State, task: Task, by: str, why: str = "") -> Granted:
    """End the task. Its spec then needs a person, or the next cycle would plan the same again."""
    if task.phase in (Phase.COMPLETE, Phase.CANCELLED):
        raise UsageError(f"{task.id} cannot be cancelled: {stands(task)}", hint=_look(task))
    reason = f"cancelled by {by}" + (f": {why}" if why else "")
    facts: list[Fact] = [TaskCancelled(task.id, f"{why} ({by})" if why else f"{by} said so")]
    ended = replace(move(task, Trigger.CANCELLED), reason=reason, not_before=None, approval=None)
    state, entry = _with_task(state, ended), state.specs.get(task.spec)
    if entry and _is_current(task, entry) and entry.status in _UNPLANNED:
        failed_since = f"{task.id} was {reason}"
        facts.append(SpecFailed(task.spec, failed_since))
        entry = replace(entry, status=SpecStatus.FAILED, reason=failed_since)
        state = _with_spec(state, task.spec, entry)
    return Granted(state, tuple(facts))


def retry_task(state: State, task: Task, by: str, process: Process) -> Granted:
    """Try a failed or cancelled task again, or end the back-off of a queued one."""
    if task.phase is Phase.QUEUED and _backs_off(state, task):
        task = replace(task, not_before=None, attempts=0, lost=0, reason="")
        state = _with_task(state, task)
    elif task.phase in (Phase.FAILED, Phase.CANCELLED):
        _refuse_replaced(state, task)
        state = _with_task(state, _reopened(task, process))
        entry = state.specs[task.spec]
        if _is_current(task, entry) and entry.status in _UNPLANNED:
            entry = replace(entry, status=SpecStatus.RECONCILING, reason="")
            state = _with_spec(state, task.spec, entry)
    else:
        raise UsageError(f"{task.id} cannot be retried: {stands(task)}", hint=_look(task))
    return Granted(_without_backoff(state), (RetryOrdered(task.id, by),))


def retry_spec(state: State, path: str, by: str) -> Granted:
    """Plan a failed spec again, with all its attempts; or end the back-off of the pm."""
    entry, planner = state.specs[path], state.meta.planner
    rests = planner.not_before is not None or bool(state.meta.backoff)
    if entry.status is SpecStatus.FAILED:
        entry = replace(entry, status=SpecStatus.PENDING, attempts=0, reason="")
    elif entry.status is not SpecStatus.PENDING or not rests:
        raise UsageError(
            f"{path} cannot be retried: it is {entry.status}",
            expected="a spec that has failed",
            hint=_INSTEAD.get(entry.status, f"look at it: hyperloop describe spec {path}"),
        )
    planner = replace(planner, attempts=0, lost=0, not_before=None)
    state = replace(state, meta=replace(state.meta, planner=planner))
    state = _without_backoff(_with_spec(state, path, entry))
    return Granted(state, (RetryOrdered(path, by),))


def branch_moves_of(before: State, after: State, world: World) -> tuple[RefMove, ...]:
    """What becomes of the branches: that of a cancelled task goes, that of a reopened one is there
    again. A branch that a person moved or has checked out is left alone."""
    moves = []
    for name, task in after.tasks.items():
        was, tip = before.tasks[name], world.branches.get(task.branch)
        ref = f"refs/heads/{task.branch}"
        if was.phase is task.phase or task.branch in world.checked_out:
            continue
        if task.phase is Phase.CANCELLED and tip and tip == task.head:
            moves.append(RefMove(ref, tip, None))
        elif not was.open and task.open and task.head and tip is None:
            moves.append(RefMove(ref, None, task.head))
    return tuple(moves)


def find_task(state: State, name: str) -> str:
    """The id that is meant: ``task-007``, ``task-7`` and ``7`` are the same. It may be archived.
    Raises :class:`UsageError` for one that never was."""
    digits = _TASK.fullmatch(name)
    if digits and 0 < int(digits[1]) < state.meta.next_task:
        return task_id(int(digits[1]))
    raise UsageError(
        f"there is no task {name}", hint=_names(name, state.tasks, "hyperloop get tasks")
    )


def find_spec(state: State, name: str) -> str:
    """The path that is meant: ``auth`` and ``auth.md`` are ``specs/auth.md`` where that is the only
    one. Raises :class:`UsageError`."""
    if name in state.specs:
        return name
    ends = (f"/{name}", f"/{name}.md")
    found = [path for path in state.specs if path == f"{name}.md" or path.endswith(ends)]
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(f"{name} may be {' or '.join(sorted(found))}", hint="say which")
    raise UsageError(
        f"there is no spec {name}", hint=_names(name, state.specs, "hyperloop get specs")
    )


def names_task(name: str) -> bool:
    """Whether a name is that of a task, there or not; anything else is taken for a spec."""
    return _TASK.fullmatch(name) is not None


def find_subject(state: State, name: str) -> str:
    """The spec that is meant, where a task might have been named as well."""
    try:
        return find_spec(state, name)
    except UsageError as error:
        if not error.what.startswith("there is no"):
            raise
        hint = _names(name, [*state.specs, *state.tasks], "hyperloop get specs")
        raise UsageError(f"there is no task or spec {name}", hint=hint) from error


def stands(task: Task) -> str:
    """Where a task stands, in words: ``it is failed: 3 rounds``, ``it is at agent verifier``."""
    why = f": {task.reason}" if task.reason else ""
    if task.phase is Phase.COMPLETE:
        return "it is complete, its work is merged"
    return f"it is {task.phase}{why}" if not task.open else f"it is at {task.step}{why}"


_TASK = re.compile(r"(?:task-)?(\d{1,9})", re.ASCII)

_UNPLANNED = frozenset({SpecStatus.PENDING, SpecStatus.RECONCILING, SpecStatus.FAILED})
"""No pm works on it: what a task says about its spec is the last word."""

_INSTEAD = {
    SpecStatus.SYNCED: "there is no gap; to change what is built, edit the spec and commit it",
    SpecStatus.REMOVED: "the file is gone; commit it again to have it built",
}


def _reopened(task: Task, process: Process) -> Task:
    """An error is tried again where it happened; a verdict sends the work back to be done again."""
    fresh = replace(move(task, Trigger.REOPENED), attempts=0, lost=0, conflicts=0, not_before=None)
    target = _where_again(task, process)
    judged = task.error is None and task.phase is Phase.FAILED and same_step(process, task)
    if judged and starts_a_round(task, target):
        fresh = replace(fresh, round=task.round + 1)
    return replace(arrive(fresh, process, target), error=None)


def _where_again(task: Task, process: Process) -> tuple[int, ...]:
    if not same_step(process, task):
        return first(process)
    at = task.position
    if not isinstance(step_at(process.pipeline, at), AgentStep):
        return rework(process, at) or last_agent_before(process, at) or first(process)
    if task.error or task.phase is Phase.CANCELLED:
        return at
    return failed(process, at) or at


def _refuse_replaced(state: State, task: Task) -> None:
    """Work that a newer plan took over must not be done twice."""
    entry = state.specs.get(task.spec)
    if entry is None or entry.status is SpecStatus.REMOVED:
        raise UsageError(f"{task.id} cannot be retried: {task.spec} was removed")
    if entry.status is SpecStatus.PLANNING:
        raise UsageError(
            f"{task.id} cannot be retried: {task.spec} is being planned again at this moment",
            hint="see what the plan puts in its place: hyperloop get tasks",
        )
    if not _is_current(task, entry):
        raise UsageError(
            f"{task.id} cannot be retried: a newer plan of {task.spec} took its place",
            hint=f"see its tasks: hyperloop describe spec {task.spec}",
        )


def _is_current(task: Task, entry: SpecEntry) -> bool:
    return task.plan == entry.plan and task.spec_blob == entry.blob


def _backs_off(state: State, task: Task) -> bool:
    return task.not_before is not None or bool(state.meta.backoff)


def _without_backoff(state: State) -> State:
    """A person who says "now" has looked at the trouble: no runtime rests any longer."""
    return replace(state, meta=replace(state.meta, backoff={}))


def _with_task(state: State, task: Task) -> State:
    return replace(state, tasks={**state.tasks, task.id: task})


def _with_spec(state: State, path: str, entry: SpecEntry) -> State:
    return replace(state, specs={**state.specs, path: entry})


def _look(task: Task) -> str:
    return f"look at it: hyperloop describe task {task.id}"


def _names(name: str, known: Iterable[str], command: str) -> str:
    return nearest(name, known) or f"see them all: {command}"
