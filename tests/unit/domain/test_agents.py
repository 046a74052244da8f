"""Agent documents as people write them, right and wrong."""

import pytest

from hyperloop_action.domain.agents import AgentDefinition, read_agent
from hyperloop_action.domain.config_keys import RoleSettings
from hyperloop_action.domain.documents import parse_one
from hyperloop_action.domain.orders import Wants
from hyperloop_action.errors import Problem


def read(text: str) -> tuple[AgentDefinition | None, list[str]]:
    problems: list[Problem] = []
    agent = read_agent(parse_one(text.encode(), "a.yaml"), problems)
    return agent, [str(problem) for problem in problems]


def test_a_whole_agent_is_read() -> None:
    text = """\
kind: Agent
name: implementer
wants: changes
model: large
max_turns: 20
annotations:
  ambient.io/persona: You work on a Go service.
  team: api
guidelines: Small steps.
prompt: |
  Implement {spec_ref}.
"""
    assert read(text) == (
        AgentDefinition(
            name="implementer",
            prompt="Implement {spec_ref}.\n",
            guidelines="Small steps.",
            persona="You work on a Go service.",
            wants=Wants.CHANGES,
            runtime=RoleSettings(model="large", max_turns=20),
            annotations={"ambient.io/persona": "You work on a Go service.", "team": "api"},
        ),
        [],
    )


def test_an_agent_of_the_projects_own_judges_unless_it_says_otherwise() -> None:
    assert read("kind: Agent\nname: security-reviewer\nprompt: Review.") == (
        AgentDefinition(name="security-reviewer", prompt="Review.", wants=Wants.VERDICT),
        [],
    )


HEAD = "kind: Agent\nname: x\nprompt: y\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "kind: Agent\nname: x",
            "a.yaml:1: prompt: is missing; expected text, not empty",
        ),
        (
            'kind: Agent\nname: x\nprompt: " "',
            'a.yaml:3: prompt: is ""; expected text, not empty',
        ),
        (
            "kind: Agent\nname: ../x\nprompt: y",
            'a.yaml:2: name: is "../x"; expected a name of small letters, digits and hyphens',
        ),
        (
            'kind: Agent\nname: "x\\n"\nprompt: y',
            'a.yaml:2: name: is "x"; expected a name of small letters, digits and hyphens',
        ),
        (
            f"{HEAD}wants: verdicts",
            (
                'a.yaml:4: wants: is "verdicts"; expected changes, verdict, proposals or rules'
                " (did you mean verdict?)"
            ),
        ),
        (f"{HEAD}guideline: z", "a.yaml:4: guideline: unknown key (did you mean guidelines?)"),
        (f"{HEAD}guidelines: [a]", "a.yaml:4: guidelines: is a list; expected text"),
        (f"{HEAD}annotations: {{team: 5}}", "a.yaml:4: annotations.team: is 5; expected text"),
        (
            f"{HEAD}max_turns: 0",
            "a.yaml:4: max_turns: is 0; expected a whole number of at least 1 or null",
        ),
    ],
)
def test_a_mistake_is_named_with_its_line(text: str, message: str) -> None:
    assert read(text) == (None, [message])
