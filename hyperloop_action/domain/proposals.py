"""Which rules a pm's proposals break, in words that go back to it; ``intake.py`` asks.

Keys of proposals and ids of tasks live in one space: a dependency may name either.
"""

from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter

from hyperloop_action.domain.draft import Draft
from hyperloop_action.domain.model import Phase, SpecStatus, task_id
from hyperloop_action.domain.orders import Proposal, SpecToPlan


def problems_of(draft: Draft, proposals: tuple[Proposal, ...]) -> list[str]:
    """Every rule that the proposals break, in words for the pm."""
    planner = draft.meta.planner
    problems = [
        *_field_problems(proposals, {spec.path for spec in planner.specs}),
        *_dep_problems(draft, proposals),
        *_uncovered(draft, proposals, planner.specs),
    ]
    return problems or _cycle_problems(draft, proposals)


def successors(
    draft: Draft, proposals: tuple[Proposal, ...], ids: Mapping[str, str]
) -> dict[str, tuple[str, ...]]:
    """Failed or cancelled task -> the tasks planned in its place: those of the same spec in this
    answer. Only tasks of which the pm was told; ``ids`` maps the keys of the answer."""
    told = (draft.tasks.get(name) for name in draft.meta.planner.failed)
    return {
        task.id: tuple(ids[p.key] for p in proposals if p.spec == task.spec)
        for task in told
        if task and task.phase in (Phase.FAILED, Phase.CANCELLED)
    }


def _field_problems(proposals: tuple[Proposal, ...], specs: set[str]) -> list[str]:
    problems, keys, titles = [], set[str](), set[tuple[str, str]]()
    for proposal in proposals:
        name = f"proposal {proposal.key!r}"
        if not proposal.title.strip() or not proposal.description.strip():
            problems.append(f"{name} has no title or no description")
        if proposal.spec not in specs:
            asked = ", ".join(sorted(specs))
            problems.append(f"{name} is for {proposal.spec!r}, which was not asked for ({asked})")
        if proposal.key in keys:
            problems.append(f"the key {proposal.key!r} stands twice")
        title = (proposal.spec, " ".join(proposal.title.lower().split()))
        if title in titles:
            problems.append(f"{name} repeats the title {proposal.title!r}")
        keys.add(proposal.key)
        titles.add(title)
    return problems


def _dep_problems(draft: Draft, proposals: tuple[Proposal, ...]) -> list[str]:
    keys = {proposal.key for proposal in proposals}
    return [
        f"proposal {proposal.key!r} depends on {dep!r}, which {why}"
        for proposal in proposals
        for dep in proposal.deps
        if dep not in keys and (why := _unusable(draft, dep))
    ]


def _unusable(draft: Draft, dep: str) -> str:
    task = draft.tasks.get(dep)
    if task:
        gone = task.phase in (Phase.FAILED, Phase.CANCELLED)
        return f"is {task.phase}" if gone else ""
    return "" if is_archived(draft, dep) else "is neither a key of this answer nor a task"


def is_archived(draft: Draft, name: str) -> bool:
    """Whether a task that is not among the present ones once was: then its work is merged. Names
    count as they are spelt: ``task-1`` is not ``task-001``."""
    number = name.rpartition("-")[2]
    known = number.isdecimal() and 0 < int(number) < draft.meta.next_task
    return known and task_id(int(number)) == name


def _uncovered(
    draft: Draft, proposals: tuple[Proposal, ...], specs: tuple[SpecToPlan, ...]
) -> list[str]:
    """A failed task needs something in its place: silence would call the spec synced."""
    planned = {proposal.spec for proposal in proposals}
    gone = {path for path, entry in draft.specs.items() if entry.status is SpecStatus.REMOVED}
    return [
        f"{spec.path} has failed tasks, and nothing is proposed in their place"
        for spec in specs
        if spec.change == "failed" and spec.path not in planned | gone
    ]


def _cycle_problems(draft: Draft, proposals: tuple[Proposal, ...]) -> list[str]:
    keys = {proposal.key: f"\0{proposal.key}" for proposal in proposals}
    replaced = successors(draft, proposals, keys)
    graph = {keys[p.key]: {keys.get(dep, dep) for dep in p.deps} for p in proposals}
    for task in draft.open_tasks():
        graph[task.id] = {new for dep in task.deps for new in replaced.get(dep, (dep,))}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        names = " -> ".join(str(name).lstrip("\0") for name in error.args[1])
        return [f"the dependencies go round in a circle: {names}"]
    return []
