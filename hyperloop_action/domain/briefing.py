"""Everything a prompt may speak of, as one value: the templates see this and nothing else.

What is stable over the rounds of a task stands first, so that a provider's cache of the prompt's
beginning is used again.
"""

from dataclasses import dataclass

from msgspec.structs import replace

from hyperloop_action.domain.agents import AgentDefinition
from hyperloop_action.domain.model import Review, State, Task
from hyperloop_action.domain.orders import SpecToPlan

FINDINGS_BUDGET = 40_000
"""Characters. Findings of all rounds go in, newest first; what is cut is said to be cut."""

CUT = "\n[... cut here: the rest is in the reviews on the state branch ...]"


@dataclass(frozen=True, slots=True)
class SpecBrief:
    """A spec for the pm: ``before`` is its last synced text where it has one, ``history`` the tasks
    that came of it so far, with the reviews of those that failed."""

    path: str
    change: str
    text: str
    before: str | None = None
    history: tuple[tuple[Task, tuple[Review, ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class Briefing:
    """``spec_text`` is the spec at the version that the task is pinned to."""

    agent: AgentDefinition
    spec_ref: str = ""
    spec_text: str = ""
    task: Task | None = None
    findings: tuple[Review, ...] = ()
    specs: tuple[SpecBrief, ...] = ()
    tasks: tuple[Task, ...] = ()
    refusal: str = ""


def task_briefing(agent: AgentDefinition, task: Task, state: State, spec_text: str) -> Briefing:
    return Briefing(
        agent=agent,
        spec_ref=task.spec_ref,
        spec_text=spec_text,
        task=task,
        findings=bounded(tuple(reversed(state.reviews.get(task.id, ())))),
    )


def plan_briefing(
    agent: AgentDefinition, specs: tuple[SpecToPlan, ...], state: State, texts: dict[str, str]
) -> Briefing:
    """``texts`` maps blobs to texts; the last synced blobs are among them where they can be
    read."""
    return Briefing(
        agent=agent,
        specs=tuple(_spec_brief(spec, state, texts) for spec in specs),
        tasks=tuple(sorted((t for t in state.tasks.values() if t.open), key=lambda t: t.number)),
        refusal=state.meta.planner.refusal,
    )


def blobs_of(specs: tuple[SpecToPlan, ...], state: State) -> list[str]:
    """What has to be read before :func:`plan_briefing`."""
    synced = (state.specs[spec.path].synced_blob for spec in specs if spec.path in state.specs)
    return [*(spec.blob for spec in specs), *(blob for blob in synced if blob)]


def bounded(reviews: tuple[Review, ...], budget: int = FINDINGS_BUDGET) -> tuple[Review, ...]:
    """As many findings as fit, in the order given; the one at the edge is cut and says so."""
    kept: list[Review] = []
    for review in reviews:
        if not review.findings:
            continue
        if len(review.findings) > budget:
            cut = review.findings[: max(budget, 0)] + CUT
            kept.append(replace(review, findings=cut))
            break
        kept.append(review)
        budget -= len(review.findings)
    return tuple(kept)


def _spec_brief(spec: SpecToPlan, state: State, texts: dict[str, str]) -> SpecBrief:
    entry = state.specs.get(spec.path)
    before = texts.get(entry.synced_blob or "") if entry else None
    mine = sorted((t for t in state.tasks.values() if t.spec == spec.path), key=lambda t: t.number)
    history = tuple((task, state.reviews.get(task.id, ())) for task in mine)
    return SpecBrief(spec.path, spec.change, texts[spec.blob], before, history)
