"""Sessions on this machine, seen by engines that come and go: the real processes, killed."""

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from hyperloop_action.adapters import processes
from hyperloop_action.adapters.local_workers import LocalWorkers, sessions_folder
from hyperloop_action.domain.model import Handle, Worker
from hyperloop_action.domain.orders import ErrorKind, Order, Wants
from hyperloop_action.ports import WorkersSeen
from tests.git_world import Repo
from tests.world.cli import ROOT, until
from tests.world.sessions import Sessions

USAGE = '{"verdict": "pass", "usage": {"cost_usd": 0.25, "turns": 3}}'


def now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


@pytest.fixture
def workers(repo: Repo, tmp_path: Path) -> Iterator[LocalWorkers]:
    env = {**repo.env, "PYTHONPATH": str(ROOT)}
    workers = LocalWorkers(repo.engine(), tmp_path / "sessions", env, now, lambda: False)
    yield workers
    for child in workers._children:
        child.wait()
        for pipe in (child.stdout, child.stderr):
            if pipe:
                pipe.close()


def order(repo: Repo, *acts: str) -> Order:
    return Sessions(repo, repo.path).order(*acts)


def claimed(order: Order) -> Worker:
    """As a cycle that is dead by now has claimed it."""
    dead = msgspec.structs.replace(processes.identity(), start_time="0")
    return Worker(
        order=order.id,
        role=order.role,
        wants=Wants.CHANGES,
        runtime="command",
        run="local",
        started=now(),
        deadline=now() + timedelta(hours=1),
        handle=dead,
    )


def identity(workers: LocalWorkers, order: Order) -> Handle:
    said = (workers.root / order.id / "worker.json").read_bytes()
    return msgspec.json.decode(said, type=Handle)


def test_a_worker_killed_before_its_first_word_is_known_to_be_dead(
    repo: Repo, workers: LocalWorkers
) -> None:
    one = order(repo, "sleep=30")
    workers.start(one)
    os.kill(identity(workers, one).pid, signal.SIGKILL)
    workers.wait([one.id], None)
    assert workers.look([claimed(one)]) == WorkersSeen({}, frozenset(), frozenset({one.id}))


def test_what_a_killed_agent_had_reported_is_still_counted(
    repo: Repo, workers: LocalWorkers
) -> None:
    one = order(repo, f"answer={USAGE}", "say=ready", "sleep=30")
    workers.start(one)
    transcript = workers.root / one.id / "transcript.jsonl"
    assert until(lambda: transcript.exists() and "ready" in transcript.read_text())
    os.kill(identity(workers, one).pid, signal.SIGKILL)
    workers.wait([one.id], None)
    result = workers.look([claimed(one)]).results[one.id]
    assert result.error
    assert result.error.kind is ErrorKind.LOST
    assert (result.usage.cost_usd, result.usage.turns) == (0.25, 3)


def test_two_engines_that_find_the_same_dead_worker_get_the_same_result(
    repo: Repo, workers: LocalWorkers
) -> None:
    one = order(repo, "write=a:1", "say=ready", "sleep=30")
    workers.start(one)
    transcript = workers.root / one.id / "transcript.jsonl"
    assert until(lambda: transcript.exists() and "ready" in transcript.read_text())
    os.kill(identity(workers, one).pid, signal.SIGKILL)
    workers.wait([one.id], None)
    with ThreadPoolExecutor(4) as engines:
        seen = list(engines.map(lambda _: workers.look([claimed(one)]), range(4)))
    assert seen[0].results[one.id].head
    assert seen == [seen[0]] * 4


def test_a_result_that_another_engine_removes_meanwhile_is_not_seen(
    repo: Repo, workers: LocalWorkers
) -> None:
    """It was saved before it was removed, so whoever still reads the old state loses the save."""
    one = order(repo, "write=a:1")
    workers.start(one)
    workers.wait([one.id], None)
    workers.forget([one.id])
    assert workers.look([claimed(one)]) == WorkersSeen({}, frozenset(), frozenset({one.id}))


def test_a_worker_stopped_before_its_first_word_says_so(repo: Repo, workers: LocalWorkers) -> None:
    """Somebody who ends a run has lost nothing: that is no worker which vanished."""
    one = order(repo, "sleep=30")
    workers.start(one)
    workers.stop([one.id])
    workers.wait([one.id], None)
    result = workers.look([claimed(one)]).results[one.id]
    assert result.error
    assert result.error.kind is ErrorKind.INTERRUPTED


def test_what_agents_said_is_kept_and_what_was_abandoned_is_removed(
    workers: LocalWorkers,
) -> None:
    for name in ("task-001-1", "task-002-1", "task-003-1"):
        (workers.root / name).mkdir(parents=True)
        (workers.root / name / "transcript.jsonl").write_text(f"{name}\n")
    os.utime(workers.root / "task-003-1", (0, 0))

    workers.forget(["task-001-1", "task-009-9"])

    assert sorted(path.name for path in workers.root.iterdir()) == ["task-002-1", "transcripts"]
    kept = workers.root / "transcripts" / "task-001-1.jsonl"
    assert workers.transcripts("task-001") == [str(kept)]
    assert kept.read_text() == "task-001-1\n"


@pytest.mark.parametrize(
    ("env", "shared_by", "folder"),
    [
        ({"HOME": "/home/ada"}, "/src/shop/.git", "/home/ada/.cache/hyperloop/shop-"),
        ({"XDG_CACHE_HOME": "/c"}, "git@host:org/shop.git", "/c/hyperloop/shop-"),
        ({"HYPERLOOP_WORK_DIR": "/w"}, "https://host/org/shop", "/w/shop-"),
    ],
)
def test_clones_of_one_remote_share_a_folder_outside_of_all_of_them(
    env: dict[str, str], shared_by: str, folder: str
) -> None:
    assert str(sessions_folder(env, shared_by))[:-12] == folder
    assert sessions_folder(env, shared_by) == sessions_folder(env, shared_by)
    assert sessions_folder(env, shared_by) != sessions_folder(env, shared_by + "x")
