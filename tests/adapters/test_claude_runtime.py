"""The runtime `claude` with the real CLI and a scripted model: what each ending comes to."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest

from hyperloop_action.adapters import proc
from hyperloop_action.adapters.agents.claude import MINIMUM_VERSION, Claude, UnfitCli
from hyperloop_action.domain.environment import agent_environment
from hyperloop_action.domain.orders import (
    Answer,
    ErrorKind,
    Order,
    Proposal,
    RuntimeSpec,
    Verdict,
    Wants,
)
from hyperloop_action.domain.sessions import Ended, Session, SessionFiles
from hyperloop_action.errors import UsageError
from tests.git_world import Repo
from tests.world.claude_cli import needs_claude, path_with_claude
from tests.world.messages_api import KEY, MessagesApi
from tests.world.model_script import (
    Cut,
    Failure,
    Hang,
    Reply,
    Request,
    Script,
    answer,
    bash,
    edit,
    failure,
    in_order,
    limited,
    overloaded,
    refused,
    text,
    turns,
    use,
    write,
)

PROMPT = "You are an agent.\nDo the task. Ask @octocat nothing."
PASS = answer({"verdict": "pass", "detail": "Looks right."})


def order(
    wants: Wants = Wants.CHANGES,
    *,
    max_turns: int = 9,
    model: str | None = None,
    command: tuple[str, ...] = (),
) -> Order:
    return Order(
        id="o-1",
        role="some",
        wants=wants,
        base="0" * 40,
        head="0" * 40,
        prompt=PROMPT,
        runtime=RuntimeSpec(max_turns=max_turns, max_budget_usd=2.5, model=model, command=command),
    )


class Desk:
    """A clone for an agent, and the environment that a supervisor would give it."""

    def __init__(self, files: SessionFiles, clone: Repo) -> None:
        self.files = files
        self.clone = clone
        self.runtime = Claude()

    def run(
        self, job: Order, script: Script, more: dict[str, str] | None = None, *, stop_s: float = 60
    ) -> tuple[Session, MessagesApi]:
        """One session; after ``stop_s`` it is told to end, as at the deadline of an order."""
        with MessagesApi(script) as api:
            ended = self._process(job, {**os.environ, **api.env, **(more or {})}, stop_s)
        return self.runtime.judge(job, self.files, ended), api

    def _process(self, job: Order, caller: dict[str, str], stop_s: float) -> Ended:
        caller = {**caller, "PATH": path_with_claude()}
        env = agent_environment(caller, self.runtime.passes, self.files.home, self.files.tmp)
        launch = self.runtime.launch(job, self.files, env)
        assert not any(PROMPT in word or KEY in word for word in launch.argv)
        began = time.monotonic()
        stopped: Literal["timeout"] | None = None
        process = proc.popen(
            launch.argv,
            cwd=self.files.clone,
            env=env | launch.env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            new_session=True,
        )
        with process:
            try:
                out, err = process.communicate(launch.stdin, timeout=stop_s)
            except subprocess.TimeoutExpired:
                stopped = "timeout"
                os.killpg(process.pid, signal.SIGTERM)
                out, err = process.communicate(timeout=10)
        return Ended(process.returncode, stopped, time.monotonic() - began, out, err)


@pytest.fixture
def desk(tmp_path: Path, template: Repo) -> Desk:
    files = SessionFiles(tmp_path)
    for folder in (files.home, files.tmp):
        folder.mkdir(parents=True)
    return Desk(files, template.copy(files.clone))


def kind_of(session: Session) -> ErrorKind | None:
    assert (session.answer is None) == (session.error is not None)
    return session.error.kind if session.error else None


def reason_of(session: Session) -> str:
    assert session.error is not None
    return session.error.message


# What it gives


@needs_claude
def test_commits_of_the_agent_are_in_its_clone_and_its_answer_is_the_detail(
    desk: Desk,
) -> None:
    script = turns(
        write("src/new.py", "x = 1\n"),
        use("Read", file_path="src/app.py"),
        edit("src/app.py", "two", "2") + bash("git add -A && git commit -qm 'Add new'"),
        answer({"detail": "Added it."}),
    )
    session, api = desk.run(order(), script)
    assert session.answer == Answer(detail="Added it.")
    assert session.error is None
    assert session.session == api.requests[0].headers["x-claude-code-session-id"]
    assert (session.usage.input_tokens, session.usage.output_tokens) == (400, 40)
    assert session.usage.cost_usd > 0
    assert desk.clone.git("show", "--format=%s", "--name-only").split() == [
        *("Add", "new", "src/app.py", "src/new.py")
    ]
    assert desk.clone.git("show", "HEAD:src/app.py") == "one\n2\nthree"


@needs_claude
@pytest.mark.parametrize("wants", [Wants.CHANGES, Wants.RULES])
def test_who_changes_things_may_say_that_there_is_nothing_to_change(
    desk: Desk, wants: Wants
) -> None:
    session, _ = desk.run(order(wants), turns(answer({"verdict": "pass", "detail": "There."})))
    assert session.answer == Answer(verdict=Verdict.PASS, detail="There.")


@needs_claude
def test_words_are_enough_to_explain_commits(desk: Desk) -> None:
    session, _ = desk.run(order(), turns(text("Added it.")))
    assert session.answer == Answer(detail="Added it.")


@needs_claude
def test_a_verdict_is_typed(desk: Desk) -> None:
    session, api = desk.run(order(Wants.VERDICT), turns(bash("cat src/app.py"), PASS))
    assert session.answer == Answer(verdict=Verdict.PASS, detail="Looks right.")
    assert "StructuredOutput" in api.requests[0].tools
    assert api.requests[1].tool_results == ("one\ntwo\nthree",)


@needs_claude
def test_a_verdict_that_breaks_the_schema_is_sent_back_and_may_be_mended(desk: Desk) -> None:
    fail = answer({"verdict": "fail", "detail": "No tests."})
    broken = answer({"verdict": "mostly"})
    session, api = desk.run(order(Wants.VERDICT), turns(broken, fail))
    assert session.answer == Answer(verdict=Verdict.FAIL, detail="No tests.")
    assert "must be equal to one of the allowed values" in api.requests[1].tool_results[0]


@needs_claude
def test_proposals_are_typed_and_a_planner_cannot_write(desk: Desk) -> None:
    task = {"key": "a", "title": "T", "description": "D", "spec": "specs/auth.md", "deps": ["b"]}
    session, api = desk.run(order(Wants.PROPOSALS), turns(answer({"proposals": [task]})))
    wanted = Proposal(key="a", title="T", description="D", spec="specs/auth.md", deps=("b",))
    assert session.answer == Answer(proposals=(wanted,))
    assert not {"Edit", "Write", "NotebookEdit"} & set(api.requests[0].tools)


# What it never takes for an answer


@needs_claude
@pytest.mark.parametrize(
    ("script", "said"),
    [
        pytest.param(turns(text("PASS. All good.")), "PASS. All good.", id="words only"),
        pytest.param(turns(answer({"verdict": "maybe"})), "after 5 attempts", id="broken for ever"),
    ],
)
def test_no_typed_verdict_is_no_verdict(desk: Desk, script: Script, said: str) -> None:
    session, _ = desk.run(order(Wants.VERDICT), script)
    assert kind_of(session) is ErrorKind.BAD_ANSWER
    assert said in reason_of(session)


# What goes wrong


@needs_claude
@pytest.mark.parametrize(
    ("reply", "kind", "message"),
    [
        (refused(), ErrorKind.AUTH, "the API refused the credentials (401): check ANTHROPIC_API_K"),
        (failure(403), ErrorKind.AUTH, "the API refused the credentials (403): check ANTHROPIC_AP"),
        (
            failure(400, "invalid_request_error", "Your credit balance is too low to access"),
            ErrorKind.AUTH,
            "the API does not bill this account (400): Credit balance is too low",
        ),
        (limited(), ErrorKind.OVERLOADED, "the API limits this account (429): "),
        (overloaded(), ErrorKind.OVERLOADED, "the API is overloaded (529): "),
        (failure(500), ErrorKind.OVERLOADED, "the API failed or could not be reached (500): "),
        (failure(404, "not_found_error"), ErrorKind.CRASHED, "the API refused the request (404): "),
        (Cut(text("Half of it")), ErrorKind.OVERLOADED, "the API failed or could not be reached: "),
    ],
    ids=lambda value: str(getattr(value, "status", "")) or None,
)
def test_a_failure_of_the_api_is_an_error_of_its_kind(
    desk: Desk, reply: Reply | Failure | Cut, kind: ErrorKind, message: str
) -> None:
    session, _ = desk.run(order(), turns(bash("true"), reply))
    assert kind_of(session) is kind
    assert reason_of(session).startswith(message)
    assert KEY not in reason_of(session)
    assert session.usage.input_tokens >= 100, "what was paid before the failure is known"


@needs_claude
def test_without_credentials_it_says_which_to_set(desk: Desk) -> None:
    session, api = desk.run(order(), turns(text("x")), {"ANTHROPIC_API_KEY": ""})
    assert kind_of(session) is ErrorKind.AUTH
    assert "set ANTHROPIC_API_KEY or CLAUDE_CODE_OAUTH_TOKEN" in reason_of(session)
    assert api.requests == []


@needs_claude
def test_a_wait_that_the_api_asks_for_is_passed_on(desk: Desk) -> None:
    session, api = desk.run(order(), turns(limited(1)), {"CLAUDE_CODE_MAX_RETRIES": "1"})
    assert session.error is not None
    assert session.error.kind is ErrorKind.OVERLOADED
    assert session.error.retry_after_s == pytest.approx(1.2, abs=0.2)
    assert len(api.requests) == 2


@needs_claude
def test_the_limit_of_a_subscription_says_when_it_resets(desk: Desk) -> None:
    resets = str(int(time.time()) + 3600)
    window = {"unified-representative-claim": "five_hour", "unified-reset": resets}
    window |= {"unified-status": "rejected", "unified-5h-status": "rejected"}
    headers = {f"anthropic-ratelimit-{name}": value for name, value in window.items()}
    reply = limited(headers=headers)
    token = {"ANTHROPIC_API_KEY": "", "CLAUDE_CODE_OAUTH_TOKEN": "sk-ant-oat01-scripted"}
    session, _ = desk.run(order(), turns(reply), token)
    assert session.error is not None
    assert session.error.retry_after_s == pytest.approx(3600, abs=60)


@needs_claude
def test_a_refusal_that_passes_is_no_failure(desk: Desk) -> None:
    script = in_order(overloaded(), text("Done."))
    session, _ = desk.run(order(), script, {"CLAUDE_CODE_MAX_RETRIES": "1"})
    assert session.answer == Answer(detail="Done.")


@needs_claude
def test_a_session_ends_at_its_turns_and_at_its_budget(desk: Desk) -> None:
    session, api = desk.run(order(max_turns=2), turns(bash("true")))
    assert kind_of(session) is ErrorKind.TURN_LIMIT
    assert "(2): raise max_turns" in reason_of(session)
    assert len(api.requests) == 2

    dear = bash("true").costing(input_tokens=10_000_000)
    session, api = desk.run(order(), turns(dear))
    assert kind_of(session) is ErrorKind.BUDGET
    assert "($2.5): raise max_budget_usd" in reason_of(session)
    assert session.usage.cost_usd > 2.5
    assert len(api.requests) == 1


@needs_claude
def test_a_silent_api_is_ended_by_the_deadline_and_its_tokens_are_counted(desk: Desk) -> None:
    session, _ = desk.run(order(), turns(bash("true") + bash("true"), Hang()), stop_s=3)
    assert kind_of(session) is ErrorKind.TIMEOUT
    assert reason_of(session).startswith("the deadline of the order passed after 3")
    usage = session.usage
    assert (usage.cost_usd, usage.turns, usage.input_tokens) == (0, 1, 100)


# What it gets to see


@needs_claude
def test_the_prompt_arrives_whole_and_nothing_else_of_the_caller(desk: Desk) -> None:
    (desk.files.clone / "octocat").write_text("a file, not a person")
    caller = {"GITHUB_TOKEN": "ghs_scripted", "OTHER_SECRET": "hunter2"}
    session, api = desk.run(order(), turns(bash("env"), text("Done.")), caller)
    assert session.error is None
    assert api.requests[0].prompt.endswith(PROMPT)
    assert "a file, not a person" not in str(api.requests[0].body)
    shown = api.requests[1].tool_results[0]
    assert "ghs_scripted" not in shown
    assert "hunter2" not in shown
    assert f"HOME={desk.files.home}" in shown


def customize(folder: Path, mark: Path) -> None:
    """Everything by which a folder may change what an agent does."""
    hook = {"hooks": [{"type": "command", "command": f"touch {mark}"}]}
    settings = {"hooks": {"SessionStart": [hook]}, "env": {"PLANTED": "by settings"}}
    server = {"mcpServers": {"planted": {"command": "touch", "args": [str(mark)]}}}
    (folder / ".claude").mkdir(parents=True, exist_ok=True)
    (folder / ".claude" / "settings.json").write_text(json.dumps(settings))
    for name in (".mcp.json", ".claude.json"):
        (folder / name).write_text(json.dumps(server))


@needs_claude
@pytest.mark.parametrize(("wants", "read"), [(Wants.CHANGES, True), (Wants.VERDICT, False)])
def test_of_a_repository_s_customizing_only_claude_md_is_read_and_not_by_a_verifier(
    desk: Desk, tmp_path: Path, wants: Wants, read: bool
) -> None:
    mark = tmp_path / "planted"
    customize(desk.files.clone, mark)
    customize(desk.files.home, mark)
    (desk.files.clone / "CLAUDE.md").write_text("A rule of the house.")
    (desk.files.home / ".claude" / "CLAUDE.md").write_text("A rule of this machine.")
    _, api = desk.run(order(wants), turns(bash("env"), PASS))
    asked = str(api.requests[0].body)
    assert ("A rule of the house." in asked) is read
    assert "A rule of this machine." not in asked
    assert "PLANTED=" not in api.requests[1].tool_results[0]
    assert not mark.exists()


# The program itself


def fake_cli(folder: Path, prints: str) -> dict[str, str]:
    program = folder / "bin" / "claude"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\n{prints}\n")
    program.chmod(0o755)
    return {"PATH": f"{program.parent}:/usr/bin:/bin"}


@pytest.mark.parametrize(
    ("prints", "found"),
    [
        ("echo '2.1.220 (Claude Code)'", "'2.1.220 (Claude Code)'"),
        ("echo '1.99.999 (Claude Code)'", "'1.99.999 (Claude Code)'"),
        ("echo hello", "'hello'"),
        ("echo broken >&2; exit 3", "code 3"),
    ],
)
def test_a_cli_that_is_too_old_or_another_program_is_refused_before_it_costs(
    tmp_path: Path, prints: str, found: str
) -> None:
    env = fake_cli(tmp_path, prints)
    with pytest.raises(UnfitCli) as raised:
        Claude().launch(order(), SessionFiles(tmp_path), env)
    assert found in raised.value.what
    assert raised.value.expected == "Claude Code 2.1.221 or newer"
    assert "npm install --global @anthropic-ai/claude-code" in raised.value.hint


def test_without_a_cli_it_says_how_to_install_one(tmp_path: Path) -> None:
    with pytest.raises(proc.CommandMissing) as raised:
        Claude().launch(order(), SessionFiles(tmp_path), {"PATH": str(tmp_path)})
    assert raised.value.what == "`claude` was not found"
    assert "npm install --global @anthropic-ai/claude-code" in raised.value.hint


@pytest.mark.parametrize("version", [MINIMUM_VERSION, (2, 10, 0), (10, 0, 0)])
def test_the_minimum_and_all_that_is_newer_is_accepted(
    tmp_path: Path, version: tuple[int, int, int]
) -> None:
    env = fake_cli(tmp_path, f"echo '{'.'.join(map(str, version))} (Claude Code)'")
    launch = Claude().launch(order(), SessionFiles(tmp_path), env)
    assert launch.argv[0] == "claude"
    assert launch.stdin == PROMPT.encode()
    assert launch.env["CLAUDE_CODE_MAX_RETRIES"] == "6"


def test_another_command_may_stand_in_for_the_cli(tmp_path: Path) -> None:
    env = fake_cli(tmp_path, "echo '9.9.9 (Claude Code)'")
    program = (str(tmp_path / "bin" / "claude"), "--debug")
    launch = Claude().launch(order(command=program), SessionFiles(tmp_path), env)
    assert launch.argv[:3] == (*program, "-p")


def test_no_secret_of_the_host_passes() -> None:
    passes: Callable[[str], bool] = Claude.passes.__contains__
    assert not any(map(passes, ("GITHUB_TOKEN", "GH_TOKEN", "HOME", "ACTIONS_RUNTIME_TOKEN")))
    assert all(map(passes, ("ANTHROPIC_API_KEY", "CLAUDE_CODE_USE_VERTEX", "AWS_PROFILE")))


@needs_claude
def test_a_request_shows_what_was_said_so_far(desk: Desk) -> None:
    """Holds the scripted model to what its own docstring promises."""
    seen: list[Request] = []

    def script(request: Request) -> Reply:
        seen.append(request)
        done = answer({"detail": "Done."})
        return done if request.turn else text("I look.") + bash("echo out")

    desk.run(order(model="claude-opus-4-5"), script)
    assert [(request.turn, request.tool_results) for request in seen] == [(0, ()), (1, ("out",))]
    assert seen[0].model == "claude-opus-4-5"


FIT = "echo '2.1.300 (Claude Code)'"


@pytest.mark.parametrize(
    "name",
    [
        "ANTHROPIC_API_KEY",
        "CLAUDE_CODE_OAUTH_TOKEN",
        "CLAUDE_CODE_USE_VERTEX",
        "ANTHROPIC_BASE_URL",
    ],
)
def test_with_a_program_and_a_credential_work_may_be_claimed(tmp_path: Path, name: str) -> None:
    env = fake_cli(tmp_path, FIT) | {name: "x"}
    Claude().check(RuntimeSpec(), tmp_path, env)


def test_without_a_credential_nothing_is_claimed(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as raised:
        Claude().check(RuntimeSpec(), tmp_path, fake_cli(tmp_path, FIT) | {"ANTHROPIC_API_KEY": ""})
    assert raised.value.what == (
        "Claude Code has no credentials here: agents do not see your own login"
    )
    assert raised.value.expected.startswith("one of ANTHROPIC_API_KEY, ")


def test_without_the_program_nothing_is_claimed(tmp_path: Path) -> None:
    with pytest.raises(proc.CommandMissing, match="`claude` was not found"):
        Claude().check(RuntimeSpec(), tmp_path, {"PATH": str(tmp_path), "ANTHROPIC_API_KEY": "x"})
