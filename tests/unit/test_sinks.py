"""One line per fact, whole and harmless, in both formats."""

import io
import json
from datetime import UTC, datetime

import pytest

from hyperloop_action.adapters.sinks import Log
from hyperloop_action.domain.facts import (
    Fact,
    SessionEnded,
    SessionErred,
    SpecFailed,
    TaskPlanned,
    TaskWaits,
)
from hyperloop_action.domain.levels import Level

NOW = datetime(2026, 11, 21, 14, 23, 1, tzinfo=UTC)
ENDED = SessionEnded("task-001-2", "verifier", "task-001", "pass", 0.04, 12.3)
WAITS = TaskWaits("task-001", "waits for a free slot")
FAILED = SpecFailed("specs/auth.md", "it is empty")


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> None:
    import time  # noqa: PLC0415  # only here, to make the local time the same everywhere

    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


def logged(log_format: str, *facts: Fact, level: Level = "info") -> list[str]:
    stream = io.StringIO()
    log = Log(log_format, level, stream, lambda: NOW)  # type: ignore[arg-type]  # a parameter
    for fact in facts:
        log.fact(fact)
    return stream.getvalue().splitlines()


def test_console_lines_are_sentences_behind_a_time() -> None:
    assert logged("console", ENDED, FAILED) == [
        "14:23:01 task-001: verifier pass (task-001-2, 12 s, $0.04)",
        "14:23:01 warning: specs/auth.md failed: it is empty",
    ]


def test_json_lines_hold_the_values_of_the_fact() -> None:
    (line,) = logged("json", ENDED)

    assert list(json.loads(line).items()) == [
        ("timestamp", "2026-11-21T14:23:01.000Z"),
        ("level", "info"),
        ("event", "session_ended"),
        ("line", "task-001: verifier pass (task-001-2, 12 s, $0.04)"),
        ("order", "task-001-2"),
        ("role", "verifier"),
        ("task", "task-001"),
        ("verdict", "pass"),
        ("cost_usd", 0.04),
        ("duration_s", 12.3),
    ]


@pytest.mark.parametrize(
    ("level", "events"),
    [
        ("debug", ["session_ended", "task_waits", "spec_failed"]),
        ("info", ["session_ended", "spec_failed"]),
        ("warning", ["spec_failed"]),
        ("error", []),
    ],
)
def test_log_level_leaves_out_what_is_below_it(level: Level, events: list[str]) -> None:
    lines = logged("json", ENDED, WAITS, FAILED, level=level)

    assert [json.loads(line)["event"] for line in lines] == events


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_words_of_an_agent_stay_on_their_line_and_steer_no_terminal(log_format: str) -> None:
    planned = TaskPlanned("task-001", "a\n14:23:01 task-002 merged\x1b[2J\u202e", "specs/a.md")

    (line,) = logged(log_format, planned)

    assert "\x1b" not in line


def test_text_that_no_encoding_has_is_written_all_the_same() -> None:
    assert logged("console", FAILED, SpecFailed("specs/\udcff.md", "x"))[1].endswith("failed: x")


def test_a_closed_stream_stops_nothing() -> None:
    stream = io.StringIO()
    log = Log("console", "info", stream, lambda: NOW)
    stream.close()

    log.fact(SessionErred("pm-1", "pm", None, "crashed", "x", 0.0))
