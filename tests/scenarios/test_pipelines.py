"""Tasks walk their processes over real git; the log of the state branch tells all that happened."""

from hyperloop_action.domain.limits import Limits
from hyperloop_action.domain.model import Phase, SpecStatus
from hyperloop_action.domain.process import ActionStep, AgentStep, GateStep, LoopStep
from tests.fakes.workers import says_no, writes
from tests.git_world import Repo
from tests.scenarios.world import (
    AUTH,
    DEFAULT,
    IMPLEMENTER,
    LOOP,
    MERGE,
    PAY,
    VERIFIER,
    process,
    proposal,
    same,
    story,
)

BEGUN = {"src/app.py": "one\ntwo\nthree"}


def test_two_tasks_are_built_one_after_the_other(repo: Repo) -> None:
    tale = story(repo, "login", proposal("logout", AUTH, "login"))

    assert tale.run().outlook.converged

    same(
        tale.log(),
        """
        14:00 cycle 1: find 1, spawn 1
          specs/auth.md is new
          pm starts on the plan (pm-1)
          Run-Ref: local

        14:01 cycle 2: collect 1, plan 2, spawn 1
          pm proposes 2 (pm-1, 60 s, $0.25)
          task-001 planned for specs/auth.md: Build login
          task-002 planned for specs/auth.md: Build logout, after task-001
          implementer starts on task-001 round 0 (task-001-1)
          task-002 depends on task-001
          Task-Ref: task-001 | Task-Ref: task-002 | Spec-Ref: specs/auth.md@<commit> | Run-Ref:
              local

        14:02 cycle 3: collect 1, advance 1, spawn 1
          task-001: implementer pass (task-001-1, 60 s, $0.25)
          task-001 goes on to agent verifier
          verifier starts on task-001 round 0 (task-001-2)
          Task-Ref: task-001 | Spec-Ref: specs/auth.md@<commit> | Run-Ref: local

        14:03 cycle 4: collect 1, advance 1, merge 1, complete 1, spawn 1
          task-001: verifier pass (task-001-2, 60 s, $0.25)
          task-001 goes on to action merge-pr
          task-001 merged as <commit>
          task-001 is complete
          implementer starts on task-002 round 0 (task-002-1)
          Task-Ref: task-001 | Task-Ref: task-002 | Spec-Ref: specs/auth.md@<commit> | Run-Ref:
              local

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
          Task-Ref: task-001 | Task-Ref: task-002 | Spec-Ref: specs/auth.md@<commit> | Run-Ref:
              local
        """,
    )
    same(
        tale.log("main"),
        """
        22:13 Begin

        14:03 Build login
          All of login.
          Spec-Ref: specs/auth.md@<commit> | Task-Ref: task-001 | Task-Head: <commit>

        14:05 Build logout
          All of logout.
          Spec-Ref: specs/auth.md@<commit> | Task-Ref: task-002 | Task-Head: <commit>
        """,
    )
    assert tale.files() == BEGUN | {
        "src/task-001.txt": "round 0",
        "src/task-002.txt": "round 0",
    }
    assert tale.agents.asked["task-002-1"].base == tale.finished(1).base
    assert repo.git("branch", "--list", "hyperloop/*") == ""
    assert repo.git("status", "--porcelain") == ""


def test_an_idle_cycle_writes_nothing(repo: Repo) -> None:
    tale = story(repo, "login")
    tale.run()
    refs, objects = repo.git("for-each-ref"), repo.git("count-objects")

    done = tale.cycle()

    assert (done.commit, done.facts, done.orders) == (None, (), ())
    assert (repo.git("for-each-ref"), repo.git("count-objects")) == (refs, objects)


def test_a_cycle_that_waits_writes_nothing_either(repo: Repo) -> None:
    tale = story(repo, "login", process=process(LOOP, GateStep("review"), MERGE))
    tale.run()
    tip = tale.tip()
    assert tale.cycle().commit is None
    assert tale.tip() == tip


