"""What agents are told: everything that they need, quoted, and the same things first."""

from dataclasses import replace
from itertools import takewhile
from pathlib import Path

import msgspec
import pytest
import yaml
from msgspec.structs import replace as changed

import hyperloop_action
from hyperloop_action.adapters.prompts import (
    HISTORY_BUDGET,
    MAX_CHANGED_LINES,
    TOO_LONG,
    TemplatePrompts,
    difference,
    problems_of,
)
from hyperloop_action.domain.agents import AgentDefinition
from hyperloop_action.domain.briefing import Briefing, SpecBrief
from hyperloop_action.domain.model import Phase, Review, Task
from hyperloop_action.domain.orders import (
    Answer,
    ErrorKind,
    Proposal,
    SessionError,
    Verdict,
    Wants,
)
from hyperloop_action.errors import ConfigError

BASE = Path(hyperloop_action.__file__).parent / "base"
NAMES = ("pm", "implementer", "verifier", "process-improver", "rebase-resolver")
SPEC = "# Log in\n\n```sh\ncurl /login\n```\n\nA wrong password is answered with {{ 401 }}.\n"


def shipped(name: str) -> AgentDefinition:
    document = yaml.safe_load((BASE / f"{name}.yaml").read_text())
    assert document.pop("kind") == "Agent"
    return msgspec.convert(document, AgentDefinition)


def task(number: int = 1, **fields: object) -> Task:
    base = Task(
        id=f"task-{number:03d}",
        title="Log in with a password",
        spec_ref="specs/auth.md@1f2e3d",
        phase=Phase.WORKING,
        branch=f"hyperloop/task-{number:03d}",
        step="agent implementer",
        position=(0, 0),
        spec_blob="b10b",
        description="POST /login works.",
    )
    return changed(base, **fields)


def review(number: int, findings: str, round_: int = 0, role: str = "verifier") -> Review:
    return Review(
        task_id=f"task-{number:03d}",
        round=round_,
        role=role,
        verdict=Verdict.FAIL,
        findings=findings,
    )


def briefing(name: str = "implementer", **fields: object) -> Briefing:
    of_task = Briefing(shipped(name), task().spec_ref, SPEC, task())
    return replace(of_task, **fields)  # type: ignore[arg-type] # each test names real fields


def compose(given: Briefing) -> str:
    return TemplatePrompts().compose(given)


def shared_by(one: str, other: str) -> str:
    pairs = takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))
    return "".join(char for char, _ in pairs)


@pytest.mark.parametrize("name", ["implementer", "verifier", "rebase-resolver"])
def test_rounds_of_a_task_share_everything_but_round_and_findings(name: str) -> None:
    first = briefing(name)
    findings = (review(1, "no 401", 1), review(1, "no /login"))
    third = replace(first, task=task(round=2), findings=findings)

    prompts = compose(first), compose(third)
    shared = shared_by(*prompts)

    assert shared.rpartition("\n")[2] == "This is round "
    assert len(shared) >= 0.9 * len(prompts[0])
    assert SPEC.strip() in shared


def test_tasks_of_a_spec_share_everything_up_to_the_task() -> None:
    prompts = compose(briefing()), compose(briefing(task=task(2, title="Log out")))

    assert SPEC.strip() in shared_by(*prompts)


def test_the_changing_part_of_a_task_says_where_it_stands_and_what_was_found() -> None:
    given = briefing(
        task=task(round=2, covers=("401 for a wrong password",)),
        findings=(review(1, "no 401\n```", 1), review(1, "`{round}` {{ x }}", role="human")),
    )

    assert compose(given).partition("\n## The spec\n")[2] == (
        """
The text of `specs/auth.md@1f2e3d`, at the version that the task was made for:

````markdown
# Log in

```sh
curl /login
```

A wrong password is answered with {{ 401 }}.
````

## The task

task-001, "Log in with a password":

```markdown
POST /login works.
```

It covers these acceptance criteria:

```
401 for a wrong password
```

## Where it stands

This is round 2.

## Findings

What verifiers, people and failed actions said in all rounds so far, the newest first.

### Round 1, verifier: fail

````markdown
no 401
```
````

### Round 0, human: fail

```markdown
`{round}` {{ x }}
```
"""
    )


def test_an_agent_is_told_that_an_earlier_session_was_cut_short() -> None:
    cut = SessionError(kind=ErrorKind.TIMEOUT, message="it hung")
    prompt = compose(briefing(task=changed(task(), error=cut)))
    assert prompt.endswith("""\
This is round 0, the first.

An earlier session of this round ended early (timeout). What it had done is on the branch:
look at that first, and go on from there.
""")


def test_what_a_project_adds_stands_before_the_spec() -> None:
    agent = changed(shipped("implementer"), persona="A Go service.", guidelines="- Be brief. {{ }}")
    text = compose(briefing(agent=agent))

    assert text.startswith(agent.prompt)
    stable = text.partition("\n## The spec\n")[0]
    assert "## Guidelines\n\n- Be brief. {{ }}\n\n## This project\n\nA Go service.\n" in stable


