"""What a person sees while work is done: on a terminal, and in a log."""

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest
from rich.console import Console

from hyperloop_action.console.progress import LiveProgress, PlainProgress, Roster
from hyperloop_action.domain.facts import Fact, SessionEnded, TaskWaits, WorkerStarted
from hyperloop_action.domain.levels import Level
from hyperloop_action.domain.model import Worker
from hyperloop_action.domain.orders import Wants
from hyperloop_action.domain.outlook import Outlook
from hyperloop_action.errors import TransientError
from tests.fakes.states import NOW

STARTED = WorkerStarted("task-001-1", "implementer", "task-001", 2)
ENDED = SessionEnded("task-001-1", "implementer", "task-001", "pass", 0.0, 60.0)
PLANS = WorkerStarted("pm-1", "pm", None)


@dataclass
class Clock:
    at: datetime = NOW

    def __call__(self) -> datetime:
        return self.at

    def passes(self, **time: float) -> None:
        self.at += timedelta(**time)


@dataclass
class Lines:
    said: list[str] = field(default_factory=list)

    def fact(self, fact: Fact) -> None:
        self.said.append(fact.name)

    def say(
        self, level: Level, event: str, line: str, values: Mapping[str, object] | None = None
    ) -> None:
        self.said.append(line)


def worker(order: str) -> Worker:
    """A session as the state knows it, since ten minutes."""
    plans = order.startswith("pm")
    return Worker(
        order=order,
        role="pm" if plans else "implementer",
        wants=Wants.PROPOSALS if plans else Wants.CHANGES,
        runtime="claude",
        run="local",
        started=NOW - timedelta(minutes=10),
        deadline=NOW,
    )


def view(*live: str, waiting: tuple[str, ...] = ()) -> Outlook:
    return Outlook(False, tuple(worker(order) for order in live), None, (), waiting)


class TestLog:
    def plain(self) -> tuple[PlainProgress, Lines, Clock]:
        lines, clock = Lines(), Clock()
        return PlainProgress(lines, clock, Roster(clock)), lines, clock

    def test_a_wait_names_the_sessions_and_how_long_they_work(self) -> None:
        progress, lines, clock = self.plain()
        progress.fact(STARTED)
        clock.passes(minutes=3)
        progress.fact(PLANS)
        clock.passes(seconds=20)

        progress.waiting(view("task-001-1", "pm-1"), None)

        assert lines.said[-1] == "waits for 2 sessions: task-001 implementer (3 min), pm (20 s)"

    def test_a_session_of_an_earlier_command_is_known_from_the_state(self) -> None:
        progress, lines, _ = self.plain()

        progress.waiting(view("task-007-4"), None)

        assert lines.said == ["waits for 1 session: task-007 implementer (10 min)"]

    def test_the_same_wait_is_said_again_only_after_minutes(self) -> None:
        progress, lines, clock = self.plain()
        for _ in range(8):
            progress.waiting(view("pm-1"), None)
            clock.passes(minutes=1)

        assert lines.said == [
            "waits for 1 session: pm (10 min)",
            "waits for 1 session: pm (15 min)",
        ]

    def test_a_new_reason_is_said_at_once(self) -> None:
        progress, lines, _ = self.plain()
        progress.waiting(view(waiting=("task-001 backs off until 14:05",)), None)
        progress.waiting(view(), None)

        assert lines.said == ["task-001 backs off until 14:05", "nothing to do"]

    def test_many_sessions_are_counted_and_some_are_named(self) -> None:
        progress, lines, _ = self.plain()

        progress.waiting(view(*(f"task-{n:03d}-1" for n in range(1, 9))), None)

        named = ", ".join(f"task-{n:03d} implementer (10 min)" for n in range(1, 6))
        assert lines.said == [f"waits for 8 sessions: {named}, 3 more"]

    def test_trouble_is_one_line(self) -> None:
        progress, lines, _ = self.plain()

        progress.trouble(TransientError("the remote is down", hint="look at it"))

        assert lines.said == ["the remote is down look at it; tries again"]


class TestTerminal:
    def live(self, level: Level = "info") -> tuple[LiveProgress, io.StringIO, Clock]:
        stream, clock = io.StringIO(), Clock()
        console = Console(file=stream, width=70, force_terminal=False)
        progress = LiveProgress(console, clock, Roster(clock), level, lambda _: "make\x1b[2J test")
        return progress, stream, clock

    def test_the_table_tells_who_works_since_when_and_on_what(self) -> None:
        progress, stream, clock = self.live()
        progress.fact(STARTED)
        progress.fact(PLANS)
        clock.passes(minutes=4)
        progress.waiting(view("task-001-1", "pm-1"), None)
        stream.truncate(0)
        stream.seek(0)

        progress.console.print(progress.table())

        assert [line.rstrip() for line in stream.getvalue().splitlines()] == [
            "task-001  implementer  round 2  4 min  make\ufffd[2J test",
            "pm        pm                    4 min  make\ufffd[2J test",
            "Ctrl-C stops them and keeps their work",
        ]

    def test_nobody_is_asked_to_stop_what_has_ended(self) -> None:
        progress, stream, _ = self.live()
        progress.fact(STARTED)
        progress.waiting(view("task-001-1"), None)
        progress.fact(ENDED)
        stream.truncate(0)
        stream.seek(0)

        progress.console.print(progress.table())

        assert stream.getvalue().strip() == ""

    def test_facts_below_the_level_are_left_out(self) -> None:
        progress, stream, _ = self.live("info")

        progress.fact(TaskWaits("task-001", "waits for a free slot"))
        progress.fact(ENDED)

        assert stream.getvalue().count("\n") == 1
        assert "task-001: implementer pass (task-001-1, 60 s)" in stream.getvalue()

    def test_the_terminal_is_left_in_order_when_something_breaks(self) -> None:
        stream = io.StringIO()
        clock = Clock()
        console = Console(file=stream, width=70, force_terminal=True, _environ={})
        live = LiveProgress(console, clock, Roster(clock), "info", lambda _: "")

        with pytest.raises(ZeroDivisionError), live:
            _ = 1 / 0

        assert stream.getvalue().rindex("\x1b[?25h") > stream.getvalue().rindex("\x1b[?25l")
