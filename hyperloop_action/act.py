"""Applies effects through the ports: one short function for each, and nothing that decides."""

from hyperloop_action.domain.effects import Effect, Merge, MergeOutcome, Outcome
from hyperloop_action.domain.landing import Blocked, Refused
from hyperloop_action.errors import PermanentError, TransientError
from hyperloop_action.ports import Ports


def apply(effect: Effect, base: str, ports: Ports) -> Outcome:
    match effect:
        case Merge():
            return _merge(effect, base, ports)


def _merge(effect: Merge, base: str, ports: Ports) -> MergeOutcome:
    """Trouble of the outside is never a verdict on the task: it waits, and others go on."""
    try:
        return ports.forge.merge(effect, base)
    except TransientError as error:
        return MergeOutcome(effect, Blocked(error.what), base)
    except PermanentError as error:
        return MergeOutcome(effect, Refused(error.what), base)
