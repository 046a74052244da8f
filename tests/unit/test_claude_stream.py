"""What a stream of Claude Code comes to: recorded ones whole, and then cut, garbled and forged."""

import json
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyperloop_action.adapters.agents.claude_outcome import retry_after_s, session_of
from hyperloop_action.adapters.agents.claude_schemas import (
    CHANGES,
    PROPOSAL,
    PROPOSALS,
    SCHEMAS,
    VERDICT,
)
from hyperloop_action.adapters.agents.claude_stream import Event
from hyperloop_action.domain.orders import (
    Answer,
    ErrorKind,
    Proposal,
    SessionError,
    Usage,
    Verdict,
    Wants,
)
from hyperloop_action.domain.sessions import Ended, Session

RECORDED = Path(__file__).parents[1] / "data" / "claude"
SESSION = "5e55104e-0000-4000-8000-000000000000"
FAIL = Answer(verdict=Verdict.FAIL, detail="No tests.")


def recorded(name: str) -> bytes:
    return (RECORDED / f"{name}.jsonl").read_bytes()


def ended(
    stdout: bytes = b"",
    code: int = 0,
    stopped: Literal["timeout", "signal"] | None = None,
    stderr: bytes = b"",
) -> Ended:
    return Ended(code, stopped, 12.3456, stdout, stderr)


def lines(*events: Event) -> bytes:
    return b"".join(json.dumps(event).encode() + b"\n" for event in events)


def result(**fields: object) -> Event:
    return {"type": "result", "subtype": "success", "is_error": False, "num_turns": 1, **fields}


def usage(cost: float, turns: int, read: int, written: int) -> Usage:
    return Usage(
        cost_usd=cost,
        turns=turns,
        input_tokens=read,
        output_tokens=written,
        duration_s=12.346,
    )


def error(kind: ErrorKind, message: str, wait: float | None = None) -> SessionError:
    return SessionError(kind=kind, message=message, retry_after_s=wait)


# Recorded


@pytest.mark.parametrize(
    ("name", "wants", "session"),
    [
        (
            "changes",
            Wants.CHANGES,
            Session(Answer(detail="Wrote a.txt."), usage(0.0018, 3, 300, 30), SESSION),
        ),
        ("verdict", Wants.VERDICT, Session(FAIL, usage(0.0012, 3, 200, 20), SESSION)),
    ],
)
def test_a_session_that_went_well_is_its_answer(name: str, wants: Wants, session: Session) -> None:
    assert session_of(wants, ended(recorded(name))) == session


