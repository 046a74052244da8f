"""What people type and what they are told, with everything behind the command line in memory."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import timedelta

import pytest
from click.testing import CliRunner, Result
from msgspec.structs import replace

from hyperloop_action import __version__
from hyperloop_action.cli import cli
from hyperloop_action.domain.commits import RefMove
from hyperloop_action.domain.model import Phase, Review, SpecStatus, State, Worker
from hyperloop_action.domain.orders import ErrorKind, SessionError, Usage, Verdict, Wants
from hyperloop_action.domain.world import World
from hyperloop_action.errors import (
    ConfigError,
    HyperloopError,
    PermanentError,
    Problem,
    TransientError,
    UsageError,
)
from tests.fakes.app import FakeApp, StillRepository
from tests.fakes.state_store import MemoryStateStore
from tests.fakes.states import BASE, HEAD, NOW, SPEC, make_spec, make_state, make_task

GATE = "waits at gate human-pr-approval"
NEXT = "note: the next cycle acts on it: hyperloop run\n"


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


def app_with(state: State, **store: object) -> FakeApp:
    return FakeApp(MemoryStateStore(state, **store))  # type: ignore[arg-type]  # a test names them


def type_(app: FakeApp, *words: str) -> Result:
    return CliRunner().invoke(cli, words, obj=app)


def at_gate(number: int = 1, **fields: object) -> State:
    return make_state(make_task(number, Phase.WAITING, (1,), reason=GATE, **fields))


class TestGet:
    def test_tasks_stand_in_a_table_with_their_one_reason(self) -> None:
        done = make_task(1, Phase.COMPLETE, (2,), round=2, usage=Usage(cost_usd=1.239))
        waits = make_task(2, Phase.WAITING, (1,), reason=GATE, title="Log\x1b[2J out")

        result = type_(app_with(make_state(done, waits)), "get", "tasks")

        assert result.stdout == (
            "TASK      STATUS    STEP                    ROUND  COST   TITLE"
            "                   WHY\n"
            "task-001  complete                          2      $1.24  Log in with a password\n"
            "task-002  waiting   gate human-pr-approval  0             Log\ufffd[2J out"
            "             waits at gate human-pr-approval\n"
        )

    def test_tasks_of_the_archive_are_there_when_all_are_asked_for(self) -> None:
        state, old = make_state(make_task(2, sessions=1)), make_task(1, Phase.COMPLETE, (2,))
        app = app_with(state, archived={"task-001": (old, ())})

        listed = json.loads(type_(app, "get", "tasks", "--all", "-o", "json").stdout)

        assert [(task["id"], task["status"]) for task in listed] == [
            ("task-001", "complete"),
            ("task-002", "in-progress"),
        ]

    def test_specs_that_were_removed_are_shown_only_when_all_are_asked_for(self) -> None:
        specs = {SPEC: make_spec(), "specs/old.md": make_spec(SpecStatus.REMOVED)}
        app = app_with(make_state(make_task(), specs=specs))

        assert type_(app, "get", "specs").stdout == (
            "SPEC           STATUS       VERSION       TASKS   WHY\n"
            "specs/auth.md  reconciling  bbbbbbbbbbbb  0 of 1\n"
        )
        assert "specs/old.md" in type_(app, "get", "specs", "--all").stdout

    def test_events_are_told_oldest_first(self) -> None:
        app = app_with(at_gate())
        type_(app, "approve", "task-001")
        type_(app, "cancel", "task-001")

        assert type_(app, "get", "events").stdout == (
            "TIME                 WHAT\n"
            "2026-11-21 14:00:00  task-001 approved at human-pr-approval by Ada\n"
            "2026-11-21 14:00:00  task-001 cancelled: Ada said so\n"
            "2026-11-21 14:00:00  specs/auth.md failed: task-001 was cancelled by Ada\n"
        )

    @pytest.mark.parametrize("kind", ["specs", "tasks", "events"])
    def test_json_is_alone_on_standard_output(self, kind: str) -> None:
        app = app_with(State())
        app.notices = ("shallow clone",)

        result = type_(app, "get", kind, "-o", "json")

        assert (json.loads(result.stdout), result.stderr) == ([], "note: shallow clone\n")

    def test_nothing_yet_says_what_to_do(self) -> None:
        result = type_(app_with(State()), "get", "specs")

        assert (result.stdout, result.stderr) == (
            "",
            "note: no spec was seen yet: commit one below specs/ on main, then hyperloop run\n",
        )

    def test_the_singular_is_understood(self) -> None:
        assert type_(app_with(make_state(make_task())), "get", "task").exit_code == 0


class TestDescribe:
    WORKER = Worker(
        order="task-002-3",
        role="verifier",
        wants=Wants.VERDICT,
        runtime="claude",
        run="local",
        started=NOW - timedelta(minutes=3),
        deadline=NOW + timedelta(minutes=62),
    )

    def test_a_task_is_told_on_one_page(self) -> None:
        task = make_task(
            2,
            Phase.WORKING,
            (0, 1),
            worker=self.WORKER,
            reason="verifier works on it",
            round=1,
            deps=("task-001",),
            sessions=3,
            usage=Usage(
                cost_usd=1.5, turns=40, input_tokens=12000, output_tokens=900, duration_s=400
            ),
            error=SessionError(kind=ErrorKind.TIMEOUT, message="it hung\x1b[2J"),
            description="As the spec says.",
        )
        review = Review(
            task_id="task-002",
            round=0,
            role="verifier",
            verdict=Verdict.FAIL,
            order="task-002-2",
            findings="No test.\nSee src.",
        )
        app = app_with(make_state(task, reviews={"task-002": (review,)}))
        app.workers.kept["task-002"] = ["/w/task-002-1.jsonl", "/w/task-002-2.jsonl"]

        assert type_(app, "describe", "task", "2").stdout == (
            "task-002  Log in with a password\n"
            "spec        specs/auth.md@bbbbbbbbbbbb\n"
            "status      in-progress: verifier works on it\n"
            "pipeline    ( implementer > [verifier] ) > human-pr-approval > merge-pr\n"
            "round       1 of at most 50\n"
            "branch      hyperloop/task-002 at aaaaaaaaaaaa\n"
            "look        git diff main...hyperloop/task-002\n"
            "depends on  task-001 (complete)\n"
            "cost        3 sessions: $1.50, 40 turns, 12,000 tokens in, 900 out, 7 min\n"
            "worker      verifier for 3 min, at most 1 h 2 min more (task-002-3, claude)\n"
            "last error  it ran out of time (timeout_minutes): it hung\ufffd[2J\n"
            "transcript  /w/task-002-2.jsonl and 1 older beside it\n"
            "\n"
            "description\n"
            "  As the spec says.\n"
            "\n"
            "round 0  verifier  fail  (task-002-2)\n"
            "  No test.\n"
            "  See src.\n"
        )

    def test_a_task_of_the_archive_is_told_too(self) -> None:
        old = make_task(1, Phase.COMPLETE, (2,), head=None)
        app = app_with(make_state(make_task(2)), archived={"task-001": (old, ())})

        assert type_(app, "describe", "task", "task-001").stdout == (
            "task-001  Log in with a password\n"
            "spec      specs/auth.md@bbbbbbbbbbbb\n"
            "status    complete\n"
            "pipeline  ( implementer > verifier ) > human-pr-approval > merge-pr\n"
            "round     0 of at most 50\n"
        )

    def test_a_process_that_cannot_be_read_hides_only_the_drawing(self) -> None:
        app = app_with(at_gate())
        app.broken_rules = ConfigError([Problem("process.yaml", 3, "", "is broken")])

        result = type_(app, "describe", "task", "1")

        assert "\npipeline  gate human-pr-approval\n" in result.stdout

    def test_events_of_other_tasks_are_not_told(self) -> None:
        app = app_with(make_state(make_task(1, Phase.WAITING, (1,)), make_task(10)))
        type_(app, "approve", "1")
        type_(app, "cancel", "10")

        events = json.loads(type_(app, "describe", "task", "1", "-o", "json").stdout)["events"]

        assert [event["what"] for event in events] == [
            "task-001 approved at human-pr-approval by Ada"
        ]

    def test_a_spec_is_told_on_one_page(self) -> None:
        task = make_task(1, Phase.FAILED, (0, 1), sessions=2, usage=Usage(duration_s=50))
        entry = make_spec(SpecStatus.FAILED, attempts=3, plan=3, reason="3 plans did not help")
        app = app_with(make_state(replace(task, plan=3), spec=entry))

        assert type_(app, "describe", "spec", "auth").stdout == (
            "specs/auth.md\n"
            "status       failed: 3 plans did not help\n"
            "version      commit bbbbbbbbbbbb, blob blob-1\n"
            "last synced  never\n"
            "plans        3 in all, 3 attempts at this version\n"
            "tasks        0 of 1\n"
            "cost         2 sessions: 50 s\n"
            "\n"
            "tasks\n"
            "TASK      STATUS  STEP  ROUND  COST  TITLE                   WHY\n"
            "task-001  failed        0            Log in with a password\n"
        )


class TestDecide:
    def test_approve_is_one_commit_and_says_what_follows(self) -> None:
        app = app_with(at_gate())

        result = type_(app, "approve", "1")

        assert (result.exit_code, result.stdout, result.stderr) == (
            0,
            "task-001 approved at human-pr-approval by Ada\n",
            NEXT,
        )
        assert [commit.subject for commit in app.store.commits] == [
            "task-001 approved at human-pr-approval by Ada"
        ]

    def test_approve_said_twice_is_one_commit(self) -> None:
        app = app_with(at_gate())
        type_(app, "approve", "task-001")

        result = type_(app, "approve", "1")

        assert result.stdout == "task-001 is approved already\n"
        assert len(app.store.commits) == 1

    def test_a_cycle_that_was_first_is_seen_before_a_wish_is_saved(self) -> None:
        app = app_with(at_gate())
        app.store.foreign.append(make_state(make_task(1, Phase.ACTING, (2,))))

        result = type_(app, "approve", "1")

        assert (result.exit_code, result.stderr.splitlines()[0]) == (
            2,
            "error: task-001 waits at no gate: it is at action merge-pr",
        )

    def test_cancel_stops_the_worker_and_removes_the_branch(self) -> None:
        task = make_task(1, Phase.WORKING, worker=replace(TestDescribe.WORKER, order="task-001-1"))
        app = app_with(make_state(task))
        app.repository = StillRepository(World(BASE, branches={task.branch: HEAD}))

        result = type_(app, "cancel", "1", "--reason", "the wrong idea")

        assert result.stdout == (
            "task-001 cancelled: the wrong idea (Ada)\n"
            "specs/auth.md failed: task-001 was cancelled by Ada: the wrong idea\n"
        )
        assert app.workers.stopped == ["task-001-1"]
        assert app.store.moves == [RefMove("refs/heads/hyperloop/task-001", HEAD, None)]

    @pytest.mark.parametrize("name", ["task-001", "specs/auth.md", "auth"])
    def test_retry_takes_a_task_or_a_spec(self, name: str) -> None:
        task = make_task(1, Phase.FAILED)
        app = app_with(make_state(task, spec=make_spec(SpecStatus.FAILED)))

        result = type_(app, "retry", name)

        subject = name if name.startswith("task") else SPEC
        assert (result.exit_code, result.stdout) == (0, f"{subject} is tried again, as Ada said\n")

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (["approve", "auth"], "there is no task auth\n  see them all"),
            (["describe", "task", "task-1x"], "there is no task task-1x\n  did you mean task-001?"),
            (["retry", "auht.md"], "there is no task or spec auht.md\n  did you mean specs/auth"),
        ],
    )
    def test_an_unknown_name_is_answered_with_the_nearest(
        self, words: Sequence[str], said: str
    ) -> None:
        result = type_(app_with(at_gate()), *words)

        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr.startswith(f"error: {said}")

    def test_an_archived_task_explains_what_can_be_done(self) -> None:
        old = make_task(1, Phase.COMPLETE, (2,))
        app = app_with(make_state(make_task(2)), archived={"task-001": (old, ())})

        assert type_(app, "retry", "1").stderr == (
            "error: task-001 is archived: it is complete, its work is merged\n"
            "  to have something changed, edit its spec and commit it\n"
        )


class TestRun:
    def test_what_waits_for_a_person_is_named_with_what_to_type(self) -> None:
        app = app_with(at_gate())
        gate = (
            "waits at gate human-pr-approval (label): look at hyperloop/task-001,"
            " then `hyperloop approve task-001`"
        )
        app.repository = StillRepository(_world_as_known())

        result = type_(app, "run")

        assert (result.exit_code, result.stdout) == (
            0,
            (
                "0 of 1 specs synced\n"
                "\n"
                "needs you:\n"
                f"  task-001  {gate}\n"
                "\n"
                "Then go on with: hyperloop run\n"
            ),
        )

    @pytest.mark.parametrize("command", ["run", "reconcile"])
    def test_fail_on_attention_makes_it_an_exit_code(self, command: str) -> None:
        app = app_with(at_gate())
        app.repository = StillRepository(_world_as_known())

        result = type_(app, command, "--fail-on", "attention", "-o", "json")

        assert result.exit_code == 1
        assert len(json.loads(result.stdout)["attention"]) == 1

    def test_without_a_spec_it_says_what_to_write(self) -> None:
        result = type_(FakeApp(), "run", "--path", os.devnull)

        assert result.stdout == (
            "There is no spec below specs/ on main.\n"
            "\n"
            "Write what should be true as specs/NAME.md, commit it, then: hyperloop run\n"
        )

    def test_dry_run_writes_nothing(self) -> None:
        app = app_with(at_gate())
        app.repository = StillRepository(_world_as_known())
        before = app.store.state

        result = type_(app, "run", "--dry-run")

        assert result.stdout.splitlines()[0] == (
            "This is what a cycle would do now; nothing is written or started:"
        )
        assert (app.store.state, app.store.commits) == (before, [])

    def test_options_after_the_command_become_settings(self) -> None:
        app = FakeApp()

        type_(
            app, "run", "--max-workers", "3", "--branch", "develop", "--log-level", "error",
            "--log-format", "json", "--config", "x.yaml",
        )  # fmt: skip

        assert app.request is not None
        assert (app.request.options, str(app.request.config)) == (
            {
                "base_branch": "develop",
                "max_workers": 3,
                "observability.log_format": "json",
                "observability.log_level": "error",
            },
            "x.yaml",
        )


def _world_as_known() -> World:
    """Exactly what the state of :func:`at_gate` has seen last."""
    from hyperloop_action.domain.world import SpecSeen  # noqa: PLC0415

    return World(BASE, {SPEC: SpecSeen("blob-1", 10)}, {"hyperloop/task-001": HEAD})


class TestErrors:
    @pytest.mark.parametrize(
        ("error", "code", "said"),
        [
            (UsageError("no such thing", hint="try that"), 2, "no such thing\n  try that"),
            (
                ConfigError([Problem(".hyperloop.yaml", 3, "proces", "unknown key")]),
                2,
                ".hyperloop.yaml:3: proces: unknown key",
            ),
            (TransientError("the remote is down"), 75, "the remote is down"),
            (PermanentError("refused", expected="a right"), 75, "refused\n  expected a right"),
        ],
        ids=["usage", "configuration", "transient", "permanent"],
    )
    def test_an_error_is_one_message_and_its_exit_code(
        self, error: HyperloopError, code: int, said: str
    ) -> None:
        result = type_(FakeApp(fails=error), "get", "tasks")

        assert (result.exit_code, result.stdout, result.stderr) == (code, "", f"error: {said}\n")

    def test_a_bug_says_so_and_how_to_report_it(self) -> None:
        result = type_(FakeApp(fails=KeyError("x")), "get", "tasks")

        assert result.exit_code == 70
        assert result.stderr.startswith("Traceback (most recent call last):\n")
        assert f"error: this is a bug in hyperloop {__version__}" in result.stderr

    def test_ctrl_c_leaves_no_traceback(self) -> None:
        result = type_(FakeApp(fails=KeyboardInterrupt()), "get", "tasks")

        assert (result.exit_code, result.output) == (130, "")

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (["rnu"], "No such command 'rnu'"),
            (["run", "--max-worker", "2"], "No such option '--max-worker'"),
            (["run", "--max-workers", "many"], "'many' is not a valid integer"),
            (["get", "tasks", "-o", "xml"], "'xml' is not one of 'table', 'json', 'yaml'"),
        ],
    )
    def test_what_cannot_be_parsed_is_explained(self, words: Sequence[str], said: str) -> None:
        result = type_(FakeApp(), *words)

        assert result.exit_code == 2
        assert said in result.stderr

    def test_github_is_refused_in_words_until_it_works(self) -> None:
        result = type_(FakeApp(), "run", "--repo", "owner/name")

        assert (result.exit_code, result.stderr.splitlines()[0]) == (
            2,
            "error: --repo: this version does not work on GitHub yet",
        )


class TestStart:
    def start(self, *words: str, stdout: int = subprocess.PIPE) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "hyperloop_action", *words],
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
        )

    def test_the_version_is_told_without_loading_what_is_heavy(self) -> None:
        heavy = ("rich", "yaml", "msgspec", "jinja2", "structlog")
        script = (
            "import sys\nfrom hyperloop_action.cli import cli\n"
            "cli.main(['--version'], standalone_mode=False)\n"
            f"print([name for name in {heavy} if name in sys.modules])"
        )

        done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)

        assert done.stdout.decode().splitlines() == [f"hyperloop, version {__version__}", "[]"]

    def test_a_reader_that_has_had_enough_is_no_error(self) -> None:
        reading, writing = os.pipe()
        process = self.start("config", "schema", stdout=writing)
        os.close(reading)
        os.close(writing)

        _, complaint = process.communicate(timeout=30)

        assert (process.returncode, complaint) == (0, "")

    @pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
    def test_completion_prints_a_script_for_the_shell(self, shell: str) -> None:
        result = CliRunner().invoke(cli, ["completion", shell])

        assert (result.exit_code, "_HYPERLOOP_COMPLETE" in result.stdout) == (0, True)
