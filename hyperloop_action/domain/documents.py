"""YAML text -> plain values that still know their lines; readers of YAML files start here.

The dialect is what reads the same to everybody: ``true`` and ``false`` are the only
booleans (``on``, ``yes`` and ``no`` are text), keys and times are text, numbers are decimal, tags
and merge keys are refused. Lines are looked up only for an error, since most files have none.
"""

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode
from yaml.reader import Reader, ReaderError

from hyperloop_action.domain.yaml_nodes import line_in, nodes_of
from hyperloop_action.errors import ConfigError, Problem

Value = None | bool | int | float | str | list["Value"] | dict[str, "Value"]
Path = tuple[str | int, ...]

MAX_DEPTH = 64


@dataclass(frozen=True, slots=True)
class Document:
    """A value and where it was written. ``origins`` sends a path, and all below it, to the document
    that it was moved or merged from; the longest path wins."""

    value: Value
    source: str
    text: str = ""
    index: int = 0
    line_offset: int = 0
    origins: Mapping[Path, tuple["Document", Path]] = field(default_factory=dict)

    def line_of(self, path: Path) -> int:
        """The line of the key or list item at ``path``, else of the nearest thing around it."""
        return self.where(path)[1]

    def where(self, path: Path) -> tuple[str, int]:
        """File and line of ``path``; line 0 is the whole file."""
        document, written = self._written(path)
        line = line_in(document.text, document.index, written)
        return document.source, line + document.line_offset if line else 0

    def problem(self, path: Path, what: str, expected: str = "", hint: str = "") -> Problem:
        """A mistake in the value at ``path``."""
        file, line = self.where(path)
        return Problem(file, line, dotted(self._written(path)[1]), what, expected, hint)

    def _written(self, path: Path) -> tuple["Document", Path]:
        for length in range(len(path), -1, -1):
            if origin := self.origins.get(path[:length]):
                document, above = origin
                return document._written((*above, *path[length:]))  # noqa: SLF001 - the same class
        return self, path


def parse(text: bytes, source: str) -> list[Document]:
    """The documents of a file, without those that hold nothing. Raises :class:`ConfigError`."""
    return _documents(_decoded(text, source), source)


def parse_one(text: bytes, source: str) -> Document:
    """A file that is one mapping; an empty file is an empty one. Raises :class:`ConfigError`."""
    documents = parse(text, source) or [Document({}, source)]
    if len(documents) > 1:
        problem = documents[1].problem((), "is a second document", "one document in this file")
        raise ConfigError([problem])
    if not isinstance(documents[0].value, dict):
        raise ConfigError(
            [documents[0].problem((), f"is {shown(documents[0].value)}", "a mapping")]
        )
    return documents[0]


def front_matter(text: bytes, source: str) -> tuple[Document, str]:
    """The mapping between the two ``---`` lines at the top of a page, and the text below it.

    Raises :class:`ConfigError` when there is none, or when it is not a mapping.
    """
    page = _decoded(text, source)
    found = _FRONT_MATTER.match(page)
    if found is None:
        what = "has no front matter" if not page.startswith("---") else "has no end of front matter"
        problem = Problem(source, 1, "", what, "a line `---`, `key: value` lines, a line `---`")
        raise ConfigError([problem])
    documents = _documents(found["yaml"], source, line_offset=1) or [Document({}, source)]
    if not isinstance(documents[0].value, dict):
        raise ConfigError(
            [documents[0].problem((), f"is {shown(documents[0].value)}", "a mapping")]
        )
    return documents[0], page[found.end() :]


