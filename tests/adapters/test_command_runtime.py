"""The runtime ``command`` before a session: is its program there?"""

from pathlib import Path

import pytest

from hyperloop_action.adapters.agents.command import Command
from hyperloop_action.adapters.proc import CommandMissing
from hyperloop_action.domain.orders import RuntimeSpec

ENV = {"PATH": "/usr/bin:/bin"}


@pytest.mark.parametrize("words", [("sh", "-c", "true"), ("tools/agent.sh",), ("./agent",)])
def test_a_program_on_path_or_in_the_clone_may_be_claimed_for(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    Command().check(RuntimeSpec(name="command", command=words), tmp_path, ENV)


def test_a_program_that_is_nowhere_is_said_before_anything_is_claimed(tmp_path: Path) -> None:
    with pytest.raises(CommandMissing) as raised:
        Command().check(RuntimeSpec(name="command", command=("no-such",)), tmp_path, ENV)
    assert str(raised.value) == (
        "`no-such`, the agent's command, was not found\n  install no-such, or put it on PATH"
    )
    assert raised.value.exit_code == 2
