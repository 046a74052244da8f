"""A ``kind: Process`` document -> :class:`Process`; ``adapters/definitions.py`` calls this.

Names that a pipeline may use without a definition, as in the original: the gate
``human-pr-approval`` is a label, the actions ``merge-pr`` and ``mark-pr-ready`` are what they say.
"""

from collections.abc import Collection, Mapping
from typing import Annotated, Literal

import msgspec

from hyperloop_action.domain.decoding import decode
from hyperloop_action.domain.documents import Document, Path, Value, nearest, shown
from hyperloop_action.domain.expectations import one_of
from hyperloop_action.domain.orders import Wants
from hyperloop_action.domain.process import (
    ActionSpec,
    ActionStep,
    AgentStep,
    GateSpec,
    GateStep,
    Hooks,
    LabelGate,
    LoopStep,
    MergeAction,
    Name,
    Process,
    ReadyAction,
    Step,
)
from hyperloop_action.errors import Problem

USUAL_GATES: dict[str, GateSpec] = {"human-pr-approval": LabelGate()}
USUAL_ACTIONS: dict[str, ActionSpec] = {"merge-pr": MergeAction(), "mark-pr-ready": ReadyAction()}

KINDS = ("agent", "gate", "action", "loop")
OLD_KINDS = {"role": "agent"}
REDIRECTS = ("on_pass", "on_fail")
IN_PIPELINE = (Wants.CHANGES, Wants.VERDICT)


