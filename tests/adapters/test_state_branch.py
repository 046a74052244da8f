"""The state branch as a store: nothing of the user's is touched, no write is lost."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hyperloop_action.adapters.git import Git
from hyperloop_action.adapters.state_branch import StateBranch
from hyperloop_action.domain.commits import RefMove
from hyperloop_action.errors import CheckedOut, Moved, TransientError
from tests.git_world import Repo

STATE = "hyperloop-state"
REF = f"refs/heads/{STATE}"
TASK = "refs/heads/hyperloop/task-1"
ODD = 'tasks/a "quoted" ünï/名前.md'


@pytest.fixture(params=["alone", "bare", "remote", "shallow"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Repo, Repo, str | None]:
    """Where we run, where the state is, and the name of the remote."""
    repo: Repo = request.getfixturevalue("repo")
    origin: Repo = request.getfixturevalue("origin")
    match request.param:
        case "alone":
            return repo, repo, None
        case "bare":
            return origin, origin, None
        case "remote":
            return origin.clone(tmp_path / "clone"), origin, "origin"
        case _:
            return origin.clone(tmp_path / "clone", "--depth=1"), origin, "origin"


def test_what_was_written_is_read_back_without_the_archive(
    place: tuple[Repo, Repo, str | None], now: datetime
) -> None:
    here, there, remote = place
    state = StateBranch(here.engine(remote), STATE)
    assert state.read() == (None, {})

    one = state.write(None, {ODD: "ö\n".encode(), "README.md": b"board"}, "cycle 1", now)
    changes = {"README.md": None, "state.yaml": b"n: 2", "archive/1/x.md": b"old"}
    two = state.write(one, changes, "cycle 2", now)

    assert state.read() == (two, {ODD: "ö\n".encode(), "state.yaml": b"n: 2"})
    assert there.git("log", "--format=%H %s", STATE) == f"{two} cycle 2\n{one} cycle 1"
    assert there.tip("main") == here.tip("HEAD")


def test_a_folder_of_the_archive_is_read_when_somebody_asks(
    place: tuple[Repo, Repo, str | None], now: datetime
) -> None:
    here, _, remote = place
    state = StateBranch(here.engine(remote), STATE)
    assert state.read_folder("archive/1") == {}
    files: dict[str, bytes | None] = {"archive/1/x.md": b"x", "archive/10/y.md": b"y", "a": b"a"}

    state.write(None, files, "m", now)

    assert state.read_folder("archive/1") == {"archive/1/x.md": b"x"}
    assert state.read_folder("archive/2") == {}


def test_a_shallow_clone_takes_the_tip_of_the_state_without_its_history_and_can_write_on_it(
    clone: Repo, origin: Repo, now: datetime, tmp_path: Path
) -> None:
    full = StateBranch(clone.engine("origin"), STATE)
    tip = None
    for n in range(3):
        tip = full.write(tip, {"n": b"%d" % n}, "m", now)
    shallow = origin.clone(tmp_path / "shallow", "--depth=1")
    state = StateBranch(shallow.engine("origin"), STATE)

    assert state.read() == (tip, {"n": b"2"})
    assert shallow.git("rev-list", "--count", f"origin/{STATE}") == "1"
    state.write(tip, {"n": b"3"}, "m", now)
    assert full.read()[1] == {"n": b"3"}
    assert origin.git("rev-list", "--count", STATE) == "4"


def test_a_read_takes_two_processes_and_a_write_two_or_three(
    place: tuple[Repo, Repo, str | None], now: datetime, git_processes: Callable[[], int]
) -> None:
    here, _, remote = place
    state = StateBranch(here.engine(remote), STATE)
    tip = state.write(None, {f"tasks/{n}.md": b"%d" % n for n in range(300)}, "m", now)
    git_processes()

    state.read(tip)
    assert git_processes() == 2
    state.write(tip, {"a": b"a"}, "m", now)
    assert git_processes() == (2 if remote else 3)  # alone it also looks for checkouts


def test_nothing_changed_is_nothing_written(
    place: tuple[Repo, Repo, str | None], now: datetime
) -> None:
    here, there, remote = place
    state = StateBranch(here.engine(remote), STATE)
    tip = state.write(None, {"a": b"a"}, "m", now)

    again = [state.write(tip, same, "m", now) for same in ({}, {"a": b"a"}, {"gone": None})]

    assert again == [tip, tip, tip]
    assert there.git("rev-list", "--count", STATE) == "1"


def test_task_branches_move_with_the_state_or_not_at_all(
    place: tuple[Repo, Repo, str | None], now: datetime
) -> None:
    here, there, remote = place
    base = here.tip("HEAD")
    state = StateBranch(here.engine(remote), STATE)

    tip = state.write(None, {"a": b"1"}, "m", now, [RefMove(TASK, None, base)])
    with pytest.raises(Moved, match=r"hyperloop/task-1"):
        state.write(tip, {"a": b"2"}, "m", now, [RefMove(TASK, None, tip)])
    with pytest.raises(Moved, match=STATE):
        state.write(None, {"a": b"3"}, "m", now, [RefMove(TASK, base, None)])

    assert (there.tip(STATE), there.tip(TASK)) == (tip, base)
    assert state.write(tip, {}, "m", now, [RefMove(TASK, base, None)]) == tip
    assert there.git("branch", "--list", "hyperloop/*") == ""


def test_a_write_leaves_everything_of_the_person_byte_for_byte(repo: Repo, now: datetime) -> None:
    repo.write({"src/app.py": "stashed"})
    repo.git("stash", "--quiet")
    repo.write({"src/app.py": "not staged", "staged.txt": "staged", "secret.env": "untracked"})
    repo.git("add", "staged.txt")
    before = repo.personal_state()
    state = StateBranch(repo.engine(), STATE)

    tip = state.write(None, {"a": b"a"}, "m", now)
    state.write(tip, {"b": b"b"}, "m", now)
    state.read()

    ours = {f".git/{REF}", f".git/logs/{REF}"}
    assert {k: v for k, v in repo.personal_state().items() if k not in ours} == before


def test_hooks_of_the_repository_are_not_run(repo: Repo, now: datetime) -> None:
    for name in ("reference-transaction", "pre-push", "post-commit"):
        hook = repo.path / ".git/hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\ntouch {repo.path}/ran-{name}\nexit 1\n")
        hook.chmod(0o755)

    StateBranch(repo.engine(), STATE).write(None, {"a": b"a"}, "m", now)

    assert list(repo.path.glob("ran-*")) == []


def test_a_state_branch_that_somebody_has_checked_out_is_not_moved_under_them(
    repo: Repo, now: datetime, tmp_path: Path
) -> None:
    state = StateBranch(repo.engine(), STATE)
    tip = state.write(None, {"a": b"a"}, "m", now)
    repo.git("worktree", "add", "--quiet", str(tmp_path / "state"), STATE)

    with pytest.raises(CheckedOut) as caught:
        state.write(tip, {"a": b"b"}, "m", now)

    assert caught.value.places == {REF: str(tmp_path / "state")}
    assert repo.tip(STATE) == tip


def test_the_history_of_a_task_is_found_by_its_trailer(
    place: tuple[Repo, Repo, str | None], now: datetime
) -> None:
    here, _, remote = place
    state = StateBranch(here.engine(remote), STATE)
    assert state.history() == []
    tip = None
    for n in (1, 10, 1):
        count = str(len(state.history())).encode()
        tip = state.write(tip, {"n": count}, f"cycle\n\nTask-Ref: task-{n}", now)

    found = state.history(grep="^Task-Ref: task-1$")

    assert [c.trailers for c in found] == [{"Task-Ref": ("task-1",)}] * 2
    assert len(state.history(limit=1)) == 1


def test_a_repeated_push_of_the_same_commit_succeeds_after_its_client_was_killed(
    clone: Repo, origin: Repo, now: datetime
) -> None:
    """The server has moved the ref and is still in its hook when the client dies."""
    state = StateBranch(clone.engine("origin"), STATE)
    first = state.write(None, {"a": b"1"}, "m", now)
    hook = origin.path / "hooks/post-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {origin.path}/moved\nsleep 2\n")
    hook.chmod(0o755)
    write = (
        "from datetime import datetime; import sys; from pathlib import Path\n"
        "from tests.git_world import Repo; import json, os\n"
        "from hyperloop_action.adapters.state_branch import StateBranch\n"
        "repo = Repo(Path(sys.argv[1]), json.loads(sys.argv[2]))\n"
        "StateBranch(repo.engine('origin'), 'hyperloop-state').write(\n"
        "    sys.argv[3], {'a': b'2'}, 'm', datetime.fromisoformat(sys.argv[4]))\n"
    )
    args = [str(clone.path), json.dumps(dict(clone.env)), str(first), now.isoformat()]
    client = subprocess.Popen([sys.executable, "-c", write, *args], start_new_session=True)
    _wait_for(origin.path / "moved")
    os.killpg(client.pid, signal.SIGKILL)
    client.wait()
    hook.unlink()

    again = state.write(first, {"a": b"2"}, "m", now)

    assert state.read() == (again, {"a": b"2"})
    assert origin.git("rev-list", "--count", STATE) == "2"


def _wait_for(file: Path) -> None:
    deadline = time.monotonic() + 20
    while not file.exists():
        assert time.monotonic() < deadline, f"{file} did not appear"
        time.sleep(0.02)


@pytest.mark.parametrize("remote", [None, "origin"])
def test_of_many_writers_none_loses_an_acknowledged_write(
    repo: Repo, origin: Repo, tmp_path: Path, remote: str | None
) -> None:
    """Each of 4 processes adds 6 files of its own; every add that returned must be in the end."""
    context = multiprocessing.get_context("fork")
    places = [origin.clone(tmp_path / f"c{n}") if remote else repo for n in range(4)]
    writers = [
        context.Process(target=_add_files, args=(place, remote, n, tmp_path / f"done-{n}"))
        for n, place in enumerate(places)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)

    _, files = StateBranch(places[0].engine(remote), STATE).read()
    acknowledged = [line for f in tmp_path.glob("done-*") for line in f.read_text().split()]
    there = origin if remote else repo
    assert [writer.exitcode for writer in writers] == [0, 0, 0, 0]
    assert sorted(acknowledged) == sorted(f"{n}-{i}" for n in range(4) for i in range(6))
    assert sorted(files) == sorted(acknowledged)
    assert there.git("rev-list", "--count", STATE) == "24"


def _add_files(place: Repo, remote: str | None, writer: int, log: Path) -> None:
    git: Git = place.engine(remote)
    state = StateBranch(git, STATE)
    for n in range(6):
        name = f"{writer}-{n}"
        while True:
            tip, _ = state.read()
            try:
                state.write(tip, {name: name.encode()}, name, datetime.now(UTC))
                break
            except TransientError:
                time.sleep(0.005)
        with log.open("a") as file:
            file.write(f"{name}\n")
