"""An opened repository without a repository: what commands need, in memory."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TextIO

from hyperloop_action.adapters.sinks import Log
from hyperloop_action.domain.briefing import Briefing
from hyperloop_action.domain.effects import Merge, MergeOutcome
from hyperloop_action.domain.limits import Limits
from hyperloop_action.domain.model import State, Worker
from hyperloop_action.domain.orders import Order, RuntimeSpec, Wants
from hyperloop_action.domain.rebuild import Evidence
from hyperloop_action.domain.rules import Rules
from hyperloop_action.domain.spawn import Claimer, Role
from hyperloop_action.domain.world import World
from hyperloop_action.errors import HyperloopError
from hyperloop_action.ports import Ports, WorkersSeen
from hyperloop_action.settings import Settings
from hyperloop_action.wiring import Request
from tests.fakes.state_store import MemoryStateStore
from tests.fakes.states import BASE, NOW, REVIEWED

_WANTS = {"pm": Wants.PROPOSALS, "implementer": Wants.CHANGES, "verifier": Wants.VERDICT}


@dataclass
class StillRepository:
    """Nothing moves in it."""

    world: World = field(default_factory=lambda: World(BASE))
    edited: dict[str, str] = field(default_factory=dict)

    def observe(self, state: State) -> World:
        return self.world

    def evidence(self) -> Evidence:
        raise AssertionError("no command here asks for evidence")

    def read(self, blobs: Iterable[str]) -> dict[str, bytes]:
        return dict.fromkeys(blobs, b"# A spec\n")

    def unseen(self) -> dict[str, str]:
        return self.edited


@dataclass
class IdleWorkers:
    """It only remembers whom it was asked to stop, and what is kept of sessions that are over."""

    stopped: list[str] = field(default_factory=list)
    kept: dict[str, list[str]] = field(default_factory=dict)

    def look(self, workers: Iterable[Worker]) -> WorkersSeen:
        return WorkersSeen({}, frozenset(worker.order for worker in workers), frozenset())

    def start(self, order: Order) -> None:
        raise AssertionError(f"{order.id} was started")

    def wait(self, orders: Iterable[str], until: datetime | None, *, every: bool = False) -> None:
        raise AssertionError(f"waits for {list(orders)}")

    def check(self, orders: Iterable[Order]) -> None:
        return

    def last_words(self, order: str) -> str:
        return ""

    def transcripts(self, task: str) -> list[str]:
        return self.kept.get(task, [])

    def forget(self, orders: Iterable[str]) -> None:
        return

    def stop(self, orders: Iterable[str]) -> None:
        self.stopped += orders


class NoForge:
    def merge(self, effect: Merge, base: str) -> MergeOutcome:
        raise AssertionError(f"{effect.task} was merged")


class NoPrompts:
    def compose(self, briefing: Briefing) -> str:
        raise AssertionError("a prompt was composed")


@dataclass
class FakeApp:
    """Call it as ``wiring.open_app``: it opens itself. ``fails`` is raised instead."""

    store: MemoryStateStore = field(default_factory=MemoryStateStore)
    repository: StillRepository = field(default_factory=StillRepository)
    workers: IdleWorkers = field(default_factory=IdleWorkers)
    notices: tuple[str, ...] = ()
    fails: BaseException | None = None
    broken_rules: HyperloopError | None = None
    request: Request | None = None
    settings: Settings = field(default_factory=Settings)

    def __call__(
        self,
        request: Request,
        *,
        notice: Callable[[str], None] = lambda _: None,
        stopping: Callable[[], bool] = lambda: False,
    ) -> "FakeApp":
        if self.fails:
            raise self.fails
        self.request = request
        self.settings = Settings.from_mapping({}, None, request.options)
        return self

    @property
    def ports(self) -> Ports:
        return Ports(
            state=self.store,
            repository=self.repository,
            workers=self.workers,
            forge=NoForge(),
            prompts=NoPrompts(),
            now=lambda: NOW,
            pause=lambda _: None,
            probe=lambda _: None,
        )

    def rules(self) -> Rules:
        if self.broken_rules:
            raise self.broken_rules
        return Rules(
            process=REVIEWED,
            roles={name: Role(name, wants, RuntimeSpec()) for name, wants in _WANTS.items()},
            agents={},
            limits=Limits(),
            claimer=Claimer("local", None),
            protected_paths=(),
            max_change_mb=50.0,
        )

    def user(self) -> str:
        return "Ada"

    def log(self, stream: TextIO) -> Log:
        seen = self.settings.observability
        return Log(seen.log_format, seen.log_level, stream, lambda: NOW)
