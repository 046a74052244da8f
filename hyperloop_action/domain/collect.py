"""COLLECT: fold finished sessions into their tasks, and find workers that vanished.

An answer belongs to one order id; one that no task waits for changes nothing.
"""

from datetime import datetime

from msgspec.structs import replace

from hyperloop_action.domain.draft import Draft, times
from hyperloop_action.domain.facts import (
    BranchMoved,
    RoundStarted,
    SessionEnded,
    SessionErred,
    TaskAdvanced,
    TaskCompleted,
)
from hyperloop_action.domain.model import Backoff, Phase, Position, Review, Task, Worker
from hyperloop_action.domain.orders import (
    ErrorKind,
    Result,
    SessionError,
    Usage,
    Verdict,
    Wants,
)
from hyperloop_action.domain.pipeline import (
    Trigger,
    arrive,
    failed,
    last_agent_before,
    move,
    passed,
    same_step,
    starts_a_round,
)
from hyperloop_action.domain.world import World

RUNTIME_WIDE = frozenset({ErrorKind.AUTH, ErrorKind.NO_CLI})
"""Errors that the next task would meet as well: the whole runtime backs off, not the task alone."""

ASIDE = "refs/hyperloop/aside/"
"""Where a session's commits stay when a person moved the branch meanwhile; nothing paid for is
lost."""


def collect(draft: Draft, world: World) -> None:
    for task in draft.open_tasks():
        if task.worker is None:
            adopt_branch(draft, world, task)
            continue
        result = finished(task.worker, world, draft)
        if result and result.head and task.branch in world.checked_out:
            draft.wait(task, busy(task, world))
        elif result:
            fold(draft, world, task, task.worker, result)


def finished(worker: Worker, world: World, draft: Draft) -> Result | None:
    """The result of a claimed order; a made-up ``lost`` one when its worker can no longer
    answer."""
    result = world.results.get(worker.order)
    if result or worker.order in world.alive:
        return result
    if worker.order not in world.ended and draft.now < worker.deadline:
        return None
    message = "the worker ended without leaving a result"
    if worker.order not in world.ended:
        message = "its deadline passed, and it left no result"
    lost = SessionError(kind=ErrorKind.LOST, message=message)
    return Result(order=worker.order, outcome="error", error=lost)


def fold(draft: Draft, world: World, task: Task, worker: Worker, result: Result) -> None:
    """Count what the session took, keep its commits, then act on its answer."""
    tip = world.branches.get(task.branch)
    moved_by_person = tip is not None and tip != task.head
    draft.spend(result.usage)
    task = draft.put(replace(task, usage=task.usage + _rounded(result.usage)))
    _tell(draft, task, worker, result)
    if moved_by_person:
        _set_aside(draft, task, worker, result, tip)
        return
    task = draft.put(replace(task, head=result.head or task.head))
    if result.outcome == "error":
        _errored(draft, task, worker, result)
    else:
        _answered(draft, task, worker, result)


def busy(task: Task, world: World) -> str:
    """Moving a branch under somebody's working tree would show there as a deletion."""
    place = world.checked_out[task.branch]
    return f"waits until {task.branch} is no longer checked out in {place}"


def send_back(draft: Draft, task: Task, target: Position | None, why: str) -> Task:
    """Start the next round at ``target``, or go on there where ``on_fail`` leads on; without a
    target, or past the limit, the task fails."""
    if target is None:
        return draft.give_up(task, f"{why}, and no loop encloses {task.step}")
    back = starts_a_round(task, target)
    if back:
        if task.round + 1 >= draft.limits.max_task_rounds:
            rounds = draft.limits.max_task_rounds
            return draft.give_up(task, f"{why}, in the last of {rounds} rounds (max_task_rounds)")
        task = replace(task, round=task.round + 1)
    task = draft.put(arrive(task, draft.process, target))
    started = RoundStarted(task.id, task.round, task.step, why)
    draft.say(started if back else TaskAdvanced(task.id, task.step))
    return task


def go_on(draft: Draft, task: Task) -> Task:
    """The step at which the task stands is passed. An ``on_pass`` that leads back is a round."""
    target = passed(draft.process, task.position)
    if target is not None and starts_a_round(task, target):
        return send_back(draft, task, target, f"{task.step} passed, which leads back")
    task = draft.put(arrive(task, draft.process, target))
    if task.phase is Phase.COMPLETE:
        draft.say(TaskCompleted(task.id))
    else:
        draft.say(TaskAdvanced(task.id, task.step))
    return task


def adopt_branch(draft: Draft, world: World, task: Task) -> None:
    """A person's commit on a task branch wins: go on from it, through the verifier."""
    tip = world.branches.get(task.branch)
    if tip is None or tip == task.head:
        return
    draft.say(BranchMoved(task.id, tip))
    task = replace(task, head=tip, base=task.base or world.base)
    back = last_agent_before(draft.process, task.position)
    if task.phase in (Phase.WAITING, Phase.ACTING) and back is not None:
        task = arrive(task, draft.process, back)
    draft.put(task)


