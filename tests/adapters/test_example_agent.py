"""The example agent, started as a session starts it, in a clone made by real git."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hyperloop_action.adapters.prompts import TemplatePrompts
from hyperloop_action.domain.agents import AgentDefinition
from hyperloop_action.domain.briefing import Briefing
from hyperloop_action.domain.model import Phase, Task
from hyperloop_action.domain.orders import Answer, Order, SpecToPlan, Wants, encode

ROOT = Path(__file__).parents[2]

GREET = """# Greeting

## Greet by name

```sh file=greet.sh
#!/bin/sh
echo "Hello, $1!"
```

What the first try forgets:

```sh file=greet.sh round=1
#!/bin/sh
echo "Hello, ${1:-stranger}!"
```

```sh acceptance
test "$(./greet.sh Ada)" = "Hello, Ada!"
# nobody
test "$(./greet.sh)" = "Hello, stranger!" || { ./greet.sh; exit 3; }
```

## Say how

````markdown file=docs/usage.md
```sh
./greet.sh Ada   # ## no heading
```
````
"""
GERMAN = "# German\n\nDepends on: `specs/greet.md`.\n\n## German\n\n```file=de.txt\nHallo\n```\n"


class World:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clone = folder / "clone"
        self.clone.mkdir()
        plain = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        people = {
            f"GIT_{role}_{key}": f"agent{at}"
            for role in ("AUTHOR", "COMMITTER")
            for key, at in (("NAME", ""), ("EMAIL", "@example.invalid"))
        }
        self.env = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(ROOT)}
        self.env |= {**plain, **people}
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *words: str) -> str:
        argv = ["git", *words]
        return subprocess.run(
            argv, cwd=self.clone, env=self.env, check=True, capture_output=True, text=True
        ).stdout.strip()

    def commit(self, **files: str) -> str:
        """Write specs by name and commit everything; the commit."""
        for name, text in files.items():
            path = self.clone / "specs" / f"{name}.md"
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        self.git("add", ".")
        self.git("commit", "--quiet", "--message", "specs")
        return self.git("rev-parse", "HEAD")

    def start(self, order: Order | None, prompt: str = "") -> "subprocess.CompletedProcess[str]":
        env = dict(self.env)
        for name, content in (
            ("ORDER", encode(order) if order else None),
            ("PROMPT", prompt.encode()),
        ):
            if content is not None:
                path = self.folder / name
                path.write_bytes(content)
                env[f"HYPERLOOP_{name}_FILE"] = str(path)
        env["HYPERLOOP_RESULT_FILE"] = str(self.folder / "RESULT")
        argv = [sys.executable, "-m", "hyperloop_action.example_agent"]
        return subprocess.run(
            argv, cwd=self.clone, env=env, capture_output=True, text=True, check=False
        )

    def answer(self, order: Order, prompt: str = "") -> Answer:
        done = self.start(order, prompt)
        assert (done.returncode, done.stderr) == (0, "")
        return msgspec.json.decode((self.folder / "RESULT").read_bytes(), type=Answer)

    def order(self, wants: Wants, **fields: Any) -> Order:
        head = self.git("rev-parse", "HEAD")
        base = Order(id="x-1", role="any", wants=wants, base=head, head=head, prompt="")
        return msgspec.structs.replace(base, **fields)

    def plan(self, *specs: str, change: str = "new", prompt: str = "") -> list[dict[str, Any]]:
        """The proposals for ``specs``, without what only people read."""
        head = self.git("rev-parse", "HEAD")
        asked = tuple(
            SpecToPlan(path=f"specs/{s}.md", commit=head, blob="", change=change)  # type: ignore[arg-type] # a literal in each test
            for s in specs
        )
        answer = self.answer(self.order(Wants.PROPOSALS, specs=asked), prompt)
        assert answer.proposals is not None
        return [{"key": p.key, "title": p.title, "deps": list(p.deps)} for p in answer.proposals]

    def work(self, wants: Wants, title: str, *, round_: int = 0, spec: str = "greet") -> Answer:
        ref = f"specs/{spec}.md@{self.git('rev-list', '--max-parents=0', 'HEAD')}"
        return self.answer(self.order(wants, title=title, spec_ref=ref, round=round_))


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.commit(greet=GREET, german=GERMAN)
    return world


def prompt_with(*tasks: Task) -> str:
    agent = AgentDefinition(name="pm", prompt="Plan.", wants=Wants.PROPOSALS)
    return TemplatePrompts().compose(Briefing(agent, tasks=tasks))


def open_task(number: int, spec: str) -> Task:
    name = f"task-{number:03d}"
    return Task(
        id=name,
        title="Earlier",
        spec_ref=f"{spec}@1",
        phase=Phase.QUEUED,
        branch=f"hyperloop/{name}",
        step="agent implementer",
        position=(0,),
        spec_blob="b",
    )


GREET_TASKS = [
    {"key": "specs/greet.md#1", "title": "Greet by name", "deps": []},
    {"key": "specs/greet.md#2", "title": "Say how", "deps": []},
]


def test_each_section_becomes_a_task_and_waits_for_the_specs_that_its_own_names(
    world: World,
) -> None:
    assert world.plan("german", "greet") == [
        {
            "key": "specs/german.md#1",
            "title": "German",
            "deps": ["specs/greet.md#1", "specs/greet.md#2"],
        },
        *GREET_TASKS,
    ]


def test_tasks_that_exist_already_are_waited_for(world: World) -> None:
    earlier = (open_task(4, "specs/greet.md"), open_task(5, "specs/other.md"))
    prompt = prompt_with(*earlier, open_task(6, "specs/german.md"))

    assert world.plan("german", prompt=prompt) == [
        {"key": "specs/german.md#1", "title": "German", "deps": ["task-004", "task-006"]}
    ]


def test_only_sections_that_differ_from_the_code_are_planned(world: World) -> None:
    world.work(Wants.CHANGES, "German", spec="german")
    world.work(Wants.CHANGES, "Greet by name", round_=1)

    assert world.plan("german", "greet", change="changed") == [
        {"key": "specs/greet.md#1", "title": "Say how", "deps": []}
    ]


def test_sections_that_write_one_file_are_done_one_after_the_other(world: World) -> None:
    block = "```file=log.txt\n{}\n```\n"
    world.commit(log=f"## One\n{block.format(1)}\n## Two\n{block.format(2)}")

    assert [one["deps"] for one in world.plan("log")] == [[], ["specs/log.md#1"]]


def test_a_failed_spec_is_planned_anew_even_if_all_files_are_there(world: World) -> None:
    world.work(Wants.CHANGES, "German", spec="german")

    assert [one["title"] for one in world.plan("german", change="failed")] == ["German"]


@pytest.mark.parametrize("text", ["# Prose\n\nIt should be fast.\n", "## Run\n```sh\nls\n```\n"])
def test_a_spec_that_writes_no_file_out_is_not_called_done(world: World, text: str) -> None:
    world.commit(prose=text)
    title = "Find out what specs/prose.md wants"
    ref = f"specs/prose.md@{world.git('rev-parse', 'HEAD')}"

    assert [one["title"] for one in world.plan("prose")] == [title]
    done = world.start(world.order(Wants.CHANGES, title=title, spec_ref=ref))
    assert done.returncode == 1
    assert "use a real agent" in done.stderr


def test_a_spec_that_is_gone_by_now_is_no_crash(world: World) -> None:
    assert [one["title"] for one in world.plan("gone")] == ["Find out what specs/gone.md wants"]


def test_an_implementer_commits_the_files_of_its_section(world: World) -> None:
    assert "docs/usage.md" in world.work(Wants.CHANGES, "Say how").detail

    assert world.git("log", "-1", "--format=%s", "--name-only") == "Say how\n\ndocs/usage.md"
    assert world.git("status", "--porcelain") == ""
    usage = (world.clone / "docs" / "usage.md").read_text()
    assert usage == "```sh\n./greet.sh Ada   # ## no heading\n```\n"


def test_a_task_is_done_by_the_spec_as_it_was_when_the_task_was_made(world: World) -> None:
    world.commit(german=GERMAN.replace("Hallo", "Moin"))

    world.work(Wants.CHANGES, "German", spec="german")

    assert (world.clone / "de.txt").read_text() == "Hallo\n"


def test_the_second_round_brings_what_the_first_one_forgot(world: World) -> None:
    verdicts = []
    for round_ in (0, 1):
        world.work(Wants.CHANGES, "Greet by name", round_=round_)
        verdicts.append(world.work(Wants.VERDICT, "Greet by name", round_=round_))

    failed, passed = verdicts
    assert (failed.verdict, passed.verdict) == ("fail", "pass")
    assert failed.detail == (
        '- holds: `test "$(./greet.sh Ada)" = "Hello, Ada!"` ended with code 0\n\n'
        '- **fails**: `test "$(./greet.sh)" = "Hello, stranger!" || { ./greet.sh; exit 3; }`'
        " ended with code 3\n\n      Hello, !"
    )


def test_without_acceptance_commands_files_are_compared(world: World) -> None:
    before = world.work(Wants.VERDICT, "German", spec="german")
    world.work(Wants.CHANGES, "German", spec="german")
    after = world.work(Wants.VERDICT, "German", spec="german")

    assert [before.verdict, after.verdict] == ["fail", "pass"]


def test_doing_a_task_twice_says_that_nothing_was_left(world: World) -> None:
    world.work(Wants.CHANGES, "German", spec="german")
    head = world.git("rev-parse", "HEAD")

    again = world.work(Wants.CHANGES, "German", spec="german")

    assert (again.verdict, again.detail.partition(":")[0]) == ("pass", "Nothing to change")
    assert world.git("rev-parse", "HEAD") == head


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("## A\n```file=../out.txt\nx\n```\n", "file=../out.txt is no place"),
        ("## A\n```file=specs\nx\n```\n", "file=specs is no place"),
        ("## A\n```file=a round=x\nx\n```\n", "round=x in a fenced block"),
        ("## A\n```file=a\nx\n```\n## A\n```file=b\nx\n```\n", "the heading 'A' stands twice"),
    ],
    ids=["outside", "a folder", "round", "title"],
)
def test_a_wrong_spec_is_one_sentence_and_writes_nothing(
    world: World, text: str, said: str
) -> None:
    ref = f"specs/wrong.md@{world.commit(wrong=text)}"

    done = world.start(world.order(Wants.CHANGES, title="A", spec_ref=ref))

    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert world.git("status", "--porcelain") == ""
    assert not (world.folder / "out.txt").exists()


def test_started_by_hand_it_says_who_starts_it(world: World) -> None:
    done = world.start(None)

    assert done.returncode == 1
    assert done.stderr.startswith("error: HYPERLOOP_ORDER_FILE not set\n  expected to be run by")


def test_an_answer_is_json_that_a_person_can_read(world: World) -> None:
    world.answer(world.order(Wants.RULES))

    text = (world.folder / "RESULT").read_text()
    assert text == json.dumps(json.loads(text), indent=2) + "\n"
