"""The state branch as files: what is written is what is read, and mistakes are named."""

from collections.abc import Mapping

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from hyperloop_action.domain.model import (
    Backoff,
    Meta,
    Phase,
    Review,
    SpecEntry,
    SpecStatus,
    State,
    Status,
    Task,
    task_id,
)
from hyperloop_action.domain.orders import Usage, Verdict
from hyperloop_action.domain.state_files import (
    archive_path,
    changes,
    encode_review,
    encode_task,
    load_state,
    touched_tasks,
)
from hyperloop_action.errors import ConfigError, UsageError
from tests.fakes.states import BASE, HEAD, NOW, SPEC, make_spec, make_state, make_task
from tests.unit.domain.anything import LEAVES, anything
from tests.unit.domain.drafts import worker_of

BRANCH = "hyperloop-state"


def stored(state: State) -> dict[str, bytes]:
    """All files of a state, as a first save writes them."""
    return {path: data for path, data in changes(State(), state).items() if data is not None}


def saved(files: Mapping[str, bytes], changed: Mapping[str, bytes | None]) -> dict[str, bytes]:
    """The files after a save; the archive lies where a cycle does not read."""
    after: dict[str, bytes | None] = {**files, **changed}
    kept = {path: data for path, data in after.items() if data is not None}
    return {path: data for path, data in kept.items() if not path.startswith("archive/")}


# --- round trips ----------------------------------------------------------------------------------

prose = LEAVES[str].map(lambda text: str(text).strip("\n"))
names = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)


@st.composite
def states(draw: st.DrawFn) -> State:
    numbers = draw(st.lists(st.integers(1, 2000), unique=True, max_size=3))
    tasks = {
        task_id(n): draw(anything(Task, id=st.just(task_id(n)), description=prose)) for n in numbers
    }
    reviews = {name: draw(reviews_of(name)) for name in tasks}
    return State(
        meta=draw(anything(Meta, schema=st.just(1))),
        specs=draw(st.dictionaries(LEAVES[str].map(str), anything(SpecEntry), max_size=3)),
        tasks=tasks,
        reviews={name: each for name, each in reviews.items() if each},
    )


def reviews_of(name: str) -> st.SearchStrategy[tuple[Review, ...]]:
    one = anything(Review, task_id=st.just(name), role=names, findings=prose)
    return st.lists(one, max_size=4).map(
        lambda each: tuple(replace(review, seq=n) for n, review in enumerate(each))
    )


slow = settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=12)


@slow
@given(states())
def test_every_field_of_every_state_is_read_as_it_was_written(state: State) -> None:
    assert load_state(stored(state), BRANCH) == state


@slow
@given(states(), states())
def test_writing_only_what_changed_gives_the_same_as_writing_all(
    before: State, after: State
) -> None:
    reviews = {n: r for n, r in before.reviews.items() if n in after.tasks}
    for name, added in after.reviews.items():
        reviews[name] = _grown(reviews.get(name, ()), added)
    after = replace(after, reviews=reviews)
    files = saved(stored(before), changes(before, after))
    for name in before.reviews.keys() - after.reviews.keys():
        files = saved(files, {p: None for p in files if p.startswith(f"reviews/{name}-round")})
    assert load_state(files, BRANCH) == after


def _grown(earlier: tuple[Review, ...], added: tuple[Review, ...]) -> tuple[Review, ...]:
    """Reviews are only ever added."""
    new = (replace(review, seq=len(earlier) + n) for n, review in enumerate(added))
    return (*earlier, *new)


@slow
@given(states())
def test_nothing_changed_nothing_written(state: State) -> None:
    assert changes(state, state) == {}
    assert changes(load_state(stored(state), BRANCH), state) == {}


def test_a_state_on_no_branch_is_the_empty_one() -> None:
    assert load_state({}, BRANCH) == State()
    assert changes(State(), State()) == {}


# --- what a person sees ---------------------------------------------------------------------------


def test_a_task_file_begins_with_what_people_look_for_and_leaves_defaults_out() -> None:
    task = make_task(
        deps=("task-002",), usage=Usage(cost_usd=0.5), sessions=1, description="Why.\n\n- one"
    )
    assert encode_task(task).decode() == (
        "---\n"
        "id: task-001\n"
        "title: Log in with a password\n"
        f"spec_ref: specs/auth.md@{BASE}\n"
        "status: in-progress\n"
        "phase: queued\n"
        "deps: [task-002]\n"
        "round: 0\n"
        "branch: hyperloop/task-001\n"
        "pr: null\n"
        "step: agent implementer\n"
        "position: [0, 0]\n"
        "process: reviewed\n"
        "spec_blob: blob-1\n"
        f"base: {BASE}\n"
        f"head: {HEAD}\n"
        "sessions: 1\n"
        "usage: {cost_usd: 0.5, turns: 0, input_tokens: 0, output_tokens: 0, duration_s: 0.0}\n"
        "---\n"
        "\n"
        "Why.\n"
        "\n"
        "- one\n"
    )


