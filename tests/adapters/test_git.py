"""Reading a repository, building commits and moving refs, with real git."""

import os
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hyperloop_action.adapters.git import Entry, Patience, open_repository
from hyperloop_action.adapters.git_checkouts import checked_out
from hyperloop_action.adapters.git_environment import environment
from hyperloop_action.adapters.git_locks import _break, lock_in_the_way
from hyperloop_action.adapters.git_objects import commit_changes
from hyperloop_action.adapters.git_refs import move_refs
from hyperloop_action.adapters.git_remote import merge_base, read_tips, redact, refusal
from hyperloop_action.domain.commits import RefMove
from hyperloop_action.errors import Moved, PermanentError, TransientError, UsageError
from tests.git_world import Repo

ODD = 'a "quoted" ünï/名前 with\ttab.md'
TASK = "refs/heads/hyperloop/task-1"


# --- the repository -------------------------------------------------------------------------------


def test_a_repository_is_described_with_one_process(
    repo: Repo, git_processes: Callable[[], int]
) -> None:
    seen = open_repository(repo.path / "src", environment(repo.env))

    git_dir = repo.path / ".git"
    assert (seen.git_dir, seen.common_dir, seen.top) == (git_dir, git_dir, repo.path)
    assert (seen.head, seen.branch, seen.shallow, seen.limits) == (repo.tip(), "main", False, ())
    assert git_processes() == 1


def test_a_linked_worktree_shares_the_common_directory(repo: Repo, tmp_path: Path) -> None:
    repo.git("worktree", "add", "--quiet", "-b", "side", str(tmp_path / "side"))

    seen = open_repository(tmp_path / "side", environment(repo.env))

    assert (seen.top, seen.branch, seen.common_dir) == (
        tmp_path / "side",
        "side",
        repo.path / ".git",
    )


def test_a_bare_repository_a_detached_head_and_a_shallow_clone_work_and_say_what_is_limited(
    repo: Repo, origin: Repo, tmp_path: Path
) -> None:
    env = environment(repo.env)
    repo.commit({"a": "a"})
    shallow = repo.clone(tmp_path / "shallow", "--depth=1")
    repo.git("checkout", "--quiet", "--detach")

    bare, detached, cut = (open_repository(each.path, env) for each in (origin, repo, shallow))
    assert (bare.top, bare.branch, bare.limits) == (None, "main", ())
    assert (detached.branch, detached.limits) == (
        None,
        ("detached HEAD: no checkout follows the base branch",),
    )
    assert (cut.shallow, cut.limits) == (
        True,
        ("shallow clone: old history is fetched when a merge needs it",),
    )


def test_a_file_called_head_does_not_confuse_it(repo: Repo) -> None:
    repo.commit({"HEAD": "not a ref"})

    assert open_repository(repo.path, environment(repo.env)).head == repo.tip()


def test_what_is_no_repository_is_said_with_what_to_do(repo: Repo, tmp_path: Path) -> None:
    env = environment(repo.env)
    (tmp_path / "plain").mkdir()
    repo.git("init", "--quiet", str(tmp_path / "empty"))

    said = []
    for name in ("missing", "plain", "empty"):
        with pytest.raises(UsageError) as caught:
            open_repository(tmp_path / name, env)
        said.append(str(caught.value))

    assert said == [
        f"{tmp_path}/missing is not a directory\n  check --path",
        f"{tmp_path}/plain is not a git repository\n  run `git init` first",
        (
            f"the repository at {tmp_path}/empty has no commit yet\n"
            "  commit your specs first: `git add . && git commit`"
        ),
    ]


