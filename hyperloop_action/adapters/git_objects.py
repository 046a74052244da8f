"""Building commits and merges in the object store alone: no ref, index or checkout is involved.

What is built here is reachable from nowhere until ``git_refs.py`` moves a ref to it, so a process
that dies in between leaves nothing behind but objects that git will collect.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from hyperloop_action.adapters.git import FATAL, Git
from hyperloop_action.domain.commits import BOT, Identity
from hyperloop_action.domain.landing import Conflict
from hyperloop_action.errors import PermanentError, UsageError

_USAGE = 129
"""The code of git for an option that it does not know."""

_SCRATCH = "refs/hyperloop/scratch"
"""fast-import wants a name for what it builds; it is unset again before anything is written."""


@dataclass(frozen=True, slots=True)
class Authorship:
    """Who wrote a commit, when, and when it was committed; the committer is always the bot.
    Fixed times make a commit that is built twice the same object."""

    when: datetime
    author: Identity = BOT
    authored: str = ""
    """In git's raw form (``1700000000 +0100``); ``when`` if empty."""

    def variables(self) -> dict[str, str]:
        return {
            "GIT_AUTHOR_NAME": self.author.name,
            "GIT_AUTHOR_EMAIL": self.author.email,
            # The sign makes git take any number for seconds; a small one would not be a date.
            "GIT_AUTHOR_DATE": f"@{self.authored or stamp(self.when)}",
            "GIT_COMMITTER_DATE": f"@{stamp(self.when)}",
        }


def stamp(when: datetime) -> str:
    return f"{int(when.timestamp())} +0000"


def commit_changes(
    git: Git,
    parent: str | None,
    changes: Mapping[str, bytes | None],
    message: str,
    when: datetime,
) -> str | None:
    """The commit that has ``changes`` (path -> content, None to delete) on top of ``parent``.
    None when they change nothing, so that an empty commit is never made."""
    id_length = len(parent or git.run("hash-object", "--stdin").text)
    stream = _stream(parent, changes, message, when, b"0" * id_length)
    *before, commit, after = git.run(
        "fast-import", "--quiet", "--done", stdin=stream
    ).text.splitlines()
    return commit if before != [after] else None


def _stream(
    parent: str | None,
    changes: Mapping[str, bytes | None],
    message: str,
    when: datetime,
    nowhere: bytes,
) -> bytes:
    """For fast-import: the tree before, the commit, its id and its tree; then the scratch ref is
    unset. A blank line would end a commit twice, so there is none after the last change."""
    who = f"{BOT.name} <{BOT.email}> {stamp(when)}\n".encode()
    text = message.encode()
    parts = [b'ls %s ""\n' % parent.encode()] if parent else []
    parts += [b"commit %s\nmark :1\n" % _SCRATCH.encode()]
    parts += [b"author " + who, b"committer " + who, b"data %d\n" % len(text), text, b"\n"]
    parts += [b"from %s\n" % parent.encode()] if parent else []
    for path, content in sorted(changes.items()):
        if content is None:
            parts.append(b"D %s\n" % _quoted(path))
        else:
            head = b"M 100644 inline %s\ndata %d\n" % (_quoted(path), len(content))
            parts += [head, content, b"\n"]
    parts += [b'get-mark :1\nls :1 ""\n']
    parts += [b"reset %s\nfrom %s\n\ndone\n" % (_SCRATCH.encode(), nowhere)]
    return b"".join(parts)


def _quoted(path: str) -> bytes:
    escaped = path.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'.encode("utf-8", "surrogateescape")


def commit_tree(
    git: Git, tree: str, parents: Sequence[str], message: str, authorship: Authorship
) -> str:
    """A commit of a tree that exists."""
    flags = [word for parent in parents for word in ("-p", parent)]
    made = git.run(
        "commit-tree", tree, *flags, "-F", "-", stdin=message.encode(), env=authorship.variables()
    )
    return made.text


def tree_of(git: Git, commit: str) -> str:
    return git.run("rev-parse", "--verify", "--quiet", f"{commit}^{{tree}}").text


def merge_trees(git: Git, ours: str, theirs: str) -> str | Conflict:
    """The tree of the three-way merge of two commits, or where they disagree."""
    done = git.run(
        *("merge-tree", "--write-tree", "-z", "--name-only", "--messages", ours, theirs),
        accept=(0, 1, FATAL, _USAGE),
    )
    if done.code == _USAGE:
        raise UsageError(
            "this git cannot merge without a checkout", expected="git 2.38 or newer", hint="upgrade"
        )
    if done.code == FATAL:
        raise PermanentError(f"cannot merge {theirs} into {ours}: {done.complaint}")
    if done.code == 0:
        return done.text.split("\0", 1)[0]
    names, _, messages = done.text.partition("\0\0")
    return Conflict(tuple(dict.fromkeys(names.split("\0")[1:])), _conflict_text(messages))


def _conflict_text(section: str) -> str:
    """Git's own words. Each message is: how many paths, the paths, a kind, and the text."""
    words = iter(section.split("\0"))
    texts = []
    for count in words:
        if not count.strip().isdigit():
            break
        for _ in range(int(count)):
            next(words, "")
        kind, text = next(words, ""), next(words, "")
        texts += [text.strip()] if kind.startswith("CONFLICT") else []
    return "\n".join(texts)
