"""Bytes of a running program -> redacted lines in ``transcript.jsonl``, and a bounded copy.

Every line of the file is a JSON object: what the agent printed as one is kept as it is, other
text becomes ``{"type": "stdout", "text": ...}``. ``isolation.py`` feeds it, one :class:`Stream` per
pipe.
"""

import json
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec

from hyperloop_action.adapters.redaction import Redactor

MAX_FILE = 64 << 20
"""Bytes of a transcript; what comes after is read, and forgotten."""

MAX_LINE = 4 << 20
"""Bytes of one line; the rest of a longer one is left out."""

MAX_KEPT = 32 << 20
"""Bytes of each stream kept for the runtime to judge: the newest, since answers come last."""

_MARGIN = 64 << 10  # so that a secret across the cut is seen whole before the cut
_CUT = " [cut]"


class Transcript:
    """The file of one session: the checks write to it, then the agent."""

    def __init__(
        self, path: Path, redactor: Redactor, on_line: Callable[[str], None] | None = None
    ) -> None:
        self._redactor = redactor
        self._on_line = on_line
        self._file = path.open("wb")
        self._size = 0
        self._full = False

    def stream(self, name: Literal["stdout", "stderr"]) -> "Stream":
        return Stream(self, name, self._redactor.lines())

    def note(self, text: str) -> None:
        """Say something of our own, recognizable as such."""
        self._write(_entry("hyperloop", self._redactor.text(text)))

    def add(self, name: str, line: str) -> None:
        self._write(line.encode() if _is_object(line) else _entry(name, line))
        if self._on_line:
            self._on_line(line)

    def close(self) -> None:
        self._file.close()

    def _write(self, entry: bytes) -> None:
        if self._full:
            return
        self._size += len(entry) + 1
        if self._size > MAX_FILE:
            self._full = True
            entry = _entry("hyperloop", f"transcript cut at {MAX_FILE >> 20} MiB")
        self._file.write(entry + b"\n")
        self._file.flush()


class Stream:
    """One pipe: cuts what arrives into lines, and keeps the newest of them."""

    def __init__(self, transcript: Transcript, name: str, redact: Callable[[str], str]) -> None:
        self._transcript = transcript
        self._name = name
        self._redact = redact
        self._partial = bytearray()
        self._kept: deque[bytes] = deque()
        self._kept_size = 0

    def feed(self, data: bytes) -> None:
        *whole, rest = data.split(b"\n")
        for piece in whole:
            self._extend(piece)
            self._end_line()
        self._extend(rest)

    def close(self) -> bytes:
        """End the last line; returns what was kept."""
        if self._partial:
            self._end_line()
        return b"".join(self._kept)

    def _extend(self, piece: bytes) -> None:
        self._partial += piece[: MAX_LINE + _MARGIN - len(self._partial)]

    def _end_line(self) -> None:
        line = bytes(self._partial)
        self._partial.clear()
        self._keep(line[:MAX_LINE] + b"\n")
        text = self._redact(line.decode("utf-8", "replace").removesuffix("\r"))
        if len(line) > MAX_LINE:
            text = text[:-_MARGIN] + _CUT
        self._transcript.add(self._name, text)

    def _keep(self, line: bytes) -> None:
        self._kept.append(line)
        self._kept_size += len(line)
        while self._kept_size > MAX_KEPT:
            self._kept_size -= len(self._kept.popleft())


def _entry(kind: str, text: str) -> bytes:
    return json.dumps({"type": kind, "text": text}, ensure_ascii=False).encode("utf-8", "replace")


def _is_object(line: str) -> bool:
    if not line.startswith("{"):
        return False
    try:
        msgspec.json.decode(line)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True
