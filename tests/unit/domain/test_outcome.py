"""What a session counts as, where the sessions with a real agent do not reach."""

from hyperloop_action.domain.orders import (
    Answer,
    ErrorKind,
    Order,
    Result,
    RuntimeSpec,
    SessionError,
    Usage,
    Verdict,
    Wants,
)
from hyperloop_action.domain.outcome import Harvest, settle
from hyperloop_action.domain.sessions import Ended, Session


def order(wants: Wants = Wants.CHANGES) -> Order:
    runtime = RuntimeSpec(timeout_s=60)
    return Order(
        id="o", role="builder", wants=wants, base="b", head="h", prompt="", runtime=runtime
    )


KILLED = Ended(-9, "timeout", 61.0, b"", b"")


def test_an_answer_that_came_before_the_deadline_counts() -> None:
    session = Session(Answer(verdict=Verdict.PASS), Usage())
    result = settle(order(), session, KILLED, Harvest("new", changed=True))
    assert (result.outcome, result.verdict, result.head) == ("done", Verdict.PASS, "new")


def test_a_session_without_answer_that_was_stopped_is_an_error_and_keeps_its_head() -> None:
    result = settle(order(), Session(None, Usage()), KILLED, Harvest("new", changed=True))
    message = "builder did not end within 60 s"
    assert result == Result(
        order="o",
        outcome="error",
        head="new",
        usage=Usage(duration_s=61.0),
        error=SessionError(kind=ErrorKind.TIMEOUT, message=message),
    )


def test_findings_fail_a_session_that_says_pass_and_follow_its_words() -> None:
    session = Session(Answer(verdict=Verdict.PASS, detail="Done.\n"), Usage())
    ended = Ended(0, None, 1.0, b"", b"")
    result = settle(order(), session, ended, Harvest("new", True, ("One.", "Two.")))
    assert (result.outcome, result.verdict) == ("done", Verdict.FAIL)
    assert result.detail == "Done.\n\nOne.\n\nTwo."


def test_findings_do_not_turn_an_error_into_a_verdict() -> None:
    error = SessionError(kind=ErrorKind.OVERLOADED, message="busy", retry_after_s=30.0)
    session = Session(None, Usage(cost_usd=1.0), "s1", error)
    result = settle(order(), session, Ended(1, None, 1.0, b"", b""), Harvest("new", True, ("F",)))
    assert result == Result(
        order="o", outcome="error", detail="F", head="new", session="s1", error=error,
        usage=Usage(cost_usd=1.0, duration_s=1.0),
    )  # fmt: skip


def test_a_session_for_rules_may_have_learned_nothing() -> None:
    ended = Ended(0, None, 1.0, b"", b"")
    result = settle(order(Wants.RULES), Session(None, Usage()), ended, Harvest())
    assert (result.outcome, result.verdict, result.head) == ("done", Verdict.PASS, None)
