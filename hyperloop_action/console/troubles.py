"""What a command could not do -> words on standard error, and an exit code for ``cli.py``."""

import os
import sys

from hyperloop_action import __version__
from hyperloop_action.errors import HyperloopError

ISSUES = "https://github.com/jsell-rh/hyperloop/issues"
BUG = 70


def report(error: HyperloopError) -> int:
    """One message in three parts; no traceback, since somebody can act on it."""
    if error.exit_code == BUG:
        return report_bug()
    text = str(error).encode("utf-8", "backslashreplace").decode("utf-8")
    sys.stderr.write(f"error: {text}\n")
    return error.exit_code


def report_bug() -> int:
    """The traceback of what is being handled: lines of our code, and never values."""
    import traceback  # noqa: PLC0415  # no other command has to wait for it

    traceback.print_exc()
    sys.stderr.write(
        f"error: this is a bug in hyperloop {__version__}, not a mistake of yours\n"
        f"  please report it with the lines above: {ISSUES}\n"
        "  nothing is lost: the next cycle goes on from the last save\n"
    )
    return BUG


def stop_writing() -> int:
    """Whoever read our output has had enough: nothing is left to say, not even at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0
