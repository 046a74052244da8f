"""Which paths a session may change: patterns as in ``.gitignore``, as one question per path.

The harvest asks for every path that differs from where the session began. Paths are relative to the
top of the repository, with ``/`` between their parts.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable

from hyperloop_action.domain.orders import Wants
from hyperloop_action.errors import UsageError

RULES = (".hyperloop/agents/process/**", ".hyperloop/checks/**")
"""Where learned rules live: all that a session for ``rules`` may change, and no other session."""


def changeable(wants: Wants, protected: Iterable[str]) -> Callable[[str], bool]:
    """Tell, for a path, whether a session that ``wants`` this may add, change or delete it."""
    if wants is Wants.RULES:
        return matcher(RULES)
    matches = matcher(protected)
    return lambda path: not matches(path)


def matcher(patterns: Iterable[str]) -> Callable[[str], bool]:
    """Tell, for a path of a file, whether ``.gitignore`` with these lines would match it.

    As there: the last match decides and ``!`` negates; a pattern without a slash matches at any
    depth; one that matches a folder covers all that is in it. Raises :class:`UsageError` for a
    pattern that means nothing.
    """
    rules = [_rule(line) for line in patterns if line.strip() and not line.startswith("#")]

    def matches(path: str) -> bool:
        verdict = False
        for regex, wanted in rules:
            if regex.fullmatch(path):
                verdict = wanted
        return verdict

    return matches


def _rule(line: str) -> tuple[re.Pattern[str], bool]:
    negated = line.startswith("!")
    pattern = line[1:] if negated else line
    folder = pattern.endswith("/")
    body = pattern.strip("/")
    anchored = pattern.startswith("/") or "/" in body
    regex = ("" if anchored else "(?:.*/)?") + _glob(body) + ("/.*" if folder else "(?:/.*)?")
    try:
        return re.compile(regex, re.DOTALL), not negated
    except re.error as error:
        raise UsageError(f"the pattern {line!r} means nothing: {error}") from error


def _glob(body: str) -> str:
    parts = []
    at = 0
    while at < len(body):
        token, regex = _token(body, at)
        parts.append(regex)
        at += len(token)
    return "".join(parts)


_TOKENS = re.compile(
    r"(?P<lead>^\*\*/)|(?P<tail>/\*\*$)|(?P<middle>/\*\*/)|(?P<star>\*+)|(?P<one>\?)"
    r"|(?P<set>\[[!^]?\]?[^\]]*\])|(?P<escaped>\\.)",
    re.DOTALL,
)

_REGEX = {
    "lead": "(?:.*/)?",
    "tail": "/.*",
    "middle": "/(?:.*/)?",
    "star": "[^/]*",
    "one": "[^/]",
}


def _token(body: str, at: int) -> tuple[str, str]:
    """The next piece of a pattern and the regular expression that stands for it."""
    found = _TOKENS.match(body, at)
    if found is None or found.lastgroup is None:
        return body[at], re.escape(body[at])
    text = found[0]
    match found.lastgroup:
        case "set":
            inner = text[2:-1] if text[1] in "!^" else text[1:-1]
            return text, f"(?!/)[{'^' if text[1] in '!^' else ''}{_plain(inner)}]"
        case "escaped":
            return text, re.escape(text[1])
        case group:
            return text, _REGEX[group]


def _plain(inner: str) -> str:
    """The inside of a character set, with what only regular expressions give a meaning escaped."""
    return re.sub(r"([\\\[\]^&~|])", r"\\\1", inner)


def reaches_git(path: str) -> bool:
    """Tell whether some system would take a part of ``path`` for ``.git``: macOS ignores case and
    invisible characters, Windows short names, and dots or spaces at the end."""
    return any(_is_git(part) for part in path.split("/"))


def _is_git(part: str) -> bool:
    seen = "".join(char for char in part if unicodedata.category(char) != "Cf").lower()
    return seen.partition(":")[0].rstrip(". ") in (".git", "git~1")
