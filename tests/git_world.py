"""Real repositories for tests: a folder, and git as a person would use it there."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hyperloop_action.adapters import proc
from hyperloop_action.adapters.git import Git, Patience, open_repository
from hyperloop_action.adapters.git_environment import environment


def caller_environment(home: Path) -> dict[str, str]:
    """What a person's shell holds, without that person's git configuration."""
    person = {f"GIT_{role}_NAME": "Ada" for role in ("AUTHOR", "COMMITTER")}
    person |= {f"GIT_{role}_EMAIL": "ada@example.com" for role in ("AUTHOR", "COMMITTER")}
    return person | {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_NOSYSTEM": "1",
        "LC_ALL": "C.UTF-8",
    }


@dataclass(frozen=True)
class Repo:
    """A repository and its folder; ``git`` runs a person's commands."""

    path: Path
    env: Mapping[str, str]

    def git(self, *args: str, code: int = 0, when: int = 1_700_000_000) -> str:
        env = {
            **self.env,
            "GIT_AUTHOR_DATE": f"{when} +0000",
            "GIT_COMMITTER_DATE": f"{when} +0000",
        }
        done = proc.run(["git", *args], cwd=self.path, env=env, accept=(code,))
        proc.started["git"] -= 1  # what a person does is not counted as the engine's
        return done.text

    def write(self, files: Mapping[str, str]) -> None:
        for name, text in files.items():
            file = self.path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)

    def commit(self, files: Mapping[str, str], message: str = "change") -> str:
        """Write ``files``, commit everything, return the id."""
        self.write(files)
        self.git("add", "-A")
        self.git("commit", "--quiet", "-m", message)
        return self.git("rev-parse", "HEAD")

    def tip(self, ref: str = "HEAD") -> str:
        return self.git("rev-parse", "--verify", ref)

    def files(self, commit: str) -> dict[str, str]:
        names = self.git("ls-tree", "-r", "-z", "--name-only", commit).split("\0")[:-1]
        return {name: self.git("show", f"{commit}:{name}") for name in names}

    def copy(self, to: Path) -> "Repo":
        shutil.copytree(self.path, to, symlinks=True)
        return Repo(to, self.env)

    def clone(self, to: Path, *options: str) -> "Repo":
        self.git("clone", "--quiet", *options, f"file://{self.path}", str(to))
        return Repo(to, self.env)

    def engine(self, remote: str | None = None, patience: Patience | None = None) -> Git:
        """The adapter under test on this repository. It does not really sleep."""
        env = environment(self.env)
        at = open_repository(self.path, env)
        place = at.top or at.git_dir
        return Git(place, env, at.common_dir, remote, patience or Patience(sleep=lambda _: None))

    def personal_state(self) -> dict[str, bytes]:
        """Everything that belongs to the person: working files, index, HEAD, branches, stash, logs.
        Objects and our own leftovers under ``refs/remotes`` are not in it."""
        skipped = {"objects", "remotes"}
        return {
            str(file.relative_to(self.path)): file.read_bytes()
            for file in sorted(self.path.rglob("*"))
            if file.is_file() and not skipped.intersection(file.relative_to(self.path).parts)
        }
