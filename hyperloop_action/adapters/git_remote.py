"""Reading branches, here or at the remote, and what a remote's refusal means.

Without a remote the local branches are the truth. With one, the remote's are: they are listed, and
what is new is fetched into ``refs/remotes/``; local branches, tags and FETCH_HEAD stay as they are.
"""

import re
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from typing import TypeVar

from hyperloop_action.adapters import proc
from hyperloop_action.adapters.git import Git
from hyperloop_action.adapters.git_locks import lock_in_the_way, moving
from hyperloop_action.errors import HyperloopError, Moved, PermanentError, TransientError

TIMEOUT_S = 120.0
"""For one exchange with a remote; a hanging connection must not eat the whole cycle."""

_FETCH = (
    *("fetch", "--quiet", "--no-write-fetch-head", "--no-tags", "--no-prune-tags"),
    *("--no-recurse-submodules", "--no-auto-maintenance", "--no-show-forced-updates", "--refmap="),
)

_NEEDS_A_PERSON = re.compile(
    r"permission .*denied|denied to|access denied|not permitted|authentication failed"
    r"|could not read (username|password)|terminal prompts disabled|invalid (username|credentials)"
    r"|returned error: 40[13]|protected branch|protected ref|hook declined|gh0\d\d|refusing to"
    r"|without `?workflows?`? (permission|scope)|deny (updating|deletion)|deletion prohibited"
    r"|host key verification failed|src refspec .* does not match|non-commit object",
    re.IGNORECASE,
)

_NOT_THERE = re.compile(
    r"returned error: 404|repository .*not found|does not appear to be a git repository"
    r"|no such remote",
    re.IGNORECASE,
)

T = TypeVar("T")


def redact(text: str) -> str:
    """Without the credentials that a URL may carry."""
    return re.sub(r"(\w+://)[^/\s@]+@", r"\1***@", text)


def read_tips(git: Git, names: Sequence[str], prefix: str, *, tip_only: str = "") -> dict[str, str]:
    """Short branch name -> commit, for ``names`` and every branch that starts with ``prefix``.
    A shallow clone takes ``tip_only``, one of ``names``, without its history.

    One process without a remote, two with one, four or five when something there has moved.
    """
    below = "refs/heads/" if git.remote is None else f"refs/remotes/{git.remote}/"
    here = _tips_here(git, below, names, prefix)
    if git.remote is None:
        return here
    ask = partial(tips_there, git, names, prefix)
    there = patiently(git, f"list the branches of {git.remote}", ask)
    if all(here.get(name) == commit for name, commit in there.items()):
        return there
    listed = [name for name in names if name in there]
    if tip_only in listed and tip_only not in here and _is_shallow(git):
        _fetch_branches(git, [tip_only], "", "--depth=1")
        listed.remove(tip_only)
    _fetch_branches(git, listed, prefix)
    # A branch may have moved on since it was listed; one that is only here was deleted there.
    fetched = _tips_here(git, below, names, prefix)
    return {name: commit for name, commit in fetched.items() if name in there}


def _tips_here(git: Git, below: str, names: Sequence[str], prefix: str) -> dict[str, str]:
    folders = [below + prefix[: prefix.rfind("/") + 1]] if prefix else []
    listed = git.list_refs(*(below + name for name in names), *folders)
    tips = {ref.removeprefix(below): commit for ref, commit in listed.items()}
    return _wanted(tips, names, prefix)


def tips_there(git: Git, names: Sequence[str], prefix: str = "") -> dict[str, str]:
    """The same, asked from the remote, once. Raises as :func:`exchange`."""
    patterns = [f"refs/heads/{name}" for name in names]
    patterns += [f"refs/heads/{prefix}*"] if prefix else []
    listed = exchange(git, "ls-remote", "--quiet", "--heads", git.remote or "", *patterns)
    pairs = (line.split("\t", 1) for line in listed.text.splitlines())
    tips = {ref.removeprefix("refs/heads/"): commit for commit, ref in pairs}
    return _wanted(tips, names, prefix)


