"""Every key of ``.hyperloop.yaml``: its type, its default, what it means. ``settings.py`` reads it.

The Structs are also where the JSON Schema for editors comes from, so a key that is added here is
checked, shown, listed and completed at once.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from hyperloop_action.domain.process import Name


def _text(pattern: str, expected: str) -> Meta:
    return Meta(pattern=pattern, extra={"expected": expected})


_REF = r"(?![-.])(?!.*(\.\.|//|@\{|/\.|\.lock$))[^\s~^:?*\[\\\x00-\x1f\x7f]+$(?!\n)"

Count = Annotated[int, Meta(ge=1)]
Amount = Annotated[float, Meta(gt=0, le=1_000_000)]
Seconds = Annotated[float, Meta(ge=1, le=86_400)]
Minutes = Annotated[float, Meta(gt=0, le=10_080)]
Branch = Annotated[str, _text(rf"^(?!.*[/.]$){_REF}", "the name of a branch")]
Prefix = Annotated[str, _text(rf"^{_REF}", "the beginning of a branch's name")]
Remote = Annotated[str, _text(rf"^(?!.*[/.]$){_REF}", "auto, none or the name of a remote")]
Folder = Annotated[
    str,
    _text(r"^(?![/~-])(?!.*(^|/)\.\.(/|$))[^\n\\]+$(?!\n)", "a folder inside the repository"),
]
Variable = Annotated[str, _text(r"^[A-Za-z_][A-Za-z0-9_]*$(?!\n)", "the name of a variable")]
Text = Annotated[str, Meta(min_length=1)]


class _Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A mapping that refuses keys which it does not know."""


class RoleSettings(_Section, frozen=True):
    """How one role's agent runs; null means as in ``agents.default``, and there as shipped."""

    runtime: Name | None = None
    model: Text | None = None
    max_turns: Count | None = None
    max_budget_usd: Amount | None = None
    timeout_minutes: Minutes | None = None


class CommandRuntime(_Section, frozen=True, tag_field="type", tag="command"):
    """Any executable that reads a prompt. ``env`` names variables that it may see."""

    command: Annotated[tuple[Text, ...], Meta(min_length=1)]
    env: tuple[Variable, ...] = ()


class ClaudeRuntime(_Section, frozen=True, tag_field="type", tag="claude"):
    """Claude Code with more variables than usual, or another model."""

    model: Text | None = None
    env: tuple[Variable, ...] = ()


class Merge(_Section, frozen=True):
    auto_merge: Annotated[bool, Meta(description="false leaves the merge to a person")] = True
    strategy: Literal["squash", "merge", "rebase"] = "squash"
    delete_branch: Annotated[bool, Meta(description="delete a task's branch when merged")] = True


class Budget(_Section, frozen=True):
    max_usd_per_day: Annotated[
        Amount | None, Meta(description="start no agent above this; days are UTC days")
    ] = None


class Notifications(_Section, frozen=True):
    type: Literal["github-comment"] | None = None


class Matrix(_Section, frozen=True):
    homeserver: Text
    registration_token_env: Variable | None = None
    token_env: Variable | None = None
    bot_username: Text | None = None
    room_id: Text | None = None
    verbose: bool = False


class Observability(_Section, frozen=True):
    log_format: Literal["console", "json"] = "console"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    matrix: Matrix | None = None


PROTECTED = ("specs/**", ".hyperloop/**", ".hyperloop.yaml", ".github/**")


class Keys(_Section, frozen=True):
    """The whole file. Every key may be left out."""

    overlay: Annotated[
        Text, Meta(description="the folder with this project's agents and process")
    ] = ".hyperloop/agents/"
    base_ref: Annotated[
        Text | None, Meta(description="where the shipped agents come from; null: this copy")
    ] = None
    repo: Annotated[
        Annotated[str, _text(r"^[\w.-]+/[\w.-]+$(?!\n)", "owner/name")] | None,
        Meta(description="the repository on GitHub; null: none"),
    ] = None
    process: Annotated[Name, Meta(description="the name of the process that tasks walk")] = (
        "default"
    )
    base_branch: Annotated[Branch, Meta(description="the branch that work is merged into")] = "main"
    specs_dir: Annotated[Folder, Meta(description="the folder of the specs")] = "specs"
    state_branch: Annotated[Branch, Meta(description="where state is kept")] = "hyperloop-state"
    branch_prefix: Annotated[Prefix, Meta(description="how the branches of tasks begin")] = (
        "hyperloop/"
    )
    remote: Annotated[
        Remote, Meta(description="auto: origin, or the only one; none: work in this clone alone")
    ] = "auto"
    runtime: Annotated[Name, Meta(description="claude, or a name under runtimes")] = "claude"
    runtimes: dict[Name, CommandRuntime | ClaudeRuntime] = {}
    agents: Annotated[
        dict[Name, RoleSettings], Meta(description="per role; `default` is for all")
    ] = {}
    max_workers: Annotated[Count, Meta(description="how many agents work at a time")] = 6
    max_task_rounds: Annotated[Count, Meta(description="rounds until a task has failed")] = 50
    max_action_attempts: Annotated[
        Count, Meta(description="tries of a merge until the task goes back to an agent")
    ] = 3
    max_rebase_attempts: Annotated[
        Count, Meta(description="conflicts with the base branch until a task has failed")
    ] = 3
    max_spawn_attempts: Annotated[
        Count, Meta(description="sessions that end in an error until a task has failed")
    ] = 3
    max_spec_attempts: Annotated[
        Count, Meta(description="plans for one version of a spec until it has failed")
    ] = 3
    poll_interval: Annotated[
        Seconds, Meta(description="seconds between two cycles, and the first back-off")
    ] = 30.0
    on_close: Annotated[
        Literal["replan"], Meta(description="what closing a pull request means, once there are any")
    ] = "replan"
    merge: Merge = Merge()
    budget: Budget = Budget()
    protected_paths: Annotated[
        tuple[Text, ...], Meta(description="no agent may change these; as in .gitignore")
    ] = PROTECTED
    max_change_mb: Annotated[
        Amount, Meta(description="the most that one session may add, in megabytes")
    ] = 50.0
    notifications: Notifications = Notifications()
    observability: Observability = Observability()


DEFAULT_ROLE = RoleSettings(max_turns=60, max_budget_usd=5.0, timeout_minutes=60.0)
"""What holds where neither the configuration nor an agent's document says anything."""


def schema() -> dict[str, object]:
    """The JSON Schema of ``.hyperloop.yaml``, for editors and for ``hyperloop config schema``."""
    generated: dict[str, object] = msgspec.json.schema(Keys)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": ".hyperloop.yaml",
        **generated,
    }