def test_what_is_empty_has_no_heading() -> None:
    agent = AgentDefinition(name="reviewer", prompt="Look at it.")
    text = compose(Briefing(agent, "specs/a.md@1", "# A", task()))

    headings = [line for line in text.splitlines() if line.startswith("## ")]
    assert headings == [
        "## What is quoted",
        "## How to answer",
        "## The spec",
        "## The task",
        "## Where it stands",
    ]


CHANGED = SpecBrief(
    path="specs/auth.md",
    change="failed",
    text="# Log in\nby password\n",
    before="# Log in\nby name\n",
    history=(
        (task(1, phase=Phase.COMPLETE), (review(1, "was mended"),)),
        (task(2, phase=Phase.FAILED, reason="3 conflicts", round=4), (review(2, "no `401`"),)),
        (task(3, phase=Phase.FAILED), (review(3, "older"), review(3, "newer", 1))),
    ),
)


def test_the_pm_gets_specs_differences_history_open_tasks_and_its_refusal() -> None:
    new = SpecBrief("specs/b.md", "new", "# B\n")
    open_task = task(7, title="Log `out`\n## Nothing", spec_ref="specs/c.md@1")
    given = Briefing(
        shipped("pm"), specs=(CHANGED, new), tasks=(open_task,), refusal="the key 'a' stands twice"
    )

    assert compose(given).partition("\n## Open tasks\n")[2] == (
        """
- task-007 (`specs/c.md`): "Log 'out' ## Nothing"

## The spec `specs/auth.md`

Its last plan did not close the gap: tasks of it failed. At least one task has to take their place.

```markdown
# Log in
by password
```

What changed since the version that was last fulfilled:

```diff
--- a/specs/auth.md
+++ b/specs/auth.md
@@ -1,2 +1,2 @@
 # Log in
-by name
+by password
```

Tasks that were made for it so far:

- task-001, "Log in with a password": complete in round 0
- task-002, "Log in with a password": failed in round 4 (3 conflicts)
- task-003, "Log in with a password": failed in round 0

Review of task-003, round 1, verifier: fail

```markdown
newer
```

Review of task-003, round 0, verifier: fail

```markdown
older
```

Review of task-002, round 0, verifier: fail

```markdown
no `401`
```

## The spec `specs/b.md`

It is new: no version of it was ever fulfilled.

```markdown
# B
```

## Your last plan was refused

It broke these rules. Answer again, with a plan that keeps them.

```
the key 'a' stands twice
```
"""
    )


def test_a_long_history_does_not_fill_the_prompt() -> None:
    long = tuple(review(2, str(number) * 5_000, number) for number in range(9))
    spec = replace(CHANGED, history=((task(2, phase=Phase.FAILED), long),))

    text = compose(Briefing(shipped("pm"), specs=(spec,)))

    assert "8" * 5_000 in text
    assert HISTORY_BUDGET < len(text) < HISTORY_BUDGET + 8_000


def test_a_difference_that_nobody_could_read_is_not_computed() -> None:
    lines = [f"line {number}" for number in range(12_000)]
    few = [*lines[:6_000], "new", *lines[6_001:]]
    many = [f"{line}!" for line in lines[: MAX_CHANGED_LINES + 1]] + lines[MAX_CHANGED_LINES + 1 :]
    text = "\n".join(lines)

    assert "-line 6000\n+new" in difference(text, "\n".join(few), "specs/a.md")
    assert difference(text, "\n".join(many), "specs/a.md") == TOO_LONG
    assert difference(text, text, "specs/a.md") == ""


def _example(text: str) -> bytes:
    """The JSON between the first two json fences."""
    return text.partition("```json\n")[2].partition("\n```")[0].encode()


@pytest.mark.parametrize("name", NAMES)
def test_the_form_of_the_answer_that_an_agent_is_shown_is_one_that_is_understood(name: str) -> None:
    agent = shipped(name)
    answer = msgspec.json.decode(_example(compose(briefing(agent=agent))), type=Answer)
    given = {field for field in Answer.__struct_fields__ if getattr(answer, field)}

    expected = {
        Wants.CHANGES: {"detail"},
        Wants.RULES: {"detail"},
        Wants.VERDICT: {"verdict", "detail"},
        Wants.PROPOSALS: {"proposals"},
    }
    assert given == expected[agent.wants]
    for proposal in answer.proposals or ():
        assert all(getattr(proposal, field) for field in Proposal.__struct_fields__)


@pytest.mark.parametrize("name", NAMES)
def test_every_agent_is_told_where_its_answer_goes(name: str) -> None:
    assert "`HYPERLOOP_RESULT_FILE`" in compose(briefing(name))


def test_the_shipped_prompts_have_no_problems() -> None:
    assert problems_of({name: shipped(name) for name in NAMES}) == []


def test_a_wrong_prompt_is_found_before_anything_is_spent() -> None:
    wrong = AgentDefinition(name="reviewer", prompt="Read {{ the_spec }}.")

    (problem,) = problems_of({"reviewer": wrong})

    assert str(problem).startswith("agent reviewer: prompt: cannot be filled in: 'the_spec' is")
    with pytest.raises(ConfigError, match="agent reviewer"):
        compose(briefing(agent=wrong))
