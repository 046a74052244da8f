"""The spelling of 0.8 -> today's: a configuration document in, the same one with new keys out.

Errors still name the line where the old key stands. ``settings.py`` is the caller.
"""

from collections.abc import Iterator

from hyperloop_action.domain.documents import Document, Path, Value, dotted, moved, nearest
from hyperloop_action.errors import Problem

OLD: dict[Path, Path] = {
    ("target", "repo"): ("repo",),
    ("target", "base_branch"): ("base_branch",),
    ("target", "specs_dir"): ("specs_dir",),
    ("runtime", "default"): ("runtime",),
    ("runtime", "max_workers"): ("max_workers",),
    ("max_rounds",): ("max_task_rounds",),
}


def renewed(document: Document, problems: list[Problem], notices: list[str]) -> Document:
    """Mistakes in the old sections go to ``problems``, one line per old key to ``notices``."""
    if not isinstance(document.value, dict):
        return document
    value: dict[str, Value] = dict(document.value)
    for section in ("target", "runtime"):
        if isinstance(value.get(section), dict) or section == "target":
            value.pop(section, None)
    value.pop("max_rounds", None)
    origins: dict[Path, Path] = {}
    for old, item in _written(document.value):
        new = OLD.get(old)
        if new is None:
            problems.append(_unknown(document, old))
        elif new[0] in value:
            what = f"is the old spelling of {dotted(new)}, which is also there"
            problems.append(document.problem(old, what, "one of them"))
        else:
            value[str(new[0])] = item
            origins[new] = old
            notices.append(_notice(document, old, new))
    return moved(document, value, origins)


def _written(value: dict[str, Value]) -> Iterator[tuple[Path, Value]]:
    """Every key of the old sections that the file has."""
    for name in ("target", "runtime"):
        section = value.get(name)
        if isinstance(section, dict):
            yield from (((name, key), item) for key, item in section.items())
        elif name == "target" and section is not None:
            yield ("target",), section
    if "max_rounds" in value:
        yield ("max_rounds",), value["max_rounds"]


def _unknown(document: Document, old: Path) -> Problem:
    known = [path[1] for path in OLD if len(path) > 1 and path[0] == old[0]]
    hint = nearest(str(old[-1]), [str(name) for name in known])
    return document.problem(old, "unknown key", hint=hint)


def _notice(document: Document, old: Path, new: Path) -> str:
    file, line = document.where(old)
    return f"{file}:{line}: {dotted(old)} is the old spelling of {dotted(new)}"
