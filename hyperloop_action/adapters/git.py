"""Questions to one git repository: where its refs are, what is in a tree, what a history says.

Every git process of the engine is started by :class:`Git`, so the environment is the same for all.
``git_objects.py`` builds commits with it, ``git_refs.py`` moves refs and talks to the remote,
``git_checkouts.py`` looks after working trees. Nothing here touches a checkout, an index or HEAD.
"""

import random
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from hyperloop_action.adapters import proc
from hyperloop_action.domain.commits import LoggedCommit
from hyperloop_action.errors import PermanentError, UsageError

EMPTY_TREE = {
    40: "4b825dc642cb6eb9a060e54bf8d69288fbee4904",
    64: "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321",
}
"""The tree without entries, known to every git, by the length of the repository's object ids."""

FATAL = 128
"""The code with which git ends when it could not do what it was asked; 1 is often an answer."""

_UNWRITABLE = re.compile(
    r"insufficient permission|permission denied|read-only file system|no space left"
    r"|disk quota exceeded",
    re.IGNORECASE,
)
"""What git says of a repository in which it may not, or cannot, put anything."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How often a transient failure is tried again: pauses double, and are jittered between half
    and whole so that two cycles do not meet again."""

    attempts: int = 4
    first_s: float = 0.5
    sleep: Callable[[float], None] = time.sleep
    chance: Callable[[], float] = random.random

    def pause(self, attempt: int) -> None:
        self.sleep(self.first_s * 2**attempt * (0.5 + self.chance() / 2))


