"""The status board: the ``README.md`` that a person sees on opening the state branch.

A pure function of the state, so an unchanged state never writes a new board.
"""

from hyperloop_action.domain.model import SpecEntry, SpecStatus, State, Task

_HEADINGS = {
    SpecStatus.PENDING: "waits for a plan",
    SpecStatus.PLANNING: "is being planned",
    SpecStatus.RECONCILING: "in work",
    SpecStatus.SYNCED: "synced",
    SpecStatus.FAILED: "needs a person",
    SpecStatus.REMOVED: "removed",
}


def render_board(state: State) -> str:
    parts = [
        "# hyperloop",
        "",
        _headline(state),
        "",
        *_specs(state),
        *_tasks(state),
        *_spend(state),
    ]
    return "\n".join(parts).rstrip() + "\n"


def cell(text: str) -> str:
    """What an agent or a file name says must not break the table or draw anything else in it."""
    flat = " ".join(text.split())
    for char in "\\`*_[]<>|":
        flat = flat.replace(char, f"\\{char}")
    return flat


def _headline(state: State) -> str:
    live = [e for e in state.specs.values() if e.status is not SpecStatus.REMOVED]
    synced = sum(e.status is SpecStatus.SYNCED for e in live)
    open_tasks = sum(task.open for task in state.tasks.values())
    tasks = f"{open_tasks} open task{'' if open_tasks == 1 else 's'}"
    return f"**{synced} of {len(live)} specs synced**, {tasks}, cycle {state.meta.cycle}."


def _specs(state: State) -> list[str]:
    if not state.specs:
        return []
    rows = [_spec_row(path, entry) for path, entry in sorted(state.specs.items())]
    return ["| spec | state | version |", "|---|---|---|", *rows, ""]


def _spec_row(path: str, entry: SpecEntry) -> str:
    why = f": {entry.reason}" if entry.reason else ""
    return f"| {cell(path)} | {cell(_HEADINGS[entry.status] + why)} | {entry.commit[:12]} |"


def _tasks(state: State) -> list[str]:
    tasks = sorted(state.tasks.values(), key=lambda task: task.number)
    if not tasks:
        return []
    head = "| task | title | state | round | cost | why it stands there |"
    return [head, "|---|---|---|---|---|---|", *(_task_row(task) for task in tasks), ""]


def _task_row(task: Task) -> str:
    where = task.step if task.open else task.status.value
    link = f"[{task.id}](tasks/{task.id}.md)"
    cost = f"${task.usage.cost_usd:.2f}"
    cells = (cell(task.title), cell(where), str(task.round), cost, cell(task.reason))
    return f"| {link} | {' | '.join(cells)} |"


def _spend(state: State) -> list[str]:
    spend = state.meta.spend
    if not spend.total_usd:
        return []
    return [f"Spent ${spend.total_usd:.2f} in all, ${spend.today_usd:.2f} on {spend.day}."]
