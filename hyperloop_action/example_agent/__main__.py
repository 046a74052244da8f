"""An agent without a model, for a ``command`` runtime: python -m hyperloop_action.example_agent

It reads specs in which people wrote the files out, and copies them. So it is no AI, but everything
around it is real: orders, clones, commits, verdicts. In a spec, each `## ` section is a task:

* a fenced block whose first line says `file=src/greet.py` is that file's content;
* one that says `round=1` as well takes its place from round 1 on: what a second try would bring;
* the lines of a block that says `acceptance` are commands which have to end with code 0;
* `Depends on: specs/other.md` lets all tasks of a spec wait for those of the other one.

It plans a section whose files differ from the repository's. It never deletes a file.
"""

import json
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hyperloop_action.adapters.proc import Completed, run
from hyperloop_action.domain.orders import Order, SpecToPlan, Wants, decode_order
from hyperloop_action.errors import HyperloopError, UsageError
from hyperloop_action.example_agent.spec import Section, parse

CHECK_TIMEOUT_S = 60.0

ANY_CODE = range(-64, 256)

Answer = dict[str, object]


@dataclass(frozen=True, slots=True)
class Session:
    """What one session was given. ``clone`` is the repository, checked out for it alone."""

    order: Order
    prompt: str
    clone: Path
    env: Mapping[str, str]

    def run(self, *argv: str, any_code: bool = False) -> Completed:
        accept = ANY_CODE if any_code else (0,)
        return run(argv, cwd=self.clone, env=self.env, accept=accept, timeout_s=CHECK_TIMEOUT_S)

    def path(self, name: str) -> Path:
        """Where a file of a spec stands. Raises :class:`UsageError` for one outside the clone."""
        path = (self.clone / name).resolve()
        if not path.is_relative_to(self.clone.resolve()) or path.is_dir():
            raise UsageError(f"file={name} is no place for a file of this repository")
        return path

    def text(self, name: str) -> str:
        """A file as it stands in the clone; one that is not there says nothing."""
        path = self.path(name)
        return path.read_text(errors="replace") if path.is_file() else ""

    def has(self, files: Mapping[str, str]) -> bool:
        return all(self.path(n).is_file() and self.text(n) == text for n, text in files.items())


@dataclass(frozen=True, slots=True)
class Planned:
    """A section that becomes a task. ``after`` are the specs it waits for, its own included."""

    key: str
    path: str
    section: Section
    after: tuple[str, ...]


def main() -> None:
    try:
        session = _session(os.environ)
        answer = ANSWERS[session.order.wants](session)
        Path(session.env["HYPERLOOP_RESULT_FILE"]).write_text(json.dumps(answer, indent=2) + "\n")
    except HyperloopError as error:
        sys.exit(f"error: {error}")


def plan(session: Session) -> Answer:
    """One task for each section whose files are not as it wants them."""
    planned = [one for spec in session.order.specs for one in _planned(session, spec)]
    earlier = _open_tasks(session.prompt)
    return {"proposals": [_proposal(one, planned, earlier) for one in planned]}


def implement(session: Session) -> Answer:
    """Write the section's files and commit them."""
    section = _section(session)
    files = section.files(session.order.round)
    if not files:
        spec = (session.order.spec_ref or "").rpartition("@")[0]
        raise UsageError(
            f"{spec} writes out no file under {section.title!r}",
            hint="the example agent only copies files out of specs: use a real agent for this one",
        )
    for name, text in files.items():
        path = session.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755 if text.startswith("#!") else 0o644)
    session.run("git", "add", "--", *files)
    if not session.run("git", "diff", "--cached", "--quiet", any_code=True).code:
        detail = "Nothing to change: all files are as the spec writes them out."
        return {"verdict": "pass", "detail": detail}
    names = "\n".join(f"- {name}" for name in files)
    session.run("git", "commit", "--quiet", "-m", session.order.title, "-m", names)
    return {"detail": f"Wrote what the spec writes out for this round:\n\n{names}"}


