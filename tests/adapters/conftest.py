"""Fixtures that only the adapters' tests need: counting programs, and a fixed time."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from hyperloop_action.adapters import proc


@pytest.fixture
def now() -> datetime:
    return datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def git_processes() -> Callable[[], int]:
    """How many git processes this test has started through the engine since it last asked."""
    asked = proc.started["git"]

    def since() -> int:
        nonlocal asked
        asked, before = proc.started["git"], asked
        return asked - before

    return since