def _answered(draft: Draft, task: Task, worker: Worker, result: Result) -> None:
    verdict = _verdict(worker, result)
    task = draft.put(replace(task, attempts=0, lost=0, error=None, not_before=None))
    release_runtime(draft, worker.runtime)
    if worker.wants is Wants.VERDICT or verdict is Verdict.FAIL:
        draft.review(
            Review(
                task_id=task.id,
                round=task.round,
                role=worker.role,
                verdict=verdict,
                order=worker.order,
                findings=result.detail,
            )
        )
    if not same_step(draft.process, task):
        # The process changed meanwhile: `realign` restarts it.
        draft.put(move(task, Trigger.DROPPED))
    elif verdict is Verdict.PASS:
        go_on(draft, task)
    else:
        send_back(draft, task, failed(draft.process, task.position), f"{worker.role} failed it")


def _errored(draft: Draft, task: Task, worker: Worker, result: Result) -> None:
    error = _error(result)
    why = f"{worker.role} ended with {error.kind}: goes on with the next cycle"
    task = draft.put(replace(move(task, Trigger.DROPPED), error=error, reason=why))
    if error.kind is ErrorKind.INTERRUPTED:
        return  # a person stopped the run: that says nothing about the task
    if error.kind is ErrorKind.OVERLOADED:
        hold_runtime(draft, worker.runtime, error)
        return
    if error.kind is ErrorKind.LOST:
        task, most = replace(task, lost=task.lost + 1), draft.limits.max_lost
        count = task.lost
    else:
        task, most = replace(task, attempts=task.attempts + 1), draft.limits.max_spawn_attempts
        count = task.attempts
    if count >= most:
        often = f"{error.kind} {times(count)}"
        draft.give_up(task, f"{worker.role} ended with {often}: {error.message}")
        return
    if error.kind is not ErrorKind.LOST:
        task = replace(task, not_before=draft.retry_at(count, error))
    draft.put(task)
    back_off(draft, worker.runtime, count, error)


def back_off(draft: Draft, runtime: str, attempts: int, error: SessionError) -> None:
    """Keep the other tasks from running into the same wall; each still counts its own attempts,
    since only a person can mend this."""
    if error.kind not in RUNTIME_WIDE:
        return
    _hold(draft, runtime, draft.retry_at(attempts, error), error)


def hold_runtime(draft: Draft, runtime: str, error: SessionError) -> None:
    """A provider that is down is nobody's failed attempt, however long it lasts: all wait, longer
    each time. Several sessions that met the same outage are one time."""
    before = draft.meta.backoff.get(runtime)
    waves = before.times if before else 0
    if before is None or draft.now >= before.until:
        waves += 1
    _hold(draft, runtime, draft.retry_at(waves, error), error, waves)


def release_runtime(draft: Draft, runtime: str) -> None:
    """A session went well: the trouble is over."""
    rest = {name: one for name, one in draft.meta.backoff.items() if name != runtime}
    draft.meta = replace(draft.meta, backoff=rest)


def _hold(draft: Draft, runtime: str, until: datetime, error: SessionError, waves: int = 1) -> None:
    before = draft.meta.backoff.get(runtime)
    if before and before.until >= until:
        return
    backoff = Backoff(until=until, reason=f"{error.kind}: {error.message}", times=waves)
    draft.meta = replace(draft.meta, backoff={**draft.meta.backoff, runtime: backoff})


def _tell(draft: Draft, task: Task, worker: Worker, result: Result) -> None:
    """Every session that ended is in the log with its bill, whatever becomes of its answer."""
    usage, who = result.usage, (worker.order, worker.role, task.id)
    if result.outcome == "error":
        error = _error(result)
        draft.say(SessionErred(*who, error.kind, error.message, usage.cost_usd))
    else:
        verdict = _verdict(worker, result)
        why = f"it gave no verdict: {result.error.message}" if result.error else ""
        draft.say(SessionEnded(*who, verdict, usage.cost_usd, usage.duration_s, why))


def _verdict(worker: Worker, result: Result) -> Verdict:
    silent = Verdict.FAIL if worker.wants is Wants.VERDICT else Verdict.PASS
    return result.verdict or silent


def _error(result: Result) -> SessionError:
    return result.error or SessionError(kind=ErrorKind.CRASHED, message="it gave no reason")


def _set_aside(draft: Draft, task: Task, worker: Worker, result: Result, tip: str | None) -> None:
    draft.say(BranchMoved(task.id, tip or ""))
    if result.head and result.head != task.head:
        ref = ASIDE + worker.order
        draft.refs[ref] = result.head
        note = (
            f"Somebody moved {task.branch} while this session worked. That commit stands;"
            f" the session's own commits are kept at `{ref}`."
        )
        draft.review(
            Review(
                task_id=task.id,
                round=task.round,
                role="supervisor",
                verdict=Verdict.FAIL,
                order=worker.order,
                findings=note,
            )
        )
    draft.put(replace(move(task, Trigger.DROPPED), head=tip, error=None))


def _rounded(usage: Usage) -> Usage:
    return replace(usage, duration_s=round(usage.duration_s, 1))
