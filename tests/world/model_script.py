"""What a scripted model sees and says: a Request comes in, a script gives the answer to it.

A script is a callable ``(Request) -> Reply | Failure | Cut | Hang``. Each request carries its whole
conversation, so scripts need no state: :func:`turns` answers by how far that conversation has come,
which stays right when the CLI asks again and when many agents talk at once.

Scripts
    ``turns(*replies)``      the n-th reply for a conversation with n answers in it; then the last
    ``in_order(*replies)``   the n-th reply for the n-th request of all, whoever asks; then the last
    ``by_prompt({part: script}, default=None)``  the first whose key is a part of ``request.prompt``
Replies
    ``text(words)``, ``write(path, content)``, ``edit(path, old, new)``, ``bash(command)``,
    ``answer(object)`` (the typed answer of `--json-schema`), ``use(tool, **input)``; ``a + b`` is
    one reply with both, ``reply.costing(input_tokens=..., output_tokens=...)`` sets its bill
Failures
    ``refused()`` 401, ``limited(retry_after_s)`` 429, ``overloaded()`` 529, ``failure(status)``
    ``Cut(reply)``           the stream of that reply ends in the middle of it
    ``Hang()``               nothing is sent until ``api.release()`` or the end of the test

Used by ``messages_api.py``, which serves a script, and by tests, which write them.
"""

import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

Json = dict[str, Any]
REMINDER = re.compile(r"\s*<system-reminder>.*?</system-reminder>", re.DOTALL)


@dataclass(frozen=True)
class Request:
    """One POST to /v1/messages. ``headers`` have lower-case names."""

    headers: Mapping[str, str]
    body: Json

    @property
    def model(self) -> str:
        return str(self.body.get("model", ""))

    @property
    def tools(self) -> tuple[str, ...]:
        return tuple(tool["name"] for tool in self.body.get("tools", []))

    @property
    def turn(self) -> int:
        """How many answers of the model this conversation already holds."""
        return sum(message["role"] == "assistant" for message in self.body["messages"])

    @property
    def system(self) -> str:
        system = self.body.get("system", "")
        return system if isinstance(system, str) else "\n".join(block["text"] for block in system)

    @property
    def prompt(self) -> str:
        """All text that came from the user's side, without results of tools."""
        return "\n".join(
            block["text"] for block in self._user_blocks() if block.get("type") == "text"
        )

    @property
    def tool_results(self) -> tuple[str, ...]:
        """What each tool answered, oldest first, without what the CLI adds for the model to know;
        an error is prefixed with ``ERROR: ``."""
        return tuple(
            ("ERROR: " if block.get("is_error") else "")
            + REMINDER.sub("", _plain(block.get("content", "")))
            for block in self._user_blocks()
            if block.get("type") == "tool_result"
        )

    def _user_blocks(self) -> list[Json]:
        blocks: list[Json] = []
        for message in self.body["messages"]:
            content = message["content"]
            if message["role"] == "user":
                blocks += (
                    [{"type": "text", "text": content}] if isinstance(content, str) else content
                )
        return blocks


@dataclass(frozen=True)
class Reply:
    """One answer of the model: text and tool calls, and what it is billed for."""

    blocks: tuple[Json, ...]
    input_tokens: int = 100
    output_tokens: int = 10

    def costing(self, *, input_tokens: int = 100, output_tokens: int = 10) -> "Reply":
        return replace(self, input_tokens=input_tokens, output_tokens=output_tokens)

    def __add__(self, other: "Reply") -> "Reply":
        """Both in one answer: ``text("I write it.") + write("a", "b")``."""
        return replace(self, blocks=self.blocks + other.blocks)

    @property
    def stop_reason(self) -> str:
        calls = any(block["type"] == "tool_use" for block in self.blocks)
        return "tool_use" if calls else "end_turn"


@dataclass(frozen=True)
class Failure:
    status: int
    type: str
    message: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Cut:
    """The connection ends in the middle of ``reply``."""

    reply: Reply


@dataclass(frozen=True)
class Hang:
    """The connection stays open and silent until :meth:`MessagesApi.release`."""


Answer = Reply | Failure | Cut | Hang
Script = Callable[[Request], Answer]


def text(words: str) -> Reply:
    return Reply(({"type": "text", "text": words},))


def use(tool: str, **arguments: object) -> Reply:
    return Reply(({"type": "tool_use", "name": tool, "input": arguments},))


def write(path: str, content: str) -> Reply:
    return use("Write", file_path=path, content=content)


def edit(path: str, old: str, new: str) -> Reply:
    return use("Edit", file_path=path, old_string=old, new_string=new)


def bash(command: str) -> Reply:
    return use("Bash", command=command, description="scripted")


def answer(value: Mapping[str, object]) -> Reply:
    """The typed answer that `--json-schema` asks for."""
    return use("StructuredOutput", **value)


def failure(status: int, kind: str = "api_error", message: str = "scripted failure") -> Failure:
    return Failure(status, kind, message)


def refused() -> Failure:
    return Failure(401, "authentication_error", "invalid x-api-key")


def limited(retry_after_s: int | None = None, headers: Mapping[str, str] | None = None) -> Failure:
    wait = {} if retry_after_s is None else {"retry-after": str(retry_after_s)}
    message = "This request would exceed your rate limit"
    return Failure(429, "rate_limit_error", message, {**wait, **(headers or {})})


def overloaded() -> Failure:
    return Failure(529, "overloaded_error", "Overloaded")


def turns(*replies: Answer) -> Script:
    return lambda request: replies[min(request.turn, len(replies) - 1)]


def in_order(*replies: Answer) -> Script:
    left = list(replies)
    lock = threading.Lock()

    def script(_request: Request) -> Answer:
        with lock:
            return left.pop(0) if len(left) > 1 else left[0]

    return script


def by_prompt(scripts: Mapping[str, Script], default: Script | None = None) -> Script:
    def script(request: Request) -> Answer:
        for part, chosen in scripts.items():
            if part in request.prompt:
                return chosen(request)
        if default:
            return default(request)
        return failure(400, "invalid_request_error", f"no script for: {request.prompt[:500]}")

    return script


def _plain(content: object) -> str:
    if isinstance(content, str):
        return content
    assert isinstance(content, list)
    return "\n".join(str(part.get("text", part)) for part in content)
