"""`hyperloop init` in real repositories: what it makes, what it keeps, what it says is next."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from hyperloop_action import wiring
from hyperloop_action.cli import cli
from hyperloop_action.settings import Settings
from tests.git_world import Repo

RUN = "see what would happen: hyperloop run --dry-run, then let it: hyperloop run"
COMMIT = "git add .hyperloop.yaml specs && git commit -m 'Say what should be true'"


def init(path: Path, env: Mapping[str, str], *options: str) -> Result:
    words = ["init", "--path", str(path), *options]
    return CliRunner().invoke(cli, words, obj=wiring.open_app, env=dict(env))


@pytest.fixture
def empty(tmp_path: Path, caller_env: Mapping[str, str]) -> Repo:
    """A repository without a commit."""
    repo = Repo(tmp_path / "empty", caller_env)
    repo.path.mkdir()
    repo.git("init", "--quiet", "--initial-branch=main")
    return repo


def test_an_empty_repository_gets_settings_and_a_folder_for_specs(empty: Repo) -> None:
    result = init(empty.path, empty.env)

    assert (result.exit_code, result.stdout) == (
        0,
        (
            "created  .hyperloop.yaml\n"
            "created  specs/.gitkeep\n"
            "\n"
            "Next:\n"
            "  1. write what should be true, a markdown file per topic: specs/NAME.md\n"
            f"  2. {COMMIT}\n"
            f"  3. {RUN}\n"
        ),
    )
    assert empty.git("status", "--porcelain", "-uall") == "?? .hyperloop.yaml\n?? specs/.gitkeep"


def test_what_is_there_is_kept_byte_for_byte(repo: Repo) -> None:
    repo.write({".hyperloop.yaml": "max_workers: 2\n", "specs/draft.md": "# Draft\n"})
    before = repo.personal_state()

    result = init(repo.path, repo.env)

    assert result.stdout == (
        "kept     .hyperloop.yaml\n"
        "kept     specs/\n"
        "\n"
        "2 specs below specs/, 1 committed on main.\n"
        "\n"
        "Next:\n"
        f"  1. {COMMIT}\n"
        f"  2. {RUN}\n"
    )
    assert repo.personal_state() == before


def test_done_twice_it_is_ready_to_run(repo: Repo) -> None:
    init(repo.path, repo.env)
    repo.commit({}, "settings")

    result = init(repo.path / "specs", repo.env)

    assert result.stdout.endswith(
        f"1 spec below specs/, 1 committed on main.\n\nNext:\n  1. {RUN}\n"
    )


def test_the_settings_it_writes_are_the_defaults(empty: Repo) -> None:
    init(empty.path, empty.env)
    text = (empty.path / ".hyperloop.yaml").read_bytes()

    assert Settings.from_mapping({}, text) == Settings.from_mapping({})


def test_every_line_it_offers_is_valid_when_it_is_taken(empty: Repo) -> None:
    init(empty.path, empty.env)
    lines = (empty.path / ".hyperloop.yaml").read_text().splitlines()[1:]
    taken = "\n".join(line.removeprefix("# ") for line in lines)

    assert set(Settings.from_mapping({}, taken.encode()).origins) >= {
        "base_branch",
        "process",
        "max_workers",
        "budget.max_usd_per_day",
        "agents.default.max_turns",
    }


@pytest.mark.parametrize(
    ("branches", "expected"),
    [(["master"], "master"), (["master", "main"], "main"), (["main", "feature"], "main")],
    ids=["only master", "main is there too", "on a feature branch"],
)
def test_where_there_is_no_main_the_present_branch_is_the_base(
    empty: Repo, branches: list[str], expected: str
) -> None:
    empty.git("symbolic-ref", "HEAD", f"refs/heads/{branches[0]}")
    empty.commit({"a.txt": "a"})
    for branch in branches[1:]:
        empty.git("checkout", "--quiet", "-b", branch)
    empty.git("checkout", "--quiet", branches[-1] if "feature" in branches else branches[0])

    init(empty.path, empty.env)

    text = (empty.path / ".hyperloop.yaml").read_bytes()
    assert Settings.from_mapping({}, text).base_branch == expected


def test_settings_with_a_mistake_are_said_and_nothing_more_is_made(empty: Repo) -> None:
    empty.write({".hyperloop.yaml": "max_worker: 2\n"})

    result = init(empty.path, empty.env)

    assert (result.exit_code, result.stderr) == (
        2,
        "error: .hyperloop.yaml:1: max_worker: unknown key (did you mean max_workers?)\n",
    )
    assert not (empty.path / "specs").exists()


def test_outside_a_repository_it_says_what_to_do(
    tmp_path: Path, caller_env: Mapping[str, str]
) -> None:
    result = init(tmp_path, caller_env)

    assert (result.exit_code, result.stderr) == (
        2,
        (
            f"error: {tmp_path} is not in a git repository\n"
            "  run `git init` first, then `hyperloop init`\n"
        ),
    )
    assert list(tmp_path.iterdir()) == []


def test_a_bare_repository_is_refused(origin: Repo) -> None:
    result = init(origin.path, origin.env)

    assert (result.exit_code, result.stderr) == (
        2,
        f"error: {origin.path} is a bare repository\n  run init in a clone of it\n",
    )


def test_a_linked_working_tree_is_a_place_to_begin(repo: Repo, tmp_path: Path) -> None:
    repo.git("worktree", "add", "--quiet", str(tmp_path / "linked"))

    result = init(tmp_path / "linked", repo.env)

    assert result.exit_code == 0
    assert (tmp_path / "linked/.hyperloop.yaml").is_file()
