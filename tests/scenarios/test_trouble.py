"""Errors, conflicts, lost workers, crashes and races: what is tried again, and what is given up."""

from collections.abc import Callable

import pytest

from hyperloop_action.domain.limits import Limits
from hyperloop_action.domain.model import Phase, SpecStatus
from hyperloop_action.domain.orders import ErrorKind, Order, Result, SessionError
from hyperloop_action.domain.process import GateStep
from hyperloop_action.errors import TransientError
from tests.fakes.workers import (
    Answer,
    Desk,
    answer,
    errs,
    proposes,
    says_no,
    vanishes,
    writes,
)
from tests.git_world import Repo
from tests.scenarios.world import (
    AUTH,
    LOOP,
    MERGE,
    PAY,
    Killed,
    Story,
    process,
    proposal,
    same,
    story,
    watched,
)

GATED = process(LOOP, GateStep("review"), MERGE)


# --- conflicts ------------------------------------------------------------------------------------


def test_a_conflict_between_two_tasks_goes_back_with_the_files_named(repo: Repo) -> None:
    tale = story(repo, "login", "logout")
    tale.agents.answers["task-001-1"] = writes({"src/app.py": "one\nlogin\nthree\n"})
    tale.agents.answers["task-002-1"] = writes({"src/app.py": "one\nlogout\nthree\n"})
    tale.agents.answers["task-002-3"] = writes({"src/app.py": "one\nlogin\nlogout\nthree\n"})

    assert tale.run().outlook.converged

    same(
        tale.log(after=3),
        """
        14:03 cycle 4: collect 2, advance 2, merge 1, complete 1, conflict 1, loop 1, spawn 1
          task-001: verifier pass (task-001-2, 60 s, $0.25)
          task-001 goes on to action merge-pr
          task-002: verifier pass (task-002-2, 60 s, $0.25)
          task-002 goes on to action merge-pr
          task-001 merged as <commit>
          task-001 is complete
          task-002 conflicts with the base branch in src/app.py
          task-002 starts round 1 at agent implementer: conflicts in src/app.py
          implementer starts on task-002 round 1 (task-002-3)
          Task-Ref: task-001 | Task-Ref: task-002 | Spec-Ref: specs/auth.md@<commit> | Run-Ref:
              local

        14:04 cycle 5: collect 1, advance 1, spawn 1
          task-002: implementer pass (task-002-3, 60 s, $0.25)
          task-002 goes on to agent verifier
          verifier starts on task-002 round 1 (task-002-4)
          Task-Ref: task-002 | Spec-Ref: specs/auth.md@<commit> | Run-Ref: local

        14:05 cycle 6: collect 1, advance 1, merge 1, complete 1, sync 1
          task-002: verifier pass (task-002-4, 60 s, $0.25)
          task-002 goes on to action merge-pr
          task-002 merged as <commit>
          task-002 is complete
          specs/auth.md is synced
          Task-Ref: task-001 | Task-Ref: task-002 | Spec-Ref: specs/auth.md@<commit> | Run-Ref:
              local
        """,
    )
    same(
        tale.log("main", after=1),
        """
        14:03 Build login
          All of login.
          Spec-Ref: specs/auth.md@<commit> | Task-Ref: task-001 | Task-Head: <commit>

        14:05 Build logout
          All of logout.
          Spec-Ref: specs/auth.md@<commit> | Task-Ref: task-002 | Task-Head: <commit>
        """,
    )
    again = tale.agents.asked["task-002-3"]
    assert again.base == tale.finished(1).base
    assert again.prompt == (
        "implementer on Build logout\n"
        "merge 0: Merging into the base branch conflicts in: src/app.py.\n"
        "The base branch is merged into your work tree: resolve what is marked there,"
        " keeping the intent of both sides."
    )
    assert tale.files()["src/app.py"] == "one\nlogin\nlogout\nthree"


