"""A session's end and what was harvested from it -> the result that the cycle will read.

Called by ``supervisor.py`` once per session. Nothing here trusts what an agent says about itself
further than its role allows: an implementer that changed nothing has not passed.
"""

from dataclasses import dataclass

from msgspec.structs import replace

from hyperloop_action.domain.orders import (
    Answer,
    ErrorKind,
    Order,
    Result,
    SessionError,
    Verdict,
    Wants,
)
from hyperloop_action.domain.sessions import Ended, Session

UNANSWERED = frozenset({ErrorKind.BAD_ANSWER, ErrorKind.NO_RESULT})
"""The session ran to its end, and what it said is of no use."""


@dataclass(frozen=True, slots=True)
class Harvest:
    """What came back from a clone. ``head`` is None where the branch need not move; ``changed``
    tells whether anything of the agent's own is in it; ``findings`` each name what was refused."""

    head: str | None = None
    changed: bool = False
    findings: tuple[str, ...] = ()


def settle(order: Order, session: Session, ended: Ended, harvest: Harvest) -> Result:
    """Decide what the session counts as."""
    usage = replace(session.usage, duration_s=round(ended.duration_s, 3))
    result = Result(
        order=order.id,
        outcome="done",
        head=harvest.head,
        usage=usage,
        session=session.session,
        detail=_detail(session.answer, harvest),
    )
    error = session.error or _stopped(session, ended, order)
    if error and not (order.wants is Wants.VERDICT and error.kind in UNANSWERED):
        return replace(result, outcome="error", error=error)
    match order.wants:
        case Wants.VERDICT:
            return _judged(order, result, session.answer, error)
        case Wants.PROPOSALS:
            return _proposed(result, session.answer)
        case Wants.CHANGES | Wants.RULES:
            return _changed(order, result, session.answer, harvest)


def _stopped(session: Session, ended: Ended, order: Order) -> SessionError | None:
    """An answer that the runtime accepts counts even if the process had to be stopped after it."""
    if session.answer is not None or ended.stopped is None:
        return None
    return stopped_error(ended, order)


def stopped_error(ended: Ended, order: Order) -> SessionError:
    """The error of a session that the supervisor ended."""
    if ended.stopped == "signal":
        message = f"the session was stopped by a signal after {ended.duration_s:.0f} s"
        return SessionError(kind=ErrorKind.INTERRUPTED, message=message)
    message = f"{order.role} did not end within {order.runtime.timeout_s:g} s"
    return SessionError(kind=ErrorKind.TIMEOUT, message=message)


def _judged(
    order: Order, result: Result, answer: Answer | None, error: SessionError | None
) -> Result:
    if answer and answer.verdict and not error:
        return replace(result, verdict=answer.verdict, head=None)
    message = error.message if error else "its answer has no verdict"
    error = error or SessionError(kind=ErrorKind.BAD_ANSWER, message=message)
    detail = f"The {order.role} gave no verdict: {message}."
    detail = "\n\n".join(part for part in (detail, result.detail) if part)
    return replace(result, verdict=Verdict.FAIL, detail=detail, error=error, head=None)


def _proposed(result: Result, answer: Answer | None) -> Result:
    if answer and answer.proposals is not None:
        return replace(result, proposals=answer.proposals, head=None)
    message = "its answer has no proposals; an empty list would mean that nothing is to do"
    error = SessionError(kind=ErrorKind.BAD_ANSWER, message=message)
    return replace(result, outcome="error", error=error, head=None)


def _changed(order: Order, result: Result, answer: Answer | None, harvest: Harvest) -> Result:
    verdict = answer.verdict if answer else None
    if harvest.findings:
        return replace(result, verdict=Verdict.FAIL)
    if verdict or harvest.changed or order.wants is Wants.RULES:
        return replace(result, verdict=verdict or Verdict.PASS)
    message = f"{order.role} changed nothing, and did not say that nothing is to do"
    error = SessionError(kind=ErrorKind.NO_CHANGE, message=message)
    return replace(result, outcome="error", error=error)


def _detail(answer: Answer | None, harvest: Harvest) -> str:
    said = answer.detail.strip() if answer else ""
    return "\n\n".join([*([said] if said else []), *harvest.findings])
