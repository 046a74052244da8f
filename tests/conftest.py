"""Repositories for every test: templates are made once and copied, which is ten times faster."""

from pathlib import Path

import pytest

from tests.git_world import Repo, caller_environment


@pytest.fixture(scope="session")
def caller_env(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a person without any git configuration."""
    return caller_environment(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory, caller_env: dict[str, str]) -> Repo:
    """One commit on ``main``: a spec and some code. Copy it, do not change it."""
    repo = Repo(tmp_path_factory.mktemp("template") / "repo", caller_env)
    repo.path.mkdir()
    repo.git("init", "--quiet", "--initial-branch=main")
    repo.commit({"specs/auth.md": "# Auth\n", "src/app.py": "one\ntwo\nthree\n"}, "Begin")
    return repo


@pytest.fixture(scope="session")
def bare_template(template: Repo, tmp_path_factory: pytest.TempPathFactory) -> Repo:
    """The same as a bare repository, to stand for a remote."""
    return template.clone(tmp_path_factory.mktemp("template") / "origin.git", "--bare")


@pytest.fixture
def repo(template: Repo, tmp_path: Path) -> Repo:
    """A repository on its own, with ``main`` checked out."""
    return template.copy(tmp_path / "repo")


@pytest.fixture
def origin(bare_template: Repo, tmp_path: Path) -> Repo:
    """A bare repository on this machine, to be used as a remote."""
    return bare_template.copy(tmp_path / "origin.git")


@pytest.fixture
def clone(origin: Repo, tmp_path: Path) -> Repo:
    """A clone of ``origin`` with ``main`` checked out."""
    return origin.clone(tmp_path / "clone")
