"""Replaying the commits of a branch on another commit, as a rebase does, without a checkout.

Used by the local forge for the ``rebase`` strategy.
"""

from dataclasses import dataclass, replace

from hyperloop_action.adapters.git import Git
from hyperloop_action.adapters.git_objects import Authorship, commit_tree, merge_trees, tree_of
from hyperloop_action.domain.commits import BOT, Identity
from hyperloop_action.domain.landing import Conflict, Merged, NothingToMerge
from hyperloop_action.domain.messages import with_trailer


@dataclass(frozen=True, slots=True)
class _Original:
    """A commit of the branch: its one parent, and what of it is kept."""

    id: str
    parent: str
    author: Identity
    authored: str
    message: str


def replay(
    git: Git, onto: str, head: str, fork: str, authorship: Authorship
) -> Merged | NothingToMerge | None:
    """The commits of ``fork..head`` on top of ``onto``, by their own authors. Commits that bring
    nothing new are left out. None when it cannot be done: a merge commit is among them, or one of
    them conflicts on its own; the branch as a whole may still merge."""
    originals = _originals(git, fork, head)
    trees = None if originals is None else _replayed_trees(git, onto, originals, authorship)
    if not trees:
        return None if trees is None else NothingToMerge()
    tip = onto
    for original, tree in trees:
        last = original is trees[-1][0]
        text = with_trailer(original.message, "Task-Head", head) if last else original.message
        by = replace(authorship, author=original.author, authored=original.authored)
        tip = commit_tree(git, tree, [tip], text, by)
    return Merged(tip, trees[-1][1])


def _originals(git: Git, fork: str, head: str) -> list[_Original] | None:
    """Oldest first; None when one of them has two parents."""
    fields = "--format=%H%x00%P%x00%an%x00%ae%x00%ad%x00%B"
    logged = git.run(
        *("log", "-z", "--reverse", "--topo-order", "--date=raw", "--encoding=UTF-8", "--no-color"),
        *(fields, f"{fork}..{head}", "--"),
    )
    words = logged.stdout.decode("utf-8", "surrogateescape").split("\0")[:-1]
    rows = [words[n : n + 6] for n in range(0, len(words), 6)]
    if any(" " in parents for _, parents, *_ in rows):
        return None
    return [
        _Original(commit, parent, _identity(name, email), date, message)
        for commit, parent, name, email, date, message in rows
    ]


def _identity(name: str, email: str) -> Identity:
    """An agent may have called itself anything; git refuses a name without a letter in it."""
    return Identity(name, email) if any(map(str.isalnum, name)) else BOT


def _replayed_trees(
    git: Git, onto: str, originals: list[_Original], authorship: Authorship
) -> list[tuple[_Original, str]] | None:
    """Each original that still changes something, with the tree after it; None if one conflicts.

    A cherry-pick merges with the original's parent as base. ``merge-tree --merge-base`` says so
    since git 2.40; before, the base follows from history: a stand-in commit that has our tree and
    that parent meets the original exactly there.
    """
    tree = tree_of(git, onto)
    kept = []
    for original in originals:
        stand_in = commit_tree(git, tree, [original.parent], "stand-in", authorship)
        merged = merge_trees(git, stand_in, original.id)
        if isinstance(merged, Conflict):
            return None
        if merged != tree:
            kept.append((original, merged))
        tree = merged
    return kept