def nearest(name: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """``did you mean max_workers?``, or nothing when no known name is like ``name``."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=cutoff)
    return f"did you mean {close[0]}?" if close else ""


def dotted(path: Path) -> str:
    """``("pipeline", 0, "agent")`` as ``pipeline[0].agent``."""
    words = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return words.removeprefix(".")


def shown(value: Value) -> str:
    """A value as it stands in a message: short, on one line."""
    match value:
        case None:
            return "empty"
        case bool():
            return "true" if value else "false"
        case dict():
            return "a mapping"
        case list():
            return "a list"
        case str():
            line = " ".join(value.split())
            return f'"{line}"' if len(line) <= MAX_SHOWN else f'"{line[:MAX_SHOWN]}..."'
        case _:
            return str(value)


def scalar(word: str) -> Value:
    """What a plain (not quoted) word means."""
    if word in _WORDS:
        return _WORDS[word]
    first = word[0]
    if first.isdigit() or first in "+-.":
        if _INT.fullmatch(word):
            return int(word)
        if _FLOAT.fullmatch(word):
            return float(word)
    return word


def moved(document: Document, value: Value, origins: Mapping[Path, Path]) -> Document:
    """The same document holding ``value``, of which the parts named in ``origins`` moved."""
    sources = {path: (document, old) for path, old in origins.items()}
    return replace(document, value=value, origins={(): (document, ()), **sources})


MAX_SHOWN = 60

_FRONT_MATTER = re.compile(
    r"---[ \t]*\r?\n(?P<yaml>.*?)^---[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE
)
_INT = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+)([eE][-+]?[0-9]{1,3})?")
_WORDS: dict[str, Value] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


def _decoded(text: bytes, source: str) -> str:
    try:
        return text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start) + 1
        what = f"is not UTF-8 (byte 0x{text[error.start]:02x})"
        hint = "save the file as UTF-8"
        raise ConfigError([Problem(source, line, "", what, "text in UTF-8", hint)]) from error


def _documents(text: str, source: str, line_offset: int = 0) -> list[Document]:
    builder = _Builder(source, line_offset, budget=2 * len(text) + 64)
    documents = []
    try:
        for index, node in enumerate(nodes_of(text)):
            value = builder.build(node)
            if value is not None:
                documents.append(Document(value, source, text, index, line_offset))
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigError([_yaml_problem(error, text, source, line_offset)]) from error
    return documents


class _Builder:
    """Nodes to values. ``budget`` bounds how many nodes there may be: a file without aliases cannot
    have more than two for each of its characters, so only a bomb of aliases ever meets it."""

    def __init__(self, source: str, line_offset: int, budget: int) -> None:
        self.source = source
        self.line_offset = line_offset
        self.budget = budget
        self.depth = 0

    def build(self, node: Node) -> Value:
        if node.tag and node.tag != _STR:
            raise self._refused(node, f"has the tag {node.tag}", "a plain value")
        if type(node) is ScalarNode:
            return node.value if node.style or node.tag else scalar(node.value)
        self.budget -= len(node.value)
        self.depth += 1
        if self.budget < 0:
            raise self._refused(node, "grows without end when its aliases are written out")
        if self.depth > MAX_DEPTH:
            raise self._refused(node, "is nested too deeply", f"at most {MAX_DEPTH} levels")
        value = self._mapping(node) if type(node) is MappingNode else self._sequence(node)
        self.depth -= 1
        return value

    def _sequence(self, node: Node) -> list[Value]:
        return [self.build(item) for item in node.value]

    def _mapping(self, node: Node) -> dict[str, Value]:
        mapping: dict[str, Value] = {}
        for key, item in node.value:
            if type(key) is not ScalarNode:
                raise self._refused(key, "has a key that is not a word", "`key: value`")
            if key.value in mapping:
                raise self._refused(key, "is given twice", "each key once", key.value)
            if key.value == "<<" and not key.style:
                raise self._refused(key, "is not supported", "the keys written out", "<<")
            mapping[key.value] = self.build(item)
        return mapping

    def _refused(self, node: Node, what: str, expected: str = "", key: str = "") -> ConfigError:
        line = node.start_mark.line + 1 + self.line_offset
        return ConfigError([Problem(self.source, line, key, what, expected)])


_STR = "tag:yaml.org,2002:str"


def _yaml_problem(error: Exception, text: str, source: str, line_offset: int) -> Problem:
    """The parser's complaint, with the line that a person would look at."""
    if isinstance(error, ReaderError):
        found = Reader.NON_PRINTABLE.search(text)
        line = text.count("\n", 0, found.start()) + 1 + line_offset if found else 0
        return Problem(source, line, "", "holds a control character", "text")
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return Problem(source, 0, "", "is nested too deeply", f"at most {MAX_DEPTH} levels")
    lines = text.split("\n")
    written = lines[mark.line] if mark.line < len(lines) else ""
    line = min(mark.line + 1, text.rstrip("\n").count("\n") + 1) + line_offset
    column = mark.column + 1
    if "\t" in written[: mark.column + 1]:
        return Problem(source, line, "", f"has a tab at column {column}", "spaces")
    said = getattr(error, "problem", None) or "cannot be read"
    return Problem(source, line, "", f"is not YAML: {said} at column {column}", hint=_advice(said))


def _advice(said: str) -> str:
    if "mapping values" in said:
        return "put quotes around a value that holds `: `"
    return "check the indentation and the quotes above it"
