"""What an agent left behind -> commits that may go onto the task branch, and ``work.bundle``.

Called by ``supervisor.py`` when a session has ended in any way. Protected paths, nested
repositories, files with credentials and what is too large are taken out of every commit; the rest
is kept.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from pathlib import Path

from hyperloop_action.adapters.clones import Start, Workshop
from hyperloop_action.adapters.proc import CommandFailed
from hyperloop_action.adapters.redaction import Redactor
from hyperloop_action.adapters.rewrite import (
    MOST_COMMITS,
    WORK_REF,
    Change,
    Commit,
    Pair,
    Put,
    compare,
    read_chain,
    write_chain,
)
from hyperloop_action.adapters.untrusted import (
    agent_head,
    check_place,
    leftovers,
    merge_goes_on,
    store,
    sweep,
)
from hyperloop_action.adapters.vetting import Screen
from hyperloop_action.domain.orders import Order
from hyperloop_action.domain.outcome import Harvest


@dataclass(frozen=True, slots=True)
class Found:
    """The commits of a clone. ``based`` are those that have the base in them; ``merging`` says that
    the leftovers conclude a merge with the base; ``tree`` is what the leftovers differ from."""

    head: str
    commits: tuple[Commit, ...]
    based: frozenset[str]
    merging: bool
    tree: str

    @property
    def merged(self) -> bool:
        return bool(self.commits) and self.commits[-1].id in self.based


@dataclass(frozen=True)
class Harvester:
    """One harvest of one session."""

    order: Order
    start: Start
    workshop: Workshop
    redactor: Redactor

    def harvest(self) -> Harvest:
        """Raises :class:`CloneGone` when there is nothing to look at."""
        check_place(self.workshop)
        sweep(self.workshop.files.clone)
        found = self._find()
        untouched = found.head == self.start.commit and not self.start.pending
        left = leftovers(found.tree, self.workshop, untouched=untouched)
        last = self._last_pair(found)
        diffs = compare([*(self._pair(each, found) for each in found.commits), last], self.workshop)
        changes = chain.from_iterable(diffs.values())
        screen = Screen(self.order, self.workshop, self.redactor, changes, left)
        kept = screen.kept(left, diffs[last])
        commits = [
            replace(each, puts=screen.restored(diffs[self._pair(each, found)]))
            for each in found.commits
        ]
        if kept:
            here = {each.path for each in kept}
            puts = [put for put in screen.restored(diffs[last]) if put.path not in here]
            puts += store(kept, self.workshop)
            commits.append(self._leftover_commit(found, tuple(puts)))
        unresolved = self._unresolved(found, resolving=bool(kept))
        findings = (
            *screen.findings([*diffs[last], *left]),
            *self._merge_findings(found, unresolved),
        )
        changed = bool(kept) or self._changed(found, diffs[last], screen)
        wanted = changed or self.start.commit != self.order.head
        head = self._write(commits, unresolved) if commits and wanted else None
        return Harvest(head, changed, findings)

    def _find(self) -> Found:
        head = agent_head(self.start, self.order.head, self.workshop) or self.start.commit
        commits = self._commits(head)
        based = self._based(commits)
        merging = (
            self.start.pending
            and head == self.start.commit
            and merge_goes_on(self.order.base, self.workshop)
        )
        if merging:
            tree = self.start.base_tree
        else:
            tree = commits[-1].tree if commits else self._start_tree
        return Found(head, commits, based, merging, tree)

    @cached_property
    def _start_tree(self) -> str:
        ahead = self.start.commit != self.order.head
        return self.start.base_tree if ahead else self.start.head_tree

    def _commits(self, head: str) -> tuple[Commit, ...]:
        """The agent's commits; those that do not go on from the order's head, as one that does."""
        trusted = {self.order.head, self.start.commit}
        if head == self.order.head:
            return ()
        commits = read_chain(head, (self.order.head, self.order.base), self.workshop)
        follows = any(trusted.intersection(each.parents) for each in commits)
        if head in trusted or (follows and len(commits) <= MOST_COMMITS):
            return tuple(commits)
        asked = ("rev-parse", f"{head}^{{tree}}")
        tree = self.workshop.git(*asked, at=self.workshop.harvest).text
        parents: tuple[str, ...] = (self.start.commit,)
        if self.start.pending and any(self.order.base in each.parents for each in commits):
            parents = (self.order.head, self.order.base)
        return (Commit("squashed", tree, parents, self._title("Work")),)

    def _based(self, commits: tuple[Commit, ...]) -> frozenset[str]:
        ahead = self.start.commit != self.order.head
        based = {self.order.base} | ({self.start.commit} if ahead else set())
        for each in commits:
            if based.intersection(each.parents):
                based.add(each.id)
        return frozenset(based)

    def _pair(self, commit: Commit, found: Found) -> Pair:
        return self._should_be(commit.id in found.based), commit.tree

    def _last_pair(self, found: Found) -> Pair:
        ahead = self.start.commit != self.order.head
        based = found.merging or (found.merged if found.commits else ahead)
        return self._should_be(based), found.tree

    def _should_be(self, based: bool) -> str:  # noqa: FBT001  # a predicate's answer
        """The tree that says what a session may not change."""
        return self.start.base_tree if based else self.start.head_tree

    def _leftover_commit(self, found: Found, puts: tuple[Put, ...]) -> Commit:
        parent = found.commits[-1].id if found.commits else self.start.commit
        parents = (parent, self.order.base) if found.merging else (parent,)
        return Commit("leftovers", found.tree, parents, self._title("Work in progress"), puts=puts)

    def _title(self, what: str) -> str:
        about = f": {self.order.title}" if self.order.title else ""
        return f"{what} of {self.order.role}{about}"

    def _changed(self, found: Found, last: list[Change], screen: Screen) -> bool:
        resolved = self.start.pending and found.merged
        return resolved or any(not screen.refuses(each) for each in last)

    def _unresolved(self, found: Found, *, resolving: bool) -> tuple[str, ...]:
        """The files of a conflict that still have markers; all of them when nobody touched any."""
        if found.merging and not resolving:
            return self.start.conflicts
        clone = self.workshop.files.clone
        return tuple(path for path in self.start.conflicts if has_markers(clone / path))

    def _merge_findings(self, found: Found, unresolved: tuple[str, ...]) -> list[str]:
        names = ", ".join(f"`{path}`" for path in unresolved or self.start.conflicts)
        if self.start.pending and not found.merging and not found.merged:
            return [f"The merge with the base branch was given up; it conflicts in {names}."]
        return [f"Conflicts are not resolved in {names}."] if unresolved else []

    def _write(self, commits: list[Commit], unresolved: tuple[str, ...]) -> str:
        try:
            head = write_chain(commits, self.order, unresolved, self.redactor, self.workshop)
        except CommandFailed:  # something in the chain cannot be written again: keep its outcome
            last = [replace(commits[-1], parents=(self.start.commit,), author=(), committer=())]
            head = write_chain(last, self.order, unresolved, self.redactor, self.workshop)
        bundle = ("bundle", "create", "--quiet", self.workshop.files.bundle, WORK_REF)
        without = (f"^{self.order.head}", f"^{self.order.base}")
        self.workshop.git(*bundle, *without, at=self.workshop.harvest)
        return head


def has_markers(path: Path) -> bool:
    """Tell whether a file has lines that git writes around a conflict."""
    try:
        if path.is_symlink() or not path.is_file():
            return False
        data = b"\n" + path.read_bytes()
    except OSError:
        return False
    return b"\n<<<<<<< " in data or b"\n>>>>>>> " in data
