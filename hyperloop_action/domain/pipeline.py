"""How a task walks: the transition table of its phases, and the paths through a process.

The only module that writes ``Task.phase``. The four phase modules decide *that* a task moves; this
one knows *where to*.
"""

from enum import StrEnum

from msgspec.structs import replace

from hyperloop_action.domain.model import Phase, Position, Task
from hyperloop_action.domain.process import (
    ActionStep,
    AgentStep,
    GateStep,
    LoopStep,
    Process,
    Step,
    describe,
    step_at,
)
from hyperloop_action.errors import IllegalTransition


class Trigger(StrEnum):
    CLAIMED = "claimed"  # an order was written for it
    DROPPED = "dropped"  # its session ended without an answer
    TO_AGENT = "to agent"
    TO_GATE = "to gate"
    TO_ACTION = "to action"
    FINISHED = "finished"  # it walked past the last step
    GAVE_UP = "gave up"  # a limit was reached, or it failed outside a loop
    CANCELLED = "cancelled"  # by a person, or because its spec is gone
    REOPENED = "reopened"  # by a person


_OPEN = (Phase.QUEUED, Phase.WORKING, Phase.WAITING, Phase.ACTING)

TRANSITIONS: dict[tuple[Phase, Trigger], Phase] = {
    (Phase.QUEUED, Trigger.CLAIMED): Phase.WORKING,
    (Phase.WORKING, Trigger.DROPPED): Phase.QUEUED,
    **{(phase, Trigger.TO_AGENT): Phase.QUEUED for phase in _OPEN},
    **{(phase, Trigger.TO_GATE): Phase.WAITING for phase in _OPEN},
    **{(phase, Trigger.TO_ACTION): Phase.ACTING for phase in _OPEN},
    **{(phase, Trigger.FINISHED): Phase.COMPLETE for phase in _OPEN if phase is not Phase.QUEUED},
    **{(phase, Trigger.GAVE_UP): Phase.FAILED for phase in _OPEN},
    **{(phase, Trigger.CANCELLED): Phase.CANCELLED for phase in (*_OPEN, Phase.FAILED)},
    (Phase.FAILED, Trigger.REOPENED): Phase.QUEUED,
    (Phase.CANCELLED, Trigger.REOPENED): Phase.QUEUED,
}


def move(task: Task, trigger: Trigger) -> Task:
    """Raises :class:`IllegalTransition` for a pair that the table does not have."""
    phase = TRANSITIONS.get((task.phase, trigger))
    if phase is None:
        raise IllegalTransition(f"{task.id} is {task.phase}: it cannot be {trigger}")
    leaves_worker = trigger is not Trigger.CLAIMED
    return replace(task, phase=phase, worker=None if leaves_worker else task.worker)


def arrive(task: Task, process: Process, position: Position | None) -> Task:
    """Put the task at ``position``; past the end it is complete. Counters of the old step start
    anew."""
    if position is None:
        return replace(move(task, Trigger.FINISHED), approval=None, reason="", not_before=None)
    step = step_at(process.pipeline, position)
    moved = move(task, _ARRIVAL[type(step)])
    return replace(
        moved,
        position=position,
        step=describe(step),
        process=process.name,
        action_attempts=0,
        approval=None,
        reason="",
    )


_ARRIVAL = {
    AgentStep: Trigger.TO_AGENT,
    GateStep: Trigger.TO_GATE,
    ActionStep: Trigger.TO_ACTION,
}


def phase_at(process: Process, position: Position) -> Phase:
    """In which phase an open task without a worker stands at this step."""
    step = step_at(process.pipeline, position)
    return TRANSITIONS[Phase.QUEUED, _ARRIVAL[type(step)]]


def first(process: Process) -> Position:
    """The first step that is not a loop."""
    return _enter(process.pipeline, ())


def passed(process: Process, position: Position) -> Position | None:
    """Where a task goes when the step at ``position`` passes; ``None`` is the end."""
    step = step_at(process.pipeline, position)
    if isinstance(step, AgentStep) and step.on_pass:
        return _sibling(process, position, step.on_pass)
    return _after(process, position)


def failed(process: Process, position: Position) -> Position | None:
    """Where the next round starts when the step at ``position`` fails; ``None``: the task fails."""
    step = step_at(process.pipeline, position)
    if isinstance(step, AgentStep) and step.on_fail:
        return _sibling(process, position, step.on_fail)
    return _enclosing_loop(process, position)


def rework(process: Process, position: Position) -> Position | None:
    """Where work is done again when a gate or an action sends a task back: the loop around it, else
    the nearest loop before it, else the nearest agent before it."""
    around = _enclosing_loop(process, position)
    if around is not None:
        return around
    siblings, index = _siblings(process, position), position[-1]
    for kind in (LoopStep, AgentStep):
        for before in reversed(range(index)):
            if isinstance(siblings[before], kind):
                return _enter(siblings[before : before + 1], position[:-1], start=before)
    return None


def last_agent_before(process: Process, position: Position) -> Position | None:
    """The agent step at or nearest before ``position``, in the order in which tasks walk."""
    walked = [at for at, step in leaves(process.pipeline) if isinstance(step, AgentStep)]
    return max((at for at in walked if at <= position), default=None)


def leaves(steps: tuple[Step, ...], prefix: Position = ()) -> list[tuple[Position, Step]]:
    """Every step that is not a loop, with its position, in order."""
    found: list[tuple[Position, Step]] = []
    for index, step in enumerate(steps):
        at = (*prefix, index)
        found += leaves(step.steps, at) if isinstance(step, LoopStep) else [(at, step)]
    return found


def same_step(process: Process, task: Task) -> bool:
    """Whether the step at the task's position is still the one that it stands at."""
    try:
        step = step_at(process.pipeline, task.position)
    except (IndexError, TypeError, AttributeError):
        return False
    return not isinstance(step, LoopStep) and describe(step) == task.step


def starts_a_round(task: Task, target: Position) -> bool:
    """Going back is a new round, so that every way to go round in circles is bounded."""
    return target <= task.position


def mermaid() -> str:
    """The table as a state diagram; CONTRIBUTING shows it, and a test keeps the two equal."""
    rows = sorted({(str(a), str(b), str(trigger)) for (a, trigger), b in TRANSITIONS.items()})
    body = "\n".join(f"    {a} --> {b}: {trigger}" for a, b, trigger in rows)
    return f"stateDiagram-v2\n    [*] --> queued\n{body}\n"


def _enter(steps: tuple[Step, ...], prefix: Position, start: int = 0) -> Position:
    at: Position = (*prefix, start)
    step = steps[0]
    while isinstance(step, LoopStep):
        at, step = (*at, 0), step.steps[0]
    return at


def _siblings(process: Process, position: Position) -> tuple[Step, ...]:
    if len(position) == 1:
        return process.pipeline
    loop = step_at(process.pipeline, position[:-1])
    return loop.steps if isinstance(loop, LoopStep) else ()


def _after(process: Process, position: Position) -> Position | None:
    while position:
        siblings, index = _siblings(process, position), position[-1] + 1
        if index < len(siblings):
            return _enter(siblings[index : index + 1], position[:-1], start=index)
        position = position[:-1]
    return None


def _enclosing_loop(process: Process, position: Position) -> Position | None:
    if len(position) == 1:
        return None
    return _enter(_siblings(process, position), position[:-1])


def _sibling(process: Process, position: Position, name: str) -> Position:
    siblings = _siblings(process, position)
    index = next(
        i for i, step in enumerate(siblings) if isinstance(step, AgentStep) and step.name == name
    )
    return (*position[:-1], index)
