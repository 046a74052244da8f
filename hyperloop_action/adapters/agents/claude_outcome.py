"""Judges a Stream: an answer of the agent, or the error that stands for it. Pure.

``claude.py`` calls :func:`session_of`. The `result` event decides, never the exit code alone: a
failure of the API arrives there as ``subtype: success`` with ``is_error: true``.
"""

import re
from collections.abc import Sequence
from datetime import datetime

import msgspec

from hyperloop_action.adapters.agents.claude_stream import (
    Event,
    Stream,
    mapping,
    number,
    read,
    text,
    usage_of,
)
from hyperloop_action.domain.orders import Answer, ErrorKind, SessionError, Wants
from hyperloop_action.domain.sessions import Ended, Session

_SECRET = re.compile(r"sk-ant-[\w-]+")
_WORDS_QUOTED = 400
_OWN_WAIT_MS, _OWN_WAIT_MAX_MS, _JITTER = 500.0, 32_000.0, 1.3
_OVERLOADED, _SERVER_ERROR = 529, 500  # of HTTP


def session_of(wants: Wants, ended: Ended) -> Session:
    """An answer, or the error that stands for it; usage in either case, as far as it is known."""
    stream = read(ended.stdout)
    usage = usage_of(stream, ended.duration_s)
    found = answer_of(wants, stream.result) if stream.succeeded else failure_of(stream, ended)
    if isinstance(found, SessionError):
        return Session(None, usage, stream.session, found)
    return Session(found, usage, stream.session)


# Answers


def answer_of(wants: Wants, result: Event) -> Answer | SessionError:
    """A verdict or proposals must be typed: words alone are never taken for one. Commits speak for
    themselves: there words alone will do."""
    said = text(result, "result")
    if wants in (Wants.CHANGES, Wants.RULES):
        return _explanation(result, said)
    field = "verdict" if wants is Wants.VERDICT else "proposals"
    try:
        answer = msgspec.convert(result.get("structured_output"), Answer)
    except msgspec.ValidationError as error:
        return _no_answer(field, f"{error}; its last words: {said or 'none'}", result)
    if getattr(answer, field) is None:
        return _no_answer(field, f"its answer has no `{field}`", result)
    return answer


def _explanation(result: Event, said: str) -> Answer:
    try:
        return msgspec.convert(result.get("structured_output"), Answer)
    except msgspec.ValidationError:
        return Answer(detail=said)


def _no_answer(field: str, why: str, result: Event) -> SessionError:
    if denied := _denied(result):
        names = ", ".join(denied)
        message = f"the agent gave no typed {field} and was denied its tools ({names}): check the"
        message += " managed settings of Claude Code on this machine"
        return SessionError(kind=ErrorKind.PERMISSION_DENIED, message=message)
    message = f"the agent gave no usable typed {field}: {_brief(why)}"
    return SessionError(kind=ErrorKind.BAD_ANSWER, message=message)


def _denied(result: Event) -> list[str]:
    denials = result.get("permission_denials")
    listed = denials if isinstance(denials, list) else []
    return sorted({text(mapping(denial), "tool_name") for denial in listed} - {""})


# Failures


def failure_of(stream: Stream, ended: Ended) -> SessionError:
    """Why there is no answer. Whoever stopped the agent is named before what it said then."""
    said = _brief(_said(stream.result) or ended.stderr.decode("utf-8", "replace"))
    if ended.stopped == "timeout":
        message = f"the deadline of the order passed after {ended.duration_s:.0f} s"
        return SessionError(kind=ErrorKind.TIMEOUT, message=message)
    if ended.stopped == "signal":
        return SessionError(kind=ErrorKind.INTERRUPTED, message="the run was ended by a signal")
    if stream.result:
        return _failed_result(stream, said)
    if ended.code == 0:
        message = f"claude ended without a result: {said or 'it printed no reason'}"
        return SessionError(kind=ErrorKind.NO_RESULT, message=message)
    how = f"by signal {-ended.code}" if ended.code < 0 else f"with code {ended.code}"
    message = f"claude ended {how} and without a result: {said or 'it printed no reason'}"
    return SessionError(kind=ErrorKind.CRASHED, message=message)


