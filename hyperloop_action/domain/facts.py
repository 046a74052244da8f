"""What happened, as past-tense values. Each is a line in the commit of the cycle and in the log.

A probe is ``Callable[[Fact], None]``; sinks render facts, and nothing ever decides by one.
A catalogue, and so longer than other modules: one class for each thing that can happen.
``verb`` is the word that counts in a commit subject: ``cycle 42: collect 2, merge 1, spawn 3``.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Fact:
    """Base of all facts. ``attention`` marks those after which a person must act."""

    verb: ClassVar[str] = ""
    attention: ClassVar[bool] = False

    @property
    def name(self) -> str:
        """The event name of the log: ``SessionEnded`` is ``session_ended``."""
        return re.sub(r"(?<!^)(?=[A-Z])", "_", type(self).__name__).lower()

    @property
    def values(self) -> dict[str, object]:
        """The fields that say something, for key-value logs."""
        return {f.name: v for f in fields(self) if (v := getattr(self, f.name)) not in ("", None)}

    def line(self) -> str:
        """One sentence for people, without a full stop."""
        raise AssertionError(f"{type(self).__name__} has no line")  # each subclass has its own


Probe = Callable[[Fact], None]


@dataclass(frozen=True, slots=True)
class SpecFound(Fact):
    """A spec is new or has another text than the one worked on. Not for a file merely touched."""

    verb: ClassVar[str] = "find"
    spec: str
    change: str

    def line(self) -> str:
        return f"{self.spec} is {self.change}"


@dataclass(frozen=True, slots=True)
class SpecRemoved(Fact):
    verb: ClassVar[str] = "drop"
    spec: str

    def line(self) -> str:
        return f"{self.spec} is gone"


@dataclass(frozen=True, slots=True)
class SpecSynced(Fact):
    """Every task of the spec's current version is complete, or it needed none."""

    verb: ClassVar[str] = "sync"
    spec: str

    def line(self) -> str:
        return f"{self.spec} is synced"


@dataclass(frozen=True, slots=True)
class SpecFailed(Fact):
    """The spec will not be planned again until somebody edits it or says ``hyperloop retry``."""

    verb: ClassVar[str] = "fail"
    attention: ClassVar[bool] = True
    spec: str
    reason: str

    def line(self) -> str:
        return f"{self.spec} failed: {self.reason}"


@dataclass(frozen=True, slots=True)
class TaskPlanned(Fact):
    verb: ClassVar[str] = "plan"
    task: str
    title: str
    spec: str
    deps: tuple[str, ...] = ()

    def line(self) -> str:
        after = f", after {', '.join(self.deps)}" if self.deps else ""
        return f"{self.task} planned for {self.spec}: {self.title}{after}"


@dataclass(frozen=True, slots=True)
class PlanRefused(Fact):
    """The pm's proposals broke a rule; they go back to it once, with the reason."""

    verb: ClassVar[str] = "refuse"
    reason: str

    def line(self) -> str:
        return f"plan refused: {self.reason}"


@dataclass(frozen=True, slots=True)
class WorkerStarted(Fact):
    """An order was claimed; the session starts when the claim is saved."""

    verb: ClassVar[str] = "spawn"
    order: str
    role: str
    task: str | None
    round: int = 0

    def line(self) -> str:
        subject = f"{self.task} round {self.round}" if self.task else "the plan"
        return f"{self.role} starts on {subject} ({self.order})"


@dataclass(frozen=True, slots=True)
class SessionEnded(Fact):
    """A session gave an answer that counts. ``why`` is set when its silence was taken for one."""

    verb: ClassVar[str] = "collect"
    order: str
    role: str
    task: str | None
    verdict: str
    cost_usd: float
    duration_s: float
    why: str = ""

    def line(self) -> str:
        cost = f", ${self.cost_usd:.2f}" if self.cost_usd else ""
        subject = f"{self.task}: " if self.task else ""
        why = f": {self.why}" if self.why else ""
        took = f"{self.order}, {self.duration_s:.0f} s{cost}"
        return f"{subject}{self.role} {self.verdict} ({took}){why}"


@dataclass(frozen=True, slots=True)
class SessionErred(Fact):
    """A session ended without an answer that counts. It is not a round."""

    verb: ClassVar[str] = "collect"
    order: str
    role: str
    task: str | None
    kind: str
    message: str
    cost_usd: float

    def line(self) -> str:
        subject = f"{self.task}: " if self.task else ""
        return f"{subject}{self.role} ended with {self.kind} ({self.order}): {self.message}"