def test_what_a_verifier_found_is_done_again_in_the_next_round(repo: Repo) -> None:
    tale = story(repo, "login")
    tale.agents.answers["task-001-2"] = says_no("The door is open.")

    tale.run()

    same(
        tale.log(),
        """
        14:00 cycle 1: find 1, spawn 1
          specs/auth.md is new
          pm starts on the plan (pm-1)
          Run-Ref: local

        14:01 cycle 2: collect 1, plan 1, spawn 1
          pm proposes 1 (pm-1, 60 s, $0.25)
          task-001 planned for specs/auth.md: Build login
          implementer starts on task-001 round 0 (task-001-1)
          Task-Ref: task-001 | Spec-Ref: specs/auth.md@<commit> | Run-Ref: local

        14:02 cycle 3: collect 1, advance 1, spawn 1
          task-001: implementer pass (task-001-1, 60 s, $0.25)
          task-001 goes on to agent verifier
          verifier starts on task-001 round 0 (task-001-2)
          Task-Ref: task-001 | Spec-Ref: specs/auth.md@<commit> | Run-Ref: local

        14:03 cycle 4: collect 1, loop 1, spawn 1
          task-001: verifier fail (task-001-2, 60 s, $0.25)
          task-001 starts round 1 at agent implementer: verifier failed it
          implementer starts on task-001 round 1 (task-001-3)
          Task-Ref: task-001 | Spec-Ref: specs/auth.md@<commit> | Run-Ref: local

        14:04 cycle 5: collect 1, advance 1, spawn 1
          task-001: implementer pass (task-001-3, 60 s, $0.25)
          task-001 goes on to agent verifier
          verifier starts on task-001 round 1 (task-001-4)
          Task-Ref: task-001 | Spec-Ref: specs/auth.md@<commit> | Run-Ref: local

        14:05 cycle 6: collect 1, advance 1, merge 1, complete 1, sync 1
          task-001: verifier pass (task-001-4, 60 s, $0.25)
          task-001 goes on to action merge-pr
          task-001 merged as <commit>
          task-001 is complete
          specs/auth.md is synced
          Task-Ref: task-001 | Spec-Ref: specs/auth.md@<commit> | Run-Ref: local
        """,
    )
    again = tale.agents.asked["task-001-3"]
    assert again.prompt == "implementer on Build login\nverifier 0: The door is open."
    assert (again.round, again.head) == (1, tale.agents.asked["task-001-2"].head)
    assert tale.files() == BEGUN | {"src/task-001.txt": "round 1"}


NESTED = process(
    LoopStep((LoopStep((IMPLEMENTER, VERIFIER)), LoopStep((AgentStep("tester"), VERIFIER)))), MERGE
)


