"""Every door to the outside world, on one page. Adapters implement these; tests pass small
worlds."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from hyperloop_action.domain.briefing import Briefing
from hyperloop_action.domain.commits import LoggedCommit, RefMove
from hyperloop_action.domain.effects import Merge, MergeOutcome
from hyperloop_action.domain.facts import Probe
from hyperloop_action.domain.model import Review, State, Task, Worker
from hyperloop_action.domain.orders import Order, Result, RuntimeSpec
from hyperloop_action.domain.outlook import Outlook
from hyperloop_action.domain.rebuild import Evidence
from hyperloop_action.domain.sessions import Ended, Launch, Session, SessionFiles
from hyperloop_action.domain.world import World
from hyperloop_action.errors import HyperloopError


class Runtime(Protocol):
    """One kind of agent: how it is started, and what its ended process means.

    The supervisor does everything else: isolation, environment, deadline, signals, transcript.
    """

    name: str
    passes: frozenset[str]
    """Names of the caller's environment variables that this agent needs (credentials,
    endpoints)."""

    def check(self, runtime: RuntimeSpec, cwd: Path, env: Mapping[str, str]) -> None:
        """Before anything is claimed: whether such an agent can work here at all. ``env`` is the
        caller's. Raises :class:`CommandMissing`, :class:`UsageError` in words for a newcomer."""
        ...

    def launch(self, order: Order, files: SessionFiles, env: Mapping[str, str]) -> Launch:
        """``env`` is what the agent will get. Raises :class:`CommandMissing` without its
        program."""
        ...

    def judge(self, order: Order, files: SessionFiles, ended: Ended) -> Session: ...


@dataclass(frozen=True, slots=True)
class Stored:
    """The state as it was read, and the commit it was read from (``None``: there is no branch
    yet)."""

    tip: str | None
    state: State


class StateStore(Protocol):
    """The state branch. Every save names the tip that it was read from."""

    def load(self) -> Stored:
        """Raises :class:`ConfigError` for files that do not parse, with every mistake at once."""
        ...

    def save(
        self,
        stored: Stored,
        after: State,
        subject: str,
        lines: Iterable[str],
        moves: tuple[RefMove, ...],
    ) -> str | None:
        """One commit and one ref update, together with ``moves``; the new tip, ``None`` when
        nothing changed. Raises :class:`Moved` when somebody else was first: then nothing
        happened."""
        ...

    def history(self, grep: str | None = None, limit: int | None = None) -> list[LoggedCommit]: ...

    def finished(self, task_id: str) -> tuple[Task, tuple[Review, ...]] | None:
        """A task that was archived, for people who ask about it; no cycle does."""
        ...

    def archive(self) -> list[Task]:
        """All that were archived, oldest first; for people, as above."""
        ...


class Repository(Protocol):
    """Trunk and the task branches."""

    def observe(self, state: State) -> World:
        """One look at specs, branches and the base; what is known of workers comes from
        elsewhere."""
        ...

    def evidence(self) -> Evidence:
        """What task branches and trunk tell of tasks, for when the state branch is lost."""
        ...

    def read(self, blobs: Iterable[str]) -> dict[str, bytes]:
        """Blob id -> content, without those that the repository lacks: a shallow clone has no old
        texts."""
        ...

    def unseen(self) -> dict[str, str]:
        """Specs that a person edited here and that the base branch lacks: path -> why, as
        ``not committed``; for people, no cycle asks."""
        ...


@dataclass(frozen=True, slots=True)
class WorkersSeen:
    """What is known of claimed orders, by order id; see :class:`World`."""

    results: dict[str, Result]
    alive: frozenset[str]
    ended: frozenset[str]


class Workers(Protocol):
    """Where sessions run. A started worker outlives the process that started it."""

    def look(self, workers: Iterable[Worker]) -> WorkersSeen: ...

    def check(self, orders: Iterable[Order]) -> None:
        """Whether their agents can be started here. Raises as :meth:`Runtime.check`."""
        ...

    def start(self, order: Order) -> None: ...

    def wait(self, orders: Iterable[str], until: datetime | None, *, every: bool = False) -> None:
        """Until one of them (``every``: all of them) has ended, that time has come, or somebody
        wants the loop to stop."""
        ...

    def last_words(self, order: str) -> str:
        """The last line that its agent said, for people who watch; empty when there is none."""
        ...

    def forget(self, orders: Iterable[str]) -> None:
        """Their results are saved: free the space, but keep what their agents said, redacted. An
        unknown order is no error."""
        ...

    def transcripts(self, task: str) -> list[str]:
        """Where the sessions of a task (``pm`` for plans) can be read that are over, oldest first;
        as far as they ran on this machine."""
        ...

    def stop(self, orders: Iterable[str]) -> None:
        """Ask them to keep their work in progress and end."""
        ...


class Forge(Protocol):
    """What merges: the repository itself, or a service with pull requests."""

    def merge(self, effect: Merge, base: str) -> MergeOutcome:
        """Land the head on ``base``; one that has landed already is found, not landed twice."""
        ...


class Prompts(Protocol):
    def compose(self, briefing: Briefing) -> str: ...


class Report(Protocol):
    """What a person sees between the facts: who is waited for, and why."""

    def waiting(self, outlook: Outlook, until: datetime | None) -> None:
        """Called before every wait; ``until`` is when the loop looks again by itself."""
        ...

    def stopping(self, orders: Iterable[str]) -> None:
        """These sessions were asked to keep their work and end."""
        ...

    def trouble(self, error: HyperloopError) -> None:
        """A cycle failed for a reason that may pass; it will be tried again."""
        ...


@dataclass(frozen=True, slots=True)
class Ports:
    """All of them. ``pause`` sleeps, given the number of races lost in a row."""

    state: StateStore
    repository: Repository
    workers: Workers
    forge: Forge
    prompts: Prompts
    now: Callable[[], datetime]
    pause: Callable[[int], None]
    probe: Probe
