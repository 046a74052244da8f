"""Documents of one kind and name, from several folders -> one document; later folders win.

``adapters/definitions.py`` calls this. A value in the result still knows the file that it is from.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from hyperloop_action.domain.documents import Document, Path, Value, nearest, parse, shown
from hyperloop_action.domain.process_document import PARTS
from hyperloop_action.errors import ConfigError, Problem

Identity = tuple[str, str]
"""Kind and name: ``("Agent", "implementer")``."""

KINDS = {"Agent": "prompt", "Process": "pipeline"}
"""The kinds that there are, and the key that makes a document a new one of its kind."""


@dataclass(slots=True)
class Stack:
    """Documents after the layers so far. ``chosen`` is the process that a file without kind and
    name is about."""

    chosen: str
    problems: list[Problem] = field(default_factory=list)
    documents: dict[Identity, Document] = field(default_factory=dict)

    def add(self, files: Mapping[str, bytes], *, extends_guidelines: bool = False) -> None:
        """Put the documents of one folder on top. With ``extends_guidelines`` an agent's guidelines
        come behind those below instead of in their place: so learned rules replace nothing."""
        layer: dict[Identity, Document] = {}
        for document in self._parsed(files):
            identity = self._identity(document)
            if identity is None:
                continue
            if before := layer.get(identity):
                self.problems.append(_twice(document, before, identity))
            layer.setdefault(identity, document)
        for identity, document in layer.items():
            self._put(identity, document, extends_guidelines=extends_guidelines)

    def names(self, kind: str) -> list[str]:
        return sorted(name for a_kind, name in self.documents if a_kind == kind)

    def _parsed(self, files: Mapping[str, bytes]) -> list[Document]:
        documents = []
        for path in sorted(files):
            try:
                documents += parse(files[path], path)
            except ConfigError as error:
                self.problems += error.problems
        return documents

    def _identity(self, document: Document) -> Identity | None:
        value = document.value
        if not isinstance(value, dict):
            self._say(document, (), f"is {shown(value)}", "a mapping with kind and name")
            return None
        if "kind" not in value and value and set(value) <= set(PARTS):
            return "Process", self.chosen
        kind, name = value.get("kind"), value.get("name")
        if not isinstance(kind, str) or kind not in KINDS:
            what = f"is {shown(kind)}" if "kind" in value else "is missing"
            self._say(document, ("kind",), what, "Agent or Process", _near(kind))
        elif not isinstance(name, str) or not name:
            what = f"is {shown(name)}" if "name" in value else "is missing"
            self._say(document, ("name",), what, f"the name of the {kind.lower()}")
        else:
            return kind, name
        return None

    def _put(self, identity: Identity, document: Document, *, extends_guidelines: bool) -> None:
        below = self.documents.get(identity)
        kind, name = identity
        if below is not None:
            self.documents[identity] = _merged(
                below, document, extends_guidelines=extends_guidelines
            )
        elif isinstance(document.value, dict) and "kind" not in document.value:
            return  # the chosen process does not exist: the caller says so once, of the setting
        elif isinstance(document.value, dict) and KINDS[kind] in document.value:
            self.documents[identity] = document
        else:
            what = f"there is no {kind.lower()} {shown(name)} that this could change"
            expected = f"a {KINDS[kind]}, which would make it a new one"
            self._say(document, ("name",), what, expected, nearest(name, self.names(kind)))

    def _say(
        self, document: Document, path: Path, what: str, expected: str, hint: str = ""
    ) -> None:
        self.problems.append(document.problem(path, what, expected, hint))


def _merged(below: Document, above: Document, *, extends_guidelines: bool) -> Document:
    """Key by key: what ``above`` has replaces what ``below`` has, but annotations are united."""
    old = below.value if isinstance(below.value, dict) else {}
    new = above.value if isinstance(above.value, dict) else {}
    value: dict[str, Value] = {**old, **new}
    origins: dict[Path, tuple[Document, Path]] = {(): (below, ())}
    origins |= {(key,): (above, (key,)) for key in new}
    notes, more = old.get("annotations"), new.get("annotations")
    if isinstance(notes, dict) and isinstance(more, dict):
        value["annotations"] = {**notes, **more}
        origins[("annotations",)] = (below, ("annotations",))
        origins |= {("annotations", key): (above, ("annotations", key)) for key in more}
    rules, learned = old.get("guidelines"), new.get("guidelines")
    if extends_guidelines and isinstance(rules, str) and isinstance(learned, str):
        value["guidelines"] = "\n\n".join(filter(None, (rules.strip(), learned.strip())))
    return Document(value, below.source, origins=origins)


def _twice(document: Document, before: Document, identity: Identity) -> Problem:
    file, line = before.where(("name",))
    what = f"{identity[0].lower()} {identity[1]} is already in {file}:{line}"
    return document.problem(("name",), what, "one document for each name", "merge the two")


def _near(kind: Value) -> str:
    return nearest(kind, KINDS) if isinstance(kind, str) else ""
