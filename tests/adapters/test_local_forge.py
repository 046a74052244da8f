"""Landing work without a forge: what reaches the base branch, and what stops it."""

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hyperloop_action.adapters.git_objects import commit_changes
from hyperloop_action.adapters.local_forge import LocalForge
from hyperloop_action.domain.commits import Identity
from hyperloop_action.domain.landing import (
    Blocked,
    Conflict,
    Landing,
    Merged,
    NothingToMerge,
    Raced,
    Strategy,
)
from hyperloop_action.domain.messages import landing_message
from hyperloop_action.errors import PermanentError
from tests.git_world import Repo

BRANCH = "hyperloop/task-1"
ODD = 'a "quoted" ünï/名前.md'

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def branch_off(repo: Repo, *commits: dict[str, str], at: str = "main") -> str:
    """A task branch with these commits, made where nobody sees it; returns its head."""
    side = Repo(repo.path.parent / "agent", repo.env)
    repo.git("worktree", "add", "--quiet", "--force", "-B", BRANCH, str(side.path), at)
    for n, files in enumerate(commits):
        side.commit(files, f"step {n}\n\nSpec-Ref: s@c\nTask-Ref: task-1")
    head = side.tip()
    repo.git("worktree", "remove", "--force", str(side.path))
    return head


def land(
    repo: Repo,
    head: str,
    now: datetime,
    strategy: Strategy = Strategy.SQUASH,
    remote: str | None = None,
) -> Landing:
    forge = LocalForge(repo.engine(remote), "main", lambda: NOW)
    tip = repo.tip("origin/main" if remote else "main")
    message = landing_message("Add it", "Because.", "specs/auth.md@abc", "task-1", head)
    ada = Identity("Ada", "ada@example.com")
    return forge.land(tip, head, strategy, message, when=now, author=ada)


# --- strategies -----------------------------------------------------------------------------------


def test_a_squash_is_one_commit_on_the_base_with_both_changes(repo: Repo, now: datetime) -> None:
    head = branch_off(repo, {ODD: "1"}, {ODD: "2", "src/app.py": "one\ntwo\nTHREE\n"})
    base = repo.commit({"src/app.py": "ONE\ntwo\nthree\n"})

    landing = land(repo, head, now)

    assert isinstance(landing, Merged)
    assert landing == Merged(repo.tip("main"), repo.tip("main^{tree}"))
    assert repo.files("main") == {
        ODD: "2",
        "specs/auth.md": "# Auth",
        "src/app.py": "ONE\ntwo\nTHREE",
    }
    shown = repo.git("show", "-s", "--format=%P|%an <%ae> %at|%cn %ct|%B", "main")
    assert shown == (
        f"{base}|Ada <ada@example.com> 1767323045|hyperloop 1767323045|Add it\n\nBecause.\n\n"
        f"Spec-Ref: specs/auth.md@abc\nTask-Ref: task-1\nTask-Head: {head}\n"
    )


def test_a_merge_has_two_parents(repo: Repo, now: datetime) -> None:
    head = branch_off(repo, {"new": "1"})
    base = repo.commit({"other": "1"})

    land(repo, head, now, Strategy.MERGE)

    assert repo.git("show", "-s", "--format=%P", "main") == f"{base} {head}"
    assert {"new", "other"} <= repo.files("main").keys()


def test_a_rebase_replays_each_commit_and_marks_the_last(repo: Repo, now: datetime) -> None:
    head = branch_off(repo, {"new": "1"}, {"new": "2"}, {"src/app.py": "one\ntwo\nTHREE\n"})
    base = repo.commit({"src/app.py": "ONE\ntwo\nthree\n", "new": "1"})

    landing = land(repo, head, now, Strategy.REBASE)

    assert isinstance(landing, Merged)
    log = repo.git(
        "log", "--format=%s by %an at %at, %cn; %(trailers:separator=%x2C )", f"{base}.."
    )
    refs = "Spec-Ref: s@c, Task-Ref: task-1"
    assert log.split("\n") == [
        f"step 2 by Ada at 1700000000, hyperloop; {refs}, Task-Head: {head}",
        f"step 1 by Ada at 1700000000, hyperloop; {refs}",
    ]  # step 0 brought nothing new
    assert repo.files("main")["src/app.py"] == "ONE\ntwo\nTHREE"
    assert repo.git("rev-list", "--merges", "main") == ""


