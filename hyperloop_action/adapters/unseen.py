"""Specs of a working tree that its base branch lacks: nobody works on them, and that must be said.

``trunk.py`` asks, for the ends of ``run`` and the like. A person who edits a spec and forgets to
commit or push it would otherwise read that everything is synced.
"""

from hyperloop_action.adapters.git import Git

_STILL = {"GIT_OPTIONAL_LOCKS": "0"}
"""git would like to refresh the index of a person's working tree: looking changes nothing."""


def unseen_specs(git: Git, base: str, branch: str, specs_dir: str) -> dict[str, str]:
    """Path -> why the commit ``base`` of ``branch`` has another text, or none, or still has one
    that was removed here. Empty for a bare repository, and for a history that never met ``base``.
    What others changed since is no difference: only work of this tree counts."""
    if git.run("rev-parse", "--is-inside-work-tree", accept=range(256)).text != "true":
        return {}
    fork = git.merge_base(base, "HEAD")
    if fork is None:
        return {}
    mine = _changed(git, specs_dir, fork) & _changed(git, specs_dir, base)
    reasons = {**dict.fromkeys(mine, _where(git, branch)), **_loose(git, specs_dir)}
    return dict(sorted((path, why) for path, why in reasons.items() if path.endswith(".md")))


def _where(git: Git, branch: str) -> str:
    here = git.run("symbolic-ref", "--quiet", "HEAD", accept=(0, 1)).text
    if here == f"refs/heads/{branch}":
        return f"not pushed to {git.remote}" if git.remote else f"not on {branch}"
    return f"not merged into {branch}"


def _changed(git: Git, specs_dir: str, since: str) -> set[str]:
    names = ("--name-only", "--no-renames", "-z")
    return set(git.run("diff", *names, since, "HEAD", "--", specs_dir).text.split("\0"))


def _loose(git: Git, specs_dir: str) -> dict[str, str]:
    """Changed, new or removed, and in no commit. A line is ``XY path``."""
    how = ("--porcelain", "--no-renames", "--untracked-files=all", "-z")
    lines = git.run("status", *how, "--", specs_dir, env=_STILL).text.split("\0")
    return {line[3:]: "not committed" for line in lines}