def test_variables_that_would_redirect_git_are_removed_and_its_configuration_is_kept() -> None:
    caller = {
        "PATH": "/bin",
        "LANGUAGE": "de",
        "GIT_DIR": "/elsewhere",
        "GIT_INDEX_FILE": "/elsewhere/index",
        "GIT_SSH_COMMAND": "ssh -i key",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "safe.directory",
        "GIT_CONFIG_VALUE_0": "*",
    }

    env = environment(caller, {"http.extraHeader": "AUTHORIZATION: basic c2VjcmV0"})

    last = int(env["GIT_CONFIG_COUNT"]) - 1
    assert not {"GIT_DIR", "GIT_INDEX_FILE", "LANGUAGE"} & env.keys()
    assert (env["PATH"], env["GIT_SSH_COMMAND"]) == ("/bin", "ssh -i key")
    assert (env["GIT_CONFIG_KEY_0"], env["GIT_CONFIG_VALUE_0"]) == ("safe.directory", "*")
    assert env["GIT_CONFIG_KEY_1"] == "core.hooksPath"
    assert env[f"GIT_CONFIG_KEY_{last}"] == "http.extraHeader"


# --- reading --------------------------------------------------------------------------------------


def test_paths_with_spaces_quotes_tabs_and_unicode_are_listed_and_read_as_they_are(
    repo: Repo,
) -> None:
    commit = repo.commit({ODD: "odd", "specs/two words.md": "two"})
    git = repo.engine()

    listed = git.list_tree(commit, "specs", ODD, "nowhere", sizes=True)
    contents = git.read_blobs(entry.blob for entry in listed.values())

    assert {path: (contents[e.blob], e.mode, e.size) for path, e in listed.items()} == {
        ODD: (b"odd", "100644", 3),
        "specs/auth.md": (b"# Auth\n", "100644", 7),
        "specs/two words.md": (b"two", "100644", 3),
    }


def test_megabytes_of_blobs_are_read_with_one_process(
    repo: Repo, git_processes: Callable[[], int]
) -> None:
    texts = {f"big/{n}": f"{n}\n" * 500_000 for n in range(8)}
    commit = repo.commit({**texts, "none": ""})
    git = repo.engine()
    git_processes()

    read = git.read_blobs([f"{commit}:{name}" for name in [*texts, "none"]])

    assert read == {f"{commit}:{name}": text.encode() for name, text in texts.items()} | {
        f"{commit}:none": b""
    }
    assert git_processes() == 1


def test_a_blob_or_commit_that_is_gone_is_named(repo: Repo) -> None:
    git = repo.engine()
    gone = "1" * 40

    with pytest.raises(PermanentError, match=f"{gone} is not in the repository"):
        git.read_blobs([repo.tip(), gone])
    with pytest.raises(PermanentError, match=f"commit {gone} cannot be read"):
        git.list_tree(gone)
    with pytest.raises(PermanentError, match="cannot compare"):
        git.merge_base(gone, repo.tip())


def test_reading_nothing_starts_nothing(repo: Repo, git_processes: Callable[[], int]) -> None:
    git = repo.engine()
    git_processes()

    assert (git.read_blobs([]), git_processes()) == ({}, 0)


def test_what_is_below_a_folder_left_out_of_a_listing_is_not_opened(repo: Repo) -> None:
    commit = repo.commit({"archive/1/old.md": "old", "tasks/archive/kept.md": "kept", ODD: "odd"})
    tree = repo.git("rev-parse", f"{commit}:archive/1")
    (repo.path / ".git/objects" / tree[:2] / tree[2:]).unlink()

    listed = repo.engine().list_without(commit, "archive")

    assert sorted(listed) == sorted(["specs/auth.md", "src/app.py", "tasks/archive/kept.md", ODD])
    assert listed["src/app.py"] == Entry("100644", repo.git("rev-parse", "HEAD:src/app.py"))


def test_branches_that_are_part_of_another_are_told_from_the_rest(repo: Repo) -> None:
    for name in ("bot/in", "bot-in", "robot/in"):
        repo.git("branch", name)
    repo.git("checkout", "--quiet", "-b", "bot/out")
    repo.commit({"a": "a"})
    git = repo.engine()

    assert git.list_merged("main", "refs/heads/bot/") == ["refs/heads/bot/in"]
    assert git.list_merged("main", "refs/heads/bot") == ["refs/heads/bot-in", "refs/heads/bot/in"]