def test_a_review_file_is_front_matter_and_findings() -> None:
    review = Review(
        task_id="task-001", round=2, role="verifier", verdict=Verdict.FAIL, findings="No.\n\nNo!"
    )
    assert encode_review(review).decode() == (
        "---\n"
        "task_id: task-001\n"
        "seq: 0\n"
        "round: 2\n"
        "role: verifier\n"
        "verdict: fail\n"
        "---\n\nNo.\n\nNo!\n"
    )


def review(round_: int, role: str = "verifier", seq: int = 0, task: str = "task-001") -> Review:
    return Review(task_id=task, seq=seq, round=round_, role=role, verdict=Verdict.FAIL)


def test_reviews_are_named_by_round_and_role_and_the_second_of_a_name_is_numbered() -> None:
    reviews = tuple(
        review(round_, role, seq)
        for seq, (round_, role) in enumerate(
            [(0, "verifier"), (0, "verifier"), (0, "merge"), (10, "verifier"), (0, "verifier")]
        )
    )
    state = replace(make_state(make_task()), reviews={"task-001": reviews})
    assert sorted(path for path in stored(state) if path.startswith("reviews/")) == [
        "reviews/task-001-round-0-merge.md",
        "reviews/task-001-round-0-verifier.2.md",
        "reviews/task-001-round-0-verifier.3.md",
        "reviews/task-001-round-0-verifier.md",
        "reviews/task-001-round-10-verifier.md",
    ]
    assert load_state(stored(state), BRANCH).reviews == {"task-001": reviews}


def test_a_new_review_leaves_the_earlier_files_alone() -> None:
    before = replace(make_state(make_task()), reviews={"task-001": (review(0),)})
    after = replace(before, reviews={"task-001": (review(0), review(0, seq=1))})
    assert sorted(changes(before, after)) == [
        "README.md",
        "reviews/task-001-round-0-verifier.2.md",
        "state.yaml",
    ]


# --- the archive ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("task-001", "archive/0000/task-001/"),
        ("task-999", "archive/0000/task-999/"),
        ("task-1000", "archive/0001/task-1000/"),
        ("task-123456", "archive/0123/task-123456/"),
    ],
)
def test_an_archive_folder_holds_at_most_a_thousand_tasks(name: str, path: str) -> None:
    assert archive_path(name) == path


def test_a_finished_task_moves_to_the_archive_with_its_reviews() -> None:
    task = make_task(phase=Phase.COMPLETE, head=None)
    reviews = {"task-001": (review(0), review(1, seq=1))}
    before = replace(make_state(task), reviews=reviews)
    after = replace(before, tasks={}, archived={"task-001": task})
    changed = changes(before, after)
    assert {path: data is None for path, data in changed.items()} == {
        "README.md": False,
        "state.yaml": False,
        "tasks/task-001.md": True,
        "reviews/task-001-round-0-verifier.md": True,
        "reviews/task-001-round-1-verifier.md": True,
        "archive/0000/task-001/task.md": False,
        "archive/0000/task-001/task-001-round-0-verifier.md": False,
        "archive/0000/task-001/task-001-round-1-verifier.md": False,
    }
    assert load_state(saved(stored(before), changed), BRANCH) == replace(
        before, tasks={}, reviews={}
    )


def test_the_trailers_name_the_tasks_whose_files_the_save_writes_in_order_of_age() -> None:
    before = make_state(make_task(1000), make_task(999), make_task(2))
    tasks = {**before.tasks, "task-1000": make_task(1000, reason="x")}
    del tasks["task-999"]
    changed = changes(before, replace(before, tasks=tasks))
    assert touched_tasks(changed) == ["task-999", "task-1000"]


# --- what people edit -----------------------------------------------------------------------------


def edited(task: Task, old: str, new: str) -> dict[str, bytes]:
    path = f"tasks/{task.id}.md"
    files = stored(make_state(task))
    text = files[path].decode()
    assert old in text
    return {**files, path: text.replace(old, new, 1).encode()}


@pytest.mark.parametrize(
    ("phase", "word", "expected"),
    [
        (Phase.QUEUED, Status.COMPLETE, {"phase": Phase.COMPLETE, "reason": "set by hand"}),
        (Phase.QUEUED, Status.FAILED, {"phase": Phase.FAILED, "reason": "set by hand"}),
        (Phase.WAITING, Status.CANCELLED, {"phase": Phase.CANCELLED, "reason": "set by hand"}),
        (Phase.WAITING, Status.NOT_STARTED, {}),
        (Phase.FAILED, Status.FAILED, {}),
        (
            Phase.FAILED,
            Status.IN_PROGRESS,
            {
                "phase": Phase.QUEUED,
                "attempts": 0,
                "lost": 0,
                "conflicts": 0,
                "reason": "",
                "not_before": None,
            },
        ),
    ],
)
def test_the_status_that_a_person_writes_counts(
    phase: Phase, word: Status, expected: dict[str, object]
) -> None:
    task = make_task(
        phase=phase, sessions=2, attempts=3, lost=2, conflicts=4, reason="why", not_before=NOW
    )
    files = edited(task, f"status: {task.status}", f"status: {word}")
    assert load_state(files, BRANCH).tasks["task-001"] == replace(task, **expected)


