"""What a cycle costs does not grow with tasks: programs and commits are counted, not seconds."""

from pathlib import Path

import pytest

from bench.cycle import Cost, build, engine, measured, run_first_look
from hyperloop_action.cycle import run_cycle
from hyperloop_action.domain.orders import Verdict


def idle(folder: Path, open_tasks: int, archived: int) -> Cost:
    """The second cycle of a clone in which every task waits for a person."""
    folder.mkdir()
    clone = build(folder, open_tasks, archived, working=False)
    ports, rules = engine(clone, None)
    run_first_look(ports)
    return measured(clone, lambda: bool(run_cycle(ports, rules).commit))


def moving(folder: Path, open_tasks: int) -> Cost:
    folder.mkdir()
    clone = build(folder, open_tasks, 0, working=True)
    ports, rules = engine(clone, Verdict.PASS)
    run_first_look(ports)
    return measured(clone, lambda: bool(run_cycle(ports, rules).commit))


@pytest.mark.parametrize(("open_tasks", "archived"), [(3, 0), (60, 0), (3, 200)])
def test_an_idle_cycle_writes_nothing_fetches_nothing_and_starts_few_programs(
    tmp_path: Path, open_tasks: int, archived: int
) -> None:
    cost = idle(tmp_path / "world", open_tasks, archived)
    assert (cost.wrote, cost.fetched) == (False, 0)
    assert cost.git == 6


def test_a_cycle_that_moves_every_task_starts_no_more_programs_for_more_tasks(
    tmp_path: Path,
) -> None:
    few, many = moving(tmp_path / "few", 3), moving(tmp_path / "many", 60)
    assert few.wrote
    assert many.wrote
    assert (few.git, many.git) == (7, 7)