def test_a_log_has_every_commit_with_its_trailers(repo: Repo) -> None:
    begin = repo.tip()
    message = "Käse\n\nWhy.\n\nMore.\n\nTask-Ref: task-1\nTask-Ref: task-2\nSpec-Ref: a b@c"
    second = repo.commit({"a": "a"}, message)
    repo.commit({"a": "b"}, "x\n\nTask-Ref: task-10")
    git = repo.engine()

    found = git.log("HEAD", grep="^Task-Ref: task-1$")

    [commit] = found
    assert (commit.id, commit.subject) == (second, "Käse")
    assert commit.time == datetime.fromtimestamp(1_700_000_000, UTC)
    assert commit.body.startswith("Why.\n\nMore.\n\nTask-Ref: task-1")
    assert commit.trailers == {"Task-Ref": ("task-1", "task-2"), "Spec-Ref": ("a b@c",)}
    assert [c.subject for c in git.log(f"{begin}..HEAD", limit=1)] == ["x"]
    assert [c.body for c in git.log(begin)] == [""]


def test_the_difference_of_two_blobs_is_shown_whatever_the_user_configured(repo: Repo) -> None:
    repo.git("config", "diff.noprefix", "true")
    repo.git("config", "color.ui", "always")
    repo.git("config", "diff.external", "false")
    old = repo.tip()
    new = repo.commit({"specs/auth.md": "# Authentication\n"})

    shown = repo.engine().diff_text(f"{old}:specs/auth.md", f"{new}:specs/auth.md")

    assert shown.splitlines()[2:] == [
        "--- a/specs/auth.md",
        "+++ b/specs/auth.md",
        "@@ -1 +1 @@",
        "-# Auth",
        "+# Authentication",
    ]


def test_every_worktree_of_a_branch_is_found_even_in_the_middle_of_a_rebase(
    repo: Repo, tmp_path: Path
) -> None:
    side = Repo(tmp_path / "side wörk", repo.env)
    repo.git("worktree", "add", "--quiet", "-b", "side", str(side.path))
    side.commit({"src/app.py": "mine\n"})
    repo.commit({"src/app.py": "theirs\n"})
    git = repo.engine()

    assert (checked_out(git, "main"), checked_out(git, "side")) == ([repo.path], [side.path])
    side.git("rebase", "--quiet", "main", code=1)
    assert checked_out(git, "side") == [side.path]
    side.git("rebase", "--abort")
    side.git("checkout", "--quiet", "--detach")
    assert checked_out(git, "side") == []


# --- building commits -----------------------------------------------------------------------------


def test_a_commit_is_built_with_one_process_and_no_ref(
    repo: Repo, now: datetime, git_processes: Callable[[], int]
) -> None:
    git, before = repo.engine(), repo.personal_state()
    git_processes()
    changes = {ODD: b"odd\0bytes\n\n", "src": None, "new\nline": b"", 'back\\slash"': b"x"}

    commit = commit_changes(git, repo.tip(), changes, "Ünï\n\nBody", now)

    assert git_processes() == 1
    assert commit is not None
    assert repo.personal_state() == before
    assert repo.files(commit) == {
        "specs/auth.md": "# Auth",
        ODD: "odd\0bytes\n",
        "new\nline": "",
        'back\\slash"': "x",
    }
    shown = repo.git("show", "-s", "--format=%an <%ae> %at %cn <%ce> %ct %P %B", commit)
    bot = "hyperloop <hyperloop@bot.invalid> 1767323045"
    assert shown == f"{bot} {bot} {repo.tip()} Ünï\n\nBody"