def _failed_result(stream: Stream, said: str) -> SessionError:
    match text(stream.result, "subtype"):
        case "error_max_turns":
            return _error(ErrorKind.TURN_LIMIT, f"{said}: raise max_turns, or cut the task")
        case "error_max_budget_usd":
            return _error(ErrorKind.BUDGET, f"{said}: raise max_budget_usd, or cut the task")
        case "error_max_structured_output_retries":
            return _error(ErrorKind.BAD_ANSWER, said)
        case "success" if stream.result.get("is_error") is True:
            return _api_failure(stream, said)
        case "success":
            return _error(ErrorKind.NO_RESULT, f"claude ended without asking the model: {said}")
        case subtype:
            return _error(ErrorKind.CRASHED, f"claude gave up ({subtype}): {said}")


def _api_failure(stream: Stream, said: str) -> SessionError:
    status = int(number(stream.result, "api_error_status"))
    code = f" ({status})" if status else ""
    match status, stream.trouble:
        case _, "billing_error":
            return _error(ErrorKind.AUTH, f"the API does not bill this account{code}: {said}")
        case 0, "authentication_failed":
            hint = "set ANTHROPIC_API_KEY or CLAUDE_CODE_OAUTH_TOKEN, or choose Bedrock or Vertex"
            return _error(ErrorKind.AUTH, f"the agent has no credentials: {hint}")
        case (401 | 403, _) | (_, "authentication_failed" | "oauth_org_not_allowed"):
            hint = f"check {_credential(stream)}"
            return _error(ErrorKind.AUTH, f"the API refused the credentials{code}: {hint}: {said}")
        case (429, _) | (_, "rate_limit"):
            wait = retry_after_s(stream.events)
            return _error(ErrorKind.OVERLOADED, f"the API limits this account{code}: {said}", wait)
        case _ if status >= _SERVER_ERROR or stream.trouble in ("server_error", "overloaded"):
            wait = retry_after_s(stream.events)
            what = "is overloaded" if status == _OVERLOADED else "failed or could not be reached"
            return _error(ErrorKind.OVERLOADED, f"the API {what}{code}: {said}", wait)
    return _error(ErrorKind.CRASHED, f"the API refused the request{code}: {said}")


def _credential(stream: Stream) -> str:
    sources = (text(event, "apiKeySource") for event in stream.events)
    source = next((source for source in sources if source), "none")
    return "the credentials of the agent" if source == "none" else source


def retry_after_s(events: Sequence[Event]) -> float | None:
    """How long the provider asked us to wait, in seconds from the end of the session.

    A subscription's limit says when it resets. An API key's `retry-after` shows only as a wait that
    is longer than the CLI's own back-off (0.5 s, doubled by each attempt up to 32 s, plus jitter).
    """
    for event in reversed(events):
        if event["type"] == "assistant" and not text(event, "error"):
            return None  # it went on after that: older limits are over
        if event["type"] == "rate_limit_event":
            return _until_reset(event, events)
        if event["type"] == "system" and text(event, "subtype") == "api_retry":
            return _asked_wait(event)
    return None


def _until_reset(event: Event, events: Sequence[Event]) -> float | None:
    limit = mapping(event.get("rate_limit_info"))
    resets, now = number(limit, "resetsAt"), _last_time(events)
    if text(limit, "status") != "rejected" or not resets or now is None:
        return None
    return round(max(0.0, resets - now), 1)


def _last_time(events: Sequence[Event]) -> float | None:
    stamps = (text(event, "timestamp") for event in reversed(events))
    try:
        return next((datetime.fromisoformat(stamp).timestamp() for stamp in stamps if stamp), None)
    except ValueError:
        return None


def _asked_wait(event: Event) -> float | None:
    delay, attempt = number(event, "retry_delay_ms"), number(event, "attempt")
    own = min(_OWN_WAIT_MS * 2 ** min(max(attempt - 1, 0), 16), _OWN_WAIT_MAX_MS) * _JITTER
    return round(delay / 1000, 1) if delay > own else None


# Words


def _said(result: Event) -> str:
    errors = result.get("errors")
    lines = [line for line in errors if isinstance(line, str)] if isinstance(errors, list) else []
    return "; ".join(lines) or text(result, "result")


def _brief(words: str) -> str:
    """One line for a person, without anything that looks like a key."""
    line = _SECRET.sub("sk-ant-***", " ".join(words.split()))
    return line if len(line) <= _WORDS_QUOTED else line[: _WORDS_QUOTED - 1] + "…"


def _error(kind: ErrorKind, message: str, retry_after: float | None = None) -> SessionError:
    return SessionError(kind=kind, message=message, retry_after_s=retry_after)
