"""Briefing -> the text that an agent gets. Implements the ``Prompts`` port; a cycle calls it.

What is the same for every round of a task stands first, byte for byte, so that a provider's cache
of a prompt's beginning is used again: prompt, guidelines, persona, form of the answer, spec.
"""

import difflib
from dataclasses import dataclass

from hyperloop_action.adapters.templates import plain, render_prompt, render_shipped
from hyperloop_action.domain.agents import AgentDefinition
from hyperloop_action.domain.briefing import Briefing, SpecBrief, bounded
from hyperloop_action.domain.model import Phase, Review, Task
from hyperloop_action.domain.orders import Wants
from hyperloop_action.errors import ConfigError, Problem

HISTORY_BUDGET = 20_000
"""Characters of reviews of failed tasks, for each spec of a plan."""


class TemplatePrompts:
    """Stateless; implements :class:`hyperloop_action.ports.Prompts`."""

    def compose(self, briefing: Briefing) -> str:
        """Raises :class:`ConfigError` naming the agent whose prompt cannot be filled in."""
        agent = briefing.agent
        values: dict[str, object] = {
            "prompt": _prompt_of(agent, _names(briefing.spec_ref, briefing.task)),
            "guidelines": agent.guidelines.strip(),
            "persona": agent.persona.strip(),
            "wants": agent.wants.value,
            "task": briefing.task,
            "spec_ref": briefing.spec_ref,
            "spec_text": briefing.spec_text,
            "findings": briefing.findings,
            "specs": [_spec_values(spec) for spec in briefing.specs],
            "tasks": briefing.tasks,
            "refusal": briefing.refusal,
        }
        plans = agent.wants is Wants.PROPOSALS
        return render_shipped("plan.md.j2" if plans else "task.md.j2", values).strip() + "\n"


def problems_of(agents: dict[str, AgentDefinition]) -> list[Problem]:
    """What is wrong with the prompts of these agents, before anything is spent on one of them."""
    problems: list[Problem] = []
    for agent in agents.values():
        try:
            _prompt_of(agent, _names("specs/example.md@0", None))
        except ConfigError as error:
            problems += error.problems
    return problems


def _names(spec_ref: str, task: Task | None) -> dict[str, object]:
    """All that an agent's own prompt may name."""
    return {
        "spec_ref": spec_ref,
        "task_id": task.id if task else "",
        "round": task.round if task else 0,
    }


def _prompt_of(agent: AgentDefinition, names: dict[str, object]) -> str:
    where = Problem(f"agent {agent.name}", 0, "prompt", "")
    return render_prompt(agent.prompt, names, where=where).strip()


MAX_CHANGED_LINES = 2_000
"""What a difference may span: beyond it takes minutes to compute, and says less than the text."""

TOO_LONG = f"(It is not shown: it spans more than {MAX_CHANGED_LINES} lines.)"


@dataclass(frozen=True, slots=True)
class _SpecValues:
    path: str
    change: str
    text: str
    diff: str
    history: tuple[str, ...]
    reviews: tuple[Review, ...]


def _spec_values(spec: SpecBrief) -> _SpecValues:
    failed = [reviews for task, reviews in spec.history if task.phase is Phase.FAILED]
    newest_first = tuple(review for reviews in reversed(failed) for review in reversed(reviews))
    return _SpecValues(
        path=spec.path,
        change=spec.change,
        text=spec.text,
        diff=difference(spec.before, spec.text, spec.path) if spec.before is not None else "",
        history=tuple(_told(task) for task, _ in spec.history),
        reviews=bounded(newest_first, HISTORY_BUDGET),
    )


def difference(before: str, after: str, path: str) -> str:
    """A unified diff, without a line ending at its end; empty when nothing changed."""
    old, new = before.splitlines(), after.splitlines()
    if max(len(old), len(new)) - _alike(old, new) > MAX_CHANGED_LINES:
        return TOO_LONG
    return "\n".join(difflib.unified_diff(old, new, f"a/{path}", f"b/{path}", lineterm=""))


def _alike(old: list[str], new: list[str]) -> int:
    """How many lines both have at their beginning and their end."""
    most = min(len(old), len(new))
    head = next((i for i in range(most) if old[i] != new[i]), most)
    return head + next((i for i in range(most - head) if old[-1 - i] != new[-1 - i]), most - head)


def _told(task: Task) -> str:
    """One line of a spec's history: what was asked for, and what became of it."""
    end = f'{task.id}, "{plain(task.title)}": {task.status.value} in round {task.round}'
    why = task.error.message if task.error else task.reason
    return f"{end} ({plain(why)})" if task.phase is Phase.FAILED and why else end
