"""Which of the caller's environment variables an agent gets: an allow-list, and what never passes.

``supervisor.py`` builds the environment of agents and checks with it; settings refuse a configured
name for which :func:`forbidden` has a reason, so that the mistake is seen before anything runs.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import PurePath

from hyperloop_action.domain.commits import BOT

_PLAIN = re.compile(r"PATH|LANG|LANGUAGE|LC_[A-Z]+|TERM|TZ|USER|LOGNAME")

MIN_SECRET = 8
"""Characters; a shorter value (``1``, ``true``) is no secret, and would be masked everywhere."""

_OPEN = re.compile(
    r".*(_URL|_HOST|_MODEL|_REGION|_PROJECT|_PROJECT_ID|_ENDPOINT|_PROFILE|_VERSION|_FILE|_PATH)"
    r"|CLAUDE_CODE_USE_.*"
)
_USERINFO = re.compile(r"//[^/\s]+@")

_FORBIDDEN = (
    (re.compile(r"(GITHUB|GH)_(ENTERPRISE_)?TOKEN"), "it lets its holder push and merge"),
    (re.compile(r"ACTIONS_.*"), "it lets its holder speak for the workflow run"),
    (re.compile(r"INPUT_.*"), "inputs of the action hold its token"),
    (
        re.compile(r"GITHUB_(ENV|OUTPUT|PATH|STATE|STEP_SUMMARY)"),
        "what is written to that file changes later steps of the job",
    ),
    (re.compile(r"GIT_.*"), "it would redirect git away from the agent's own clone"),
    (re.compile(r"HYPERLOOP_.*"), "names that begin so are set by hyperloop itself"),
    (re.compile(r"HOME|TMPDIR"), "every session has its own"),
)


def forbidden(name: str) -> str:
    """Why the variable never reaches an agent, whatever a configuration says; empty: it may."""
    reasons = (why for pattern, why in _FORBIDDEN if pattern.fullmatch(name.upper()))
    return next(reasons, "")


def passed(caller: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    """The variables among ``names`` that the caller has and that an agent may have."""
    return {name: caller[name] for name in names if name in caller and not forbidden(name)}


def secret_values(variables: Mapping[str, str]) -> tuple[str, ...]:
    """The values that must not be seen: all, but for short ones and what a name marks as open."""
    return tuple(
        value
        for name, value in variables.items()
        if len(value.strip()) >= MIN_SECRET
        and (not _OPEN.fullmatch(name.upper()) or _USERINFO.search(value))
    )


def agent_environment(
    caller: Mapping[str, str], names: Iterable[str], home: PurePath, tmp: PurePath
) -> dict[str, str]:
    """The whole environment of an agent whose runtime and configuration ask for ``names``.

    git looks for no repository above ``home``'s folder, so an agent that deletes its own ``.git``
    does not work on in one that encloses it.
    """
    env = {name: value for name, value in caller.items() if _PLAIN.fullmatch(name)}
    env |= passed(caller, names)
    env |= {"HOME": str(home), "TMPDIR": str(tmp)}
    env |= {
        "GIT_ALLOW_PROTOCOL": "file",
        "GIT_CEILING_DIRECTORIES": str(home.parent),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
    }
    for role in ("AUTHOR", "COMMITTER"):
        env |= {f"GIT_{role}_NAME": BOT.name, f"GIT_{role}_EMAIL": BOT.email}
    return env