@pytest.mark.parametrize(
    ("name", "wants", "expected", "spent"),
    [
        (
            "verdict-in-words",
            Wants.VERDICT,
            error(
                ErrorKind.BAD_ANSWER,
                "the agent gave no usable typed verdict: Expected `object`, got `null`;"
                " its last words: I would pass it.",
            ),
            usage(0.0012, 2, 200, 20),
        ),
        (
            "verdict-denied",
            Wants.VERDICT,
            error(
                ErrorKind.PERMISSION_DENIED,
                "the agent gave no typed verdict and was denied its tools (Bash): check the"
                " managed settings of Claude Code on this machine",
            ),
            usage(0.0018, 3, 300, 30),
        ),
        (
            "verdict-broken",
            Wants.VERDICT,
            error(
                ErrorKind.BAD_ANSWER,
                "Failed to provide valid structured output after 5 attempts — last"
                " StructuredOutput error: Output does not match required schema: root: must have"
                " required property 'detail', /verdict: must be equal to one of the allowed"
                ' values: ["pass","fail"]',
            ),
            usage(0.003, 6, 500, 50),
        ),
        (
            "refused",
            Wants.CHANGES,
            error(
                ErrorKind.AUTH,
                "the API refused the credentials (401): check ANTHROPIC_API_KEY:"
                " Invalid API key · Fix external API key",
            ),
            usage(0, 1, 0, 0),
        ),
        (
            "limited-api-key",
            Wants.CHANGES,
            error(
                ErrorKind.OVERLOADED,
                "the API limits this account (429): API Error: Request rejected (429) ·"
                " This request would exceed your rate limit",
                2.0,
            ),
            usage(0.0006, 2, 100, 10),
        ),
        (
            "limited-subscription",
            Wants.CHANGES,
            error(
                ErrorKind.OVERLOADED,
                "the API limits this account (429): You've hit your 5-hour limit ·"
                " resets 11am (UTC)",
                3598.9,
            ),
            usage(0, 1, 0, 0),
        ),
        (
            "overloaded",
            Wants.CHANGES,
            error(
                ErrorKind.OVERLOADED,
                "the API is overloaded (529): API Error: 529 Overloaded. This is a server-side"
                " issue, usually temporary — try again in a moment. If it persists, check your"
                " inference gateway (127.0.0.1:8080).",
            ),
            usage(0, 1, 0, 0),
        ),
        (
            "turn-limit",
            Wants.CHANGES,
            error(
                ErrorKind.TURN_LIMIT,
                "Reached maximum number of turns (2): raise max_turns, or cut the task",
            ),
            usage(0.0012, 3, 200, 20),
        ),
        (
            "budget",
            Wants.CHANGES,
            error(
                ErrorKind.BUDGET,
                "Reached maximum budget ($0.5): raise max_budget_usd, or cut the task",
            ),
            usage(4.0002, 1, 1_000_000, 10),
        ),
    ],
)
def test_a_session_that_failed_is_its_error_and_still_what_it_cost(
    name: str, wants: Wants, expected: SessionError, spent: Usage
) -> None:
    # The exit code is 0 here on purpose: it has no say.
    session = session_of(wants, ended(recorded(name)))
    assert session == Session(None, spent, SESSION, expected)


# Stopped, or without a word


def test_a_stopped_session_counts_the_tokens_of_each_message_once() -> None:
    session = session_of(Wants.CHANGES, ended(recorded("stopped"), 143, "timeout"))
    late = error(ErrorKind.TIMEOUT, "the deadline of the order passed after 12 s")
    assert session == Session(None, usage(0, 1, 100, 1), SESSION, late)


def test_what_the_cli_says_itself_is_no_turn_of_the_model() -> None:
    cut = recorded("refused").rsplit(b"\n", 2)[0]
    session = session_of(Wants.CHANGES, ended(cut, -9))
    assert (session.usage, session.session) == (usage(0, 0, 0, 0), SESSION)


def test_a_signal_is_told_from_a_deadline() -> None:
    session = session_of(Wants.CHANGES, ended(recorded("stopped"), -2, "signal"))
    assert session.error == error(ErrorKind.INTERRUPTED, "the run was ended by a signal")


def test_an_answer_that_was_given_before_the_deadline_stands() -> None:
    session = session_of(Wants.VERDICT, ended(recorded("verdict"), -15, "timeout"))
    assert session.answer == FAIL


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        (
            ended(),
            error(ErrorKind.NO_RESULT, "claude ended without a result: it printed no reason"),
        ),
        (
            ended(code=1, stderr=b"error: unknown\n  option '--tools'\n"),
            error(
                ErrorKind.CRASHED,
                "claude ended with code 1 and without a result: error: unknown option '--tools'",
            ),
        ),
        (
            ended(code=-9),
            error(
                ErrorKind.CRASHED,
                "claude ended by signal 9 and without a result: it printed no reason",
            ),
        ),
    ],
)
def test_silence_is_an_error_that_says_how_it_ended(end: Ended, expected: SessionError) -> None:
    assert session_of(Wants.CHANGES, end) == Session(None, usage(0, 0, 0, 0), None, expected)


def test_a_prompt_that_was_taken_for_a_command_of_the_cli_is_no_session() -> None:
    stdout = lines(result(num_turns=0, result="/clear isn't available in this environment."))
    session = session_of(Wants.CHANGES, ended(stdout))
    said = "claude ended without asking the model: /clear isn't available in this environment."
    assert session.error == error(ErrorKind.NO_RESULT, said)


