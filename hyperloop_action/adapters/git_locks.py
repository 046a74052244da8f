"""Locks that a killed git leaves behind: told apart from live ones by their age, and removed.

Whoever moves refs for us does so inside of :func:`moving`: then the locks of an engine that was
killed together with its git are known at once. Only locks of refs are ours to break: an index lock
is somebody's commit in the making.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from hyperloop_action.adapters import processes
from hyperloop_action.adapters.git import Git
from hyperloop_action.domain.model import Handle
from hyperloop_action.errors import TransientError

STALE_LOCK_S = 600.0
"""Age in seconds at which the owner of a ref lock must be dead: git holds one for milliseconds."""

OWNERLESS_LOCK_S = 1.0
"""The same where the engine that took the lock is dead: its git does not outlive it for long."""

_NOTES = "hyperloop-*.moving"

_LOCKED = re.compile(r"[Uu]nable to create (?:file )?'?([^'\n]+?)'?: File exists")
_REF_LOCK = re.compile(
    r"((refs/.+|(worktrees/[^/]+/)?HEAD|packed-refs|shallow)\.lock|packed-refs\.new)"
)


def lock_in_the_way(git: Git, complaint: str) -> TransientError | None:
    """The error for a complaint of git about a lock of this repository; None for any other.
    A stale ref lock is gone afterwards, so trying again will work."""
    named = _LOCKED.search(complaint)
    if named is None:
        return None
    lock = git.directory / named[1]
    inside = os.path.relpath(lock.resolve(), git.common_dir.resolve())
    if inside.startswith(".."):  # of a remote that lies on this machine
        return None
    try:
        age = git.clock() - lock.stat().st_mtime
    except FileNotFoundError:
        return TransientError(f"{lock} was held for a moment", hint="the next cycle will try again")
    limit = OWNERLESS_LOCK_S if _is_ownerless(git, lock) else STALE_LOCK_S
    if age < limit or not _REF_LOCK.fullmatch(inside):
        return TransientError(
            f"{lock} has been held for {age:.0f} s",
            expected="git processes to release it within seconds",
            hint="if no git is running, delete the file"
            f" (a ref lock is removed by itself after {STALE_LOCK_S:.0f} s)",
        )
    _break(git, lock, limit)
    return TransientError(f"{lock} was left behind {age:.0f} s ago by a git process that died")


@contextmanager
def moving(git: Git) -> Iterator[None]:
    """While git moves refs for us, a note beside them says who we are. A repository that may not be
    written gets none: git says so in better words."""
    note = git.common_dir / _NOTES.replace("*", str(os.getpid()))
    with suppress(OSError):
        note.write_bytes(msgspec.json.encode(processes.identity()))
    try:
        yield
    finally:
        with suppress(OSError):
            note.unlink()
            for old, began in _notes_of_the_dead(git):
                if git.clock() - began > STALE_LOCK_S:  # by now every lock is old enough without it
                    old.unlink()


def _is_ownerless(git: Git, lock: Path) -> bool:
    """Whether an engine on this machine was moving refs when the lock was taken, and is dead."""
    try:
        taken = lock.stat().st_mtime
    except FileNotFoundError:
        return False
    return any(began <= taken for _, began in _notes_of_the_dead(git))


def _notes_of_the_dead(git: Git) -> Iterator[tuple[Path, float]]:
    """Each with the time at which it was written."""
    for note in git.common_dir.glob(_NOTES):
        with suppress(OSError, msgspec.DecodeError):  # gone, or half written by who was killed
            began = note.stat().st_mtime
            if processes.is_alive(msgspec.json.decode(note.read_bytes(), type=Handle)) is False:
                yield note, began


def _break(git: Git, lock: Path, limit: float = STALE_LOCK_S) -> None:
    """Move the lock aside before removing it: between looking and removing, another process may
    have broken the same lock and taken a fresh one, which must then be put back."""
    aside = lock.with_name(f"{lock.stem}.stale-{os.getpid()}.lock")  # git ignores *.lock as refs
    try:
        lock.rename(aside)
    except FileNotFoundError:
        return
    if git.clock() - aside.stat().st_mtime < limit:
        os.link(aside, lock)
    else:
        git.notice(f"removed {lock}, left behind by a git process that died")
    aside.unlink()
