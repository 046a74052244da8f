"""Sessions on this machine: one ``hyperloop work`` process for each order, in a folder of its own.

A worker is not a child that must be waited for: it outlives the process that started it, leaves its
result on disk, and the next cycle collects that. So killing the engine loses no session.
"""

import hashlib
import os
import re
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import msgspec

from hyperloop_action.adapters import proc, processes
from hyperloop_action.adapters.agents import RUNTIMES
from hyperloop_action.adapters.clones import write_whole
from hyperloop_action.adapters.git import Git
from hyperloop_action.adapters.isolation import held
from hyperloop_action.adapters.supervisor import WORKER, salvage
from hyperloop_action.domain.model import Handle, Worker
from hyperloop_action.domain.orders import Order, Result, RuntimeSpec, decode_result, encode
from hyperloop_action.domain.sessions import SessionFiles
from hyperloop_action.errors import TransientError
from hyperloop_action.ports import WorkersSeen

POLL_S = 0.1
"""How often the folders of live orders are looked at: no process, a few system calls."""

MAX_TRANSCRIPTS = 500
"""How many are kept; the oldest go first."""

ABANDONED_S = 14 * 86_400.0
"""No session lasts that long: its time-out is a week at most."""

STARTING_S = 30.0
"""How long a worker may take from its order to its first word; its claimer may be dead by then."""


@dataclass(slots=True)
class LocalWorkers:
    """``root`` holds the folders, outside the repository. ``env`` is what the supervisors inherit;
    they pass on to their agents what each may have. ``stopping`` ends a wait early."""

    git: Git
    root: Path
    env: Mapping[str, str]
    now: Callable[[], datetime]
    stopping: Callable[[], bool]
    _children: list[proc.Child] = field(default_factory=list)
    _checked: set[RuntimeSpec] = field(default_factory=set)

    def look(self, workers: Iterable[Worker]) -> WorkersSeen:
        self._reap()
        results: dict[str, Result] = {}
        alive, ended = set[str](), set[str]()
        for worker in workers:
            files = self._files(worker.order)
            found = self._result(files)
            if found:
                results[worker.order] = found
            elif lives := self._lives(worker, files):
                alive.add(worker.order)
            elif lives is not None:
                ended.add(worker.order)
        for order in tuple(ended):
            rescued = salvage(self._files(order).root, self.git.directory, self.env, RUNTIMES)
            if rescued and (kept := self._keep(self._files(order), rescued)):
                results[order] = kept
                ended.remove(order)
        return WorkersSeen(results, frozenset(alive), frozenset(ended))

    def check(self, orders: Iterable[Order]) -> None:
        for runtime in {order.runtime for order in orders} - self._checked:
            RUNTIMES[runtime.name].check(runtime, self.git.directory, self.env)
            self._checked.add(runtime)

    def start(self, order: Order) -> None:
        files, document = self._files(order.id), encode(order)
        if files.order.exists() and files.order.read_bytes() == document:
            return  # a killed cycle started it already
        shutil.rmtree(files.root, ignore_errors=True)  # of a state that was lost, say
        files.root.mkdir(parents=True, mode=0o700)
        files.order.write_bytes(document)
        words = [sys.executable, "-m", "hyperloop_action", "work", str(files.order)]
        words += ["--out", str(files.root), "--path", str(self.git.directory)]
        with (files.root / "work.log").open("wb") as log, held():
            child = proc.popen(
                words, cwd=self.root, env=self.env, stdout=log, stderr=log, new_session=True
            )
        self._children.append(child)
        _introduce(child, files)

    def wait(self, orders: Iterable[str], until: datetime | None, *, every: bool = False) -> None:
        waiting = list(orders)
        decided = all if every else any
        before = self.stopping()  # whoever waits while all is stopping waits for just that
        while self.stopping() == before and (until is None or self.now() < until):
            self._reap()
            if waiting and decided(self._has_ended(order) for order in waiting):
                return
            time.sleep(POLL_S)

    def forget(self, orders: Iterable[str]) -> None:
        for order in orders:
            files = self._files(order)
            with suppress(FileNotFoundError):  # another engine may be first to tidy up
                self._transcripts.mkdir(parents=True, exist_ok=True)
                files.transcript.replace(self._transcripts / f"{order}.jsonl")
            shutil.rmtree(files.root, ignore_errors=True)
        for old in self._kept()[:-MAX_TRANSCRIPTS]:
            old.unlink(missing_ok=True)
        for folder in self._abandoned():
            shutil.rmtree(folder, ignore_errors=True)

    def stop(self, orders: Iterable[str]) -> None:
        for order in orders:
            identity = _identity(self._files(order))
            if identity and processes.is_alive(identity):
                os.kill(identity.pid, signal.SIGTERM)

    def last_words(self, order: str) -> str:
        return last_line(self._files(order).transcript)

    def transcripts(self, task: str) -> list[str]:
        return [str(path) for path in self._kept() if path.stem.rpartition("-")[0] == task]

    def _abandoned(self) -> list[Path]:
        """Folders of sessions whose end was saved by an engine that died before it tidied up."""
        long_ago = self.now().timestamp() - ABANDONED_S
        folders = (path for path in self.root.glob("*/") if path != self._transcripts)
        return [path for path in folders if path.stat().st_mtime < long_ago]

    @property
    def _transcripts(self) -> Path:
        return self.root / "transcripts"

    def _kept(self) -> list[Path]:
        """What agents said in sessions that are over, oldest first."""
        return sorted(self._transcripts.glob("*.jsonl"), key=lambda path: path.stat().st_mtime)

    def _files(self, order: str) -> SessionFiles:
        return SessionFiles(self.root / order)

    def _has_ended(self, order: str) -> bool:
        files = self._files(order)
        if files.result.exists():
            return True
        identity = _identity(files)
        return identity is not None and processes.is_alive(identity) is False

    def _lives(self, worker: Worker, files: SessionFiles) -> bool | None:
        """Its own process decides; before there is one, the claimer; elsewhere nobody knows."""
        identity = _identity(files)
        if identity:
            return processes.is_alive(identity)
        if worker.handle == processes.identity() and not files.order.exists():
            return False  # our own claim, saved by a push whose answer was lost: nobody started it
        claimer = processes.is_alive(worker.handle) if worker.handle else None
        if claimer is False and files.order.exists():
            age = self.now().timestamp() - files.order.stat().st_mtime
            return age < STARTING_S
        return claimer

    def _result(self, files: SessionFiles) -> Result | None:
        """None as well when another engine, which was first to save it, has just removed it."""
        try:
            found = decode_result(files.result.read_bytes(), str(files.result))
        except FileNotFoundError:
            return None
        return self._keep(files, found)

    def _keep(self, files: SessionFiles, result: Result) -> Result | None:
        """Bring the commits of a result into the repository, so that a save may point at them."""
        if result.head and files.bundle.exists():
            done = self.git.run("bundle", "unbundle", str(files.bundle), accept=(0, 1, 128))
            if done.code and not files.bundle.exists():
                return None
            if done.code:
                raise TransientError(
                    f"the commits of {result.order} cannot be read: {done.complaint}",
                    hint=f"look into {files.root}; remove that folder to give the session up",
                )
        return result

    def _reap(self) -> None:
        """An ended child stays in the process table until its parent has asked."""
        self._children = [child for child in self._children if child.poll() is None]