def test_a_rebase_copes_with_whatever_an_agent_called_itself(repo: Repo, now: datetime) -> None:
    engine = repo.engine()
    tree = repo.git("rev-parse", repo.commit({"new": "1"}) + "^{tree}")
    repo.git("reset", "--quiet", "--hard", "HEAD~1")
    people = "author . <a@b> 5 +0100\ncommitter c <c@d> 5 +0000"
    raw = f"tree {tree}\nparent {repo.tip()}\n{people}\n\nx\n"
    head = engine.run("hash-object", "-t", "commit", "-w", "--stdin", stdin=raw.encode()).text

    land(repo, head, now, Strategy.REBASE)

    shown = repo.git("show", "-s", "--format=%an <%ae> %ad|%s", "--date=raw", "main")
    assert shown == "hyperloop <hyperloop@bot.invalid> 5 +0100|x"


def test_a_rebase_of_a_branch_with_merges_lands_as_one_commit(repo: Repo, now: datetime) -> None:
    branch_off(repo, {"new": "1"})
    repo.commit({"other": "1"})
    repo.git("checkout", "--quiet", BRANCH)
    repo.git("merge", "--quiet", "--no-edit", "main")
    repo.commit({"new": "2"})
    repo.git("checkout", "--quiet", "main")
    base = repo.commit({"other": "2"})

    land(repo, repo.tip(BRANCH), now, Strategy.REBASE)

    assert repo.git("log", "--format=%P %s", "-1") == f"{base} Add it"
    assert {"new": "2", "other": "2"}.items() <= repo.files("main").items()


def test_a_rebase_whose_steps_conflict_although_the_whole_does_not_lands_as_one_commit(
    repo: Repo, now: datetime
) -> None:
    head = branch_off(repo, {"new": "1"}, {"new": "2", "more": "1"})
    base = repo.commit({"new": "2"})

    land(repo, head, now, Strategy.REBASE)

    assert repo.git("log", "--format=%P %s", "-1") == f"{base} Add it"
    assert {"new": "2", "more": "1"}.items() <= repo.files("main").items()


@pytest.mark.parametrize("strategy", list(Strategy))
def test_what_is_already_there_is_nothing_to_merge(
    repo: Repo, now: datetime, strategy: Strategy
) -> None:
    head = branch_off(repo, {"new": "1"}, {"new": "2"})
    repo.commit({"new": "2"})
    before = repo.tip("main")

    same_content = land(repo, head, now, strategy)
    ancestor = land(repo, repo.tip("main~1"), now, strategy)

    assert (same_content, ancestor) == (NothingToMerge(), NothingToMerge())
    assert repo.tip("main") == before


@pytest.mark.parametrize("strategy", list(Strategy))
def test_a_conflict_names_its_files_and_moves_nothing(
    repo: Repo, now: datetime, strategy: Strategy
) -> None:
    head = branch_off(repo, {ODD: "theirs", "src/app.py": "theirs\n", "fine": "1"})
    repo.commit({ODD: "ours", "src/app.py": "ours\n"})
    before = repo.personal_state()

    landing = land(repo, head, now, strategy)

    assert landing == Conflict(
        (ODD, "src/app.py"),
        f"CONFLICT (add/add): Merge conflict in {ODD}\n"
        "CONFLICT (content): Merge conflict in src/app.py",
    )
    assert repo.personal_state() == before


def test_a_file_deleted_here_and_changed_there_is_a_conflict(repo: Repo, now: datetime) -> None:
    head = branch_off(repo, {"src/app.py": "changed\n"})
    repo.git("rm", "--quiet", "src/app.py")
    repo.git("commit", "--quiet", "-m", "delete")

    landing = land(repo, head, now)

    assert isinstance(landing, Conflict)
    assert landing.files == ("src/app.py",)
    assert landing.detail.startswith("CONFLICT (modify/delete): src/app.py deleted in")


def test_unrelated_histories_and_lost_commits_are_blocked_in_words(
    repo: Repo, now: datetime
) -> None:
    stranger = commit_changes(repo.engine(), None, {"a": b"a"}, "stranger", now)
    assert stranger is not None
    before = repo.personal_state()

    unrelated, lost = land(repo, stranger, now), land(repo, "1" * 40, now)

    assert unrelated == Blocked(f"{stranger[:10]} has no history in common with main")
    assert isinstance(lost, Blocked)
    assert lost.reason.startswith("cannot compare")
    assert repo.personal_state() == before


