"""Whole runs with the real Claude Code: from a spec to its merge, and through what goes wrong.

Everything is real but the model: ``hyperloop run`` is a process of its own, in a real repository.
"""

import json
import re
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import pytest

from tests.git_world import Repo
from tests.world.claude_cli import needs_claude
from tests.world.claude_story import PASSED, SPEC, Project, Story, plan, task
from tests.world.messages_api import KEY, MessagesApi
from tests.world.model_script import (
    Answer,
    Cut,
    Hang,
    Request,
    Script,
    answer,
    bash,
    edit,
    limited,
    overloaded,
    refused,
    text,
    turns,
    write,
)

IMPLEMENTER, VERIFIER = "implementer task-001", "verifier task-001"
BEFORE = "# Greet\n\nSay hello.\n"
AFTER = "# Greet\n\nSay hello, and goodbye.\n"

# All goes well

SECRETS = (
    *("GITHUB_TOKEN", "GH_TOKEN", "ACTIONS_RUNTIME_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"),
    *("INPUT_TOKEN", "NPM_TOKEN", "DATABASE_PASSWORD", "HYPERLOOP_SECRET"),
)
CANARY = "canary-7f3a"

LOG = """\
cycle 1: find 1, spawn 1
  specs/greet.md is new
  pm starts on the plan (pm-1)
  Run-Ref: local
cycle 2: collect 1, plan 1, find 1, spawn 1
  pm proposes 1 (pm-1, N s, $N)
  task-001 planned for specs/greet.md: Greet people
  specs/greet.md is changed
  pm starts on the plan (pm-2)
  task-001 waits for a free slot
  Task-Ref: task-001
  Spec-Ref: specs/greet.md@OLD
  Run-Ref: local
cycle 3: collect 1, spawn 1
  pm proposes 0 (pm-2, N s, $N)
  implementer starts on task-001 round 0 (task-001-1)
  Task-Ref: task-001
  Spec-Ref: specs/greet.md@OLD
  Run-Ref: local
cycle 4: collect 1, advance 1, spawn 1
  task-001: implementer pass (task-001-1, N s, $N)
  task-001 goes on to agent verifier
  verifier starts on task-001 round 0 (task-001-2)
  Task-Ref: task-001
  Spec-Ref: specs/greet.md@OLD
  Run-Ref: local
cycle 5: collect 1, loop 1, spawn 1
  task-001: verifier fail (task-001-2, N s, $N)
  task-001 starts round 1 at agent implementer: verifier failed it
  implementer starts on task-001 round 1 (task-001-3)
  Task-Ref: task-001
  Spec-Ref: specs/greet.md@OLD
  Run-Ref: local
cycle 6: collect 1, advance 1, spawn 1
  task-001: implementer pass (task-001-3, N s, $N)
  task-001 goes on to agent verifier
  verifier starts on task-001 round 1 (task-001-4)
  Task-Ref: task-001
  Spec-Ref: specs/greet.md@OLD
  Run-Ref: local
cycle 7: collect 1, advance 1, merge 1, complete 1, sync 1
  task-001: verifier pass (task-001-4, N s, $N)
  task-001 goes on to action merge-pr
  task-001 merged as LANDED
  task-001 is complete
  specs/greet.md is synced
  Task-Ref: task-001
  Spec-Ref: specs/greet.md@OLD
  Run-Ref: local"""

ROUND_0 = """\
---
task_id: task-001
seq: 0
round: 0
role: verifier
verdict: fail
order: task-001-2
---

It says `helo`."""


def a_full_story(repo: Repo) -> Story:
    """The spec is edited while it is planned; an agent looks around; its first try is wrong."""

    def plans(request: Request) -> Answer:
        repo.commit({SPEC: AFTER}, "Think again")
        return plan(task("a", "Greet people", covers=["Say hello."]))(request)

    looks_around = bash("env; git config --list; git add -A && git commit -qm 'Greet'")
    wrong = answer({"verdict": "fail", "detail": "It says `helo`."})
    mended = answer({"detail": "Mended."}).costing(input_tokens=100_000)
    return Story(
        {
            "pm": [plans, plan()],
            IMPLEMENTER: [
                turns(write("greet.sh", "echo helo\n"), looks_around, answer({"detail": "Done."})),
                turns(edit("greet.sh", "helo", "hello"), mended),
            ],
            VERIFIER: [turns(bash("sh greet.sh; echo x > greet.sh"), wrong), PASSED],
        }
    )


