"""What every state store promises, asked of the branch in a real repository and of the fake."""

from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from hyperloop_action.adapters.state_branch import StateBranch
from hyperloop_action.adapters.state_store import BranchStateStore
from hyperloop_action.domain.model import Phase, Review, State
from hyperloop_action.domain.orders import Verdict
from hyperloop_action.errors import Moved
from hyperloop_action.ports import StateStore
from tests.fakes.state_store import MemoryStateStore
from tests.fakes.states import make_state, make_task
from tests.git_world import Repo

NOW = datetime(2026, 11, 21, 14, 0, tzinfo=UTC)
REVIEW = Review(task_id="task-001", round=0, role="verifier", verdict=Verdict.FAIL, findings="No.")


@pytest.fixture(params=["branch", "memory"])
def store(request: pytest.FixtureRequest, repo: Repo) -> StateStore:
    if request.param == "memory":
        return MemoryStateStore()
    branch = StateBranch(repo.engine(), "hyperloop-state")
    return BranchStateStore(branch, branch.tip, lambda: NOW, "local")


def save(store: StateStore, after: State, subject: str = "change") -> str | None:
    return store.save(store.load(), after, subject, [subject], ())


def test_before_the_first_save_there_is_nothing(store: StateStore) -> None:
    stored = store.load()

    assert (stored.tip, stored.state, store.history(), store.archive()) == (None, State(), [], [])


def test_what_was_saved_is_loaded_at_the_tip_that_the_save_returned(store: StateStore) -> None:
    state = make_state(make_task(), reviews={"task-001": (REVIEW,)})

    tip = save(store, state)

    assert (store.load().tip, store.load().state) == (tip, state)


def test_a_save_of_what_was_read_before_another_save_is_refused(store: StateStore) -> None:
    early = store.load()
    save(store, make_state(make_task()))

    with pytest.raises(Moved):
        store.save(early, make_state(make_task(2)), "late", ["late"], ())

    assert store.load().state == make_state(make_task())


def test_nothing_changed_is_no_save(store: StateStore) -> None:
    save(store, make_state(make_task()))

    assert save(store, make_state(make_task())) is None
    assert len(store.history()) == 1


def test_an_archived_task_is_found_with_its_reviews_and_no_longer_loaded(store: StateStore) -> None:
    state = make_state(make_task(1), make_task(2), reviews={"task-001": (REVIEW,)})
    save(store, state)
    done = make_task(1, Phase.COMPLETE, (2,))
    open_tasks = {"task-002": make_task(2)}

    save(store, replace(state, tasks=open_tasks, archived={"task-001": done}))

    assert store.load().state == replace(state, tasks=open_tasks, reviews={})
    assert store.finished("task-001") == (done, (REVIEW,))
    assert store.archive() == [done]
    assert store.finished("task-002") is None


def test_the_archive_is_told_oldest_first(store: StateStore) -> None:
    done = {f"task-{n:03d}": make_task(n, Phase.COMPLETE, (2,)) for n in (999, 1000, 2)}

    save(store, replace(make_state(), archived=done))

    assert [task.id for task in store.archive()] == ["task-002", "task-999", "task-1000"]


def test_history_is_told_newest_first_and_can_be_narrowed(store: StateStore) -> None:
    save(store, make_state(make_task(1)), "one")
    save(store, make_state(make_task(1), make_task(2)), "two")
    save(store, make_state(make_task(1), make_task(2), make_task(10)), "three")

    assert [commit.subject for commit in store.history()] == ["three", "two", "one"]
    assert [commit.subject for commit in store.history(limit=1)] == ["three"]
    assert [c.subject for c in store.history(grep="^Task-Ref: task-001$")] == ["one"]