def test_a_base_that_moved_since_it_was_read_is_not_overwritten(repo: Repo, now: datetime) -> None:
    head = branch_off(repo, {"new": "1"})
    read = repo.tip("main")
    moved = repo.commit({"other": "1"})
    forge = LocalForge(repo.engine(), "main", lambda: NOW)

    checked_out = forge.land(read, head, Strategy.SQUASH, "m", when=now)
    repo.git("checkout", "--quiet", "--detach")
    not_checked_out = forge.land(read, head, Strategy.SQUASH, "m", when=now)

    assert (checked_out, not_checked_out) == (Raced(moved), Raced(moved))
    assert repo.tip("main") == moved


def test_a_base_that_was_moved_back_since_it_was_read_stays_back(repo: Repo, now: datetime) -> None:
    """Its old tip is an ancestor of what would land, so git alone would see nothing wrong."""
    head = branch_off(repo, {"new": "1"})
    read = repo.commit({"secret": "oops"})
    repo.git("reset", "--quiet", "--hard", "HEAD~1")

    landing = LocalForge(repo.engine(), "main", lambda: NOW).land(
        read, head, Strategy.SQUASH, "m", when=now
    )

    assert landing == Raced(repo.tip("main"))
    assert "secret" not in repo.files("main")


def test_what_lands_names_its_head_whatever_the_message(repo: Repo, now: datetime) -> None:
    head = branch_off(repo, {"new": "1"})
    forge = LocalForge(repo.engine(), "main", lambda: NOW)

    forge.land(repo.tip("main"), head, Strategy.SQUASH, "Words", when=now)

    assert repo.git("show", "-s", "--format=%B", "main") == f"Words\n\nTask-Head: {head}\n"


# --- the checkout of the base branch --------------------------------------------------------------


def test_a_clean_checkout_follows_and_other_changes_stay(repo: Repo, now: datetime) -> None:
    head = branch_off(repo, {"new": "1"})
    repo.write({"src/app.py": "being edited", "notes.txt": "untracked"})

    landing = land(repo, head, now)

    assert isinstance(landing, Merged)
    assert repo.git("status", "--short") == " M src/app.py\n?? notes.txt"
    assert (repo.path / "new").read_text() == "1"
    assert repo.git("symbolic-ref", "HEAD") == "refs/heads/main"


def test_local_changes_in_the_way_make_it_wait(repo: Repo, now: datetime) -> None:
    repo.commit({ODD: "0"})
    head = branch_off(repo, {ODD: "1", "src/app.py": "1"})
    repo.git("config", "merge.autoStash", "true")
    repo.write({ODD: "being edited", "src/app.py": "staged"})
    repo.git("add", "src/app.py")
    before = repo.personal_state()

    landing = land(repo, head, now)

    assert landing == Blocked(
        f"local changes in {repo.path} would be overwritten", (ODD, "src/app.py")
    )
    assert _unchanged(repo, before)


def test_local_changes_and_untracked_files_in_the_way_are_named_together(
    repo: Repo, now: datetime
) -> None:
    head = branch_off(repo, {"new": "1", "src/app.py": "1"})
    repo.write({"new": "precious", "src/app.py": "being edited"})

    landing = land(repo, head, now)

    assert landing == Blocked(
        f"local changes and untracked files in {repo.path} would be overwritten",
        ("new", "src/app.py"),
    )


@pytest.mark.parametrize("ignored", [False, True])
def test_untracked_files_in_the_way_make_it_wait_even_ignored_ones(
    repo: Repo, now: datetime, ignored: bool
) -> None:
    repo.commit({".gitignore": "new\n" if ignored else ""})
    repo.git("worktree", "prune")
    head = commit_changes(repo.engine(), repo.tip(), {"new": b"1"}, "m", now)
    assert head is not None
    repo.write({"new": "precious"})
    before = repo.personal_state()

    landing = land(repo, head, now)

    assert landing == Blocked(f"untracked files in {repo.path} would be overwritten", ("new",))
    assert _unchanged(repo, before)


def test_a_landing_that_was_killed_while_it_wrote_files_is_finished(
    repo: Repo, now: datetime
) -> None:
    repo.commit({".gitattributes": "*.up filter=shout\n"})
    repo.git("config", "filter.shout.smudge", "tr a-z A-Z")
    repo.git("config", "filter.shout.clean", "tr A-Z a-z")
    head = branch_off(repo, {"src/app.py": "1", "new [x]*.md": "2", "x.up": "loud"})
    repo.write({"src/app.py": "1", "new [x]*.md": "2", "x.up": "LOUD", "mine": "untracked"})

    landing = land(repo, head, now)

    assert isinstance(landing, Merged)
    assert (repo.tip("main"), repo.git("status", "--short")) == (landing.commit, "?? mine")


