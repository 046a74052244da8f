"""How loud a fact is: what ``log_level`` lets through, in logs and on a terminal alike."""

from typing import Literal

from hyperloop_action.domain.facts import Fact, TaskWaits

Level = Literal["debug", "info", "warning", "error"]

NUMBERS: dict[Level, int] = {"debug": 10, "info": 20, "warning": 30, "error": 40}
"""As everywhere in Python; higher is louder."""


def level_of(fact: Fact) -> Level:
    """What needs a person is a warning; why something does *not* happen is for those who debug."""
    if fact.attention:
        return "warning"
    return "debug" if isinstance(fact, TaskWaits) else "info"


def passes(level: Level, least: Level) -> bool:
    return NUMBERS[level] >= NUMBERS[least]
