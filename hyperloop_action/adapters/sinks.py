"""Facts -> lines of a log, for machines and for places without a terminal; structlog's one door.

``wiring`` opens one :class:`Log` per command; ``console/progress.py`` writes to it where nobody
watches.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Literal, TextIO

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, WrappedLogger

from hyperloop_action.domain.facts import Fact
from hyperloop_action.domain.levels import NUMBERS, Level, level_of


class Log:
    """One line per fact. ``console`` is a sentence behind a time and, from ``warning`` on, the
    level; ``json`` is an object with ``timestamp``, ``level``, ``event``, ``line`` (that sentence)
    and the fact's own values. A line that cannot be written (a closed pipe) stops nothing."""

    def __init__(
        self,
        log_format: Literal["console", "json"],
        log_level: Level,
        stream: TextIO,
        now: Callable[[], datetime],
    ) -> None:
        render = _json() if log_format == "json" else _sentence
        self._now = now
        self._log: FilteringBoundLogger = structlog.wrap_logger(
            _Lines(stream),
            processors=[structlog.processors.add_log_level, self._dated, render],
            wrapper_class=structlog.make_filtering_bound_logger(NUMBERS[log_level]),
        )

    def fact(self, fact: Fact) -> None:
        self.say(level_of(fact), fact.name, fact.line(), fact.values)

    def say(
        self, level: Level, event: str, line: str, values: Mapping[str, object] | None = None
    ) -> None:
        """``event`` is for machines (``session_ended``), ``line`` for people."""
        self._log.log(NUMBERS[level], event, **{"line": line, **(values or {})})

    def _dated(self, _: WrappedLogger, __: str, event: EventDict) -> EventDict:
        return {"timestamp": self._now(), **event}


class _Lines:
    """What structlog calls a logger: it takes a rendered line."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def msg(self, message: str) -> None:
        text = message.encode("utf-8", "backslashreplace").decode("utf-8")
        try:
            self._stream.write(f"{text}\n")
            self._stream.flush()
        except (OSError, ValueError):
            return  # nobody listens any more

    debug = info = warning = error = msg


def _sentence(_: WrappedLogger, __: str, event: EventDict) -> str:
    at = event["timestamp"].astimezone().strftime("%H:%M:%S")
    level = str(event["level"])
    loud = f"{level}: " if level in ("warning", "error") else ""
    return f"{at} {loud}{one_line(str(event['line']))}"


def _json() -> Callable[[WrappedLogger, str, EventDict], str]:
    render = structlog.processors.JSONRenderer(ensure_ascii=False)

    def rendered(logger: WrappedLogger, name: str, event: EventDict) -> str:
        at = event["timestamp"].isoformat(timespec="milliseconds").replace("+00:00", "Z")
        first = {"timestamp": at, "level": event["level"], "event": event["event"]}
        return str(render(logger, name, {**first, **event, "timestamp": at}))

    return rendered


def one_line(text: str) -> str:
    """What an agent wrote can neither begin a line of its own nor steer a terminal."""
    flat = " ".join(text.split())
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in flat)