@dataclass(frozen=True, slots=True)
class Repository:
    """What a repository is like. ``top`` is None when it is bare, ``branch`` when HEAD is detached.
    ``head`` and ``common_dir`` are the present commit and where refs and objects are kept."""

    git_dir: Path
    common_dir: Path
    top: Path | None
    head: str
    branch: str | None
    shallow: bool

    @property
    def limits(self) -> tuple[str, ...]:
        """What cannot be done here, in words for the log."""
        notes = []
        if self.shallow:
            notes.append("shallow clone: old history is fetched when a merge needs it")
        if self.branch is None and self.top is not None:
            notes.append("detached HEAD: no checkout follows the base branch")
        return tuple(notes)


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of a tree: its mode (``100644``), id of its content, and bytes if they were asked."""

    mode: str
    blob: str
    size: int | None = None


def open_repository(path: Path, env: Mapping[str, str]) -> Repository:
    """Look at the repository that holds ``path``; ``env`` comes from ``git_environment.py``.
    Raises :class:`UsageError` without a path, a repository, or a commit in it."""
    if not path.is_dir():
        raise UsageError(f"{path} is not a directory", hint="check --path")
    asked = (
        "--is-bare-repository --is-shallow-repository --absolute-git-dir"
        " --path-format=absolute --git-common-dir HEAD --symbolic-full-name HEAD --show-cdup --"
    )
    done = proc.run(
        ["git", "rev-parse", *asked.split()], cwd=path, env=env, accept=range(256), timeout_s=60
    )
    if done.code or "--path-format=absolute" in done.text:  # git repeats what it does not know
        raise _not_usable(path, done)
    # --show-cdup prints nothing at all where there is no working tree, an empty line at its top.
    bare, shallow, git_dir, common_dir, head, ref, *up, _ = done.text.split("\n")
    top = (path / up[0]).resolve() if up and bare == "false" else None
    branch = ref.removeprefix("refs/heads/") if ref.startswith("refs/heads/") else None
    return Repository(Path(git_dir), Path(common_dir), top, head, branch, shallow == "true")


def _not_usable(path: Path, done: proc.Completed) -> UsageError:
    if "dubious ownership" in done.complaint:
        hint = f"run `git config --global --add safe.directory {path}`"
        return UsageError(f"{path} belongs to another user, so git refuses it", hint=hint)
    if "not a git repository" in done.complaint:
        return UsageError(f"{path} is not a git repository", hint="run `git init` first")
    if "bad revision 'HEAD'" in done.complaint:
        hint = "commit your specs first: `git add . && git commit`"
        return UsageError(f"the repository at {path} has no commit yet", hint=hint)
    if not done.code:
        return UsageError("this git is too old", expected="git 2.38 or newer", hint="upgrade it")
    return UsageError(f"git cannot read the repository at {path}: {done.complaint}")


@dataclass(frozen=True, slots=True)
class Git:
    """One repository. ``directory`` is its top level, or the repository itself when it is bare.
    ``remote`` is the name of the remote that decides, or None for a repository on its own."""

    directory: Path
    env: Mapping[str, str]
    common_dir: Path
    remote: str | None = None
    patience: Patience = field(default_factory=Patience)
    notice: Callable[[str], None] = field(default=lambda _: None)
    clock: Callable[[], float] = time.time

    def run(
        self,
        *args: str,
        stdin: bytes = b"",
        accept: Sequence[int] = (0,),
        env: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
    ) -> proc.Completed:
        """Run git here. Raises :class:`CommandFailed` for a code outside ``accept``,
        :class:`PermanentError` where git may not write, or has no room to."""
        try:
            return proc.run(
                ["git", *args],
                cwd=self.directory,
                env={**self.env, **env} if env else self.env,
                stdin=stdin,
                accept=accept,
                timeout_s=timeout_s,
            )
        except proc.CommandFailed as failed:
            said = failed.completed.complaint
            if not _UNWRITABLE.search(said):
                raise
            raise PermanentError(
                f"git cannot write to {self.common_dir}: {said.splitlines()[0]}",
                expected="a repository that you may write to, with room on its disk",
                hint="look at its owner and permissions (`ls -ld`) and at `df`",
            ) from failed

    def list_refs(self, *patterns: str) -> dict[str, str]:
        """Full name -> object id. A pattern that ends in ``/`` takes everything below it."""
        listed = self.run("for-each-ref", "--format=%(objectname) %(refname)", *patterns).text
        pairs = (line.split(" ", 1) for line in listed.splitlines())
        return {ref: commit for commit, ref in pairs}

    def remotes(self) -> dict[str, str]:
        """Name -> URL of each remote, in the order of the configuration."""
        listed = self.run("config", "-z", "--get-regexp", r"^remote\..*\.url$", accept=(0, 1))
        pairs = (line.partition("\n")[::2] for line in listed.text.split("\0") if line)
        return {key.removeprefix("remote.").removesuffix(".url"): url for key, url in pairs}

    def list_merged(self, base: str, prefix: str) -> list[str]:
        """Full names of the refs that start with ``prefix`` and whose tip is part of ``base``."""
        folder = prefix[: prefix.rfind("/") + 1]
        listed = self.run("for-each-ref", "--format=%(refname)", f"--merged={base}", folder).text
        return [ref for ref in listed.splitlines() if ref.startswith(prefix)]

    def list_tree(
        self, commit: str, *paths: str, recursive: bool = True, sizes: bool = False
    ) -> dict[str, Entry]:
        """Path -> entry, for all or only for ``paths``; a path that is not there is left out.
        Raises :class:`PermanentError` when this repository has no such commit."""
        flags = [flag for flag, on in (("-r", recursive), ("-l", sizes)) if on]
        listed = self.run(
            "ls-tree", "-z", "--full-tree", *flags, commit, "--", *paths, accept=(0, FATAL)
        )
        if listed.code:
            raise PermanentError(
                f"commit {commit} cannot be read: {listed.complaint}",
                hint="it may have been removed from the repository, or not fetched",
            )
        return dict(_entry(line) for line in listed.text.split("\0") if line)

    def list_without(self, commit: str, folder: str) -> dict[str, Entry]:
        """Everything in a commit except one folder; what is below that folder is not opened.

        ``ls-tree`` cannot leave a folder out; the difference to an empty tree can.
        """
        listed = self.run(
            *("diff-tree", "-r", "-z", "--no-renames", "--no-ext-diff", EMPTY_TREE[len(commit)]),
            *(commit, "--", f":(exclude,top){folder}"),
        )
        words = listed.text.split("\0")
        heads = (word.split(" ") for word in words[:-1:2])
        return {path: Entry(h[1], h[3]) for h, path in zip(heads, words[1::2], strict=True)}

    def read_blobs(self, names: Iterable[str]) -> dict[str, bytes]:
        """Name (an id, or ``commit:path``) -> content, all with one process.
        Raises :class:`PermanentError` naming what is missing."""
        wanted = list(dict.fromkeys(names))
        if not wanted:
            return {}
        asked = "".join(f"{name}\n" for name in wanted).encode("utf-8", "surrogateescape")
        out = self.run("cat-file", "--batch", stdin=asked).stdout
        found: dict[str, bytes] = {}
        at = 0
        for name in wanted:
            end = out.index(b"\n", at)
            header = out[at:end].split(b" ")
            if header[-1] in (b"missing", b"ambiguous"):
                raise PermanentError(
                    f"{name} is not in the repository", hint="fetch the history that holds it"
                )
            size = int(header[-1])
            found[name] = out[end + 1 : end + 1 + size]
            at = end + 1 + size + 1
        return found

    def is_ancestor(self, old: str, new: str) -> bool:
        return self.run("merge-base", "--is-ancestor", old, new, accept=(0, 1)).code == 0

    def merge_base(self, one: str, other: str) -> str | None:
        """The commit where two histories part, or None when they never met (or too long ago for a
        shallow clone). Raises :class:`PermanentError` for a commit that is not here."""
        found = self.run("merge-base", one, other, accept=(0, 1, FATAL))
        if found.code == FATAL:
            raise PermanentError(f"cannot compare {one} with {other}: {found.complaint}")
        return found.text or None

    def diff_text(self, old_blob: str, new_blob: str) -> str:
        """The unified diff of two contents."""
        plain = ("--no-color", "--no-ext-diff", "--no-textconv", "--src-prefix=a/")
        shown = self.run("diff", *plain, "--dst-prefix=b/", old_blob, new_blob)
        return shown.stdout.decode("utf-8", "replace")

    def log(
        self,
        *revisions: str,
        grep: str | None = None,
        limit: int | None = None,
        first_parent: bool = False,
    ) -> list[LoggedCommit]:
        """Commits, newest first. ``grep`` is an extended regular expression for a line of the
        message, so anchor it: ``Task-Ref: task-1`` is also found in ``Task-Ref: task-10``."""
        flags = [] if grep is None else ["--extended-regexp", f"--grep={grep}"]
        flags += [] if limit is None else [f"--max-count={limit}"]
        flags += ["--first-parent"] if first_parent else []
        fields = "--format=%H%x00%ct%x00%s%x00%b%x00%(trailers:only,unfold)"
        logged = self.run("log", "-z", "--encoding=UTF-8", "--no-color", fields, *flags,
                          *revisions, "--")  # fmt: skip
        words = logged.stdout.decode("utf-8", "replace").split("\0")[:-1]
        return [_logged(*words[n : n + 5]) for n in range(0, len(words), 5)]


def _entry(line: str) -> tuple[str, Entry]:
    about, path = line.split("\t", 1)
    mode, _, blob, *size = about.split()
    return path, Entry(mode, blob, int(size[0]) if size and size[0] != "-" else None)


def _logged(commit: str, seconds: str, subject: str, body: str, trailers: str) -> LoggedCommit:
    values: dict[str, tuple[str, ...]] = {}
    for line in trailers.splitlines():
        key, _, value = line.partition(": ")
        values[key] = (*values.get(key, ()), value)
    time_of = datetime.fromtimestamp(int(seconds), UTC)
    return LoggedCommit(commit, time_of, subject, body.strip("\n"), values)
