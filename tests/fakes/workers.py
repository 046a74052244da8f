"""Sessions without processes: a script answers each order, and its commits are made in real git.

What a session leaves stays here until it is forgotten, as folders on a disk would: give the same
:class:`ScriptedWorkers` to the ports of an engine that was started again.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from hyperloop_action.adapters.git import Git
from hyperloop_action.adapters.git_objects import (
    Authorship,
    commit_changes,
    commit_tree,
    merge_trees,
    tree_of,
)
from hyperloop_action.domain.landing import Conflict
from hyperloop_action.domain.model import Worker
from hyperloop_action.domain.orders import (
    ErrorKind,
    Order,
    Proposal,
    Result,
    SessionError,
    Usage,
    Verdict,
    Wants,
)
from hyperloop_action.ports import WorkersSeen

Answer = Callable[[Order, "Desk"], Result | None]
"""``None``: the session vanishes and leaves nothing."""

BILL = Usage(cost_usd=0.25, turns=2, input_tokens=100, output_tokens=20, duration_s=60.0)
WROTE = datetime.fromisoformat("2026-11-21T12:00:00+00:00")


@dataclass(frozen=True)
class Desk:
    """Where a session works: the repository at the head of its order."""

    git: Git
    order: Order

    def commit(self, files: Mapping[str, str]) -> str:
        """The order's head with the base merged in, if it is not yet, and with ``files`` on top."""
        start, message = self._start(), f"Work of {self.order.id}"
        changes = {path: text.encode() for path, text in files.items()}
        return commit_changes(self.git, start, changes, message, WROTE) or start

    def _start(self) -> str:
        """As the supervisor does it; of a conflict the base's side stands until it is resolved."""
        head, base = self.order.head, self.order.base
        if self.git.is_ancestor(base, head):
            return head
        merged = merge_trees(self.git, base, head)
        tree = tree_of(self.git, base) if isinstance(merged, Conflict) else merged
        return commit_tree(self.git, tree, [head, base], "Merge the base", Authorship(WROTE))


@dataclass
class ScriptedWorkers:
    """``answers`` are by order id, else ``by_round`` (task, role, round), else as :meth:`usual`.
    Orders in ``held`` go on until they are let go. ``asked`` are all orders in turn, ``stopped``
    those that were asked to end."""

    git: Git
    advance: Callable[[datetime | None], None]
    plans: Mapping[str, tuple[Proposal, ...]] = field(default_factory=dict)
    answers: dict[str, Answer] = field(default_factory=dict)
    by_round: dict[tuple[str | None, str, int], Answer] = field(default_factory=dict)
    held: set[str] = field(default_factory=set)
    asked: dict[str, Order] = field(default_factory=dict)
    stopped: list[str] = field(default_factory=list)
    on_disk: dict[str, Result | None] = field(default_factory=dict)
    spent: float = 0.0

    def look(self, workers: Iterable[Worker]) -> WorkersSeen:
        orders = {worker.order for worker in workers}
        here = {name: result for name, result in self.on_disk.items() if name in orders}
        ready = {n: result for n, result in here.items() if result and n not in self.held}
        vanished = {n for n, result in here.items() if not result} | (orders - here.keys())
        return WorkersSeen(
            ready, frozenset(here.keys() & self.held), frozenset(vanished - self.held)
        )

    def start(self, order: Order) -> None:
        if order.id in self.on_disk:
            return
        assert order.id not in self.asked, f"{order.id} was paid for twice"
        self.asked[order.id] = order
        scripted = self.by_round.get((order.task, order.role, order.round), self.usual)
        result = self.answers.get(order.id, scripted)(order, Desk(self.git, order))
        self.on_disk[order.id] = result
        self.spent += result.usage.cost_usd if result else 0.0

    def wait(self, orders: Iterable[str], until: datetime | None, *, every: bool = False) -> None:
        """Nobody waits here; the clock is moved on, by a minute or to when somebody looks again."""
        names = list(orders)
        unknown = [name for name in names if name not in self.on_disk]
        assert not unknown, f"nobody ends whom one waits for: {unknown}"
        self.advance(None if names else until)

    def check(self, orders: Iterable[Order]) -> None:
        return

    def last_words(self, order: str) -> str:
        return ""

    def transcripts(self, task: str) -> list[str]:
        return []

    def forget(self, orders: Iterable[str]) -> None:
        for order in orders:
            self.on_disk.pop(order, None)

    def stop(self, orders: Iterable[str]) -> None:
        self.stopped += orders

    def usual(self, order: Order, desk: Desk) -> Result:
        """The pm answers by ``plans``, an agent writes a file named after its task, others pass."""
        if order.wants is Wants.PROPOSALS:
            proposals = (one for spec in order.specs for one in self.plans.get(spec.path, ()))
            return answer(order, proposals=tuple(proposals))
        if order.wants is Wants.CHANGES:
            text = f"round {order.round}\n"
            return answer(order, head=desk.commit({f"src/{order.task}.txt": text}))
        return answer(order, verdict=Verdict.PASS)


def answer(order: Order, **fields: object) -> Result:
    values: dict[str, object] = {"order": order.id, "outcome": "done", "usage": BILL, **fields}
    return Result(**values)  # type: ignore[arg-type]  # a test names the fields it wants


def says_no(detail: str) -> Answer:
    return lambda order, _: answer(order, verdict=Verdict.FAIL, detail=detail)


def writes(files: Mapping[str, str]) -> Answer:
    return lambda order, desk: answer(order, head=desk.commit(files))


def proposes(*proposals: Proposal) -> Answer:
    return lambda order, _: answer(order, proposals=proposals)


def errs(kind: ErrorKind, message: str, retry_after_s: float | None = None) -> Answer:
    error = SessionError(kind=kind, message=message, retry_after_s=retry_after_s)
    return lambda order, _: answer(order, outcome="error", error=error)


def vanishes(order: Order, desk: Desk) -> None:
    """It leaves no result."""
