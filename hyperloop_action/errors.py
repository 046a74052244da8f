"""What can go wrong, sorted by who must act next; the CLI turns each into its exit code.

Every message has three parts: what failed, what was expected, what to try.
"""

from dataclasses import dataclass


class HyperloopError(Exception):
    """Base of everything raised on purpose; a bare exception elsewhere is a bug of ours (exit
    70)."""

    exit_code = 70

    def __init__(self, what: str, *, expected: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.expected = expected
        self.hint = hint

    def __str__(self) -> str:
        parts = [self.what]
        if self.expected:
            parts.append(f"expected {self.expected}")
        if self.hint:
            parts.append(self.hint)
        return "\n  ".join(parts)

    @property
    def line(self) -> str:
        """The whole message where there is room for one line only, as in a log."""
        return "; ".join(filter(None, (part.strip() for part in str(self).splitlines())))


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a file that a person wrote. ``line`` counts from 1; 0 means the whole file."""

    file: str
    line: int
    key: str
    what: str
    expected: str = ""
    hint: str = ""

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        key = f" {self.key}:" if self.key else ""
        expected = f"; expected {self.expected}" if self.expected else ""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{where}:{key} {self.what}{expected}{hint}"


class ConfigError(HyperloopError):
    """The author of a file must act: configuration, process, agents, or a hand-edited state
    file."""

    exit_code = 2

    def __init__(self, problems: list[Problem], *, hint: str = "") -> None:
        self.problems = problems
        what = "\n  ".join(str(problem) for problem in problems)
        super().__init__(what, hint=hint)


class UsageError(HyperloopError):
    """The person at the keyboard must act: a wrong name, a missing repository, a refused
    command."""

    exit_code = 2


class TransientError(HyperloopError):
    """The next cycle will try again by itself: network, locks, a remote that is down."""

    exit_code = 75


class Moved(TransientError):
    """A ref is no longer where it was read: somebody else was first. Re-read and decide again."""


class CheckedOut(TransientError):
    """Branches that were to be moved are checked out in working trees: ``places`` is ref -> folder.
    Nothing moved. Somebody works on them here, and would find the new commits as deletions."""

    def __init__(self, places: dict[str, str]) -> None:
        self.places = places
        names = {ref.removeprefix("refs/heads/"): place for ref, place in places.items()}
        super().__init__(
            ", ".join(f"{name} is checked out in {place}" for name, place in names.items()),
            expected="no working tree on a branch that has to move",
            hint="check out another branch there: "
            + "; ".join(f"git -C {place} switch --detach" for place in sorted({*names.values()})),
        )


class PermanentError(HyperloopError):
    """Trying again cannot help and a person must act: a refused push, a missing permission."""

    exit_code = 75


class IllegalTransition(HyperloopError):
    """A bug: some rule asked for a move that the transition table does not have."""