def test_an_index_that_is_locked_makes_it_wait_and_names_the_lock(
    repo: Repo, now: datetime
) -> None:
    head = branch_off(repo, {"new": "1"})
    lock = repo.path / ".git/index.lock"
    lock.touch()
    os.utime(lock, (0, 0))  # however old: it is not ours to break
    before = repo.personal_state()

    landing = land(repo, head, now)

    assert landing == Blocked(f"another git command holds {lock}; delete it if none is running")
    assert _unchanged(repo, before)


def test_a_checkout_in_the_middle_of_a_merge_or_rebase_makes_it_wait(
    repo: Repo, now: datetime
) -> None:
    head = branch_off(repo, {"new": "1"})
    repo.git("checkout", "--quiet", "-b", "mine", "main")
    repo.commit({"src/app.py": "mine\n"})
    repo.git("checkout", "--quiet", "main")
    repo.commit({"src/app.py": "main\n"})
    said = []
    for command in ("merge", "rebase", "cherry-pick"):
        repo.git(command, "mine", code=1)
        before = repo.personal_state()
        said.append(land(repo, head, now))
        assert _unchanged(repo, before)
        repo.git(command, "--abort")

    assert said == [
        Blocked(f"{repo.path} is in the middle of a {command}")
        for command in ("merge", "rebase", "cherry-pick")
    ]


def test_a_checkout_in_another_worktree_follows_and_the_main_one_is_left_alone(
    repo: Repo, now: datetime, tmp_path: Path
) -> None:
    head = branch_off(repo, {"new": "1"})
    repo.git("checkout", "--quiet", "-b", "feature")
    other = Repo(tmp_path / "other", repo.env)
    repo.git("worktree", "add", "--quiet", str(other.path), "main")

    landing = land(repo, head, now)

    assert isinstance(landing, Merged)
    assert ((other.path / "new").exists(), other.git("status", "--short")) == (True, "")
    assert ((repo.path / "new").exists(), repo.git("status", "--short")) == (False, "")
    assert (repo.tip("feature"), repo.tip("main")) == (repo.tip("main~1"), landing.commit)


def test_a_base_checked_out_twice_makes_it_wait(repo: Repo, now: datetime, tmp_path: Path) -> None:
    head = branch_off(repo, {"new": "1"})
    repo.git("worktree", "add", "--quiet", "--force", str(tmp_path / "twin"), "main")

    landing = land(repo, head, now)

    assert landing == Blocked(
        f"main is checked out more than once: {repo.path} and {tmp_path}/twin"
    )


@pytest.mark.parametrize("how", ["detached", "bare", "worktree-deleted"])
def test_a_base_that_is_checked_out_nowhere_just_moves(
    repo: Repo, origin: Repo, now: datetime, tmp_path: Path, how: str
) -> None:
    head = branch_off(repo, {"new": "1"})
    place = repo
    if how == "bare":
        repo.git("push", "--quiet", str(origin.path), BRANCH)
        place = origin
    else:
        repo.git("checkout", "--quiet", "--detach")
    if how == "worktree-deleted":
        repo.git("worktree", "add", "--quiet", str(tmp_path / "gone"), "main")
        (tmp_path / "gone").rename(tmp_path / "elsewhere")
    at = place.tip("HEAD")

    landing = land(place, head, now)

    assert isinstance(landing, Merged)
    assert place.tip("main") == landing.commit
    assert how == "bare" or place.tip("HEAD") == at
    assert how == "bare" or place.git("status", "--short") == ""


def test_hooks_and_settings_of_the_person_do_not_change_what_lands(
    repo: Repo, now: datetime
) -> None:
    head = branch_off(repo, {"new": "1"})
    for name in ("post-merge", "post-checkout", "reference-transaction"):
        hook = repo.path / ".git/hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\ntouch {repo.path}/ran-{name}\nexit 1\n")
        hook.chmod(0o755)
    for key in ("merge.autoStash", "merge.verifySignatures", "commit.gpgSign", "rebase.autoStash"):
        repo.git("config", key, "true")
    repo.git("config", "merge.ff", "false")

    landing = land(repo, head, now)

    assert isinstance(landing, Merged)
    assert (repo.tip("main"), list(repo.path.glob("ran-*"))) == (landing.commit, [])


