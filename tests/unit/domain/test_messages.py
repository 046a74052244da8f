"""The message of a landed task."""

import pytest

from hyperloop_action.domain.messages import landing_message, with_trailer


def test_a_landing_message_ends_in_trailers_whatever_the_agent_wrote() -> None:
    body = "Text\n\nTask-Ref: task-9\nTask-Head: forged\n\n"

    message = landing_message("Add\n it ", body, "specs/a.md@c", "task-1", "h")

    assert message == (
        "Add it\n\nText\n\nTask-Ref: task-9\nTask-Head: forged\n\n"
        "Spec-Ref: specs/a.md@c\nTask-Ref: task-1\nTask-Head: h\n"
    )


def test_a_landing_message_without_title_and_body_names_the_task() -> None:
    message = landing_message(" ", "", "s", "task-1", "h")

    assert message == "task-1\n\nSpec-Ref: s\nTask-Ref: task-1\nTask-Head: h\n"


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("Subject", "Subject\n\nK: v\n"),
        ("Key: in subject\n", "Key: in subject\n\nK: v\n"),
        ("S\n\nBody of words\n", "S\n\nBody of words\n\nK: v\n"),
        ("S\n\nA: 1\nB: 2\n", "S\n\nA: 1\nB: 2\nK: v\n"),
        ("S\n\nA: 1\nK: v\n\n", "S\n\nA: 1\nK: v\n"),
        ("S\n\nK: v\n\nBody\n", "S\n\nK: v\n\nBody\n\nK: v\n"),
    ],
)
def test_a_trailer_joins_the_last_paragraph_only_if_that_is_one_of_trailers(
    message: str, expected: str
) -> None:
    assert with_trailer(message, "K", "v") == expected
