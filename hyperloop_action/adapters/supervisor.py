"""One work order -> one result: the whole of ``hyperloop work ORDER --out DIR``.

It runs in a process of its own, so that it survives the engine that started it; ``worker.json``
says which. ``local_workers.py`` calls :func:`salvage` for a worker that died without a result.
"""

import fcntl
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import msgspec

from hyperloop_action.adapters import processes
from hyperloop_action.adapters.checks import run_checks
from hyperloop_action.adapters.clones import Start, Workshop, borrow, prepare, remove, write_whole
from hyperloop_action.adapters.harvest import Harvester, has_markers
from hyperloop_action.adapters.isolation import Interrupts, Limits, run_isolated
from hyperloop_action.adapters.proc import CommandMissing
from hyperloop_action.adapters.redaction import Redactor
from hyperloop_action.adapters.transcript import Transcript
from hyperloop_action.adapters.untrusted import CloneGone
from hyperloop_action.domain.environment import (
    agent_environment,
    forbidden,
    passed,
    secret_values,
)
from hyperloop_action.domain.model import Handle
from hyperloop_action.domain.orders import (
    ErrorKind,
    Order,
    Result,
    SessionError,
    Usage,
    Verdict,
    Wants,
    decode_order,
    decode_result,
    encode,
)
from hyperloop_action.domain.outcome import Harvest, settle, stopped_error
from hyperloop_action.domain.sessions import Ended, Session, SessionFiles
from hyperloop_action.errors import HyperloopError, UsageError
from hyperloop_action.ports import Runtime

KEEPS_CHANGES = frozenset({Wants.CHANGES, Wants.RULES})

ORDER_COPY = "order.json"

WORKER = "worker.json"
"""Which process executes the order of this folder."""

LAST_SAID = 4 << 20
"""Bytes at the end of a transcript in which a killed agent's bill is looked for."""


def work(
    order: Order,
    repository: Path,
    out: Path,
    runtime: Runtime,
    env: Mapping[str, str],
    *,
    on_line: Callable[[str], None] | None = None,
) -> Result:
    """Execute an order, and leave ``result.json`` in ``out`` as the last thing of all.

    ``env`` is the caller's environment, of which the agent gets what an allow-list names.
    ``on_line`` gets every redacted line that the agent prints. Whatever goes wrong with the session
    is a result; a result that is there already is given back, and nothing runs.
    """
    files = SessionFiles(out.resolve())
    files.root.mkdir(parents=True, exist_ok=True)
    found = _result(files, order)
    if found:
        return found
    write_whole(files.root / WORKER, msgspec.json.encode(processes.identity()))
    write_whole(files.order, encode(order))
    processes.become_subreaper()
    with Interrupts() as interrupts:
        session = _Supervised(order, repository, files, runtime, env, interrupts)
        result = session.run(on_line)
        return _leave(files, result)


def salvage(
    out: Path,
    repository: Path,
    env: Mapping[str, str] | None = None,
    runtimes: Mapping[str, Runtime] = MappingProxyType({}),
) -> Result | None:
    """The result of a worker that was killed: an error of kind ``lost`` with its work in progress.

    None when the worker still lives, or may live elsewhere, or has not come so far as to have a
    clone. ``env`` serves to find the values of credentials in what is kept, as in :func:`work`;
    ``runtimes`` (by name) know what its agent said that it cost.
    """
    files = SessionFiles(out.resolve())
    try:
        order = decode_order(files.order.read_bytes(), str(files.order))
        worker = msgspec.json.decode((files.root / WORKER).read_bytes(), type=Handle)
    except (OSError, msgspec.DecodeError, UsageError):
        return None
    with _alone(files.root):
        found = _result(files, order)
        if found or processes.is_alive(worker) is not False:
            return found
        return _rescue(order, files, repository, env or {}, runtimes)


def _rescue(
    order: Order,
    files: SessionFiles,
    repository: Path,
    env: Mapping[str, str],
    runtimes: Mapping[str, Runtime],
) -> Result | None:
    workshop = Workshop(files, env)
    if not workshop.start.exists():
        return None
    processes.kill_marked(f"={files.home}")
    for lock in [*workshop.harvest.rglob("*.lock"), *files.root.glob("*.lock")]:
        lock.unlink()
    borrow(repository, workshop)
    start = msgspec.json.decode(workshop.start.read_bytes(), type=Start)
    redactor = Redactor(secret_values(passed(env, start.passed)))
    usage = _bill(order, files, runtimes)
    harvest = _bring_home(order, start, workshop, redactor)
    message = "the worker was killed; its work in progress was kept"
    error = SessionError(kind=ErrorKind.LOST, message=message)
    ended = Ended(-9, None, 0.0, b"", b"")
    return _leave(files, settle(order, Session(None, usage, error=error), ended, harvest))


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Two engines may find the same dead worker; the second one gets the first one's result. The
    kernel gives this lock back when its owner dies."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _bill(order: Order, files: SessionFiles, runtimes: Mapping[str, Runtime]) -> Usage:
    """What a killed worker's agent had reported: it is paid for, whatever becomes of its answer."""
    runtime = runtimes.get(order.runtime.name)
    if runtime is None or not files.transcript.exists():
        return Usage()
    with files.transcript.open("rb") as transcript:
        transcript.seek(max(files.transcript.stat().st_size - LAST_SAID, 0))
        said = transcript.read()
    return runtime.judge(order, files, Ended(-9, "signal", 0.0, said, b"")).usage


