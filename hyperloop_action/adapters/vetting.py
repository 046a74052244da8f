"""Every change of a session -> whether it may be kept, and one finding for each kind that may not.

``harvest.py`` asks about changes in commits and about leftovers in the work tree. Sizes are known
before any content is read, and nothing above the quota is.
"""

from collections.abc import Collection, Iterable

from hyperloop_action.adapters.clones import Workshop
from hyperloop_action.adapters.redaction import Redactor
from hyperloop_action.adapters.rewrite import ABSENT, GITLINK, Change, Put
from hyperloop_action.adapters.untrusted import Leftover, read
from hyperloop_action.domain.orders import Order, Wants
from hyperloop_action.domain.protected import RULES, changeable, reaches_git

MB = 1_000_000
MOST_NAMED = 20


class Screen:
    """Knows, once it has looked at all changes, which of them are refused."""

    def __init__(
        self,
        order: Order,
        workshop: Workshop,
        redactor: Redactor,
        changes: Iterable[Change],
        left: Collection[Leftover],
    ) -> None:
        self._order = order
        self._workshop = workshop
        self._redactor = redactor
        self._may_change = changeable(order.wants, order.protected_paths)
        self._heavy: dict[str, int] = {}  # ids of contents, or paths of leftovers -> bytes
        self._leaky: dict[str, str] = {}  # the same -> path
        self._restored: set[str] = set()  # paths that stay, though a change takes them away
        self._above: set[str] = set()  # the folders of those
        known = list(changes)
        contents = {each.id: each.path for each in known if self._is_file(each)}
        files = [each for each in left if self._is_file(each)]
        self._weigh(contents, files)
        if redactor.secrets:
            self._search(contents, files)
        self._restore([*known, *left])

    def refuses(self, change: Change | Leftover) -> bool:
        key = _key(change)
        if not self._allowed(change) or key in self._heavy or key in self._leaky:
            return True
        return change.mode != ABSENT and self._in_the_way(change.path)

    def kept(self, left: Iterable[Leftover], last: Iterable[Change]) -> list[Leftover]:
        """The leftovers that count: a deletion of what is not let into a commit does not."""
        gone = {each.path for each in last if each.old_mode == ABSENT and self.refuses(each)}
        return [
            each
            for each in left
            if not self.refuses(each) and not (each.mode == ABSENT and each.path in gone)
        ]

    def restored(self, changes: Iterable[Change]) -> tuple[Put, ...]:
        """What puts a tree back to how it should be where its changes are refused."""
        return tuple(
            Put(each.path, each.old_mode, each.old_id) for each in changes if self.refuses(each)
        )

    def findings(self, final: Iterable[Change | Leftover]) -> tuple[str, ...]:
        """In words, what was refused of the ``final`` state, and any credential at all."""
        refused = [each for each in final if self.refuses(each)]
        nested = {each.path for each in refused if each.mode == GITLINK}
        unsafe = {each.path for each in refused if reaches_git(each.path)}
        barred = {each.path for each in refused if not self._may_change(each.path)}
        large = {
            each.path: self._heavy[_key(each)] for each in refused if _key(each) in self._heavy
        }
        leaky = {*self._leaky.values(), *(each.path for each in refused if self._tells(each.path))}
        found = [
            (barred, self._barred()),
            (nested - barred, "Nested repositories cannot be committed and were left out"),
            (unsafe - barred - nested, "Paths that git treats as its own were left out"),
            (leaky, "These files held a credential and were taken out"),
        ]
        texts = [f"{text}: {_named(paths)}." for paths, text in found if paths]
        return (*texts, *self._quota(large))

    def _quota(self, large: dict[str, int]) -> list[str]:
        if not large:
            return []
        sized = [f"`{path}` ({size / MB:.1f} MB)" for path, size in large.items()]
        limit = f"more than {self._order.max_change_mb:g} MB (max_change_mb)"
        return [f"The change has {limit}; left out: {', '.join(sized[:MOST_NAMED])}."]

    def _barred(self) -> str:
        if self._order.wants is Wants.RULES:
            return f"Only {_named(RULES)} may change in this session; taken out"
        return "Protected paths may not change, and these changes were taken out"

    def _allowed(self, change: Change | Leftover) -> bool:
        return (
            self._may_change(change.path)
            and change.mode != GITLINK
            and not reaches_git(change.path)
            and not self._tells(change.path)
        )

    def _tells(self, path: str) -> bool:
        return self._redactor.found_in(path.encode("utf-8", "surrogateescape"))

    def _restore(self, changes: Iterable[Change | Leftover]) -> None:
        for each in changes:
            had = each.mode == ABSENT if isinstance(each, Leftover) else each.old_mode != ABSENT
            if had and self.refuses(each):
                self._restored.add(each.path)
                self._above |= _folders(each.path)

    def _in_the_way(self, path: str) -> bool:
        """Tell whether a new file takes the place of a folder, or a folder that of a file, whose
        removal is refused: a link in the place of ``specs`` would remove all specs."""
        return path in self._above or not self._restored.isdisjoint(_folders(path))

    def _is_file(self, change: Change | Leftover) -> bool:
        return change.mode not in (ABSENT, GITLINK) and self._allowed(change)

    def _weigh(self, contents: dict[str, str], left: Iterable[Leftover]) -> None:
        """The biggest are left out until the rest is within the quota."""
        sizes = {each.path: each.size for each in left} | self._sizes(contents)
        over = sum(sizes.values()) - self._order.max_change_mb * MB
        for key, size in sorted(sizes.items(), key=lambda item: -item[1]):
            if over <= 0:
                return
            self._heavy[key] = size
            over -= size

    def _sizes(self, contents: Collection[str]) -> dict[str, int]:
        if not contents:
            return {}
        listed = self._workshop.git("cat-file", "--batch-check", stdin=_lines(contents)).text
        rows = (row.split() for row in listed.splitlines())
        return {row[0]: int(row[2]) for row in rows}

    def _search(self, contents: dict[str, str], left: Iterable[Leftover]) -> None:
        for each in left:
            if each.path not in self._heavy:
                self._note(each.path, each.path, read(each, self._workshop))
        wanted = [key for key in contents if key not in self._heavy]
        if not wanted:
            return
        out = self._workshop.git("cat-file", "--batch", stdin=_lines(wanted)).stdout
        at = 0
        for key in wanted:
            start = out.index(b"\n", at) + 1
            end = start + int(out[at:start].split()[2])
            self._note(key, contents[key], out[start:end])
            at = end + 1

    def _note(self, key: str, path: str, data: bytes) -> None:
        if self._redactor.found_in(data):
            self._leaky[key] = path


def _key(change: Change | Leftover) -> str:
    return change.id if isinstance(change, Change) else change.path


def _folders(path: str) -> set[str]:
    """``a/b/c`` -> ``a``, ``a/b``."""
    parts = path.split("/")
    return {"/".join(parts[:n]) for n in range(1, len(parts))}


def _lines(names: Iterable[str]) -> bytes:
    return "".join(f"{name}\n" for name in names).encode()


def _named(paths: Iterable[str]) -> str:
    names = sorted(set(paths))
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(f"`{name}`" for name in names[:MOST_NAMED]) + more
