"""No secret is left in what leaves a session."""

import json

import pytest

from hyperloop_action.adapters.redaction import Redactor

KEY = "-----BEGIN RSA PRIVATE KEY-----\nMIIabc+/=\nMIIdef\n-----END RSA PRIVATE KEY-----"


@pytest.mark.parametrize(
    "token",
    [
        "sk-ant-api03-abcdefgh_-1", "ghp_" + "a" * 36, "ghs_" + "a" * 36, "github_pat_" + "a" * 30,
        "AKIAIOSFODNN7EXAMPLE", "xoxb-1234-5678", KEY, KEY.replace("\n", "\\n"),
    ],
)  # fmt: skip
def test_tokens_of_known_shape_are_masked(token: str) -> None:
    assert Redactor([]).text(f"a {token} b") == "a *** b"


def test_passed_values_are_masked_however_json_spells_them() -> None:
    value = 'pass"word\\/ü'
    redactor = Redactor([value, "short"])
    text = f"{value} {json.dumps(value)} short"
    assert redactor.text(text) == '*** "***" short'
    assert redactor.found_in(f"x{value}x".encode())
    assert not redactor.found_in(b"short")


def test_the_lines_of_a_value_that_has_several_are_masked() -> None:
    redactor = Redactor(["first line of a key\nx\nsecond line of a key"])
    assert redactor.text("see: second line of a key.") == "see: ***."


def test_a_key_is_masked_over_lines_and_what_follows_is_not() -> None:
    redact = Redactor([]).lines()
    printed = ["before", *KEY.split("\n"), "after the key"]
    assert [redact(line) for line in printed] == [
        "before", "***", "***", "***", "-----END RSA PRIVATE KEY-----", "after the key",
    ]  # fmt: skip


def test_a_key_that_is_only_quoted_hides_no_other_line() -> None:
    redact = Redactor([]).lines()
    quoted = '{"text": "grep -----BEGIN PRIVATE KEY-----"}'
    assert redact(quoted) == '{"text": "grep ***'
    assert redact("MIIabc") == "MIIabc"


def test_strings_in_any_depth_are_masked() -> None:
    found = Redactor(["correct-horse"]).deep({"a": ["correct-horse", {"b": "x correct-horse"}, 1]})
    assert found == {"a": ["***", {"b": "x ***"}, 1]}
