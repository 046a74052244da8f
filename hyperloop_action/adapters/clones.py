"""An order and the user's repository -> the clone that its agent works in, and where it started.

The clone borrows the repository's objects, and has no remote, hook or setting of anybody. Beside
it, out of the agent's sight, lies a bare repository of our own (``harvest.git``), where
``harvest.py`` puts together what comes back. ``supervisor.py`` calls both.
"""

import os
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from hyperloop_action.adapters import proc
from hyperloop_action.domain.commits import BOT
from hyperloop_action.domain.messages import with_trailer
from hyperloop_action.domain.orders import Order
from hyperloop_action.domain.sessions import SessionFiles
from hyperloop_action.errors import PermanentError

UNRESOLVED = "Unresolved"
"""Trailer of a commit that holds a file with conflict markers: the next session must clear them."""

GIT_TIMEOUT_S = 120.0

_SETTINGS = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.fsync": "none",  # everything here can be made again; the repository has its own setting
    "fetch.fsckObjects": "true",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "safe.directory": "*",  # read only, and named by the caller
}

_PLAIN_BRANCH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*(/[A-Za-z0-9_][A-Za-z0-9_-]*)*")


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """Where a session began. ``commit`` is checked out: the order's head, or its merge with the
    base.

    ``head_tree`` and ``base_tree`` say what protected paths must look like in commits without and
    with the base; ``conflicts`` are files that have to lose their markers. ``pending``: the merge
    with the base is left to the agent. ``passed`` names the variables that the agent got.
    """

    commit: str
    head_tree: str
    base_tree: str
    conflicts: tuple[str, ...] = ()
    pending: bool = False
    passed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Workshop:
    """Paths of our own beside the agent's folder, and git as it runs on them."""

    files: SessionFiles
    caller: Mapping[str, str]

    @property
    def harvest(self) -> Path:
        return self.files.root / "harvest.git"

    @property
    def index(self) -> Path:
        """The clone's index as it was before the agent came: it knows which files are untouched."""
        return self.files.root / "index"

    @property
    def start(self) -> Path:
        return self.files.root / "start.json"

    def git(
        self,
        *args: str | os.PathLike[str],
        at: Path | None = None,
        stdin: bytes = b"",
        accept: Sequence[int] = (0,),
    ) -> proc.Completed:
        """Run git on the harvest with the clone as its work tree, or (``at``) in another place.
        Raises :class:`CommandFailed`, ``TimeoutError``."""
        env = self._environment()
        if at is None:
            env |= {"GIT_DIR": str(self.harvest), "GIT_INDEX_FILE": str(self.index)}
            env |= {"GIT_WORK_TREE": str(self.files.clone)}
        return proc.run(
            ("git", *args),
            cwd=at or self.files.clone,
            env=env,
            stdin=stdin,
            accept=accept,
            timeout_s=GIT_TIMEOUT_S,
            new_session=True,  # a Ctrl-C for us must not end what brings work home
        )

    def _environment(self) -> dict[str, str]:
        """No settings of the user, the system or the caller count here."""
        env = {key: self.caller[key] for key in ("PATH", "TMPDIR") if key in self.caller}
        env |= {"LC_ALL": "C", "HOME": str(self.harvest), "GIT_CONFIG_GLOBAL": "/dev/null"}
        for name in ("CONFIG_NOSYSTEM", "ATTR_NOSYSTEM", "NO_REPLACE_OBJECTS", "NO_LAZY_FETCH"):
            env[f"GIT_{name}"] = "1"
        env |= {"GIT_ALLOW_PROTOCOL": "file", "GIT_TERMINAL_PROMPT": "0"}
        for role in ("AUTHOR", "COMMITTER"):
            env |= {f"GIT_{role}_NAME": BOT.name, f"GIT_{role}_EMAIL": BOT.email}
        for n, (key, value) in enumerate(_SETTINGS.items()):
            env |= {f"GIT_CONFIG_KEY_{n}": key, f"GIT_CONFIG_VALUE_{n}": value}
        return env | {"GIT_CONFIG_COUNT": str(len(_SETTINGS))}


def prepare(order: Order, repository: Path, workshop: Workshop, passed: Sequence[str]) -> Start:
    """Make the clone, with the base merged in where the branch lacks it, and write down the start.

    ``repository`` may be bare, shallow or a linked worktree; the order's commits need no branch.
    Raises :class:`PermanentError` when it lacks them.
    """
    files = workshop.files
    for folder in (files.clone.parent, workshop.harvest):
        if folder.exists():
            remove(folder)
    for folder in (files.clone, files.home, files.tmp):
        folder.mkdir(parents=True)
    make_repository(workshop.harvest, order.head, bare=True)
    shallow = borrow(repository, workshop)
    start = msgspec.structs.replace(_start(order, workshop), passed=tuple(passed))
    make_repository(files.clone / ".git", order.head, bare=False)
    borrow_from(workshop.harvest / "objects", shallow, files.clone / ".git")
    _check_out(order, start, workshop)
    write_whole(workshop.start, msgspec.json.encode(start))
    return start


def make_repository(git_dir: Path, head: str, *, bare: bool) -> None:
    """Write a repository without refs and objects. By hand, since ``git init`` and ``git clone``
    cost processes, and copy templates of the user."""
    for folder in ("objects/info", "refs/heads", "info"):
        (git_dir / folder).mkdir(parents=True, exist_ok=True)
    (git_dir / "HEAD").write_text(f"{head}\n", encoding="ascii")
    (git_dir / "config").write_text(settings(head, bare=bare), encoding="utf-8")