def test_one_agent_in_two_nested_loops_is_told_apart_by_its_place(repo: Repo) -> None:
    tale = story(repo, "login", process=NESTED)
    tale.agents.answers["task-001-2"] = says_no("Not yet.")  # inner loop, first verifier
    tale.agents.answers["task-001-6"] = says_no("Untested.")  # second loop, second verifier

    tale.run()

    same(
        tale.log(),
        """
        14:00 cycle 1: find 1, spawn 1
          specs/auth.md is new
          pm starts on the plan (pm-1)
          Run-Ref: local

        14:01 cycle 2: collect 1, plan 1, spawn 1
          pm proposes 1 (pm-1, 60 s, $0.25)
          task-001 planned for specs/auth.md: Build login
          implementer starts on task-001 round 0 (task-001-1)
          Task-Ref: task-001 | Spec-Ref: specs/auth.md@<commit> | Run-Ref: local

        14:02 cycle 3: collect 1, advance 1, spawn 1
          task-001: implementer pass (task-001-1, 60 s, $0.25)
          task-001 goes on to agent verifier
          verifier starts on task-001 round 0 (task-001-2)
          Task-Ref: task-001 | Spec-Ref: specs/auth.md@<commit> | Run-Ref: local

        14:03 cycle 4: collect 1, loop 1, spawn 1
          task-001: verifier fail (task-001-2, 60 s, $0.25)
          task-001 starts round 1 at agent implementer: verifier failed it
          implementer starts on task-001 round 1 (task-001-3)
          Task-Ref: task-001 | Spec-Ref: specs/auth.md@<commit> | Run-Ref: local

        14:04 cycle 5: collect 1, advance 1, spawn 1
          task-001: implementer pass (task-001-3, 60 s, $0.25)
          task-001 goes on to agent verifier
          verifier starts on task-001 round 1 (task-001-4)
          Task-Ref: task-001 | Spec-Ref: specs/auth.md@<commit> | Run-Ref: local

        14:05 cycle 6: collect 1, advance 1, spawn 1
          task-001: verifier pass (task-001-4, 60 s, $0.25)
          task-001 goes on to agent tester
          tester starts on task-001 round 1 (task-001-5)
          Task-Ref: task-001 | Spec-Ref: specs/auth.md@<commit> | Run-Ref: local

        14:06 cycle 7: collect 1, advance 1, spawn 1
          task-001: tester pass (task-001-5, 60 s, $0.25)
          task-001 goes on to agent verifier
          verifier starts on task-001 round 1 (task-001-6)
          Task-Ref: task-001 | Spec-Ref: specs/auth.md@<commit> | Run-Ref: local

        14:07 cycle 8: collect 1, loop 1, spawn 1
          task-001: verifier fail (task-001-6, 60 s, $0.25)
          task-001 starts round 2 at agent tester: verifier failed it
          tester starts on task-001 round 2 (task-001-7)
          Task-Ref: task-001 | Spec-Ref: specs/auth.md@<commit> | Run-Ref: local

        14:08 cycle 9: collect 1, advance 1, spawn 1
          task-001: tester pass (task-001-7, 60 s, $0.25)
          task-001 goes on to agent verifier
          verifier starts on task-001 round 2 (task-001-8)
          Task-Ref: task-001 | Spec-Ref: specs/auth.md@<commit> | Run-Ref: local

        14:09 cycle 10: collect 1, advance 1, merge 1, complete 1, sync 1
          task-001: verifier pass (task-001-8, 60 s, $0.25)
          task-001 goes on to action merge-pr
          task-001 merged as <commit>
          task-001 is complete
          specs/auth.md is synced
          Task-Ref: task-001 | Spec-Ref: specs/auth.md@<commit> | Run-Ref: local
        """,
    )
    assert [order.role for order in tale.agents.asked.values()] == [
        "pm",
        "implementer",
        "verifier",
        "implementer",
        "verifier",
        "tester",
        "verifier",
        "tester",
        "verifier",
    ]


