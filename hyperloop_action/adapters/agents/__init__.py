"""The kinds of agents that a session can run: one module each, one line each in
:data:`RUNTIMES`."""

from hyperloop_action.adapters.agents.claude import Claude
from hyperloop_action.adapters.agents.command import Command
from hyperloop_action.ports import Runtime

RUNTIMES: dict[str, Runtime] = {runtime.name: runtime for runtime in (Claude(), Command())}
