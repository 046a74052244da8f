"""Reads what `claude -p --output-format stream-json` printed: lines of JSON become a Stream. Pure.

``claude_outcome.py`` judges it. The lines are untrusted, and their shape grows with each version of
the CLI, so every field is asked for its type when it is read; what is not understood is missing.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from hyperloop_action.domain.orders import Usage

Event = dict[str, object]

_MOST = 1e12  # of tokens, dollars, seconds: no sum of a few of these is infinite
_KEPT = ("system", "assistant", "rate_limit_event", "result")


@dataclass(frozen=True, slots=True)
class Stream:
    """The events that matter, in order; ``result`` is the last of its kind, or empty."""

    events: tuple[Event, ...]
    result: Event

    @property
    def session(self) -> str | None:
        named = (text(event, "session_id") for event in (self.result, *self.events))
        return next((name for name in named if name), None)

    @property
    def succeeded(self) -> bool:
        """It ended on its own terms, and a model was asked: a prompt that the CLI takes for one of
        its own commands ends in success after zero turns."""
        result = self.result
        fine = text(result, "subtype") == "success" and result.get("is_error") is not True
        return fine and number(result, "num_turns") > 0

    @property
    def trouble(self) -> str:
        """The CLI's own label of the last failed request: ``rate_limit``, ``server_error``..."""
        labels = (text(e, "error") for e in reversed(self.events) if e["type"] == "assistant")
        return next((label for label in labels if label), "")


def read(stdout: bytes) -> Stream:
    """Lines that are cut, or not JSON, or of another kind are left out."""
    events = tuple(event for event in map(_event, stdout.split(b"\n")) if event)
    results = [event for event in events if event["type"] == "result"]
    return Stream(events, results[-1] if results else {})


def _event(line: bytes) -> Event | None:
    if not line.startswith(b"{"):
        return None
    try:
        event = msgspec.json.decode(line, type=Event)
    except (msgspec.DecodeError, RecursionError):
        return None
    return event if event.get("type") in _KEPT else None


def usage_of(stream: Stream, duration_s: float) -> Usage:
    """From the result; from the single messages when there is none, and then without the cost."""
    tokens = _tokens_in_total(stream) if stream.result else _tokens_as_seen(stream.events)
    return Usage(
        cost_usd=round(number(stream.result, "total_cost_usd"), 6),
        turns=int(number(stream.result, "num_turns")) or len(_messages(stream.events)),
        input_tokens=int(tokens[0]),
        output_tokens=int(tokens[1]),
        duration_s=round(duration_s, 3),
    )


def _tokens_in_total(stream: Stream) -> tuple[float, float]:
    """By model, which also counts sub-agents and the last answer of a session that gave up."""
    models = mapping(stream.result.get("modelUsage"))
    if not models:
        usage = mapping(stream.result.get("usage"))
        return _input(usage), number(usage, "output_tokens")
    used = [mapping(value) for value in models.values()]
    names = ("inputTokens", "cacheReadInputTokens", "cacheCreationInputTokens")
    asked = sum(number(model, name) for model in used for name in names)
    return asked, sum(number(model, "outputTokens") for model in used)


def _tokens_as_seen(events: Iterable[Event]) -> tuple[float, float]:
    used = [mapping(message.get("usage")) for message in _messages(events).values()]
    return sum(map(_input, used)), sum(number(usage, "output_tokens") for usage in used)


def _messages(events: Iterable[Event]) -> dict[str, Event]:
    """By id: a message of several blocks is printed once for each. The CLI's own are left out."""
    printed = [mapping(event.get("message")) for event in events if event["type"] == "assistant"]
    real = [message for message in printed if text(message, "model") != "<synthetic>"]
    return {text(message, "id"): message for message in real}


def _input(usage: Event) -> float:
    names = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
    return sum(number(usage, name) for name in names)


# Fields, each of the type it should have, or empty


def text(event: Event, name: str) -> str:
    value = event.get(name)
    return value if isinstance(value, str) else ""


def number(event: Event, name: str) -> float:
    value = event.get(name)
    return min(max(value, 0), _MOST) if isinstance(value, int | float) else 0


def mapping(value: object) -> Event:
    return value if isinstance(value, dict) else {}
