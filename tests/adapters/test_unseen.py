"""What a person edited and nobody works on: real git, with and without a remote."""

import os
import subprocess
from pathlib import Path

import pytest

from hyperloop_action.adapters.git import Git
from hyperloop_action.adapters.unseen import unseen_specs

ENV = {
    "PATH": os.environ["PATH"],
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    **{
        f"GIT_{who}_{what}": "a@b.c"
        for who in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    },
}


def run(top: Path, *words: str) -> None:
    subprocess.run(["git", *words], cwd=top, env=ENV, check=True, capture_output=True)


def write(top: Path, name: str, text: str = "# A\n") -> None:
    (top / name).parent.mkdir(exist_ok=True)
    (top / name).write_text(text)


def commit(top: Path, name: str, text: str) -> None:
    write(top, name, text)
    run(top, "add", name)
    run(top, "commit", "-m", name)


def unseen(top: Path, base: str = "main", remote: str | None = None) -> dict[str, str]:
    return unseen_specs(Git(top, ENV, top / ".git", remote), base, "main", "specs")


@pytest.fixture
def top(tmp_path: Path) -> Path:
    run(tmp_path, "init", "--initial-branch=main")
    commit(tmp_path, "specs/a.md", "# A\n")
    commit(tmp_path, "specs/b.md", "# B\n")
    return tmp_path


def test_a_tree_like_its_base_has_nothing_unseen(top: Path) -> None:
    write(top, "code.py")
    write(top, "specs/notes.txt")

    assert unseen(top) == {}


def test_specs_that_are_new_changed_or_removed_and_not_committed_are_named(top: Path) -> None:
    write(top, "specs/a.md", "# Changed\n")
    (top / "specs/b.md").unlink()
    write(top, "specs/new one.md")

    assert unseen(top) == dict.fromkeys(
        ["specs/a.md", "specs/b.md", "specs/new one.md"], "not committed"
    )


def test_a_commit_that_the_remote_lacks_is_not_pushed(top: Path) -> None:
    run(top, "branch", "theirs")
    commit(top, "specs/a.md", "# Changed\n")
    write(top, "specs/b.md", "# Changed\n")

    assert unseen(top, "theirs", "origin") == {
        "specs/a.md": "not pushed to origin",
        "specs/b.md": "not committed",
    }


def test_a_commit_on_another_branch_is_not_merged(top: Path) -> None:
    run(top, "switch", "--create", "topic")
    commit(top, "specs/a.md", "# Changed\n")

    assert unseen(top) == {"specs/a.md": "not merged into main"}


def test_what_others_changed_since_is_no_edit_of_this_tree(top: Path) -> None:
    run(top, "switch", "--create", "topic")
    run(top, "switch", "main")
    commit(top, "specs/a.md", "# Changed by others\n")
    run(top, "switch", "topic")

    assert unseen(top) == {}


def test_looking_leaves_the_index_as_it_is(top: Path) -> None:
    os.utime(top / "specs/a.md", (1, 1))  # git would refresh its index now
    before = (top / ".git/index").read_bytes()

    unseen(top)

    assert (top / ".git/index").read_bytes() == before


def test_a_bare_repository_and_a_foreign_history_have_no_edits(top: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare.git"
    run(top, "clone", "--bare", ".", str(bare))
    assert unseen_specs(Git(bare, ENV, bare), "main", "main", "specs") == {}

    run(top, "switch", "--orphan", "foreign")
    commit(top, "specs/c.md", "# C\n")
    assert unseen(top) == {}
