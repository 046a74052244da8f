"""Dying before or after any call of the engine to the outside, then starting again from git.

The story has a dependency, a verification that fails, a conflict and a gate. Sessions live on in
processes of their own; what the engine knew is gone. HYPERLOOP_KILL_STRIDE=1 dies at each of the
calls, which takes minutes; by default it is every thirteenth.
"""

import os
from collections import Counter
from pathlib import Path

import pytest

from hyperloop_action.domain.limits import Limits
from hyperloop_action.domain.model import Phase, SpecStatus, Task
from hyperloop_action.domain.process import GateStep
from tests.fakes.workers import says_no, writes
from tests.git_world import Repo
from tests.scenarios.world import (
    AUTH,
    LOOP,
    MERGE,
    Killed,
    Story,
    process,
    proposal,
    story,
    watched,
)

STRIDE = int(os.environ.get("HYPERLOOP_KILL_STRIDE", "13"))
PARTS = 4
APP = "src/app.py"
BUILT = {
    APP: "one\nlogin\nlogout\nthree",
    "src/task-003.txt": "round 0",
}


def begin(repo: Repo) -> Story:
    """task-001 fails once, task-002 conflicts with it, task-003 depends on both."""
    tale = story(
        repo,
        "login",
        "logout",
        proposal("menu", AUTH, "login", "logout"),
        process=process(LOOP, GateStep("review"), MERGE),
        limits=Limits(max_workers=2),
    )
    tale.agents.by_round[("task-001", "verifier", 0)] = says_no("The door is open.")
    for name, text in (("task-001", "login"), ("task-002", "logout")):
        for round_ in range(2):
            both = "login\nlogout" if (name, round_) == ("task-002", 1) else text
            tale.agents.by_round[(name, "implementer", round_)] = writes(
                {APP: f"one\n{both}\nthree\n"}
            )
    return tale


def finish(tale: Story) -> None:
    """Until the story is over; whoever waits at the gate is let through, the oldest first."""
    for _ in range(40):
        tale.run()
        waiting = [t for t in tale.state().tasks.values() if t.phase is Phase.WAITING]
        if not waiting:
            return
        tale.approve(min(waiting, key=lambda task: task.number).id)
    raise AssertionError("it never ends")


def calls_of(tale: Story) -> list[str]:
    """The story without trouble, as calls."""
    calls: list[str] = []
    tale.wrap = lambda ports: watched(ports, calls.append)
    finish(tale)
    return calls


def die_at(tale: Story, nth: int, *, after: bool) -> None:
    """The engine dies at its ``nth`` call and is started again with nothing but what git holds."""
    seen = 0

    def count(call: str) -> None:
        nonlocal seen
        seen += 1
        if seen == nth:
            tale.wrap = lambda ports: ports
            raise Killed(call)

    def ignore(call: str) -> None: ...

    told = (ignore, count) if after else (count, ignore)
    tale.wrap = lambda ports: watched(ports, *told)
    with pytest.raises(Killed):
        finish(tale)
    tale.clock.advance()


def tasks(tale: Story) -> list[Task]:
    return [tale.finished(number) for number in (1, 2, 3)]


@pytest.fixture(scope="module")
def undisturbed(template: Repo, tmp_path_factory: pytest.TempPathFactory) -> tuple[Story, int]:
    """The story as it should be, and how many calls it takes."""
    tale = begin(template.copy(tmp_path_factory.mktemp("undisturbed") / "repo"))
    return tale, len(calls_of(tale))


def check(tale: Story, undisturbed: Story) -> None:
    """The same base branch; everything complete, merged once, and nothing forgotten."""
    assert tale.files() == BUILT == undisturbed.files()
    state = tale.state()
    assert (state.tasks, state.specs[AUTH].status) == ({}, SpecStatus.SYNCED)
    landed = tale.repo.git(
        "log", "--format=%(trailers:key=Task-Ref,valueonly,separator=%x2C)", "main"
    )
    merges = Counter(line for line in landed.split("\n") if line)
    assert merges == {"task-001": 1, "task-002": 1, "task-003": 1}
    for mine, theirs in zip(tasks(tale), tasks(undisturbed), strict=True):
        assert (mine.phase, mine.round) == (Phase.COMPLETE, theirs.round)
        assert mine.sessions >= theirs.sessions
    assert state.meta.spend.total_usd == pytest.approx(tale.agents.spent)
    assert len(tale.agents.asked) <= len(undisturbed.agents.asked) + 2
    assert tale.repo.git("branch", "--list", "hyperloop/*") == ""
    assert tale.repo.git("status", "--porcelain") == ""
    assert tale.cycle().commit is None


def test_the_story_meets_everything_that_it_should(undisturbed: tuple[Story, int]) -> None:
    tale, calls = undisturbed
    check(tale, tale)
    assert [(task.round, task.conflicts) for task in tasks(tale)] == [(1, 0), (1, 1), (0, 0)]
    assert calls > 100


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("part", range(PARTS))
def test_death_at_any_call_loses_nothing_and_does_nothing_twice(
    part: int, after: bool, undisturbed: tuple[Story, int], template: Repo, tmp_path: Path
) -> None:
    tale, calls = undisturbed
    for nth in range(1, calls + 1)[::STRIDE][part::PARTS]:
        again = begin(template.copy(tmp_path / str(nth)))
        die_at(again, nth, after=after)
        finish(again)
        check(again, tale)