class _Fields(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The document as it is typed. ``pipeline`` is read by hand: the key of a step is its kind."""

    kind: Literal["Process"] = "Process"
    name: Name | None = None
    pipeline: Annotated[object, msgspec.Meta(extra={"expected": "a list of steps"})]
    gates: dict[Name, GateSpec] = {}
    actions: dict[Name, ActionSpec] = {}
    hooks: Hooks = Hooks()


PARTS = ("pipeline", "gates", "actions", "hooks")
"""The keys that a process file of the short form may have: it says nothing about kind and name."""


def read_process(
    document: Document,
    agents: Mapping[str, Wants],
    problems: list[Problem],
    notices: list[str],
    name: str = "default",
) -> Process | None:
    """``None`` after adding every mistake to ``problems``. What is defined but not used becomes a
    notice. ``agents`` are the agents that exist, and what each is asked for; ``name`` is that of a
    document of the short form, which has none."""
    found: list[Problem] = []
    fields = decode(document, _Fields, found)
    value = document.value if isinstance(document.value, dict) else {}
    reader = _PipelineReader(document, agents, found)
    reader.gates = {*USUAL_GATES, *_names(value, "gates")}
    reader.actions = {*USUAL_ACTIONS, *_names(value, "actions")}
    pipeline = reader.pipeline(value["pipeline"]) if "pipeline" in value else ()
    if fields is not None:
        _check_hooks(document, fields.hooks, agents, found)
    problems += sorted(found, key=lambda problem: (problem.file, problem.line))
    if fields is None or found:
        return None
    notices += _unused(document, "gates", reader.used_gates)
    notices += _unused(document, "actions", reader.used_actions)
    gates, actions = {**USUAL_GATES, **fields.gates}, {**USUAL_ACTIONS, **fields.actions}
    return Process(
        name=fields.name or name,
        pipeline=pipeline,
        gates={name: gates[name] for name in sorted(reader.used_gates)},
        actions={name: actions[name] for name in sorted(reader.used_actions)},
        hooks=fields.hooks,
    )


class _PipelineReader:
    """Reads steps, and notes which gates and actions they use."""

    def __init__(
        self, document: Document, agents: Mapping[str, Wants], problems: list[Problem]
    ) -> None:
        self.document = document
        self.agents = agents
        self.problems = problems
        self.gates: Collection[str] = ()
        self.actions: Collection[str] = ()
        self.used_gates: set[str] = set()
        self.used_actions: set[str] = set()

    def pipeline(self, value: Value) -> tuple[Step, ...]:
        before = len(self.problems)
        steps = self._steps(value, ("pipeline",))
        if len(self.problems) == before and not _has_agent(steps):
            self._say(("pipeline",), "has no agent", "at least one agent step: somebody must work")
        return steps

    def _steps(self, value: Value, path: Path) -> tuple[Step, ...]:
        if not isinstance(value, list) or not value:
            what = "has no steps" if value in (None, []) else f"is {shown(value)}"
            self._say(path, what, "a list of steps such as `- agent: implementer`")
            return ()
        read = [self._step(item, (*path, index)) for index, item in enumerate(value)]
        for index, step in enumerate(read):
            if isinstance(step, AgentStep):
                self._check_redirects(step, (*path, index), read)
        return tuple(step for step in read if step is not None)

    def _step(self, item: Value, path: Path) -> Step | None:
        if not isinstance(item, dict):
            self._say(path, f"is {shown(item)}", "a step such as `agent: implementer`")
            return None
        kinds = [key for key in item if key in KINDS or key in OLD_KINDS]
        if len(kinds) > 1:
            what = f"is {one_of(kinds).replace(' or ', ' and ')} at once"
            self._say(path, what, "one step", "begin each step with `- `")
            return None
        unknown = self._unknown_keys(item, path)
        if not kinds and not unknown:
            self._say(path, "names no step", one_of(KINDS))
        return self._of_kind(kinds[0], item, path) if kinds else None

    def _unknown_keys(self, item: dict[str, Value], path: Path) -> list[str]:
        known = (*KINDS, *OLD_KINDS, *REDIRECTS)
        unknown = [key for key in item if key not in known]
        for key in unknown:
            hint = nearest(key, known) or f"known: {', '.join((*KINDS, *REDIRECTS))}"
            self._say((*path, key), "unknown key", hint=hint)
        return unknown

    def _of_kind(self, key: str, item: dict[str, Value], path: Path) -> Step | None:
        kind = OLD_KINDS.get(key, key)
        if kind != "agent":
            for redirect in REDIRECTS:
                if redirect in item:
                    self._say((*path, redirect), f"does not go with {kind}", "an agent step")
        if kind == "loop":
            return self._loop(item[key], (*path, key))
        known = {"agent": self.agents, "gate": self.gates, "action": self.actions}[kind]
        name = self._name(item[key], known, kind, (*path, key))
        if name is None:
            return None
        if kind == "agent":
            return self._agent(name, item, (*path, key))
        (self.used_gates if kind == "gate" else self.used_actions).add(name)
        return GateStep(name) if kind == "gate" else ActionStep(name)

    def _name(self, value: Value, known: Collection[str], kind: str, path: Path) -> str | None:
        """A name that nobody knows is reported and used, so that the rest is read as well."""
        if not isinstance(value, str):
            self._say(path, f"is {shown(value)}", f"the name of an {kind}".replace("an g", "a g"))
            return None
        if value not in known:
            hint = nearest(value, known) or f"known: {', '.join(sorted(known))}"
            self._say(path, f"there is no {kind} {shown(value)}", hint=hint)
        return value

    def _loop(self, value: Value, path: Path) -> Step | None:
        before = len(self.problems)
        steps = self._steps(value, path)
        if len(self.problems) == before and not _has_agent(steps):
            self._say(path, "has no agent", "at least one agent step: a loop does work again")
        return LoopStep(steps)

    def _agent(self, name: str, item: dict[str, Value], path: Path) -> AgentStep:
        wants = self.agents.get(name, Wants.CHANGES)
        if wants not in IN_PIPELINE:
            what = f"{name} is asked for {wants}, so it cannot work on a task"
            self._say(path, what, f"an agent that wants {one_of(IN_PIPELINE)}")
        redirects: dict[str, str | None] = {}
        for key in REDIRECTS:
            target = item.get(key)
            if key in item and not isinstance(target, str):
                self._say((*path[:-1], key), f"is {shown(target)}", "the name of an agent step")
            redirects[key] = target if isinstance(target, str) else None
        return AgentStep(name, redirects["on_pass"], redirects["on_fail"])

    def _check_redirects(self, step: AgentStep, path: Path, beside: list[Step | None]) -> None:
        names = [one.name for one in beside if isinstance(one, AgentStep)]
        for key, target in (("on_pass", step.on_pass), ("on_fail", step.on_fail)):
            if target is None or names.count(target) == 1:
                continue
            if target in names:
                what = f"{shown(target)} stands {names.count(target)} times in this list"
                self._say((*path, key), what, "an agent step that stands there once")
            else:
                what = f"{shown(target)} is no agent step beside this one"
                self._say((*path, key), what, one_of(dict.fromkeys(names)), nearest(target, names))

    def _say(self, path: Path, what: str, expected: str = "", hint: str = "") -> None:
        self.problems.append(self.document.problem(path, what, expected, hint))


def _has_agent(steps: tuple[Step, ...]) -> bool:
    return any(
        isinstance(step, AgentStep) or (isinstance(step, LoopStep) and _has_agent(step.steps))
        for step in steps
    )


def _names(value: dict[str, Value], key: str) -> set[str]:
    section = value.get(key)
    return set(section) if isinstance(section, dict) else set()


def _check_hooks(
    document: Document, hooks: Hooks, agents: Mapping[str, Wants], problems: list[Problem]
) -> None:
    for index, hook in enumerate(hooks.after_reap):
        if hook.type not in agents:
            path: Path = ("hooks", "after_reap", index, "type")
            problems.append(document.problem(path, f"there is no agent {shown(hook.type)}"))


def _unused(document: Document, key: str, used: set[str]) -> list[str]:
    value = document.value if isinstance(document.value, dict) else {}
    lines = []
    for name in sorted(_names(value, key) - used):
        file, line = document.where((key, name))
        lines.append(f"{file}:{line}: {key}.{name} is defined, but no step uses it")
    return lines
