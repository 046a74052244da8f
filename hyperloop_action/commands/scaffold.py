"""The files that ``hyperloop init`` makes, and what it looks at on disk; it never overwrites.

``commands/init.py`` is the caller. Nothing made below the specs folder may pass for a spec.
"""

from dataclasses import dataclass
from pathlib import Path

from hyperloop_action.errors import UsageError
from hyperloop_action.settings import CONFIG_FILE

CONFIG = """\
# Settings of hyperloop. Every key may be left out: `hyperloop config show` tells what holds now.

{base_branch}
# process: reviewed                   # wait for `hyperloop approve TASK` before each merge
# max_workers: 6                      # how many agents work at a time
# budget: {{max_usd_per_day: 20}}       # start no agent above this, in US dollars
# agents:
#   default: {{max_turns: 60, max_budget_usd: 5, timeout_minutes: 60}}   # for one session
#   implementer: {{model: opus}}
"""


@dataclass(frozen=True, slots=True)
class Made:
    """One file, as a path from the top; ``created`` is false for one that was there."""

    path: str
    created: bool


def top_of(path: Path) -> Path:
    """The working tree that holds ``path``. It may have no commit yet, so git is not asked.
    Raises :class:`UsageError` where there is none."""
    start = path.resolve()
    if not start.is_dir():
        raise UsageError(f"{path} is not a directory", hint="check --path")
    for folder in (start, *start.parents):
        if (folder / ".git").exists():
            return folder
        if (folder / "HEAD").is_file() and (folder / "objects").is_dir():
            raise UsageError(f"{folder} is a bare repository", hint="run init in a clone of it")
    raise UsageError(
        f"{path} is not in a git repository", hint="run `git init` first, then `hyperloop init`"
    )


def make_config(top: Path) -> Made:
    return _make(top, CONFIG_FILE, CONFIG.format(base_branch=_base_branch_line(top)))


def make_specs_folder(top: Path, specs_dir: str) -> Made:
    """git keeps no empty folder, so an empty file stands in it."""
    if (top / specs_dir).is_dir() and any((top / specs_dir).iterdir()):
        return Made(f"{specs_dir}/", created=False)
    return _make(top, f"{specs_dir}/.gitkeep", "")


def specs_on_disk(top: Path, specs_dir: str) -> list[str]:
    found = (top / specs_dir).rglob("*.md") if (top / specs_dir).is_dir() else ()
    return sorted(path.relative_to(top).as_posix() for path in found if path.is_file())


def _make(top: Path, name: str, text: str) -> Made:
    path = top / name
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        return Made(name, created=False)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from error
    return Made(name, created=True)


def _base_branch_line(top: Path) -> str:
    """Where there is no ``main``, the branch that is checked out is what work is merged into."""
    git_dir = top / ".git"
    if git_dir.is_file():  # a linked working tree: its HEAD may be any branch
        return "# base_branch: main                   # the branch that work is merged into"
    head = (git_dir / "HEAD").read_text(encoding="utf-8", errors="replace").strip()
    branch = head.removeprefix("ref: refs/heads/")
    packed = git_dir / "packed-refs"
    known = packed.read_text(encoding="utf-8", errors="replace") if packed.is_file() else ""
    has_main = (git_dir / "refs/heads/main").exists() or " refs/heads/main\n" in known
    if branch in (head, "main") or has_main:
        return "# base_branch: main                   # the branch that work is merged into"
    return f"base_branch: {branch:<25} # the branch that work is merged into"