def test_the_same_changes_at_the_same_time_are_the_same_commit(repo: Repo, now: datetime) -> None:
    git = repo.engine()

    built = {commit_changes(git, repo.tip(), {"a": b"a"}, "m", now) for _ in range(2)}

    assert len(built) == 1


def test_changes_that_change_nothing_make_no_commit(repo: Repo, now: datetime) -> None:
    same = {"src/app.py": b"one\ntwo\nthree\n", "gone/long/ago": None}

    assert commit_changes(repo.engine(), repo.tip(), same, "m", now) is None


def test_the_first_commit_has_no_parent_whatever_the_hash(
    repo: Repo, caller_env: dict[str, str], tmp_path: Path, now: datetime
) -> None:
    other = Repo(tmp_path / "sha256", caller_env)
    repo.git("init", "--quiet", "--object-format=sha256", str(other.path))
    other.commit({"a": "a"})
    for each in (repo, other):
        git = each.engine()
        commit = commit_changes(git, None, {"b": b"b", "archive/x": b"x"}, "m", now)
        assert commit is not None
        assert each.git("rev-list", "--parents", commit) == commit
        assert list(git.list_without(commit, "archive")) == ["b"]


# --- moving refs ----------------------------------------------------------------------------------


@pytest.fixture(params=["alone", "remote"])
def place(request: pytest.FixtureRequest) -> tuple[Repo, Repo, str | None]:
    """Where we run, where the refs are, and the name of the remote: with and without one."""
    if request.param == "alone":
        repo = request.getfixturevalue("repo")
        return repo, repo, None
    return request.getfixturevalue("clone"), request.getfixturevalue("origin"), "origin"


def test_refs_are_created_moved_and_deleted_together(
    place: tuple[Repo, Repo, str | None], now: datetime, git_processes: Callable[[], int]
) -> None:
    here, there, remote = place
    git, base = here.engine(remote), here.tip()
    one, two = (commit_changes(git, base, {"a": text}, "m", now) for text in (b"1", b"2"))
    there.git("branch", "moves", base)
    there.git("branch", "goes", base)
    moves = [
        RefMove(TASK, None, one),
        RefMove("refs/heads/moves", base, two),
        RefMove("refs/heads/goes", base, None),
    ]
    git_processes()

    move_refs(git, moves)
    used = git_processes()
    move_refs(git, moves)  # repeated, as after a crash

    heads = there.git("for-each-ref", "--format=%(refname) %(objectname)", "refs/heads")
    assert heads.split("\n") == [
        f"{TASK} {one}",
        f"refs/heads/main {base}",
        f"refs/heads/moves {two}",
    ]
    assert used == 1


def test_one_stale_old_value_moves_nothing(
    place: tuple[Repo, Repo, str | None], now: datetime
) -> None:
    here, there, remote = place
    git, base = here.engine(remote), here.tip()
    new = commit_changes(git, base, {"a": b"1"}, "m", now)
    there.git("branch", "taken", base)
    pauses: list[float] = []
    git = replace(git, patience=Patience(sleep=pauses.append))
    for stale in (
        RefMove("refs/heads/taken", None, new),  # should not exist, does
        RefMove("refs/heads/absent", base, new),  # should exist, does not
        RefMove("refs/heads/taken", new, None),  # is elsewhere
    ):
        name = stale.ref.removeprefix("refs/heads/")
        with pytest.raises(Moved, match=f"somebody else moved {name} first"):
            move_refs(git, [RefMove(TASK, None, new), stale])

    assert there.git("for-each-ref", "--format=%(refname:short)", "refs/heads").split() == [
        "main",
        "taken",
    ]
    assert pauses == []  # what was read is out of date: trying the same again is no use


