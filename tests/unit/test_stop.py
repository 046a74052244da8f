"""Ctrl-C once is a wish, twice an order; afterwards signals mean what they meant before."""

import os
import signal
from collections.abc import Iterator

import pytest

from hyperloop_action.commands.stop import StopSignal


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_a_wish_to_end(number: signal.Signals) -> None:
    with StopSignal() as stop:
        before = stop.wanted()
        os.kill(os.getpid(), number)

        assert (before, stop.wanted()) == (False, True)


@pytest.fixture
def at_a_terminal() -> Iterator[None]:
    """Where a shell started the tests in the background, Ctrl-C is ignored from the start."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("at_a_terminal")
def test_the_second_ctrl_c_ends_at_once() -> None:
    with StopSignal():
        os.kill(os.getpid(), signal.SIGINT)

        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_afterwards_signals_mean_what_they_meant_before() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with StopSignal():
        pass

    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
