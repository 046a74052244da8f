"""What people wrote for this repository: its configuration, agents and process, as bytes.

The working tree speaks first, so that an edit counts at once; where it has none, because another
branch is checked out or the repository is bare, the base branch does. Gates that stand on the base
branch must not vanish with a ``git switch``. ``wiring.py`` calls this.
"""

from dataclasses import dataclass
from pathlib import Path

from hyperloop_action.adapters.definitions import read_folder
from hyperloop_action.adapters.git import Git, Repository
from hyperloop_action.errors import PermanentError, UsageError
from hyperloop_action.settings import CONFIG_FILE


@dataclass(frozen=True, slots=True)
class ProjectFiles:
    """``git`` reads the repository itself; ``base`` is the short name of the base branch."""

    git: Git
    repository: Repository
    base: str

    def config(self, named: Path | None) -> tuple[bytes | None, str]:
        """Content and where it stands; content is ``None`` where nobody wrote any.
        Raises :class:`UsageError` for a ``--config`` that cannot be read."""
        if named:
            return _read(named), str(named)
        top = self.repository.top
        if top and (top / CONFIG_FILE).is_file():
            return (top / CONFIG_FILE).read_bytes(), CONFIG_FILE
        for revision in self._elsewhere():
            if found := self._tree(revision, CONFIG_FILE):
                return found[CONFIG_FILE], f"{revision}:{CONFIG_FILE}"
        return None, CONFIG_FILE

    def overlay(self, folder: str) -> dict[str, bytes]:
        """Path -> content of everything below ``folder``."""
        top = self.repository.top
        if top and (top / folder).is_dir():
            return read_folder(top, folder)
        found = (self._tree(revision, f"{folder}/") for revision in self._elsewhere())
        return next((files for files in found if files), {})

    def _elsewhere(self) -> tuple[str, ...]:
        """Where else the files may be: nowhere, if the base branch is what is checked out."""
        if self.repository.top is None:
            return (self.base, "HEAD")
        return () if self.repository.branch == self.base else (self.base, f"origin/{self.base}")

    def _tree(self, revision: str, path: str) -> dict[str, bytes]:
        try:
            entries = self.git.list_tree(revision, path)
        except PermanentError:  # there is no such branch
            return {}
        contents = self.git.read_blobs(entry.blob for entry in entries.values())
        return {name: contents[entry.blob] for name, entry in entries.items()}


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        reason = error.strerror or "it cannot be read"
        raise UsageError(f"{path}: {reason}", hint="check --config") from error
