"""One work order, executed: what comes back, what the agent gets, and what is left of it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from hyperloop_action.adapters import processes, supervisor
from hyperloop_action.domain.model import Handle
from hyperloop_action.domain.orders import (
    ErrorKind,
    Result,
    SessionError,
    Usage,
    Verdict,
    Wants,
    encode,
)
from tests.git_world import Repo
from tests.world.sessions import AGENT, TRAILERS, Sessions

CODE = {"specs/auth.md": "# Auth", "src/app.py": "one\ntwo\nthree"}


@pytest.fixture
def sessions(repo: Repo, tmp_path: Path) -> Sessions:
    return Sessions(repo, tmp_path / "out")


def without_time(result: Result) -> Result:
    assert result.usage.duration_s > 0
    return msgspec.structs.replace(
        result, usage=msgspec.structs.replace(result.usage, duration_s=0.0)
    )


def error(kind: ErrorKind, message: str) -> SessionError:
    return SessionError(kind=kind, message=message)


# What comes back


def test_commits_and_leftovers_come_back_with_trailers(sessions: Sessions) -> None:
    done = sessions.do("write=a.txt:1", "commit=Add a", "write=b.txt:2", "write=src/app.py:new")
    assert without_time(done.result) == Result(
        order="task-001-1", outcome="done", verdict=Verdict.PASS, head=done.head
    )
    assert done.written == done.result
    assert done.log == [
        f"Add a\n\n{TRAILERS}",
        f"Work in progress of implementer: Add login\n\n{TRAILERS}",
    ]
    assert done.tree == {**CODE, "a.txt": "1", "b.txt": "2", "src/app.py": "new"}


def test_a_trailer_that_is_there_is_not_added_again(sessions: Sessions) -> None:
    done = sessions.do("write=a:1", f"commit=Add a\n\n{TRAILERS}")
    assert done.log == [f"Add a\n\n{TRAILERS}"]


def test_deletions_modes_links_and_odd_names_come_back(sessions: Sessions) -> None:
    odd = "dïr/a \"b\"\t'c'\\n"
    done = sessions.do(
        "remove=src/app.py", f"write={odd}:1", "run=ln -s a l; echo x > x; chmod +x x"
    )
    listed = sessions.repo.git("ls-tree", "-r", "-z", done.head).split("\0")[:-1]
    found = {line.split("\t", 1)[1]: line.split()[0] for line in listed}
    assert found == {odd: "100644", "l": "120000", "x": "100755", "specs/auth.md": "100644"}


def test_a_file_that_was_committed_though_ignored_is_kept(sessions: Sessions) -> None:
    done = sessions.do(
        "write=.gitignore:*.o", "write=a.o:1", "commit_all_forced=Add", "write=b.o:2", "write=c:3"
    )
    assert done.tree == {**CODE, ".gitignore": "*.o", "a.o": "1", "c": "3"}


def test_author_and_date_of_a_commit_are_kept_and_its_signature_is_not(sessions: Sessions) -> None:
    raw = (
        "t=$(git write-tree); (echo tree $t; echo parent $(git rev-parse HEAD);"
        "echo 'author Bö <b@x> 1600000000 +0530'; echo 'committer C <c@x> 1600000001 -0100';"
        "echo 'gpgsig -----BEGIN PGP SIGNATURE-----'; echo ' x'; echo; echo Signed) > ../raw;"
        "git reset -q --hard $(git hash-object -t commit -w ../raw)"
    )
    done = sessions.do("write=a:1", "run=git add a", f"run={raw}")
    shown = sessions.repo.git("cat-file", "commit", done.head).split("\n")
    assert shown[2:5] == [
        "author Bö <b@x> 1600000000 +0530",
        "committer C <c@x> 1600000001 -0100",
        "",
    ]


@pytest.mark.parametrize(
    ("acts", "outcome"),
    [
        pytest.param((), ErrorKind.NO_CHANGE, id="silent"),
        pytest.param(("verdict=pass",), Verdict.PASS, id="says that nothing is to do"),
        pytest.param(("verdict=fail",), Verdict.FAIL, id="says that it cannot"),
        pytest.param(("write=a:1", "verdict=fail"), Verdict.FAIL, id="changed, and says fail"),
        pytest.param(("write=a:1", "answer={"), ErrorKind.BAD_ANSWER, id="garbage"),
        pytest.param(("write=a:1", "end=3"), ErrorKind.CRASHED, id="exit code"),
        pytest.param(("verdict=pass", "end=3"), ErrorKind.CRASHED, id="answer and exit code"),
        pytest.param(("run=git commit -q --allow-empty -m x",), ErrorKind.NO_CHANGE, id="empty"),
    ],
)
def test_an_implementer_passes_by_a_change_or_by_an_answer(
    sessions: Sessions, acts: tuple[str, ...], outcome: Verdict | ErrorKind
) -> None:
    done = sessions.do(*acts)
    result = done.result
    assert (result.verdict or (result.error and result.error.kind)) == outcome
    assert (result.outcome == "error") == isinstance(outcome, ErrorKind)
    assert bool(result.head) == ("write=a:1" in acts)


def test_work_of_a_session_that_crashed_is_kept(sessions: Sessions) -> None:
    done = sessions.do("write=a:1", "complain=out of luck", "end=3")
    name = AGENT[0]
    assert without_time(done.result) == Result(
        order="task-001-1",
        outcome="error",
        head=done.head,
        error=error(ErrorKind.CRASHED, f"`{name}` ended with exit code 3: out of luck"),
    )
    assert done.tree == {**CODE, "a": "1"}


def test_usage_of_an_answer_is_counted_and_never_negative(sessions: Sessions) -> None:
    told = {"verdict": "pass", "usage": {"cost_usd": 0.5, "turns": 3, "input_tokens": 10}}
    done = sessions.do(f"answer={json.dumps(told)}")
    assert without_time(done.result).usage == Usage(cost_usd=0.5, turns=3, input_tokens=10)
    told["usage"] = {"cost_usd": -0.5}
    assert without_time(sessions.do(f"answer={json.dumps(told)}").result).usage == Usage()


def test_a_verifiers_changes_are_thrown_away(sessions: Sessions) -> None:
    done = sessions.do("write=a:1", "commit=x", "verdict=pass", wants=Wants.VERDICT)
    assert without_time(done.result) == Result(
        order="task-001-1", outcome="done", verdict=Verdict.PASS, detail="it is a pass"
    )
    assert not done.files.bundle.exists()


@pytest.mark.parametrize(
    ("act", "kind"),
    [
        ("say=PASS", ErrorKind.NO_RESULT),
        ("answer={}", ErrorKind.BAD_ANSWER),
        ("answer=pass", ErrorKind.BAD_ANSWER),
        ('answer={"verdict": "PASS"}', ErrorKind.BAD_ANSWER),
    ],
)
def test_a_verifier_without_a_verdict_has_failed(
    sessions: Sessions, act: str, kind: ErrorKind
) -> None:
    result = sessions.do(act, wants=Wants.VERDICT).result
    assert (result.outcome, result.verdict) == ("done", Verdict.FAIL)
    assert result.error
    assert result.error.kind == kind
    assert result.detail.startswith("The verifier gave no verdict: ")


def test_a_verifier_that_crashed_has_not_judged(sessions: Sessions) -> None:
    result = sessions.do("verdict=fail", "end=1", wants=Wants.VERDICT).result
    assert (result.outcome, result.verdict) == ("error", None)


def test_proposals_come_back_and_their_absence_is_an_error(sessions: Sessions) -> None:
    proposal = {"key": "a", "title": "T", "description": "D", "spec": "specs/auth.md"}
    told = json.dumps({"proposals": [proposal]})
    found = sessions.do(f"answer={told}", "write=x:1", wants=Wants.PROPOSALS).result
    assert found.proposals
    assert (found.proposals[0].title, found.head) == ("T", None)
    missing = sessions.do("verdict=pass", wants=Wants.PROPOSALS).result
    assert missing.error
    assert missing.error.kind is ErrorKind.BAD_ANSWER
    assert missing.outcome == "error"


def test_a_session_for_rules_changes_rules_and_nothing_else(sessions: Sessions) -> None:
    done = sessions.do(
        "write=.hyperloop/agents/process/a.md:1",
        "write=.hyperloop/checks/b:2",
        "write=.hyperloop.yaml:3",
        "write=src/app.py:4",
        wants=Wants.RULES,
    )
    assert done.tree == {
        **CODE,
        ".hyperloop/agents/process/a.md": "1",
        ".hyperloop/checks/b": "2",
    }
    assert done.result.verdict is Verdict.FAIL
    assert done.result.detail == (
        "Only `.hyperloop/agents/process/**`, `.hyperloop/checks/**` may change in this session;"
        " taken out: `.hyperloop.yaml`, `src/app.py`."
    )


def test_an_order_that_has_its_result_is_not_executed_again(sessions: Sessions) -> None:
    first = sessions.do("write=a:1")
    again = sessions.run(first.order, dict(sessions.repo.env))
    assert again.result == first.result
    assert again.lines == []


# What the agent gets


def test_the_agent_gets_prompt_order_and_an_environment_of_its_own(sessions: Sessions) -> None:
    caller = {
        "GITHUB_TOKEN": "ghs_" + "x" * 36, "ACTIONS_RUNTIME_TOKEN": "secret-one", "MINE": "1",
        "GIT_DIR": "/nowhere", "LC_ALL": "C.UTF-8", "TZ": "UTC", "OTHER": "2",
    }  # fmt: skip
    done = sessions.do("say_environment", "say_stdin", "say_files", env=("MINE",), caller=caller)
    env, stdin, read = done.transcript
    agent = done.files.root / "agent"
    assert env.pop("PATH") == sessions.repo.env["PATH"]
    assert env == {
        "GIT_ALLOW_PROTOCOL": "file",
        "GIT_AUTHOR_EMAIL": "hyperloop@bot.invalid",
        "GIT_AUTHOR_NAME": "hyperloop",
        "GIT_CEILING_DIRECTORIES": str(agent),
        "GIT_COMMITTER_EMAIL": "hyperloop@bot.invalid",
        "GIT_COMMITTER_NAME": "hyperloop",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "HOME": str(agent / "home"),
        "HYPERLOOP_ORDER_FILE": str(agent / "order.json"),
        "HYPERLOOP_PROMPT_FILE": str(agent / "prompt.md"),
        "HYPERLOOP_RESULT_FILE": str(agent / "answer.json"),
        "HYPERLOOP_ROLE": "implementer",
        "HYPERLOOP_TASK": "task-001",
        "LC_ALL": "C.UTF-8",
        "MINE": "1",
        "TMPDIR": str(agent / "tmp"),
        "TZ": "UTC",
    }
    assert stdin == {"stdin": "Do it."}
    assert read == {
        "HYPERLOOP_PROMPT_FILE": "Do it.",
        "HYPERLOOP_ORDER_FILE": encode(done.order).decode(),
    }


@pytest.mark.parametrize("name", ["GITHUB_TOKEN", "ACTIONS_RUNTIME_TOKEN", "GIT_SSH_COMMAND"])
def test_a_variable_that_no_agent_may_have_is_refused(sessions: Sessions, name: str) -> None:
    result = sessions.do("write=a:1", env=(name,), caller={name: "x" * 20}).result
    assert result.error
    assert result.error.kind is ErrorKind.CRASHED
    assert f"names {name}, which no agent may have" in result.error.message
    assert result.head is None


def test_a_missing_program_is_said_to_be_missing(sessions: Sessions) -> None:
    order = sessions.order()
    runtime = msgspec.structs.replace(order.runtime, command=("no-such-agent",))
    done = sessions.run(msgspec.structs.replace(order, runtime=runtime), dict(sessions.repo.env))
    assert done.result.error == error(
        ErrorKind.NO_CLI,
        "`no-such-agent` was not found; install no-such-agent, or put it on PATH",
    )


def test_a_clone_has_no_remote_and_no_hook(sessions: Sessions) -> None:
    hook = sessions.repo.path / ".git/hooks/post-commit"
    hook.write_text("#!/bin/sh\ntouch ../../hooked\n")
    hook.chmod(0o755)
    done = sessions.do(
        "write=a:1", "commit=x", 'run=test -z "$(git remote)"', "run=test ! -e .git/hooks",
        'run=test "$(git branch --show-current)" = hyperloop/task-001',
    )  # fmt: skip
    assert done.result.outcome == "done"


# Which repositories


def kinds_of_repository(repo: Repo, tmp_path: Path) -> dict[str, Callable[[], Repo]]:
    def worktree() -> Repo:
        repo.git("worktree", "add", "--quiet", "--detach", str(tmp_path / "linked"))
        return Repo(tmp_path / "linked", repo.env)

    def sha256() -> Repo:
        other = Repo(tmp_path / "sha256", repo.env)
        other.path.mkdir()
        other.git("init", "--quiet", "--initial-branch=main", "--object-format=sha256")
        other.commit({"specs/auth.md": "# Auth", "src/app.py": "one\ntwo\nthree"})
        return other

    return {
        "bare": lambda: repo.clone(tmp_path / "bare.git", "--bare"),
        "shallow": lambda: repo.clone(tmp_path / "shallow", "--depth=1"),
        "borrowing": lambda: repo.clone(tmp_path / "borrowing", "--reference", str(repo.path)),
        "worktree": worktree,
        "sha256": sha256,
    }


@pytest.mark.parametrize("kind", ["bare", "shallow", "borrowing", "worktree", "sha256"])
def test_any_kind_of_repository_will_do(repo: Repo, tmp_path: Path, kind: str) -> None:
    repo.commit({"more": "1"})
    repo.git("rm", "--quiet", "more")
    repo.git("commit", "--quiet", "-m", "less")
    world = Sessions(kinds_of_repository(repo, tmp_path)[kind](), tmp_path / "out")
    done = world.do("write=a:1", "commit=x", "write=b:2")
    assert done.tree == {**CODE, "a": "1", "b": "2"}


def test_commits_that_no_branch_holds_will_do(sessions: Sessions) -> None:
    repo = sessions.repo
    head = repo.commit({"loose": "1"})
    repo.git("reset", "--quiet", "--hard", "HEAD~")
    assert sessions.do("write=a:1", head=head).tree == {**CODE, "loose": "1", "a": "1"}


def test_a_commit_that_is_not_there_is_named(sessions: Sessions) -> None:
    result = sessions.do("write=a:1", head="1" * 40).result
    assert result.error
    assert "1" * 40 in result.error.message
    assert "fetch the branch and the base" in result.error.message


# The base


def diverged(repo: Repo, ours: dict[str, str], theirs: dict[str, str]) -> tuple[str, str]:
    """A task branch with ``ours``, and ``main`` moved on by ``theirs``."""
    repo.git("checkout", "--quiet", "-b", "task")
    head = repo.commit(ours, "Ours")
    repo.git("checkout", "--quiet", "main")
    return head, repo.commit(theirs, "Theirs")


def test_a_base_that_merges_cleanly_is_merged_before_the_agent_starts(sessions: Sessions) -> None:
    head, base = diverged(sessions.repo, {"o": "1"}, {"t": "2", "specs/new.md": "x"})
    done = sessions.do("run=test -e t", "write=a:1", head=head, base=base)
    assert done.tree == {**CODE, "o": "1", "t": "2", "specs/new.md": "x", "a": "1"}
    assert done.log == [
        f"Merge the base branch into hyperloop/task-001\n\n{TRAILERS}",
        f"Work in progress of implementer: Add login\n\n{TRAILERS}",
    ]
    assert sessions.repo.git("log", "-1", "--format=%P", f"{done.head}~") == f"{head} {base}"
    assert done.result.verdict is Verdict.PASS


def test_a_branch_without_commits_starts_from_the_new_base(sessions: Sessions) -> None:
    head = sessions.repo.tip()
    base = sessions.repo.commit({"t": "2"})
    done = sessions.do("write=a:1", head=head, base=base)
    assert sessions.repo.tip(f"{done.head}~") == base
    idle = sessions.do("verdict=pass", head=head, base=base)
    assert (idle.result.verdict, idle.result.head) == (Verdict.PASS, None)


CLASH = ({"src/app.py": "one\nours\nthree\n", "o": "1"}, {"src/app.py": "one\ntheirs\nthree\n"})


@pytest.mark.parametrize("commits", [True, False])
def test_an_agent_resolves_a_conflict_with_the_base(sessions: Sessions, commits: bool) -> None:
    head, base = diverged(sessions.repo, CLASH[0], {**CLASH[1], "t": "2", "specs/n.md": "x"})
    acts = ["run=grep -q '<<<<<<< ' src/app.py", "write=src/app.py:both"]
    done = sessions.do(*acts, *(["commit=Resolve"] if commits else []), head=head, base=base)
    assert done.result.verdict is Verdict.PASS
    expected = {"o": "1", "t": "2", "specs/n.md": "x", "src/app.py": "both"}
    assert done.tree == {**CODE, **expected}
    assert sessions.repo.git("log", "-1", "--format=%P", done.head) == f"{head} {base}"


def test_markers_left_in_a_file_fail_this_session_and_the_next(sessions: Sessions) -> None:
    head, base = diverged(sessions.repo, *CLASH)
    first = sessions.do("write=a:1", head=head, base=base)
    assert first.result.verdict is Verdict.FAIL
    assert first.result.detail == "Conflicts are not resolved in `src/app.py`."
    again = sessions.do("write=a:2", head=first.head, base=base)
    assert again.result.detail == "Conflicts are not resolved in `src/app.py`."
    judged = sessions.do("verdict=pass", wants=Wants.VERDICT, head=again.head, base=base)
    assert judged.result.verdict is Verdict.FAIL
    assert judged.result.usage == Usage()
    healed = sessions.do("write=src/app.py:both", head=again.head, base=base)
    assert healed.result.verdict is Verdict.PASS


def test_a_conflict_that_nobody_touched_is_not_committed(sessions: Sessions) -> None:
    head, base = diverged(sessions.repo, *CLASH)
    result = sessions.do("verdict=pass", head=head, base=base).result
    assert (result.verdict, result.head) == (Verdict.FAIL, None)
    assert "Conflicts are not resolved in `src/app.py`." in result.detail


def test_a_merge_that_was_given_up_is_a_finding_and_drops_nothing(sessions: Sessions) -> None:
    head, base = diverged(sessions.repo, *CLASH)
    done = sessions.do("run=git merge --abort", "write=a:1", head=head, base=base)
    assert done.result.verdict is Verdict.FAIL
    assert "The merge with the base branch was given up" in done.result.detail
    assert sessions.repo.git("log", "-1", "--format=%P", done.head) == head


# Checks


def with_check(repo: Repo, name: str, text: str) -> None:
    path = repo.path / ".hyperloop/checks" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def test_a_failing_check_fails_the_branch_and_no_verifier_is_paid(sessions: Sessions) -> None:
    with_check(sessions.repo, "10-good", "echo fine")
    with_check(sessions.repo, "20-bad", "grep two src/app.py; echo broken >&2; exit 4")
    with_check(sessions.repo, "30-token", 'test -z "$MINE" || exit 1; . "${0%/*}/helper"; ls / no')
    (sessions.repo.path / ".hyperloop/checks/helper").write_text("echo helped\n")
    base = sessions.repo.commit({})
    head = sessions.repo.commit({".hyperloop/checks/20-bad": "#!/bin/sh\nexit 0\n"})
    done = sessions.do(
        "say=never", wants=Wants.VERDICT, base=base, head=head, env=("MINE",), caller={"MINE": "1"}
    )
    assert done.result.verdict is Verdict.FAIL
    assert done.result.usage == Usage()
    first, second = done.result.detail.split("\n\nCheck ")
    assert first == "Check `20-bad` failed with exit code 4.\n\n```\ntwo\nbroken\n```"
    assert second.startswith("`30-token` failed with exit code 2.\n\n```\nhelped\n")
    assert "never" not in done.lines


def test_passing_checks_let_the_verifier_judge(sessions: Sessions) -> None:
    with_check(sessions.repo, "good", "exit 0")
    sessions.repo.commit({".hyperloop/checks/notes.txt": "not executable"})
    done = sessions.do("verdict=fail", wants=Wants.VERDICT)
    assert (done.result.verdict, done.result.detail) == (Verdict.FAIL, "it is a fail")


def test_a_check_that_hangs_fails_within_the_sessions_time(sessions: Sessions) -> None:
    with_check(sessions.repo, "slow", "sleep 30")
    sessions.repo.commit({})
    result = sessions.do("verdict=pass", wants=Wants.VERDICT, timeout_s=0.5).result
    assert result.verdict is Verdict.FAIL
    assert "Check `slow` did not end within" in result.detail


# Deadlines, signals, kills


def test_after_a_timeout_the_next_session_goes_on_from_the_work(sessions: Sessions) -> None:
    first = sessions.do("write=a:1", "commit=Half", "write=b:2", "sleep=30", timeout_s=0.5)
    assert without_time(first.result) == Result(
        order="task-001-1",
        outcome="error",
        head=first.head,
        error=error(ErrorKind.TIMEOUT, "implementer did not end within 0.5 s"),
    )
    second = sessions.do("run=cat a b", "write=c:3", head=first.head)
    assert second.tree == {**CODE, "a": "1", "b": "2", "c": "3"}


DRIVER = """
import os, sys
from pathlib import Path
from hyperloop_action.adapters import supervisor
from hyperloop_action.adapters.agents.command import Command
from hyperloop_action.domain.orders import decode_order
order, repository, out = map(Path, sys.argv[1:])
order = decode_order(order.read_bytes(), "order")
result = supervisor.work(order, repository, out, Command(), dict(os.environ))
print(result.outcome)
"""


def start_worker(sessions: Sessions, *acts: str) -> "tuple[subprocess.Popen[bytes], Path]":
    """``hyperloop work`` in a process of its own; returns once its agent has said ``ready``."""
    order = sessions.order(*acts, "say=ready", "sleep=30")
    out = sessions.root / order.id
    out.mkdir(parents=True)
    (out / "given.json").write_bytes(encode(order))
    places = (out / "given.json", sessions.repo.path, out)
    argv = [sys.executable, "-c", DRIVER, *map(str, places)]
    env = {**sessions.repo.env, "PYTHONPATH": os.getcwd()}  # noqa: PTH109
    worker = subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, start_new_session=True)
    transcript = out / "transcript.jsonl"
    give_up = time.monotonic() + 20
    while not (transcript.exists() and "ready" in transcript.read_text()):
        assert time.monotonic() < give_up
        time.sleep(0.01)
    return worker, out


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_brings_the_work_home(sessions: Sessions, number: signal.Signals) -> None:
    worker, out = start_worker(sessions, "write=a:1", "commit=x")
    give_up = time.monotonic() + 8
    while not (out / "result.json").exists() and time.monotonic() < give_up:
        os.killpg(worker.pid, number)  # again and again: it must not end the git that saves
        time.sleep(0.005)
    worker.communicate(timeout=10)
    result = supervisor.salvage(out, sessions.repo.path)
    assert result
    assert result.error
    assert result.error.kind is ErrorKind.INTERRUPTED
    sessions.repo.git("bundle", "unbundle", str(out / "work.bundle"))
    assert sessions.repo.files(result.head or "") == {**CODE, "a": "1"}


def test_the_work_of_a_killed_worker_is_salvaged_and_its_agent_ended(sessions: Sessions) -> None:
    worker, out = start_worker(sessions, "write=a:1", "commit=x", "write=b:2", "write=specs/x:3")
    assert supervisor.salvage(out, sessions.repo.path) is None, "it lives"
    identity = msgspec.json.decode((out / "worker.json").read_bytes(), type=Handle)
    assert identity.pid == worker.pid
    assert processes.is_alive(identity) is True
    os.kill(worker.pid, signal.SIGKILL)
    worker.communicate()
    assert processes.is_alive(identity) is False
    result = supervisor.salvage(out, sessions.repo.path, sessions.repo.env)
    assert result
    assert result.error == error(
        ErrorKind.LOST, "the worker was killed; its work in progress was kept"
    )
    sessions.repo.git("bundle", "unbundle", str(out / "work.bundle"))
    assert sessions.repo.files(result.head or "") == {**CODE, "a": "1", "b": "2"}
    assert result.detail == (
        "Protected paths may not change, and these changes were taken out: `specs/x`."
    )
    assert supervisor.salvage(out, sessions.repo.path) == result
    assert processes.kill_marked(f"={out / 'agent/home'}") == 0


def test_nothing_is_salvaged_where_no_worker_was(tmp_path: Path, repo: Repo) -> None:
    assert supervisor.salvage(tmp_path, repo.path) is None


# Cost


def test_a_session_costs_few_git_processes(
    sessions: Sessions, git_processes: Callable[[], int]
) -> None:
    orders = {
        "nothing": ("verdict=pass",),
        "leftovers": ("write=a:1",),
        "commits": ("write=a:1", "commit=x"),
        "both": ("write=a:1", "commit=x", "write=b:2"),
    }
    found = {}
    for name, acts in orders.items():
        order = sessions.order(*acts)
        git_processes()
        sessions.run(order, dict(sessions.repo.env))
        found[name] = git_processes()
    assert found == {"nothing": 4, "leftovers": 7, "commits": 11, "both": 12}


def test_what_a_session_needed_is_removed(sessions: Sessions) -> None:
    done = sessions.do("write=a:1", "run=mkdir d && touch d/x && chmod 0 d")
    assert sorted(path.name for path in done.files.root.iterdir()) == [
        "order.json", "result.json", "transcript.jsonl", "work.bundle", "worker.json",
    ]  # fmt: skip