@needs_claude
def test_a_spec_becomes_verified_code_and_every_step_of_it_can_be_read_later(
    repo: Repo, tmp_path: Path
) -> None:
    story = a_full_story(repo)
    with MessagesApi(story) as api:
        canaries = {name: f"{CANARY}-{name}" for name in SECRETS}
        project = Project.begin(repo, api, tmp_path, "max_workers: 1\n", **canaries)
        old = repo.tip()
        project.hyperloop("run")
        page = project.hyperloop("describe", "task", "1")
        values = project.values("describe", "task", "1")["task"]
    assert story.counts == {"pm": 2, IMPLEMENTER: 2, VERIFIER: 2}
    _base_holds_the_work(repo, old)
    _state_tells_the_story(repo, old)
    _prompts_hold_the_pinned_spec_and_all_findings(story, old)
    _bill_is_that_of_the_sessions(project, story, values)
    assert field(page, "round") == "1 of at most 50"
    assert "round 0  verifier  fail  (task-001-2)\n  It says `helo`.\n" in page
    assert "round 1  verifier  pass  (task-001-4)\n  I ran it.\n" in page
    assert f"4 sessions: ${values['usage']['cost_usd']:.2f}, 12 turns, 100,700 tokens in, " in page
    _nothing_secret_went_anywhere(project, story)


def _base_holds_the_work(repo: Repo, old: str) -> None:
    names = repo.git("log", "--format=%an %s", "main").splitlines()
    assert names == ["hyperloop Greet people", "Ada Think again", "Ada Begin", "Ada Begin"]
    *_, message = repo.git("log", "-1", "--format=%B", "main").partition("Greet people\n\n")
    trailers = f"Greet people.\n\nSpec-Ref: {SPEC}@{old}\nTask-Ref: task-001\nTask-Head: "
    assert message.startswith(trailers)
    assert repo.git("diff", message.removeprefix(trailers).strip(), "main", "--", "greet.sh") == ""
    files = repo.files("main")
    assert (files["greet.sh"], files[SPEC]) == ("echo hello", AFTER.strip())
    assert (repo.path / "greet.sh").read_text() == "echo hello\n"
    assert repo.git("status", "--porcelain") == ""
    assert repo.git("branch", "--format=%(refname:short)").split() == ["hyperloop-state", "main"]


def _state_tells_the_story(repo: Repo, old: str) -> None:
    log = repo.git("log", "--reverse", "--format=%s%n%w(0,2,2)%b", "hyperloop-state")
    log = re.sub(r"\b\d+ s\b", "N s", re.sub(r"\$\d+\.\d\d", "$N", log))
    log = log.replace(old, "OLD").replace(repo.tip("main")[:12], "LANDED")
    assert "\n".join(line for line in log.splitlines() if line.strip()) == LOG
    files = repo.files("hyperloop-state")
    assert files["archive/0000/task-001/task-001-round-0-verifier.md"] == ROUND_0
    assert "**1 of 1 specs synced**, 0 open tasks" in files["README.md"]


def _prompts_hold_the_pinned_spec_and_all_findings(story: Story, old: str) -> None:
    """The clone has the new text by then; the prompt keeps to what the task was made for."""
    for session in (f"{IMPLEMENTER} 0", f"{VERIFIER} 0", f"{IMPLEMENTER} 1", f"{VERIFIER} 1"):
        prompt = story.prompt(session)
        assert f"The text of `{SPEC}@{old}`" in prompt
        assert f"```markdown\n{BEFORE}```\n" in prompt
        assert "goodbye" not in prompt
    findings = "### Round 0, verifier: fail\n\n```markdown\nIt says `helo`.\n```"
    assert findings not in story.prompt(f"{IMPLEMENTER} 0")
    assert findings in story.prompt(f"{IMPLEMENTER} 1")
    assert findings in story.prompt(f"{VERIFIER} 1")
    assert f"```markdown\n{AFTER}```\n" in story.prompt("pm 1")
    assert f'- task-001 (`{SPEC}`): "Greet people"' in story.prompt("pm 1")


def _bill_is_that_of_the_sessions(project: Project, story: Story, shown: dict[str, object]) -> None:
    results = [json.loads(file.read_text().splitlines()[-1]) for file in project.transcripts()]
    assert [result["type"] for result in results] == ["result"] * 6
    total = sum(result["total_cost_usd"] for result in results)
    spent = re.search(r"total_usd: ([\d.]+)", project.repo.files("hyperloop-state")["state.yaml"])
    assert spent is not None
    assert float(spent[1]) == pytest.approx(total, abs=1e-5)
    usage = shown["usage"]
    assert isinstance(usage, dict)
    assert 0 < usage["cost_usd"] < total, "the pm is paid too"
    asked = sum(
        len(story.requests[f"{who} {n}"]) for who in (IMPLEMENTER, VERIFIER) for n in (0, 1)
    )
    assert usage["input_tokens"] == 100 * (asked - 1) + 100_000
    assert usage["output_tokens"] == 10 * asked


