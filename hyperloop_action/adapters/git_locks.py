"""Locks that a killed git leaves behind: told apart from live ones by their age, and removed.

Only locks of refs are ours to break: an index lock is somebody's commit in the making.
"""

import os
import re
from pathlib import Path

from hyperloop_action.adapters.git import Git
from hyperloop_action.errors import TransientError

STALE_LOCK_S = 600.0
"""Age in seconds at which the owner of a ref lock must be dead: git holds one for milliseconds."""

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
    if age < STALE_LOCK_S or not _REF_LOCK.fullmatch(inside):
        return TransientError(
            f"{lock} has been held for {age:.0f} s",
            expected="git processes to release it within seconds",
            hint="if no git is running, delete the file"
            f" (a ref lock is removed by itself after {STALE_LOCK_S:.0f} s)",
        )
    _break(git, lock)
    return TransientError(f"{lock} was left behind {age:.0f} s ago by a git process that died")


def _break(git: Git, lock: Path) -> None:
    """Move the lock aside before removing it: between looking and removing, another process may
    have broken the same lock and taken a fresh one, which must then be put back."""
    aside = lock.with_name(f"{lock.stem}.stale-{os.getpid()}.lock")  # git ignores *.lock as refs
    try:
        lock.rename(aside)
    except FileNotFoundError:
        return
    if git.clock() - aside.stat().st_mtime < STALE_LOCK_S:
        os.link(aside, lock)
    else:
        git.notice(f"removed {lock}, left behind by a git process that died")
    aside.unlink()
