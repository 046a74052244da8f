"""Commit messages of landed work: pure text, the same for a merge made here and by a forge."""

import re

_TRAILER = re.compile(r"[A-Za-z0-9-]+: \S")


def landing_message(title: str, body: str, spec_ref: str, task: str, head: str) -> str:
    """Subject, body, and the trailers by which a landed task is found again.

    Title and body were written by an agent: the trailers stand in a paragraph of their own, and git
    reads trailers only there, so nothing in the text can pass for one.
    """
    subject = " ".join(title.split()) or task
    trailers = f"Spec-Ref: {spec_ref}\nTask-Ref: {task}\nTask-Head: {head}"
    parts = [subject, body.strip().replace("\0", ""), trailers]
    return "\n\n".join(part for part in parts if part) + "\n"


def with_trailer(message: str, key: str, value: str) -> str:
    """``message`` with one more trailer in its last paragraph; unchanged if it is there already."""
    text = message.rstrip()
    line = f"{key}: {value}"
    last = text.rpartition("\n\n")[2].splitlines() if "\n\n" in text else []
    if line in last:
        return text + "\n"
    is_trailers = bool(last) and all(_TRAILER.match(each) for each in last)
    gap = "\n" if is_trailers else "\n\n"
    return f"{text}{gap}{line}\n"
