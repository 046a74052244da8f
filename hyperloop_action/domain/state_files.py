"""The state to and from the files of the state branch: paths and bytes on one side, values on the
other.

Only what changed is encoded again, so a cycle's cost follows what moved. A file that does not parse
is a :class:`ConfigError` that names file, line and what was expected; it is never skipped.
"""

import re
from collections.abc import Callable, Mapping

import yaml
from msgspec.structs import replace

from hyperloop_action.domain.board import render_board
from hyperloop_action.domain.decoding import decode
from hyperloop_action.domain.documents import Document, front_matter, parse_one
from hyperloop_action.domain.model import (
    FINAL,
    Meta,
    Phase,
    Review,
    SpecEntry,
    State,
    Status,
    Task,
    number_of,
)
from hyperloop_action.domain.plain import dump, plain
from hyperloop_action.errors import ConfigError, Problem, UsageError

SCHEMA = 1

Files = Mapping[str, bytes]

Migrations = Mapping[int, Callable[[Files], Files]]

MIGRATIONS: Migrations = {}
"""Schema number -> what turns its files into those of the next schema."""

_TASK_ID = re.compile(r"task-\d+")
_FIRST_KEYS = ("id", "title", "spec_ref", "status", "phase", "deps", "round", "branch", "pr")


def load_state(files: Files, where: str, migrations: Migrations | None = None) -> State:
    """``where`` names the branch in messages. Raises :class:`ConfigError` with every mistake at
    once, :class:`UsageError` for a schema newer than this version's."""
    problems: list[Problem] = []
    files = _migrated(files, where, MIGRATIONS if migrations is None else migrations)
    meta = _meta(files, where, problems)
    specs = _specs(files, where, problems)
    tasks = _tasks(files, where, problems)
    reviews = _reviews(files, where, problems)
    if problems:
        raise ConfigError(problems, hint=f"edit the file on the branch {where}, commit, try again")
    return State(meta=meta, specs=specs, tasks=tasks, reviews=reviews)


def changes(before: State, after: State) -> dict[str, bytes | None]:
    """Path -> new content, ``None`` for a file that goes; empty when nothing changed."""
    changed: dict[str, bytes | None] = {}
    for name in before.tasks.keys() | after.tasks.keys():
        if before.tasks.get(name) != after.tasks.get(name):
            changed[_task_path(name)] = _encoded(after.tasks.get(name))
    for name in before.reviews.keys() | after.reviews.keys():
        _review_changes(before.reviews.get(name, ()), after.reviews.get(name, ()), changed)
    for name, task in after.archived.items():
        _archive(task, after.reviews.get(name, ()), changed)
    if before.specs != after.specs:
        changed["specs.yaml"] = dump(
            {path: plain(after.specs[path]) for path in sorted(after.specs)}
        )
    if before.meta != after.meta or changed:
        changed["state.yaml"] = dump(plain(after.meta, keep=("schema", "cycle", "next_task")))
        changed["README.md"] = render_board(after).encode()
    return changed


def touched_tasks(changed: Mapping[str, bytes | None]) -> list[str]:
    """The ids for the ``Task-Ref`` trailers: those whose task file the save writes or moves."""
    names = {
        path.removeprefix("tasks/").removesuffix(".md") for path in changed if _is(path, "tasks/")
    }
    return sorted(names, key=number_of)


def encode_task(task: Task) -> bytes:
    fields = plain(task, keep=_FIRST_KEYS)
    description = fields.pop("description", "")
    fields["status"] = task.status.value
    ordered = {key: fields.pop(key) for key in _FIRST_KEYS} | fields
    return b"---\n" + dump(ordered) + b"---\n\n" + f"{description}\n".encode()


def encode_review(review: Review) -> bytes:
    fields = plain(review, keep=("task_id", "round", "role", "verdict", "seq"))
    findings = fields.pop("findings", "")
    return b"---\n" + dump(fields) + b"---\n\n" + f"{findings}\n".encode()


def decode_task(content: bytes, path: str, source: str, problems: list[Problem]) -> Task | None:
    """``path`` is where the file lies; the id inside must agree with it."""
    parsed = _front(content, source, problems)
    if parsed is None:
        return None
    document, body = parsed
    status = document.value.pop("status", None) if isinstance(document.value, dict) else None
    name = path.rpartition("/")[2].removesuffix(".md")
    if not _TASK_ID.fullmatch(name):
        problems.append(Problem(source, 0, "", "is no task", "a name such as task-001.md"))
        return None
    task = decode(document, Task, problems)
    if task is None:
        return None
    if task.id != name:
        line = document.line_of(("id",))
        problems.append(
            Problem(source, line, "id", f"is {task.id!r}", f"{name!r}, as the file is called")
        )
        return None
    task = replace(task, description=body.strip("\n"))
    return _as_a_person_wants(task, status, document, source, problems)


def archive_path(name: str) -> str:
    """A folder per task, and at most 1,000 of them in one."""
    return f"archive/{number_of(name) // 1000:04d}/{name}/"


