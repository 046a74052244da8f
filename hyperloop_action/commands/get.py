"""The commands that read: ``get specs|tasks|events`` and ``describe spec|task``."""

import re

from hyperloop_action.commands.call import Call, Opened
from hyperloop_action.console.describe import SpecPage, TaskPage
from hyperloop_action.console.views import (
    count,
    event_values,
    events_table,
    shown_specs,
    spec_values,
    specs_table,
    task_values,
    tasks_table,
)
from hyperloop_action.domain.model import Review, State, Task
from hyperloop_action.domain.process import Process
from hyperloop_action.domain.wishes import find_spec, find_task
from hyperloop_action.errors import HyperloopError, UsageError

RECENT = 30
"""Saves of the state branch that ``get events`` looks at without ``--all``."""


def get_specs(call: Call, *, every: bool) -> int:
    app = call.open()
    state = app.ports.state.load().state
    specs = shown_specs(state, every=every)
    if call.output != "table":
        values = [spec_values(path, entry) for path, entry in specs.items()]
        call.screen.dump(values, call.output)
    elif specs:
        call.screen.show(specs_table(specs, state))
        call.note_unseen(app)
    else:
        call.note(_no_specs(app, state))
        call.note_unseen(app)
    return 0


def get_tasks(call: Call, *, every: bool) -> int:
    app = call.open()
    state = app.ports.state.load().state
    tasks = sorted(_tasks(app, state, every=every), key=lambda task: task.number)
    if call.output != "table":
        call.screen.dump([task_values(task) for task in tasks], call.output)
    elif tasks:
        call.screen.show(tasks_table(tasks))
    elif state.meta.next_task > 1:
        call.note("no task is open; those of the past: hyperloop get tasks --all")
    else:
        call.note("no task was planned yet")
    return 0


def get_events(call: Call, *, every: bool) -> int:
    app = call.open()
    commits = app.ports.state.history(limit=None if every else RECENT)
    events = event_values(commits)
    if call.output != "table":
        call.screen.dump(events, call.output)
    elif events:
        call.screen.show(events_table(events))
    else:
        call.note("nothing has happened yet")
    return 0


def describe_task(call: Call, name: str) -> int:
    app = call.open()
    state = app.ports.state.load().state
    name = find_task(state, name)
    task, reviews = _task(app, state, name)
    page = TaskPage(
        task=task,
        reviews=reviews,
        events=tuple(app.ports.state.history(grep=f"^Task-Ref: {name}$")),
        deps={dep: state.tasks[dep] for dep in task.deps if dep in state.tasks},
        process=_process(app),
        max_rounds=app.settings.max_task_rounds,
        base_branch=app.settings.base_branch,
        now=app.ports.now(),
        transcripts=tuple(app.ports.workers.transcripts(name)),
    )
    return _describe(call, page)


def describe_spec(call: Call, name: str) -> int:
    app = call.open()
    state = app.ports.state.load().state
    path = find_spec(state, name)
    tasks = [task for task in _tasks(app, state, every=True) if task.spec == path]
    page = SpecPage(
        path=path,
        entry=state.specs[path],
        state=state,
        tasks=tuple(sorted(tasks, key=lambda task: task.number)),
        events=tuple(app.ports.state.history(grep=_literally(path))),
    )
    return _describe(call, page)


def _no_specs(app: Opened, state: State) -> str:
    """Nothing was planned yet; there may be something to plan."""
    where = f"{app.settings.specs_dir}/ on {app.settings.base_branch}"
    there = len(app.ports.repository.observe(state).specs)
    if there:
        return f"{count(there, 'spec')} below {where}, not worked on yet: hyperloop run"
    return f"no spec was seen yet: commit one below {where}, then hyperloop run"


def _describe(call: Call, page: TaskPage | SpecPage) -> int:
    if call.output == "table":
        call.screen.show(page.page())
    else:
        call.screen.dump(page.values(), call.output)
    return 0


def _task(app: Opened, state: State, name: str) -> tuple[Task, tuple[Review, ...]]:
    if name in state.tasks:
        return state.tasks[name], state.reviews.get(name, ())
    archived = app.ports.state.finished(name)
    if archived is None:
        raise UsageError(
            f"{name} is neither open nor in the archive",
            hint="somebody may have removed its file: hyperloop get events --all",
        )
    return archived


def _tasks(app: Opened, state: State, *, every: bool) -> list[Task]:
    return [*(app.ports.state.archive() if every else ()), *state.tasks.values()]


def _process(app: Opened) -> Process | None:
    """A page about a task is wanted most when something is broken: it does without the drawing."""
    try:
        return app.rules().process
    except HyperloopError:
        return None


def _literally(text: str) -> str:
    """As an extended regular expression that matches nothing else."""
    return re.sub(r"([].[*+?(){}^$|\\])", r"\\\1", text)
