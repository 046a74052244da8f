"""Pipelines as people write them, right and wrong."""

import pytest

from hyperloop_action.domain.documents import parse_one
from hyperloop_action.domain.orders import Wants
from hyperloop_action.domain.process import (
    ActionStep,
    AgentStep,
    AllGate,
    AnyGate,
    ApprovalGate,
    CiGate,
    GateStep,
    Hooks,
    HookSpec,
    LabelGate,
    LoopStep,
    MergeAction,
    Process,
    ReadyAction,
    describe,
    step_at,
)
from hyperloop_action.domain.process_document import read_process
from hyperloop_action.errors import Problem

AGENTS = {
    "implementer": Wants.CHANGES,
    "verifier": Wants.VERDICT,
    "security-reviewer": Wants.VERDICT,
    "pm": Wants.PROPOSALS,
    "process-improver": Wants.RULES,
}

WORK = LoopStep((AgentStep("implementer"), AgentStep("verifier")))


def read(text: str) -> tuple[Process | None, list[str], list[str]]:
    """The process, its mistakes, its notices."""
    problems: list[Problem] = []
    notices: list[str] = []
    process = read_process(parse_one(text.encode(), "p.yaml"), AGENTS, problems, notices)
    return process, [str(problem) for problem in problems], notices


def right(text: str) -> Process:
    process, problems, notices = read(text)
    assert (problems, notices) == ([], [])
    assert process is not None
    return process


DESIGN = """\
pipeline:
  - loop:
      - agent: implementer
      - agent: verifier
  - gate: human-pr-approval
  - action: merge-pr
gates:   {human-pr-approval: {type: label}}
actions: {merge-pr: {type: pr-merge}}
hooks:   {after_reap: [{type: process-improver}]}
"""


def test_the_process_of_the_documentation_is_read_whole() -> None:
    assert right(DESIGN) == Process(
        name="default",
        pipeline=(WORK, GateStep("human-pr-approval"), ActionStep("merge-pr")),
        gates={"human-pr-approval": LabelGate(label="lgtm")},
        actions={"merge-pr": MergeAction()},
        hooks=Hooks(after_reap=(HookSpec(type="process-improver"),)),
    )


def test_the_old_spelling_and_nested_loops_are_read_and_usual_names_need_no_definition() -> None:
    text = """\
kind: Process
name: careful
pipeline:
  - loop:
      - loop:
          - role: implementer
          - role: verifier
      - role: security-reviewer
  - action: mark-pr-ready
  - gate: human-pr-approval
  - action: merge-pr
"""
    assert right(text) == Process(
        name="careful",
        pipeline=(
            LoopStep((WORK, AgentStep("security-reviewer"))),
            ActionStep("mark-pr-ready"),
            GateStep("human-pr-approval"),
            ActionStep("merge-pr"),
        ),
        gates={"human-pr-approval": LabelGate()},
        actions={"mark-pr-ready": ReadyAction(), "merge-pr": MergeAction()},
    )


def test_every_gate_type_has_its_own_options() -> None:
    text = """\
pipeline: [agent: implementer, gate: a, gate: b, gate: c, gate: d]
gates:
  a: {type: label, label: ship-it}
  b: {type: pr-approval, approvals: 2, from: [ann, ben]}
  c: {type: ci-status, checks: [unit, lint]}
  d: {type: all, gates: [{type: ci-status}, {type: any, gates: [{type: label}]}]}
"""
    assert right(text).gates == {
        "a": LabelGate(label="ship-it"),
        "b": ApprovalGate(approvals=2, logins=("ann", "ben")),
        "c": CiGate(checks=("unit", "lint")),
        "d": AllGate(gates=(CiGate(), AnyGate(gates=(LabelGate(),)))),
    }


def test_a_usual_name_may_be_defined_anew() -> None:
    text = "pipeline: [agent: implementer, gate: human-pr-approval]\n"
    text += "gates: {human-pr-approval: {type: pr-approval}}"
    assert right(text).gates == {"human-pr-approval": ApprovalGate()}


def test_where_to_go_on_is_named_by_a_step_beside() -> None:
    text = """\
pipeline:
  - agent: implementer
  - {agent: verifier, on_fail: implementer, on_pass: security-reviewer}
  - agent: security-reviewer
"""
    assert right(text).pipeline[1] == AgentStep("verifier", "security-reviewer", "implementer")


