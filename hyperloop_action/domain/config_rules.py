"""What one type cannot say about ``.hyperloop.yaml``: rules between keys, and keys without effect.

A setting that would do nothing is refused, so that nobody relies on it. ``settings.py`` calls this.
"""

from collections.abc import Iterator

from hyperloop_action.domain.config_keys import Keys
from hyperloop_action.domain.decoding import at
from hyperloop_action.domain.documents import Document, Path, nearest, shown
from hyperloop_action.domain.environment import forbidden
from hyperloop_action.domain.expectations import one_of
from hyperloop_action.domain.protected import matcher
from hyperloop_action.errors import Problem, UsageError

NOT_YET: tuple[Path, ...] = (
    ("base_ref",),
    ("repo",),
    ("notifications", "type"),
    ("observability", "matrix"),
)
RUNTIME_TYPES = ("claude", "command")


def broken_rules(document: Document, keys: Keys) -> list[Problem]:
    """Every broken rule, in line order. ``keys`` is what ``document`` decodes to."""
    found = [
        *_without_effect(document),
        *_overlay(document, keys),
        *_runtimes(document, keys),
        *_branches(document, keys),
        *_patterns(document, keys),
    ]
    return sorted(found, key=lambda problem: (problem.file, problem.line))


def _without_effect(document: Document) -> Iterator[Problem]:
    for path in NOT_YET:
        if at(document.value, path) is not None:
            what = "is not supported yet by this version"
            yield document.problem(path, what, "null", "leave the key out")


def _overlay(document: Document, keys: Keys) -> Iterator[Problem]:
    words = keys.overlay
    if "://" in words or "@" in words or words.removesuffix("/").find("//") >= 0:
        what = f"is {shown(words)}; overlays from elsewhere are not supported yet by this version"
        yield document.problem(("overlay",), what, "a folder inside the repository")
    elif words.startswith(("/", "~")) or ".." in words.split("/"):
        yield document.problem(("overlay",), f"is {shown(words)}", "a folder inside the repository")


def _runtimes(document: Document, keys: Keys) -> Iterator[Problem]:
    for name, runtime in keys.runtimes.items():
        kind = runtime.__struct_config__.tag
        if name in ("local", *RUNTIME_TYPES) and name != kind:
            what = f"is the name of a runtime type, and this one is of type {kind}"
            yield document.problem(("runtimes", name), what, "another name")
        for index, variable in enumerate(runtime.env):
            if reason := forbidden(variable):
                what = f"{variable} never reaches an agent: {reason}"
                path: Path = ("runtimes", name, "env", index)
                yield document.problem(path, what, hint="remove it")
    yield from _runtime_names(document, keys)


def _runtime_names(document: Document, keys: Keys) -> Iterator[Problem]:
    used: list[tuple[Path, str | None]] = [(("runtime",), keys.runtime)]
    used += [(("agents", role, "runtime"), one.runtime) for role, one in keys.agents.items()]
    known = sorted({"claude", *keys.runtimes})
    for path, name in used:
        if name is None or name in (*known, "local"):
            continue
        what = f"is {shown(name)}, which is no runtime"
        hint = "a command is given a name under runtimes" if name == "command" else ""
        yield document.problem(path, what, one_of(known), hint or nearest(name, known))


def _branches(document: Document, keys: Keys) -> Iterator[Problem]:
    """Three places in one repository that must not be in each other's way."""
    if keys.state_branch == keys.base_branch:
        what = f"is {shown(keys.state_branch)}, as base_branch"
        yield document.problem(("state_branch",), what, "a branch of its own")
    for key, branch in (("base_branch", keys.base_branch), ("state_branch", keys.state_branch)):
        if branch.startswith(keys.branch_prefix) or keys.branch_prefix.startswith(f"{branch}/"):
            what = f"is {shown(keys.branch_prefix)}, which {key} {branch} is in the way of"
            yield document.problem(("branch_prefix",), what, "a prefix of its own")


def _patterns(document: Document, keys: Keys) -> Iterator[Problem]:
    for index, pattern in enumerate(keys.protected_paths):
        try:
            matcher([pattern])
        except UsageError as error:
            yield document.problem(("protected_paths", index), error.what)
