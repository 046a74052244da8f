"""A state out of what is left when the state branch is lost: task branches, and trailers on trunk.

Open branches become tasks again, at the verifier, since nobody knows whether they had passed it.
What was planned and never started is not to be found; so every spec without an open branch
counts as new, and the pm, who sees the code, plans what is missing, or nothing.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from hyperloop_action.domain.commits import LoggedCommit
from hyperloop_action.domain.model import (
    Meta,
    Phase,
    SpecEntry,
    SpecStatus,
    State,
    Task,
    number_of,
)
from hyperloop_action.domain.pipeline import leaves
from hyperloop_action.domain.process import AgentStep, Process, describe, step_at
from hyperloop_action.domain.world import World
from hyperloop_action.errors import UsageError

NAMED = 3
"""Branches that a message names; the others are dots."""

_TASK = re.compile(r"task-\d+")


@dataclass(frozen=True, slots=True)
class BranchFound:
    """A task branch: ``fork`` is where it left trunk, ``commits`` are its own, newest first, and
    ``blob`` is its spec at the version that its trailers name (``None``: that is not to be
    found)."""

    name: str
    head: str
    fork: str
    commits: tuple[LoggedCommit, ...]
    blob: str | None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is left. ``landed`` are the commits of trunk that carry a ``Task-Ref``."""

    landed: tuple[LoggedCommit, ...]
    branches: tuple[BranchFound, ...]


def rebuilt(evidence: Evidence, process: Process) -> State:
    tasks = {task.id: task for b in evidence.branches if (task := _task(b, process))}
    specs = {
        task.spec: SpecEntry(
            blob=task.spec_blob,
            commit=task.spec_ref.rpartition("@")[2],
            status=SpecStatus.RECONCILING,
            attempts=1,
            plan=1,
        )
        for task in tasks.values()
    }
    used = {*_landed(evidence.landed), *(b.name.rpartition("/")[2] for b in evidence.branches)}
    highest = max((number_of(name) for name in used if _TASK.fullmatch(name)), default=0)
    return State(meta=Meta(next_task=highest + 1), specs=specs, tasks=tasks)


def refuse_lost_state(tip: str | None, world: World) -> None:
    """Task branches without a state are what a lost state leaves behind: starting anew would give
    their names to other tasks. Raises :class:`UsageError`."""
    names = sorted(name for name in world.branches if _TASK.fullmatch(name.rpartition("/")[2]))
    if tip is None and names:
        some = ", ".join(names[:NAMED]) + (", ..." if len(names) > NAMED else "")
        raise UsageError(
            f"there are branches of tasks ({some}), and no state that knows of them",
            hint="`hyperloop rebuild` restores it; or delete those branches to start anew",
        )


def spec_refs(commits: tuple[LoggedCommit, ...]) -> str | None:
    """The spec that a branch was made for, by its newest trailer."""
    return next((refs[-1] for commit in commits if (refs := commit.trailers.get("Spec-Ref"))), None)


def _task(branch: BranchFound, process: Process) -> Task | None:
    ref = spec_refs(branch.commits)
    name = branch.name.rpartition("/")[2]
    if ref is None or branch.blob is None or not _TASK.fullmatch(name):
        return None
    position = _verifier(process)
    return Task(
        id=name,
        title=branch.commits[-1].subject,
        spec_ref=ref,
        phase=Phase.QUEUED,
        branch=branch.name,
        step=describe(step_at(process.pipeline, position)),
        position=position,
        process=process.name,
        spec_blob=branch.blob,
        base=branch.fork,
        head=branch.head,
        sessions=1,
        description="(restored from its branch: the description was lost with the state)",
    )


def _verifier(process: Process) -> tuple[int, ...]:
    """The last agent before the first step that is none: what has passed it may be merged. Every
    process has an agent."""
    agents = [at for at, step in leaves(process.pipeline) if isinstance(step, AgentStep)]
    others = [at for at, step in leaves(process.pipeline) if not isinstance(step, AgentStep)]
    before = [at for at in agents if not others or at < others[0]]
    return (before or agents)[-1]


def _landed(commits: tuple[LoggedCommit, ...]) -> set[str]:
    return {name for commit in commits for name in commit.trailers.get("Task-Ref", ())}


def summary(state: State, specs: Mapping[str, object]) -> str:
    """For the log, and for the person who asked."""
    again = sum(path not in state.specs for path in specs)
    return (
        f"open tasks restored from their branches: {len(state.tasks)}, specs looked at as new:"
        f" {again}, number of the next task: {state.meta.next_task}"
    )
