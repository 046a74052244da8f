"""Bad input through the real command: the whole message, the exit code, and nothing written.

What a person mistyped ends with 2 and names file, line and key; what may pass ends with 75. A spec
that nobody can work with fails alone, on the board, and keeps no other from being built.
"""

import os
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.git_world import Repo, caller_environment
from tests.world.cli import ROOT, Person, Said

CONFIG = f"""\
runtime: story
poll_interval: 1
runtimes:
  story:
    type: command
    command: [{sys.executable}, -I, -S, {ROOT}/tests/world/agents/story.py, LEDGER]
"""
PROCESS = """\
kind: Process
name: default
pipeline:
  - agent: implementer
  - gate: human-pr-approval
  - action: merge-pr
"""
CONFIG_FILE = ".hyperloop.yaml"
PROCESS_FILE = ".hyperloop/agents/process.yaml"
TASK_FILE = "tasks/task-001.md"

EDIT = "\n  edit the file on the branch hyperloop-state, commit, try again"


@dataclass(frozen=True)
class Newcomer:
    """Somebody with a repository, who makes mistakes."""

    person: Person
    config: str

    @property
    def repo(self) -> Repo:
        return self.person.repo

    def says(self, *words: str) -> tuple[int, str]:
        """Exit code and standard error, in which the folder of this test is ``~``."""
        said = self.person.say(*words)
        return said.code, said.err.replace(str(self.person.home.parent), "~")

    def is_refused(self, *words: str) -> tuple[int, str]:
        """The same, of a command after which everything is as it was."""
        before = self.everything()
        code, said = self.says(*words)
        assert self.everything() == before
        assert "Traceback" not in said
        assert code != 0
        return code, said

    def everything(self) -> tuple[object, ...]:
        """Each ref and file of the repository, but for objects; and that no session began."""
        kept = self.repo.path
        git = {
            str(file.relative_to(kept)): file.read_bytes()
            for file in sorted(kept.rglob("*"))
            if file.is_file() and "objects" not in file.relative_to(kept).parts
        }
        ledger = self.person.home.parent / "ledger"
        return git, ledger.read_text() if ledger.exists() else ""

    def edits_state(self, file: str, old: str, new: str) -> None:
        """By hand, in a working tree of the state branch."""
        place = self.person.home / "by hand"
        self.repo.git("worktree", "add", "--quiet", str(place), "hyperloop-state")
        text = (place / file).read_text()
        assert old in text
        (place / file).write_text(text.replace(old, new, 1))
        Repo(place, self.repo.env).git("commit", "--quiet", "--all", "-m", "By hand")
        self.repo.git("worktree", "remove", "--force", str(place))

    def specs(self) -> dict[str, tuple[str, str]]:
        found = self.person.ask("get", "specs", "--all")
        assert isinstance(found, list)
        return {spec["path"]: (spec["status"], spec["reason"]) for spec in found}


Begin = Callable[..., Newcomer]


@pytest.fixture
def begin(tmp_path: Path) -> Begin:
    """A repository with one spec, and more ``files``; ``config`` comes after lines that hold."""

    def make(
        files: Mapping[str, str | bytes] | None = None, config: str = "", whole: str | None = None
    ) -> Newcomer:
        home = tmp_path / "home"
        home.mkdir()
        repo = Repo(tmp_path / "repo", caller_environment(home))
        repo.path.mkdir()
        repo.git("init", "--quiet", "--initial-branch=main")
        text = (
            CONFIG.replace("LEDGER", str(tmp_path / "ledger")) + config if whole is None else whole
        )
        for name, content in {"specs/a.md": "# A\n", CONFIG_FILE: text, **(files or {})}.items():
            path = repo.path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        repo.git("add", "-A")
        repo.git("commit", "--quiet", "-m", "Begin")
        return Newcomer(Person(repo, home), text)

    return make


# Files that people write


