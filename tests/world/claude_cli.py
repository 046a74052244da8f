"""Where the real `claude` is, for tests that drive it against ``messages_api.py``.

Looked for in ``$HYPERLOOP_TEST_CLAUDE``, where ``scripts/install-claude.sh`` puts it, and on PATH.
"""

import os
import shutil
from pathlib import Path

import pytest

INSTALLED = Path(__file__).parents[2] / ".cache" / "claude" / "bin" / "claude"


def claude_binary() -> Path | None:
    named = os.environ.get("HYPERLOOP_TEST_CLAUDE") or shutil.which(INSTALLED) or "claude"
    found = shutil.which(named)
    return Path(found) if found else None


needs_claude = pytest.mark.skipif(
    claude_binary() is None, reason="needs Claude Code: run scripts/install-claude.sh"
)


def path_with_claude() -> str:
    """A PATH on which `claude` is that one, for the environment of whoever will start it."""
    binary = claude_binary()
    assert binary is not None, "mark the test with needs_claude"
    return f"{binary.parent}{os.pathsep}{os.environ['PATH']}"
