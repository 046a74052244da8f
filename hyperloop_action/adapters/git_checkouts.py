"""Working trees: where a branch is checked out, and letting such a checkout follow the branch.

People work in these. A checkout follows by ``git merge --ff-only``, which touches nothing that a
person has changed; what is in its way is reported in words.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hyperloop_action.adapters.git import Git
from hyperloop_action.adapters.git_locks import lock_in_the_way, moving
from hyperloop_action.domain.landing import Blocked
from hyperloop_action.errors import PermanentError

_UNDERWAY = {
    "rebase-merge": "a rebase",
    "rebase-apply": "a rebase",
    "MERGE_HEAD": "a merge",
    "CHERRY_PICK_HEAD": "a cherry-pick",
    "REVERT_HEAD": "a revert",
}


@dataclass(frozen=True, slots=True)
class Checkout:
    """A working tree on a branch. ``underway`` names an unfinished command in it, or is empty."""

    path: Path
    branch: str
    head: str
    underway: str


def checkouts(git: Git) -> list[Checkout]:
    """Every working tree of the repository that is on a branch, with one process. A branch that is
    being rebased counts as checked out, although git calls such a checkout detached."""
    listed = git.run("worktree", "list", "--porcelain", "-z").text
    found = (_checkout(block.split("\0")) for block in listed.split("\0\0") if block)
    return [each for each in found if each is not None]


def checked_out(git: Git, branch: str) -> list[Path]:
    """The working trees that are on ``branch``."""
    return [each.path for each in checkouts(git) if each.branch == branch]


def _checkout(lines: Sequence[str]) -> Checkout | None:
    facts = dict(line.partition(" ")[::2] for line in lines)
    path = Path(facts["worktree"])
    git_dir = _git_dir(path)
    if "bare" in facts or git_dir is None:
        return None
    underway = next((words for name, words in _UNDERWAY.items() if (git_dir / name).exists()), "")
    ref = facts.get("branch") or _rebased_ref(git_dir)
    if not ref.startswith("refs/heads/"):
        return None
    return Checkout(path, ref.removeprefix("refs/heads/"), facts["HEAD"], underway)


def _git_dir(worktree: Path) -> Path | None:
    """None when the folder was deleted: nobody works there any more."""
    dot_git = worktree / ".git"
    if dot_git.is_dir():
        return dot_git
    if not dot_git.is_file():
        return None
    return (worktree / dot_git.read_text().removeprefix("gitdir: ").strip()).resolve()


def _rebased_ref(git_dir: Path) -> str:
    for name in ("rebase-merge", "rebase-apply"):
        if (named := git_dir / name / "head-name").is_file():
            return named.read_text().strip()
    return ""


def fast_forward(git: Git, checkout: Checkout, commit: str) -> Blocked | None:
    """Take a checkout, and with it its branch, forward to ``commit``; or say what is in the way,
    and leave everything as it was."""
    if checkout.underway:
        return Blocked(f"{checkout.path} is in the middle of {checkout.underway}")
    here = replace(git, directory=checkout.path)
    blocked = _merge(here, checkout, commit)
    if blocked and blocked.files and _has_content(here, commit, blocked.files):
        here.run("add", "--force", "--", *(f":(top,literal){path}" for path in blocked.files))
        return _merge(here, checkout, commit)
    return blocked


def _merge(here: Git, checkout: Checkout, commit: str) -> Blocked | None:
    quiet = "--quiet --no-stat --no-autostash --no-verify-signatures --no-overwrite-ignore"
    with moving(here):
        done = here.run("merge", "--ff-only", *quiet.split(), commit, accept=range(256))
    return _in_the_way(here, checkout, done.complaint) if done.code else None


def _has_content(here: Git, commit: str, paths: Sequence[str]) -> bool:
    """Whether the files in the way already are what would be put there: an earlier landing was
    killed between writing them and moving the branch."""
    wanted = here.list_tree(commit, *paths)
    files = [path for path in paths if (here.directory / path).is_file()]
    if not len(wanted) == len(files) == len(paths):
        return False
    blobs = here.run("hash-object", "--", *files).text.splitlines()
    return blobs == [wanted[path].blob for path in files]


def _in_the_way(here: Git, checkout: Checkout, complaint: str) -> Blocked:
    files = tuple(re.findall(r"^\t(.+)$|^error: Entry '(.+)' ", complaint, re.MULTILINE))
    names = tuple(sorted({one or other for one, other in files}))
    if lock := re.search(r"Unable to create '(.+index\.lock)': File exists", complaint):
        return Blocked(f"another git command holds {lock[1]}; delete it if none is running")
    if names:
        untracked = "untracked" in complaint
        changed = not untracked or "local changes" in complaint
        kinds = [k for k, on in (("local changes", changed), ("untracked files", untracked)) if on]
        return Blocked(f"{' and '.join(kinds)} in {checkout.path} would be overwritten", names)
    if "fast-forward" in complaint:
        return Blocked(f"{checkout.path} has commits of its own on {checkout.branch}")
    if locked := lock_in_the_way(here, complaint):
        raise locked
    raise PermanentError(f"{checkout.path} cannot follow {checkout.branch}: {complaint}")