ONE = "pipeline: [agent: implementer]\n"
STEP = '"; expected a step such as `agent: implementer`'
STEPS = "expected a list of steps such as `- agent: implementer`"
AGENTS_KNOWN = "implementer, pm, process-improver, security-reviewer, verifier"
MISTAKES = [
    ("gates: {}", "p.yaml:1: pipeline: is missing; expected a list of steps"),
    ("pipeline: []", f"p.yaml:1: pipeline: has no steps; {STEPS}"),
    ("pipeline:", f"p.yaml:1: pipeline: has no steps; {STEPS}"),
    ("pipeline: merge-pr", f'p.yaml:1: pipeline: is "merge-pr"; {STEPS}'),
    ("pipeline: [implementer]", f'p.yaml:1: pipeline[0]: is "implementer{STEP}'),
    (
        "pipeline: [{}]",
        "p.yaml:1: pipeline[0]: names no step; expected agent, gate, action or loop",
    ),
    ("pipeline: [loop: []]", f"p.yaml:1: pipeline[0].loop: has no steps; {STEPS}"),
    ("pipeline: [loop: x]", f'p.yaml:1: pipeline[0].loop: is "x"; {STEPS}'),
    (
        "pipeline: [{agnet: verifier}]",
        "p.yaml:1: pipeline[0].agnet: unknown key (did you mean agent?)",
    ),
    (
        "pipeline: [{agent: verifier, zzz: 1}]",
        (
            "p.yaml:1: pipeline[0].zzz: unknown key"
            " (known: agent, gate, action, loop, on_pass, on_fail)"
        ),
    ),
    (
        "pipeline:\n  - agent: verifier\n    gate: human-pr-approval",
        (
            "p.yaml:2: pipeline[0]: is agent and gate at once;"
            " expected one step (begin each step with `- `)"
        ),
    ),
    (
        "pipeline:\n  - loop:\n      - agent: implementr",
        (
            'p.yaml:3: pipeline[0].loop[0].agent: there is no agent "implementr"'
            " (did you mean implementer?)"
        ),
    ),
    (
        "pipeline: [agent: zzz]",
        f'p.yaml:1: pipeline[0].agent: there is no agent "zzz" (known: {AGENTS_KNOWN})',
    ),
    ("pipeline: [agent: 5]", "p.yaml:1: pipeline[0].agent: is 5; expected the name of an agent"),
    (
        "pipeline: [agent: implementer, gate: ]",
        "p.yaml:1: pipeline[1].gate: is empty; expected the name of a gate",
    ),
    (
        "pipeline: [agent: pm]",
        (
            "p.yaml:1: pipeline[0].agent: pm is asked for proposals, so it cannot work on a task;"
            " expected an agent that wants changes or verdict"
        ),
    ),
    (
        "pipeline: [agent: implementer, gate: human-pr-aproval]",
        (
            'p.yaml:1: pipeline[1].gate: there is no gate "human-pr-aproval"'
            " (did you mean human-pr-approval?)"
        ),
    ),
    (
        "pipeline: [agent: implementer, action: merge]",
        'p.yaml:1: pipeline[1].action: there is no action "merge" (did you mean merge-pr?)',
    ),
    (
        "pipeline: [agent: implementer, {action: merge-pr, on_fail: implementer}]",
        "p.yaml:1: pipeline[1].on_fail: does not go with action; expected an agent step",
    ),
    (
        "pipeline: [{agent: verifier, on_fail: implementer}]",
        (
            'p.yaml:1: pipeline[0].on_fail: "implementer" is no agent step beside this one;'
            " expected verifier"
        ),
    ),
    (
        "pipeline: [agent: verifier, agent: verifier, {agent: implementer, on_pass: verifier}]",
        (
            'p.yaml:1: pipeline[2].on_pass: "verifier" stands 2 times in this list;'
            " expected an agent step that stands there once"
        ),
    ),
    (
        "pipeline: [{agent: verifier, on_pass: }]",
        "p.yaml:1: pipeline[0].on_pass: is empty; expected the name of an agent step",
    ),
    (
        "pipeline: [action: merge-pr]",
        "p.yaml:1: pipeline: has no agent; expected at least one agent step: somebody must work",
    ),
    (
        "pipeline: [agent: implementer, loop: [action: merge-pr]]",
        (
            "p.yaml:1: pipeline[1].loop: has no agent;"
            " expected at least one agent step: a loop does work again"
        ),
    ),
    (f"{ONE}pipelin: []", "p.yaml:2: pipelin: unknown key (did you mean pipeline?)"),
    (
        f"{ONE}name: Bad_Name",
        (
            'p.yaml:2: name: is "Bad_Name";'
            " expected a name of small letters, digits and hyphens or null"
        ),
    ),
    (
        f"{ONE}gates: {{x: {{type: lable}}}}",
        (
            'p.yaml:2: gates.x.type: is "lable"; expected label, pr-approval, ci-status, all or any'
            " (did you mean label?)"
        ),
    ),
    (
        f"{ONE}gates: {{x: {{type: label, checks: [a]}}}}",
        "p.yaml:2: gates.x.checks: unknown key (known: type, label)",
    ),
    (
        f"{ONE}gates: {{x: {{type: pr-approval, approvals: 0}}}}",
        "p.yaml:2: gates.x.approvals: is 0; expected a whole number of at least 1",
    ),
    (
        f"{ONE}gates: {{x: {{type: all, gates: []}}}}",
        "p.yaml:2: gates.x.gates: is an empty list; expected a list of mappings, not empty",
    ),
    (
        f"{ONE}actions: {{x: {{type: pr-merg}}}}",
        (
            'p.yaml:2: actions.x.type: is "pr-merg"; expected pr-merge or mark-pr-ready'
            " (did you mean pr-merge?)"
        ),
    ),
    (
        f"{ONE}hooks: {{after_reap: [{{type: improver}}]}}",
        (
            'p.yaml:2: hooks.after_reap[0].type: is "improver"; expected process-improver'
            " (did you mean process-improver?)"
        ),
    ),
    (
        f"{ONE}hooks: {{before_reap: []}}",
        "p.yaml:2: hooks.before_reap: unknown key (did you mean after_reap?)",
    ),
]