@dataclass(frozen=True, slots=True)
class TaskAdvanced(Fact):
    verb: ClassVar[str] = "advance"
    task: str
    step: str

    def line(self) -> str:
        return f"{self.task} goes on to {self.step}"


@dataclass(frozen=True, slots=True)
class RoundStarted(Fact):
    """A verdict, a conflict or a person sent the task back."""

    verb: ClassVar[str] = "loop"
    task: str
    round: int
    step: str
    why: str

    def line(self) -> str:
        return f"{self.task} starts round {self.round} at {self.step}: {self.why}"


@dataclass(frozen=True, slots=True)
class TaskRestarted(Fact):
    """The process changed so that the step at which the task stood is another one."""

    verb: ClassVar[str] = "restart"
    task: str
    was: str
    step: str

    def line(self) -> str:
        gone = f"stood at {self.was}, which the process no longer has"
        return f"{self.task} {gone}: it starts again at {self.step}"


@dataclass(frozen=True, slots=True)
class GateCleared(Fact):
    verb: ClassVar[str] = "clear"
    task: str
    gate: str
    by: str

    def line(self) -> str:
        return f"{self.task} passed gate {self.gate}, by {self.by}"


@dataclass(frozen=True, slots=True)
class TaskMerged(Fact):
    """The head is in the base branch. ``commit`` is where it landed."""

    verb: ClassVar[str] = "merge"
    task: str
    commit: str

    def line(self) -> str:
        return f"{self.task} merged as {self.commit[:12]}"


@dataclass(frozen=True, slots=True)
class ActionDone(Fact):
    """An action other than a merge went well, or a merge had nothing to do."""

    verb: ClassVar[str] = "act"
    task: str
    action: str
    what: str

    def line(self) -> str:
        return f"{self.task}: {self.action}: {self.what}"


@dataclass(frozen=True, slots=True)
class MergeConflicted(Fact):
    verb: ClassVar[str] = "conflict"
    task: str
    files: tuple[str, ...]

    def line(self) -> str:
        return f"{self.task} conflicts with the base branch in {', '.join(self.files)}"


@dataclass(frozen=True, slots=True)
class TaskWaits(Fact):
    """The reason for which a task does not move is another one than before."""

    verb: ClassVar[str] = ""
    task: str
    reason: str

    def line(self) -> str:
        return f"{self.task} {self.reason}"


@dataclass(frozen=True, slots=True)
class BranchMoved(Fact):
    """A person committed to the task branch: that work is kept, and verified next."""

    verb: ClassVar[str] = "adopt"
    task: str
    head: str

    def line(self) -> str:
        return f"{self.task}: somebody moved the branch to {self.head[:12]}; it goes on from there"


@dataclass(frozen=True, slots=True)
class TaskCompleted(Fact):
    verb: ClassVar[str] = "complete"
    task: str

    def line(self) -> str:
        return f"{self.task} is complete"


@dataclass(frozen=True, slots=True)
class TaskFailed(Fact):
    verb: ClassVar[str] = "fail"
    attention: ClassVar[bool] = True
    task: str
    reason: str

    def line(self) -> str:
        return f"{self.task} failed: {self.reason}"


@dataclass(frozen=True, slots=True)
class TaskCancelled(Fact):
    verb: ClassVar[str] = "cancel"
    task: str
    reason: str

    def line(self) -> str:
        return f"{self.task} cancelled: {self.reason}"


@dataclass(frozen=True, slots=True)
class TaskApproved(Fact):
    verb: ClassVar[str] = "approve"
    task: str
    gate: str
    by: str

    def line(self) -> str:
        return f"{self.task} approved at {self.gate} by {self.by}"


@dataclass(frozen=True, slots=True)
class RetryOrdered(Fact):
    verb: ClassVar[str] = "retry"
    subject: str
    by: str

    def line(self) -> str:
        return f"{self.subject} is tried again, as {self.by} said"


@dataclass(frozen=True, slots=True)
class Noticed(Fact):
    """Something that a person may want to know and that stops nothing."""

    attention: ClassVar[bool] = True
    what: str

    def line(self) -> str:
        return self.what


def summary(facts: Iterable[Fact]) -> str:
    """``collect 2, merge 1, spawn 3``: the verbs in the order in which they first happened."""
    counted = Counter(fact.verb for fact in facts if fact.verb)
    return ", ".join(f"{verb} {count}" for verb, count in counted.items()) or "update"
