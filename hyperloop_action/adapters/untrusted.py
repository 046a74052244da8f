"""A clone that an agent had -> the commit it ended on, and the files that it left uncommitted.

Every agent process is dead by now, but what they wrote may be meant to hurt the reader: pipes that
block, settings that run programs, a ``.git`` that is somebody else's. Used by ``harvest.py``.
"""

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from hyperloop_action.adapters.clones import Start, Workshop, remove, settings
from hyperloop_action.adapters.proc import CommandFailed
from hyperloop_action.adapters.rewrite import ABSENT, GITLINK, SYMLINK, Put, quoted
from hyperloop_action.errors import HyperloopError

AGENT_REF = "refs/heads/agent"
"""In the harvest. A branch, since git lets it point to nothing but a commit."""

_PLANTED = (
    *("config", "config.worktree", "commondir", "gitdir", "hooks", "refs/replace", "shallow"),
    *("info/grafts", "objects/info/alternates", "objects/info/http-alternates"),
)
"""What sends git elsewhere, or makes it run something; the harvest writes what it needs itself."""


class CloneGone(HyperloopError):
    """The agent removed its clone, or put something else in its place."""


@dataclass(frozen=True, slots=True)
class Leftover:
    """A path that differs from the last commit: ``size`` bytes of ``mode``; deleted if ABSENT."""

    path: str
    mode: str
    size: int = 0


def check_place(workshop: Workshop) -> None:
    """Raises :class:`CloneGone` unless the clone is where it was, and a real folder."""
    clone = workshop.files.clone
    for folder in (clone.parent, clone):
        if not _is(folder, stat.S_ISDIR):
            raise CloneGone(
                f"the agent's clone is gone: {folder.name} is no folder any more",
                hint="nothing of this session could be kept",
            )


def sweep(clone: Path) -> None:
    """Remove pipes, sockets and devices from the work tree: git would wait for them, or fail."""
    for entry in _entries(clone, skip=".git"):
        known = entry.is_file(follow_symlinks=False) or entry.is_dir(follow_symlinks=False)
        if not known and not entry.is_symlink():
            Path(entry.path).unlink()


def agent_head(start: Start, head: str, workshop: Workshop) -> str | None:
    """The commit that the clone's HEAD names, brought into the harvest with every object checked;
    None when there is no sound ``.git``, so that only the work tree can be used."""
    git_dir = workshop.files.clone / ".git"
    if not _is(git_dir, stat.S_ISDIR) or not _plain(git_dir):
        return None
    if _reads_as(git_dir, start.commit):
        return start.commit
    flags = ("--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules")
    try:
        _disarm(git_dir, head, workshop)
        workshop.git("fetch", *flags, str(git_dir), f"+HEAD:{AGENT_REF}", at=workshop.harvest)
        return (workshop.harvest / AGENT_REF).read_text(encoding="ascii").strip()
    except (CommandFailed, OSError):
        return None


def merge_goes_on(order_base: str, workshop: Workshop) -> bool:
    """Tell whether a merge that the agent got in its work tree was not given up."""
    git_dir = workshop.files.clone / ".git"
    if not _is(git_dir, stat.S_ISDIR):
        return True  # nothing speaks against it
    merging = git_dir / "MERGE_HEAD"
    return _is(merging, stat.S_ISREG) and merging.read_bytes()[:80].strip() == order_base.encode()


def leftovers(tree: str, workshop: Workshop, *, untouched: bool) -> list[Leftover]:
    """How the work tree differs from ``tree``. ``untouched``: the index is at that tree already."""
    if not untouched:
        workshop.git("read-tree", "--reset", tree)
    asked = ("ls-files", "-z", "-m", "-d", "-o", "--exclude-standard")
    listed = workshop.git(*asked).stdout.decode("utf-8", "surrogateescape")
    places = _Places(workshop.files.clone)
    return [places.leftover(path) for path in dict.fromkeys(listed.split("\0")) if path]


def read(leftover: Leftover, workshop: Workshop) -> bytes:
    """The content of a leftover: of a link, its target."""
    path = workshop.files.clone / leftover.path
    if leftover.mode == SYMLINK:
        return os.fsencode(path.readlink())
    return b"" if leftover.mode in (ABSENT, GITLINK) else path.read_bytes()