# Untrusted


@pytest.mark.parametrize("name", sorted(path.stem for path in RECORDED.glob("*.jsonl")))
def test_a_stream_that_is_cut_anywhere_is_an_error_and_never_a_verdict(name: str) -> None:
    whole = recorded(name)
    ends = len(whole) - 1  # without its last newline the last line is still whole
    for cut in range(0, ends, 7):
        session = session_of(Wants.VERDICT, ended(whole[:cut]))
        assert (session.answer, session.error is None) == (None, False), cut


ODD: list[object] = [
    *(None, True, -1, 1.5, 1e308, 2**64, "", "success", "api_retry", "rejected", "2026-11-21"),
    *([], [[]], ["words", 1], [{"tool_name": 3}], [{"tool_name": "Bash"}], {}),
    {"id": 1, "model": [], "usage": {"input_tokens": "many", "output_tokens": 1e308}},
    {"status": "rejected", "resetsAt": "soon"},
    {"status": "rejected", "resetsAt": 1e308},
    {"some-model": {"inputTokens": 1e308, "cacheReadInputTokens": 1e308}, "other": None},
    {"verdict": "pass", "detail": ""},
]
FIELDS = """
    subtype is_error num_turns result errors structured_output usage modelUsage total_cost_usd
    permission_denials api_error_status session_id error timestamp message attempt retry_delay_ms
    rate_limit_info apiKeySource
"""
EVENTS = st.fixed_dictionaries(
    {"type": st.sampled_from(["result", "assistant", "system", "rate_limit_event"])},
    optional={name: st.sampled_from(ODD) for name in FIELDS.split()},
)


@given(events=st.lists(EVENTS, max_size=4), wants=st.sampled_from(Wants))
def test_fields_of_any_type_make_an_answer_or_an_error(events: list[Event], wants: Wants) -> None:
    session = session_of(wants, ended(lines(*events)))
    assert (session.answer is None) == (session.error is not None)
    assert session.usage.cost_usd >= 0
    assert session.usage.input_tokens >= 0


def test_counts_that_no_session_can_have_are_bounded_by_what_a_number_can_hold() -> None:
    models = {name: {"inputTokens": 1e308, "outputTokens": -3} for name in ("a", "b")}
    session = session_of(Wants.CHANGES, ended(lines(result(modelUsage=models, total_cost_usd=-1))))
    assert session.usage == usage(0, 1, 2 * 10**12, 0)


@given(stdout=st.binary())
def test_bytes_that_are_no_stream_are_an_error(stdout: bytes) -> None:
    assert session_of(Wants.CHANGES, ended(stdout)).error is not None


@pytest.mark.parametrize(
    "noise",
    [
        b"warning: not JSON\n",
        b'{"type": "result", "subtype": "succ\n',
        b'{"type":' * 100_000,
        b"\xff\xfe",
    ],
)
def test_lines_that_are_not_events_are_passed_over(noise: bytes) -> None:
    stdout = noise + b"\n" + recorded("verdict") + noise
    assert session_of(Wants.VERDICT, ended(stdout)).answer == FAIL


@pytest.mark.parametrize(
    "structured",
    [
        None,
        {},
        {"detail": "fine"},
        {"verdict": None, "detail": "fine"},
        {"verdict": "PASS", "detail": "fine"},
        {"verdict": True, "detail": "fine"},
        {"verdict": ["pass"], "detail": "fine"},
        {"verdict": "pass", "detail": 3},
        {"proposals": []},
        "pass",
        '{"verdict": "pass", "detail": "fine"}',
    ],
)
def test_only_a_whole_typed_verdict_is_one(structured: object) -> None:
    words = '{"verdict": "pass", "detail": "PASS"}'
    stdout = lines(result(structured_output=structured, result=words))
    session = session_of(Wants.VERDICT, ended(stdout))
    assert session.answer is None
    assert session.error is not None
    assert session.error.kind is ErrorKind.BAD_ANSWER


