"""Sessions with the scripted agent on a real repository, and a look at what they left."""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from hyperloop_action.adapters import supervisor
from hyperloop_action.adapters.agents.command import Command
from hyperloop_action.domain.orders import Order, Result, RuntimeSpec, Wants, decode_result
from hyperloop_action.domain.sessions import SessionFiles
from tests.git_world import Repo

AGENT = (sys.executable, "-I", "-S", str(Path(__file__).parent / "agents/scripted.py"))

PROTECTED = ("specs/**", ".hyperloop/**", ".hyperloop.yaml", ".github/**")

TRAILERS = "Spec-Ref: specs/auth.md@abc\nTask-Ref: task-001"


@dataclass
class Sessions:
    """``do`` runs one session per call, each in a folder of its own below ``root``."""

    repo: Repo
    root: Path
    count: int = 0

    def order(
        self,
        *acts: str,
        wants: Wants = Wants.CHANGES,
        timeout_s: float = 20.0,
        env: tuple[str, ...] = (),
        **fields: str | float,
    ) -> Order:
        self.count += 1
        base = self.repo.tip("main")
        runtime = RuntimeSpec(name="command", command=(*AGENT, *acts), timeout_s=timeout_s, env=env)
        order = Order(
            id=f"task-001-{self.count}",
            role="verifier" if wants is Wants.VERDICT else "implementer",
            wants=wants,
            task="task-001",
            title="Add login",
            spec_ref="specs/auth.md@abc",
            base=base,
            head=base,
            branch="hyperloop/task-001",
            prompt="Do it.",
            runtime=runtime,
            protected_paths=PROTECTED,
        )
        return msgspec.structs.replace(order, **fields)

    def do(
        self,
        *acts: str,
        caller: Mapping[str, str] | None = None,
        wants: Wants = Wants.CHANGES,
        timeout_s: float = 20.0,
        env: tuple[str, ...] = (),
        **fields: str | float,
    ) -> "Done":
        order = self.order(*acts, wants=wants, timeout_s=timeout_s, env=env, **fields)
        return self.run(order, {**self.repo.env, **(caller or {})})

    def run(self, order: Order, caller: dict[str, str]) -> "Done":
        out = self.root / order.id
        lines: list[str] = []
        result = supervisor.work(
            order, self.repo.path, out, Command(), caller, on_line=lines.append
        )
        return Done(self.repo, order, SessionFiles(out), result, lines)


@dataclass
class Done:
    """A finished session."""

    repo: Repo
    order: Order
    files: SessionFiles
    result: Result
    lines: list[str]

    @property
    def head(self) -> str:
        """The new head, brought into the repository as the engine does it."""
        assert self.result.head
        self.repo.git("bundle", "unbundle", str(self.files.bundle))
        self.repo.git("fsck", "--strict", "--no-dangling", self.result.head)
        return self.result.head

    @property
    def log(self) -> list[str]:
        """Messages of the new commits, oldest first."""
        logged = self.repo.git(
            "log", "--reverse", "-z", "--format=%B", self.head, f"^{self.order.head}",
            f"^{self.order.base}",
        )  # fmt: skip
        return [message.strip("\n") for message in logged.split("\0") if message.strip("\n")]

    @property
    def tree(self) -> dict[str, str]:
        return self.repo.files(self.head)

    @property
    def transcript(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.files.transcript.read_text().splitlines()]

    @property
    def written(self) -> Result:
        return decode_result(self.files.result.read_bytes(), "result.json")
