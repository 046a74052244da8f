"""The one door to other programs: run a command to its end, with everything about a failure kept.

Long-lived agents are started by ``supervisor.py`` through :func:`popen` here.
"""

import os
import subprocess
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from hyperloop_action.errors import HyperloopError

PIPE = subprocess.PIPE

Child = subprocess.Popen[bytes]
"""A program that was started and not waited for."""

started: Counter[str] = Counter()
"""How many programs of each name this process started; the benches and tests read it."""


@dataclass(frozen=True, slots=True)
class Completed:
    argv: tuple[str, ...]
    cwd: str
    code: int
    stdout: bytes
    stderr: bytes
    duration_s: float

    @property
    def text(self) -> str:
        """Standard output without its last newline; bytes that are not UTF-8 are kept as
        escapes."""
        return self.stdout.decode("utf-8", "surrogateescape").removesuffix("\n")

    @property
    def complaint(self) -> str:
        """Standard error as a person should read it."""
        return self.stderr.decode("utf-8", "replace").strip()


class CommandFailed(HyperloopError):
    """A program ended with a code that its caller did not expect."""

    def __init__(self, completed: Completed) -> None:
        self.completed = completed
        command = " ".join(completed.argv)
        super().__init__(
            f"`{command}` ended with code {completed.code} after {completed.duration_s:.1f} s"
            f" in {completed.cwd}:\n{completed.complaint or completed.text}"
        )


class CommandMissing(HyperloopError):
    """The program is not on PATH."""

    exit_code = 2


def run(
    argv: Sequence[str | os.PathLike[str]],
    *,
    cwd: str | os.PathLike[str],
    env: Mapping[str, str],
    stdin: bytes = b"",
    accept: Sequence[int] = (0,),
    timeout_s: float | None = None,
    new_session: bool = False,
) -> Completed:
    """Run ``argv`` to its end. Raises :class:`CommandFailed` for a code outside ``accept``,
    :class:`CommandMissing` when there is no such program, ``TimeoutError`` after ``timeout_s``."""
    words = tuple(os.fspath(word) for word in argv)
    began = time.monotonic()
    process = popen(words, cwd=cwd, env=env, stdin=PIPE, stdout=PIPE, new_session=new_session)
    with process:
        try:
            stdout, stderr = process.communicate(stdin, timeout=timeout_s)
        except subprocess.TimeoutExpired as expired:
            process.kill()
            raise TimeoutError(f"`{' '.join(words)}` did not end within {timeout_s} s") from expired
        except BaseException:
            process.kill()
            raise
    completed = Completed(
        words, os.fspath(cwd), process.returncode, stdout, stderr, time.monotonic() - began
    )
    if completed.code not in accept:
        raise CommandFailed(completed)
    return completed


def popen(
    argv: Sequence[str],
    *,
    cwd: str | os.PathLike[str],
    env: Mapping[str, str],
    stdin: int | IO[bytes] = subprocess.DEVNULL,
    stdout: int | IO[bytes] = subprocess.DEVNULL,
    stderr: int | IO[bytes] = subprocess.PIPE,
    new_session: bool = False,
) -> Child:
    """Start ``argv`` and return at once. Raises :class:`CommandMissing`, ``NotADirectoryError``."""
    started[Path(argv[0]).name] += 1
    try:
        return subprocess.Popen(
            argv,
            cwd=cwd,
            env=dict(env),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            start_new_session=new_session,
        )
    except FileNotFoundError as error:
        if not Path(cwd).is_dir():
            raise NotADirectoryError(f"{cwd} is not a directory") from error
        raise CommandMissing(
            f"`{argv[0]}` was not found", hint=f"install {argv[0]}, or put it on PATH"
        ) from error
