"""The runtime `claude`: an order becomes a command line of Claude Code, what it printed a Session.

The supervisor calls :meth:`Claude.launch` before the agent's process, :meth:`Claude.judge` after.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path

from hyperloop_action.adapters import proc
from hyperloop_action.adapters.agents.claude_outcome import session_of
from hyperloop_action.adapters.agents.claude_schemas import SCHEMAS
from hyperloop_action.domain.orders import Order, RuntimeSpec, Wants
from hyperloop_action.domain.sessions import Ended, Launch, Session, SessionFiles
from hyperloop_action.errors import UsageError

MINIMUM_VERSION = (2, 1, 221)
"""Before 2.1.187 a typed answer could be asked for without end, before 2.1.205 a wrong schema was
ignored in silence, before 2.1.217 sub-agents outlived the budget. 2.1.221 is the oldest that the
tests were run with; it only knows no CLAUDE_CODE_DISABLE_FILE_MENTIONS yet."""

_VERSION_TIMEOUT_S = 30.0
# The CLI's own default of 10 takes about three minutes to report a refused key. 6 take 40 seconds;
# after that the order backs off, which costs no runner.
_RETRIES = "6"

_READ = ("Bash", "Read", "Glob", "Grep", "Task", "WebFetch", "WebSearch")
_WRITE = ("Edit", "Write", "NotebookEdit")
_TOOLS = {
    Wants.CHANGES: _READ + _WRITE,
    Wants.RULES: _READ + _WRITE,
    Wants.VERDICT: _READ + _WRITE,  # it may write a test to run it; its changes are thrown away
    Wants.PROPOSALS: _READ,
}

_ANTHROPIC = """
    ANTHROPIC_API_KEY ANTHROPIC_AUTH_TOKEN CLAUDE_CODE_OAUTH_TOKEN ANTHROPIC_BASE_URL
    ANTHROPIC_BETAS ANTHROPIC_CUSTOM_HEADERS
"""
_MODELS = """
    ANTHROPIC_MODEL ANTHROPIC_SMALL_FAST_MODEL ANTHROPIC_DEFAULT_FABLE_MODEL
    ANTHROPIC_DEFAULT_HAIKU_MODEL ANTHROPIC_DEFAULT_OPUS_MODEL ANTHROPIC_DEFAULT_SONNET_MODEL
    CLAUDE_CODE_EFFORT_LEVEL CLAUDE_CODE_MAX_OUTPUT_TOKENS CLAUDE_CODE_SUBAGENT_MODEL
    MAX_THINKING_TOKENS
"""
_VERTEX = """
    CLAUDE_CODE_USE_VERTEX CLAUDE_CODE_SKIP_VERTEX_AUTH ANTHROPIC_VERTEX_PROJECT_ID
    ANTHROPIC_VERTEX_BASE_URL CLOUD_ML_REGION GOOGLE_APPLICATION_CREDENTIALS GOOGLE_CLOUD_PROJECT
    GCLOUD_PROJECT
"""
_BEDROCK = """
    CLAUDE_CODE_USE_BEDROCK CLAUDE_CODE_SKIP_BEDROCK_AUTH ANTHROPIC_BEDROCK_BASE_URL
    ANTHROPIC_SMALL_FAST_MODEL_AWS_REGION AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN
    AWS_BEARER_TOKEN_BEDROCK AWS_PROFILE AWS_REGION AWS_DEFAULT_REGION AWS_CONFIG_FILE
    AWS_SHARED_CREDENTIALS_FILE AWS_ROLE_ARN AWS_ROLE_SESSION_NAME AWS_WEB_IDENTITY_TOKEN_FILE
    AWS_CONTAINER_AUTHORIZATION_TOKEN AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE
    AWS_CONTAINER_CREDENTIALS_FULL_URI AWS_CONTAINER_CREDENTIALS_RELATIVE_URI AWS_CA_BUNDLE
"""
_FOUNDRY = """
    CLAUDE_CODE_USE_FOUNDRY ANTHROPIC_FOUNDRY_API_KEY ANTHROPIC_FOUNDRY_AUTH_TOKEN
    ANTHROPIC_FOUNDRY_BASE_URL ANTHROPIC_FOUNDRY_RESOURCE
"""
_NETWORK = """
    HTTP_PROXY HTTPS_PROXY NO_PROXY http_proxy https_proxy no_proxy NODE_EXTRA_CA_CERTS
    SSL_CERT_FILE SSL_CERT_DIR CLAUDE_CODE_CLIENT_CERT CLAUDE_CODE_CLIENT_KEY
    CLAUDE_CODE_CLIENT_KEY_PASSPHRASE
"""
_LIMITS = """
    API_TIMEOUT_MS BASH_DEFAULT_TIMEOUT_MS BASH_MAX_TIMEOUT_MS CLAUDE_CODE_MAX_RETRIES
    CLAUDE_CODE_SUBPROCESS_ENV_SCRUB
