"""Locks of refs that were left behind, as the next engine meets them."""

import os
import time
from pathlib import Path

import msgspec
import pytest

from hyperloop_action.adapters import processes
from hyperloop_action.adapters.git_locks import moving
from hyperloop_action.adapters.git_refs import move_refs
from hyperloop_action.domain.commits import RefMove
from hyperloop_action.errors import TransientError
from tests.git_world import Repo

REF = "refs/heads/hyperloop/task-1"


def left_behind(repo: Repo, *, age_s: float) -> Path:
    lock = repo.path / ".git" / f"{REF}.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    lock.touch()
    os.utime(lock, (time.time() - age_s,) * 2)
    return lock


def note(repo: Repo, *, age_s: float, dead: bool) -> Path:
    """As an engine leaves it that was killed while git moved refs for it."""
    handle = processes.identity()
    handle = msgspec.structs.replace(handle, start_time="0") if dead else handle
    path = repo.path / ".git" / "hyperloop-1.moving"
    path.write_bytes(msgspec.json.encode(handle))
    os.utime(path, (time.time() - age_s,) * 2)
    return path


def move(repo: Repo) -> None:
    move_refs(repo.engine(), [RefMove(REF, None, repo.tip())])


def test_a_lock_of_an_engine_that_was_killed_holds_nobody_up(repo: Repo) -> None:
    note(repo, age_s=3, dead=True)
    lock = left_behind(repo, age_s=2)
    move(repo)
    assert repo.tip(REF) == repo.tip()
    assert not lock.exists()


@pytest.mark.parametrize(
    ("note_age_s", "dead", "lock_age_s"),
    [(3.0, False, 2.0), (1.5, True, 2.0), (3.0, True, 0.0)],
    ids=["the engine lives", "older than what the engine did", "its git may still work"],
)
def test_a_lock_that_may_be_of_somebody_alive_stays(
    repo: Repo, note_age_s: float, dead: bool, lock_age_s: float
) -> None:
    note(repo, age_s=note_age_s, dead=dead)
    lock = left_behind(repo, age_s=lock_age_s)
    with pytest.raises(TransientError, match="has been held for"):
        move(repo)
    assert lock.exists()


def test_a_note_is_there_only_while_refs_move_and_an_old_one_goes(repo: Repo) -> None:
    old = note(repo, age_s=3600, dead=True)
    with moving(repo.engine()):
        assert len(list((repo.path / ".git").glob("hyperloop-*.moving"))) == 2
    assert list((repo.path / ".git").glob("hyperloop-*.moving")) == []
    assert not old.exists()