def test_a_task_that_conflicts_too_often_is_planned_again(repo: Repo) -> None:
    tale = story(repo, "login", limits=Limits(max_rebase_attempts=1))
    tale.agents.answers["pm-2"] = proposes(proposal("smaller"))

    def against(text: str) -> Answer:
        """While it works, somebody else changes the same line of the base branch."""

        def work(order: Order, desk: Desk) -> Result | None:
            repo.commit({"src/app.py": f"one\nnot {text}\nthree\n"}, "By hand")
            return writes({"src/app.py": f"one\n{text}\nthree\n"})(order, desk)

        return work

    tale.agents.answers["task-001-1"] = against("login")
    tale.agents.answers["task-001-3"] = against("login again")

    assert tale.run().outlook.converged

    same(
        tale.log(after=3),
        """
        14:03 cycle 4: collect 1, advance 1, conflict 1, loop 1, spawn 1
          task-001: verifier pass (task-001-2, 60 s, $0.25)
          task-001 goes on to action merge-pr
          task-001 conflicts with the base branch in src/app.py
          task-001 starts round 1 at agent implementer: conflicts in src/app.py
          implementer starts on task-001 round 1 (task-001-3)
          Task-Ref: task-001 | Spec-Ref: specs/auth.md@<commit> | Run-Ref: local

        14:04 cycle 5: collect 1, advance 1, spawn 1
          task-001: implementer pass (task-001-3, 60 s, $0.25)
          task-001 goes on to agent verifier
          verifier starts on task-001 round 1 (task-001-4)
          Task-Ref: task-001 | Spec-Ref: specs/auth.md@<commit> | Run-Ref: local

        14:05 cycle 6: collect 1, advance 1, conflict 1, fail 1
          task-001: verifier pass (task-001-4, 60 s, $0.25)
          task-001 goes on to action merge-pr
          task-001 conflicts with the base branch in src/app.py
          task-001 failed: it conflicted more than 1 time (max_rebase_attempts): src/app.py
          Task-Ref: task-001 | Spec-Ref: specs/auth.md@<commit> | Run-Ref: local

        14:05 cycle 7: spawn 1
          pm starts on the plan (pm-2)
          Run-Ref: local

        14:06 cycle 8: collect 1, plan 1, spawn 1
          pm proposes 1 (pm-2, 60 s, $0.25)
          task-002 planned for specs/auth.md: Build smaller
          implementer starts on task-002 round 0 (task-002-1)
          Task-Ref: task-002 | Spec-Ref: specs/auth.md@<commit> | Run-Ref: local

        14:07 cycle 9: collect 1, advance 1, spawn 1
          task-002: implementer pass (task-002-1, 60 s, $0.25)
          task-002 goes on to agent verifier
          verifier starts on task-002 round 0 (task-002-2)
          Task-Ref: task-002 | Spec-Ref: specs/auth.md@<commit> | Run-Ref: local

        14:08 cycle 10: collect 1, advance 1, merge 1, complete 1, sync 1
          task-002: verifier pass (task-002-2, 60 s, $0.25)
          task-002 goes on to action merge-pr
          task-002 merged as <commit>
          task-002 is complete
          specs/auth.md is synced
          Task-Ref: task-001 | Task-Ref: task-002 | Spec-Ref: specs/auth.md@<commit> | Run-Ref:
              local
        """,
    )


# --- sessions that end badly ----------------------------------------------------------------------


