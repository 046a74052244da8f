"""``.hyperloop/checks/`` as the base has it -> findings, before a verifier is paid for.

Called by ``supervisor.py``. Checks execute what an agent wrote, so they run isolated like one and
without credentials; they are taken from the base, so that a branch cannot change its own checks.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hyperloop_action.adapters.clones import Workshop, remove
from hyperloop_action.adapters.isolation import Limits, run_isolated
from hyperloop_action.adapters.redaction import Redactor
from hyperloop_action.domain.sessions import Ended, Launch

FOLDER = ".hyperloop/checks/"
MOST_OUTPUT = 8_000
"""Characters of a check's output in its finding: the last ones."""

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@dataclass(frozen=True, slots=True)
class CheckFile:
    name: str
    executable: bool
    content: bytes


def run_checks(
    base: str, workshop: Workshop, env: Mapping[str, str], limits: Limits, redactor: Redactor
) -> list[str]:
    """Run all of them, sorted by name, in the clone; one finding for each that fails. Stops early
    only when the session is stopped, or its time is over."""
    files = read_checks(base, workshop)
    folder = workshop.files.root / "checks"
    findings = []
    for check in (each for each in files if each.executable):
        if limits.interrupts.seen:
            break
        _lay_out(folder, files)  # again for each: what a check runs could have changed the next one
        limits.transcript.note(f"check {check.name}")
        try:
            ended = run_isolated(
                Launch((str(folder / check.name),)), workshop.files.clone, env, limits
            )
        except OSError as error:
            findings.append(f"Check `{check.name}` cannot be started: {error.strerror}.")
            continue
        if ended.code or ended.stopped:
            findings.append(_finding(check.name, ended, redactor))
    if folder.exists():
        remove(folder)
    return findings


def read_checks(base: str, workshop: Workshop) -> list[CheckFile]:
    """The folder's files, sorted by name. Those that cannot be executed may serve the others."""
    listed = workshop.git("ls-tree", "-z", base, FOLDER, at=workshop.harvest).text
    rows = [row.split("\t", 1) for row in listed.split("\0") if row]
    found = [(about.split(), Path(path).name) for about, path in rows]
    blobs = [(mode, blob, name) for (mode, kind, blob), name in found if kind == "blob"]
    if not blobs:
        return []
    asked = "".join(f"{blob}\n" for _, blob, _ in blobs).encode()
    out = workshop.git("cat-file", "--batch", at=workshop.harvest, stdin=asked).stdout
    files = []
    at = 0
    for mode, _, name in blobs:
        start = out.index(b"\n", at) + 1
        end = start + int(out[at:start].split()[2])
        files.append(CheckFile(name, mode == "100755", out[start:end]))
        at = end + 1
    return sorted(files, key=lambda each: each.name)


def _lay_out(folder: Path, files: list[CheckFile]) -> None:
    if folder.exists():
        remove(folder)
    folder.mkdir()
    for each in files:
        path = folder / each.name
        path.write_bytes(each.content)
        path.chmod(0o500 if each.executable else 0o400)


def _finding(name: str, ended: Ended, redactor: Redactor) -> str:
    how = f"failed with exit code {ended.code}"
    if ended.stopped == "timeout":
        how = (
            f"did not end within {ended.duration_s:.0f} s, all that was left of the session's time"
        )
    text = (ended.stdout + ended.stderr).decode("utf-8", "replace")
    text = redactor.text(_ESCAPES.sub("", text)).strip()
    cut = "...\n" if len(text) > MOST_OUTPUT else ""
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    shown = f"\n\n{fence}\n{cut}{text[-MOST_OUTPUT:]}\n{fence}" if text else ""
    return f"Check `{name}` {how}.{shown}"
