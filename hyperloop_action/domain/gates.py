"""Whether a gate lets a task pass, judged on a snapshot of the signals that people and CI gave.

A signal counts for one head: new commits void it. Nothing here asks anybody anything.
"""

from dataclasses import dataclass

from hyperloop_action.domain.model import Task
from hyperloop_action.domain.process import GateSpec


@dataclass(frozen=True, slots=True)
class Cleared:
    by: str


@dataclass(frozen=True, slots=True)
class Waits:
    reason: str


GateView = Cleared | Waits


def evaluate(name: str, gate: GateSpec, task: Task, *, merged: bool) -> GateView:
    """Without a forge, a person's ``hyperloop approve`` stands for every type of gate.

    ``merged``: somebody merged the branch by hand, which says more than any gate could.
    """
    if merged:
        return Cleared("a merge by hand")
    approval = task.approval
    if approval and approval.gate == name and approval.head == (task.head or task.base or ""):
        return Cleared(approval.by)
    kind = gate.__struct_config__.tag
    how = f"look at {task.branch}, then `hyperloop approve {task.id}`"
    return Waits(f"waits at gate {name} ({kind}): {how}")
