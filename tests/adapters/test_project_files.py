"""Where configuration and agents are read from: the working tree first, then the base branch."""

from pathlib import Path

import pytest

from hyperloop_action.adapters.git import open_repository
from hyperloop_action.adapters.project_files import ProjectFiles
from hyperloop_action.errors import UsageError
from tests.git_world import Repo

AGENT = ".hyperloop/agents/house.yaml"


def files_of(repo: Repo) -> ProjectFiles:
    return ProjectFiles(repo.engine(), open_repository(repo.path, repo.engine().env), "main")


def commit_settings(repo: Repo) -> None:
    repo.commit({".hyperloop.yaml": "process: reviewed\n", AGENT: "kind: Agent\n"}, "settings")


def test_what_is_in_the_working_tree_counts_at_once(repo: Repo) -> None:
    commit_settings(repo)
    repo.write({".hyperloop.yaml": "process: default\n"})
    assert files_of(repo).config(None) == (b"process: default\n", ".hyperloop.yaml")


def test_gates_do_not_vanish_with_a_switch_to_a_branch_without_settings(repo: Repo) -> None:
    repo.git("branch", "old")
    commit_settings(repo)
    repo.git("switch", "-q", "old")
    assert files_of(repo).config(None) == (b"process: reviewed\n", "main:.hyperloop.yaml")
    assert files_of(repo).overlay(".hyperloop/agents") == {AGENT: b"kind: Agent\n"}


def test_a_repository_without_settings_has_none(repo: Repo) -> None:
    assert files_of(repo).config(None) == (None, ".hyperloop.yaml")
    assert files_of(repo).overlay(".hyperloop/agents") == {}


def test_a_named_file_is_the_only_one(repo: Repo, tmp_path: Path) -> None:
    commit_settings(repo)
    named = tmp_path / "other.yaml"
    named.write_text("max_workers: 2\n")
    assert files_of(repo).config(named) == (b"max_workers: 2\n", str(named))


def test_a_named_file_that_is_not_there_is_said(repo: Repo, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere\.yaml: No such file or directory"):
        files_of(repo).config(tmp_path / "nowhere.yaml")
