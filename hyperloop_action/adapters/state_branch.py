"""The state branch as a store of files: read everything at a tip, write the changes on top of it.

An orphan branch, written without a checkout. The only lock is the compare-and-swap of its ref: a
write names the tip that it was read from, and fails with ``Moved`` when that is no longer the tip.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from hyperloop_action.adapters.git import Git
from hyperloop_action.adapters.git_checkouts import checkouts
from hyperloop_action.adapters.git_objects import commit_changes
from hyperloop_action.adapters.git_refs import move_refs
from hyperloop_action.adapters.git_remote import read_tips
from hyperloop_action.domain.commits import LoggedCommit, RefMove
from hyperloop_action.errors import CheckedOut

ARCHIVE = "archive"


@dataclass(frozen=True, slots=True)
class StateBranch:
    """``branch`` is the short name, ``hyperloop-state`` unless configured otherwise."""

    git: Git
    branch: str

    @property
    def ref(self) -> str:
        return f"refs/heads/{self.branch}"

    def tip(self) -> str | None:
        """Where the branch is, at the remote if there is one; fetched if it was not here."""
        tips = read_tips(self.git, [self.branch], "", tip_only=self.branch)
        return tips.get(self.branch)

    def read(self, tip: str | None = None) -> tuple[str | None, dict[str, bytes]]:
        """(tip, path -> content) of everything but the archive, with two processes. Without ``tip``
        it is asked first. A branch that does not exist is ``(None, {})``."""
        at = tip or self.tip()
        if at is None:
            return None, {}
        entries = self.git.list_without(at, ARCHIVE)
        contents = self.git.read_blobs(entry.blob for entry in entries.values())
        return at, {path: contents[entry.blob] for path, entry in entries.items()}

    def read_folder(self, folder: str) -> dict[str, bytes]:
        """Path -> content of one folder of the archive; empty when there is none."""
        tip = self.tip()
        entries = self.git.list_tree(tip, f"{folder.rstrip('/')}/") if tip else {}
        contents = self.git.read_blobs(entry.blob for entry in entries.values())
        return {path: contents[entry.blob] for path, entry in entries.items()}

    def write(
        self,
        tip: str | None,
        changes: Mapping[str, bytes | None],
        message: str,
        when: datetime,
        moves: Sequence[RefMove] = (),
    ) -> str | None:
        """Save ``changes`` on top of ``tip``, together with ``moves`` of task branches: all or
        none. Returns the new tip; ``tip`` itself when the changes change nothing.

        Raises :class:`Moved` when the branch, or a task branch, is no longer where it was read,
        :class:`CheckedOut` when somebody works on one of them here.
        """
        commit = commit_changes(self.git, tip, changes, message, when) if changes else None
        saved = [RefMove(self.ref, tip, commit)] if commit else []
        if saved or moves:
            self._refuse_checked_out([*saved, *moves])
            move_refs(self.git, [*saved, *moves], message.partition("\n")[0])
        return commit or tip

    def _refuse_checked_out(self, moves: Sequence[RefMove]) -> None:
        """Moving a branch under a working tree would show there as a deletion of what was moved in,
        and the next ``git commit -a`` would make it one. A remote has no working tree."""
        if self.git.remote is not None:
            return
        refs = {move.ref for move in moves if move.old}
        taken = {f"refs/heads/{c.branch}": str(c.path) for c in checkouts(self.git)}
        if busy := {ref: path for ref, path in taken.items() if ref in refs}:
            raise CheckedOut(busy)

    def history(self, grep: str | None = None, limit: int | None = None) -> list[LoggedCommit]:
        """Saves, newest first; ``grep`` as in :meth:`Git.log`."""
        tip = self.tip()
        return self.git.log(tip, grep=grep, limit=limit, first_parent=True) if tip else []
