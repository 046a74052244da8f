"""Work orders and results: the two JSON documents between a cycle and an agent session.

A cycle writes an :class:`Order`; ``hyperloop work`` executes it anywhere and leaves a
:class:`Result`. Both are self-contained, so that the two sides may run on different machines.
"""

from enum import StrEnum
from typing import Literal, TypeVar

import msgspec

from hyperloop_action.errors import Problem, UsageError

SCHEMA = 1


class Wants(StrEnum):
    """What a session is asked for, and so what is kept of it."""

    CHANGES = "changes"  # commits on the task branch
    VERDICT = "verdict"  # pass or fail; file changes are thrown away
    PROPOSALS = "proposals"  # tasks to plan; file changes are thrown away
    RULES = "rules"  # commits under .hyperloop/agents/process and .hyperloop/checks alone


class Verdict(StrEnum):
    PASS = "pass"
    FAIL = "fail"


class ErrorKind(StrEnum):
    """Why a session gave no usable answer. None of these is a verdict, and none starts a round."""

    NO_CLI = "no-cli"  # the agent's program is missing, or older than we can drive
    AUTH = "auth"  # the provider refused the credentials
    OVERLOADED = "overloaded"  # the provider is busy or limits us; retry_after_s when it said so
    TURN_LIMIT = "turn-limit"
    BUDGET = "budget"
    PERMISSION_DENIED = "permission-denied"  # the agent could not use a tool that it needed
    BAD_ANSWER = "bad-answer"  # it answered, but not in the form that was asked for
    NO_RESULT = "no-result"  # it ended without saying anything
    NO_CHANGE = "no-change"  # asked for changes, made none, and did not say why
    TIMEOUT = "timeout"  # the deadline of the order passed
    INTERRUPTED = "interrupted"  # stopped by a signal: somebody ended the run
    CRASHED = "crashed"  # anything else that ended it early
    LOST = "lost"  # the worker vanished without leaving a result


class SpecToPlan(msgspec.Struct, frozen=True, kw_only=True):
    path: str
    commit: str
    blob: str
    change: Literal["new", "changed", "failed"]


class RuntimeSpec(msgspec.Struct, frozen=True, kw_only=True):
    """How to start the agent. ``env`` names variables of the caller that pass; it never holds
    values."""

    name: str = "claude"
    model: str | None = None
    max_turns: int = 60
    max_budget_usd: float = 5.0
    timeout_s: float = 3600.0
    command: tuple[str, ...] = ()
    env: tuple[str, ...] = ()


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """One agent session. ``base`` and ``head`` are commits: where the branch left trunk, and where
    this session goes on. ``prompt`` is the whole text that the agent gets."""

    schema: int = SCHEMA
    id: str
    role: str
    wants: Wants
    task: str | None = None
    title: str = ""
    spec_ref: str | None = None
    specs: tuple[SpecToPlan, ...] = ()
    round: int = 0
    base: str
    branch: str | None = None
    head: str
    prompt: str
    runtime: RuntimeSpec = RuntimeSpec()
    protected_paths: tuple[str, ...] = ()
    max_change_mb: float = 50.0


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """What a session took: US dollars, model turns, tokens, seconds of wall time."""

    cost_usd: float = 0.0
    turns: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    duration_s: float = 0.0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            cost_usd=round(self.cost_usd + other.cost_usd, 6),
            turns=self.turns + other.turns,
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            duration_s=round(self.duration_s + other.duration_s, 3),
        )


class SessionError(msgspec.Struct, frozen=True, kw_only=True):
    kind: ErrorKind
    message: str
    retry_after_s: float | None = None


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """A task as the planner words it. ``deps`` are keys of the same answer or ids of existing
    tasks."""

    key: str
    title: str
    description: str
    spec: str
    deps: tuple[str, ...] = ()
    covers: tuple[str, ...] = ()


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent says at the end: the JSON of ``$HYPERLOOP_RESULT_FILE``, or its typed
    output."""

    verdict: Verdict | None = None
    detail: str = ""
    proposals: tuple[Proposal, ...] | None = None


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """``outcome`` tells whether the session counts: ``error`` is retried, and is never a verdict.
    ``head`` is the commit that the branch should move to; null where nothing was committed."""

    schema: int = SCHEMA
    order: str
    outcome: Literal["done", "error"]
    verdict: Verdict | None = None
    detail: str = ""
    proposals: tuple[Proposal, ...] | None = None
    head: str | None = None
    usage: Usage = Usage()
    session: str | None = None
    error: SessionError | None = None


def encode(document: Order | Result) -> bytes:
    """As indented JSON, ending in a newline: people open these files."""
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def decode_order(data: bytes, source: str) -> Order:
    """Raises :class:`UsageError` naming ``source`` and the key that is wrong."""
    return _decode(data, Order, source)


def decode_result(data: bytes, source: str) -> Result:
    """Raises :class:`UsageError` naming ``source`` and the key that is wrong."""
    return _decode(data, Result, source)


T = TypeVar("T", Order, Result)


def _decode(data: bytes, kind: type[T], source: str) -> T:
    try:
        document = msgspec.json.decode(data, type=kind)
    except msgspec.DecodeError as error:
        problem = Problem(source, 0, "", f"is not a valid {kind.__name__.lower()}: {error}")
        raise UsageError(str(problem)) from error
    if document.schema > SCHEMA:
        raise UsageError(
            f"{source}: has schema {document.schema}",
            expected=f"at most {SCHEMA}",
            hint="it was written by a newer hyperloop: upgrade this one",
        )
    return document