@dataclass(frozen=True, slots=True)
class _Supervised:
    """One session, from its clone to its result."""

    order: Order
    repository: Path
    files: SessionFiles
    runtime: Runtime
    env: Mapping[str, str]
    interrupts: Interrupts

    def run(self, on_line: Callable[[str], None] | None) -> Result:
        began = time.monotonic()
        redactor = Redactor(secret_values(passed(self.env, self._names)))
        transcript = Transcript(self.files.transcript, redactor, on_line)
        limits = Limits(began + self.order.runtime.timeout_s, self.interrupts, transcript)
        try:
            result = self._session(limits, redactor)
        except (HyperloopError, OSError) as error:  # TimeoutError is one of the latter
            result = self._failed(error, time.monotonic() - began)
        finally:
            transcript.close()
        return _redacted(result, redactor)

    @property
    def _names(self) -> tuple[str, ...]:
        return tuple(sorted(self.runtime.passes.union(self.order.runtime.env)))

    def _session(self, limits: Limits, redactor: Redactor) -> Result:
        self._refuse_forbidden()
        workshop = Workshop(self.files, self.env)
        start = prepare(self.order, self.repository, workshop, self._names)
        if self.order.wants is Wants.VERDICT:
            findings = self._before_verifier(start, workshop, limits, redactor)
            if findings:
                return self._rejected(findings)
        session, ended = self._agent(limits)
        self.interrupts.shield()
        harvest = _bring_home(self.order, start, workshop, redactor)
        return settle(self.order, session, ended, harvest)

    def _refuse_forbidden(self) -> None:
        for name in self.order.runtime.env:
            reason = forbidden(name)
            if reason:
                raise UsageError(
                    f"the runtime's `env` names {name}, which no agent may have: {reason}",
                    hint="take it out of `env`; agents get credentials of their own",
                )

    def _before_verifier(
        self, start: Start, workshop: Workshop, limits: Limits, redactor: Redactor
    ) -> list[str]:
        """What fails the branch without anybody being paid for reading it."""
        marked = [path for path in start.conflicts if has_markers(self.files.clone / path)]
        if start.pending or marked:
            names = ", ".join(f"`{path}`" for path in marked or start.conflicts)
            return [f"The branch conflicts with the base branch in {names}."]
        env = agent_environment(self.env, (), self.files.home, self.files.tmp)
        return run_checks(self.order.base, workshop, env, limits, redactor)

    def _agent(self, limits: Limits) -> tuple[Session, Ended]:
        if self.interrupts.seen:
            ended = Ended(-15, "signal", 0.0, b"", b"")
            return Session(None, Usage(), error=stopped_error(ended, self.order)), ended
        env = agent_environment(self.env, self._names, self.files.home, self.files.tmp)
        self.files.prompt.write_text(self.order.prompt, encoding="utf-8")
        self.files.prompt.with_name(ORDER_COPY).write_bytes(encode(self.order))
        launch = self.runtime.launch(self.order, self.files, env)
        ended = run_isolated(launch, self.files.clone, env | launch.env, limits)
        return self.runtime.judge(self.order, self.files, ended), ended

    def _rejected(self, findings: Sequence[str]) -> Result:
        detail = "\n\n".join(findings)
        if self.interrupts.seen:
            return self._error(ErrorKind.INTERRUPTED, "it was stopped while its checks ran")
        return Result(order=self.order.id, outcome="done", verdict=Verdict.FAIL, detail=detail)

    def _failed(self, error: HyperloopError | OSError, duration_s: float) -> Result:
        if self.interrupts.seen:
            return self._error(ErrorKind.INTERRUPTED, "it was stopped by a signal", duration_s)
        kind = ErrorKind.NO_CLI if isinstance(error, CommandMissing) else ErrorKind.CRASHED
        message = error.line if isinstance(error, HyperloopError) else str(error)
        return self._error(kind, message, duration_s)

    def _error(self, kind: ErrorKind, message: str, duration_s: float = 0.0) -> Result:
        error = SessionError(kind=kind, message=message)
        usage = Usage(duration_s=round(duration_s, 3))
        return Result(order=self.order.id, outcome="error", usage=usage, error=error)


def _bring_home(order: Order, start: Start, workshop: Workshop, redactor: Redactor) -> Harvest:
    if order.wants not in KEEPS_CHANGES:
        return Harvest()
    try:
        return Harvester(order, start, workshop, redactor).harvest()
    except CloneGone as gone:
        return Harvest(findings=(f"Nothing could be kept: {gone.what}.",))


def _redacted(result: Result, redactor: Redactor) -> Result:
    """Once more over everything that leaves: an error may quote what an agent printed."""
    plain = redactor.deep(msgspec.to_builtins(result))
    return msgspec.convert(plain, type=Result)


def _result(files: SessionFiles, order: Order) -> Result | None:
    if not files.result.exists():
        return None
    result = decode_result(files.result.read_bytes(), str(files.result))
    return result if result.order == order.id else None


def _leave(files: SessionFiles, result: Result) -> Result:
    """Write the result, then remove what only the session needed: a folder that is uploaded or kept
    must not hold what was taken out of the commits."""
    write_whole(files.result, encode(result))
    workshop = Workshop(files, {})
    for folder in (files.clone.parent, workshop.harvest):
        if folder.is_symlink():
            folder.unlink()
        elif folder.exists():
            remove(folder)
    for path in (workshop.index, workshop.start):
        path.unlink(missing_ok=True)
    return result
