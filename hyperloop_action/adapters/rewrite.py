"""Commits of an agent, and what must be different in them -> commits of the task branch.

One ``git log`` reads the chain, one ``git fast-import`` writes it again: with trailers, without
signatures, and with the changes taken out that ``harvest.py`` refuses.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from hyperloop_action.adapters.clones import Workshop, commit_message
from hyperloop_action.adapters.redaction import Redactor
from hyperloop_action.domain.commits import BOT
from hyperloop_action.domain.orders import Order

WORK_REF = "refs/hyperloop/work"
"""The only ref of ``work.bundle``."""

MOST_COMMITS = 500
"""A longer chain becomes one commit."""

ABSENT, GITLINK, SYMLINK = "000000", "160000", "120000"

_FIELDS = ("%H", "%T", "%P", "%an", "%ae", "%ad", "%cn", "%ce", "%cd", "%B")


class Change(NamedTuple):
    """A path that differs between two trees: modes as git writes them, ids of contents."""

    path: str
    old_mode: str
    mode: str
    old_id: str
    id: str


@dataclass(frozen=True, slots=True)
class Put:
    """One file of a tree: by id, or by content. Mode :data:`ABSENT` deletes it."""

    path: str
    mode: str
    id: str = ""
    data: bytes = b""


@dataclass(frozen=True, slots=True)
class Commit:
    """``id`` is any word for one that does not exist yet. ``author`` and ``committer`` are
    ``(name, mail, raw date)``; empty: the supervisor, now."""

    id: str
    tree: str
    parents: tuple[str, ...]
    message: str
    author: tuple[str, ...] = ()
    committer: tuple[str, ...] = ()
    puts: tuple[Put, ...] = ()


def read_chain(head: str, without: Sequence[str], workshop: Workshop) -> list[Commit]:
    """The commits of ``head`` that ``without`` do not have, parents first; at most one more than
    :data:`MOST_COMMITS`."""
    logged = workshop.git(
        *("log", "-z", "--reverse", "--topo-order", f"--max-count={MOST_COMMITS + 1}"),
        *("--date=raw", "--encoding=UTF-8", "--format=" + "%x00".join(_FIELDS)),
        *(head, *(f"^{commit}" for commit in without), "--"),
    )
    words = logged.stdout.decode("utf-8", "surrogateescape").split("\0")
    size = len(_FIELDS)
    return [_commit(words[n : n + size]) for n in range(0, len(words) - size + 1, size)]


def _commit(words: list[str]) -> Commit:
    commit, tree, parents, *people, message = words
    return Commit(
        commit, tree, tuple(parents.split()), message, tuple(people[:3]), tuple(people[3:])
    )


Pair = tuple[str, str]
"""The tree as it should be where a session may not change it, and the tree that it made."""


def compare(pairs: Iterable[Pair], workshop: Workshop) -> dict[Pair, list[Change]]:
    """What differs between the trees of each pair."""
    found: dict[Pair, list[Change]] = {pair: [] for pair in pairs}
    asked = "".join(f"{old} {new}\n" for old, new in found if old != new)
    if not asked:
        return found
    flags = ("--stdin", "-r", "-z", "--no-renames", "--no-ext-diff")
    shown = workshop.git("diff-tree", *flags, stdin=asked.encode()).stdout
    words = iter(shown.decode("utf-8", "surrogateescape").split("\0"))
    changes: list[Change] = []
    for word in words:
        *heads, rest = word.split("\n")  # each pair stands on a line of its own before its changes
        if heads:
            old, new = heads[-1].split(" ")
            changes = found[old, new]
        if rest.startswith(":"):
            old_mode, mode, old_id, new_id, _ = rest[1:].split(" ")
            changes.append(Change(next(words), old_mode, mode, old_id, new_id))
    return found


def write_chain(
    chain: Sequence[Commit],
    order: Order,
    unresolved: Sequence[str],
    redactor: Redactor,
    workshop: Workshop,
) -> str:
    """Write the commits again, and return the id of the last. ``unresolved`` goes into its
    message."""
    now = int(time.time())
    marks = {commit.id: f":{n}" for n, commit in enumerate(chain, 1)}
    stream = [b"feature done\n"]
    for n, commit in enumerate(chain, 1):
        message = commit_message(order, commit.message, unresolved if n == len(chain) else ())
        stream += [f"commit {WORK_REF}\nmark :{n}\n".encode()]
        stream += [_person(b"author", commit.author, now, redactor)]
        stream += [_person(b"committer", commit.committer, now, redactor)]
        stream += [_data(redactor.text(message).encode("utf-8", "surrogateescape"))]
        stream += _tree(commit, [marks.get(parent, parent) for parent in commit.parents])
    stream += [f"get-mark :{len(chain)}\ndone\n".encode()]
    flags = ("--quiet", "--force", "--date-format=raw-permissive")
    return workshop.git("fast-import", *flags, stdin=b"".join(stream)).text


def _person(kind: bytes, who: tuple[str, ...], now: int, redactor: Redactor) -> bytes:
    name, mail, date = who or (BOT.name, BOT.email, f"{now} +0000")
    name, mail = (
        "".join(char for char in redactor.text(text) if char not in "<>\n") for text in (name, mail)
    )
    return kind + f" {name or 'nobody'} <{mail}> {date}\n".encode("utf-8", "surrogateescape")


def _tree(commit: Commit, parents: Sequence[str]) -> list[bytes]:
    words = ("from", *["merge"] * len(parents))
    lines = [f"{word} {parent}\n".encode() for word, parent in zip(words, parents, strict=False)]
    lines += [f'M 040000 {commit.tree} ""\n'.encode()]
    deletions_first = sorted(commit.puts, key=lambda put: put.mode != ABSENT)
    return lines + [_put(put) for put in deletions_first]


def _put(put: Put) -> bytes:
    path = quoted(put.path)
    if put.mode == ABSENT:
        return b"D " + path + b"\n"
    if put.id:
        return f"M {put.mode} {put.id} ".encode() + path + b"\n"
    return f"M {put.mode} inline ".encode() + path + b"\n" + _data(put.data)


def _data(data: bytes) -> bytes:
    return b"data %d\n%s\n" % (len(data), data)


def quoted(path: str) -> bytes:
    """As fast-import and ``--stdin-paths`` read a path with any byte in it."""
    raw = path.encode("utf-8", "surrogateescape")
    for plain, escaped in ((b"\\", b"\\\\"), (b'"', b'\\"'), (b"\n", b"\\n")):
        raw = raw.replace(plain, escaped)
    return b'"' + raw + b'"'
