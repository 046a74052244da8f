"""What people do while tasks run: edit and remove specs, push, check out, merge, approve."""

import pytest

from hyperloop_action.domain.collect import ASIDE
from hyperloop_action.domain.limits import Limits
from hyperloop_action.domain.model import Phase, SpecStatus
from hyperloop_action.domain.process import GateStep, Process
from tests.git_world import Repo
from tests.scenarios.world import (
    AUTH,
    DEFAULT,
    LOOP,
    MERGE,
    PAY,
    process,
    proposal,
    same,
    story,
)

GATED = process(LOOP, GateStep("review"), MERGE)
BY_HAND = Limits(auto_merge=False)
BRANCH = "hyperloop/task-001"


def test_a_spec_that_changes_while_its_task_runs_is_planned_again_with_both_texts(
    repo: Repo,
) -> None:
    tale = story(repo, "login")
    tale.cycles(2)
    repo.commit({AUTH: "# Auth\n\nWith a second factor.\n"})
    tale.plans[AUTH] = (proposal("factor"),)

    tale.run()

    same(
        tale.log(after=2),
        """
        14:02 cycle 3: collect 1, advance 1, find 1, spawn 2
          task-001: implementer pass (task-001-1, 60 s, $0.25)
          task-001 goes on to agent verifier
          specs/auth.md is changed
          pm starts on the plan (pm-2)
          verifier starts on task-001 round 0 (task-001-2)
          Task-Ref: task-001 | Spec-Ref: specs/auth.md@<commit> | Run-Ref: local

        14:03 cycle 4: collect 2, advance 1, plan 1, merge 1, complete 1, spawn 1
          task-001: verifier pass (task-001-2, 60 s, $0.25)
          task-001 goes on to action merge-pr
          pm proposes 1 (pm-2, 60 s, $0.25)
          task-002 planned for specs/auth.md: Build factor
          task-001 merged as <commit>
          task-001 is complete
          implementer starts on task-002 round 0 (task-002-1)
          Task-Ref: task-001 | Task-Ref: task-002 | Spec-Ref: specs/auth.md@<commit> | Spec-Ref:
              specs/auth.md@<commit> | Run-Ref: local

        14:04 cycle 5: collect 1, advance 1, spawn 1
          task-002: implementer pass (task-002-1, 60 s, $0.25)
          task-002 goes on to agent verifier
          verifier starts on task-002 round 0 (task-002-2)
          Task-Ref: task-002 | Spec-Ref: specs/auth.md@<commit> | Run-Ref: local

        14:05 cycle 6: collect 1, advance 1, merge 1, complete 1, sync 1
          task-002: verifier pass (task-002-2, 60 s, $0.25)
          task-002 goes on to action merge-pr
          task-002 merged as <commit>
          task-002 is complete
          specs/auth.md is synced
          Task-Ref: task-001 | Task-Ref: task-002 | Spec-Ref: specs/auth.md@<commit> | Spec-Ref:
              specs/auth.md@<commit> | Run-Ref: local
        """,
    )
    assert tale.finished(1).spec_ref != tale.finished(2).spec_ref
    (asked,) = tale.agents.asked["pm-2"].specs
    assert asked.change == "new"  # nothing of it was synced yet


def test_a_spec_that_is_removed_takes_its_waiting_task_and_its_branch_along(repo: Repo) -> None:
    repo.commit({PAY: "# Pay\n"})
    tale = story(repo, "login", process=GATED)
    tale.run()
    assert repo.git("branch", "--list", "hyperloop/*").strip() == BRANCH

    repo.git("rm", "--quiet", AUTH)
    repo.git("commit", "--quiet", "-m", "No more logins")
    tale.run()

    same(
        tale.log(after=4),
        """
        14:03 cycle 5: drop 1, cancel 1
          specs/auth.md is gone
          task-001 cancelled: specs/auth.md was removed
          Task-Ref: task-001 | Spec-Ref: specs/auth.md@<commit> | Run-Ref: local
        """,
    )
    assert tale.finished().phase is Phase.CANCELLED
    assert repo.git("branch", "--list", "hyperloop/*") == ""


def test_the_branch_of_a_removed_spec_stays_where_a_person_has_it_checked_out(repo: Repo) -> None:
    repo.commit({PAY: "# Pay\n"})
    tale = story(repo, "login", process=GATED)
    tale.run()
    repo.git("worktree", "add", "--quiet", str(repo.path.parent / "ada"), BRANCH)
    repo.git("rm", "--quiet", AUTH)
    repo.git("commit", "--quiet", "-m", "No more logins")

    tale.run()

    assert tale.finished().phase is Phase.CANCELLED
    assert repo.git("branch", "--list", BRANCH).strip("+ ") == BRANCH


