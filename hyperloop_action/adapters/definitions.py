"""Folders of YAML files -> the process and the agents of this project; ``wiring`` calls this.

Three layers: what is shipped, the project's overlay, and its ``process/`` folder with what was
learned. Reading takes a mapping of paths to bytes, so that a commit serves as well as a checkout.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from hyperloop_action.domain.agents import AgentDefinition, read_agent
from hyperloop_action.domain.config_keys import Keys
from hyperloop_action.domain.documents import Document, nearest, shown
from hyperloop_action.domain.expectations import one_of
from hyperloop_action.domain.layers import Stack
from hyperloop_action.domain.orders import Wants
from hyperloop_action.domain.process import Process
from hyperloop_action.domain.process_document import read_process
from hyperloop_action.errors import ConfigError, Problem
from hyperloop_action.settings import CONFIG_FILE, Settings

BASE = Path(__file__).parent.parent / "base"
KUSTOMIZATIONS = ("kustomization.yaml", "kustomization.yml", "Kustomization")
SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class Definitions:
    """``process`` is the one that the settings pick; ``agents`` are all that exist, by name."""

    process: Process
    agents: dict[str, AgentDefinition]
    processes: dict[str, Process]
    notices: tuple[str, ...] = ()


def read_folder(root: Path, folder: str) -> dict[str, bytes]:
    """Every file below ``root/folder``, by its path from ``root``; empty without such a folder."""
    found = sorted(path for path in (root / folder).rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in found}


def shipped() -> dict[str, bytes]:
    """The documents of this package."""
    return read_folder(BASE.parent, BASE.name)


def load_definitions(
    files: Mapping[str, bytes], settings: Settings, base: Mapping[str, bytes] | None = None
) -> Definitions:
    """``files`` are those of the repository, or of its overlay folder alone, by their paths.

    Raises :class:`ConfigError` with every mistake of all files.
    """
    overlay = _below(settings.overlay, files)
    learned = _below(f"{settings.overlay}/process", overlay)
    stack = Stack(settings.process, problems=_unreadable(overlay, settings))
    stack.add(_documents(shipped() if base is None else base))
    project = {path: text for path, text in overlay.items() if path not in learned}
    stack.add(_documents(project))
    stack.add(_documents(learned), extends_guidelines=True)
    notices: list[str] = []
    agents = _agents(stack, settings)
    processes = _processes(stack, notices)
    stack.problems += _unknown_names(stack, settings)
    if stack.problems:
        raise ConfigError(sorted(stack.problems, key=lambda problem: (problem.file, problem.line)))
    return Definitions(processes[settings.process], agents, processes, tuple(notices))


def _below(folder: str, files: Mapping[str, bytes]) -> dict[str, bytes]:
    top = PurePosixPath(folder)
    return {path: text for path, text in files.items() if PurePosixPath(path).is_relative_to(top)}


def _documents(files: Mapping[str, bytes]) -> dict[str, bytes]:
    return {
        path: text
        for path, text in files.items()
        if path.endswith(SUFFIXES) and PurePosixPath(path).name not in KUSTOMIZATIONS
    }


def _unreadable(overlay: Mapping[str, bytes], settings: Settings) -> list[Problem]:
    for path in sorted(overlay):
        if PurePosixPath(path).name in KUSTOMIZATIONS:
            what = "kustomize overlays are not supported yet by this version"
            hint = "remove it to have the folder read as plain documents"
            return [Problem(path, 0, "", what, hint=hint)]
    if not overlay and settings.overlay != str(PurePosixPath(Keys().overlay)):
        file = settings.origins.get("overlay", CONFIG_FILE)
        what = f"is {shown(settings.overlay)}, where there are no files"
        return [Problem(file, 0, "overlay", what, "a folder with agents or a process")]
    return []


def _agents(stack: Stack, settings: Settings) -> dict[str, AgentDefinition]:
    agents = {}
    runtimes = ("claude", *settings.runtimes)
    for name in stack.names("Agent"):
        document = stack.documents["Agent", name]
        agent = read_agent(document, stack.problems)
        if agent is None:
            continue
        agents[name] = agent
        runtime = agent.runtime.runtime
        if runtime not in (None, "local", *runtimes):
            what = f"is {shown(runtime)}, which is no runtime"
            hint = nearest(str(runtime), runtimes)
            stack.problems.append(document.problem(("runtime",), what, one_of(runtimes), hint))
    return agents


def _processes(stack: Stack, notices: list[str]) -> dict[str, Process]:
    wants = {name: _wants(stack.documents["Agent", name]) for name in stack.names("Agent")}
    processes = {}
    for name in stack.names("Process"):
        document = stack.documents["Process", name]
        process = read_process(document, wants, stack.problems, notices, name)
        if process is None:
            continue
        processes[name] = process
        if process.hooks.after_reap:
            what = "hooks are not supported yet by this version"
            stack.problems.append(document.problem(("hooks",), what, hint="leave the key out"))
    return processes


def _wants(document: Document) -> Wants:
    """Also of an agent with mistakes, so that a process does not repeat them."""
    value = document.value.get("wants") if isinstance(document.value, dict) else None
    return Wants(value) if value in list(Wants) else Wants.VERDICT


def _unknown_names(stack: Stack, settings: Settings) -> list[Problem]:
    """Names in the settings that mean nothing here, and so would do nothing."""
    problems = []
    processes = stack.names("Process")
    if settings.process not in processes:
        what = f"there is no process {shown(settings.process)}"
        hint = nearest(settings.process, processes)
        file = settings.origins.get("process", CONFIG_FILE)
        problems.append(Problem(file, 0, "process", what, one_of(processes), hint))
    known = stack.names("Agent")
    for role in settings.agents:
        if role not in ("default", *known):
            what = f"there is no agent {shown(role)}"
            expected, hint = one_of(["default", *known]), nearest(role, known)
            file = _place_of(f"agents.{role}", settings)
            problems.append(Problem(file, 0, f"agents.{role}", what, expected, hint))
    return problems


def _place_of(key: str, settings: Settings) -> str:
    places = (place for name, place in settings.origins.items() if name.startswith(f"{key}."))
    return next(places, CONFIG_FILE)