def test_a_ref_may_go_back_to_history_that_was_rewritten(
    place: tuple[Repo, Repo, str | None], now: datetime
) -> None:
    here, there, remote = place
    git, base = here.engine(remote), here.tip()
    one, two = (commit_changes(git, base, {"a": text}, "m", now) for text in (b"1", b"2"))

    move_refs(git, [RefMove(TASK, None, one)])
    move_refs(git, [RefMove(TASK, one, two)])

    assert there.tip(TASK) == two


def test_a_branch_name_in_the_way_is_a_matter_for_a_person(repo: Repo) -> None:
    repo.git("branch", "hyperloop")

    with pytest.raises(
        PermanentError, match=f"the branch {TASK} cannot be made: there is one named"
    ):
        move_refs(repo.engine(), [RefMove(TASK, None, repo.tip())])


def test_a_push_whose_answer_was_lost_has_succeeded(
    clone: Repo, origin: Repo, now: datetime
) -> None:
    """The remote moves the ref and then the connection breaks: git push fails."""
    git = clone.engine("origin")
    new = commit_changes(git, clone.tip(), {"a": b"1"}, "m", now)
    wrapper = clone.path.parent / "receive"
    wrapper.write_text(
        "#!/bin/sh\n"
        f"git -C {origin.path} fetch -q {clone.path} {new} && "
        f"git -C {origin.path} update-ref {TASK} {new}\n"
        "exit 1\n"
    )
    wrapper.chmod(0o755)
    clone.git("config", "remote.origin.receivepack", str(wrapper))

    move_refs(git, [RefMove(TASK, None, new)])

    assert origin.tip(TASK) == new


def test_a_refusing_hook_is_a_matter_for_a_person_and_its_words_are_shown(
    clone: Repo, origin: Repo
) -> None:
    hook = origin.path / "hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho 'branch is protected by rule 7' >&2\nexit 1\n")
    hook.chmod(0o755)
    pauses: list[float] = []
    git = clone.engine("origin", Patience(sleep=pauses.append))

    with pytest.raises(PermanentError, match="protected by rule 7"):
        move_refs(git, [RefMove(TASK, None, clone.tip())])

    assert pauses == []


def test_an_unreachable_remote_is_tried_again_with_growing_pauses(clone: Repo) -> None:
    clone.git("config", "remote.origin.url", "http://ada:s3cret@127.0.0.1:9/x.git")
    pauses: list[float] = []
    git = clone.engine("origin", Patience(attempts=3, sleep=pauses.append, chance=lambda: 1.0))

    with pytest.raises(TransientError) as caught:
        move_refs(git, [RefMove(TASK, None, clone.tip())])

    assert pauses == [0.5, 1.0]
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("complaint", "kind"),
    [
        ("remote: Permission to o/r.git denied to bot.\nfatal: ... error: 403", PermanentError),
        ("! [remote rejected] main -> main (protected branch hook declined)", PermanentError),
        ("refusing to allow a GitHub App to create or update workflow", PermanentError),
        (
            "fatal: could not read Username for 'https://x': terminal prompts disabled",
            PermanentError,
        ),
        ("fatal: Could not resolve host: github.com", TransientError),
        ("The requested URL returned error: 502", TransientError),
        ("fatal: the remote end hung up unexpectedly", TransientError),
    ],
)
def test_a_refusal_is_told_from_trouble_that_passes(
    repo: Repo, complaint: str, kind: type[Exception]
) -> None:
    assert type(refusal(repo.engine(), "push", complaint)) is kind


def test_credentials_in_a_url_are_not_shown(repo: Repo) -> None:
    said = "fatal: unable to access 'https://x-access-token:ghs_1@github.com/o/r'"

    assert redact(said) == "fatal: unable to access 'https://***@github.com/o/r'"
    assert "ghs_1" not in str(refusal(repo.engine(), "push", said))
    assert "ghs_1" not in str(refusal(repo.engine(), "push", f"permission denied: {said}"))


