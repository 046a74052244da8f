"""Who is a process, is it still alive, and how to end it with everything that it started.

``supervisor.py`` writes the identity of a worker, a later cycle asks whether that worker lives.
The process groups of agents are ended here too, and on Linux whatever has left its group.
"""

import ctypes
import os
import platform
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from hyperloop_action.adapters import proc
from hyperloop_action.domain.model import Handle

_PROC = Path("/proc")
_SET_CHILD_SUBREAPER = 36  # prctl(2)


@dataclass(frozen=True, slots=True)
class Stat:
    """What ``/proc/PID/stat`` says: ``start_time`` in clock ticks since boot."""

    parent: int
    state: str
    group: int
    start_time: str


def identity(pid: int | None = None) -> Handle:
    """Name a living process (this one by default) so that no later process can be taken for it.
    Raises ``ProcessLookupError``."""
    pid = os.getpid() if pid is None else pid
    start_time = _start_time(pid)
    if start_time is None:
        raise ProcessLookupError(f"there is no process {pid}")
    return Handle(host=platform.node(), boot_id=_boot_id(), pid=pid, start_time=start_time)


def is_alive(handle: Handle) -> bool | None:
    """Tell whether that very process still runs; None when it lives on another host, so that this
    one cannot tell. A process that has ended but was not waited for is not alive."""
    if handle.host != platform.node():
        return None
    if handle.boot_id != _boot_id():
        return False
    return _start_time(handle.pid) == handle.start_time


def become_subreaper() -> bool:
    """Make this process the parent of whatever its descendants leave behind, also after ``setsid``
    (Linux only; elsewhere False, and only process groups can be ended)."""
    if not sys.platform.startswith("linux"):
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    return bool(libc.prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)


def descendants(of: int) -> frozenset[tuple[int, str]]:
    """Pid and start time of every process below ``of`` (Linux; elsewhere empty)."""
    children: dict[int, list[tuple[int, str]]] = defaultdict(list)
    for pid in _pids():
        stat = _stat(pid)
        if stat:
            children[stat.parent].append((pid, stat.start_time))
    found: set[tuple[int, str]] = set()
    waiting = [of]
    while waiting:
        below = children.get(waiting.pop(), [])
        found.update(below)
        waiting += [pid for pid, _ in below]
    return frozenset(found)


def kill_group(pid: int, number: signal.Signals = signal.SIGKILL) -> None:
    """Send a signal to the process group of ``pid``; a group that is gone already is fine."""
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):  # macOS says the latter of a group of zombies
        return


def kill_new_descendants(before: frozenset[tuple[int, str]], patience_s: float = 5.0) -> int:
    """Kill every descendant of this process that is not in ``before``, and wait for its end.

    Forking faster than we kill is met by looking again until nothing is left. Returns how many
    were found.
    """
    me, killed = os.getpid(), set[int]()
    give_up = time.monotonic() + patience_s
    while new := {pid for pid, _ in descendants(me) - before}:
        killed |= new
        for pid in new:
            _kill(pid)
        for pid in new:
            _reap(pid)
        if time.monotonic() > give_up:
            break
        time.sleep(0.002)
    return len(killed)


def kill_marked(mark: str) -> int:
    """Kill every process of this user whose environment holds ``mark`` (Linux; elsewhere none).

    This finds the agent of a worker that was itself killed: nothing is its parent any more.
    """
    return _kill_where(lambda pid: mark.encode() in _environment(pid))


def _kill_where(chosen: Callable[[int], bool]) -> int:
    found = [pid for pid in _pids() if pid != os.getpid() and chosen(pid)]
    for pid in found:
        _kill(pid)
    return len(found)


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def _reap(pid: int) -> None:
    """Collect the end of a process that became our child, so that it does not stay as a zombie."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return  # still the child of another descendant; it comes to us when that one ends


def _pids() -> list[int]:
    if not _PROC.is_dir():
        return []
    return [int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit()]


def _stat(pid: int) -> Stat | None:
    """The name of a program may hold spaces and brackets, so fields are counted from its end."""
    try:
        text = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return Stat(int(fields[1]), fields[0], int(fields[2]), fields[19])


def _environment(pid: int) -> bytes:
    try:
        return (_PROC / str(pid) / "environ").read_bytes()
    except OSError:
        return b""


def _start_time(pid: int) -> str | None:
    if not _PROC.is_dir():
        return _asked(("ps", "-o", "lstart=", "-p", str(pid))) or None
    stat = _stat(pid)
    return stat.start_time if stat and stat.state not in "ZX" else None


@cache
def _boot_id() -> str:
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return _asked(("sysctl", "-n", "kern.bootsessionuuid"))


def _asked(argv: tuple[str, ...]) -> str:
    """What a system program says; both live where no PATH is needed to find them."""
    env = {"PATH": "/usr/sbin:/sbin:/usr/bin:/bin", "LC_ALL": "C"}
    return proc.run(argv, cwd="/", env=env, accept=(0, 1), timeout_s=10).text.strip()
