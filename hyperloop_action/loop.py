"""Cycles in a row: until no gap is left (``run``), exactly one (``reconcile``), or for ever
(``watch``).

Between two cycles nothing is kept in memory that the next one could not read again.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from hyperloop_action.cycle import Cycle, run_cycle
from hyperloop_action.domain.facts import Fact, SessionEnded, SessionErred
from hyperloop_action.domain.outlook import Outlook, outlook
from hyperloop_action.domain.rules import Rules
from hyperloop_action.errors import TransientError
from hyperloop_action.ports import Ports, Report


@dataclass(frozen=True, slots=True)
class Summary:
    """What a command did: every fact in order, and where things stand at its end."""

    outlook: Outlook
    facts: tuple[Fact, ...]

    @property
    def cost_usd(self) -> float:
        """What the sessions cost that ended meanwhile."""
        ended = (f for f in self.facts if isinstance(f, SessionEnded | SessionErred))
        return sum(fact.cost_usd for fact in ended)


@dataclass(slots=True)
class Loop:
    """``rules`` is read before every cycle, since a person may edit them meanwhile. ``stopping``
    tells that somebody wants an end: sessions are then asked to keep their work and end."""

    ports: Ports
    rules: Callable[[], Rules]
    report: Report
    stopping: Callable[[], bool]
    poll_s: float
    facts: list[Fact] = field(default_factory=list)

    def run(self) -> Summary:
        """Until no gap is left, or all that is left waits for a person."""
        while True:
            last = self._cycle()
            view = self._outlook(last)
            if self.stopping():
                return self._stop(last)
            if view.live:
                self._wait(view, self._next_poll(view))
            elif last.commit is None and view.wakes_at:
                self._wait(view, view.wakes_at)
            elif last.commit is None:
                return self._summary(last)

    def reconcile(self) -> Summary:
        """One cycle: what it starts is waited for and collected. A plan that it orders is used at
        once, so that its tasks need not wait for the next cycle."""
        last = self._cycle()
        started = [order.id for order in last.orders]
        planner = last.state.meta.planner.worker
        if planner and planner.order in started:
            self._wait_for([planner.order], last)
            last = self._cycle() if not self.stopping() else last
            started += [order.id for order in last.orders]
        if started and not self.stopping():
            self._wait_for(started, last)
        if self.stopping():
            return self._stop(last)
        return self._summary(self._cycle(spawning=False) if started else last)

    def watch(self) -> Summary:
        """Until somebody stops it. Trouble that passes is said and outlived."""
        while True:
            self.facts.clear()
            try:
                last = self._cycle()
            except TransientError as error:
                self.report.trouble(error)
                self.ports.workers.wait([], self._poll())
                if self.stopping():
                    raise
                continue
            if self.stopping():
                return self._stop(last)
            view = self._outlook(last)
            if view.live or last.commit is None:
                self._wait(view, self._next_poll(view))

    def _cycle(self, *, spawning: bool = True) -> Cycle:
        last = run_cycle(self.ports, self.rules(), spawning=spawning and not self.stopping())
        self.facts += last.facts
        return last

    def _wait(self, view: Outlook, until: datetime) -> None:
        self.report.waiting(view, until)
        self.ports.workers.wait(view.live, until)

    def _wait_for(self, orders: Iterable[str], last: Cycle) -> None:
        """Until all of them have ended that are not collected yet; they have deadlines of their
        own."""
        view = self._outlook(last)
        if live := [order for order in orders if order in view.live]:
            self.report.waiting(view, None)
            self.ports.workers.wait(live, None, every=True)

    def _stop(self, last: Cycle) -> Summary:
        live = self._outlook(last).live
        if live:
            self.report.stopping(live)
            self.ports.workers.stop(live)
            self.ports.workers.wait(live, self.ports.now() + STOP_PATIENCE, every=True)
            last = self._cycle(spawning=False)
        return self._summary(last)

    def _outlook(self, last: Cycle) -> Outlook:
        return outlook(last.state, self.ports.now())

    def _summary(self, last: Cycle) -> Summary:
        return Summary(self._outlook(last), tuple(self.facts))

    def _poll(self) -> datetime:
        return self.ports.now() + timedelta(seconds=self.poll_s)

    def _next_poll(self, view: Outlook) -> datetime:
        return min(self._poll(), view.wakes_at) if view.wakes_at else self._poll()


STOP_PATIENCE = timedelta(seconds=60)
"""How long sessions have to keep their work when the loop is stopped; the supervisors need 10 s."""