@pytest.mark.parametrize("name", ["refs/heads/hyperloop/task-1.lock", "HEAD.lock"])
def test_a_ref_lock_of_a_process_that_died_long_ago_is_removed(repo: Repo, name: str) -> None:
    lock = _lock(repo, name, age_s=3600)
    said: list[str] = []
    ref = TASK if "refs" in name else "refs/heads/main"
    old = None if "refs" in name else repo.tip()
    new = commit_changes(repo.engine(), repo.tip(), {"a": b"1"}, "m", datetime.now(UTC))

    move_refs(replace(repo.engine(), notice=said.append), [RefMove(ref, old, new)])

    assert repo.tip(ref) == new
    assert not lock.exists()
    assert f"removed {lock}, left behind by a git process that died" in said


@pytest.mark.parametrize("name", ["packed-refs.lock", "packed-refs.new"])
def test_a_left_over_lock_of_packed_refs_is_removed(repo: Repo, name: str) -> None:
    repo.git("branch", "goes")
    repo.git("pack-refs", "--all")
    lock = _lock(repo, name, age_s=3600)

    move_refs(repo.engine(), [RefMove("refs/heads/goes", repo.tip(), None)])

    assert not lock.exists()
    assert repo.git("branch", "--list", "goes") == ""


def test_a_lock_of_an_index_stays_however_old(repo: Repo) -> None:
    lock = _lock(repo, "index.lock", age_s=1e6)

    error = lock_in_the_way(repo.engine(), f"fatal: Unable to create '{lock}': File exists.")

    assert "has been held for" in str(error)
    assert lock.exists()


def test_a_young_lock_is_named_with_its_age_and_stays(repo: Repo) -> None:
    lock = _lock(repo, "refs/heads/hyperloop/task-1.lock", age_s=30)

    with pytest.raises(TransientError, match=rf"{lock} has been held for 3\d s"):
        move_refs(repo.engine(), [RefMove(TASK, None, repo.tip())])

    assert lock.exists()


def test_a_fresh_lock_met_while_breaking_a_stale_one_is_put_back(repo: Repo) -> None:
    """Two processes see the same stale lock; the first removes it and takes its own."""
    lock = _lock(repo, "refs/heads/hyperloop/task-1.lock", age_s=1)

    _break(repo.engine(), lock)

    assert list(lock.parent.iterdir()) == [lock]


def test_a_stale_lock_on_what_is_fetched_is_removed_too(clone: Repo, origin: Repo) -> None:
    lock = _lock(clone, "refs/remotes/origin/new.lock", age_s=3600)
    origin.git("branch", "new", "main")

    assert read_tips(clone.engine("origin"), ["new"], "") == {"new": origin.tip("main")}
    assert not lock.exists()


def _lock(repo: Repo, name: str, age_s: float) -> Path:
    lock = repo.path / ".git" / name
    lock.parent.mkdir(parents=True, exist_ok=True)
    lock.touch()
    os.utime(lock, (time.time() - age_s,) * 2)
    return lock


# --- tips -----------------------------------------------------------------------------------------


def test_tips_of_a_repository_alone_take_one_process(
    repo: Repo, git_processes: Callable[[], int]
) -> None:
    for name in ("hyperloop/task-1", "hyperloop/deep/er", "hyperloop-state", "other", "x/main"):
        repo.git("branch", name)
    git = repo.engine()
    git_processes()

    tips = read_tips(git, ["main", "hyperloop-state", "absent"], "hyperloop/")

    names = ["hyperloop-state", "hyperloop/deep/er", "hyperloop/task-1", "main"]
    assert (tips, git_processes()) == (dict.fromkeys(names, repo.tip()), 1)


def test_a_prefix_need_not_end_with_a_slash(repo: Repo) -> None:
    for name in ("bot-1", "bot-x/2", "robot-1"):
        repo.git("branch", name)

    assert list(read_tips(repo.engine(), [], "bot-")) == ["bot-1", "bot-x/2"]