def verify(session: Session) -> Answer:
    """Run the section's acceptance commands; without one, compare its files with the spec."""
    section = _section(session)
    seen = [_check(session, command) for command in section.checks()]
    if not seen:
        files = section.files()
        same = bool(files) and session.has(files)
        said = f"{', '.join(files) or 'no file'} {'is' if same else 'is not'} as the spec has it"
        seen = [(same, f"There is no acceptance command; {said}.")]
    verdict = "pass" if all(passed for passed, _ in seen) else "fail"
    return {"verdict": verdict, "detail": "\n\n".join(said for _, said in seen)}


def learn(_session: Session) -> Answer:
    return {"detail": "The example agent learns nothing, so no rule was changed."}


ANSWERS = {
    Wants.PROPOSALS: plan,
    Wants.CHANGES: implement,
    Wants.VERDICT: verify,
    Wants.RULES: learn,
}


def _session(env: Mapping[str, str]) -> Session:
    names = ("HYPERLOOP_ORDER_FILE", "HYPERLOOP_PROMPT_FILE", "HYPERLOOP_RESULT_FILE")
    missing = [name for name in names if not env.get(name)]
    if missing:
        raise UsageError(
            f"{', '.join(missing)} not set",
            expected="to be run by hyperloop, as the command of a runtime",
            hint="`make demo` shows it at work",
        )
    order, prompt = (Path(env[name]) for name in names[:2])
    return Session(
        decode_order(order.read_bytes(), str(order)), prompt.read_text(), Path.cwd(), env
    )


def _planned(session: Session, asked: SpecToPlan) -> list[Planned]:
    spec = parse(session.text(asked.path))
    sections = [one for one in spec.sections if not session.has(one.files())]
    if asked.change == "failed" and not sections:
        sections = list(spec.sections)
    if not any(one.files() for one in spec.sections):
        # To propose nothing would be to say that the spec is fulfilled.
        sections = [Section(f"Find out what {asked.path} wants")]
    after = (asked.path, *spec.depends_on)
    return [
        Planned(f"{asked.path}#{number}", asked.path, section, after)
        for number, section in enumerate(sections, start=1)
    ]


def _proposal(one: Planned, planned: list[Planned], earlier: list[tuple[str, str]]) -> Answer:
    names = ", ".join(one.section.files()) or "no file"
    before = planned[: planned.index(one)]
    deps = [other.key for other in planned if other.path != one.path and other.path in one.after]
    deps += [
        other.key
        for other in before
        if other.path == one.path and other.section.files().keys() & one.section.files().keys()
    ]
    deps += [task for task, path in earlier if path in one.after]
    return {
        "key": one.key,
        "title": one.section.title,
        "description": f"What {one.path} says under this title holds. It names {names}.",
        "spec": one.path,
        "deps": deps,
        "covers": one.section.checks(),
    }


def _open_tasks(prompt: str) -> list[tuple[str, str]]:
    """Id and spec of the tasks that the prompt lists."""
    listed = re.search(r"^## Open tasks$(.*?)(?=^## |\Z)", prompt, re.MULTILINE | re.DOTALL)
    return re.findall(r"^- (task-\d+) \(`(.+?)`\)", listed[1] if listed else "", re.MULTILINE)


def _section(session: Session) -> Section:
    """The section that the task is about, in the spec as it was when the task was made."""
    path, _, commit = (session.order.spec_ref or "").rpartition("@")
    pinned = session.run("git", "show", f"{commit}:{path}").stdout.decode("utf-8", "replace")
    found = (one for one in parse(pinned).sections if one.title == session.order.title)
    return next(found, Section(session.order.title))


def _check(session: Session, command: str) -> tuple[bool, str]:
    """Whether an acceptance command holds, and what was seen, in markdown."""
    try:
        done = session.run("sh", "-c", command, any_code=True)
    except TimeoutError:
        return False, f"- **fails**: `{command}` did not end within {CHECK_TIMEOUT_S:.0f} s"
    if done.code == 0:
        return True, f"- holds: `{command}` ended with code 0"
    output = (done.stdout + done.stderr).decode("utf-8", "replace").strip() or "(no output)"
    shown = "\n".join(f"      {line}" for line in output.splitlines())
    return False, f"- **fails**: `{command}` ended with code {done.code}\n\n{shown}"


if __name__ == "__main__":
    main()
