"""The ledger of specs: which differ from what was last worked on, which are done, what may be
archived.

Change is told by blob, so a force-push or a touched file plans nothing twice.
"""

from msgspec.structs import replace

from hyperloop_action.domain.draft import Draft
from hyperloop_action.domain.facts import (
    Noticed,
    SpecFailed,
    SpecFound,
    SpecRemoved,
    SpecSynced,
    TaskCancelled,
)
from hyperloop_action.domain.model import Phase, SpecEntry, SpecStatus, Task
from hyperloop_action.domain.pipeline import Trigger, move
from hyperloop_action.domain.world import SpecSeen, World

SETTLED = frozenset({SpecStatus.SYNCED, SpecStatus.REMOVED})

NO_SPECS = (
    "no spec is left on the base branch: nothing is cancelled until at least one is there again"
)


def observe_specs(draft: Draft, world: World) -> None:
    """Enter new, changed and removed specs. An empty set of specs is taken for a mistake: a renamed
    folder or a broken checkout must not cancel everything."""
    for path, seen in sorted(world.specs.items()):
        _see(draft, world, path, seen)
    gone = [p for p, e in draft.specs.items() if p not in world.specs and not _removed(e)]
    if gone and not world.specs:
        draft.say(Noticed(NO_SPECS))
        return
    for path in sorted(gone):
        _remove(draft, path)


def close_specs(draft: Draft) -> None:
    """A spec is synced when its current plan is complete; what nothing needs any more is
    archived."""
    by_spec: dict[str, list[Task]] = {}
    for task in draft.tasks.values():
        by_spec.setdefault(task.spec, []).append(task)
    for path, entry in draft.specs.items():
        if entry.status is SpecStatus.RECONCILING and _done(entry, by_spec.get(path, [])):
            sync(draft, path)
    _archive(draft)


def sync(draft: Draft, path: str) -> None:
    entry = draft.specs[path]
    draft.say(SpecSynced(path))
    draft.specs[path] = replace(
        entry, status=SpecStatus.SYNCED, synced_blob=entry.blob, attempts=0, reason=""
    )


def fail_spec(draft: Draft, path: str, reason: str) -> None:
    draft.say(SpecFailed(path, reason))
    draft.specs[path] = replace(draft.specs[path], status=SpecStatus.FAILED, reason=reason)


def failed_tasks(draft: Draft, path: str) -> list[Task]:
    """Tasks of the spec's current plan that failed: a gap that this plan will not close."""
    entry = draft.specs[path]
    return [
        task
        for task in draft.tasks.values()
        if task.spec == path and task.plan == entry.plan and task.phase is Phase.FAILED
    ]


def _see(draft: Draft, world: World, path: str, seen: SpecSeen) -> None:
    entry = draft.specs.get(path)
    if entry is None or _removed(entry):
        plan = entry.plan if entry else 0
        draft.say(SpecFound(path, "new"))
        draft.specs[path] = SpecEntry(
            blob=seen.blob, commit=world.base, status=SpecStatus.PENDING, plan=plan
        )
    elif entry.blob != seen.blob:
        _changed(draft, world, path, seen.blob)


def _changed(draft: Draft, world: World, path: str, blob: str) -> None:
    """Compare with the last *synced* text: A, B and A again is no change if B never got
    anywhere."""
    entry = draft.specs[path]
    draft.say(SpecFound(path, "changed"))
    changed = replace(entry, blob=blob, commit=world.base, attempts=0, reason="")
    draft.specs[path] = replace(changed, status=SpecStatus.PENDING)
    if blob == entry.synced_blob and entry.status in _UNTOUCHED and not _built(draft, path, blob):
        sync(draft, path)


_UNTOUCHED = frozenset({SpecStatus.PENDING, SpecStatus.FAILED})
"""Nobody works on a plan for it."""


def _built(draft: Draft, path: str, blob: str) -> bool:
    """Whether a plan was made for another text, and so may have changed the code."""
    return any(task.spec == path and task.spec_blob != blob for task in draft.tasks.values())


def _remove(draft: Draft, path: str) -> None:
    draft.say(SpecRemoved(path))
    draft.specs[path] = replace(
        draft.specs[path], status=SpecStatus.REMOVED, synced_blob=None, attempts=0, reason=""
    )
    for task in draft.open_tasks():
        if task.spec == path:
            cancel(draft, task, f"{path} was removed")


def cancel(draft: Draft, task: Task, reason: str) -> None:
    draft.say(TaskCancelled(task.id, reason))
    draft.put(replace(move(task, Trigger.CANCELLED), reason=reason, not_before=None))


def _removed(entry: SpecEntry) -> bool:
    return entry.status is SpecStatus.REMOVED


def _done(entry: SpecEntry, tasks: list[Task]) -> bool:
    if any(task.open for task in tasks):
        return False
    return all(task.phase is Phase.COMPLETE for task in tasks if task.plan == entry.plan)


def _archive(draft: Draft) -> None:
    """Finished tasks leave with their spec. One on which open work depends stays until that is
    done."""
    needed = {dep for task in draft.tasks.values() if task.open for dep in task.deps}
    for task in list(draft.tasks.values()):
        entry = draft.specs.get(task.spec)
        if task.open or task.id in needed or (entry and entry.status not in SETTLED):
            continue
        draft.archived[task.id] = draft.tasks.pop(task.id)
