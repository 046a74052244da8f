"""ADVANCE: gates are judged, due actions become effects, and what came of them is folded back.

One merge at a time: after each the world is read anew, since it moved the base under all others.
"""

from msgspec.structs import replace

from hyperloop_action.domain.collect import go_on, send_back
from hyperloop_action.domain.draft import Draft, times
from hyperloop_action.domain.effects import Merge, MergeOutcome
from hyperloop_action.domain.facts import (
    ActionDone,
    GateCleared,
    MergeConflicted,
    Noticed,
    TaskAdvanced,
    TaskMerged,
    TaskRestarted,
)
from hyperloop_action.domain.gates import Cleared, evaluate
from hyperloop_action.domain.landing import (
    Blocked,
    Conflict,
    Merged,
    NothingToMerge,
    Raced,
    Refused,
    Strategy,
)
from hyperloop_action.domain.model import Phase, Review, Task
from hyperloop_action.domain.orders import Verdict
from hyperloop_action.domain.pipeline import arrive, first, phase_at, rework, same_step
from hyperloop_action.domain.process import (
    ActionSpec,
    ActionStep,
    GateStep,
    ReadyAction,
    step_at,
)
from hyperloop_action.domain.world import World


def realign(draft: Draft) -> None:
    """A process that changed under a task: keep the place where the step is the same, else restart.

    Working tasks are looked at when their session has ended: it is paid for, and its answer counts
    for the step that it was ordered for.
    """
    for task in draft.open_tasks():
        if task.phase is Phase.WORKING:
            continue
        if not same_step(draft.process, task):
            restarted = draft.put(arrive(task, draft.process, first(draft.process)))
            draft.say(TaskRestarted(task.id, task.step, restarted.step))
        elif task.phase is not phase_at(draft.process, task.position):
            draft.put(arrive(task, draft.process, task.position))  # reopened by hand where it stood
            draft.say(TaskAdvanced(task.id, task.step))


def advance(draft: Draft, world: World, tried: frozenset[str]) -> None:
    """Move every task that can move by itself; leave at most one merge in ``draft.effects``.

    ``tried`` are the tasks whose action was already tried in this cycle.
    """
    draft.effects.clear()
    for task in draft.open_tasks():
        _walk(draft, world, task, tried)


def absorb(draft: Draft, outcome: MergeOutcome) -> None:
    """Fold what came of a merge into its task."""
    task = draft.tasks[outcome.effect.task]
    match outcome.landing:
        case Merged(commit=commit):
            draft.say(TaskMerged(task.id, commit))
            if outcome.landing.left_behind:
                draft.say(Noticed(outcome.landing.left_behind))
            go_on(draft, draft.put(replace(task, base=commit, head=None)))
        case NothingToMerge():
            draft.say(ActionDone(task.id, task.step, "the base branch already has all of it"))
            go_on(draft, draft.put(replace(task, base=outcome.base, head=None)))
        case Conflict(files=files):
            _conflicted(draft, task, files, outcome.base)
        case Blocked(reason=reason, files=files):
            draft.wait(task, _blocked(reason, files))
        case Refused(reason=reason):
            _refused(draft, task, reason)
        case Raced():
            draft.wait(task, "the base branch moved while it was merged: tried again next cycle")


def _walk(draft: Draft, world: World, task: Task, tried: frozenset[str]) -> None:
    """Through as many gates and actions as let it pass, up to a merge or the next agent."""
    while task.phase in (Phase.WAITING, Phase.ACTING) and not draft.effects:
        moved = _step(draft, world, task, tried)
        if moved.open and moved.position == task.position:
            return
        task = moved


def _step(draft: Draft, world: World, task: Task, tried: frozenset[str]) -> Task:
    step = step_at(draft.process.pipeline, task.position)
    merged = task.head is not None and task.branch in world.merged
    if isinstance(step, GateStep):
        return _at_gate(draft, task, step, merged=merged)
    if isinstance(step, ActionStep) and task.id not in tried:
        return _at_action(draft, task, draft.process.actions[step.name], merged=merged)
    return task


def _at_gate(draft: Draft, task: Task, step: GateStep, *, merged: bool) -> Task:
    view = evaluate(step.name, draft.process.gates[step.name], task, merged=merged)
    if isinstance(view, Cleared):
        draft.say(GateCleared(task.id, step.name, view.by))
        return go_on(draft, task)
    entry = draft.specs.get(task.spec)
    outdated = "; its spec has changed since" if entry and entry.blob != task.spec_blob else ""
    return draft.wait(task, view.reason + outdated)


def _at_action(draft: Draft, task: Task, action: ActionSpec, *, merged: bool) -> Task:
    if isinstance(action, ReadyAction):
        draft.say(ActionDone(task.id, task.step, "there is no pull request to mark"))
        return go_on(draft, task)
    if task.head is None or task.base is None:
        draft.say(ActionDone(task.id, task.step, "there is no change to merge"))
        return go_on(draft, task)
    if not draft.limits.auto_merge and not merged:
        return draft.wait(task, f"auto_merge is off: merge {task.branch} yourself")
    draft.effects.append(
        Merge(
            task=task.id,
            branch=task.branch,
            head=task.head,
            since=task.base,
            title=task.title,
            body=task.description,
            spec_ref=task.spec_ref,
            strategy=Strategy(draft.limits.merge_strategy),
        )
    )
    return task


def _conflicted(draft: Draft, task: Task, files: tuple[str, ...], base: str) -> None:
    """Back into the loop with the files named. The next session starts with the base merged in, so
    that the conflict stands in its work tree."""
    draft.say(MergeConflicted(task.id, files))
    named = ", ".join(files)
    findings = (
        f"Merging into the base branch conflicts in: {named}.\n"
        "The base branch is merged into your work tree: resolve what is marked there,"
        " keeping the intent of both sides."
    )
    review = Review(
        task_id=task.id, round=task.round, role="merge", verdict=Verdict.FAIL, findings=findings
    )
    draft.review(review)
    task = draft.put(replace(task, conflicts=task.conflicts + 1, base=base))
    if task.conflicts > draft.limits.max_rebase_attempts:
        most = draft.limits.max_rebase_attempts
        draft.give_up(task, f"it conflicted more than {times(most)} (max_rebase_attempts): {named}")
        return
    send_back(draft, task, rework(draft.process, task.position), f"conflicts in {named}")


def _refused(draft: Draft, task: Task, reason: str) -> None:
    """What a remote refuses it may take next time; after that its words go to an agent, once: where
    new work is refused as well, no agent can help."""
    tries, most = task.action_attempts + 1, draft.limits.max_action_attempts
    task = draft.put(replace(task, action_attempts=tries))
    if tries < most:
        draft.wait(task, f"the merge was refused ({tries} of {most} tries): {_line(reason)}")
        return
    why = f"the merge was refused {tries} times"
    if any(review.findings.startswith(_REFUSED) for review in draft.reviews.get(task.id, ())):
        draft.give_up(task, f"{why}, for new work too: {_line(reason)}")
        return
    findings = f"{_REFUSED} {tries} times:\n\n{reason}"
    draft.review(
        Review(
            task_id=task.id, round=task.round, role="merge", verdict=Verdict.FAIL, findings=findings
        )
    )
    send_back(draft, task, rework(draft.process, task.position), why)


_REFUSED = "The merge into the base branch was refused"


def _line(text: str) -> str:
    return " ".join(text.split())


def _blocked(reason: str, files: tuple[str, ...]) -> str:
    return f"cannot merge yet: {_line(reason)}" + (f" ({', '.join(files)})" if files else "")
