"""The commands by which people decide: ``approve``, ``retry``, ``cancel``. One commit each."""

from collections.abc import Callable

from hyperloop_action.commands.call import Call, Opened
from hyperloop_action.domain.model import State, Task
from hyperloop_action.domain.wishes import (
    Granted,
    approve,
    branch_moves_of,
    cancel,
    find_subject,
    find_task,
    names_task,
    retry_spec,
    retry_task,
    stands,
)
from hyperloop_action.errors import Moved, TransientError, UsageError

MAX_RACES = 8
"""Saves lost in a row to cycles that run meanwhile."""


def approve_task(call: Call, name: str) -> int:
    app = call.open()
    by = app.user()

    def wish(state: State) -> Granted:
        return approve(state, _open_task(app, state, name), by, app.ports.now())

    granted = _grant(app, wish)
    if not granted.facts:
        call.screen.show(f"{find_task(granted.state, name)} is approved already")
    return _tell(call, granted)


def cancel_task(call: Call, name: str, why: str) -> int:
    app = call.open()
    by, orders = app.user(), list[str]()

    def wish(state: State) -> Granted:
        task = _open_task(app, state, name)
        orders[:] = [task.worker.order] if task.worker else []
        return cancel(state, task, by, why)

    granted = _grant(app, wish)
    app.ports.workers.stop(orders)
    return _tell(call, granted)


def retry(call: Call, name: str) -> int:
    """``name`` is a task or a spec: whichever it fits."""
    app = call.open()
    by = app.user()

    def wish(state: State) -> Granted:
        if names_task(name):
            return retry_task(state, _open_task(app, state, name), by, app.rules().process)
        return retry_spec(state, find_subject(state, name), by)

    return _tell(call, _grant(app, wish))


def _grant(app: Opened, wish: Callable[[State], Granted]) -> Granted:
    """Save it against the state that it was wished for; where that has moved, decide anew."""
    for races in range(MAX_RACES):
        stored = app.ports.state.load()
        granted = wish(stored.state)
        if not granted.facts:
            return granted
        moves = branch_moves_of(
            stored.state, granted.state, app.ports.repository.observe(stored.state)
        )
        first, *others = [fact.line() for fact in granted.facts]
        try:
            app.ports.state.save(stored, granted.state, first, [first, *others], moves)
        except Moved:
            app.ports.pause(races)
        else:
            return granted
    raise TransientError("somebody else moved the state again and again", hint="say it once more")


def _tell(call: Call, granted: Granted) -> int:
    call.screen.show(*(fact.line() for fact in granted.facts))
    call.note("the next cycle acts on it: hyperloop run")
    return 0


def _open_task(app: Opened, state: State, name: str) -> Task:
    name = find_task(state, name)
    if name in state.tasks:
        return state.tasks[name]
    archived = app.ports.state.finished(name)
    where = stands(archived[0]) if archived else "it is gone"
    raise UsageError(
        f"{name} is archived: {where}",
        hint="to have something changed, edit its spec and commit it",
    )
