"""``.hyperloop.yaml``, the environment and the command line -> Settings; mistakes come together.

``wiring`` is the caller. What a key is called, and its type and default, stands in
``domain/config_keys.py``; here are where values come from, and the rules between several keys.
"""

import json
import posixpath
import re
from collections.abc import Iterator, Mapping

from msgspec import field, inspect, to_builtins
from msgspec.structs import asdict, replace

from hyperloop_action.domain.config_keys import (
    DEFAULT_ROLE,
    ClaudeRuntime,
    CommandRuntime,
    Keys,
    RoleSettings,
)
from hyperloop_action.domain.config_rules import broken_rules
from hyperloop_action.domain.decoding import decode
from hyperloop_action.domain.documents import (
    Document,
    Path,
    Value,
    dotted,
    nearest,
    parse_one,
    scalar,
)
from hyperloop_action.domain.expectations import bare, fits
from hyperloop_action.domain.limits import Limits
from hyperloop_action.domain.old_keys import renewed
from hyperloop_action.domain.orders import RuntimeSpec
from hyperloop_action.errors import ConfigError, Problem

CONFIG_FILE = ".hyperloop.yaml"
COMMAND_LINE = "command line"
PREFIX = "HYPERLOOP_"


class Settings(Keys, frozen=True, kw_only=True):
    """The effective values. ``origins`` tells for each value that was set where: a dotted key to
    ``.hyperloop.yaml:4``, ``HYPERLOOP_MAX_WORKERS`` or ``command line``."""

    notices: tuple[str, ...] = ()
    origins: dict[str, str] = field(default_factory=dict)

    @classmethod
    def from_mapping(
        cls,
        env: Mapping[str, str],
        file: bytes | None = None,
        options: Mapping[str, Value] | None = None,
        source: str = CONFIG_FILE,
    ) -> "Settings":
        """Later wins: defaults, ``file``, ``env``, ``options`` (dotted keys; null: not given).

        Raises :class:`ConfigError` with every mistake of all of them.
        """
        problems: list[Problem] = []
        notices: list[str] = []
        layers = [
            _file_layer(file, source, problems, notices),
            *_environment_layers(env, notices),
            *_option_layers(options or {}),
        ]
        for layer in layers:
            decode(layer, Keys, problems)
        if problems:
            raise ConfigError(problems)
        return cls._of(_merged(layers), notices)

    @classmethod
    def _of(cls, document: Document, notices: list[str]) -> "Settings":
        problems: list[Problem] = []
        keys = decode(document, Keys, problems)
        if keys is not None:
            problems += broken_rules(document, keys)
        if keys is None or problems:
            raise ConfigError(problems)
        values = {key: getattr(keys, key) for key in keys.__struct_fields__}
        default = first_said(keys.agents.get("default", RoleSettings()), DEFAULT_ROLE)
        values["agents"] = {**keys.agents, "default": default}
        values["specs_dir"] = posixpath.normpath(keys.specs_dir)
        values["overlay"] = posixpath.normpath(keys.overlay)
        origins = {dotted(path): _place(document, path) for path in document.origins if path}
        return cls(**values, notices=tuple(notices), origins=origins)

    def limits(self) -> Limits:
        return Limits(
            max_workers=self.max_workers,
            max_task_rounds=self.max_task_rounds,
            max_action_attempts=self.max_action_attempts,
            max_rebase_attempts=self.max_rebase_attempts,
            max_spawn_attempts=self.max_spawn_attempts,
            max_spec_attempts=self.max_spec_attempts,
            backoff_s=self.poll_interval,
            auto_merge=self.merge.auto_merge,
            merge_strategy=self.merge.strategy,
            delete_branch=self.merge.delete_branch,
            max_usd_per_day=self.budget.max_usd_per_day,
            branch_prefix=self.branch_prefix,
        )

    def runtime_for(self, role: str, document: RoleSettings | None = None) -> RuntimeSpec:
        """How the agent of a role is started. The first that says something wins: the role's entry
        under ``agents``, the agent's own document, ``agents.default``, the runtime, the default."""
        layers = (self.agents.get(role), document, self.agents.get("default"))
        said = first_said(*(layer for layer in layers if layer))
        runtime = self.runtimes.get(said.runtime or self.runtime)
        spec = replace(RuntimeSpec(), **_runtime_fields(runtime))
        limits = {key: value for key, value in asdict(said).items() if value is not None}
        limits.pop("runtime", None)
        if minutes := limits.pop("timeout_minutes", None):
            limits["timeout_s"] = minutes * 60
        return replace(spec, **limits)


def show(settings: Settings) -> str:
    """Every effective value as YAML, and behind each where it was set."""
    values = to_builtins(settings)
    known = {key: values[key] for key in Keys.__struct_fields__}
    return "".join(_shown(known, (), settings.origins))


