"""What a decision wants done outside, as values; ``act.py`` does it and nothing else does.

An effect comes before the save that records it, so it must be safe to repeat: each has a natural
key under which its outcome is found again.
"""

from dataclasses import dataclass

from hyperloop_action.domain.landing import Landing, Strategy


@dataclass(frozen=True, slots=True)
class Merge:
    """Land ``head`` on the base branch. Key: ``Task-Ref`` and ``Task-Head`` of what landed."""

    task: str
    branch: str
    head: str
    since: str
    title: str
    body: str
    spec_ref: str
    strategy: Strategy


Effect = Merge


@dataclass(frozen=True, slots=True)
class MergeOutcome:
    """What came of a :class:`Merge`; ``base`` is the tip of the base branch after it."""

    effect: Merge
    landing: Landing
    base: str


Outcome = MergeOutcome
