"""Killing ``hyperloop run`` at any moment and starting it again ends in the same place.

A small story with the real command, real git and an agent without a model: two tasks, the second
after the first, and one verification that fails. What was paid for stands in a ledger outside of
the repository. HYPERLOOP_KILL_POINTS=N sweeps N points of each kind, by hand; the default is a few.
"""

import json
import os
import random
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.git_world import Repo, caller_environment
from tests.world.cli import ROOT, Engine, Person, until

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="finds the processes of a session in /proc"
)

AGENTS = ROOT / "tests/world/agents"
POINTS = int(os.environ.get("HYPERLOOP_KILL_POINTS", "0"))
COST_USD = 0.25
SESSIONS = 7
"""The pm; implementer and verifier twice for the first task, and once for the second."""

CONFIG = """\
runtime: story
poll_interval: 1
runtimes:
  story: {{type: command, command: [{python}, -I, -S, {agent}, {ledger}, "{pause}"]}}
"""
SPECS = {"specs/words.md": "# Words\n", "specs/zebra.md": "# Zebra\n"}
NOTES = {"notes.md": "Mine.\n"}
BUILT = {
    "src/Words.txt": "Words of round 1",
    "src/Words.more.txt": "The second half.",
    "src/Zebra.txt": "Zebra of round 0",
    "src/Zebra.more.txt": "The second half.",
}


Point = tuple[str, int, str]
"""``before`` or ``after``, which time, and the git command."""


@dataclass(frozen=True)
class Story:
    """``repo`` is where somebody works; ``truth`` is where branches count, a remote if there is
    one."""

    person: Person
    truth: Repo
    ledger: Path

    @property
    def repo(self) -> Repo:
        return self.person.repo

    def lines(self, what: str) -> list[str]:
        """The orders that started, or reported."""
        if not self.ledger.exists():
            return []
        lines = [json.loads(line) for line in self.ledger.read_text().splitlines()]
        return [line["order"] for line in lines if line["what"] == what]

    def mine(self) -> tuple[str, ...]:
        """What belongs to the person who works in the repository."""
        notes = (self.repo.path / "notes.md").read_text()
        ideas = (self.repo.path / "ideas.txt").read_text()
        return (
            notes,
            ideas,
            self.repo.git("status", "--porcelain"),
            self.repo.git("stash", "list"),
        )

    def half_way(self) -> Engine:
        """Run until the first implementer has done half of its work; there it stays."""
        self._hold.touch()
        engine = self.person.begin("run")
        assert until(lambda: self.lines("half-way")), self.person.log
        return engine

    def let_go(self) -> None:
        self._hold.unlink()

    @property
    def _hold(self) -> Path:
        return self.ledger.with_name("hold")

    def finish(self) -> None:
        said = self.person.say("run")
        assert said.code == 0, said.err + said.out

    def ends_well(self, kills: int = 0, lost: int | None = None) -> None:
        """The whole of what must hold, whatever happened before."""
        lost = kills if lost is None else lost
        assert self.ended() == ENDED
        starts, reports = self.lines("starts"), self.lines("reported")
        assert [order for order, count in Counter(starts).items() if count > 1] == []
        assert SESSIONS <= len(starts) <= SESSIONS + lost
        spent = self._spent_usd()
        assert len(reports) * COST_USD <= spent <= len(starts) * COST_USD
        self._state_is_linear()
        assert self.person.processes() == set()
        assert self.person.locks() == []
        assert self.mine() == MINE
        self.repo.git("fsck", "--strict", "--no-dangling")

    def ended(self) -> dict[str, object]:
        """What may not depend on when it was killed."""
        tasks, specs = (self.person.ask("get", name, "--all") for name in ("tasks", "specs"))
        assert isinstance(tasks, list)
        assert isinstance(specs, list)
        merged = self.truth.git(
            *("log", "--first-parent", "--reverse", "--format=%(trailers:key=Task-Ref,valueonly)"),
            "main",
        )
        return {
            "tree": {n: t for n, t in self.truth.files("main").items() if n.startswith("src/")},
            "merged": merged.split(),
            "tasks": {task["id"]: (task["status"], task["round"]) for task in tasks},
            "specs": {spec["path"]: (spec["status"], spec["plan"]) for spec in specs},
            "branches": self.truth.git("branch", "--format=%(refname:short)").split(),
        }

    def _spent_usd(self) -> float:
        state = self.truth.git("show", "hyperloop-state:state.yaml")
        return float(state.rpartition("total_usd: ")[2].partition("}")[0])

    def _state_is_linear(self) -> None:
        """Every place where the branch ever was is the first parent of the next one."""
        moves = self.truth.git("reflog", "show", "--format=%H", "hyperloop-state").split()
        commits = self.truth.git("rev-list", "--parents", "hyperloop-state").splitlines()
        assert [line.split()[0] for line in commits] == moves
        assert [line.split()[1:] for line in commits] == [[m] for m in moves[1:]] + [[]]


