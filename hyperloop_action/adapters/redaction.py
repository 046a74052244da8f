"""Text that an agent wrote -> the same text with every secret replaced by ``***``.

Two kinds are known: the values that were passed to the agent, and the shapes of well-known tokens.
``supervisor.py`` sends everything through here that leaves a session: transcript, answer, errors.
"""

import json
import re
from collections.abc import Callable, Iterable

from hyperloop_action.domain.environment import MIN_SECRET

MASK = "***"


_LONG_LINE = 16
_KEY = r"[A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----"
_BEGIN, _END = re.compile("-----BEGIN " + _KEY), re.compile("-----END " + _KEY)
_BODY = re.compile(r"\s*[A-Za-z0-9+/=]*\s*|[A-Za-z-]+: .*")
_TOKENS = re.compile(
    r"sk-ant-[A-Za-z0-9_-]{8,}"
    r"|gh[pousr]_[A-Za-z0-9]{16,}"
    r"|github_pat_[A-Za-z0-9_]{16,}"
    r"|A(?:KIA|SIA)[A-Z0-9]{16}"
    r"|xox[abeprs]-[A-Za-z0-9-]{8,}"
    rf"|{_BEGIN.pattern}.*?(?:{_END.pattern}|\Z)",
    re.DOTALL,
)


class Redactor:
    """Knows the secret ``values`` of one session."""

    def __init__(self, values: Iterable[str]) -> None:
        self.secrets = tuple(sorted(_spellings(values), key=len, reverse=True))
        known = "|".join(re.escape(secret) for secret in self.secrets)
        self._known = re.compile(known) if known else None

    def text(self, text: str) -> str:
        if self._known:
            text = self._known.sub(MASK, text)
        return _TOKENS.sub(MASK, text)

    def found_in(self, data: bytes) -> bool:
        """Tell whether a passed value is in there; shapes of tokens are not asked for, since
        examples of them belong into some repositories."""
        return any(secret.encode() in data for secret in self.secrets)

    def lines(self) -> Callable[[str], str]:
        """A function for the lines of one stream, which remembers that it is inside a key. A line
        that no key has ends it too: text that merely quotes a first line does not hide the rest."""
        inside = False

        def redact(line: str) -> str:
            nonlocal inside
            if inside and _BODY.fullmatch(line):
                return MASK
            inside = not line.startswith("{") and any(
                not _END.search(line, begin.end()) for begin in _BEGIN.finditer(line)
            )
            return self.text(line)

        return redact

    def deep(self, value: object) -> object:
        """Every string in a value made of dictionaries and lists, redacted; keys are kept."""
        match value:
            case str():
                return self.text(value)
            case dict():
                return {key: self.deep(each) for key, each in value.items()}
            case list() | tuple():
                return [self.deep(each) for each in value]
            case _:
                return value


def _spellings(values: Iterable[str]) -> set[str]:
    """Each value as it is and as JSON spells it; long lines of a value that has several."""
    plain: set[str] = set()
    for value in (value.strip() for value in values):
        plain |= {value} if len(value) >= MIN_SECRET else set()
        lines = (line.strip() for line in value.splitlines())
        plain |= {line for line in lines if len(line) >= _LONG_LINE}
    return plain | {json.dumps(value)[1:-1] for value in plain}