def borrow(repository: Path, workshop: Workshop) -> bytes:
    """Let the harvest use the repository's objects; returns its list of shallow commits."""
    asked = ("--path-format=absolute", "--git-path", "objects", "--git-path", "shallow")
    objects, shallow_file = workshop.git("rev-parse", *asked, at=repository).text.split("\n")
    shallow = Path(shallow_file).read_bytes() if Path(shallow_file).exists() else b""
    borrow_from(Path(objects), shallow, workshop.harvest)
    return shallow


def borrow_from(objects: Path, shallow: bytes, git_dir: Path) -> None:
    (git_dir / "objects/info/alternates").write_bytes(os.fsencode(objects) + b"\n")
    if shallow:
        (git_dir / "shallow").write_bytes(shallow)


def settings(head: str, *, bare: bool) -> str:
    """The text of ``config``; the length of an object id tells the repository's hash."""
    sha256 = len(head) == 64  # noqa: PLR2004  # hex digits of SHA-256
    lines = ["[core]", f"\trepositoryformatversion = {int(sha256)}", "\tlogallrefupdates = true"]
    lines += [f"\tbare = {str(bare).lower()}"]
    if sys.platform == "darwin":
        lines += ["\tignorecase = true", "\tprecomposeunicode = true"]
    lines += ["[extensions]", "\tobjectformat = sha256"] if sha256 else []
    return "\n".join([*lines, "[gc]", "\tauto = 0", ""])


def commit_message(order: Order, subject: str, unresolved: Sequence[str] = ()) -> str:
    """Of a commit that the supervisor makes, or makes again: with all the trailers it must have."""
    refs = (("Spec-Ref", order.spec_ref), ("Task-Ref", order.task))
    for key, value in refs:
        subject = with_trailer(subject, key, value) if value else subject
    for path in unresolved:
        subject = with_trailer(subject, UNRESOLVED, path)
    return subject


def write_whole(path: Path, data: bytes) -> None:
    """A reader sees the old file or the new one, never a part."""
    new = path.with_name(f".{path.name}.{os.getpid()}")
    new.write_bytes(data)
    new.replace(path)


def remove(folder: Path) -> None:
    """Remove a folder, also one whose owner took its own permissions away."""
    shutil.rmtree(folder, ignore_errors=True)
    if not folder.exists():
        return
    for parent, folders, _ in os.walk(folder):
        for name in folders:
            path = Path(parent, name)
            if not path.is_symlink():
                path.chmod(0o700)
    shutil.rmtree(folder)


def _start(order: Order, workshop: Workshop) -> Start:
    form = f"%T%x00%(trailers:key={UNRESOLVED},valueonly,unfold)"
    asked = ("log", "--no-walk=unsorted", f"--format={form}%x00", order.head, order.base, "--")
    done = workshop.git(*asked, at=workshop.harvest, accept=(0, 128))
    if done.code:
        raise PermanentError(
            f"order {order.id} cannot start: {done.complaint}",
            expected=f"commits {order.head} and {order.base} in the repository",
            hint="fetch the branch and the base before the session starts",
        )
    fields = [field.strip("\n") for field in done.text.split("\0")]
    head_tree, unresolved, base_tree = fields[0], fields[1].splitlines(), fields[-3]
    if order.base == order.head:
        base_tree = head_tree
    start = Start(
        commit=order.head,
        head_tree=head_tree,
        base_tree=head_tree,
        conflicts=tuple(line for line in unresolved if line),
    )
    return start if order.base == order.head else _with_base(order, start, base_tree, workshop)


def _with_base(order: Order, start: Start, base_tree: str, workshop: Workshop) -> Start:
    met = workshop.git("merge-base", order.head, order.base, at=workshop.harvest, accept=(0, 1))
    if met.text == order.base:
        return start
    if met.text == order.head:
        return msgspec.structs.replace(start, commit=order.base, base_tree=base_tree)
    asked = ("merge-tree", "--write-tree", "-z", "--name-only", "--no-messages")
    # "HEAD" stands in the markers as it does in those of the clone, so that both can be compared.
    merged = workshop.git(*asked, "HEAD", order.base, at=workshop.harvest, accept=(0, 1))
    tree, *conflicts = merged.text.rstrip("\0").split("\0")
    if merged.code:
        names = tuple(dict.fromkeys([*start.conflicts, *conflicts]))
        return msgspec.structs.replace(start, base_tree=tree, conflicts=names, pending=True)
    message = commit_message(order, merge_subject(order)).encode()
    made = ("commit-tree", tree, "-p", order.head, "-p", order.base)
    commit = workshop.git(*made, at=workshop.harvest, stdin=message).text
    return msgspec.structs.replace(start, commit=commit, base_tree=tree)


def merge_subject(order: Order) -> str:
    return f"Merge the base branch into {order.branch or 'the task branch'}"


def _check_out(order: Order, start: Start, workshop: Workshop) -> None:
    clone = workshop.files.clone
    branch = order.branch or ""
    ref = f"refs/heads/{branch if _PLAIN_BRANCH.fullmatch(branch) else 'work'}"
    (clone / ".git" / ref).parent.mkdir(parents=True, exist_ok=True)
    (clone / ".git" / ref).write_text(start.commit + "\n", encoding="ascii")
    (clone / ".git/HEAD").write_text(f"ref: {ref}\n", encoding="ascii")
    workshop.git("read-tree", "--reset", "-u", start.commit, at=clone)
    if start.pending:
        asked = ("merge", "--no-ff", "--quiet", "-m", merge_subject(order), order.base)
        workshop.git(*asked, at=clone, accept=(0, 1))
    shutil.copy2(clone / ".git/index", workshop.index)  # with its time: git compares files with it
