"""Every door to the outside world, on one page. Adapters implement these; tests pass small worlds."""

from collections.abc import Mapping
from typing import Protocol

from hyperloop_action.domain.orders import Order
from hyperloop_action.domain.sessions import Ended, Launch, Session, SessionFiles


class Runtime(Protocol):
    """One kind of agent: how it is started, and what its ended process means.

    The supervisor does everything else: isolation, environment, deadline, signals, transcript.
    """

    name: str
    passes: frozenset[str]
    """Names of the caller's environment variables that this agent needs (credentials, endpoints)."""

    def launch(self, order: Order, files: SessionFiles, env: Mapping[str, str]) -> Launch:
        """``env`` is what the agent will get. Raises :class:`CommandMissing` without its program."""
        ...

    def judge(self, order: Order, files: SessionFiles, ended: Ended) -> Session: ...