def _nothing_secret_went_anywhere(project: Project, story: Story) -> None:
    asked = [request for requests in story.requests.values() for request in requests]
    assert KEY in story.seen(f"{IMPLEMENTER} 0")[1], "it was its own environment that it printed"
    assert not any(CANARY in f"{request.headers} {request.body}" for request in asked)
    git = project.repo.git
    kept = [file.read_text() for file in project.transcripts()]
    kept.append(git("log", "--all", "--patch", "--format=raw"))
    assert not any(CANARY in words or KEY in words for words in kept)
    assert any("ANTHROPIC_API_KEY=" in words for words in kept), "that is, it was replaced"


# Things go wrong


def cut_short(reply: Answer, line: str, *, commits: bool = False) -> Script:
    """Some work, committed or not; and then the API does that, whatever it is asked."""
    saves = " && git add -A && git commit -qm Save" if commits else ""
    return turns(bash(f"echo {line} >> work-{NUMBER}.txt{saves}"), reply)


NUMBER = "$(git branch --show-current | tail -c 2)"
GOES_ON = turns(
    bash(f"cat work-{NUMBER}.txt; echo last >> work-{NUMBER}.txt"), answer({"detail": "Done."})
)
FINDS_IT_DONE = turns(
    bash(f"cat work-{NUMBER}.txt"), answer({"verdict": "pass", "detail": "All is there."})
)


def field(page: str, name: str) -> str:
    """The value of one line of a page of ``hyperloop describe``."""
    found = re.search(rf"^{name}  +(.*)$", page, re.MULTILINE)
    return found[1].strip() if found else ""


@needs_claude
def test_a_task_outlives_every_failure_of_the_api_and_loses_no_work(
    repo: Repo, tmp_path: Path
) -> None:
    dear = bash("true").costing(input_tokens=10_000_000)
    story = Story(
        {
            "pm": [plan(*(task(key, f"Task {key}") for key in "abc"))],
            "implementer task-001": [
                cut_short(refused(), "first"),
                cut_short(Cut(text("Half of it")), "second", commits=True),
                FINDS_IT_DONE,
            ],
            "implementer task-002": [
                cut_short(overloaded(), "first", commits=True),
                cut_short(dear, "second"),
                GOES_ON,
            ],
            "implementer task-003": [
                cut_short(limited(3), "first"),
                cut_short(bash("true"), "second"),
                GOES_ON,
            ],
            **{f"verifier task-00{number}": [PASSED] for number in (1, 2, 3)},
        }
    )
    settings = "agents: {default: {max_turns: 5}}\n"
    with MessagesApi(story) as api:
        # With one retry of its own the CLI shows how long the API wants it to wait.
        project = Project.begin(repo, api, tmp_path, settings, CLAUDE_CODE_MAX_RETRIES="1")
        project.hyperloop("run", "--fail-on", "attention")
        limited_task = project.values("describe", "task", "3")
    errors = {who: field(page, "last error") for who, page in story.pages.items()}
    for session, (told, said) in TROUBLES.items():
        assert errors[session].startswith(told), session
        assert said in errors[session]
        assert KEY not in errors[session]
    files = repo.files("main")
    assert files["work-1.txt"] == "first\nsecond"
    assert files["work-2.txt"] == files["work-3.txt"] == "first\nsecond\nlast"
    for number in (1, 2, 3):
        assert story.seen(f"implementer task-00{number} 2")[0] == "first\nsecond"
        assert story.counts[f"implementer task-00{number}"] == 3
    assert kinds(repo) == {
        "task-001-1": "auth",
        "task-001-2": "overloaded",
        "task-002-1": "overloaded",
        "task-002-2": "budget",
        "task-003-1": "overloaded",
        "task-003-2": "turn-limit",
    }
    assert waited(limited_task["events"], "(task-003-1)", "(task-003-2)") >= 3


TROUBLES = {
    "implementer task-001 1": (
        "the provider refused the credentials: the API refused the credentials (401)",
        "check ANTHROPIC_API_KEY: Invalid API key",
    ),
    "implementer task-001 2": (
        "the provider was busy: the API failed or could not be reached",
        "Connection to the API was lost",
    ),
    "implementer task-002 1": ("the provider was busy: the API is overloaded (529)", "Overloaded"),
    "implementer task-002 2": (
        "it used all its money (max_budget_usd): Reached maximum budget ($5)",
        "raise max_budget_usd, or cut the task",
    ),
    "implementer task-003 1": (
        "the provider was busy: the API limits this account (429)",
        "This request would exceed your rate limit",
    ),
    "implementer task-003 2": (
        "it used all its turns (max_turns): Reached maximum number of turns (5)",
        "raise max_turns, or cut the task",
    ),
}
"""What a person reads while the session after the failure is at work: how it begins, and more."""