def test_a_task_that_is_ended_by_hand_has_no_worker() -> None:
    task = make_task(phase=Phase.WORKING, worker=worker_of())
    files = edited(task, "status: in-progress", "status: cancelled")
    assert load_state(files, BRANCH).tasks["task-001"].worker is None


def test_a_task_file_without_a_status_is_what_its_phase_says() -> None:
    task = make_task(phase=Phase.WAITING)
    assert load_state(edited(task, "status: in-progress\n", ""), BRANCH).tasks["task-001"] == task


def mistakes(files: Mapping[str, bytes]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_state(files, BRANCH)
    assert caught.value.hint == f"edit the file on the branch {BRANCH}, commit, try again"
    return [str(problem) for problem in caught.value.problems]


FILE = f"{BRANCH}:tasks/task-001.md"


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        pytest.param(
            "status: not-started",
            "status: done",
            f"{FILE}:5: status: is 'done'; expected one of"
            " not-started, in-progress, complete, failed, cancelled",
            id="unknown status",
        ),
        pytest.param(
            "round: 0",
            "rounds: 0",
            f"{FILE}:8: rounds: unknown key (did you mean round?)",
            id="unknown key",
        ),
        pytest.param(
            "round: 0",
            "round: two",
            f'{FILE}:8: round: is "two"; expected a whole number',
            id="wrong type",
        ),
        pytest.param(
            "id: task-001",
            "id: task-002",
            f"{FILE}:2: id: is 'task-002'; expected 'task-001', as the file is called",
            id="another name than its file",
        ),
        pytest.param(
            "---\nid",
            "id",
            f"{FILE}:1: has no front matter;"
            " expected a line `---`, `key: value` lines, a line `---`",
            id="no front matter",
        ),
        pytest.param(
            "title: Log",
            "title: [Log",
            f"{FILE}:4: is not YAML: did not find expected ',' or ']' at column 9"
            " (check the indentation and the quotes above it)",
            id="no YAML",
        ),
    ],
)
def test_a_mistake_names_file_and_line_and_what_was_expected(
    old: str, new: str, problem: str
) -> None:
    assert mistakes(edited(make_task(), old, new)) == [problem]


def test_mistakes_in_several_files_are_told_together() -> None:
    files = {
        **stored(make_state(make_task())),
        "state.yaml": b"schema: 1\ncycel: 3\n",
        "specs.yaml": b"specs/auth.md: {blob: b}\n",
        "tasks/notes.md": b"---\nid: notes\n---\n",
        "reviews/task-001-round-0-verifier.md": b"no front matter\n",
    }
    assert [text.partition(":")[2].partition(":")[0] for text in mistakes(files)] == [
        "state.yaml",
        "specs.yaml",
        "specs.yaml",
        "tasks/notes.md",
        "reviews/task-001-round-0-verifier.md",
    ]


def test_specs_that_are_no_mapping_are_not_taken_for_none() -> None:
    assert len(mistakes({"specs.yaml": b"- specs/auth.md\n"})) == 1


def test_other_files_of_the_branch_are_left_alone() -> None:
    files = stored(make_state(make_task())) | {"notes.txt": b"\xff", "tasks/.gitkeep": b""}
    assert load_state(files, BRANCH) == make_state(make_task())


# --- schemas --------------------------------------------------------------------------------------


@pytest.mark.parametrize("schema", [b"2", b"99", b"'2'"])
def test_a_newer_schema_is_refused_before_anything_is_read(schema: bytes) -> None:
    files = {"state.yaml": b"schema: " + schema + b"\nnews: true\n", "tasks/x.md": b"?"}
    with pytest.raises(UsageError) as caught:
        load_state(files, BRANCH)
    number = schema.decode().strip("'")
    assert str(caught.value) == (
        f"the branch {BRANCH} has schema {number}\n  expected at most 1\n"
        "  it was written by a newer hyperloop: upgrade this one"
    )


def test_an_older_schema_is_migrated_step_by_step() -> None:
    def from_zero(files: Mapping[str, bytes]) -> dict[str, bytes]:
        return {"state.yaml": files["state.yaml"].replace(b"schema: 0\ncount", b"schema: 1\ncycle")}

    files = {"state.yaml": b"schema: 0\ncount: 7\n"}
    assert load_state(files, BRANCH, {0: from_zero}) == State(meta=Meta(cycle=7))


@pytest.mark.parametrize("text", [b"schema: one\n", b"- 1\n", b"schema: [\n", b"\xff"])
def test_a_schema_that_cannot_be_read_is_told_with_its_file(text: bytes) -> None:
    (problem,) = mistakes({"state.yaml": text})
    assert problem.startswith(f"{BRANCH}:state.yaml:1:")


def test_meta_survives_with_its_pauses() -> None:
    meta = Meta(cycle=3, backoff={"claude": Backoff(until=NOW, reason="overloaded: 'a: b' #1")})
    specs = {SPEC: make_spec(SpecStatus.SYNCED), "specs/on: off.md": make_spec()}
    state = make_state(meta=meta, specs=specs)
    assert load_state(stored(state), BRANCH) == state
