"""One cycle: read the world, decide with pure functions, save once, start what was claimed.

    load state -> observe -> COLLECT -> INTAKE -> ADVANCE -> SPAWN -> save -> start sessions

Sessions run on in processes of their own; a later cycle collects what they leave. So a cycle may be
killed anywhere: what it did outside is found again, and what it did not save is decided anew.
"""

from dataclasses import dataclass, replace

from msgspec import structs

from hyperloop_action import act
from hyperloop_action.domain.advance import absorb, advance, realign
from hyperloop_action.domain.branches import branch_moves
from hyperloop_action.domain.briefing import Briefing, blobs_of, plan_briefing, task_briefing
from hyperloop_action.domain.collect import collect
from hyperloop_action.domain.draft import Draft
from hyperloop_action.domain.effects import Effect
from hyperloop_action.domain.facts import Fact, summary
from hyperloop_action.domain.intake import collect_plan, find_gaps, specs_to_plan
from hyperloop_action.domain.ledger import close_specs, observe_specs
from hyperloop_action.domain.model import Phase, State
from hyperloop_action.domain.orders import Order
from hyperloop_action.domain.rebuild import refuse_lost_state
from hyperloop_action.domain.rules import Rules
from hyperloop_action.domain.spawn import PLANNER, Claim, order_of, spawn, spawn_planner
from hyperloop_action.domain.spec_texts import fitting, refuse_blank
from hyperloop_action.domain.world import World
from hyperloop_action.errors import Moved, TransientError
from hyperloop_action.ports import Ports, Stored

MAX_RACES = 8
"""Saves lost in a row before a cycle leaves the field to the others."""


@dataclass(frozen=True, slots=True)
class Cycle:
    """What one cycle did. ``commit`` is ``None`` when there was nothing to write."""

    state: State
    facts: tuple[Fact, ...]
    effects: tuple[Effect, ...]
    orders: tuple[Order, ...]
    commit: str | None


def run_cycle(ports: Ports, rules: Rules, *, spawning: bool = True) -> Cycle:
    """Without ``spawning`` nothing new is started: results are folded in and tasks move on."""
    for races in range(MAX_RACES):
        try:
            return _cycle(ports, rules, spawning=spawning)
        except Moved:
            ports.pause(races)
    raise TransientError(
        f"somebody else moved the state {MAX_RACES} times in a row",
        hint="nothing is lost; the next cycle tries again",
    )


def preview_cycle(ports: Ports, rules: Rules) -> Cycle:
    """What :func:`run_cycle` would do now, up to the first merge; writes and starts nothing."""
    stored = ports.state.load()
    world = _observe(ports, stored.state)
    refuse_lost_state(stored.tip, world)
    draft = _collect(ports, rules, stored.state, world)
    advance(draft, world, frozenset())
    close_specs(draft)
    orders = _claim(ports, rules, draft, world)
    return Cycle(draft.done(), tuple(draft.facts), tuple(draft.effects), orders, None)


def _cycle(ports: Ports, rules: Rules, *, spawning: bool) -> Cycle:
    stored = ports.state.load()
    world = _observe(ports, stored.state)
    refuse_lost_state(stored.tip, world)
    draft = _collect(ports, rules, stored.state, world)
    world = _advance(ports, draft, world)
    close_specs(draft)
    orders = _claim(ports, rules, draft, world) if spawning else ()
    ports.workers.check(orders)
    after, commit = _save(ports, rules, stored, draft, world)
    for fact in draft.facts:
        ports.probe(fact)
    for order in orders:
        ports.workers.start(order)
    over, live = {*world.results, *world.ended}, _orders(after)
    ports.workers.forget(over - live)
    if unwanted := _orders(stored.state) - live - over:
        ports.workers.stop(sorted(unwanted))  # their tasks were cancelled
    return Cycle(after, tuple(draft.facts), (), orders, commit)


def _orders(state: State) -> set[str]:
    return {worker.order for worker in state.workers()}


def _observe(ports: Ports, state: State) -> World:
    seen = ports.workers.look(state.workers())
    world = ports.repository.observe(state)
    return replace(world, results=seen.results, alive=seen.alive, ended=seen.ended)


def _collect(ports: Ports, rules: Rules, state: State, world: World) -> Draft:
    """COLLECT and INTAKE, but for the ordering of plans."""
    draft = Draft.of(state, rules.process, rules.limits, ports.now())
    collect(draft, world)
    collect_plan(draft, world)
    observe_specs(draft, world)
    find_gaps(draft, world)
    realign(draft)
    return draft


def _advance(ports: Ports, draft: Draft, world: World) -> World:
    """The world as the merges left it: whoever starts now starts from what has just landed."""
    tried: set[str] = set()
    while True:
        advance(draft, world, frozenset(tried))
        if not draft.effects:
            return world
        for effect in tuple(draft.effects):
            outcome = act.apply(effect, world.base, ports)
            absorb(draft, outcome)
            tried.add(effect.task)
            world = replace(world, base=outcome.base)


def _claim(ports: Ports, rules: Rules, draft: Draft, world: World) -> tuple[Order, ...]:
    """SPAWN: prompts are composed before the save, so that a template that fails costs nothing."""
    specs = specs_to_plan(draft)
    wanted = {*blobs_of(specs, draft.done()), *_pinned(draft)}
    texts = ports.repository.read(wanted) if wanted else {}
    specs = tuple(spec for spec in specs if spec.blob in texts)
    usable = fitting(refuse_blank(draft, specs, texts), texts)
    claims = spawn_planner(draft, usable, rules.roles[PLANNER], rules.claimer)
    world = replace(world, missing=frozenset(wanted - texts.keys()))
    claims += spawn(draft, world, rules.roles, rules.claimer)
    state = draft.done()
    words = {blob: text.decode("utf-8", "replace") for blob, text in texts.items()}
    prompts = (ports.prompts.compose(_briefing(rules, claim, state, words)) for claim in claims)
    return tuple(
        order_of(claim, world.base, prompt, rules.protected_paths, rules.max_change_mb)
        for claim, prompt in zip(claims, prompts, strict=True)
    )


def _pinned(draft: Draft) -> set[str]:
    """The texts that whoever starts now would be told."""
    return {task.spec_blob for task in draft.open_tasks() if task.phase is Phase.QUEUED}


def _briefing(rules: Rules, claim: Claim, state: State, texts: dict[str, str]) -> Briefing:
    agent = rules.agents[claim.role.name]
    if claim.task:
        return task_briefing(agent, claim.task, state, texts[claim.task.spec_blob])
    return plan_briefing(agent, claim.specs, state, texts)


def _save(
    ports: Ports, rules: Rules, stored: Stored, draft: Draft, world: World
) -> tuple[State, str | None]:
    after = draft.done()
    if after == stored.state and not draft.refs:
        return after, None
    number = stored.state.meta.cycle + 1
    draft.meta = structs.replace(draft.meta, cycle=number)
    after = draft.done()
    moves = branch_moves(
        stored.state, after, world, draft.refs, delete_merged=rules.limits.delete_branch
    )
    lines = [fact.line() for fact in draft.facts]
    subject = f"cycle {number}: {summary(draft.facts)}"
    return after, ports.state.save(stored, after, subject, lines, moves)