def test_an_agent_that_errs_rests_longer_each_time_until_its_task_is_planned_again(
    repo: Repo,
) -> None:
    tale = story(repo, "login")
    for session in (1, 2, 3):
        tale.agents.answers[f"task-001-{session}"] = errs(ErrorKind.CRASHED, "out of memory")
    tale.agents.answers["pm-2"] = proposes(proposal("less"))

    assert tale.run().outlook.converged

    same(
        tale.log(after=1),
        """
        14:01 cycle 2: collect 1, plan 1, spawn 1
          pm proposes 1 (pm-1, 60 s, $0.25)
          task-001 planned for specs/auth.md: Build login
          implementer starts on task-001 round 0 (task-001-1)
          Task-Ref: task-001 | Spec-Ref: specs/auth.md@<commit> | Run-Ref: local

        14:02 cycle 3: collect 1
          task-001: implementer ended with crashed (task-001-1): out of memory
          task-001 backs off until 2026-11-21 14:03 UTC (crashed)
          Task-Ref: task-001 | Spec-Ref: specs/auth.md@<commit> | Run-Ref: local

        14:02 cycle 4: spawn 1
          implementer starts on task-001 round 0 (task-001-2)
          Task-Ref: task-001 | Spec-Ref: specs/auth.md@<commit> | Run-Ref: local

        14:03 cycle 5: collect 1
          task-001: implementer ended with crashed (task-001-2): out of memory
          task-001 backs off until 2026-11-21 14:05 UTC (crashed)
          Task-Ref: task-001 | Spec-Ref: specs/auth.md@<commit> | Run-Ref: local

        14:04 cycle 6: spawn 1
          implementer starts on task-001 round 0 (task-001-3)
          Task-Ref: task-001 | Spec-Ref: specs/auth.md@<commit> | Run-Ref: local

        14:05 cycle 7: collect 1, fail 1, spawn 1
          task-001: implementer ended with crashed (task-001-3): out of memory
          task-001 failed: implementer ended with crashed 3 times: out of memory
          pm starts on the plan (pm-2)
          Task-Ref: task-001 | Spec-Ref: specs/auth.md@<commit> | Run-Ref: local

        14:06 cycle 8: collect 1, plan 1, spawn 1
          pm proposes 1 (pm-2, 60 s, $0.25)
          task-002 planned for specs/auth.md: Build less
          implementer starts on task-002 round 0 (task-002-1)
          Task-Ref: task-002 | Spec-Ref: specs/auth.md@<commit> | Run-Ref: local

        14:07 cycle 9: collect 1, advance 1, spawn 1
          task-002: implementer pass (task-002-1, 60 s, $0.25)
          task-002 goes on to agent verifier
          verifier starts on task-002 round 0 (task-002-2)
          Task-Ref: task-002 | Spec-Ref: specs/auth.md@<commit> | Run-Ref: local

        14:08 cycle 10: collect 1, advance 1, merge 1, complete 1, sync 1
          task-002: verifier pass (task-002-2, 60 s, $0.25)
          task-002 goes on to action merge-pr
          task-002 merged as <commit>
          task-002 is complete
          specs/auth.md is synced
          Task-Ref: task-001 | Task-Ref: task-002 | Spec-Ref: specs/auth.md@<commit> | Run-Ref:
              local
        """,
    )
    assert tale.agents.asked["pm-2"].specs[0].change == "failed"