def test_a_filter_of_the_person_is_applied_to_the_checkout_alone(repo: Repo, now: datetime) -> None:
    repo.commit({".gitattributes": "*.up filter=shout\n"})
    repo.git("config", "filter.shout.smudge", "tr a-z A-Z")
    repo.git("config", "filter.shout.clean", "tr A-Z a-z")
    head = branch_off(repo, {"x.up": "loud"})

    land(repo, head, now)

    assert ((repo.path / "x.up").read_text(), repo.files("main")["x.up"]) == ("LOUD", "loud")
    assert repo.git("status", "--short") == ""


def _unchanged(repo: Repo, before: dict[str, bytes]) -> bool:
    """But for the reminder that git keeps of where a merge began."""
    reminder = ".git/ORIG_HEAD"
    after = repo.personal_state()
    return after | {reminder: b""} == before | {reminder: b""}


# --- with a remote --------------------------------------------------------------------------------


@pytest.fixture
def delivered(clone: Repo) -> str:
    """The head of a task branch that is at the remote."""
    head = branch_off(clone, {"new": "1"})
    clone.git("push", "--quiet", "origin", BRANCH)
    return head


def test_the_remote_moves_and_the_clean_checkout_follows(
    clone: Repo, origin: Repo, delivered: str, now: datetime
) -> None:
    landing = land(clone, delivered, now, remote="origin")

    assert isinstance(landing, Merged)
    assert landing.left_behind == ""
    assert (origin.tip("main"), clone.tip("main")) == (landing.commit, landing.commit)
    assert ((clone.path / "new").exists(), clone.git("status", "--short")) == (True, "")


def test_a_base_branch_that_is_not_checked_out_follows_the_remote_too(
    clone: Repo, origin: Repo, delivered: str, now: datetime
) -> None:
    clone.git("checkout", "--quiet", "-b", "feature")
    at = clone.tip("feature")

    landing = land(clone, delivered, now, remote="origin")

    assert isinstance(landing, Merged)
    assert (clone.tip("main"), clone.tip("feature")) == (landing.commit, at)


def test_a_checkout_that_cannot_follow_is_said_and_left_alone(
    clone: Repo, origin: Repo, delivered: str, now: datetime
) -> None:
    clone.write({"new": "precious"})
    dirty = land(clone, delivered, now, remote="origin")
    assert isinstance(dirty, Merged)
    assert dirty.left_behind == f"untracked files in {clone.path} would be overwritten: new"
    assert origin.tip("main") == dirty.commit

    (clone.path / "new").unlink()
    own = clone.commit({"mine": "1"})
    forge = LocalForge(clone.engine("origin"), "main", lambda: NOW)
    assert forge.follow(dirty.commit) == "main here has commits of its own"
    assert clone.tip("main") == own


def test_the_remote_decides_a_race_and_the_checkout_does_not_move(
    clone: Repo, origin: Repo, delivered: str, now: datetime, tmp_path: Path
) -> None:
    person = origin.clone(tmp_path / "person")
    moved = person.commit({"other": "1"})
    person.git("push", "--quiet", "origin", "main")
    before = clone.tip("main")

    landing = land(clone, delivered, now, remote="origin")

    assert landing == Raced(None)
    assert (origin.tip("main"), clone.tip("main")) == (moved, before)


def test_a_remote_that_refuses_is_a_matter_for_a_person(
    clone: Repo, origin: Repo, delivered: str, now: datetime
) -> None:
    hook = origin.path / "hooks/update"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho 'main is protected' >&2\nexit 1\n")
    hook.chmod(0o755)
    before = clone.tip("main")

    with pytest.raises(PermanentError, match="main is protected"):
        land(clone, delivered, now, remote="origin")

    assert (origin.tip("main"), clone.tip("main")) == (before, before)


# --- what has landed ------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", list(Strategy))
def test_a_head_that_landed_is_found_by_its_trailers(
    repo: Repo, now: datetime, strategy: Strategy, git_processes: Callable[[], int]
) -> None:
    since = repo.tip("main")
    head = branch_off(repo, {"new": "1"})
    landing = land(repo, head, now, strategy)
    assert isinstance(landing, Merged)
    tip = repo.commit({"later": "1"}, f"I quote Task-Head: {head}\n\nTask-Head: {head}\n\nin vain")
    forge = LocalForge(repo.engine(), "main", lambda: NOW)
    git_processes()

    assert forge.landed("task-1", head, tip, since) == landing.commit
    assert git_processes() == 1
    assert forge.landed("task-1", head, tip) == landing.commit
    assert forge.landed("task-1", since, tip, since) is None
    assert forge.landed("task-10", head, tip, since) is None
    assert forge.landed("task-1", head, tip, landing.commit) is None