def kinds(repo: Repo) -> dict[str, str]:
    """Order -> the kind of error that its session ended with, by the log of the state branch."""
    log = repo.git("log", "--format=%b", "hyperloop-state")
    return {order: kind for kind, order in re.findall(r"ended with ([a-z-]+) \(([\w-]+)\)", log)}


def waited(events: list[dict[str, str]], ended: str, started: str) -> float:
    """Seconds from the end of one order to the start of the next."""
    ends = next(event for event in events if "ended" in event["what"] and ended in event["what"])
    starts = next(event for event in events if started in event["what"])
    times = [datetime.fromisoformat(event["time"]) for event in (ends, starts)]
    return next(later - earlier for earlier, later in pairwise(times)).total_seconds()


BROKEN = turns(answer({"verdict": "mostly", "proposals": "some"}))


@needs_claude
def test_silence_and_answers_in_another_form_are_told_and_outlived(
    repo: Repo, tmp_path: Path
) -> None:
    begins = turns(write("greet.sh", "echo hello\n"), Hang())
    finds_it_done = turns(bash("cat greet.sh"), answer({"verdict": "pass", "detail": "There."}))
    story = Story(
        {
            "pm": [BROKEN, plan(task("a", "Greet"))],
            IMPLEMENTER: [begins, finds_it_done],
            VERIFIER: [BROKEN, PASSED],
        }
    )
    # On a slow machine a good session may run out of time as well: that is only one more.
    settings = "max_spawn_attempts: 9\nagents: {implementer: {timeout_minutes: 0.2}}\n"
    with MessagesApi(story) as api:
        project = Project.begin(repo, api, tmp_path, settings)
        project.hyperloop("run", "--fail-on", "attention")
        page = project.hyperloop("describe", "task", "1")
    again = "planned again, since pm ended with bad-answer: Failed to provide valid structured"
    assert again in field(story.pages["pm 1"], "status")
    assert "/proposals: must be array" in story.pages["pm 1"]
    late = "it ran out of time (timeout_minutes): the deadline of the order passed after "
    assert field(story.pages[f"{IMPLEMENTER} 1"], "last error").startswith(late)
    assert story.seen(f"{IMPLEMENTER} 1") == ("echo hello",)
    silent = "The verifier gave no verdict: Failed to provide valid structured output"
    assert re.search(rf"^round 0  verifier  fail .*\n  {silent}", page, re.MULTILINE)
    assert silent in story.prompt(f"{IMPLEMENTER} {story.counts[IMPLEMENTER] - 1}")
    assert kinds(repo)["pm-1"] == "bad-answer"
    assert kinds(repo)["task-001-1"] == "timeout"
    assert set(kinds(repo).values()) == {"bad-answer", "timeout"}
    assert repo.files("main")["greet.sh"] == "echo hello"


@needs_claude
def test_a_run_that_gives_up_says_why_and_goes_on_when_a_person_has_mended_it(
    repo: Repo, tmp_path: Path
) -> None:
    story = Story(
        {
            "pm": [turns(refused()), plan(task("a", "Greet"))],
            IMPLEMENTER: [cut_short(refused(), "first"), GOES_ON],
            VERIFIER: [PASSED],
        }
    )
    why = "ended with auth 1 time: the API refused the credentials (401): check ANTHROPIC_API_KEY: "
    settings = "max_spawn_attempts: 1\nmax_spec_attempts: 1\n"
    with MessagesApi(story) as api:
        project = Project.begin(repo, api, tmp_path, settings)
        said = project.hyperloop("run", "--fail-on", "attention", code=1)
        assert f"{SPEC}  failed: pm {why}" in said
        page = project.hyperloop("describe", "spec", "greet")
        assert field(page, "status").startswith(f"failed: pm {why}")

        project.hyperloop("retry", "greet")
        said = project.hyperloop("run", "--fail-on", "attention", code=1)
        assert f"{SPEC}  failed: 1 plan did not close the gap; at last task-001 failed" in said
        page = project.hyperloop("describe", "task", "1")
        assert field(page, "status").startswith(f"failed: implementer {why}")
        assert repo.git("show", "hyperloop/task-001:work-1.txt") == "first"

        project.hyperloop("retry", "task-001")
        project.hyperloop("run", "--fail-on", "attention")
    assert story.counts == {"pm": 2, IMPLEMENTER: 2, VERIFIER: 1}
    assert repo.files("main")["work-1.txt"] == "first\nlast"
