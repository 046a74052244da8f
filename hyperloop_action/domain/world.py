"""What a cycle sees outside its own state: one snapshot, taken before anything is decided."""

from dataclasses import dataclass, field

from hyperloop_action.domain.orders import Result


@dataclass(frozen=True, slots=True)
class SpecSeen:
    """A spec as it stands on the base branch; ``size`` in bytes."""

    blob: str
    size: int


@dataclass(frozen=True, slots=True)
class World:
    """``branches`` maps the names of task branches to their tips, ``merged`` names those whose
    tip the base branch contains, ``checked_out`` says in which folder a person has one of them
    checked out. ``results``, ``alive`` and ``ended`` speak of claimed orders by their id; an
    order in none of them is unknown, and only its deadline decides. ``missing`` are texts (by blob)
    that were looked for in vain."""

    base: str
    specs: dict[str, SpecSeen] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    merged: frozenset[str] = frozenset()
    checked_out: dict[str, str] = field(default_factory=dict)
    results: dict[str, Result] = field(default_factory=dict)
    alive: frozenset[str] = frozenset()
    ended: frozenset[str] = frozenset()
    missing: frozenset[str] = frozenset()