def test_a_poisoned_task_ends_as_a_failed_spec_and_delays_nobody(repo: Repo) -> None:
    tale = story(repo, "login", "logout", limits=Limits(max_spec_attempts=1))
    for session in (1, 2, 3):
        tale.agents.answers[f"task-001-{session}"] = errs(ErrorKind.CRASHED, "out of memory")

    summary = tale.run()

    same(
        tale.log(after=1),
        """
        14:01 cycle 2: collect 1, plan 2, spawn 2
          pm proposes 2 (pm-1, 60 s, $0.25)
          task-001 planned for specs/auth.md: Build login
          task-002 planned for specs/auth.md: Build logout
          implementer starts on task-001 round 0 (task-001-1)
          implementer starts on task-002 round 0 (task-002-1)
          Task-Ref: task-001 | Task-Ref: task-002 | Spec-Ref: specs/auth.md@<commit> | Run-Ref:
              local

        14:02 cycle 3: collect 2, advance 1, spawn 1
          task-001: implementer ended with crashed (task-001-1): out of memory
          task-002: implementer pass (task-002-1, 60 s, $0.25)
          task-002 goes on to agent verifier
          task-001 backs off until 2026-11-21 14:03 UTC (crashed)
          verifier starts on task-002 round 0 (task-002-2)
          Task-Ref: task-001 | Task-Ref: task-002 | Spec-Ref: specs/auth.md@<commit> | Run-Ref:
              local

        14:03 cycle 4: collect 1, advance 1, merge 1, complete 1, spawn 1
          task-002: verifier pass (task-002-2, 60 s, $0.25)
          task-002 goes on to action merge-pr
          task-002 merged as <commit>
          task-002 is complete
          implementer starts on task-001 round 0 (task-001-2)
          Task-Ref: task-001 | Task-Ref: task-002 | Spec-Ref: specs/auth.md@<commit> | Run-Ref:
              local

        14:04 cycle 5: collect 1
          task-001: implementer ended with crashed (task-001-2): out of memory
          task-001 backs off until 2026-11-21 14:05 UTC (crashed)
          Task-Ref: task-001 | Spec-Ref: specs/auth.md@<commit> | Run-Ref: local

        14:05 cycle 6: spawn 1
          implementer starts on task-001 round 0 (task-001-3)
          Task-Ref: task-001 | Spec-Ref: specs/auth.md@<commit> | Run-Ref: local

        14:06 cycle 7: collect 1, fail 2
          task-001: implementer ended with crashed (task-001-3): out of memory
          task-001 failed: implementer ended with crashed 3 times: out of memory
          specs/auth.md failed: 1 plan did not close the gap; at last task-001 failed
          Task-Ref: task-001 | Spec-Ref: specs/auth.md@<commit> | Run-Ref: local
        """,
    )
    assert summary.outlook.attention == (
        "specs/auth.md: 1 plan did not close the gap; at last task-001 failed",
    )
    assert tale.state().specs[AUTH].status is SpecStatus.FAILED
    assert tale.task(1).phase is Phase.FAILED
    assert tale.files()["src/task-002.txt"] == "round 0"


def test_work_in_progress_of_a_session_that_erred_is_gone_on_from(repo: Repo) -> None:
    tale = story(repo, "login")
    late = SessionError(kind=ErrorKind.TIMEOUT, message="60 minutes were not enough")

    def half(order: Order, desk: Desk) -> Result:
        head = desk.commit({"src/half.txt": "half\n"})
        return answer(order, outcome="error", error=late, head=head)

    tale.agents.answers["task-001-1"] = half

    assert tale.run().outlook.converged

    assert tale.files()["src/half.txt"] == "half"
    assert tale.agents.asked["task-001-2"].head != tale.agents.asked["task-001-2"].base


def test_a_worker_that_vanishes_is_replaced_at_once(repo: Repo) -> None:
    tale = story(repo, "login")
    tale.agents.answers["task-001-1"] = vanishes

    assert tale.run().outlook.converged

    same(
        tale.log(after=2),
        """
        14:02 cycle 3: collect 1, spawn 1
          task-001: implementer ended with lost (task-001-1): the worker ended without leaving a
              result
          implementer starts on task-001 round 0 (task-001-2)
          Task-Ref: task-001 | Spec-Ref: specs/auth.md@<commit> | Run-Ref: local

        14:03 cycle 4: collect 1, advance 1, spawn 1
          task-001: implementer pass (task-001-2, 60 s, $0.25)
          task-001 goes on to agent verifier
          verifier starts on task-001 round 0 (task-001-3)
          Task-Ref: task-001 | Spec-Ref: specs/auth.md@<commit> | Run-Ref: local

        14:04 cycle 5: collect 1, advance 1, merge 1, complete 1, sync 1
          task-001: verifier pass (task-001-3, 60 s, $0.25)
          task-001 goes on to action merge-pr
          task-001 merged as <commit>
          task-001 is complete
          specs/auth.md is synced
          Task-Ref: task-001 | Spec-Ref: specs/auth.md@<commit> | Run-Ref: local
        """,
    )


