"""Settings -> Ports: the only place that knows which adapter stands behind which port.

The clock and the sleep of the machine are read here, the environment by the CLI; both are handed
down.
"""

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from hyperloop_action.adapters import processes, supervisor
from hyperloop_action.adapters.agents import RUNTIMES
from hyperloop_action.adapters.definitions import load_definitions
from hyperloop_action.adapters.git import Git, Repository, open_repository
from hyperloop_action.adapters.git_environment import environment
from hyperloop_action.adapters.local_forge import LocalForge
from hyperloop_action.adapters.local_workers import LocalWorkers, sessions_folder
from hyperloop_action.adapters.project_files import ProjectFiles
from hyperloop_action.adapters.prompts import TemplatePrompts, problems_of
from hyperloop_action.adapters.sinks import Log
from hyperloop_action.adapters.state_branch import StateBranch
from hyperloop_action.adapters.state_store import BranchStateStore
from hyperloop_action.adapters.trunk import Trunk
from hyperloop_action.domain.documents import Value
from hyperloop_action.domain.facts import Probe
from hyperloop_action.domain.orders import Result, decode_order
from hyperloop_action.domain.remotes import choose_remote
from hyperloop_action.domain.rules import Rules
from hyperloop_action.domain.spawn import Claimer, Role
from hyperloop_action.errors import ConfigError, UsageError
from hyperloop_action.ports import Ports
from hyperloop_action.settings import Settings


@dataclass(frozen=True, slots=True)
class Request:
    """What a command was asked to work on: options and environment, nothing looked up yet."""

    path: Path
    env: Mapping[str, str]
    config: Path | None = None
    options: Mapping[str, Value] | None = None


@dataclass(frozen=True, slots=True)
class App:
    """Everything that a command needs. ``notices`` are for people; ``user`` is who they are."""

    settings: Settings
    ports: Ports
    repository: Repository
    git: Git
    claimer: Claimer
    env: Mapping[str, str]
    notices: tuple[str, ...]

    def rules(self) -> Rules:
        """Read anew, since people may edit agents and process between two cycles.
        Raises :class:`ConfigError` with every mistake of all files."""
        settings = self.settings
        files = ProjectFiles(self.git, self.repository, settings.base_branch)
        definitions = load_definitions(files.overlay(settings.overlay), settings)
        if problems := problems_of(definitions.agents):
            raise ConfigError(problems)
        roles = {
            name: Role(name, agent.wants, settings.runtime_for(name, agent.runtime))
            for name, agent in definitions.agents.items()
        }
        return Rules(
            process=definitions.process,
            roles=roles,
            agents=definitions.agents,
            limits=settings.limits(),
            claimer=self.claimer,
            protected_paths=settings.protected_paths,
            max_change_mb=settings.max_change_mb,
            notices=definitions.notices,
        )

    def user(self) -> str:
        """Who is at the keyboard: whom a workflow names, else as git knows them."""
        known = self.env.get("GITHUB_ACTOR") or self.env.get("GIT_AUTHOR_NAME")
        return known or self.git.run("config", "user.name", accept=(0, 1)).text or "somebody"

    def log(self, stream: TextIO) -> Log:
        """Where facts go when nobody watches, as the settings want it written."""
        wanted = self.settings.observability
        return Log(wanted.log_format, wanted.log_level, stream, self.ports.now)


def open_app(
    request: Request,
    *,
    probe: Probe = lambda _: None,
    notice: Callable[[str], None] = lambda _: None,
    stopping: Callable[[], bool] = lambda: False,
) -> App:
    """Raises :class:`UsageError` without a usable repository, :class:`ConfigError` for mistakes in
    its configuration; nothing is changed either way."""
    env = environment(request.env)
    repository = open_repository(request.path, env)
    alone = Git(_place(repository), env, repository.common_dir, notice=notice)
    settings, told = _settings(request, alone, repository)
    remotes = alone.remotes()
    remote, why = choose_remote(settings.remote, remotes)
    git = replace(alone, remote=remote)
    claimer = Claimer(_run_ref(request.env), processes.identity())
    names = (settings.base_branch, settings.state_branch, settings.branch_prefix)
    trunk = Trunk(git, *names, settings.specs_dir)
    branch = StateBranch(git, settings.state_branch)
    shared_by = remotes[remote] if remote else str(repository.common_dir)
    root = sessions_folder(request.env, shared_by)
    ports = Ports(
        state=BranchStateStore(branch, trunk.look, now, claimer.run),
        repository=trunk,
        workers=LocalWorkers(git, root, request.env, now, stopping),
        forge=LocalForge(git, settings.base_branch, now),
        prompts=TemplatePrompts(),
        now=now,
        pause=_pause,
        probe=probe,
    )
    notices = tuple(word for word in (*settings.notices, told, *repository.limits, why) if word)
    return App(settings, ports, repository, git, claimer, request.env, notices)


def work(
    order: Path,
    out: Path,
    repository: Path,
    env: Mapping[str, str],
    on_line: Callable[[str], None] | None = None,
) -> Result:
    """Execute one work order; what comes of it is left in ``out``, and returned.
    Raises :class:`UsageError` for a file that is no order, or a runtime that there is not."""
    try:
        read = decode_order(order.read_bytes(), str(order))
    except OSError as error:
        raise UsageError(f"{order}: {error.strerror}", hint="name an order's JSON file") from error
    runtime = RUNTIMES.get(read.runtime.name)
    if runtime is None:
        known = ", ".join(sorted(RUNTIMES))
        raise UsageError(f"{order}: there is no runtime {read.runtime.name!r}", expected=known)
    found = open_repository(repository, environment(env))
    return supervisor.work(read, _place(found), out, runtime, env, on_line=on_line)


def now() -> datetime:
    """To the second: what is written must read back as the same value."""
    return datetime.now(UTC).replace(microsecond=0)


def _settings(request: Request, git: Git, repository: Repository) -> tuple[Settings, str]:
    """The settings, and a word on where they stand if that is not where a person would look."""
    wanted = (request.options or {}).get("base_branch") or request.env.get("HYPERLOOP_BASE_BRANCH")
    files = ProjectFiles(git, repository, str(wanted or Settings().base_branch))
    content, source = files.config(request.config)
    elsewhere = repository.top is not None and ":" in source and not request.config
    told = f"settings come from {source}, since there are none here" if elsewhere else ""
    return Settings.from_mapping(request.env, content, request.options, source), told


def _place(repository: Repository) -> Path:
    return repository.top or repository.git_dir


def _run_ref(env: Mapping[str, str]) -> str:
    """``Run-Ref`` of a commit: the workflow run, where there is one."""
    names = ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID")
    server, repository, run = (env.get(name, "") for name in names)
    return f"{server}/{repository}/actions/runs/{run}" if server and repository and run else "local"


def _pause(races: int) -> None:
    """Jittered, so that two cycles that met once do not meet again."""
    time.sleep(random.uniform(0.05, 0.2) * 2**races)  # noqa: S311 - no secret depends on it
