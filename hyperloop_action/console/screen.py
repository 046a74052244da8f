"""Where the words of a command go: results to standard output, everything else to standard error.

Tables are drawn to the width of a terminal; into a pipe they go unwrapped and without colours, so
that ``grep`` and ``cut`` see whole lines. ``cli.py`` makes the one :class:`Screen`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TextIO

import yaml
from rich.console import Console, RenderableType

Format = Literal["table", "json", "yaml"]

PIPE_WIDTH = 10_000
"""Columns; wide enough that nothing is wrapped where no terminal sets a limit."""


@dataclass(frozen=True, slots=True)
class Screen:
    """``env`` is asked for ``NO_COLOR``, ``TERM`` and ``COLUMNS``, and for nothing else."""

    out: TextIO
    err: TextIO
    env: Mapping[str, str]

    @property
    def watched(self) -> bool:
        """Whether a person sees standard error as it is written, on something that can redraw."""
        return self.err.isatty() and self.env.get("TERM") != "dumb"

    def show(self, *parts: RenderableType) -> None:
        """Results, for people."""
        _print(self._console(self.out), parts)

    def note(self, *parts: RenderableType) -> None:
        """What is said about the work; never part of a result."""
        _print(self._console(self.err), parts)

    def dump(self, value: object, output: Format) -> None:
        """Results, for programs: nothing else is ever on standard output then."""
        if output == "json":
            text = json.dumps(value, indent=2, ensure_ascii=False) + "\n"
        else:
            text = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=100)
        self.out.write(encodable(text))

    def live_console(self) -> Console:
        return self._console(self.err)

    def _console(self, stream: TextIO) -> Console:
        return Console(
            file=stream,
            width=None if stream.isatty() else PIPE_WIDTH,
            highlight=False,
            markup=False,
            emoji=False,
            _environ=self.env,
        )


def clean(text: str) -> str:
    """Text of an agent or a file without what could steer a terminal; its lines stay lines."""
    return "".join(_harmless(char) for char in text.expandtabs(4).replace("\r\n", "\n"))


def encodable(text: str) -> str:
    """Names of files may hold bytes that are no text: shown as escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _harmless(char: str) -> str:
    return char if char.isprintable() or char == "\n" else "\N{REPLACEMENT CHARACTER}"


def _print(console: Console, parts: tuple[RenderableType, ...]) -> None:
    with console.capture() as captured:
        for part in parts:
            console.print(part)
    lines = encodable(captured.get()).splitlines()
    console.file.write("".join(f"{line.rstrip()}\n" for line in lines))
    console.file.flush()