def test_on_fail_and_on_pass_lead_where_the_process_says(repo: Repo) -> None:
    steps = LoopStep(
        (
            IMPLEMENTER,
            AgentStep("quick", on_pass="verifier", on_fail="fixer"),
            AgentStep("fixer", on_pass="quick"),
            VERIFIER,
        )
    )
    tale = story(repo, "login", process=process(steps, MERGE))
    tale.agents.answers["task-001-2"] = says_no("Style.")

    tale.run()

    same(
        tale.log(),
        """
        14:00 cycle 1: find 1, spawn 1
          specs/auth.md is new
          pm starts on the plan (pm-1)
          Run-Ref: local

        14:01 cycle 2: collect 1, plan 1, spawn 1
          pm proposes 1 (pm-1, 60 s, $0.25)
          task-001 planned for specs/auth.md: Build login
          implementer starts on task-001 round 0 (task-001-1)
          Task-Ref: task-001 | Spec-Ref: specs/auth.md@<commit> | Run-Ref: local

        14:02 cycle 3: collect 1, advance 1, spawn 1
          task-001: implementer pass (task-001-1, 60 s, $0.25)
          task-001 goes on to agent quick
          quick starts on task-001 round 0 (task-001-2)
          Task-Ref: task-001 | Spec-Ref: specs/auth.md@<commit> | Run-Ref: local

        14:03 cycle 4: collect 1, advance 1, spawn 1
          task-001: quick fail (task-001-2, 60 s, $0.25)
          task-001 goes on to agent fixer
          fixer starts on task-001 round 0 (task-001-3)
          Task-Ref: task-001 | Spec-Ref: specs/auth.md@<commit> | Run-Ref: local

        14:04 cycle 5: collect 1, loop 1, spawn 1
          task-001: fixer pass (task-001-3, 60 s, $0.25)
          task-001 starts round 1 at agent quick: agent fixer passed, which leads back
          quick starts on task-001 round 1 (task-001-4)
          Task-Ref: task-001 | Spec-Ref: specs/auth.md@<commit> | Run-Ref: local

        14:05 cycle 6: collect 1, advance 1, spawn 1
          task-001: quick pass (task-001-4, 60 s, $0.25)
          task-001 goes on to agent verifier
          verifier starts on task-001 round 1 (task-001-5)
          Task-Ref: task-001 | Spec-Ref: specs/auth.md@<commit> | Run-Ref: local

        14:06 cycle 7: collect 1, advance 1, merge 1, complete 1, sync 1
          task-001: verifier pass (task-001-5, 60 s, $0.25)
          task-001 goes on to action merge-pr
          task-001 merged as <commit>
          task-001 is complete
          specs/auth.md is synced
          Task-Ref: task-001 | Spec-Ref: specs/auth.md@<commit> | Run-Ref: local
        """,
    )


def test_a_gate_waits_for_a_word_about_this_head_and_holds_no_slot(repo: Repo) -> None:
    tale = story(
        repo,
        "login",
        "logout",
        process=process(LOOP, GateStep("review"), LoopStep((AgentStep("tester"),)), MERGE),
        limits=Limits(max_workers=1),
    )

    summary = tale.run()
    tale.approve("task-001")
    tale.run()
    tale.approve("task-002", "Grace")
    tale.run()

    assert summary.outlook.attention == tuple(
        f"{name} waits at gate review (label):"
        f" look at hyperloop/{name}, then `hyperloop approve {name}`"
        for name in ("task-001", "task-002")
    )
    same(
        tale.log(),
        """
        14:00 cycle 1: find 1, spawn 1
          specs/auth.md is new
          pm starts on the plan (pm-1)
          Run-Ref: local

        14:01 cycle 2: collect 1, plan 2, spawn 1
          pm proposes 2 (pm-1, 60 s, $0.25)
          task-001 planned for specs/auth.md: Build login
          task-002 planned for specs/auth.md: Build logout
          implementer starts on task-001 round 0 (task-001-1)
          task-002 waits for a free slot
          Task-Ref: task-001 | Task-Ref: task-002 | Spec-Ref: specs/auth.md@<commit> | Run-Ref:
              local

        14:02 cycle 3: collect 1, advance 1, spawn 1
          task-001: implementer pass (task-001-1, 60 s, $0.25)
          task-001 goes on to agent verifier
          verifier starts on task-001 round 0 (task-001-2)
          Task-Ref: task-001 | Spec-Ref: specs/auth.md@<commit> | Run-Ref: local

        14:03 cycle 4: collect 1, advance 1, spawn 1
          task-001: verifier pass (task-001-2, 60 s, $0.25)
          task-001 goes on to gate review
          task-001 waits at gate review (label): look at hyperloop/task-001, then `hyperloop
              approve task-001`
          implementer starts on task-002 round 0 (task-002-1)
          Task-Ref: task-001 | Task-Ref: task-002 | Spec-Ref: specs/auth.md@<commit> | Run-Ref:
              local

        14:04 cycle 5: collect 1, advance 1, spawn 1
          task-002: implementer pass (task-002-1, 60 s, $0.25)
          task-002 goes on to agent verifier
          verifier starts on task-002 round 0 (task-002-2)
          Task-Ref: task-002 | Spec-Ref: specs/auth.md@<commit> | Run-Ref: local

        14:05 cycle 6: collect 1, advance 1
          task-002: verifier pass (task-002-2, 60 s, $0.25)
          task-002 goes on to gate review
          task-002 waits at gate review (label): look at hyperloop/task-002, then `hyperloop
              approve task-002`
          Task-Ref: task-002 | Spec-Ref: specs/auth.md@<commit> | Run-Ref: local

        14:05 approve
          task-001 approved at review by Ada
          Task-Ref: task-001 | Spec-Ref: specs/auth.md@<commit> | Run-Ref: local

        14:05 cycle 7: clear 1, advance 1, spawn 1
          task-001 passed gate review, by Ada
          task-001 goes on to agent tester
          tester starts on task-001 round 0 (task-001-3)
          Task-Ref: task-001 | Spec-Ref: specs/auth.md@<commit> | Run-Ref: local

        14:06 cycle 8: collect 1, advance 1, merge 1, complete 1
          task-001: tester pass (task-001-3, 60 s, $0.25)
          task-001 goes on to action merge-pr
          task-001 merged as <commit>
          task-001 is complete
          Task-Ref: task-001 | Spec-Ref: specs/auth.md@<commit> | Run-Ref: local

        14:06 approve
          task-002 approved at review by Grace
          Task-Ref: task-002 | Spec-Ref: specs/auth.md@<commit> | Run-Ref: local

        14:06 cycle 9: clear 1, advance 1, spawn 1
          task-002 passed gate review, by Grace
          task-002 goes on to agent tester
          tester starts on task-002 round 0 (task-002-3)
          Task-Ref: task-002 | Spec-Ref: specs/auth.md@<commit> | Run-Ref: local

        14:07 cycle 10: collect 1, advance 1, merge 1, complete 1, sync 1
          task-002: tester pass (task-002-3, 60 s, $0.25)
          task-002 goes on to action merge-pr
          task-002 merged as <commit>
          task-002 is complete
          specs/auth.md is synced
          Task-Ref: task-001 | Task-Ref: task-002 | Spec-Ref: specs/auth.md@<commit> | Run-Ref:
              local
        """,
    )