def _shown(values: dict[str, Value], path: Path, origins: Mapping[str, str]) -> Iterator[str]:
    for key, value in values.items():
        at, indent = (*path, key), "  " * len(path)
        if isinstance(value, dict) and value:
            yield f"{indent}{key}:\n"
            yield from _shown(value, at, origins)
        else:
            yield f"{indent}{key}: {_flow(value)}  # {origins.get(dotted(at), 'default')}\n"


def _flow(value: Value) -> str:
    """On one line. JSON is YAML, but words that need no quotes are nicer without."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(_flow(item) for item in value)}]"
    if isinstance(value, str) and _WORD.fullmatch(value) and scalar(value) == value:
        return value
    return json.dumps(value, ensure_ascii=False)


_WORD = re.compile(r"[A-Za-z0-9_./][\w./*-]*")


def first_said(*layers: RoleSettings) -> RoleSettings:
    """For each key the first value that is not null."""
    values = {
        key: next((v for layer in layers if (v := getattr(layer, key)) is not None), None)
        for key in RoleSettings.__struct_fields__
    }
    return RoleSettings(**values)


def _runtime_fields(runtime: CommandRuntime | ClaudeRuntime | None) -> dict[str, object]:
    match runtime:
        case CommandRuntime():
            return {"name": "command", "command": runtime.command, "env": runtime.env}
        case ClaudeRuntime():
            return {"name": "claude", "model": runtime.model, "env": runtime.env}
        case None:
            return {"name": "claude"}


def _file_layer(
    file: bytes | None, source: str, problems: list[Problem], notices: list[str]
) -> Document:
    try:
        document = parse_one(file or b"", source)
    except ConfigError as error:
        problems += error.problems
        return Document({}, source)
    return renewed(document, problems, notices)


def _environment_layers(env: Mapping[str, str], notices: list[str]) -> Iterator[Document]:
    """One document per variable, so that its mistakes name it. An empty one counts as not set:
    that is what an action passes for an input which was left out."""
    known = {f"{PREFIX}{'__'.join(map(str, path)).upper()}": path for path in _LEAVES}
    for name in sorted(name for name in env if name.startswith(PREFIX) and env[name].strip()):
        if path := known.get(name):
            yield Document(_nested(path, _from_text(_LEAVES[path], env[name])), name)
        elif hint := nearest(name, known, cutoff=0.9):
            notices.append(f"{name} is no setting ({hint})")


def _option_layers(options: Mapping[str, Value]) -> Iterator[Document]:
    for key, value in options.items():
        if value is not None:
            yield Document(_nested(tuple(key.split(".")), value), COMMAND_LINE)


def _leaves(struct: inspect.Type, path: Path = ()) -> Iterator[tuple[Path, inspect.Type]]:
    """Every key that can be set by one word, with its type."""
    if not isinstance(struct, inspect.StructType):
        yield path, struct
        return
    for one in struct.fields:
        if not isinstance(bare(one.type), inspect.DictType):
            yield from _leaves(one.type, (*path, one.encode_name))


_LEAVES = dict(_leaves(inspect.type_info(Keys)))


def _from_text(kind: inspect.Type, text: str) -> Value:
    """A variable holds text; what it means depends on what is wanted there."""
    if isinstance(bare(kind), inspect.VarTupleType):
        return [part.strip() for part in text.split(",") if part.strip()]
    value = scalar(text.strip())
    return value if fits(kind, value) else text.strip()


def _nested(path: Path, value: Value) -> Value:
    for part in reversed(path):
        value = {str(part): value}
    return value


def _merged(layers: list[Document]) -> Document:
    """One document of all values; each leaf remembers the layer that it came from."""
    value: dict[str, Value] = {}
    origins: dict[Path, tuple[Document, Path]] = {}
    for layer in layers:
        for path, leaf in _written(layer.value):
            _put(value, path, leaf)
            origins[path] = (layer, path)
    return Document(value, layers[0].source, layers[0].text, origins=origins)


def _written(value: Value, path: Path = ()) -> Iterator[tuple[Path, Value]]:
    if not isinstance(value, dict) or (path and not value):
        yield path, value
        return
    for key, item in value.items():
        yield from _written(item, (*path, key))


def _put(value: dict[str, Value], path: Path, leaf: Value) -> None:
    for part in path[:-1]:
        inner = value.setdefault(str(part), {})
        if not isinstance(inner, dict):
            inner = value[str(part)] = {}
        value = inner
    value[str(path[-1])] = leaf


def _place(document: Document, path: Path) -> str:
    file, line = document.where(path)
    return f"{file}:{line}" if line else file
