"""The real command, as a person starts it: a process of its own, with nothing of this machine.

``Person`` holds a repository and a home; ``say`` runs one command to its end, ``begin`` leaves it
running. Whatever it starts can be found again by its environment, so that a test can end all of it
and can see that nothing was left.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.git_world import Repo, caller_environment

ROOT = Path(__file__).parents[2]

Engine = subprocess.Popen[bytes]


@dataclass(frozen=True)
class Said:
    """What a command said, and its exit code."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Person:
    """``home`` is theirs alone: sessions live below it, and so does everything that they start."""

    repo: Repo
    home: Path
    path: str = os.environ["PATH"]
    through: tuple[str, ...] = ()
    """Words before the command: a program that takes rights away."""

    @property
    def work(self) -> Path:
        return self.home / "sessions"

    @property
    def env(self) -> dict[str, str]:
        own = {"PATH": self.path, "PYTHONPATH": str(ROOT), "HYPERLOOP_WORK_DIR": str(self.work)}
        return {**caller_environment(self.home), **own}

    def say(self, *words: str, cwd: Path | None = None, patience_s: float = 60.0) -> Said:
        done = subprocess.run(
            [*self.through, sys.executable, "-m", "hyperloop_action", *words],
            cwd=cwd or self.repo.path,
            env=self.env,
            capture_output=True,
            timeout=patience_s,
            check=False,
        )
        return Said(done.returncode, done.stdout.decode(), done.stderr.decode())

    def ask(self, *words: str) -> object:
        """The JSON that a command prints."""
        said = self.say(*words, "-o", "json")
        assert said.code == 0, said.err
        return json.loads(said.out)

    def begin(self, *words: str) -> Engine:
        """Its output goes to ``home/engine.log``, one command after the other."""
        self.home.mkdir(exist_ok=True)
        with (self.home / "engine.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "hyperloop_action", *words],
                cwd=self.repo.path,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def log(self) -> str:
        return (self.home / "engine.log").read_text()

    def processes(self) -> set[int]:
        """Everything that runs with this home: engine, workers, agents, their programs."""
        mark = str(self.home).encode()
        return {pid for pid in _pids() if mark in _environment(pid) and not _is_zombie(pid)}

    def kill_everything(self, engine: Engine) -> None:
        """SIGKILL for the whole tree, as when a machine or a container goes down. The engine first:
        it must not see the end of its workers."""
        engine.kill()
        while left := self.processes():
            for pid in left:
                _kill(pid)
        engine.wait()

    def locks(self) -> list[str]:
        folders = [self.repo.path, self.home]
        return sorted(str(lock) for folder in folders for lock in folder.rglob("*.lock"))


def until(seen: Callable[[], object], patience_s: float = 30.0) -> bool:
    """Look every few milliseconds; whether it came true."""
    give_up = time.monotonic() + patience_s
    while not seen():
        if time.monotonic() > give_up:
            return False
        time.sleep(0.003)
    return True


def _pids() -> Iterator[int]:
    return (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())


def _environment(pid: int) -> bytes:
    try:
        return (Path("/proc") / str(pid) / "environ").read_bytes()
    except OSError:
        return b""


def _is_zombie(pid: int) -> bool:
    try:
        text = (Path("/proc") / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return True
    return text.rpartition(")")[2].split()[0] in "ZX"


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
