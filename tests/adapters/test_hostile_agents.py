"""Agents that try to reach beyond their clone: the user's repository is the same afterwards."""

import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from hyperloop_action.adapters import transcript
from hyperloop_action.domain.orders import ErrorKind, Verdict
from tests.git_world import Repo
from tests.world.sessions import TRAILERS, Sessions

CODE = {"specs/auth.md": "# Auth", "src/app.py": "one\ntwo\nthree"}
SECRET = "correct-horse-battery"
BARRED = "Protected paths may not change, and these changes were taken out: "


def everything(repo: Repo) -> dict[str, bytes]:
    return {
        str(file.relative_to(repo.path)): file.read_bytes()
        for file in sorted(repo.path.rglob("*"))
        if file.is_file()
    }


@pytest.fixture
def sessions(repo: Repo, tmp_path: Path) -> Iterator[Sessions]:
    """Fails the test when anything in the user's repository has changed; objects that the test
    itself brings in (``Done.head``) are left out of that."""
    before = everything(repo)
    yield Sessions(repo, tmp_path / "out")
    after = everything(repo)
    assert {name: after.get(name) for name in before} == before
    assert {name for name in after if name not in before and "objects" not in name} == set()


def test_protected_paths_are_restored_in_every_commit_and_the_rest_is_kept(
    sessions: Sessions,
) -> None:
    done = sessions.do(
        "write=specs/auth.md:mine", "write=a:1", "commit=Mine",
        "run=git mv specs/auth.md moved.md", "write=.github/workflows/x.yml:evil", "commit=Move",
        "write=.hyperloop.yaml:evil", "write=b:2",
    )  # fmt: skip
    assert done.result.verdict is Verdict.FAIL
    assert done.result.detail == (
        f"{BARRED}`.github/workflows/x.yml`, `.hyperloop.yaml`, `specs/auth.md`."
    )
    trees = [sessions.repo.files(f"{done.head}~{n}") for n in (2, 1, 0)]
    first = {**CODE, "a": "1"}
    assert trees == [
        first,
        {**first, "moved.md": "mine"},
        {**first, "moved.md": "mine", "b": "2"},
    ]


def test_a_protected_change_that_was_taken_back_is_no_finding(sessions: Sessions) -> None:
    done = sessions.do(
        "write=specs/auth.md:mine", "write=a:1", "commit=Mine",
        "run=git checkout -q HEAD~ -- specs && git commit -q -m Back",
    )  # fmt: skip
    assert (done.result.verdict, done.result.detail) == (Verdict.PASS, "")
    assert sessions.repo.files(f"{done.head}~") == {**CODE, "a": "1"}


@pytest.mark.parametrize(
    "act",
    [
        "run=chmod +x specs/auth.md",
        "run=rm -r specs && ln -s src specs",
        "run=rm -r specs && echo x > specs",
        "run=rm specs/auth.md && mkdir specs/auth.md && echo x > specs/auth.md/x",
    ],
)
def test_no_way_to_change_a_spec_gets_through(sessions: Sessions, act: str) -> None:
    for commit in ((), ("commit=x",)):
        done = sessions.do(act, "write=a:1", *commit)
        kept = {name: text for name, text in done.tree.items() if name != "specs"}
        assert kept == {**CODE, "a": "1"}
        assert done.result.verdict is Verdict.FAIL
        assert sessions.repo.git("ls-tree", done.head, "specs/").startswith("100644 blob")


def test_only_protected_changes_leave_no_commit(sessions: Sessions) -> None:
    result = sessions.do("write=specs/auth.md:mine", "commit=x").result
    assert (result.verdict, result.head, result.detail) == (
        Verdict.FAIL,
        None,
        f"{BARRED}`specs/auth.md`.",
    )


def test_without_git_the_work_tree_is_kept(sessions: Sessions) -> None:
    done = sessions.do("write=a:1", "commit=x", "write=b:2", "run=rm -rf .git; ! git status")
    assert done.result.verdict is Verdict.PASS
    assert done.tree == {**CODE, "a": "1", "b": "2"}
    assert done.log == [f"Work in progress of implementer: Add login\n\n{TRAILERS}"]