@pytest.mark.parametrize(("text", "message"), MISTAKES, ids=[text for text, _ in MISTAKES])
def test_a_mistake_is_named_with_its_line_and_the_nearest_name(text: str, message: str) -> None:
    assert read(text) == (None, [message], [])


def test_a_hook_needs_its_agent() -> None:
    problems: list[Problem] = []
    text = f"{ONE}hooks: {{after_reap: [{{type: process-improver}}]}}".encode()
    read_process(parse_one(text, "p.yaml"), {"implementer": Wants.CHANGES}, problems, [])
    assert [str(problem) for problem in problems] == [
        'p.yaml:2: hooks.after_reap[0].type: there is no agent "process-improver"'
    ]


def test_all_mistakes_of_a_process_come_together_in_line_order() -> None:
    text = """\
pipeline:
  - agent: implementr
    on_fail: nobody
  - verifier
  - {agnet: verifier}
  - loop: []
  - action: mergepr
gates: {x: {type: lable}}
nam: x
"""
    assert [problem.split(" ")[0] for problem in read(text)[1]] == [
        "p.yaml:2:",
        "p.yaml:3:",
        "p.yaml:4:",
        "p.yaml:5:",
        "p.yaml:6:",
        "p.yaml:7:",
        "p.yaml:8:",
        "p.yaml:9:",
    ]


def test_what_is_defined_but_not_used_is_said_and_no_mistake() -> None:
    text = f"{ONE}gates:\n  spare: {{type: label}}\nactions:\n  other: {{type: pr-merge}}\n"
    process, problems, notices = read(text)
    assert process == Process(name="default", pipeline=(AgentStep("implementer"),))
    assert (problems, notices) == (
        [],
        [
            "p.yaml:3: gates.spare is defined, but no step uses it",
            "p.yaml:5: actions.other is defined, but no step uses it",
        ],
    )


PIPELINE = (WORK, GateStep("g"), LoopStep((WORK, ActionStep("a"))))


@pytest.mark.parametrize(
    ("position", "words"),
    [
        ((0,), "loop"),
        ((0, 1), "agent verifier"),
        ((1,), "gate g"),
        ((2, 0, 0), "agent implementer"),
        ((2, 1), "action a"),
    ],
)
def test_a_position_is_the_path_to_a_step(position: tuple[int, ...], words: str) -> None:
    assert describe(step_at(PIPELINE, position)) == words


@pytest.mark.parametrize("position", [(), (3,), (1, 0), (0, 2), (-1,), (0, -1)])
def test_a_position_that_leads_nowhere_is_refused(position: tuple[int, ...]) -> None:
    with pytest.raises(IndexError):
        step_at(PIPELINE, position)
