"""What can come of merging a head into the base branch without a forge."""

from dataclasses import dataclass
from enum import StrEnum


class Strategy(StrEnum):
    """What a landed branch looks like in the base branch's history."""

    SQUASH = "squash"  # one new commit on top of the base
    MERGE = "merge"  # a commit with two parents
    REBASE = "rebase"  # each commit of the branch, replayed; merge commits in it make it a squash


@dataclass(frozen=True, slots=True)
class Merged:
    """The base branch holds ``commit``. ``left_behind`` says why a checkout could not follow it;
    empty when everything did."""

    commit: str
    tree: str
    left_behind: str = ""


@dataclass(frozen=True, slots=True)
class Conflict:
    """Base and head disagree about ``files``; ``detail`` is what git says. Nothing moved."""

    files: tuple[str, ...]
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Blocked:
    """A person must clear the way first: ``reason`` says what is in it. Nothing moved."""

    reason: str
    files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """The place where the merge should land said no: a rule of the remote, a missing permission.
    Nothing moved."""

    reason: str


@dataclass(frozen=True, slots=True)
class Raced:
    """The base branch was no longer where it was read. Nothing moved: read again, decide again."""

    tip: str | None


@dataclass(frozen=True, slots=True)
class NothingToMerge:
    """The base branch already has every change of the head."""


Landing = Merged | Conflict | Blocked | Refused | Raced | NothingToMerge