def test_a_task_of_a_removed_spec_that_works_is_asked_to_stop(repo: Repo) -> None:
    repo.commit({PAY: "# Pay\n"})
    tale = story(repo, "login")
    tale.agents.held.add("task-001-1")
    tale.cycles(2)
    repo.git("rm", "--quiet", AUTH)
    repo.git("commit", "--quiet", "-m", "No more logins")

    tale.cycle()

    assert tale.finished().phase is Phase.CANCELLED
    assert tale.agents.stopped == ["task-001-1"]


def test_a_text_that_comes_back_is_no_change(repo: Repo) -> None:
    tale = story(repo, "login")
    tale.run()
    repo.commit({AUTH: "# Other\n"})
    repo.commit({AUTH: "# Auth\n"})
    assert tale.cycle().commit is None


def test_specs_that_vanish_all_at_once_are_taken_for_a_mistake(repo: Repo) -> None:
    tale = story(repo, "login", process=GATED)
    tale.run()
    repo.git("mv", "specs", "documents")
    repo.git("commit", "--quiet", "-m", "Rename the folder")

    done = tale.cycle()

    assert (done.commit, tale.task().phase) == (None, Phase.WAITING)
    assert [fact.line() for fact in done.facts] == [
        "no spec is left on the base branch: nothing is cancelled until at least one is there again"
    ]


def test_a_person_who_pushes_to_a_waiting_branch_wins_and_is_verified(repo: Repo) -> None:
    tale = story(repo, "login", process=GATED)
    tale.run()
    tale.approve("task-001")
    theirs = tale.push(BRANCH, {"src/fix.txt": "By hand.\n"})

    tale.run()

    same(
        tale.log(after=5),
        """
        14:03 cycle 5: adopt 1, spawn 1
          task-001: somebody moved the branch to <commit>; it goes on from there
          verifier starts on task-001 round 0 (task-001-3)
          Task-Ref: task-001 | Spec-Ref: specs/auth.md@<commit> | Run-Ref: local

        14:04 cycle 6: collect 1, advance 1
          task-001: verifier pass (task-001-3, 60 s, $0.25)
          task-001 goes on to gate review
          task-001 waits at gate review (label): look at hyperloop/task-001, then `hyperloop
              approve task-001`
          Task-Ref: task-001 | Spec-Ref: specs/auth.md@<commit> | Run-Ref: local
        """,
    )
    assert tale.agents.asked["task-001-3"].head == theirs
    assert tale.task().approval is None
    tale.approve("task-001")
    tale.run()
    assert tale.files()["src/fix.txt"] == "By hand."


def test_a_person_who_pushes_under_a_session_keeps_the_branch_and_the_session_its_commits(
    repo: Repo,
) -> None:
    tale = story(repo, "login")
    tale.cycles(3)
    tale.agents.answers["task-001-3"] = tale.agents.usual
    tale.agents.answers["task-001-2"] = lambda order, desk: None
    theirs = tale.push(BRANCH, {"src/task-001.txt": "By hand.\n"})

    tale.run()

    assert tale.files()["src/task-001.txt"] == "By hand."
    assert tale.agents.asked["task-001-3"].head == theirs


def test_commits_of_a_session_that_a_person_overtook_stay_reachable(repo: Repo) -> None:
    tale = story(repo, "login")
    tale.agents.held.add("task-001-1")
    tale.cycles(2)
    repo.git("branch", BRANCH, "main")
    theirs = tale.push(BRANCH, {"src/task-001.txt": "By hand.\n"})
    tale.agents.held.clear()

    tale.cycle()

    result = tale.agents.asked["task-001-2"]
    assert (result.role, result.head) == ("implementer", theirs)
    aside = repo.tip(f"{ASIDE}task-001-1")
    assert repo.git("show", f"{aside}:src/task-001.txt") == "round 0"
    same(
        tale.log(after=2),
        """
        14:02 cycle 3: collect 1, adopt 1, spawn 1
          task-001: implementer pass (task-001-1, 60 s, $0.25)
          task-001: somebody moved the branch to <commit>; it goes on from there
          implementer starts on task-001 round 0 (task-001-2)
          Task-Ref: task-001 | Spec-Ref: specs/auth.md@<commit> | Run-Ref: local
        """,
    )


def test_a_branch_that_is_checked_out_is_not_moved_and_its_result_is_kept(repo: Repo) -> None:
    tale = story(repo, "login", process=GATED)
    tale.agents.held.add("task-001-1")
    tale.cycles(2)
    repo.git("branch", BRANCH, "main")
    repo.git("worktree", "add", "--quiet", str(repo.path.parent / "ada"), BRANCH)
    tale.agents.held.clear()

    tale.cycles(2)
    assert tale.task().reason.startswith(f"waits until {BRANCH} is no longer checked out in ")
    repo.git("worktree", "remove", str(repo.path.parent / "ada"))
    repo.git("branch", "-D", BRANCH)
    tale.run()

    assert tale.task().step == "gate review"
    assert sorted(tale.agents.asked) == ["pm-1", "task-001-1", "task-001-2"]


