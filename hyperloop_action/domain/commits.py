"""How commits and refs are talked about: who wrote, from where to where, what was logged."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Identity:
    """An author or committer."""

    name: str
    email: str


BOT = Identity("hyperloop", "hyperloop@bot.invalid")
"""Author of state commits. ``.invalid`` belongs to nobody (RFC 2606): no stranger is credited."""


@dataclass(frozen=True, slots=True)
class RefMove:
    """``ref`` (in full, ``refs/heads/x``) goes from ``old`` to ``new``, and only from there.

    ``old`` None: it must not exist yet. ``new`` None: it is deleted.
    """

    ref: str
    old: str | None
    new: str | None


@dataclass(frozen=True, slots=True)
class LoggedCommit:
    """One commit of a history. A trailer may be repeated, so each key has all its values."""

    id: str
    time: datetime
    subject: str
    body: str
    trailers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
