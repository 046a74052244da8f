"""An engine over a real repository: real git, scripted sessions, a clock that a test moves.

Every cycle gets fresh ports, so nothing but git and the sessions' disk carries over; that is what a
process has that was killed and started again.
"""

import re
import textwrap
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hyperloop_action.adapters.local_forge import LocalForge
from hyperloop_action.adapters.state_branch import StateBranch
from hyperloop_action.adapters.state_store import BranchStateStore
from hyperloop_action.adapters.trunk import Trunk
from hyperloop_action.cycle import Cycle, run_cycle
from hyperloop_action.domain.agents import AgentDefinition
from hyperloop_action.domain.briefing import Briefing
from hyperloop_action.domain.limits import Limits
from hyperloop_action.domain.model import State, Task
from hyperloop_action.domain.orders import Proposal, RuntimeSpec, Wants
from hyperloop_action.domain.outlook import Outlook
from hyperloop_action.domain.pipeline import leaves
from hyperloop_action.domain.process import (
    ActionStep,
    AgentStep,
    GateStep,
    LabelGate,
    LoopStep,
    MergeAction,
    Process,
    ReadyAction,
    Step,
)
from hyperloop_action.domain.rules import Rules
from hyperloop_action.domain.spawn import Claimer, Role
from hyperloop_action.domain.wishes import approve
from hyperloop_action.errors import HyperloopError
from hyperloop_action.loop import Loop, Summary
from hyperloop_action.ports import Ports
from tests.fakes.workers import ScriptedWorkers
from tests.git_world import Repo

STATE, BASE = "hyperloop-state", "main"
AUTH, PAY = "specs/auth.md", "specs/pay.md"
IMPLEMENTER, VERIFIER = AgentStep("implementer"), AgentStep("verifier")
LOOP = LoopStep((IMPLEMENTER, VERIFIER))
MERGE = ActionStep("merge-pr")
WIDTH = 88


def process(*steps: Step) -> Process:
    return Process(
        name="story",
        pipeline=steps,
        gates={step.name: LabelGate() for _, step in leaves(steps) if isinstance(step, GateStep)},
        actions={"merge-pr": MergeAction(), "mark-ready": ReadyAction()},
    )


DEFAULT = process(LOOP, MERGE)


def proposal(key: str, spec: str = AUTH, *deps: str) -> Proposal:
    return Proposal(
        key=key, title=f"Build {key}", description=f"All of {key}.", spec=spec, deps=deps
    )


