"""What one cycle costs, by the number of open and archived tasks: ``python -m bench.cycle``.

For each size a bare remote and a clone of it are made, then measured: the first look of a fresh
clone (bytes fetched), an idle cycle, and a cycle in which every task gets a verdict and moves on.
Counts are exact; seconds are the median of a few runs and depend on the machine.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from msgspec.structs import replace

from hyperloop_action.adapters import proc
from hyperloop_action.adapters.git import Git, open_repository
from hyperloop_action.adapters.git_environment import environment
from hyperloop_action.adapters.git_objects import commit_changes
from hyperloop_action.adapters.local_forge import LocalForge
from hyperloop_action.adapters.state_branch import StateBranch
from hyperloop_action.adapters.state_store import BranchStateStore
from hyperloop_action.adapters.trunk import Trunk
from hyperloop_action.cycle import run_cycle
from hyperloop_action.domain.briefing import Briefing
from hyperloop_action.domain.limits import Limits
from hyperloop_action.domain.model import (
    Meta,
    Phase,
    SpecEntry,
    SpecStatus,
    State,
    Task,
    Worker,
    task_id,
)
from hyperloop_action.domain.orders import Order, Result, RuntimeSpec, Verdict, Wants
from hyperloop_action.domain.process import (
    ActionStep,
    AgentStep,
    GateStep,
    LabelGate,
    LoopStep,
    MergeAction,
    Process,
)
from hyperloop_action.domain.rules import Rules
from hyperloop_action.domain.spawn import Claimer, Role
from hyperloop_action.domain.state_files import archive_path, changes, encode_task
from hyperloop_action.ports import Ports, WorkersSeen

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PROCESS = Process(
    name="reviewed",
    pipeline=(
        LoopStep((AgentStep("implementer"), AgentStep("verifier"))),
        GateStep("human"),
        ActionStep("merge-pr"),
    ),
    gates={"human": LabelGate()},
    actions={"merge-pr": MergeAction()},
)
HEADER = """\
                 | first look of a clone     | idle cycle                  | all tasks move
  open  archived |   git       bytes       s |   git bytes       s  commits |   git       s"""
ENV = environment({"PATH": os.environ["PATH"], "HOME": "/nonexistent"})


@dataclass
class Answering:
    """Workers of which none runs; ``verdict`` is what all of them have answered, if anything."""

    verdict: Verdict | None = None

    def look(self, workers: Iterable[Worker]) -> WorkersSeen:
        orders = [worker.order for worker in workers]
        if self.verdict is None:
            return WorkersSeen({}, frozenset(orders), frozenset())
        answer = {o: Result(order=o, outcome="done", verdict=self.verdict) for o in orders}
        return WorkersSeen(answer, frozenset(), frozenset())

    def start(self, order: Order) -> None: ...
    def wait(
        self, orders: Iterable[str], until: datetime | None, *, every: bool = False
    ) -> None: ...
    def forget(self, orders: Iterable[str]) -> None: ...
    def stop(self, orders: Iterable[str]) -> None: ...
    def check(self, orders: Iterable[Order]) -> None:
        return

    def last_words(self, order: str) -> str:
        return ""

    def transcripts(self, task: str) -> list[str]:
        return []


class NoPrompts:
    def compose(self, briefing: Briefing) -> str:
        return "prompt"


def task(number: int, spec: SpecEntry, head: str, *, working: bool) -> Task:
    name = task_id(number)
    worker = Worker(
        order=f"{name}-2", role="verifier", wants=Wants.VERDICT, runtime="command", run="local",
        started=NOW, deadline=NOW + timedelta(days=1),
    )  # fmt: skip
    return Task(
        id=name,
        title=f"Make part {number} of the product do what the spec says",
        spec_ref=f"specs/product.md@{spec.commit}",
        spec_blob=spec.blob,
        phase=Phase.WORKING if working else Phase.WAITING,
        branch=f"hyperloop/{name}",
        step="agent verifier" if working else "gate human",
        position=(0, 1) if working else (1,),
        process=PROCESS.name,
        base=spec.commit,
        head=head,
        worker=worker if working else None,
        sessions=2,
        reason=""
        if working
        else "waits at gate human (label): look at "
        f"hyperloop/{name}, then `hyperloop approve {name}`",
        description="What has to be done, in a few lines.\n" * 5,
    )


def archived(number: int, spec: SpecEntry, head: str) -> tuple[str, bytes]:
    done = replace(task(number, spec, head, working=False), phase=Phase.COMPLETE, reason="")
    return f"{archive_path(done.id)}task.md", encode_task(done)


def build(folder: Path, open_tasks: int, finished: int, *, working: bool) -> Path:
    """A bare remote whose state branch has so many tasks; the path of a clone that never looked."""
    remote, clone = folder / "remote.git", folder / "clone"
    for words in (
        ["git", "init", "-q", "--bare", "-b", "main", str(remote)],
        ["git", "clone", "-q", str(remote), str(clone)],
    ):
        proc.run(words, cwd=folder, env=ENV)
    git = Git(clone, ENV, clone / ".git", "origin")
    trunk = commit_changes(git, None, {"specs/product.md": b"# Product\n"}, "spec", NOW)
    blob = git.run("rev-parse", f"{trunk}:specs/product.md").text
    spec = SpecEntry(
        blob=blob, commit=str(trunk), status=SpecStatus.RECONCILING, attempts=1, plan=1
    )
    head = str(commit_changes(git, trunk, {"part.py": b"print()\n"}, "work", NOW))
    numbers = range(1, open_tasks + 1)
    tasks = {task_id(n): task(n, spec, head, working=working) for n in numbers}
    meta = Meta(cycle=1, next_task=open_tasks + finished + 1)
    files = dict(changes(State(), State(meta=meta, specs={"specs/product.md": spec}, tasks=tasks)))
    files |= dict(archived(open_tasks + n, spec, head) for n in range(1, finished + 1))
    state = commit_changes(git, None, files, "cycle 1: bench", NOW)
    git.run("push", "-q", "origin", f"{trunk}:refs/heads/main", f"{head}:refs/heads/part")
    git.run("push", "-q", "origin", f"{state}:refs/heads/hyperloop-state")
    branches = "".join(f"create refs/heads/{t.branch} {head}\n" for t in tasks.values())
    proc.run(["git", "update-ref", "--stdin"], cwd=remote, env=ENV, stdin=branches.encode())
    git.run("checkout", "-q", "-B", "main", str(trunk))
    fresh = folder / "fresh"
    proc.run(
        ["git", "clone", "-q", "--single-branch", f"file://{remote}", str(fresh)],
        cwd=folder,
        env=ENV,
    )
    return fresh


def engine(clone: Path, verdict: Verdict | None) -> tuple[Ports, Rules]:
    found = open_repository(clone, ENV)
    git = Git(clone, ENV, found.common_dir, "origin")
    trunk = Trunk(git, "main", "hyperloop-state", "hyperloop/", "specs")
    store = BranchStateStore(StateBranch(git, "hyperloop-state"), trunk.look, lambda: NOW, "local")
    ports = Ports(
        state=store, repository=trunk, workers=Answering(verdict),
        forge=LocalForge(git, "main", lambda: NOW), prompts=NoPrompts(), now=lambda: NOW,
        pause=lambda _: None, probe=lambda _: None,
    )  # fmt: skip
    roles = {
        "pm": Role("pm", Wants.PROPOSALS, RuntimeSpec(name="command")),
        "implementer": Role("implementer", Wants.CHANGES, RuntimeSpec(name="command")),
        "verifier": Role("verifier", Wants.VERDICT, RuntimeSpec(name="command")),
    }
    rules = Rules(
        process=PROCESS, roles=roles, agents={}, limits=Limits(max_workers=1),
        claimer=Claimer("local", None), protected_paths=(), max_change_mb=50,
    )  # fmt: skip
    return ports, rules


@dataclass(frozen=True)
class Cost:
    """What one cycle took: git processes, bytes that came into the clone, seconds, and whether it
    wrote."""

    git: int
    fetched: int
    seconds: float
    wrote: bool


def measured(clone: Path, action: Callable[[], bool]) -> Cost:
    stored, before, began = packed_bytes(clone), proc.started["git"], time.perf_counter()
    wrote = action()
    seconds = time.perf_counter() - began
    git = proc.started["git"] - before
    return Cost(git, 0 if wrote else packed_bytes(clone) - stored, seconds, wrote)


def packed_bytes(clone: Path) -> int:
    """All objects of the clone; what a cycle wrote itself is not fetched, so it is not asked."""
    return sum(f.stat().st_size for f in (clone / ".git/objects").rglob("*") if f.is_file())


def run_first_look(ports: Ports) -> None:
    """What a fresh clone fetches once is measured apart."""
    ports.repository.observe(ports.state.load().state)


def version_ms(runs: int) -> float:
    """What it takes to start the command, in milliseconds."""
    words = [sys.executable, "-m", "hyperloop_action", "--version"]
    env = {"PATH": os.environ["PATH"]}
    return statistics.median(
        proc.run(words, cwd=Path(__file__).parents[1], env=env).duration_s * 1000
        for _ in range(runs)
    )


def row(open_tasks: int, finished: int, runs: int) -> str:
    with tempfile.TemporaryDirectory() as name:
        clone = build(Path(name), open_tasks, finished, working=False)
        ports, rules = engine(clone, None)
        first = measured(clone, lambda: bool(run_cycle(ports, rules).commit))
        idle = [measured(clone, lambda: bool(run_cycle(ports, rules).commit)) for _ in range(runs)]
    with tempfile.TemporaryDirectory() as name:
        clone = build(Path(name), open_tasks, finished, working=True)
        ports, rules = engine(clone, Verdict.PASS)
        run_first_look(ports)
        moved = measured(clone, lambda: bool(run_cycle(ports, rules).commit))
    seconds = statistics.median(cost.seconds for cost in idle)
    return (
        f"{open_tasks:>6} {finished:>9} | {first.git:>5} {first.fetched:>11,} {first.seconds:>7.3f}"
        f" | {max(c.git for c in idle):>5} {max(c.fetched for c in idle):>5} {seconds:>7.3f}"
        f" {sum(c.wrote for c in idle):>8} | {moved.git:>5} {moved.seconds:>7.3f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--open", type=int, nargs="*", default=[10, 100, 1000])
    parser.add_argument("--archived", type=int, nargs="*", default=[0, 10_000])
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    print(HEADER)
    for open_tasks in options.open:
        for finished in options.archived:
            print(row(open_tasks, finished, options.runs), flush=True)
    print(f"\nhyperloop --version: {version_ms(10):.0f} ms")


if __name__ == "__main__":
    main()