"""


_CREDENTIALS = (
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_AUTH_TOKEN",
    "CLAUDE_CODE_OAUTH_TOKEN",
    "CLAUDE_CODE_USE_BEDROCK",
    "CLAUDE_CODE_USE_FOUNDRY",
    "CLAUDE_CODE_USE_VERTEX",
    "ANTHROPIC_BASE_URL",  # a gateway may have credentials of its own
)


class UnfitCli(proc.CommandMissing):
    """A program answers to the name, but it is too old, or no Claude Code at all."""


class Claude:
    """Runs Claude Code headless in the agent's clone, with the agent's own empty HOME.

    Of the machine's and the repository's customizing only CLAUDE.md is read, and that not by a
    verifier: it judges a branch on which that file may have been changed. Hooks, settings, plugins
    and MCP servers of either are off.
    """

    name = "claude"
    passes = frozenset(
        (_ANTHROPIC + _MODELS + _VERTEX + _BEDROCK + _FOUNDRY + _NETWORK + _LIMITS).split()
    )

    def check(self, runtime: RuntimeSpec, cwd: Path, env: Mapping[str, str]) -> None:
        """Also that there is a credential, of whatever kind: whether it is good, only the provider
        can tell."""
        _check_version(runtime.command or ("claude",), cwd, env)
        if any(env.get(name) for name in _CREDENTIALS):
            return
        raise UsageError(
            "Claude Code has no credentials here: agents do not see your own login",
            expected=f"one of {', '.join(_CREDENTIALS)}",
            hint="export ANTHROPIC_API_KEY=..., or name another `runtime` in .hyperloop.yaml",
        )

    def launch(self, order: Order, files: SessionFiles, env: Mapping[str, str]) -> Launch:
        """The order's ``runtime.command`` stands in for `claude`, if it has one. Raises
        :class:`CommandMissing` without it, :class:`UnfitCli` for one older than we can drive."""
        program = order.runtime.command or ("claude",)
        _check_version(program, files.root, env)
        return Launch(
            argv=(*program, *_flags(order, files)),
            stdin=order.prompt.encode("utf-8", "replace"),
            env=_environment(env),
        )

    def judge(
        self,
        order: Order,
        files: SessionFiles,  # noqa: ARG002 - the port has it, for agents that answer in a file
        ended: Ended,
    ) -> Session:
        """By the `result` event of the stream; without a typed verdict there is no verdict."""
        return session_of(order.wants, ended)


def _flags(order: Order, files: SessionFiles) -> list[str]:
    flags = ["-p", "--output-format", "stream-json", "--verbose"]
    flags += ["--permission-mode", "bypassPermissions", "--tools", ",".join(_TOOLS[order.wants])]
    flags += ["--setting-sources", "", "--strict-mcp-config", "--disable-slash-commands"]
    flags += ["--no-session-persistence", "--exclude-dynamic-system-prompt-sections"]
    flags += ["--max-turns", str(order.runtime.max_turns)]
    flags += ["--max-budget-usd", str(order.runtime.max_budget_usd)]
    if order.runtime.model:
        flags += ["--model", order.runtime.model]
    flags += ["--json-schema", json.dumps(SCHEMAS[order.wants])]
    if order.wants is not Wants.VERDICT:
        flags += ["--add-dir", str(files.clone)]
    return flags


def _environment(env: Mapping[str, str]) -> dict[str, str]:
    """What is set whatever the caller has, but for the number of retries."""
    return {
        "IS_SANDBOX": "1",  # root may run without permission prompts: the clone is all it works on
        "DISABLE_AUTOUPDATER": "1",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "CLAUDE_CODE_DISABLE_AUTO_MEMORY": "1",  # its HOME is thrown away
        "CLAUDE_CODE_DISABLE_BACKGROUND_TASKS": "1",  # nothing is left running at the end
        "CLAUDE_CODE_DISABLE_FILE_MENTIONS": "1",  # `@name` in a spec or finding is only text
        "CLAUDE_CODE_MAX_RETRIES": env.get("CLAUDE_CODE_MAX_RETRIES", _RETRIES),
        # With --add-dir: CLAUDE.md of the clone, without its settings and hooks.
        "CLAUDE_CODE_ADDITIONAL_DIRECTORIES_CLAUDE_MD": "1",
    }


def _check_version(program: tuple[str, ...], cwd: Path, env: Mapping[str, str]) -> None:
    """Takes 10 ms; an unfit CLI would be found out after money is spent."""
    least = ".".join(map(str, MINIMUM_VERSION))
    install = "`npm install --global @anthropic-ai/claude-code` brings the newest"
    try:
        told = proc.run((*program, "--version"), cwd=cwd, env=env, timeout_s=_VERSION_TIMEOUT_S)
    except proc.CommandMissing as error:
        wanted = f"Claude Code {least} or newer on PATH"
        raise proc.CommandMissing(error.what, expected=wanted, hint=install) from error
    except (proc.CommandFailed, TimeoutError, OSError) as error:
        what = f"`{program[0]} --version` failed: {error}"
        raise UnfitCli(what, expected=f"Claude Code {least} or newer", hint=install) from error
    found = re.match(r"(\d+)\.(\d+)\.(\d+)", told.text)
    if found is None or tuple(map(int, found.groups())) < MINIMUM_VERSION:
        what = f"`{program[0]} --version` says {told.text[:80]!r}"
        raise UnfitCli(what, expected=f"Claude Code {least} or newer", hint=install)
