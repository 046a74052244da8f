"""Trunk and the task branches, seen once per cycle: one look at the refs serves state and world."""

from collections.abc import Container, Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from hyperloop_action.adapters.git import Git
from hyperloop_action.adapters.git_checkouts import checkouts
from hyperloop_action.adapters.git_objects import merge_trees, tree_of
from hyperloop_action.adapters.git_remote import merge_base, read_tips
from hyperloop_action.adapters.unseen import unseen_specs
from hyperloop_action.domain.model import Phase, State
from hyperloop_action.domain.rebuild import BranchFound, Evidence, spec_refs
from hyperloop_action.domain.world import SpecSeen, World
from hyperloop_action.errors import PermanentError, UsageError


@dataclass(slots=True)
class Trunk:
    """``base`` and ``state`` are short branch names, ``prefix`` begins those of the task
    branches."""

    git: Git
    base: str
    state: str
    prefix: str
    specs_dir: str
    _tips: dict[str, str] = field(default_factory=dict)

    def look(self) -> str | None:
        """Read all refs anew; the tip of the state branch. A cycle starts with this."""
        self._tips = read_tips(self.git, [self.base, self.state], self.prefix, tip_only=self.state)
        return self._tips.get(self.state)

    def observe(self, state: State) -> World:
        """Raises :class:`UsageError` when the base branch does not exist."""
        base = self._tips.get(self.base)
        if base is None:
            remote = self.git.remote
            where = f"on {remote}" if remote else "in this repository"
            push = f"push it: `git push {remote} {self.base}`; or " if remote else ""
            raise UsageError(
                f"there is no branch {self.base} {where}",
                hint=f"{push}name the right one with --branch, or base_branch in .hyperloop.yaml",
            )
        branches = {n: t for n, t in self._tips.items() if n.startswith(self.prefix)}
        merged, specs = self._merged(state, base), self._specs(base)
        return World(
            base=base,
            specs=specs,
            branches=branches,
            merged=merged,
            checked_out=self._checked_out() if merged or _may_move(state, specs) else {},
        )

    def evidence(self) -> Evidence:
        base = self._tips[self.base]
        landed = self.git.log(base, grep="^Task-Ref: ", first_parent=True)
        found = (self._branch(name, base) for name in self._tips if name.startswith(self.prefix))
        return Evidence(tuple(landed), tuple(branch for branch in found if branch))

    def read(self, blobs: Iterable[str]) -> dict[str, bytes]:
        wanted = list(blobs)
        try:
            return self.git.read_blobs(wanted)
        except PermanentError:  # one is missing: all others count
            return {blob: text for blob in wanted for text in self._text(blob)}

    def unseen(self) -> dict[str, str]:
        base = self._tips.get(self.base)
        return unseen_specs(self.git, base, self.base, self.specs_dir) if base else {}

    def _text(self, blob: str) -> list[bytes]:
        try:
            return list(self.git.read_blobs([blob]).values())
        except PermanentError:
            return []

    def _branch(self, name: str, base: str) -> BranchFound | None:
        head = self._tips[name]
        fork = merge_base(self.git, base, head)
        commits = tuple(self.git.log(f"{fork}..{head}")) if fork else ()
        if fork is None or not commits:
            return None
        path, _, commit = (spec_refs(commits) or "").rpartition("@")
        listed = self.git.list_tree(commit, path) if path else {}
        blob = listed[path].blob if path in listed else None
        return BranchFound(name, head, fork, commits, blob)

    def _specs(self, base: str) -> dict[str, SpecSeen]:
        listed = self.git.list_tree(base, f"{self.specs_dir}/", sizes=True)
        return {
            path: SpecSeen(entry.blob, entry.size or 0)
            for path, entry in listed.items()
            if fnmatchcase(path, "*.md") and entry.mode.startswith("100")
        }

    def _merged(self, state: State, base: str) -> frozenset[str]:
        """Task branches that somebody merged by hand. Asked only while a task waits for that. Of a
        branch that was deleted since, every way to merge is known by its outcome."""
        waiting = [t for t in state.tasks.values() if t.phase in (Phase.WAITING, Phase.ACTING)]
        if not waiting:
            return frozenset()
        below = "refs/heads/" if self.git.remote is None else f"refs/remotes/{self.git.remote}/"
        refs = self.git.list_merged(base, below + self.prefix)
        gone = {t.branch: t.head for t in waiting if t.head and t.branch not in self._tips}
        landed = (name for name, head in gone.items() if self._holds(base, head))
        return frozenset({*(ref.removeprefix(below) for ref in refs), *landed})

    def _holds(self, base: str, head: str) -> bool:
        """Whether merging ``head`` would change nothing; unknown without the commit is no."""
        try:
            return merge_trees(self.git, base, head) == tree_of(self.git, base)
        except PermanentError:
            return False

    def _checked_out(self) -> dict[str, str]:
        """A remote has no working trees: only local branches can be under somebody's feet."""
        if self.git.remote is not None:
            return {}
        return {c.branch: str(c.path) for c in checkouts(self.git) if c.branch in self._tips}


def _may_move(state: State, specs: Container[str]) -> bool:
    """Whether this cycle could move a task branch; while all wait for people, it does not."""
    return any(
        task.open and (task.phase is not Phase.WAITING or task.approval or task.spec not in specs)
        for task in state.tasks.values()
    )
