"""Applies effects through the ports: one short function for each, and nothing that decides."""

import re

from hyperloop_action.domain.effects import Effect, Merge, MergeOutcome, Outcome
from hyperloop_action.domain.landing import Blocked, Refused
from hyperloop_action.errors import PermanentError, TransientError
from hyperloop_action.ports import Ports

_CONTENT = re.compile(r"pre-receive hook declined|rule violations", re.IGNORECASE)
"""What a remote says of the commits; a missing permission or a protected branch is not among it."""


def apply(effect: Effect, base: str, ports: Ports) -> Outcome:
    match effect:
        case Merge():
            return _merge(effect, base, ports)


def _merge(effect: Merge, base: str, ports: Ports) -> MergeOutcome:
    """Trouble of the outside is never a verdict on the task: it waits, and others go on. Only what
    was refused for its content may be an agent's business."""
    try:
        return ports.forge.merge(effect, base)
    except TransientError as error:
        return MergeOutcome(effect, Blocked(error.what), base)
    except PermanentError as error:
        if _CONTENT.search(error.what):
            return MergeOutcome(effect, Refused(error.what), base)
        return MergeOutcome(effect, Blocked(_gist(error.what)), base)


def _gist(refusal: str) -> str:
    """What fits on a board of a refusal that may be a page long: its first two lines, and the words
    in which git says why."""
    first, _, page = refusal.partition("\n")
    lines = [line.strip() for line in page.splitlines()]
    why = re.search(r"\[(?:remote )?rejected\] \((.+)\)", page)
    return " ".join([first, *lines[:1], *([f"({why[1]})"] if why else [])])
