"""The agent's clone: what is in it, and what is not."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from hyperloop_action.adapters.clones import Start, Workshop, prepare, remove, write_whole
from hyperloop_action.domain.orders import Order, Wants
from hyperloop_action.domain.sessions import SessionFiles
from tests.git_world import Repo


@pytest.fixture
def workshop(repo: Repo, tmp_path: Path) -> Workshop:
    return Workshop(SessionFiles(tmp_path / "out"), repo.env)


def order_for(repo: Repo, **fields: str | None) -> Order:
    tip = repo.tip()
    order = Order(
        id="o", role="implementer", wants=Wants.CHANGES, prompt="", base=tip, head=tip,
        branch="hyperloop/task-001",
    )  # fmt: skip
    return msgspec.structs.replace(order, **fields)


def cloned(workshop: Workshop, repo: Repo) -> Repo:
    return Repo(workshop.files.clone, repo.env)


def test_a_clone_is_at_the_head_clean_and_on_the_branch(repo: Repo, workshop: Workshop) -> None:
    order = order_for(repo)
    start = prepare(order, repo.path, workshop, ("MY_KEY",))
    clone = cloned(workshop, repo)
    tree = repo.tip("HEAD^{tree}")
    assert start == Start(commit=order.head, head_tree=tree, base_tree=tree, passed=("MY_KEY",))
    assert clone.git("status", "--porcelain=v2", "--branch").splitlines() == [
        f"# branch.oid {order.head}",
        "# branch.head hyperloop/task-001",
    ]
    assert clone.git("remote") == ""
    assert (clone.path / "src/app.py").read_text() == "one\ntwo\nthree\n"


@pytest.mark.parametrize("branch", [None, "../../escape", "a..b", "-x", "a.lock", "a b", "/a"])
def test_a_branch_name_that_cannot_be_a_path_is_not_used_as_one(
    repo: Repo, workshop: Workshop, branch: str | None
) -> None:
    prepare(order_for(repo, branch=branch), repo.path, workshop, ())
    assert cloned(workshop, repo).git("branch", "--show-current") == "work"


def test_preparing_twice_gives_a_fresh_clone(repo: Repo, workshop: Workshop) -> None:
    prepare(order_for(repo), repo.path, workshop, ())
    (workshop.files.clone / "old").write_text("x")
    prepare(order_for(repo), repo.path, workshop, ())
    assert not (workshop.files.clone / "old").exists()


def test_nobodys_settings_count(repo: Repo, workshop: Workshop) -> None:
    hook = repo.path / "hook"
    hook.write_text(f"#!/bin/sh\ntouch {repo.path}/ran\n")
    hook.chmod(0o755)
    for name in ("core.fsmonitor", "core.hooksPath", "uploadpack.packObjectsHook"):
        repo.git("config", name, str(hook))
    prepare(order_for(repo), repo.path, workshop, ())
    assert not (repo.path / "ran").exists()


def test_a_clone_copies_no_objects_and_takes_three_processes(
    repo: Repo, workshop: Workshop, git_processes: Callable[[], int]
) -> None:
    order = order_for(repo)
    git_processes()
    prepare(order, repo.path, workshop, ())
    assert git_processes() == 3
    objects = [
        each for each in (workshop.files.clone / ".git/objects").rglob("*") if each.is_file()
    ]
    assert [each.name for each in objects] == ["alternates"]


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    write_whole(tmp_path / "a", b"1")
    write_whole(tmp_path / "a", b"2")
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("a", b"2")]


def test_a_folder_is_removed_whatever_its_permissions_and_links_are_not_followed(
    tmp_path: Path,
) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other/kept").write_text("x")
    (tmp_path / "gone/deep").mkdir(parents=True)
    (tmp_path / "gone/deep/x").write_text("x")
    (tmp_path / "gone/link").symlink_to(tmp_path / "other")
    (tmp_path / "gone/deep").chmod(0)
    remove(tmp_path / "gone")
    assert [each.name for each in tmp_path.rglob("*")] == ["other", "kept"]