def test_tips_of_a_remote_take_two_processes_while_nothing_moves(
    clone: Repo, origin: Repo, git_processes: Callable[[], int]
) -> None:
    for name in ("hyperloop/task-1", "other", "x/main"):
        origin.git("branch", name, "main")
    git = clone.engine("origin")
    wanted = (["main", "absent"], "hyperloop/")
    expected = {"hyperloop/task-1": origin.tip("main"), "main": origin.tip("main")}
    git_processes()

    assert (read_tips(git, *wanted), git_processes()) == (expected, 4)
    assert (read_tips(git, *wanted), git_processes()) == (expected, 2)


def test_a_fetch_leaves_branches_tags_and_fetch_head_alone(
    clone: Repo, origin: Repo, tmp_path: Path
) -> None:
    clone.git("config", "remote.origin.fetch", "+refs/*:refs/*")  # a mirror would move branches
    other = origin.clone(tmp_path / "other")
    new = other.commit({"a": "a"})
    other.git("tag", "v1")
    other.git("push", "--quiet", "origin", "main", "v1")
    before = clone.personal_state()

    tips = read_tips(clone.engine("origin"), ["main"], "hyperloop/")

    assert tips == {"main": new}
    assert clone.personal_state() == before


def test_a_branch_deleted_at_the_remote_does_not_stand_in_the_way(
    clone: Repo, origin: Repo
) -> None:
    git = clone.engine("origin")
    origin.git("branch", "hyperloop/a", "main")
    read_tips(git, [], "hyperloop/")
    origin.git("branch", "-D", "hyperloop/a")
    origin.git("branch", "hyperloop/a/b", "main")

    assert list(read_tips(git, [], "hyperloop/")) == ["hyperloop/a/b"]


def test_a_named_branch_deleted_at_the_remote_is_gone_and_needs_no_fetch(
    clone: Repo, origin: Repo, git_processes: Callable[[], int]
) -> None:
    git = clone.engine("origin")
    origin.git("branch", "state", "main")
    read_tips(git, ["main", "state"], "hyperloop/")
    origin.git("branch", "-D", "state")
    git_processes()

    assert list(read_tips(git, ["main", "state"], "hyperloop/")) == ["main"]
    assert git_processes() == 2
    origin.git("branch", "hyperloop/new", "main")
    assert list(read_tips(git, ["main", "state"], "hyperloop/")) == ["hyperloop/new", "main"]


def test_a_remote_that_rewrote_its_branch_is_followed(
    clone: Repo, origin: Repo, tmp_path: Path
) -> None:
    other = origin.clone(tmp_path / "other")
    other.git("commit", "--quiet", "--amend", "-m", "rewritten")
    other.git("push", "--quiet", "--force", "origin", "main")

    assert read_tips(clone.engine("origin"), ["main"], "") == {"main": other.tip()}


def test_a_shallow_clone_fetches_the_history_that_a_merge_base_needs(
    origin: Repo, tmp_path: Path
) -> None:
    person = origin.clone(tmp_path / "person")
    fork = person.tip()
    for n in range(3):
        person.commit({"main.txt": str(n)})
    person.git("push", "--quiet", "origin", "main")
    person.git("checkout", "--quiet", "-b", "hyperloop/task-1", fork)
    person.commit({"task.txt": "t"})
    person.git("push", "--quiet", "origin", "hyperloop/task-1")
    shallow = origin.clone(tmp_path / "shallow", "--depth=1")
    git = shallow.engine("origin")

    tips = read_tips(git, ["main"], "hyperloop/")

    assert git.merge_base(tips["main"], tips["hyperloop/task-1"]) is None
    assert merge_base(git, tips["main"], tips["hyperloop/task-1"]) == fork


def test_a_remote_that_is_not_there_is_a_matter_for_a_person(repo: Repo) -> None:
    with pytest.raises(PermanentError, match="nowhere"):
        read_tips(repo.engine("nowhere"), ["main"], "")
