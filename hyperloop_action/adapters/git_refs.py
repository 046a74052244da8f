"""Moving refs, all or none, each only from where it was read; and what came of it.

Callers are the state branch and the local forge. An answer of git is not trusted alone: at least
six of its texts mean "somebody was first", and a connection may break after the refs have moved.
So after a failure the refs are read again, and where they are decides; the text is only asked when
they are where they were.
"""

import re
from collections.abc import Sequence
from functools import partial

from hyperloop_action.adapters.git import Git
from hyperloop_action.adapters.git_locks import moving
from hyperloop_action.adapters.git_remote import exchange, patiently, refusal, tips_there
from hyperloop_action.domain.commits import RefMove
from hyperloop_action.errors import HyperloopError, Moved, PermanentError, TransientError

_PUSH = (
    *("push", "--atomic", "--porcelain", "--no-verify", "--no-follow-tags", "--no-signed"),
    "--recurse-submodules=no",
)
_FIRST = re.compile(
    r"stale info|fetch first|non-fast-forward|is at \S+ but expected|reference already exists"
    r"|unable to resolve reference|reference is missing|shallow update not allowed",
    re.IGNORECASE,
)
_IN_THE_WAY = re.compile(r"'(refs/\S+)' exists; cannot create '(refs/\S+)'")


def move_refs(git: Git, moves: Sequence[RefMove], why: str = "hyperloop") -> None:
    """Make all ``moves`` or none, at the remote if there is one, else here. A ref that is where it
    should go counts as moved, so the same call may be repeated.

    Raises :class:`Moved` when a ref is elsewhere, :class:`TransientError` when it may work later,
    :class:`PermanentError` when somebody must change a permission, a rule or a branch name.
    """
    if not moves:
        return
    patiently(git, f"move {_named(moves)}", partial(_attempt, git, moves, why))


def _attempt(git: Git, moves: Sequence[RefMove], why: str) -> None:
    try:
        complaint = _update(git, moves, why) if git.remote is None else _push(git, moves)
        if complaint is None:
            return
        failure = _meaning(git, moves, complaint)
    except TransientError as error:  # no answer: the refs may have moved all the same
        failure = error
    try:
        now = _refs_now(git, moves)
    except HyperloopError:
        raise failure from None
    if all(now.get(move.ref) == move.new for move in moves):
        return
    if elsewhere := [move for move in moves if now.get(move.ref) not in (move.old, move.new)]:
        raise Moved(f"somebody else moved {_named(elsewhere)} first", hint="read it again")
    raise failure


def _update(git: Git, moves: Sequence[RefMove], why: str) -> str | None:
    """One local transaction; git's complaint, or None when it was done."""
    none = "0" * len(next(move.new or move.old or "" for move in moves))
    lines = (f"update {m.ref}\0{m.new or none}\0{m.old or none}\0" for m in moves)
    with moving(git):
        done = git.run(
            *("update-ref", "-m", why, "--stdin", "-z"),
            stdin="".join(lines).encode(),
            accept=range(256),
        )
    return done.complaint if done.code else None


def _push(git: Git, moves: Sequence[RefMove]) -> str | None:
    """One atomic push in which each ref names its old value; git's complaint, or None."""
    leases = [f"--force-with-lease={move.ref}:{move.old or ''}" for move in moves]
    specs = [f"{move.new or ''}:{move.ref}" for move in moves]
    args = (*_PUSH, *leases, git.remote or "", *specs)
    done = exchange(git, *args, accept=range(256))
    return f"{done.complaint}\n{done.text}" if done.code else None


def _meaning(git: Git, moves: Sequence[RefMove], complaint: str) -> HyperloopError:
    if blocked := _IN_THE_WAY.search(complaint):
        return PermanentError(
            f"the branch {blocked[2]} cannot be made: there is one named {blocked[1]}",
            hint="rename that branch, or choose another branch_prefix",
        )
    if _FIRST.search(complaint):
        return Moved(f"somebody else moved {_named(moves)} first", hint="read it again")
    return refusal(git, f"moving {_named(moves)}", complaint)


def _refs_now(git: Git, moves: Sequence[RefMove]) -> dict[str, str]:
    if git.remote is None:
        return git.list_refs(*(move.ref for move in moves))
    names = [move.ref.removeprefix("refs/heads/") for move in moves]
    return {f"refs/heads/{name}": commit for name, commit in tips_there(git, names).items()}


def _named(moves: Sequence[RefMove]) -> str:
    return ", ".join(move.ref.removeprefix("refs/heads/") for move in moves)
