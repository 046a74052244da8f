"""A line of a transcript -> what its agent said or does, for people who watch it work.

Transcripts hold one JSON object per line: events of an agent, or text that a program printed.
"""

import json


def words_of(line: str) -> str:
    """Empty for a line that says nothing to a person."""
    try:
        event = json.loads(line)
    except ValueError:
        return "" if line.startswith("{") else line
    if not isinstance(event, dict):
        return line
    if isinstance(event.get("text"), str):
        return str(event["text"])
    return _of_message(event.get("message"))


def _of_message(message: object) -> str:
    """The last block of an assistant's message that is words or the use of a tool."""
    content = message.get("content") if isinstance(message, dict) else None
    if isinstance(content, str):
        return content
    blocks = content if isinstance(content, list) else []
    said = [_of_block(block) for block in blocks if isinstance(block, dict)]
    return next((words for words in reversed(said) if words), "")


def _of_block(block: dict[str, object]) -> str:
    if block.get("type") == "text":
        return str(block.get("text", ""))
    if block.get("type") != "tool_use":
        return ""
    given = block.get("input")
    values = [str(value) for value in given.values()] if isinstance(given, dict) else []
    return f"{block.get('name')}: {values[0]}" if values else str(block.get("name"))