@pytest.mark.parametrize(
    "act",
    [
        "run=echo garbage > .git/HEAD",
        "run=rm -rf .git/objects",
        "run=rm .git/refs/heads/*/*; mkfifo .git/refs/heads/hyperloop/task-001",
        "run=rm .git/HEAD; mkfifo .git/HEAD",
        "run=echo x > .git/index; echo '[broken' > .git/config",
        "run=rm -rf .git; echo 'gitdir: /nowhere' > .git",
        "run=find .git/objects -type f -exec truncate -s 3 {} +",
        "run=git update-ref --no-deref HEAD $(git rev-parse HEAD:src/app.py) || rm -r .git",
    ],
)
def test_with_a_broken_git_the_work_tree_is_kept(sessions: Sessions, act: str) -> None:
    done = sessions.do("write=a:1", "commit=x", "write=b:2", act)
    assert done.tree == {**CODE, "a": "1", "b": "2"}


@pytest.mark.parametrize(
    "lose",
    [
        pytest.param((), id="sound"),
        pytest.param(
            (("run=f=$(printf '1\\n' | git hash-object --no-filters --stdin);"
             " rm -f .git/objects/$(echo $f | cut -c-2)/$(echo $f | cut -c3-)"),),
            id="with an object that git would fetch from the planted remote",
        ),
    ],
)  # fmt: skip
def test_hooks_filters_and_settings_that_an_agent_plants_never_run(
    sessions: Sessions, tmp_path: Path, lose: tuple[str, ...]
) -> None:
    witness = tmp_path / "witness"
    acts = ("write=a:1", "commit=Add a", "write=b:2", f"plant={witness}")
    done = sessions.do(*acts, *lose)
    assert {**done.tree, ".gitattributes": ""} == {**CODE, "a": "1", "b": "2", ".gitattributes": ""}
    assert not witness.exists()


@pytest.mark.parametrize(
    "act",
    [
        "run=git config core.repositoryFormatVersion 99",
        "run=git config uploadpack.hideRefs refs; git checkout -q --detach",
        "run=rm .git/objects/info/alternates",
        "run=mkdir .git/other; echo other > .git/commondir",
        "run=git rev-parse HEAD > .git/shallow",
    ],
)
def test_settings_that_hide_commits_do_not_lose_them(sessions: Sessions, act: str) -> None:
    done = sessions.do("write=a:1", "commit=Add a", act, "write=b:2")
    assert [message.split("\n")[0] for message in done.log] == [
        "Add a",
        "Work in progress of implementer: Add login",
    ]
    assert done.tree == {**CODE, "a": "1", "b": "2"}


def test_replaced_objects_and_grafts_do_not_matter(sessions: Sessions) -> None:
    swap = (
        "git replace $(git rev-parse HEAD:a) $(git rev-parse HEAD:src/app.py);"
        "echo $(git rev-parse HEAD) > .git/info/grafts"
    )
    done = sessions.do("write=a:1", "commit=Add a", f"run={swap}", "write=b:2")
    assert done.tree == {**CODE, "a": "1", "b": "2"}
    assert len(done.log) == 2


def test_what_is_too_large_is_left_out_before_it_is_read(sessions: Sessions) -> None:
    done = sessions.do(
        f"sparse=huge:{200_000_000_000}", "write=small:1", "sparse=big:900000",
        "sparse=mid:600000", max_change_mb=1.0,
    )  # fmt: skip
    assert done.result.verdict is Verdict.FAIL
    assert done.result.detail == (
        "The change has more than 1 MB (max_change_mb); left out:"
        " `big` (0.9 MB), `huge` (200000.0 MB)."
    )
    assert set(done.tree) == {*CODE, "small", "mid"}


def test_what_is_too_large_is_taken_out_of_commits(sessions: Sessions) -> None:
    done = sessions.do(
        "sparse=big:2000000", "write=a:1", "commit=x", "remove=big", "write=b:2", "commit=y",
        max_change_mb=1.0,
    )  # fmt: skip
    assert (done.result.verdict, done.result.detail) == (Verdict.PASS, "")
    assert sessions.repo.files(f"{done.head}~") == {**CODE, "a": "1"}
    assert done.files.bundle.stat().st_size < 5000


