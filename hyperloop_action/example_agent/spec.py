"""A spec that writes its files out -> sections, each with files, commands and what it waits for.

Pure; ``__main__.py`` calls :func:`parse`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from hyperloop_action.errors import UsageError


@dataclass(frozen=True, slots=True)
class Block:
    """What stands between two fences, and the words behind the first: ``python file=a.py``."""

    words: tuple[str, ...]
    text: str

    def value(self, key: str) -> str:
        found = (word.removeprefix(f"{key}=") for word in self.words if word.startswith(f"{key}="))
        return next(found, "")

    @property
    def from_round(self) -> int:
        value = self.value("round") or "0"
        if not value.isdecimal():
            raise UsageError(f"round={value} in a fenced block", expected="a number, as round=1")
        return int(value)


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and the blocks under it."""

    title: str
    blocks: tuple[Block, ...] = ()

    def files(self, round_: int | None = None) -> dict[str, str]:
        """Path -> content as of that round; without one, as the spec finally wants it."""
        named = [block for block in self.blocks if block.value("file")]
        begun = [block for block in named if round_ is None or block.from_round <= round_]
        ordered = sorted(begun, key=lambda block: block.from_round)
        return {block.value("file"): block.text for block in ordered}

    def checks(self) -> list[str]:
        """The acceptance commands, one a line."""
        blocks = [block for block in self.blocks if "acceptance" in block.words]
        lines = [line.strip() for block in blocks for line in block.text.splitlines()]
        return [line for line in lines if line and not line.startswith("#")]


@dataclass(frozen=True, slots=True)
class Spec:
    """``depends_on`` are paths of other specs."""

    sections: tuple[Section, ...]
    depends_on: tuple[str, ...]


def parse(text: str) -> Spec:
    """Raises :class:`UsageError` for two sections with one title: each is a task, known by it."""
    sections: list[Section] = []
    depends_on: list[str] = []
    for section, prose in _parts(text):
        named = re.findall(r"^Depends on:(.*)$", prose, re.MULTILINE)
        depends_on += [one.strip(" `*.") for line in named for one in line.split(",")]
        if section.blocks:
            sections.append(section)
    titles = [section.title for section in sections]
    twice = next((title for title in titles if titles.count(title) > 1), None)
    if twice is not None:
        raise UsageError(f"the heading {twice!r} stands twice", expected="each heading once")
    return Spec(tuple(sections), tuple(dict.fromkeys(filter(None, depends_on))))


def _parts(text: str) -> Iterator[tuple[Section, str]]:
    """Sections and their prose; what stands between fences is no heading."""
    heading, prose, blocks = "Preface", list[str](), list[Block]()
    lines = iter(text.splitlines())
    for line in lines:
        if fence := re.match(r"(`{3,}|~{3,})(.*)", line):
            blocks.append(Block(tuple(fence[2].split()), _until(lines, fence[1])))
        elif title := re.match(r"##?\s+(.+)", line):
            yield Section(heading, tuple(blocks)), "\n".join(prose)
            heading, prose, blocks = title[1].strip(), [], []
        else:
            prose.append(line)
    yield Section(heading, tuple(blocks)), "\n".join(prose)


def _until(lines: Iterator[str], fence: str) -> str:
    block = []
    for line in lines:
        if line.startswith(fence) and not line.strip(fence[0] + " "):
            break
        block.append(line)
    return "".join(f"{line}\n" for line in block)