@pytest.mark.parametrize(
    ("whole", "message"),
    [
        (
            "runtime: [a\nx: 1\n",
            (
                ".hyperloop.yaml:2: is not YAML: did not find expected ',' or ']' at column 2"
                " (check the indentation and the quotes above it)"
            ),
        ),
        (
            "max_worker: 3\n",
            ".hyperloop.yaml:1: max_worker: unknown key (did you mean max_workers?)",
        ),
        (
            "max_workers: many\n",
            '.hyperloop.yaml:1: max_workers: is "many"; expected a whole number of at least 1',
        ),
        (
            "max_workers: 0\nmerge: {strategy: sqash, auto: 1}\nbase_branch: 'a b'\n",
            (
                ".hyperloop.yaml:1: max_workers: is 0; expected a whole number of at least 1\n"
                "  .hyperloop.yaml:2: merge.auto: unknown key"
                " (known: auto_merge, strategy, delete_branch)\n"
                '  .hyperloop.yaml:2: merge.strategy: is "sqash"; expected merge, rebase or squash'
                " (did you mean squash?)\n"
                '  .hyperloop.yaml:3: base_branch: is "a b"; expected the name of a branch'
            ),
        ),
    ],
    ids=["no YAML", "unknown key", "wrong type", "several at once"],
)
def test_a_configuration_is_refused_with_file_line_and_key(
    begin: Begin, whole: str, message: str
) -> None:
    assert begin(whole=whole).is_refused("run") == (2, f"error: {message}\n")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            {PROCESS_FILE: PROCESS.replace("implementer", "implementor")},
            (
                f'{PROCESS_FILE}:4: pipeline[0].agent: there is no agent "implementor"'
                " (did you mean implementer?)"
            ),
        ),
        (
            {PROCESS_FILE: PROCESS.replace("human-pr-approval", "human-aproval")},
            (
                f'{PROCESS_FILE}:5: pipeline[1].gate: there is no gate "human-aproval"'
                " (did you mean human-pr-approval?)"
            ),
        ),
        (
            {PROCESS_FILE: PROCESS, ".hyperloop/agents/own.yaml": PROCESS},
            (
                ".hyperloop/agents/process.yaml:2: name: process default is already in"
                " .hyperloop/agents/own.yaml:2; expected one document for each name (merge the two)"
            ),
        ),
    ],
    ids=["agent that is missing", "gate that is missing", "two of one name"],
)
def test_a_process_is_refused_with_file_line_and_the_nearest_name(
    begin: Begin, files: dict[str, str], message: str
) -> None:
    assert begin(files).is_refused("run") == (2, f"error: {message}\n")


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        (
            TASK_FILE,
            "title: ",
            "title: [",
            "hyperloop-state:tasks/task-001.md:4: is not YAML: did not find expected ',' or ']'"
            " at column 9 (check the indentation and the quotes above it)" + EDIT,
        ),
        (
            TASK_FILE,
            "branch: ",
            "brnch: ",
            "hyperloop-state:tasks/task-001.md:2: branch: is missing; expected text\n"
            "  hyperloop-state:tasks/task-001.md:9: brnch: unknown key (did you mean branch?)"
            + EDIT,
        ),
        (
            TASK_FILE,
            "---\n",
            "",
            "hyperloop-state:tasks/task-001.md:1: has no front matter;"
            " expected a line `---`, `key: value` lines, a line `---`" + EDIT,
        ),
        (
            "state.yaml",
            "schema: 1",
            "schema: 2",
            (
                "the branch hyperloop-state has schema 2\n  expected at most 1\n"
                "  it was written by a newer hyperloop: upgrade this one"
            ),
        ),
    ],
    ids=["no YAML", "unknown key", "no front matter", "newer schema"],
)
def test_a_state_that_somebody_broke_by_hand_is_refused_and_left_alone(
    begin: Begin, file: str, old: str, new: str, message: str
) -> None:
    newcomer = begin({PROCESS_FILE: PROCESS})
    assert newcomer.says("run")[0] == 0
    newcomer.edits_state(file, old, new)
    for words in (["run"], ["get", "tasks"], ["approve", "task-001"]):
        assert newcomer.is_refused(*words) == (2, f"error: {message}\n")


# Specs that nobody can work with


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty: write what should be true, then commit it"),
        (b" \n\t\n", "the file has no text: write what should be true, then commit it"),
        (
            b"x" * 10_000_000,
            "the file has 9.5 MB, more than the 256 KB that fit a prompt: split it",
        ),
        (
            b"# B\xe4r\n",
            "the file is not UTF-8 text (byte 3): save it as UTF-8, then commit it",
        ),
    ],
    ids=["empty", "blank", "10 MB", "Latin-1"],
)
def test_a_spec_that_nobody_can_work_with_fails_alone(
    begin: Begin, content: bytes, reason: str
) -> None:
    newcomer = begin({"specs/bad.md": content})
    said = newcomer.person.say("run", "--fail-on", "attention")
    assert said.code == 1
    assert said.out == (
        "1 of 2 specs synced, 1 task merged, $0.75\n\nneeds you:\n"
        f"  specs/bad.md  failed: {reason}\n"
        "                edit it and commit, or: hyperloop retry specs/bad.md"
        " (its story: hyperloop describe spec specs/bad.md)\n\n"
        "Then go on with: hyperloop run\n"
    )
    assert newcomer.specs() == {"specs/a.md": ("synced", ""), "specs/bad.md": ("failed", reason)}