Tell = Callable[..., Story]

ENDED = {
    "tree": BUILT,
    "merged": ["task-001", "task-002"],
    "tasks": {"task-001": ("complete", 1), "task-002": ("complete", 0)},
    "specs": {"specs/words.md": ("synced", 1), "specs/zebra.md": ("synced", 1)},
    "branches": ["hyperloop-state", "main"],
}
MINE = ("Mine.\nNot committed.\n", "Not added.\n", " M notes.md\n?? ideas.txt", "")


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> str:
    """PATH with a git before git that can kill the engine."""
    folder = tmp_path_factory.mktemp("bin")
    text = (AGENTS / "git_that_kills.sh").read_text()
    (folder / "git").write_text(text.replace("REAL_GIT", str(shutil.which("git"))))
    (folder / "git").chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


@pytest.fixture
def tell(tmp_path: Path, shim: str) -> Iterator[Tell]:
    """A story that begins; ``remote`` puts a bare repository behind it. Nothing of it survives."""
    stories: list[Story] = []

    def begin(*, pause: float = 0.1, remote: bool = False) -> Story:
        stories.append(_begin(tmp_path, shim, pause, remote=remote))
        return stories[-1]

    yield begin
    for story in stories:
        for pid in story.person.processes():
            os.kill(pid, signal.SIGKILL)


def _begin(tmp_path: Path, shim: str, pause: float, *, remote: bool) -> Story:
    home, ledger = tmp_path / "home", tmp_path / "ledger"
    home.mkdir()
    repo = Repo(tmp_path / "repo", caller_environment(home))
    repo.path.mkdir()
    repo.git("init", "--quiet", "--initial-branch=main")
    config = CONFIG.format(
        python=sys.executable, agent=AGENTS / "story.py", ledger=ledger, pause=pause
    )
    repo.commit({**SPECS, **NOTES, ".hyperloop.yaml": config}, "Begin")
    truth = repo
    if remote:
        truth = repo.clone(tmp_path / "origin.git", "--bare")
        truth.git("config", "core.logAllRefUpdates", "true")
        repo.git("remote", "add", "origin", f"file://{truth.path}")
    repo.write({"notes.md": "Mine.\nNot committed.\n", "ideas.txt": "Not added.\n"})
    return Story(Person(repo, home, shim), truth, ledger)


def engine_alone(story: Story, engine: Engine) -> None:
    engine.kill()
    engine.wait()


def everything(story: Story, engine: Engine) -> None:
    story.person.kill_everything(engine)


HOW = {"engine": engine_alone, "everything": everything}


def _seeds(few: int) -> range:
    return range(POINTS or few)


def test_an_undisturbed_run_ends_as_the_story_says(tell: Tell) -> None:
    story = tell()
    story.finish()
    story.ends_well()
    assert len(story.lines("reported")) == SESSIONS


# By time


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("seed", _seeds(2))
def test_killed_at_any_time_it_ends_in_the_same_place(tell: Tell, how: str, seed: int) -> None:
    """Five kills in one story, each after a time of its own."""
    dice, story, kills = random.Random(seed), tell(), 0
    for _ in range(5):
        engine = story.person.begin("run")
        time.sleep(dice.uniform(0.25, 1.6))
        kills += engine.poll() is None
        HOW[how](story, engine)
    story.finish()
    story.ends_well(kills, lost=0 if how == "engine" else kills)


# By what has just been done


def _killed_by_git(story: Story, how: str, point: Point) -> bool:
    """Run until the engine is killed there; False if it came to its end before."""
    home = story.person.home
    (home / "kill-at").write_text(" ".join(map(str, point)) + "\n")
    engine = story.person.begin("run")
    (home / "engine.pid").write_text(f"{engine.pid}\n")
    engine.wait(timeout=60)
    killed = (home / "killed").exists()
    HOW[how](story, engine)
    for name in ("kill-at", "killed"):
        (home / name).unlink(missing_ok=True)
    return killed


