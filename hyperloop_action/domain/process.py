"""What a process is made of, as values: steps, gates, actions, hooks.

``process_document.py`` reads them from files; ``pipeline.py`` knows how a task walks them.
"""

from typing import Annotated, Literal

import msgspec

Name = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$(?!\n)",
        extra={"expected": "a name of small letters, digits and hyphens"},
    ),
]
"""Of an agent, process, gate or action: it becomes part of file names, branches and comments."""

Count = Annotated[int, msgspec.Meta(ge=1)]


class AgentStep(msgspec.Struct, frozen=True):
    """``on_pass`` and ``on_fail`` name an agent step in the same list; ``None``: as usual."""

    name: str
    on_pass: str | None = None
    on_fail: str | None = None


class GateStep(msgspec.Struct, frozen=True):
    name: str


class ActionStep(msgspec.Struct, frozen=True):
    name: str


class LoopStep(msgspec.Struct, frozen=True):
    """Never empty, and never without an agent: somebody in it must be able to do the work again."""

    steps: tuple["Step", ...]


Step = AgentStep | GateStep | ActionStep | LoopStep


class _Typed(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """A definition whose ``type`` decides which other keys it has."""


class LabelGate(_Typed, frozen=True, tag="label", forbid_unknown_fields=True):
    label: str = "lgtm"


class ApprovalGate(_Typed, frozen=True, tag="pr-approval", forbid_unknown_fields=True):
    """``logins`` (written ``from:``) narrows who counts; empty is everybody with write access."""

    approvals: Count = 1
    logins: tuple[str, ...] = msgspec.field(name="from", default=())


class CiGate(_Typed, frozen=True, tag="ci-status", forbid_unknown_fields=True):
    """``checks`` are the names to wait for; empty is the required ones, or else all."""

    checks: tuple[str, ...] = ()


class AllGate(_Typed, frozen=True, tag="all", forbid_unknown_fields=True):
    gates: Annotated[tuple["GateSpec", ...], msgspec.Meta(min_length=1)]


class AnyGate(_Typed, frozen=True, tag="any", forbid_unknown_fields=True):
    gates: Annotated[tuple["GateSpec", ...], msgspec.Meta(min_length=1)]


GateSpec = LabelGate | ApprovalGate | CiGate | AllGate | AnyGate


class MergeAction(_Typed, frozen=True, tag="pr-merge", forbid_unknown_fields=True):
    """Merge as the ``merge`` settings say."""


class ReadyAction(_Typed, frozen=True, tag="mark-pr-ready", forbid_unknown_fields=True):
    """Take the pull request out of draft."""


ActionSpec = MergeAction | ReadyAction


class HookSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    type: Literal["process-improver"]


class Hooks(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    after_reap: tuple[HookSpec, ...] = ()


class Process(msgspec.Struct, frozen=True, kw_only=True):
    """A pipeline, and the definition of every gate and action that it names."""

    name: str
    pipeline: tuple[Step, ...]
    gates: dict[str, GateSpec] = {}
    actions: dict[str, ActionSpec] = {}
    hooks: Hooks = Hooks()


def step_at(pipeline: tuple[Step, ...], position: tuple[int, ...]) -> Step:
    """The step at a path of indices. Raises :class:`IndexError` where the path leads nowhere."""
    if not position:
        raise IndexError("a position has at least one index")
    step = pipeline[_index(position[0])]
    for index in position[1:]:
        if not isinstance(step, LoopStep):
            raise IndexError(f"{describe(step)} holds no steps")
        step = step.steps[_index(index)]
    return step


def describe(step: Step) -> str:
    """For people: ``agent implementer``, ``gate human-pr-approval``, ``loop``."""
    match step:
        case AgentStep():
            return f"agent {step.name}"
        case GateStep():
            return f"gate {step.name}"
        case ActionStep():
            return f"action {step.name}"
        case LoopStep():
            return "loop"


def _index(index: int) -> int:
    if index < 0:
        raise IndexError("an index counts from 0")
    return index