def _wanted(tips: dict[str, str], names: Sequence[str], prefix: str) -> dict[str, str]:
    """Patterns of git match more than was asked (the end of a path, whole folders)."""
    return {
        name: commit
        for name, commit in sorted(tips.items())
        if name in names or (prefix and name.startswith(prefix))
    }


def _fetch_branches(git: Git, names: Sequence[str], prefix: str, *options: str) -> None:
    """Follow the remote's branches, and forget those that are gone: a left-over ``x`` would stand
    in the way of a new ``x/y``."""
    specs = [f"+refs/heads/{name}:refs/remotes/{git.remote}/{name}" for name in names]
    specs += [f"+refs/heads/{prefix}*:refs/remotes/{git.remote}/{prefix}*"] if prefix else []
    fetch = partial(exchange, git, *_FETCH, "--prune", *options, git.remote or "", *specs)
    if specs:
        patiently(git, f"fetch from {git.remote}", fetch)


def merge_base(git: Git, one: str, other: str) -> str | None:
    """As :meth:`Git.merge_base`; a shallow clone first gets as much history as it takes."""
    for depth in ("--deepen=200", "--unshallow"):
        found = git.merge_base(one, other)
        if found or git.remote is None or not _is_shallow(git):
            return found
        fetch = partial(exchange, git, *_FETCH, depth, git.remote, one, other)
        patiently(git, f"fetch older history from {git.remote}", fetch)
    return git.merge_base(one, other)


def _is_shallow(git: Git) -> bool:
    return (git.common_dir / "shallow").exists()


def exchange(git: Git, *args: str, accept: Sequence[int] = (0,)) -> proc.Completed:
    """One command that talks to the remote. Raises what :func:`refusal` makes of a failure."""
    try:
        with moving(git) if args[0] == "fetch" else nullcontext():
            done = git.run(*args, accept=range(256), timeout_s=TIMEOUT_S)
    except TimeoutError as error:
        raise TransientError(
            f"`git {args[0]}` got no answer from {git.remote} within {TIMEOUT_S:.0f} s",
            hint="the next cycle will try again",
        ) from error
    if done.code not in accept:
        raise refusal(git, f"`git {args[0]}` with {git.remote}", done.complaint or done.text)
    return done


def refusal(git: Git, what: str, complaint: str) -> HyperloopError:
    """The error that a complaint about a remote or a ref stands for, by who must act next."""
    if locked := lock_in_the_way(git, complaint):
        return locked
    said = _indented(redact(complaint))
    if _NOT_THERE.search(complaint):  # GitHub says so as well to those who may not know of it
        return PermanentError(
            f"{what} found no repository:\n{said}",
            expected="a repository at that address, and a token or key that may read it",
            hint=f"look at `git remote get-url {git.remote}`;"
            " to work without a remote: `remote: none` in .hyperloop.yaml",
        )
    if _NEEDS_A_PERSON.search(complaint):
        return PermanentError(
            f"{what} was refused:\n{said}",
            expected="a token or key that may do this, and no rule of the branch against it",
            hint="check the permissions of the workflow and the branch protection",
        )
    return TransientError(f"{what} failed:\n{said}", hint="the next cycle will try again")


def _indented(complaint: str) -> str:
    """Without the empty lines and the frame that git puts around what a server says."""
    lines = (line.removeprefix("remote:").strip() for line in complaint.splitlines())
    return "\n".join(f"    {line}" for line in lines if line and line != "Done")


def patiently(git: Git, what: str, attempt: Callable[[], T]) -> T:
    """``attempt``, again while it fails for a reason that may pass. ``Moved`` is not one: what was
    read is out of date, so the caller must decide again."""
    for n in range(git.patience.attempts - 1):
        try:
            return attempt()
        except Moved:
            raise
        except TransientError as error:
            git.notice(f"could not {what}, trying again: {error.what}")
            git.patience.pause(n)
    return attempt()