EXACTLY: tuple[Point, ...] = (
    ("before", 1, "update-ref *"),  # the first plan is decided, and not saved
    ("after", 1, "update-ref *"),  # it is claimed, and no worker was started
    ("before", 1, "bundle unbundle *"),  # a result is written, and not collected
    ("before", 2, "update-ref *"),  # it is collected, and not saved
    ("after", 1, "merge-tree *"),  # a merge is computed, and the base is where it was
    ("after", 1, "merge --ff-only *"),  # the base has moved, and the state says it has not
    ("after", 1, "update-ref *"),  # the second task is claimed, and no worker was started
    ("before", 1, "merge --ff-only *"),
)


@pytest.mark.parametrize("how", HOW)
def test_killed_between_what_it_does_and_what_it_says_it_ends_in_the_same_place(
    tell: Tell, how: str
) -> None:
    story = tell()
    for point in EXACTLY:
        assert _killed_by_git(story, how, point), point
    story.finish()
    story.ends_well(len(EXACTLY), lost=0 if how == "engine" else len(EXACTLY))


@pytest.mark.parametrize("seed", _seeds(1))
@pytest.mark.parametrize(
    ("place", "how", "side"),
    [
        ("alone", "engine", "before"),
        ("alone", "everything", "after"),
        ("remote", "everything", "before"),
        ("remote", "engine", "after"),
    ],
)
def test_killed_around_any_git_command_it_ends_in_the_same_place(
    tell: Tell, place: str, how: str, side: str, seed: int
) -> None:
    dice, story, kills = random.Random(f"{seed} {place}"), tell(remote=place == "remote"), 0
    while kills < 6 and _killed_by_git(story, how, (side, dice.randint(8, 40), "*")):
        kills += 1
    assert kills
    story.finish()
    story.ends_well(kills, lost=0 if how == "engine" else kills)


# By where an agent is


def test_killed_while_an_agent_is_half_way_its_work_goes_on(tell: Tell) -> None:
    """The engine alone: the session outlives it, and the next engine takes it over."""
    story = tell()
    engine = story.half_way()
    engine_alone(story, engine)
    story.let_go()
    story.finish()
    story.ends_well(1, lost=0)


def test_killed_with_all_its_agents_half_way_the_half_is_kept(tell: Tell) -> None:
    story = tell()
    engine = story.half_way()
    everything(story, engine)
    story.let_go()
    story.finish()
    story.ends_well(1)
    assert "task-001-1" not in story.lines("reported")
    saved = story.truth.git("log", "--format=%B", "hyperloop-state")
    assert "(task-001-1): the worker was killed; its work in progress was kept" in saved


def test_a_worker_that_is_killed_alone_is_replaced_by_the_same_run(tell: Tell) -> None:
    story = tell()
    engine = story.half_way()
    [said] = story.person.work.glob("*/task-001-1/worker.json")
    worker = json.loads(said.read_text())
    os.kill(worker["pid"], signal.SIGKILL)
    story.let_go()
    assert engine.wait(timeout=60) == 0
    story.ends_well(1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_asked_to_end_keeps_its_work_and_goes_on_later(
    tell: Tell, number: signal.Signals
) -> None:
    story = tell()
    engine = story.half_way()
    began = time.monotonic()
    engine.send_signal(number)
    assert engine.wait(timeout=60) == 75
    assert time.monotonic() - began < 20, "a runner kills us 10 s after its first signal"
    assert story.person.log.endswith("error: stopped before the end\n  go on with: hyperloop run\n")
    assert story.person.processes() == set()
    kept = story.truth.git("log", "--format=%s", "main..hyperloop/task-001").splitlines()
    assert "First half" in kept
    story.let_go()
    story.finish()
    story.ends_well(1)


# Two at a time


def test_two_engines_on_one_repository_do_nothing_twice(tell: Tell) -> None:
    story = tell()
    engines = [story.person.begin("run") for _ in range(2)]
    assert [engine.wait(timeout=90) for engine in engines] == [0, 0], story.person.log
    story.ends_well()


def test_two_engines_on_two_clones_of_one_remote_do_nothing_twice(
    tell: Tell, tmp_path: Path
) -> None:
    story = tell(remote=True)
    other = Person(story.truth.clone(tmp_path / "other"), tmp_path / "home of another")
    engines = [person.begin("run") for person in (story.person, other)]
    assert [engine.wait(timeout=90) for engine in engines] == [0, 0], story.person.log + other.log
    story.ends_well()
    assert (other.processes(), other.locks()) == (set(), [])
    assert other.repo.git("status", "--porcelain") == ""