@dataclass
class Clock:
    """It stands still unless it is moved."""

    at: datetime = datetime(2026, 11, 21, 14, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    def advance(self, until: datetime | None = None) -> None:
        """To that time; without one, by a minute."""
        self.at = max(until or self.at + timedelta(minutes=1), self.at)


class Summaries:
    """A prompt that says what it was made of."""

    def compose(self, briefing: Briefing) -> str:
        about = briefing.task.title if briefing.task else [s.path for s in briefing.specs]
        said = [f"{r.role} {r.round}: {r.findings}" for r in briefing.findings]
        refused = [briefing.refusal] if briefing.refusal else []
        return "\n".join([f"{briefing.agent.name} on {about}", *said, *refused])


class Quiet:
    def waiting(self, outlook: Outlook, until: datetime | None) -> None: ...

    def stopping(self, orders: Iterable[str]) -> None: ...

    def trouble(self, error: HyperloopError) -> None: ...


class Killed(BaseException):
    """As a kill it passes every ``except Exception``."""


class Watched:
    """A port of which every call is told before and after: ``state.save``."""

    def __init__(self, name: str, port: object, *tell: Callable[[str], None]) -> None:
        self._name, self._port, self._tell = name, port, tell

    def __getattr__(self, name: str) -> Callable[..., object]:
        call, (before, after) = f"{self._name}.{name}", self._tell

        def told(*args: object, **kwargs: object) -> object:
            before(call)
            answer = getattr(self._port, name)(*args, **kwargs)
            after(call)
            return answer

        return told


def watched(
    ports: Ports, before: Callable[[str], None], after: Callable[[str], None] = lambda _: None
) -> Ports:
    """``before`` and ``after`` may raise, as if the engine died there."""
    names = ("state", "repository", "workers", "forge", "prompts")
    told: dict[str, Any] = {
        name: Watched(name, getattr(ports, name), before, after) for name in names
    }
    return replace(ports, **told)


@dataclass
class Story:
    """``wrap`` may put something between the engine and its ports."""

    repo: Repo
    plans: dict[str, tuple[Proposal, ...]] = field(default_factory=dict)
    process: Process = DEFAULT
    limits: Limits = field(default_factory=lambda: Limits(branch_prefix="hyperloop/"))
    clock: Clock = field(default_factory=Clock)
    wrap: Callable[[Ports], Ports] = lambda ports: ports

    def __post_init__(self) -> None:
        self.agents = ScriptedWorkers(self.repo.engine(), self.clock.advance, self.plans)

    # --- the engine -------------------------------------------------------------------------------

    def ports(self) -> Ports:
        git = self.repo.engine()
        trunk = Trunk(git, BASE, STATE, self.limits.branch_prefix, "specs")
        state = BranchStateStore(StateBranch(git, STATE), trunk.look, self.clock.now, "local")
        return self.wrap(
            Ports(
                state=state,
                repository=trunk,
                workers=self.agents,
                forge=LocalForge(git, BASE, self.clock.now),
                prompts=Summaries(),
                now=self.clock.now,
                pause=lambda _: None,
                probe=lambda _: None,
            )
        )

    def rules(self) -> Rules:
        names = {
            step.name for _, step in leaves(self.process.pipeline) if isinstance(step, AgentStep)
        }
        wants = {"pm": Wants.PROPOSALS, "implementer": Wants.CHANGES}
        roles = {
            name: Role(name, wants.get(name, Wants.VERDICT), RuntimeSpec(name="story"))
            for name in (*names, "pm")
        }
        agents = {name: AgentDefinition(name=name, prompt=name) for name in roles}
        claimer = Claimer("local", None)
        return Rules(self.process, roles, agents, self.limits, claimer, ("specs/**",), 50.0)

    def cycle(self) -> Cycle:
        """One cycle, a minute after the last."""
        done = run_cycle(self.ports(), self.rules())
        self.clock.advance()
        return done

    def cycles(self, count: int) -> None:
        for _ in range(count):
            self.cycle()

    def run(self) -> Summary:
        """Until nothing moves any more."""
        return self.loop().run()

    def loop(self) -> Loop:
        return Loop(self.ports(), self.rules, Quiet(), lambda: False, poll_s=60.0)

    # --- what people do ---------------------------------------------------------------------------

    def approve(self, name: str, by: str = "Ada") -> None:
        """As ``hyperloop approve`` does it."""
        store = self.ports().state
        stored = store.load()
        granted = approve(stored.state, stored.state.tasks[name], by, self.clock.now())
        store.save(stored, granted.state, "approve", [fact.line() for fact in granted.facts], ())

    def push(self, name: str, files: dict[str, str]) -> str:
        """A person commits to a branch without checking it out here."""
        side = Repo(self.repo.path.parent / "side", self.repo.env)
        self.repo.git("worktree", "add", "--quiet", "--force", str(side.path), name)
        commit = side.commit(files, "By hand")
        self.repo.git("worktree", "remove", "--force", str(side.path))
        return commit

    # --- what is to be seen -----------------------------------------------------------------------

    def state(self) -> State:
        return self.ports().state.load().state

    def task(self, number: int = 1) -> Task:
        return self.state().tasks[f"task-{number:03d}"]

    def finished(self, number: int = 1) -> Task:
        """A task of the archive."""
        found = self.ports().state.finished(f"task-{number:03d}")
        assert found
        return found[0]

    def tip(self) -> str:
        return self.repo.tip(STATE)

    def files(self) -> dict[str, str]:
        """What the base branch holds beside its specs."""
        every = self.repo.files(BASE)
        return {path: text for path, text in every.items() if not path.startswith("specs/")}

    def log(self, ref: str = STATE, after: int = 0) -> str:
        """The history of a branch, oldest first: hours, subjects, bodies, trailers. Without the
        first ``after`` commits."""
        shown = self.repo.git(
            "log", "--first-parent", "--reverse", "--date=format-local:%H:%M", "-z",
            "--format=%cd %B", ref,
        )  # fmt: skip
        return "\n\n".join(_wrapped(text) for text in shown.strip("\0").split("\0")[after:])


def story(repo: Repo, *keys: str | Proposal, **fields: object) -> Story:
    """The spec ``auth`` is planned as these tasks."""
    plan = tuple(proposal(key) if isinstance(key, str) else key for key in keys)
    values: dict[str, object] = {"plans": {AUTH: plan}, **fields}
    return Story(repo, **values)  # type: ignore[arg-type]  # a test names the fields it wants


def same(actual: str, expected: str) -> None:
    """``expected`` is written as it stands in a test."""
    assert actual == textwrap.dedent(expected).strip("\n")


def _wrapped(text: str) -> str:
    """Commits have names that no test should know. Long lines go on below, and the trailers share
    one."""
    plain = re.sub(r"\b[0-9a-f]{12,40}\b", "<commit>", text.strip())
    message, _, trailers = plain.rpartition("\n\n")
    lines = [*message.replace("\n\n", "\n").split("\n"), " | ".join(trailers.split("\n"))]
    folded = [_fold(line) for line in lines if line]
    return "\n".join([folded[0], *(f"  {line}" for line in folded[1:])])


def _fold(line: str) -> str:
    return textwrap.fill(
        line, WIDTH, subsequent_indent="      ", break_long_words=False, break_on_hyphens=False
    )
