"""A story: a real repository, the real `hyperloop` and the real `claude`, with a scripted model.

    story = Story({"pm": [plan(task("a", "Greet"))], "implementer task-001": [fails, goes_on]})
    with MessagesApi(story) as api:
        project = Project.begin(repo, api, tmp_path)
        project.hyperloop("run")
    assert "the provider was busy" in story.pages["implementer task-001 1"]

Who asks is read from the prompt: ``pm``, or a role and its task. The n-th session of somebody is
answered by the n-th script of theirs, later ones by the last. ``requests`` and ``pages`` are kept
by who and which session, from 0: what was asked in it, and what a person saw of its task or spec
when it began, while the error of the session before it still stood.
"""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from tests.git_world import Repo
from tests.world.claude_cli import path_with_claude
from tests.world.messages_api import MessagesApi
from tests.world.model_script import Answer, Json, Request, Script, answer, failure, turns

ROOT = Path(__file__).parents[2]
SPEC = "specs/greet.md"
LONGEST_S = 240.0

_ROLES = {
    "You are the planner": "pm",
    "You are the implementer": "implementer",
    "You are the verifier": "verifier",
}
_TASK = re.compile(r'^(task-\d+), "', re.MULTILINE)
_SESSION = "x-claude-code-session-id"

PASSED = turns(answer({"verdict": "pass", "detail": "I ran it."}))


def task(key: str, title: str, **more: object) -> Json:
    """A proposal of the pm."""
    return {"key": key, "title": title, "description": f"{title}.", "spec": SPEC, **more}


def plan(*tasks: Json) -> Script:
    return turns(answer({"proposals": tasks}))


def who_asks(request: Request) -> str:
    role = next((role for words, role in _ROLES.items() if words in request.prompt), "nobody")
    named = _TASK.search(request.prompt)
    return role if role == "pm" or named is None else f"{role} {named[1]}"


class Story:
    """A script for :class:`MessagesApi`, and what it saw."""

    def __init__(self, scripts: Mapping[str, Sequence[Script]]) -> None:
        self.scripts = scripts
        self.requests: dict[str, list[Request]] = {}
        self.pages: dict[str, str] = {}
        self.look: Callable[[str, int], str] = lambda _who, _session: ""
        self._sessions: dict[str, list[str]] = {}
        self._lock = threading.Lock()

    def __call__(self, request: Request) -> Answer:
        who, session = who_asks(request), request.headers[_SESSION]
        with self._lock:
            known = self._sessions.setdefault(who, [])
            begins = session not in known
            if begins:
                known.append(session)
            number = known.index(session)
            self.requests.setdefault(f"{who} {number}", []).append(request)
        if begins:
            self.pages[f"{who} {number}"] = self.look(who, number)
        scripts = self.scripts.get(who)
        if scripts is None:
            return failure(400, "invalid_request_error", f"no script for {who}")
        return scripts[min(number, len(scripts) - 1)](request)

    @property
    def counts(self) -> dict[str, int]:
        """How many sessions everybody had."""
        return {who: len(sessions) for who, sessions in self._sessions.items()}

    def prompt(self, session: str) -> str:
        """What arrived as the prompt of that session, ``implementer task-001 0``."""
        return self.requests[session][0].prompt

    def seen(self, session: str) -> tuple[str, ...]:
        """What the tools of that session answered."""
        return self.requests[session][-1].tool_results


@dataclass(frozen=True)
class Project:
    """A repository with hyperloop at work in it; ``kept`` holds all transcripts there ever were."""

    repo: Repo
    env: Mapping[str, str]
    work: Path
    kept: Path

    @classmethod
    def begin(
        cls, repo: Repo, api: MessagesApi, folder: Path, settings: str = "", **more: str
    ) -> "Project":
        """``settings`` is YAML, on top of a poll interval of 1 s; ``more`` is environment."""
        env = {**repo.env, **api.env, "PATH": path_with_claude(), "PYTHONPATH": str(ROOT)}
        env |= {"HYPERLOOP_WORK_DIR": str(folder / "work"), "COLUMNS": "400", **more}
        (folder / "kept").mkdir()
        project = cls(repo, env, folder / "work", folder / "kept")
        repo.git("rm", "--quiet", "specs/auth.md")
        files = {
            SPEC: "# Greet\n\nSay hello.\n",
            ".hyperloop.yaml": f"poll_interval: 1\n{settings}",
        }
        repo.commit(files, "Begin")
        if isinstance(api.script, Story):
            api.script.look = project.look
        return project

    def hyperloop(self, *words: str, code: int = 0) -> str:
        """What the command printed for a person; it ended with ``code``."""
        done = subprocess.run(
            [sys.executable, "-m", "hyperloop_action", *words],
            cwd=self.repo.path,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=LONGEST_S,
            check=False,
        )
        assert done.returncode == code, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def values(self, *words: str) -> Json:
        return msgspec.json.decode(self.hyperloop(*words, "-o", "json"), type=Json)

    def transcripts(self) -> list[Path]:
        """Of every session that asked the model for something, by its order."""
        return sorted(self.kept.iterdir())

    def look(self, who: str, session: int) -> str:
        """What is there to see when a session begins. Transcripts are linked: they do not stay."""
        for transcript in self.work.glob("*/*/transcript.jsonl"):
            link = self.kept / f"{transcript.parent.name}.jsonl"
            if not link.exists():
                os.link(transcript, link)
        if not session:
            return ""  # nothing has happened that would be worth the time
        name = who.rpartition(" ")[2]
        return self.hyperloop("describe", *(("spec", SPEC) if name == "pm" else ("task", name)))