def _introduce(child: proc.Child, files: SessionFiles) -> None:
    """Say who the worker is before it does so itself: if both of us were killed now, the next cycle
    would have to wait until its first word is overdue."""
    try:
        handle = processes.identity(child.pid)
    except ProcessLookupError:
        return  # it has ended already, and said so in its own words
    write_whole(files.root / WORKER, msgspec.json.encode(handle))


def _identity(files: SessionFiles) -> Handle | None:
    """Which process works in this folder; it says so itself, first of all."""
    try:
        return msgspec.json.decode((files.root / WORKER).read_bytes(), type=Handle)
    except FileNotFoundError:
        return None


def sessions_folder(env: Mapping[str, str], shared_by: str) -> Path:
    """Where sessions live: outside the repository, since an agent that loses its own ``.git`` must
    not find another one above it. ``shared_by`` is the address of the remote, or the repository's
    own: two clones of one remote see each other's sessions on one machine."""
    cache = env.get("XDG_CACHE_HOME") or str(Path(env.get("HOME", "/tmp")) / ".cache")  # noqa: S108
    root = Path(env.get("HYPERLOOP_WORK_DIR") or Path(cache) / "hyperloop")
    words = [word for word in re.split(r"[/:\\]+", shared_by) if word not in ("", ".git")]
    name = words[-1].removesuffix(".git") if words else "repository"
    return root / f"{name}-{hashlib.sha256(shared_by.encode()).hexdigest()[:12]}"


def last_line(path: Path, window: int = 8192) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(path.stat().st_size - window, 0))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except FileNotFoundError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
