"""Which remote decides: one that is shared, or none, so that work stays in this repository."""

import re
from collections.abc import Mapping

from hyperloop_action.domain.documents import nearest
from hyperloop_action.errors import UsageError

_GITHUB = re.compile(r"(^|[@/.])github\.[\w.-]+[:/]")

ON_GITHUB = (
    "{name} is on GitHub, where work goes through pull requests, which this version cannot open:"
    " it works in this clone alone and pushes nothing (`remote: {name}` would push straight to"
    " the base branch)"
)


def choose_remote(wanted: str, remotes: Mapping[str, str]) -> tuple[str | None, str]:
    """The remote's name, and a notice where the choice may surprise. ``remotes``: name -> URL.

    ``auto`` takes ``origin``, or the only remote there is; but nothing is pushed to a protected
    place by default. Raises :class:`UsageError` for a name that there is not.
    """
    if wanted == "none":
        return None, ""
    if wanted != "auto":
        if wanted not in remotes:
            hint = nearest(wanted, remotes) or "`git remote -v` lists them"
            raise UsageError(f"there is no remote {wanted!r} (setting `remote`)", hint=hint)
        return wanted, ""
    name = "origin" if "origin" in remotes else next(iter(remotes)) if len(remotes) == 1 else None
    if name and _GITHUB.search(remotes[name]):
        return None, ON_GITHUB.format(name=name)
    return name, ""
