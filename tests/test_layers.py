"""What import-linter cannot see: which names of allowed modules are used, and where.

The clock, the dice, the environment and the disk come in as values; adapters and wiring own them.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "hyperloop_action"
CLOCK_AND_DICE = (
    "datetime.date.today",
    "datetime.datetime.now",
    "datetime.datetime.today",
    "datetime.datetime.utcnow",
    "os.urandom",
    "random",
    "secrets",
    "time",
    "uuid",
)
ENVIRONMENT = ("os.environ", "os.environb", "os.getenv", "os.putenv")
INSIDE = ("domain", "errors.py", "ports.py", "settings.py", "loop.py", "cycle.py", "act.py")
DISK = ("open", "io.open", "os", "shutil", "tempfile")
DISK_METHODS = frozenset(
    {"exists", "is_dir", "is_file", "iterdir", "mkdir", "open", "stat", "unlink"}
    | {"read_bytes", "read_text", "write_bytes", "write_text"}
)


@dataclass(frozen=True)
class Rule:
    """``where`` are module paths below the package: a file, or a folder with all in it."""

    names: tuple[str, ...]
    where: tuple[str, ...]
    methods: frozenset[str] = frozenset()


RULES = {
    "decisions are told the time and draw no lots": Rule(CLOCK_AND_DICE, INSIDE),
    "below the wiring nobody reads the environment": Rule(ENVIRONMENT, ("adapters", *INSIDE)),
    "the rules open no file": Rule(DISK, ("domain",), DISK_METHODS),
}


def used_names(source: str) -> Iterator[tuple[int, str]]:
    """Line and full name of everything that is imported or built in, as `datetime.datetime.now`."""
    tree = ast.parse(source)
    known = {"open": "open"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            known |= {(one.asname or one.name): one.name for one in node.names}
        elif isinstance(node, ast.ImportFrom):
            known |= {(one.asname or one.name): f"{node.module}.{one.name}" for one in node.names}
            yield from ((node.lineno, f"{node.module}.{one.name}") for one in node.names)
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load):
            first, dot, rest = ast.unparse(node).partition(".")
            if first in known:
                yield node.lineno, known[first] + dot + rest


def breaches(rule: Rule, source: str) -> list[tuple[int, str]]:
    found = {
        (line, name)
        for line, name in used_names(source)
        if any(name == one or name.startswith(f"{one}.") for one in rule.names)
    }
    called = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    found |= {
        (node.lineno, node.func.attr)
        for node in called
        if isinstance(node.func, ast.Attribute) and node.func.attr in rule.methods
    }
    return sorted(found)


def _modules(where: tuple[str, ...]) -> Iterator[Path]:
    for name in where:
        path = PACKAGE / name
        yield from sorted(path.rglob("*.py")) if path.is_dir() else [path]


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_nothing_reaches_outside_by_itself(rule: Rule) -> None:
    found = {
        str(path.relative_to(PACKAGE)): breaches(rule, path.read_text())
        for path in _modules(rule.where)
    }

    assert {path: names for path, names in found.items() if names} == {}


@pytest.mark.parametrize(
    ("rule", "source", "expected"),
    [
        ("decisions are told the time and draw no lots", "import time as t\nt.sleep(1)", [2]),
        (
            "decisions are told the time and draw no lots",
            "from datetime import UTC, datetime\nnow = datetime.now(UTC)",
            [2],
        ),
        ("decisions are told the time and draw no lots", "from random import choice", [1]),
        ("decisions are told the time and draw no lots", "from datetime import datetime", []),
        ("below the wiring nobody reads the environment", "import os\nos.environ['A']", [2]),
        ("below the wiring nobody reads the environment", "import os\nos.fspath('A')", []),
        ("the rules open no file", "open('a')", [1]),
        ("the rules open no file", "def f(p): return p.read_text()", [1]),
        ("the rules open no file", "from pathlib import Path\nPath('a') / 'b'", []),
    ],
)
def test_a_breach_is_seen(rule: str, source: str, expected: list[int]) -> None:
    assert sorted({line for line, _ in breaches(RULES[rule], source)}) == expected