def store(wanted: list[Leftover], workshop: Workshop) -> tuple[Put, ...]:
    """Hash leftovers as ``git add`` would; without conversions when those of the agent fail."""
    files = [each for each in wanted if each.mode not in (ABSENT, SYMLINK)]
    ids = iter(_hashed(files, workshop))
    return tuple(
        Put(each.path, each.mode, data=read(each, workshop))
        if each.mode in (ABSENT, SYMLINK)
        else Put(each.path, each.mode, id=next(ids))
        for each in wanted
    )


def _hashed(files: list[Leftover], workshop: Workshop) -> list[str]:
    if not files:
        return []
    names = b"".join(quoted(each.path) + b"\n" for each in files)
    asked = ("hash-object", "-w", "--stdin-paths")
    try:
        return workshop.git(*asked, stdin=names).text.split("\n")
    except CommandFailed:
        return workshop.git(*asked, "--no-filters", stdin=names).text.split("\n")


class _Places:
    """Looks at paths of a work tree without following any link on the way."""

    def __init__(self, clone: Path) -> None:
        self._clone = clone
        self._real: dict[str, bool] = {"": True}

    def leftover(self, path: str) -> Leftover:
        if path.endswith("/"):
            return Leftover(path.rstrip("/"), GITLINK)
        try:
            found = (self._clone / path).lstat() if self._reached(path.rpartition("/")[0]) else None
        except OSError:
            found = None
        if found is None:
            return Leftover(path, ABSENT)
        if stat.S_ISDIR(found.st_mode):  # a submodule; the files of other folders are listed
            return Leftover(path, GITLINK if (self._clone / path / ".git").exists() else ABSENT)
        if stat.S_ISLNK(found.st_mode):
            return Leftover(path, SYMLINK, found.st_size)
        mode = "100755" if found.st_mode & stat.S_IXUSR else "100644"
        return Leftover(path, mode, found.st_size)

    def _reached(self, folder: str) -> bool:
        if folder not in self._real:
            above = self._reached(folder.rpartition("/")[0])
            self._real[folder] = above and _is(self._clone / folder, stat.S_ISDIR)
        return self._real[folder]


def _reads_as(git_dir: Path, commit: str) -> bool:
    """Tell, without git, whether HEAD plainly still is at ``commit``. A lie costs only the liar."""
    try:
        name = (git_dir / "HEAD").read_text(encoding="ascii").strip().removeprefix("ref: ")
        if ".." in name or not name.startswith("refs/heads/"):
            return False
        return (git_dir / name).read_text(encoding="ascii").strip() == commit
    except (OSError, ValueError):
        return False


def _disarm(git_dir: Path, head: str, workshop: Workshop) -> None:
    """Take away what could make git read, or run, anything else while it reads this repository."""
    for name in _PLANTED:
        path = git_dir / name
        if _is(path, stat.S_ISDIR):
            remove(path)
        else:
            path.unlink(missing_ok=True)
    (git_dir / "config").write_text(settings(head, bare=False), encoding="utf-8")
    (git_dir / "objects/info").mkdir(parents=True, exist_ok=True)
    borrowed = os.fsencode(workshop.harvest / "objects") + b"\n"
    (git_dir / "objects/info/alternates").write_bytes(borrowed)
    shallow = workshop.harvest / "shallow"
    if shallow.exists():
        (git_dir / "shallow").write_bytes(shallow.read_bytes())


def _plain(folder: Path) -> bool:
    """Tell whether a folder holds nothing but files and folders: no link, no pipe."""
    return all(
        entry.is_dir(follow_symlinks=False) or entry.is_file(follow_symlinks=False)
        for entry in _entries(folder)
    )


def _entries(folder: Path, skip: str = "") -> Iterator[os.DirEntry[str]]:
    """Everything below a folder, except one name at its top. What may not be read is given the
    permission first: it is ours."""
    waiting: list[str | Path] = [folder]
    while waiting:
        here = waiting.pop()
        for entry in _listed(here):
            if here is folder and entry.name == skip:
                continue
            if entry.is_dir(follow_symlinks=False):
                waiting.append(entry.path)
            yield entry


def _listed(folder: str | Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return list(found)
    except PermissionError:
        Path(folder).chmod(0o700)
        with os.scandir(folder) as found:
            return list(found)


def _is(path: Path, kind: Callable[[int], bool]) -> bool:
    """Tell of what kind ``path`` itself is, were it a link."""
    try:
        return kind(path.lstat().st_mode)
    except OSError:
        return False
