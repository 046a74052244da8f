"""What passes between the supervisor of a session and the runtime that knows one kind of agent."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from hyperloop_action.domain.orders import Answer, SessionError, Usage


@dataclass(frozen=True, slots=True)
class SessionFiles:
    """The folder of one session. Only ``clone``, ``home``, ``tmp`` and ``answer`` belong to the
    agent."""

    root: Path

    @property
    def order(self) -> Path:
        return self.root / "order.json"

    @property
    def prompt(self) -> Path:
        return self.root / "agent" / "prompt.md"

    @property
    def answer(self) -> Path:
        """``$HYPERLOOP_RESULT_FILE``: where a ``command`` agent leaves its JSON answer."""
        return self.root / "agent" / "answer.json"

    @property
    def clone(self) -> Path:
        return self.root / "agent" / "clone"

    @property
    def home(self) -> Path:
        return self.root / "agent" / "home"

    @property
    def tmp(self) -> Path:
        return self.root / "agent" / "tmp"

    @property
    def transcript(self) -> Path:
        """Standard output and standard error of the agent, redacted, a line at a time."""
        return self.root / "transcript.jsonl"

    @property
    def bundle(self) -> Path:
        return self.root / "work.bundle"

    @property
    def result(self) -> Path:
        return self.root / "result.json"


@dataclass(frozen=True, slots=True)
class Launch:
    """How to start the agent. ``env`` comes on top of the supervisor's allow-list."""

    argv: tuple[str, ...]
    stdin: bytes = b""
    env: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ended:
    """How the agent's process ended. ``code`` is negative for a signal, as ``subprocess`` has it.
    ``stopped`` says that the supervisor ended it, and why."""

    code: int
    stopped: Literal["timeout", "signal"] | None
    duration_s: float
    stdout: bytes
    stderr: bytes


@dataclass(frozen=True, slots=True)
class Session:
    """What a runtime read out of an ended process: an answer, or the error that stands for it."""

    answer: Answer | None
    usage: Usage
    session: str | None = None
    error: SessionError | None = None
