"""Who is a process, does it live, and how to end it with everything that it started."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from hyperloop_action.adapters import processes

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks /proc")


def sleeper(env: dict[str, str] | None = None) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(["sleep", "30"], env=env)


def eventually(happened: Callable[[], bool]) -> bool:
    give_up = time.monotonic() + 5
    while not happened() and time.monotonic() < give_up:
        time.sleep(0.005)
    return happened()


def test_a_living_process_is_alive_and_an_ended_one_is_not() -> None:
    with sleeper() as process:
        known = processes.identity(process.pid)
        assert processes.is_alive(known) is True
        process.kill()
        assert eventually(lambda: processes.is_alive(known) is False), "not waited for yet"
    assert processes.is_alive(known) is False
    with pytest.raises(ProcessLookupError):
        processes.identity(process.pid)


def test_this_process_is_the_default() -> None:
    assert processes.identity().pid == os.getpid()
    assert processes.is_alive(processes.identity()) is True


@pytest.mark.parametrize(
    ("field", "value", "alive"),
    [("host", "elsewhere", None), ("boot_id", "earlier", False), ("start_time", "1", False)],
)
def test_another_process_is_never_taken_for_it(field: str, value: str, alive: bool | None) -> None:
    other = msgspec.structs.replace(processes.identity(), **{field: value})
    assert processes.is_alive(other) is alive


@linux
def test_a_program_with_brackets_and_spaces_in_its_name_is_read(tmp_path: Path) -> None:
    program = tmp_path / "a) R 1 (b"
    program.symlink_to("/bin/sleep")
    with subprocess.Popen([program, "30"]) as process:
        stat = processes._stat(process.pid)
        process.kill()
    assert stat
    assert stat.parent == os.getpid()


@linux
def test_descendants_of_descendants_are_found_and_killed() -> None:
    before = processes.descendants(os.getpid())
    with subprocess.Popen(["sh", "-c", "sleep 30 & sleep 31; wait"]) as shell:
        assert eventually(lambda: len(processes.descendants(os.getpid()) - before) == 3)
        assert processes.kill_new_descendants(before) == 3
        shell.wait()
    assert processes.descendants(os.getpid()) - before == set()


@linux
def test_what_was_there_before_is_not_killed() -> None:
    with sleeper() as old:
        before = processes.descendants(os.getpid())
        with sleeper() as new:
            assert processes.kill_new_descendants(before) == 1
            new.wait()
        assert old.poll() is None
        old.kill()


@linux
def test_a_process_is_found_by_what_its_environment_holds(tmp_path: Path) -> None:
    mark = f"={tmp_path}/home"
    env = {"PATH": os.environ["PATH"]}
    with sleeper(env={**env, "HOME": mark[1:]}) as marked, sleeper(env=env) as other:
        assert processes.kill_marked(mark) == 1
        assert marked.wait() == -signal.SIGKILL
        assert other.poll() is None
        other.kill()


def test_ending_a_group_ends_all_of_it_and_an_empty_one_is_fine() -> None:
    with subprocess.Popen(["sh", "-c", "sleep 30 & sleep 31"], start_new_session=True) as shell:
        processes.kill_group(shell.pid)
        assert shell.wait() == -signal.SIGKILL
    processes.kill_group(shell.pid)
