"""YAML text -> nodes with their lines, by libyaml where there is one; for ``documents.py``."""

from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

import yaml
from yaml.composer import Composer
from yaml.nodes import MappingNode, Node, SequenceNode
from yaml.parser import Parser
from yaml.reader import Reader
from yaml.scanner import Scanner


class _Resolver:
    """Leaves every node as it was written: what a plain word means is decided in one place here."""

    def resolve(self, _kind: object, _value: object, _implicit: object) -> str:
        return ""

    def descend_resolver(self, _parent: object, _index: object) -> None: ...
    def ascend_resolver(self) -> None: ...


class PythonLoader(_Resolver, Reader, Scanner, Parser, Composer):
    """For machines where PyYAML came without libyaml: the same values, some 10 times slower."""

    def __init__(self, stream: str) -> None:
        Reader.__init__(self, stream)
        Scanner.__init__(self)
        Parser.__init__(self)
        Composer.__init__(self)

    def dispose(self) -> None: ...


if TYPE_CHECKING or not yaml.__with_libyaml__:
    Loader = PythonLoader
else:
    from yaml.cyaml import CParser

    class Loader(_Resolver, CParser):
        """libyaml. Its methods have the names of the Python one's."""


def nodes_of(text: str) -> Iterator[Node]:
    loader = Loader(text)
    try:
        while loader.check_node():
            if node := loader.get_node():
                yield node
    finally:
        loader.dispose()


@lru_cache(maxsize=1)
def all_nodes(text: str) -> tuple[Node, ...]:
    return tuple(nodes_of(text))


def line_in(text: str, index: int, path: tuple[str | int, ...]) -> int:
    """Counts from 1; 0 where nothing was written."""
    nodes = all_nodes(text)
    if index >= len(nodes):
        return 0
    node, line = nodes[index], nodes[index].start_mark.line + 1
    for part in path:
        found = _child(node, part)
        if found is None:
            break
        node, line = found[1], found[0].start_mark.line + 1
    return int(line)


def _child(node: Node, part: str | int) -> tuple[Node, Node] | None:
    """The node that names ``part`` and the one that holds it; for a list item both are it."""
    if isinstance(node, MappingNode):
        return next((pair for pair in node.value if pair[0].value == part), None)
    if isinstance(node, SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part], node.value[part]
    return None