def test_an_action_in_the_middle_lands_and_the_work_goes_on_from_there(repo: Repo) -> None:
    tale = story(
        repo,
        "login",
        process=process(LOOP, ActionStep("mark-ready"), MERGE, LoopStep((IMPLEMENTER,)), MERGE),
    )
    tale.agents.answers["task-001-3"] = writes({"docs/login.md": "How.\n"})

    tale.run()

    same(
        tale.log(),
        """
        14:00 cycle 1: find 1, spawn 1
          specs/auth.md is new
          pm starts on the plan (pm-1)
          Run-Ref: local

        14:01 cycle 2: collect 1, plan 1, spawn 1
          pm proposes 1 (pm-1, 60 s, $0.25)
          task-001 planned for specs/auth.md: Build login
          implementer starts on task-001 round 0 (task-001-1)
          Task-Ref: task-001 | Spec-Ref: specs/auth.md@<commit> | Run-Ref: local

        14:02 cycle 3: collect 1, advance 1, spawn 1
          task-001: implementer pass (task-001-1, 60 s, $0.25)
          task-001 goes on to agent verifier
          verifier starts on task-001 round 0 (task-001-2)
          Task-Ref: task-001 | Spec-Ref: specs/auth.md@<commit> | Run-Ref: local

        14:03 cycle 4: collect 1, advance 3, act 1, merge 1, spawn 1
          task-001: verifier pass (task-001-2, 60 s, $0.25)
          task-001 goes on to action mark-ready
          task-001: action mark-ready: there is no pull request to mark
          task-001 goes on to action merge-pr
          task-001 merged as <commit>
          task-001 goes on to agent implementer
          implementer starts on task-001 round 0 (task-001-3)
          Task-Ref: task-001 | Spec-Ref: specs/auth.md@<commit> | Run-Ref: local

        14:04 cycle 5: collect 1, advance 1, merge 1, complete 1, sync 1
          task-001: implementer pass (task-001-3, 60 s, $0.25)
          task-001 goes on to action merge-pr
          task-001 merged as <commit>
          task-001 is complete
          specs/auth.md is synced
          Task-Ref: task-001 | Spec-Ref: specs/auth.md@<commit> | Run-Ref: local
        """,
    )
    same(
        tale.log("main"),
        """
        22:13 Begin

        14:03 Build login
          All of login.
          Spec-Ref: specs/auth.md@<commit> | Task-Ref: task-001 | Task-Head: <commit>

        14:04 Build login
          All of login.
          Spec-Ref: specs/auth.md@<commit> | Task-Ref: task-001 | Task-Head: <commit>
        """,
    )
    assert tale.files() == BEGUN | {"src/task-001.txt": "round 0", "docs/login.md": "How."}


