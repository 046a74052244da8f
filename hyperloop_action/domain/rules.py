"""What a person set, as a cycle needs it: the process, the agents by role, the limits."""

from dataclasses import dataclass

from hyperloop_action.domain.agents import AgentDefinition
from hyperloop_action.domain.limits import Limits
from hyperloop_action.domain.process import Process
from hyperloop_action.domain.spawn import Claimer, Role


@dataclass(frozen=True, slots=True)
class Rules:
    """``roles`` and ``agents`` have the same keys: every agent that the process names, and the
    pm."""

    process: Process
    roles: dict[str, Role]
    agents: dict[str, AgentDefinition]
    limits: Limits
    claimer: Claimer
    protected_paths: tuple[str, ...]
    max_change_mb: float
    notices: tuple[str, ...] = ()