def test_a_spec_with_spaces_and_unicode_in_its_path_is_built(begin: Begin) -> None:
    path = "specs/sub dir/Über \N{SNOWMAN} 'quoted'.md"
    newcomer = begin({path: "# Snow\n"})
    said = newcomer.person.say("run")
    assert (said.code, said.out) == (0, "2 of 2 specs synced, 2 tasks merged, $1.25\n")
    merged = newcomer.repo.git("log", "--format=%(trailers:key=Spec-Ref,valueonly,unfold)", "main")
    begun = newcomer.repo.git("rev-list", "--max-parents=0", "main")
    assert f"{path}@{begun}" in merged.splitlines()


# Repositories that are not as usual


def test_a_repository_without_commits_is_refused(begin: Begin) -> None:
    newcomer = begin()
    newcomer.repo.git("update-ref", "-d", "HEAD")
    assert newcomer.is_refused("run") == (
        2,
        (
            "error: the repository at ~/repo has no commit yet\n"
            "  commit your specs first: `git add . && git commit`\n"
        ),
    )


def test_a_folder_that_is_no_repository_is_refused(begin: Begin) -> None:
    newcomer = begin()
    assert newcomer.is_refused("run", "--path", str(newcomer.person.home)) == (
        2,
        "error: ~/home is not a git repository\n  run `git init` first\n",
    )


def test_a_path_that_is_not_there_is_refused(begin: Begin) -> None:
    newcomer = begin()
    assert newcomer.is_refused("run", "--path", str(newcomer.person.home / "nowhere")) == (
        2,
        "error: ~/home/nowhere is not a directory\n  check --path\n",
    )


def test_a_base_branch_that_is_not_there_is_refused(begin: Begin) -> None:
    assert begin(config="base_branch: develop\n").is_refused("run") == (
        2,
        (
            "error: there is no branch develop in this repository\n"
            "  name the right one with --branch, or base_branch in .hyperloop.yaml\n"
        ),
    )


def works(person: Person) -> Said:
    said = person.say("run")
    assert (said.code, said.out) == (0, "1 of 1 specs synced, 1 task merged, $0.75\n"), said.err
    assert person.repo.git("log", "-1", "--format=%s", "main") == "A"
    return said


def test_a_shallow_clone_works(begin: Begin, tmp_path: Path) -> None:
    newcomer = begin()
    newcomer.repo.commit({"more.txt": "1\n"})
    origin = newcomer.repo.clone(tmp_path / "origin.git", "--bare")
    shallow = origin.clone(tmp_path / "shallow", "--depth=1")
    said = works(Person(shallow, newcomer.person.home))
    assert said.err.startswith(
        "note: shallow clone: old history is fetched when a merge needs it\n"
    )


def test_a_detached_head_works_and_stays(begin: Begin) -> None:
    newcomer = begin()
    newcomer.repo.git("switch", "--quiet", "--detach")
    head = newcomer.repo.tip()
    said = works(newcomer.person)
    assert said.err.startswith("note: detached HEAD: no checkout follows the base branch\n")
    assert newcomer.repo.tip() == head


def test_a_bare_repository_works(begin: Begin, tmp_path: Path) -> None:
    newcomer = begin()
    bare = newcomer.repo.clone(tmp_path / "bare.git", "--bare")
    bare.git("remote", "remove", "origin")
    works(Person(bare, newcomer.person.home))


def test_a_state_branch_that_somebody_has_checked_out_stays_where_it_is(begin: Begin) -> None:
    newcomer = begin()
    works(newcomer.person)
    newcomer.repo.commit({"specs/b.md": "# B\n"})
    place = newcomer.person.home / "state"
    newcomer.repo.git("worktree", "add", "--quiet", str(place), "hyperloop-state")
    assert newcomer.is_refused("run") == (
        75,
        (
            "error: hyperloop-state is checked out in ~/home/state\n"
            "  expected no working tree on a branch that has to move\n"
            "  check out another branch there: git -C ~/home/state switch --detach\n"
        ),
    )


