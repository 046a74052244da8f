"""What a person sees while cycles run: a table of sessions on a terminal, plain lines elsewhere.

Both are a probe (``fact``) and a :class:`Report`; ``commands/`` picks one and enters it with
``with``, so that a terminal is left in order whatever happens.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol, Self

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from hyperloop_action.console.screen import clean
from hyperloop_action.console.views import count, span
from hyperloop_action.domain.facts import Fact, SessionEnded, SessionErred, WorkerStarted
from hyperloop_action.domain.levels import Level, level_of, passes
from hyperloop_action.domain.model import Worker
from hyperloop_action.domain.outlook import Outlook
from hyperloop_action.errors import HyperloopError
from hyperloop_action.ports import Report

REPEAT_AFTER = timedelta(minutes=5)
"""A wait for the same things is said again so often: a log that is silent looks dead."""

MOST_NAMED = 5
"""Sessions or tasks that one line names."""

HOW_TO_STOP = "Ctrl-C stops them and keeps their work"

STYLES: dict[Level, str] = {"debug": "dim", "info": "", "warning": "yellow", "error": "red"}


class Progress(Report, AbstractContextManager["Progress"], Protocol):
    def fact(self, fact: Fact) -> None: ...


class Journal(Protocol):
    """The log of ``adapters/sinks.py``."""

    def fact(self, fact: Fact) -> None: ...

    def say(
        self, level: Level, event: str, line: str, values: Mapping[str, object] | None = None
    ) -> None: ...


@dataclass(frozen=True, slots=True)
class Running:
    """A session at work; ``since`` when."""

    order: str
    role: str
    round: int
    since: datetime

    @property
    def subject(self) -> str:
        """``task-001``, or ``pm`` for a plan: an order's id without its number."""
        return self.order.rpartition("-")[0]

    def words(self, now: datetime) -> str:
        """``task-001 implementer (3 min)``."""
        role = "" if self.role == self.subject else f" {self.role}"
        return f"{self.subject}{role} ({span((now - self.since).total_seconds())})"


@dataclass(slots=True)
class Roster:
    """Who is at work, as far as facts and outlooks tell."""

    now: Callable[[], datetime]
    running: dict[str, Running] = field(default_factory=dict)

    def fact(self, fact: Fact) -> None:
        match fact:
            case WorkerStarted(order=order, role=role, round=number):
                self.running[order] = Running(order, role, number, self.now())
            case SessionEnded(order=order) | SessionErred(order=order):
                self.running.pop(order, None)
            case _:
                return

    def keep(self, workers: Iterable[Worker]) -> None:
        """Exactly these are at work; some of them may be an earlier command's."""
        seen = (Running(w.order, w.role, 0, w.started) for w in workers)
        self.running = {one.order: self.running.get(one.order, one) for one in seen}

    def words(self) -> str:
        named = [running.words(self.now()) for running in self.running.values()]
        return f"{count(len(named), 'session')}: {_some(named)}"


@dataclass(slots=True)
class PlainProgress:
    """Lines of a log: facts as they happen, and what is waited for when that changes."""

    journal: Journal
    now: Callable[[], datetime]
    roster: Roster
    _said: tuple[str, ...] = ()
    _said_at: datetime | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def fact(self, fact: Fact) -> None:
        self.roster.fact(fact)
        self.journal.fact(fact)

    def waiting(self, outlook: Outlook, until: datetime | None) -> None:
        self.roster.keep(outlook.workers)
        about = outlook.live or (*outlook.attention, *outlook.waiting, "idle")
        stale = self._said_at is None or self.now() - self._said_at >= REPEAT_AFTER
        if about == self._said and not stale:
            return
        self._said, self._said_at = about, self.now()
        line = waiting_words(outlook, until, self.roster)
        self.journal.say("info", "waiting", line, {"sessions": list(outlook.live)})

    def stopping(self, orders: Iterable[str]) -> None:
        self.journal.say("info", "stopping", stopping_words(orders), {"sessions": list(orders)})

    def trouble(self, error: HyperloopError) -> None:
        self.journal.say("warning", "trouble", trouble_words(error))


@dataclass(slots=True)
class LiveProgress:
    """Facts scroll by; below them stands a table of who works, since when, and on what."""

    console: Console
    now: Callable[[], datetime]
    roster: Roster
    level: Level
    last_words: Callable[[str], str]
    _below: str = ""
    _live: Live | None = None

    def __enter__(self) -> Self:
        self._live = Live(
            console=self.console,
            get_renderable=self.table,
            refresh_per_second=2,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def fact(self, fact: Fact) -> None:
        self.roster.fact(fact)
        self._print(level_of(fact), fact.line())

    def waiting(self, outlook: Outlook, until: datetime | None) -> None:
        self.roster.keep(outlook.workers)
        self._below = HOW_TO_STOP if outlook.live else waiting_words(outlook, until, self.roster)

    def stopping(self, orders: Iterable[str]) -> None:
        self._below = stopping_words(orders)

    def trouble(self, error: HyperloopError) -> None:
        self._print("warning", trouble_words(error))

    def _print(self, level: Level, line: str) -> None:
        if passes(level, self.level):
            said = clean(" ".join(line.split()))
            at = f"{_clock(self.now())} "
            self.console.print(Text.assemble((at, "dim"), (said, STYLES[level])))

    def table(self) -> Group:
        """Who works now: drawn again and again while the loop waits."""
        drawn = Table.grid(padding=(0, 2, 0, 0))
        for style in ("bold", "cyan", "", "dim", ""):
            drawn.add_column(style=style, no_wrap=True, overflow="ellipsis")
        for running in tuple(self.roster.running.values()):
            drawn.add_row(*self._row(running))
        below = "" if self._below == HOW_TO_STOP and not self.roster.running else self._below
        return Group(drawn, Text(below, style="dim", no_wrap=True, overflow="ellipsis"))

    def _row(self, running: Running) -> list[Text]:
        age = span((self.now() - running.since).total_seconds())
        number = f"round {running.round}" if running.round else ""
        said = clean(" ".join(self.last_words(running.order).split()))
        return [Text(word) for word in (running.subject, running.role, number, age, said)]


def waiting_words(outlook: Outlook, until: datetime | None, roster: Roster) -> str:
    """What would have to happen for the loop to go on."""
    if outlook.live:
        return f"waits for {roster.words()}"
    next_look = f"; looks again at {_clock(until)}" if until else ""
    if outlook.waiting:
        return f"{_some(outlook.waiting, '; ')}{next_look}"
    return f"nothing to do{next_look}"


def stopping_words(orders: Iterable[str]) -> str:
    return f"stops: asks {count(len(list(orders)), 'session')} to keep the work and end"


def trouble_words(error: HyperloopError) -> str:
    return f"{' '.join(str(error).split())}; tries again"


def _some(names: Iterable[str], between: str = ", ") -> str:
    names = list(names)
    more = len(names) - MOST_NAMED
    return between.join([*names[:MOST_NAMED], *([f"{more} more"] if more > 0 else [])])


def _clock(at: datetime) -> str:
    return at.astimezone().strftime("%H:%M:%S")