def test_a_pm_whose_plan_is_refused_hears_why_once(repo: Repo) -> None:
    tale = story(repo)
    tale.agents.answers["pm-1"] = proposes(proposal("a", AUTH, "ghost"))
    tale.agents.answers["pm-2"] = proposes(proposal("a"))

    assert tale.run().outlook.converged

    assert tale.agents.asked["pm-2"].prompt == (
        "pm on ['specs/auth.md']\n"
        "proposal 'a' depends on 'ghost', which is neither a key of this answer nor a task"
    )


def test_a_verification_that_never_passes_ends_at_the_limit_of_rounds(repo: Repo) -> None:
    tale = story(repo, "login", limits=Limits(max_task_rounds=2, max_spec_attempts=1))
    for session in (2, 4):
        tale.agents.answers[f"task-001-{session}"] = says_no("No.")

    tale.run()

    assert tale.task().reason == "verifier failed it, in the last of 2 rounds (max_task_rounds)"
    assert repo.git("branch", "--list", "hyperloop/*").strip() == "hyperloop/task-001"


# --- one cycle and several ------------------------------------------------------------------------


def test_reconcile_uses_its_plan_at_once_and_ends_when_its_sessions_have(repo: Repo) -> None:
    tale = story(repo, "login", "logout")

    summary = tale.loop().reconcile()

    assert [(task.id, task.step) for task in tale.state().tasks.values()] == [
        ("task-001", "agent verifier"),
        ("task-002", "agent verifier"),
    ]
    assert summary.cost_usd == 0.75
    assert sorted(tale.agents.asked) == ["pm-1", "task-001-1", "task-002-1"]


# --- races and crashes ----------------------------------------------------------------------------


def meddling(tale: Story, *first: Callable[[], None]) -> None:
    """One of ``first`` happens just before each save."""
    todo = list(first)

    def before(call: str) -> None:
        if call == "state.save" and todo:
            todo.pop()()

    tale.wrap = lambda ports: watched(ports, before)


def die() -> None:
    raise Killed


def test_a_crash_between_merge_and_save_is_adopted_and_nothing_is_merged_twice(repo: Repo) -> None:
    tale = story(repo, "login")
    tale.cycles(3)
    meddling(tale, die)
    with pytest.raises(Killed):
        tale.cycle()
    assert repo.git("log", "--format=%s", "main").split("\n") == ["Build login", "Begin"]
    repo.commit({"src/other.txt": "Later.\n"}, "By hand")

    assert tale.run().outlook.converged

    assert repo.git("log", "--format=%s", "main").split("\n") == ["By hand", "Build login", "Begin"]
    same(
        tale.log(after=3),
        """
        14:03 cycle 4: collect 1, advance 1, merge 1, complete 1, sync 1
          task-001: verifier pass (task-001-2, 60 s, $0.25)
          task-001 goes on to action merge-pr
          task-001 merged as <commit>
          task-001 is complete
          specs/auth.md is synced
          Task-Ref: task-001 | Spec-Ref: specs/auth.md@<commit> | Run-Ref: local
        """,
    )


def test_a_crash_before_a_session_starts_costs_one_lost_claim(repo: Repo) -> None:
    tale = story(repo, "login")
    tale.cycle()
    start, tale.agents.start = tale.agents.start, lambda order: die()  # type: ignore[method-assign]
    with pytest.raises(Killed):
        tale.cycle()
    tale.agents.start = start  # type: ignore[method-assign]

    assert tale.run().outlook.converged

    assert sorted(tale.agents.asked) == ["pm-1", "task-001-2", "task-001-3"]


def test_whoever_loses_the_race_decides_again(repo: Repo) -> None:
    tale = story(repo, "login", process=GATED)
    tale.cycles(3)

    def other() -> None:
        """Another engine does the same cycle first; its sessions are elsewhere."""
        tale.wrap = lambda ports: ports
        tale.cycle()

    meddling(tale, other)
    tale.cycle()

    same(
        tale.log(after=3),
        """
        14:03 cycle 4: collect 1, advance 1
          task-001: verifier pass (task-001-2, 60 s, $0.25)
          task-001 goes on to gate review
          task-001 waits at gate review (label): look at hyperloop/task-001, then `hyperloop
              approve task-001`
          Task-Ref: task-001 | Spec-Ref: specs/auth.md@<commit> | Run-Ref: local
        """,
    )


