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
        refused = Refused if _CONTENT.search(error.what) else Blocked
        return MergeOutcome(effect, refused(error.what), base)