def _as_a_person_wants(
    task: Task, status: object, document: Document, source: str, problems: list[Problem]
) -> Task | None:
    """``status`` is the word that people edit: where it differs from the phase, the person is
    right."""
    if status is None or status == task.status.value:
        return task
    line, known = document.line_of(("status",)), ", ".join(s.value for s in Status)
    if status not in set(Status):
        problems.append(Problem(source, line, "status", f"is {status!r}", f"one of {known}"))
        return None
    wanted = Status(str(status))
    if wanted in (Status.COMPLETE, Status.FAILED, Status.CANCELLED):
        return replace(task, phase=Phase(wanted.value), worker=None, reason="set by hand")
    if task.phase in FINAL:
        fresh = replace(task, attempts=0, lost=0, conflicts=0, not_before=None, reason="")
        return replace(fresh, phase=Phase.QUEUED)
    return task


def _migrated(files: Files, where: str, migrations: Migrations) -> Files:
    schema = _schema(files)
    if schema > SCHEMA:
        raise UsageError(
            f"the branch {where} has schema {schema}",
            expected=f"at most {SCHEMA}",
            hint="it was written by a newer hyperloop: upgrade this one",
        )
    while schema < SCHEMA and schema in migrations:
        files, schema = migrations[schema](files), schema + 1
    return files


def _schema(files: Files) -> int:
    """Read before anything else, and leniently: what is wrong in the file is told later, with
    its line."""
    try:
        value = yaml.safe_load(files.get("state.yaml", b"")) or {}
        return int(value.get("schema", SCHEMA))
    except (yaml.YAMLError, AttributeError, TypeError, ValueError):
        return SCHEMA


def _meta(files: Files, where: str, problems: list[Problem]) -> Meta:
    document = _single(files, "state.yaml", where, problems)
    return (decode(document, Meta, problems) if document else None) or Meta()


def _specs(files: Files, where: str, problems: list[Problem]) -> dict[str, SpecEntry]:
    document = _single(files, "specs.yaml", where, problems)
    if document is None or not isinstance(document.value, dict):
        return {}
    entries = {path: decode(document, SpecEntry, problems, (path,)) for path in document.value}
    return {path: entry for path, entry in entries.items() if entry}


def _single(files: Files, path: str, where: str, problems: list[Problem]) -> Document | None:
    if path not in files:
        return None
    try:
        return parse_one(files[path], f"{where}:{path}")
    except ConfigError as error:
        problems += error.problems
        return None


def _tasks(files: Files, where: str, problems: list[Problem]) -> dict[str, Task]:
    paths = sorted(path for path in files if _is(path, "tasks/"))
    decoded = (decode_task(files[path], path, f"{where}:{path}", problems) for path in paths)
    return {task.id: task for task in decoded if task}


def _reviews(files: Files, where: str, problems: list[Problem]) -> dict[str, tuple[Review, ...]]:
    found: dict[str, list[Review]] = {}
    for path in files:
        if not _is(path, "reviews/"):
            continue
        review = decode_review(files[path], f"{where}:{path}", problems)
        if review:
            found.setdefault(review.task_id, []).append(review)
    return {name: tuple(sorted(reviews, key=lambda r: r.seq)) for name, reviews in found.items()}


def decode_review(content: bytes, source: str, problems: list[Problem]) -> Review | None:
    parsed = _front(content, source, problems)
    review = decode(parsed[0], Review, problems) if parsed else None
    return replace(review, findings=parsed[1].strip("\n")) if review and parsed else None


def _front(content: bytes, source: str, problems: list[Problem]) -> tuple[Document, str] | None:
    try:
        return front_matter(content, source)
    except ConfigError as error:
        problems += error.problems
        return None


def _review_changes(
    before: tuple[Review, ...], after: tuple[Review, ...], changed: dict[str, bytes | None]
) -> None:
    for review, name in zip(after, _review_names(after), strict=True):
        if review not in before:
            changed[f"reviews/{name}"] = encode_review(review)
    if not after:
        changed.update({f"reviews/{name}": None for name in _review_names(before)})


def _review_names(reviews: tuple[Review, ...]) -> list[str]:
    """``task-001-round-0-verifier.md``; the second of that name in one round ends in ``.2.md``."""
    seen: dict[str, int] = {}
    names = []
    for review in reviews:
        stem = f"{review.task_id}-round-{review.round}-{review.role}"
        seen[stem] = seen.get(stem, 0) + 1
        names.append(f"{stem}.md" if seen[stem] == 1 else f"{stem}.{seen[stem]}.md")
    return names


def _archive(task: Task, reviews: tuple[Review, ...], changed: dict[str, bytes | None]) -> None:
    folder = archive_path(task.id)
    changed[f"{folder}task.md"] = encode_task(task)
    for review, name in zip(reviews, _review_names(reviews), strict=True):
        changed[f"{folder}{name}"] = encode_review(review)
        changed[f"reviews/{name}"] = None


def _task_path(name: str) -> str:
    return f"tasks/{name}.md"


def _encoded(task: Task | None) -> bytes | None:
    return encode_task(task) if task else None


def _is(path: str, folder: str) -> bool:
    return path.startswith(folder) and path.endswith(".md")