def test_an_approval_given_while_a_cycle_decides_is_not_lost(repo: Repo) -> None:
    tale = story(repo, "login", process=GATED)
    tale.run()
    repo.commit({PAY: "# Pay\n"})

    def ada() -> None:
        tale.wrap = lambda ports: ports
        tale.approve("task-001")

    meddling(tale, ada)
    tale.cycle()

    same(
        tale.log(after=4),
        """
        14:03 approve
          task-001 approved at review by Ada
          Task-Ref: task-001 | Spec-Ref: specs/auth.md@<commit> | Run-Ref: local

        14:03 cycle 5: find 1, clear 1, advance 1, merge 1, complete 1, sync 1, spawn 1
          specs/pay.md is new
          task-001 passed gate review, by Ada
          task-001 goes on to action merge-pr
          task-001 merged as <commit>
          task-001 is complete
          specs/auth.md is synced
          pm starts on the plan (pm-2)
          Task-Ref: task-001 | Spec-Ref: specs/auth.md@<commit> | Run-Ref: local
        """,
    )


def test_whoever_loses_every_race_says_so_and_has_started_nobody(repo: Repo) -> None:
    tale = story(repo, "login")

    def somebody() -> None:
        """An empty commit on the state branch, or its first one."""
        tree = repo.git("hash-object", "-t", "tree", "-w", "/dev/null")
        exists = repo.git("branch", "--list", "hyperloop-state")
        parent = ["-p", "hyperloop-state"] if exists else []
        commit = repo.git("commit-tree", *parent, tree, "-m", "Somebody")
        repo.git("update-ref", "refs/heads/hyperloop-state", commit)

    meddling(tale, *[somebody] * 8)
    with pytest.raises(TransientError, match="somebody else moved the state 8 times in a row"):
        tale.cycle()
    assert tale.agents.asked == {}


# --- what cannot be read --------------------------------------------------------------------------


def test_more_specs_than_a_plan_takes_with_a_blank_one_among_them(repo: Repo) -> None:
    blank = {f"specs/s{n:02d}.md": f"# Spec {n}\n" for n in range(25)} | {"specs/s03.md": "\n\n"}
    repo.commit(blank)
    tale = story(repo, "login")

    tale.run()

    statuses = {path: entry.status for path, entry in tale.state().specs.items()}
    assert statuses == dict.fromkeys([AUTH, *blank], SpecStatus.SYNCED) | {
        "specs/s03.md": SpecStatus.FAILED
    }


def test_a_synced_text_that_is_no_longer_in_the_repository_is_left_out_of_the_plan(
    repo: Repo,
) -> None:
    tale = story(repo, "login")
    tale.run()
    old = repo.tip(f"main:{AUTH}")
    repo.commit({AUTH: "# Auth\n\nMore.\n"})
    (repo.path / ".git/objects" / old[:2] / old[2:]).unlink()

    assert tale.run().outlook.converged

    assert tale.agents.asked["pm-2"].specs[0].change == "changed"


def test_a_task_whose_pinned_text_is_gone_waits_alone(repo: Repo) -> None:
    repo.commit({PAY: "# Pay\n"})
    plans = {AUTH: (proposal("login"),), PAY: (proposal("pay", PAY),)}
    tale = story(repo, plans=plans)
    tale.cycles(2)
    old = repo.tip(f"main:{AUTH}")
    repo.commit({AUTH: "# Auth\n\nMore.\n"})
    (repo.path / ".git/objects" / old[:2] / old[2:]).unlink()

    tale.run()

    assert tale.state().specs[PAY].status is SpecStatus.SYNCED
    assert tale.task().reason == (
        f"waits for the text of {tale.task().spec_ref}: fetch the history that holds it"
    )