def test_a_process_that_grows_keeps_a_task_where_its_step_is_the_same(repo: Repo) -> None:
    tale = story(repo, "login", process=process(LOOP, GateStep("review"), MERGE))
    tale.run()

    tale.process = process(LOOP, GateStep("review"), GateStep("legal"), MERGE)
    assert tale.cycle().commit is None
    tale.approve("task-001")
    tale.run()

    assert (tale.task().position, tale.task().step) == ((2,), "gate legal")


def test_a_process_without_its_step_starts_the_task_again_with_its_work(repo: Repo) -> None:
    tale = story(repo, "login", process=process(LOOP, GateStep("review"), MERGE))
    tale.run()
    head = tale.task().head

    tale.process = DEFAULT
    tale.run()

    same(
        tale.log(after=4),
        """
        14:03 cycle 5: restart 1, spawn 1
          task-001 stood at gate review, which the process no longer has: it starts again at agent
              implementer
          implementer starts on task-001 round 0 (task-001-3)
          Task-Ref: task-001 | Spec-Ref: specs/auth.md@<commit> | Run-Ref: local

        14:04 cycle 6: collect 1, advance 1, spawn 1
          task-001: implementer pass (task-001-3, 60 s, $0.25)
          task-001 goes on to agent verifier
          verifier starts on task-001 round 0 (task-001-4)
          Task-Ref: task-001 | Spec-Ref: specs/auth.md@<commit> | Run-Ref: local

        14:05 cycle 7: collect 1, advance 1, merge 1, complete 1, sync 1
          task-001: verifier pass (task-001-4, 60 s, $0.25)
          task-001 goes on to action merge-pr
          task-001 merged as <commit>
          task-001 is complete
          specs/auth.md is synced
          Task-Ref: task-001 | Spec-Ref: specs/auth.md@<commit> | Run-Ref: local
        """,
    )
    assert tale.agents.asked["task-001-3"].head == head


def test_a_process_that_changes_under_a_session_lets_it_end_first(repo: Repo) -> None:
    tale = story(repo, "login")
    tale.agents.held.add("task-001-2")
    tale.cycles(3)
    assert tale.task().step == "agent verifier"

    tale.process = process(LoopStep((IMPLEMENTER, AgentStep("tester"))), MERGE)
    assert tale.cycle().commit is None
    tale.agents.held.clear()
    tale.cycle()

    assert (tale.task().phase, tale.task().step) == (Phase.WORKING, "agent implementer")
    assert tale.state().reviews["task-001"][0].role == "verifier"


def test_dependencies_between_specs_hold_across_plans(repo: Repo) -> None:
    repo.commit({PAY: "# Pay\n"})
    plans = {AUTH: (proposal("login"),), PAY: (proposal("pay", PAY, "login"),)}
    tale = story(repo, plans=plans)

    assert tale.run().outlook.converged

    assert {path: entry.status for path, entry in tale.state().specs.items()} == {
        AUTH: SpecStatus.SYNCED,
        PAY: SpecStatus.SYNCED,
    }
    assert tale.finished(2).base != tale.finished(1).base
    assert tale.state().tasks == {}
