"""Merging without a forge: a real three-way merge into the base branch, without a checkout.

The result is built as objects first, then the base branch moves to it, and only from the tip that
it was computed for: at the remote if there is one, else here. A checkout of the base branch follows
without touching a person's changes; where it cannot, the merge waits (here) or says so (remote).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from hyperloop_action.adapters.git import Git
from hyperloop_action.adapters.git_checkouts import Checkout, checkouts, fast_forward
from hyperloop_action.adapters.git_objects import (
    Authorship,
    commit_tree,
    merge_trees,
    tree_of,
)
from hyperloop_action.adapters.git_refs import move_refs
from hyperloop_action.adapters.git_remote import merge_base
from hyperloop_action.adapters.git_replay import replay
from hyperloop_action.domain.commits import BOT, Identity, RefMove
from hyperloop_action.domain.effects import Merge, MergeOutcome
from hyperloop_action.domain.landing import (
    Blocked,
    Conflict,
    Landing,
    Merged,
    NothingToMerge,
    Raced,
    Strategy,
)
from hyperloop_action.domain.messages import landing_message, with_trailer
from hyperloop_action.errors import HyperloopError, Moved, PermanentError


@dataclass(frozen=True, slots=True)
class LocalForge:
    """``base`` is the short name of the branch that work lands on; ``now`` dates what lands."""

    git: Git
    base: str
    now: Callable[[], datetime]

    @property
    def ref(self) -> str:
        return f"refs/heads/{self.base}"

    def merge(self, effect: Merge, base: str) -> MergeOutcome:
        """Land the head of a task, unless an earlier cycle did so and died before it said so.
        Raises as :meth:`land`."""
        done = self.landed(effect.task, effect.head, base, effect.since)
        if done:
            return MergeOutcome(effect, Merged(done, tree_of(self.git, done)), base)
        message = landing_message(
            effect.title, effect.body, effect.spec_ref, effect.task, effect.head
        )
        landing = self.land(base, effect.head, effect.strategy, message, when=self.now())
        return MergeOutcome(effect, landing, _base_after(landing) or base)

    def land(
        self,
        base_tip: str,
        head: str,
        strategy: Strategy,
        message: str,
        *,
        when: datetime,
        author: Identity = BOT,
    ) -> Landing:
        """Land exactly ``head`` on ``base_tip``. ``message`` is for the squash or merge commit; the
        last commit that lands gets the trailer ``Task-Head``, by which :meth:`landed` knows it.

        Raises :class:`PermanentError` when the remote refuses, or when the base branch does not
        hold what was computed; :class:`TransientError` when it may work later.
        """
        built = self._build(base_tip, head, strategy, message, Authorship(when, author))
        return built if not isinstance(built, Merged) else self._land(base_tip, built)

    def _build(
        self,
        base_tip: str,
        head: str,
        strategy: Strategy,
        message: str,
        authorship: Authorship,
    ) -> Landing:
        """The commit that would land, not yet on any branch."""
        fork = self._fork(base_tip, head)
        if not isinstance(fork, str):
            return fork
        if strategy is Strategy.REBASE:
            replayed = replay(self.git, base_tip, head, fork, authorship)
            if replayed is not None:
                return replayed
        tree = merge_trees(self.git, base_tip, head)
        if isinstance(tree, Conflict):
            return tree
        if tree == tree_of(self.git, base_tip):
            return NothingToMerge()
        parents = [base_tip, head] if strategy is Strategy.MERGE else [base_tip]
        text = with_trailer(message, "Task-Head", head)
        return Merged(commit_tree(self.git, tree, parents, text, authorship), tree)

    def _fork(self, base_tip: str, head: str) -> str | Blocked | NothingToMerge:
        try:
            fork = merge_base(self.git, base_tip, head)
        except PermanentError as error:  # a commit that is not in the repository
            return Blocked(error.what)
        if fork is None:
            return Blocked(f"{head[:10]} has no history in common with {self.base}")
        return NothingToMerge() if fork == head else fork

    def _land(self, base_tip: str, built: Merged) -> Landing:
        if self.git.remote is None:
            landing = self._land_here(base_tip, built)
        else:
            landing = self._land_there(base_tip, built)
        if isinstance(landing, Merged):
            self._verify(built)
        return landing

    def _land_here(self, base_tip: str, built: Merged) -> Landing:
        places = self._checkouts()
        if not places:
            return self._move(base_tip, built)
        if len(places) > 1:
            where = " and ".join(str(place.path) for place in places)
            return Blocked(f"{self.base} is checked out more than once: {where}")
        if (tip := self._tip_here()) != base_tip:
            return Raced(tip)
        blocked = fast_forward(self.git, places[0], built.commit)
        if blocked is None:
            return built
        tip = self._tip_here()
        return blocked if tip == base_tip else Raced(tip)

    def _land_there(self, base_tip: str, built: Merged) -> Landing:
        landing = self._move(base_tip, built)
        if not isinstance(landing, Merged):
            return landing
        return Merged(built.commit, built.tree, self.follow(built.commit))

    def _move(self, base_tip: str, built: Merged) -> Landing:
        try:
            move_refs(self.git, [RefMove(self.ref, base_tip, built.commit)], "hyperloop: merge")
        except Moved:
            return Raced(None if self.git.remote else self._tip_here())
        return built

    def follow(self, commit: str) -> str:
        """Bring the local base branch, and a checkout of it, forward to what the remote has.
        Returns why that could not be done, or nothing: being behind is the owner's business, not
        an error."""
        tip = self._tip_here()
        if tip is None or tip == commit:
            return ""
        try:
            if not self.git.is_ancestor(tip, commit):
                return f"{self.base} here has commits of its own"
            blocked = self._follow(tip, commit)
        except HyperloopError as error:
            return error.what
        return f"{blocked.reason}: {', '.join(blocked.files)}".rstrip(": ") if blocked else ""

    def _follow(self, tip: str, commit: str) -> Blocked | None:
        places = self._checkouts()
        if places:
            return next(filter(None, (fast_forward(self.git, p, commit) for p in places)), None)
        self.git.run("update-ref", "-m", "hyperloop: follow the remote", self.ref, commit, tip)
        return None

    def landed(self, task: str, head: str, base_tip: str, since: str | None = None) -> str | None:
        """The commit by which ``head`` of ``task`` came into the base branch after ``since`` (or
        ever), or None. Asked before merging: a cycle may have died between merge and save."""
        if since == base_tip:
            return None
        span = base_tip if since is None else f"{since}..{base_tip}"
        for commit in self.git.log(span, grep=f"^Task-Head: {head}$", first_parent=True):
            trailers = commit.trailers
            if task in trailers.get("Task-Ref", ()) and head in trailers.get("Task-Head", ()):
                return commit.id
        return None

    def _checkouts(self) -> Sequence[Checkout]:
        return [place for place in checkouts(self.git) if place.branch == self.base]

    def _tip_here(self) -> str | None:
        return self.git.list_refs(self.ref).get(self.ref)

    def _verify(self, built: Merged) -> None:
        """What landed must be what was computed. The base may have moved on since, but not away."""
        if self.git.remote is None:
            tip = self._tip_here()
            if tip is None or not (tip == built.commit or self.git.is_ancestor(built.commit, tip)):
                raise PermanentError(
                    f"{self.base} is at {tip} after {built.commit} was merged into it",
                    expected="the merge to be part of it",
                    hint="somebody moved the branch back: look at `git reflog`",
                )
        if (tree := tree_of(self.git, built.commit)) != built.tree:
            raise PermanentError(
                f"{built.commit} landed on {self.base} with tree {tree}",
                expected=f"the tree that was computed, {built.tree}",
                hint="check the repository with `git fsck` before merging anything else",
            )


def _base_after(landing: Landing) -> str | None:
    """The tip of the base branch as far as a merge has shown it."""
    match landing:
        case Merged(commit=commit):
            return commit
        case Raced(tip=tip):
            return tip
        case _:
            return None
