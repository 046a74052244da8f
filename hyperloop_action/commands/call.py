"""One command as it was typed: what all share. ``cli.py`` makes it, ``commands/`` take it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TextIO

from hyperloop_action.console.progress import Journal
from hyperloop_action.console.screen import Format, Screen, clean
from hyperloop_action.domain.documents import Value
from hyperloop_action.domain.rules import Rules
from hyperloop_action.ports import Ports
from hyperloop_action.settings import Settings
from hyperloop_action.wiring import Request


class Opened(Protocol):
    """What a command needs of an opened repository; ``wiring.App`` is one."""

    @property
    def settings(self) -> Settings: ...

    @property
    def ports(self) -> Ports: ...

    @property
    def notices(self) -> tuple[str, ...]: ...

    def rules(self) -> Rules: ...

    def user(self) -> str: ...

    def log(self, stream: TextIO) -> Journal: ...


class Opener(Protocol):
    """``wiring.open_app``, or what stands for it in a test."""

    def __call__(
        self,
        request: Request,
        *,
        notice: Callable[[str], None] = ...,
        stopping: Callable[[], bool] = ...,
    ) -> Opened: ...


@dataclass(frozen=True, slots=True)
class Call:
    """``options`` are settings given on the command line: dotted key to value."""

    screen: Screen
    opener: Opener
    env: Mapping[str, str]
    path: Path
    config: Path | None
    options: Mapping[str, Value]
    output: Format

    def open(self, stopping: Callable[[], bool] = lambda: False) -> Opened:
        """Raises what ``wiring.open_app`` raises."""
        request = Request(self.path, self.env, self.config, self.options)
        app = self.opener(request, notice=self.note, stopping=stopping)
        for notice in app.notices:
            self.note(notice)
        return app

    def note_unseen(self, app: Opened) -> None:
        """Say which specs nobody works on yet, although a person has edited them here."""
        unseen = app.ports.repository.unseen()
        if unseen:
            named = ", ".join(f"{path} ({why})" for path, why in unseen.items())
            self.note(f"not seen yet: {clean(named)}")

    def note(self, text: str) -> None:
        self.screen.note(f"note: {text}")
