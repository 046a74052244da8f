"""Runs a program that is not trusted: in a session of its own, with a deadline and bounded output.

``supervisor.py`` starts agents here, ``checks.py`` checks. What such a program leaves behind is
killed before anybody looks at its files, so that nothing changes under the reader's hands.
"""

import math
import os
import selectors
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import IO, Literal, Self

from hyperloop_action.adapters import proc, processes
from hyperloop_action.adapters.transcript import Stream, Transcript
from hyperloop_action.domain.sessions import Ended, Launch

POLL_S = 0.1
"""How late a deadline, a signal, or the end of a program that left its pipes to others is seen."""

GRACE_S = 10.0
"""From SIGTERM to SIGKILL when the deadline has passed."""

GRACE_ON_SIGNAL_S = 3.0
"""The same when we are stopped: a runner kills us 10 s after its first signal, and the work in
progress has to be brought home in that time."""

_DRAIN_S = 1.0
_CHUNK = 1 << 16

Stopped = Literal["timeout", "signal"]


class Interrupts:
    """While in force, SIGINT and SIGTERM are remembered instead of ending this process.

    Outside the main thread, where Python cannot set handlers, nothing changes.
    """

    def __init__(self) -> None:
        self.seen = False
        self._old: dict[signal.Signals, object] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._old[number] = signal.signal(number, self._remember)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, self._old)  # see :func:`held`
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._old.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal() gave us

    def shield(self) -> None:
        """From here on nothing stops us: the work is brought home. A new process is in our group
        for a moment, and would be ended by a signal to it, so the signals are ignored."""
        for number in self._old:
            signal.signal(number, signal.SIG_IGN)

    def _remember(self, _number: int, _frame: FrameType | None) -> None:
        self.seen = True


@contextmanager
def held() -> Iterator[None]:
    """A program that is started in here gets SIGINT and SIGTERM only when it is ready for them: as
    it enters :class:`Interrupts`. Before that they would end it without a word."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@dataclass(frozen=True, slots=True)
class Limits:
    """When a program is stopped, at ``deadline`` (of ``time.monotonic``) or when asked to; and who
    reads what it says."""

    deadline: float
    interrupts: Interrupts
    transcript: Transcript


def run_isolated(launch: Launch, cwd: Path, env: Mapping[str, str], limits: Limits) -> Ended:
    """Run a program to its end, and end with it all that it started.

    This process takes every new child that it has for one of the program's: start no other program
    meanwhile. Raises :class:`CommandMissing`, ``OSError`` when it cannot be started.
    """
    before = processes.descendants(os.getpid())
    began = time.monotonic()
    with tempfile.TemporaryFile() as stdin:  # a pipe would block us when the program does not read
        stdin.write(launch.stdin)
        stdin.seek(0)
        child = proc.popen(
            launch.argv, cwd=cwd, env=env, stdin=stdin, stdout=proc.PIPE, new_session=True
        )
    watch = _Watch(child, limits)
    try:
        pump = _Pump(child, limits.transcript)
        pump.until(watch.has_ended)
    finally:
        processes.kill_group(child.pid)
        child.wait()
        processes.kill_new_descendants(before)
    give_up = time.monotonic() + _DRAIN_S
    pump.until(lambda: time.monotonic() > give_up)
    stdout, stderr = pump.close()
    return Ended(child.returncode, watch.stopped, time.monotonic() - began, stdout, stderr)


class _Watch:
    """Asked at every turn whether the program has ended; stops it when its time has come."""

    def __init__(self, child: proc.Child, limits: Limits) -> None:
        self._child = child
        self._limits = limits
        self._kill_at = math.inf
        self.stopped: Stopped | None = None

    def has_ended(self) -> bool:
        if self._child.poll() is not None:
            return True
        now = time.monotonic()
        if self._limits.interrupts.seen:
            self._stop("signal", now + GRACE_ON_SIGNAL_S)
        elif now >= self._limits.deadline:
            self._stop("timeout", now + GRACE_S)
        if now >= self._kill_at:
            processes.kill_group(self._child.pid)
        return False

    def _stop(self, why: Stopped, kill_at: float) -> None:
        if self.stopped is None:
            self.stopped = why
            processes.kill_group(self._child.pid, signal.SIGTERM)
        self._kill_at = min(kill_at, self._kill_at)  # a signal shortens the grace of a time-out


class _Pump:
    """Carries what arrives on both pipes into the transcript."""

    def __init__(self, child: proc.Child, transcript: Transcript) -> None:
        self._child = child
        self._selector = selectors.DefaultSelector()
        self._streams = (transcript.stream("stdout"), transcript.stream("stderr"))
        for pipe, stream in zip((child.stdout, child.stderr), self._streams, strict=True):
            if pipe is None:
                raise ValueError("the program was started without pipes")
            os.set_blocking(pipe.fileno(), False)
            self._selector.register(pipe, selectors.EVENT_READ, (pipe, stream))

    def until(self, done: Callable[[], bool]) -> None:
        """Until ``done`` says so; without open pipes, until the program itself has ended."""
        while not done():
            if not self._selector.get_map():
                if self._child.returncode is not None:
                    return
                time.sleep(POLL_S / 10)
                continue
            for key, _ in self._selector.select(POLL_S):
                self._read(*key.data)

    def close(self) -> tuple[bytes, bytes]:
        for key in tuple(self._selector.get_map().values()):
            pipe, _ = key.data
            pipe.close()
        self._selector.close()
        stdout, stderr = (stream.close() for stream in self._streams)
        return stdout, stderr

    def _read(self, pipe: IO[bytes], stream: Stream) -> None:
        data = os.read(pipe.fileno(), _CHUNK)
        if data:
            stream.feed(data)
        else:
            self._selector.unregister(pipe)
            pipe.close()
