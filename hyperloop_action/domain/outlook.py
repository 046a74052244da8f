"""What will happen next if nobody does anything: told from the state alone, for loops and for
people."""

from dataclasses import dataclass
from datetime import datetime

from hyperloop_action.domain.model import Phase, SpecStatus, State, Task, Worker
from hyperloop_action.domain.spawn import clock

_CLOSED = frozenset({SpecStatus.SYNCED, SpecStatus.REMOVED})


@dataclass(frozen=True, slots=True)
class Outlook:
    """``converged``: no gap is left. ``workers`` are the sessions at work. ``wakes_at`` is when
    something backs off no longer. ``attention`` names what needs a person, ``waiting`` what else
    does not move."""

    converged: bool
    workers: tuple[Worker, ...]
    wakes_at: datetime | None
    attention: tuple[str, ...]
    waiting: tuple[str, ...]

    @property
    def live(self) -> tuple[str, ...]:
        """The orders at work."""
        return tuple(worker.order for worker in self.workers)


def outlook(state: State, now: datetime) -> Outlook:
    open_tasks = sorted((t for t in state.tasks.values() if t.open), key=lambda task: task.number)
    closed = all(entry.status in _CLOSED for entry in state.specs.values())
    return Outlook(
        converged=closed and not open_tasks,
        workers=tuple(state.workers()),
        wakes_at=_wakes_at(state, open_tasks, now),
        attention=_attention(state, open_tasks),
        waiting=(
            *_plan_waits(state, now),
            *(f"{task.id} {task.reason}" for task in open_tasks if task.phase is not Phase.WORKING),
        ),
    )


def _wakes_at(state: State, tasks: list[Task], now: datetime) -> datetime | None:
    """The earliest end of a back-off that holds somebody up; ``now`` or later."""
    held = any(task.phase is Phase.QUEUED for task in tasks) or _plans_wanted(state)
    times = [task.not_before for task in tasks if task.phase is Phase.QUEUED]
    times += [state.meta.planner.not_before] if _plans_wanted(state) else []
    times += [backoff.until for backoff in state.meta.backoff.values()] if held else []
    return min((at for at in times if at and at > now), default=None)


def _plans_wanted(state: State) -> bool:
    return any(entry.status is SpecStatus.PENDING for entry in state.specs.values())


def _plan_waits(state: State, now: datetime) -> tuple[str, ...]:
    """Specs whose plan backs off have no task yet that could say so."""
    planner = state.meta.planner
    if planner.worker or not planner.not_before or planner.not_before <= now:
        return ()
    why = f" ({planner.error.kind}: {planner.error.message})" if planner.error else ""
    return (f"pm backs off until {clock(planner.not_before)}{why}",) if _plans_wanted(state) else ()


def _attention(state: State, tasks: list[Task]) -> tuple[str, ...]:
    """Failed tasks speak through their specs: those are planned again as long as that may help. A
    gate waits for a person; so does an action that cannot go on, and what depends on work that
    will never be."""
    specs = [
        f"{path}: {entry.reason}"
        for path, entry in sorted(state.specs.items())
        if entry.status is SpecStatus.FAILED
    ]
    stuck = [f"{task.id} {task.reason}" for task in tasks if _needs_a_person(state, task)]
    return (*specs, *stuck)


def _needs_a_person(state: State, task: Task) -> bool:
    if task.phase in (Phase.WAITING, Phase.ACTING):
        return bool(task.reason)
    deps = [state.tasks[name] for name in task.deps if name in state.tasks]
    return task.phase is Phase.QUEUED and any(dep.phase is Phase.CANCELLED for dep in deps)