def test_a_checkout_with_changes_in_the_way_makes_the_merge_wait_and_is_named(repo: Repo) -> None:
    tale = story(repo, "login")
    mine = repo.path / "src/task-001.txt"
    mine.write_text("Mine.\n")

    summary = tale.run()

    reason = (
        f"cannot merge yet: untracked files in {repo.path} would be overwritten (src/task-001.txt)"
    )
    assert tale.task().reason == reason
    assert summary.outlook.attention == (f"task-001 {reason}",)
    assert tale.cycle().commit is None
    assert mine.read_text() == "Mine.\n"

    mine.unlink()
    assert tale.run().outlook.converged
    assert mine.read_text() == "round 0\n"


def test_with_auto_merge_off_what_a_person_merged_is_found(repo: Repo) -> None:
    tale = story(repo, "login", limits=BY_HAND)
    assert tale.run().outlook.attention == (f"task-001 auto_merge is off: merge {BRANCH} yourself",)
    repo.git("merge", "--quiet", "--no-ff", "-m", "Merge by hand", BRANCH)

    assert tale.run().outlook.converged

    same(
        tale.log(after=4),
        """
        14:03 cycle 5: act 1, complete 1, sync 1
          task-001: action merge-pr: the base branch already has all of it
          task-001 is complete
          specs/auth.md is synced
          Task-Ref: task-001 | Spec-Ref: specs/auth.md@<commit> | Run-Ref: local
        """,
    )
    assert repo.git("log", "--format=%s", "--first-parent", "main").split("\n") == [
        "Merge by hand",
        "Begin",
    ]
    assert repo.git("branch", "--list", "hyperloop/*") == ""


@pytest.mark.parametrize("how", [["--no-ff"], ["--ff-only"], ["--squash"]], ids=str)
@pytest.mark.parametrize("pipeline", [DEFAULT, GATED], ids=["at the action", "at the gate"])
def test_every_way_to_merge_by_hand_is_found_once_the_branch_is_deleted(
    repo: Repo, how: list[str], pipeline: Process
) -> None:
    tale = story(repo, "login", process=pipeline, limits=BY_HAND)
    tale.run()
    repo.git("merge", "--quiet", *how, BRANCH)
    if how == ["--squash"]:
        repo.git("commit", "--quiet", "-m", "Squash by hand")
    repo.git("branch", "--quiet", "-D", BRANCH)

    assert tale.run().outlook.converged


def test_a_branch_that_was_deleted_without_a_merge_is_still_to_be_merged(repo: Repo) -> None:
    tale = story(repo, "login", process=GATED)
    tale.run()
    repo.git("branch", "--quiet", "-D", BRANCH)
    tale.run()
    assert tale.task().step == "gate review"
    tale.approve("task-001")
    assert tale.run().outlook.converged
    assert tale.files()["src/task-001.txt"] == "round 0"


def test_a_branch_that_was_merged_by_hand_needs_no_gate(repo: Repo) -> None:
    tale = story(repo, "login", process=GATED)
    tale.run()
    repo.git("merge", "--quiet", "--no-ff", "-m", "Merge by hand", BRANCH)
    assert tale.run().outlook.converged


def test_a_task_that_is_cancelled_in_its_file_stays_so_and_its_spec_needs_a_person(
    repo: Repo,
) -> None:
    tale = story(repo, "login", process=GATED)
    tale.run()
    repo.git("worktree", "add", "--quiet", str(repo.path.parent / "state"), "hyperloop-state")
    state = Repo(repo.path.parent / "state", repo.env)
    file = state.path / "tasks/task-001.md"
    text = file.read_text().replace("status: in-progress", "status: cancelled")
    state.commit({"tasks/task-001.md": text}, "Not now")
    repo.git("worktree", "remove", "--force", str(state.path))

    tale.run()

    entry = tale.state().specs[AUTH]
    assert (entry.status, entry.reason) == (
        SpecStatus.FAILED,
        "task-001 was cancelled, and nothing else closes the gap",
    )


def test_other_work_on_the_base_branch_goes_in_beside_the_tasks(repo: Repo) -> None:
    tale = story(repo, "login", process=DEFAULT)
    tale.cycles(2)
    repo.commit({"src/app.py": "ONE\ntwo\nthree\n"}, "By hand")
    tale.run()
    assert tale.files() == {"src/app.py": "ONE\ntwo\nthree", "src/task-001.txt": "round 0"}