def test_a_remote_that_is_gone_is_said_with_where_to_look(begin: Begin, tmp_path: Path) -> None:
    newcomer = begin()
    origin = newcomer.repo.clone(tmp_path / "origin.git", "--bare")
    newcomer.repo.git("remote", "add", "origin", str(origin.path))
    shutil.rmtree(origin.path)
    assert newcomer.is_refused("run") == (
        75,
        (
            "error: `git ls-remote` with origin found no repository:\n"
            "    fatal: '~/origin.git' does not appear to be a git repository\n"
            "    fatal: Could not read from remote repository.\n"
            "    Please make sure you have the correct access rights\n"
            "    and the repository exists.\n"
            "  expected a repository at that address, and a token or key that may read it\n"
            "  look at `git remote get-url origin`;"
            " to work without a remote: `remote: none` in .hyperloop.yaml\n"
        ),
    )


def test_a_merge_that_the_remote_refuses_waits_for_a_person_and_pays_nobody(
    begin: Begin, tmp_path: Path
) -> None:
    """The remote has its base branch checked out, so it takes no push of it."""
    newcomer = begin()
    clone = Person(newcomer.repo.clone(tmp_path / "clone"), newcomer.person.home)
    said = clone.say("run")
    assert (said.code, said.out) == (
        0,
        (
            "0 of 1 specs synced, $0.75\n\nneeds you:\n"
            "  task-001  cannot merge yet: moving main was refused: error: refusing to update"
            " checked out branch: refs/heads/main (branch is currently checked out)\n\n"
            "Then go on with: hyperloop run\n"
        ),
    )


def test_a_repository_that_may_not_be_written_is_said(begin: Begin) -> None:
    newcomer = begin()
    if os.geteuid() == 0:  # who may write everywhere, unless that right is given up
        rights = "-dac_override,-dac_read_search"
        without = ("setpriv", f"--bounding-set={rights}", f"--inh-caps={rights}")
        newcomer = Newcomer(replace(newcomer.person, through=without), newcomer.config)
    folders = [Path(folder) for folder, _, _ in os.walk(newcomer.repo.path / ".git")]
    for folder in folders:
        folder.chmod(0o555)
    try:
        code, said = newcomer.is_refused("run")
    finally:
        for folder in folders:
            folder.chmod(0o755)
    first, *others = said.splitlines()
    assert code == 75
    assert first.startswith("error: git cannot write to ~/repo/.git: "), "then git's own words"
    assert others == [
        "  expected a repository that you may write to, with room on its disk",
        "  look at its owner and permissions (`ls -ld`) and at `df`",
    ]


# Names and orders


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["approve", "task-99"], "there is no task task-99\n  did you mean task-001?"),
        (["approve", "login"], "there is no task login\n  see them all: hyperloop get tasks"),
        (
            ["describe", "task", "tsk-001"],
            "there is no task tsk-001\n  did you mean task-001?",
        ),
        (
            ["retry", "specs/b.md"],
            "there is no task or spec specs/b.md\n  did you mean specs/a.md?",
        ),
        (
            ["work", "nothing.json", "--out", "out"],
            "nothing.json: No such file or directory\n  name an order's JSON file",
        ),
    ],
)
def test_a_name_that_is_not_there_is_refused_with_the_nearest(
    begin: Begin, words: list[str], message: str
) -> None:
    newcomer = begin({PROCESS_FILE: PROCESS})
    assert newcomer.says("run")[0] == 0
    assert newcomer.is_refused(*words) == (2, f"error: {message}\n")


def test_a_task_is_approved_where_it_waits_and_nowhere_else(begin: Begin) -> None:
    newcomer = begin({PROCESS_FILE: PROCESS})
    assert newcomer.says("run")[0] == 0
    assert newcomer.says("approve", "task-001")[0] == 0
    assert newcomer.says("run")[0] == 0
    assert newcomer.is_refused("approve", "task-001") == (
        2,
        (
            "error: task-001 is archived: it is complete, its work is merged\n"
            "  to have something changed, edit its spec and commit it\n"
        ),
    )


@pytest.mark.parametrize(
    ("order", "message"),
    [
        ('{"id": ', "is not a valid order: Input data was truncated"),
        ('{"id": 3}', "is not a valid order: Expected `str`, got `int` - at `$.id`"),
    ],
)
def test_a_broken_order_is_refused(begin: Begin, order: str, message: str) -> None:
    newcomer = begin()
    file = newcomer.person.home / "order.json"
    file.write_text(order)
    assert newcomer.is_refused("work", str(file), "--out", str(newcomer.person.home / "out")) == (
        2,
        f"error: ~/home/order.json: {message}\n",
    )
    assert not (newcomer.person.home / "out").exists()
