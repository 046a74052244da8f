"""Where the branches of tasks must point after a cycle; these moves go atomically with the save."""

from hyperloop_action.domain.commits import RefMove
from hyperloop_action.domain.model import Phase, State, Task
from hyperloop_action.domain.world import World


def branch_moves(
    before: State, after: State, world: World, refs: dict[str, str], *, delete_merged: bool
) -> tuple[RefMove, ...]:
    """One move per branch that is not where its task says, among the tasks that this cycle touched.
    Each names the value that was seen: a branch that somebody moved meanwhile refuses the save."""
    moves = [RefMove(ref, None, commit) for ref, commit in sorted(refs.items())]
    for task in (*after.tasks.values(), *after.archived.values()):
        if before.tasks.get(task.id) == task:
            continue
        tip, target = (
            world.branches.get(task.branch),
            _target(task, world, delete_merged=delete_merged),
        )
        if tip != target:
            moves.append(RefMove(f"refs/heads/{task.branch}", tip, target))
    return tuple(moves)


def _target(task: Task, world: World, *, delete_merged: bool) -> str | None:
    """Failed work stays for people to look at; merged and cancelled work goes, except from under
    the feet of somebody who has it checked out."""
    if task.branch in world.checked_out:
        return world.branches.get(task.branch)
    if task.phase is Phase.COMPLETE:
        return None if delete_merged else world.branches.get(task.branch)
    return None if task.phase is Phase.CANCELLED else task.head