@pytest.mark.parametrize("structured", [None, {"detail": 3}, {"verdict": "done"}, "Done."])
def test_commits_need_no_typed_answer(structured: object) -> None:
    stdout = lines(result(structured_output=structured, result="Done."))
    assert session_of(Wants.CHANGES, ended(stdout)).answer == Answer(detail="Done.")


def test_a_verdict_of_a_session_that_failed_does_not_count() -> None:
    verdict = {"verdict": "pass", "detail": "fine"}
    stdout = lines(result(structured_output=verdict, is_error=True, api_error_status=529))
    assert session_of(Wants.VERDICT, ended(stdout)).answer is None


def test_a_key_never_gets_into_a_message() -> None:
    said = "invalid key sk-ant-api03-abc_DEF-123 was used"
    stdout = lines(result(is_error=True, api_error_status=401, result=said))
    reason = session_of(Wants.CHANGES, ended(stdout)).error
    assert reason is not None
    assert reason.message.endswith("invalid key sk-ant-*** was used")


def test_a_message_is_one_line_of_bounded_length() -> None:
    stdout = lines(result(subtype="error_new", errors=["a\nb", "c" * 10_000]))
    reason = session_of(Wants.CHANGES, ended(stdout)).error
    assert reason is not None
    assert reason.message.startswith("claude gave up (error_new): a b; ccc")
    assert "\n" not in reason.message
    assert len(reason.message) < 500


# How long to wait


def retry(attempt: int, delay_ms: int) -> Event:
    return {
        "type": "system",
        "subtype": "api_retry",
        "attempt": attempt,
        "retry_delay_ms": delay_ms,
        "error_status": 529,
    }


@pytest.mark.parametrize(
    ("attempt", "delay_ms"),
    [(1, 573), (2, 1138), (3, 2327), (4, 4938), (5, 9172), (6, 19860), (7, 36284), (8, 35981)],
)
def test_the_cli_s_own_back_off_is_not_taken_for_a_wish_of_the_api(
    attempt: int, delay_ms: int
) -> None:
    assert retry_after_s([retry(attempt, delay_ms)]) is None


def test_a_longer_wait_is_the_api_s_unless_the_session_went_on_after_it() -> None:
    asked = retry(1, 42_082)
    assert retry_after_s([asked]) == 42.1
    assert retry_after_s([retry(1, 573), asked, {"type": "assistant", "error": "x"}]) == 42.1
    assert retry_after_s([asked, {"type": "assistant"}]) is None


def test_a_limit_that_warns_but_allows_is_no_wait() -> None:
    info = {"status": "allowed_warning", "resetsAt": 1795258845}
    stamp: Event = {"type": "assistant", "error": "x", "timestamp": "2026-11-21T10:00:46.137Z"}
    assert retry_after_s([{"type": "rate_limit_event", "rate_limit_info": info}, stamp]) is None


# The schemas


def test_the_schemas_ask_for_what_an_answer_holds() -> None:
    assert set(SCHEMAS) == set(Wants)
    assert properties(CHANGES) == properties(VERDICT)
    assert listed(CHANGES, "required") == ["detail"]
    assert properties(PROPOSAL) == set(Proposal.__struct_fields__)
    assert properties(VERDICT) | properties(PROPOSALS) == set(Answer.__struct_fields__)
    optional = {"deps", "covers"}
    assert set(listed(PROPOSAL, "required")) == set(Proposal.__struct_fields__) - optional
    assert Proposal.__struct_defaults__ == ((),) * len(optional)


def properties(schema: dict[str, object]) -> set[str]:
    return set(listed(schema, "properties"))


def listed(schema: dict[str, object], key: str) -> list[str]:
    value = schema[key]
    assert isinstance(value, dict | list)
    return list(value)