def test_a_daemon_that_left_its_group_is_dead_before_its_files_are_read(
    sessions: Sessions, tmp_path: Path
) -> None:
    sign = tmp_path / "sign"
    done = sessions.do(f"daemon={sign}", "write=a:1")
    assert done.result.verdict is Verdict.PASS
    first = sign.read_text()
    time.sleep(0.05)
    assert sign.read_text() == first
    pid = int(first.split()[0])
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_an_agent_that_ignores_sigterm_is_killed(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hyperloop_action.adapters.isolation.GRACE_S", 0.2)
    began = time.monotonic()
    done = sessions.do("ignore_sigterm", "write=a:1", "sleep=30", timeout_s=0.5)
    assert time.monotonic() - began < 10
    assert done.result.error
    assert done.result.error.kind is ErrorKind.TIMEOUT
    assert done.tree == {**CODE, "a": "1"}


def test_a_credential_is_masked_wherever_it_is_seen(sessions: Sessions) -> None:
    told = '{"verdict": "fail", "detail": "it is %s, or ghp_%s"}' % (SECRET, "a" * 36)  # noqa: UP031
    done = sessions.do(
        "say_variable=MY_KEY", f"complain={SECRET}", "write_variable=config:MY_KEY", "write=a:1",
        f"commit=Use {SECRET}", f"write={SECRET}.txt:x", "remove=config", f"answer={told}",
        env=("MY_KEY",), caller={"MY_KEY": SECRET},
    )  # fmt: skip
    assert done.result.verdict is Verdict.FAIL
    assert done.result.detail == (
        "it is ***, or ***\n\n"
        "These files held a credential and were taken out: `config`, `***.txt`."
    )
    assert done.log == [f"Use ***\n\n{TRAILERS}"]
    assert done.tree == {**CODE, "a": "1"}
    assert done.lines == ["the value is ***", "***"]
    for file in done.files.root.rglob("*"):
        if file.is_file() and file.name != "order.json":  # our test put the value into that one
            assert SECRET.encode() not in file.read_bytes()


def test_a_leftover_with_a_credential_is_taken_out(sessions: Sessions) -> None:
    done = sessions.do(
        "write_variable=.env:MY_KEY", "write=a:1", env=("MY_KEY",), caller={"MY_KEY": SECRET}
    )
    assert done.result.verdict is Verdict.FAIL
    assert done.result.detail == "These files held a credential and were taken out: `.env`."
    assert done.tree == {**CODE, "a": "1"}


@pytest.mark.parametrize(
    ("act", "words"),
    [
        ("answer_fifo", "not a regular file"),
        ("answer_link=/etc/passwd", "cannot be read"),
        ('answer={"x":' + "[" * 20000, "nested too deeply"),
        ('run=head -c 1100000 /dev/zero > "$HYPERLOOP_RESULT_FILE"', "longer than 1 MiB"),
        ('run=printf "\\377" > "$HYPERLOOP_RESULT_FILE"', "not of the form"),
    ],
)
def test_an_answer_that_is_none_is_an_error_and_never_waited_for(
    sessions: Sessions, act: str, words: str
) -> None:
    done = sessions.do("write=a:1", act)
    assert done.result.error
    assert done.result.error.kind is ErrorKind.BAD_ANSWER
    assert words in done.result.error.message
    assert done.tree == {**CODE, "a": "1"}


def test_a_clone_that_became_a_link_is_not_followed(sessions: Sessions) -> None:
    done = sessions.do(f"rename_clone_to_link={sessions.repo.path}")
    assert (done.result.verdict, done.result.head) == (Verdict.FAIL, None)
    assert "Nothing could be kept" in done.result.detail


def test_a_git_folder_that_became_a_link_is_not_followed(sessions: Sessions) -> None:
    done = sessions.do("write=a:1", f"git_to_link={sessions.repo.path / '.git'}")
    assert done.tree == {**CODE, "a": "1"}


def test_a_link_out_of_the_clone_brings_nothing_in(sessions: Sessions, tmp_path: Path) -> None:
    (tmp_path / "private").mkdir()
    (tmp_path / "private/app.py").write_text("private")
    done = sessions.do(f"run=rm -r src && ln -s {tmp_path / 'private'} src")
    assert done.tree == {"specs/auth.md": "# Auth", "src": str(tmp_path / "private")}


@pytest.mark.parametrize(
    ("act", "log"),
    [
        pytest.param(
            "run=git commit -q --amend -m Amended",
            ["Work of implementer: Add login"],
            id="amend",
        ),
        pytest.param(
            "run=git checkout -q --orphan o && git commit -q -m Orphan",
            ["Work of implementer: Add login"],
            id="orphan",
        ),
        pytest.param(
            "run=git reset -q --soft HEAD~ ",
            ["Work of implementer: Add login", "Work in progress of implementer: Add login"],
            id="reset",
        ),
    ],
)
def test_history_that_was_rewritten_becomes_commits_on_top(
    repo: Repo, tmp_path: Path, act: str, log: list[str]
) -> None:
    head = repo.commit({"second": "1"}, "Second")
    done = Sessions(repo, tmp_path / "out").do("write=a:1", "run=git add a", act, head=head)
    assert done.log == [f"{subject}\n\n{TRAILERS}" for subject in log]
    assert done.tree == {**CODE, "second": "1", "a": "1"}
    assert repo.git("merge-base", head, done.head) == head


def test_pipes_and_sockets_in_the_work_tree_do_not_matter(sessions: Sessions) -> None:
    done = sessions.do(
        "fifo=pipe", "fifo=.gitignore", "run=rm src/app.py", "fifo=src/app.py",
        "run=mkdir d; mkfifo d/.gitattributes", "write=a:1",
    )  # fmt: skip
    assert done.tree == {"specs/auth.md": "# Auth", "a": "1"}


@pytest.mark.parametrize("commit", [True, False])
def test_nested_repositories_are_left_out(sessions: Sessions, commit: bool) -> None:
    done = sessions.do(
        "run=git init -q sub && cd sub && touch x && git add x && git commit -q -m x",
        "write=a:1", *(["commit=x"] if commit else []),
    )  # fmt: skip
    assert done.tree == {**CODE, "a": "1"}
    assert done.result.detail == "Nested repositories cannot be committed and were left out: `sub`."


def test_a_path_that_is_git_on_another_system_is_left_out(sessions: Sessions) -> None:
    done = sessions.do("write=d/.GIT/config:evil", "write=git~1:evil", "write=a:1")
    assert done.tree == {**CODE, "a": "1"}
    assert done.result.verdict is Verdict.FAIL


def test_a_conversion_that_fails_does_not_lose_the_work(sessions: Sessions) -> None:
    done = sessions.do("write=.gitattributes:*.txt working-tree-encoding=UTF-16", "write=a.txt:1")
    assert done.tree == {
        **CODE, ".gitattributes": "*.txt working-tree-encoding=UTF-16", "a.txt": "1"
    }  # fmt: skip


def test_a_huge_line_is_cut_and_the_rest_is_read(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transcript, "MAX_LINE", 1 << 20)
    done = sessions.do("long_line=3000000", "say=after", "write=a:1")
    assert done.lines == ["x" * (1 << 20) + " [cut]", "after"]
    assert done.result.verdict is Verdict.PASS


def test_a_transcript_has_an_end(sessions: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transcript, "MAX_FILE", 1000)
    done = sessions.do(*(f"say={'y' * 100}" for _ in range(20)), "write=a:1")
    assert done.transcript[-1]["text"] == "transcript cut at 0 MiB"
    assert done.files.transcript.stat().st_size < 1200
    assert len(done.lines) == 20


def test_a_folder_without_permissions_is_removed_all_the_same(sessions: Sessions) -> None:
    done = sessions.do("write=d/e/f:1", "run=chmod 0 d/e", "write=a:1")
    assert not done.files.clone.exists()
    assert stat.S_ISREG(done.files.result.lstat().st_mode)
    assert msgspec.json.decode(done.files.result.read_bytes())["outcome"] == "done"
