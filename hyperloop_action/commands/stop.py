"""Ctrl-C and SIGTERM -> a wish to end, which loops look at between two steps."""

import signal
from types import FrameType
from typing import Self


class StopSignal:
    """While entered, the first signal is a wish to stop in order; the second ends at once."""

    def __init__(self) -> None:
        self._wanted = False
        self._before: dict[signal.Signals, signal.Handlers] = {}

    def wanted(self) -> bool:
        return self._wanted

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._wish)  # type: ignore[assignment]  # typeshed has a wider type
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()

    def _wish(self, _: int, __: FrameType | None) -> None:
        self._wanted = True
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
