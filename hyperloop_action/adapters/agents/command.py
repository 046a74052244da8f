"""Any executable as an agent: prompt on standard input, answer in a JSON file, and an exit code.

``supervisor.py`` starts what :meth:`Command.launch` says, and asks :meth:`Command.judge` after it.
"""

import os
import shutil
import stat
from collections.abc import Mapping
from pathlib import Path

import msgspec

from hyperloop_action.adapters.proc import CommandMissing
from hyperloop_action.domain.orders import (
    Answer,
    ErrorKind,
    Order,
    RuntimeSpec,
    SessionError,
    Usage,
    Wants,
)
from hyperloop_action.domain.outcome import stopped_error
from hyperloop_action.domain.sessions import Ended, Launch, Session, SessionFiles
from hyperloop_action.errors import UsageError

MAX_ANSWER = 1 << 20
"""Bytes of an answer file; no answer that a person could read is longer."""

LAST_WORDS = 2000
"""Characters of standard error in the message about an agent that failed."""


class UnusableAnswer(Exception):
    """What is in the place of the answer is none; the text says why."""


class _Written(msgspec.Struct, frozen=True):
    """The part of the file beside the answer: what the session cost, if the agent knows it."""

    usage: Usage = Usage()


class Command:
    """The ``command`` runtime. An answer counts only with exit code 0: what a failing program wrote
    may be half of what it meant."""

    name = "command"
    passes: frozenset[str] = frozenset()

    def check(
        self,
        runtime: RuntimeSpec,
        cwd: Path,  # noqa: ARG002  # a program with a `/` is the clone's, and there is none yet
        env: Mapping[str, str],
    ) -> None:
        """A program that is looked for on PATH has to be there."""
        program = runtime.command[0] if runtime.command else ""
        if program and "/" not in program and not shutil.which(program, path=env.get("PATH")):
            hint = f"install {program}, or put it on PATH"
            raise CommandMissing(f"`{program}`, the agent's command, was not found", hint=hint)

    def launch(
        self,
        order: Order,
        files: SessionFiles,
        env: Mapping[str, str],  # noqa: ARG002  # other runtimes look for their program in it
    ) -> Launch:
        """The program is looked for on PATH, or (with a ``/``) from the clone's top.
        Raises :class:`UsageError` for an order without a command."""
        if not order.runtime.command:
            raise UsageError(
                f"order {order.id} names no command",
                expected="a list of words",
                hint="set `command:` of the runtime, for example [python3, tools/agent.py]",
            )
        variables = {
            "HYPERLOOP_PROMPT_FILE": str(files.prompt),
            "HYPERLOOP_ORDER_FILE": str(order_copy(files)),
            "HYPERLOOP_RESULT_FILE": str(files.answer),
            "HYPERLOOP_ROLE": order.role,
            "HYPERLOOP_TASK": order.task or "",
        }
        return Launch(order.runtime.command, order.prompt.encode(), variables)

    def judge(self, order: Order, files: SessionFiles, ended: Ended) -> Session:
        try:
            found = read_answer(files.answer)
        except UnusableAnswer as unusable:
            found, reason = None, str(unusable)
        else:
            reason = ""
        usage = found[1] if found else Usage()
        if ended.stopped:
            return Session(None, usage, error=stopped_error(ended, order))
        if ended.code:
            return Session(None, usage, error=_crashed(order, ended))
        if reason:
            return Session(None, usage, error=_error(ErrorKind.BAD_ANSWER, reason))
        if found is None and order.wants in (Wants.VERDICT, Wants.PROPOSALS):
            return Session(None, usage, error=_error(ErrorKind.NO_RESULT, "it left no answer"))
        return Session(found[0] if found else None, usage)


def order_copy(files: SessionFiles) -> Path:
    """``$HYPERLOOP_ORDER_FILE``: a copy that the agent may read, and spoil."""
    return files.prompt.with_name("order.json")


def read_answer(path: Path) -> tuple[Answer, Usage] | None:
    """The answer, and the usage that may stand beside it; None without a file.
    Raises :class:`UnusableAnswer`."""
    data = _read(path)
    if data is None:
        return None
    try:
        return msgspec.json.decode(data, type=Answer), _usage(data)
    except msgspec.DecodeError as error:
        raise UnusableAnswer(
            f"its answer is not of the form that was asked for: {error}"
        ) from error
    except RecursionError as error:
        raise UnusableAnswer("its answer is nested too deeply") from error


def _read(path: Path) -> bytes | None:
    """Never waits, and follows no link: a pipe or a link in this place was planted."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UnusableAnswer(f"its answer cannot be read: {error.strerror}") from error
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise UnusableAnswer("its answer is not a regular file")
        data = file.read(MAX_ANSWER + 1)
    if len(data) > MAX_ANSWER:
        raise UnusableAnswer(f"its answer is longer than {MAX_ANSWER >> 20} MiB")
    return data


def _usage(data: bytes) -> Usage:
    """Never negative: spend must not go down by what an agent says."""
    usage = msgspec.json.decode(data, type=_Written).usage
    numbers = (usage.cost_usd, usage.turns, usage.input_tokens, usage.output_tokens)
    return usage if all(number >= 0 for number in numbers) else Usage()


def _crashed(order: Order, ended: Ended) -> SessionError:
    how = f"signal {-ended.code}" if ended.code < 0 else f"exit code {ended.code}"
    said = ended.stderr.decode("utf-8", "replace").strip()[-LAST_WORDS:]
    message = f"`{order.runtime.command[0]}` ended with {how}" + (f": {said}" if said else "")
    return _error(ErrorKind.CRASHED, message)


def _error(kind: ErrorKind, message: str) -> SessionError:
    return SessionError(kind=kind, message=message)
