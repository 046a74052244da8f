"""YAML in, values with lines out; and no text of any kind that gives anything but words."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hyperloop_action.domain import yaml_nodes
from hyperloop_action.domain.decoding import decode, decode_or_raise, keys_of
from hyperloop_action.domain.documents import (
    Document,
    Value,
    front_matter,
    nearest,
    parse,
    parse_one,
)
from hyperloop_action.errors import ConfigError, Problem


@pytest.fixture(params=["libyaml", "python"])
def loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "python":
        monkeypatch.setattr(yaml_nodes, "Loader", yaml_nodes.PythonLoader)
    yaml_nodes.all_nodes.cache_clear()
    return str(request.param)


def refusal(text: bytes | str) -> str:
    with pytest.raises(ConfigError) as raised:
        parse(text if isinstance(text, bytes) else text.encode(), "a.yaml")
    return str(raised.value)


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("true", True),
        ("False", False),
        ("yes", "yes"),
        ("on", "on"),
        ("null", None),
        ("~", None),
        ("", None),
        ("7", 7),
        ("-7", -7),
        ("0", 0),
        ("0.5", 0.5),
        (".5", 0.5),
        ("1.5e+3", 1500.0),
        ("017", "017"),
        ("0x1f", "0x1f"),
        ("1_000", "1_000"),
        ("1e5", "1e5"),
        ("12:30", "12:30"),
        ("1234567890123456789012345678901234567890", "1234567890123456789012345678901234567890"),
        (".nan", ".nan"),
        (".inf", ".inf"),
        ("2026-11-21", "2026-11-21"),
        ("2026-11-21T14:05:00Z", "2026-11-21T14:05:00Z"),
        ('"7"', "7"),
        ("!!str 7", "7"),
        ("'it''s'", "it's"),
        ("|\n  two\n  lines\n", "two\nlines\n"),
        ("[a, 1, {b: c}]", ["a", 1, {"b": "c"}]),
    ],
)
@pytest.mark.usefixtures("loader")
def test_a_word_means_the_same_to_both_loaders(word: str, value: Value) -> None:
    assert parse(f"key: {word}".encode(), "a.yaml")[0].value == {"key": value}


@pytest.mark.usefixtures("loader")
def test_a_key_is_text_whatever_it_looks_like() -> None:
    assert parse(b"on: 1\n404: 2\ntrue: 3\nnull: 4\n", "a")[0].value == {
        "on": 1,
        "404": 2,
        "true": 3,
        "null": 4,
    }


@pytest.mark.usefixtures("loader")
def test_documents_that_hold_nothing_are_left_out() -> None:
    text = b"# only a comment\n---\na: 1\n---\n---\n~\n---\nb: 2\n"
    documents = parse(text, "a")
    assert [document.value for document in documents] == [{"a": 1}, {"b": 2}]
    assert [document.line_of(("b",)) for document in documents] == [3, 8]


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**17), 10**17)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8", exclude_categories=["Cc"])),
    lambda inner: (
        st.lists(inner, min_size=1)
        | st.dictionaries(st.from_regex(r"[a-z]+", fullmatch=True), inner)
    ),
    max_leaves=8,
)


@given(plain)
def test_what_pyyaml_writes_is_read_back_unchanged(value: Value) -> None:
    written = yaml.safe_dump({"key": value}, allow_unicode=True, sort_keys=False)
    assert parse_one(written.encode(), "a").value == {"key": value}


@given(st.binary(max_size=200) | st.text("-:[]{}&*!|>'\"# \n\tab", max_size=60).map(str.encode))
def test_no_bytes_give_anything_but_documents_or_words(text: bytes) -> None:
    try:
        values = [document.value for document in parse(text, "a.yaml")]
    except ConfigError as error:
        values = [str(error)]
    assert None not in values


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "a: 1\nb: [1, 2\n",
            (
                "a.yaml:2: is not YAML: did not find expected ',' or ']' at column 1"
                " (check the indentation and the quotes above it)"
            ),
        ),
        (
            "a: b: c\n",
            (
                "a.yaml:1: is not YAML: mapping values are not allowed in this context at column 5"
                " (put quotes around a value that holds `: `)"
            ),
        ),
        ("a:\n\t- b\n", "a.yaml:2: has a tab at column 1; expected spaces"),
        (
            b"a: 1\nb: \xff\n",
            "a.yaml:2: is not UTF-8 (byte 0xff); expected text in UTF-8 (save the file as UTF-8)",
        ),
        ("a: \x00\n", "a.yaml:1: holds a control character; expected text"),
        ("a: 1\nb: 2\na: 3\n", "a.yaml:3: a: is given twice; expected each key once"),
        ("a:\n  b: 1\n  b: 2\n", "a.yaml:3: b: is given twice; expected each key once"),
        (
            "a: !!python/object:os.system ls\n",
            (
                "a.yaml:1: has the tag tag:yaml.org,2002:python/object:os.system;"
                " expected a plain value"
            ),
        ),
        ("? [a]\n: b\n", "a.yaml:1: has a key that is not a word; expected `key: value`"),
        (
            "a: &a {b: 1}\nc:\n  <<: *a\n",
            "a.yaml:3: <<: is not supported; expected the keys written out",
        ),
        (
            f"{'[' * 100}{']' * 100}",
            "a.yaml:1: is nested too deeply; expected at most 64 levels",
        ),
        ("&a [*a]", "a.yaml:1: is nested too deeply; expected at most 64 levels"),
    ],
    ids=lambda value: None if isinstance(value, bytes) else str(value)[:24],
)
def test_a_file_that_is_not_yaml_is_refused_with_its_line(text: bytes | str, message: str) -> None:
    if not yaml.__with_libyaml__ and "is not YAML" in message:
        pytest.skip("the words are libyaml's")
    assert refusal(text) == message


@pytest.mark.usefixtures("loader")
def test_a_bomb_of_aliases_is_refused_at_once() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    assert "grows without end when its aliases are written out" in refusal("\n".join(lines))


@pytest.mark.usefixtures("loader")
def test_an_alias_that_is_used_a_few_times_is_fine() -> None:
    assert parse(b"a: &a [x, y]\nb: *a\nc: *a\n", "a")[0].value == {
        "a": ["x", "y"],
        "b": ["x", "y"],
        "c": ["x", "y"],
    }


@pytest.mark.usefixtures("loader")
def test_brackets_without_end_are_refused() -> None:
    assert refusal("[" * 20_000).startswith("a.yaml")


LINES = b"""\
a: 1

b:
  - x
  - c: 2
    d: 3
e: {f: 4}
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("a",), 1),
        (("b",), 3),
        (("b", 0), 4),
        (("b", 1), 5),
        (("b", 1, "d"), 6),
        (("e", "f"), 7),
        (("e", "missing"), 7),
        (("b", 9), 3),
        (("missing",), 1),
        ((), 1),
    ],
)
@pytest.mark.usefixtures("loader")
def test_a_path_has_the_line_of_its_key_or_of_what_is_around_it(
    path: tuple[str | int, ...], line: int
) -> None:
    assert parse_one(LINES, "a").line_of(path) == line


def test_front_matter_is_told_from_the_page_and_counts_its_own_line() -> None:
    document, body = front_matter(b"---\nid: task-001\nround: 2\n---\nText.\n---\nMore.\n", "t.md")
    assert (document.value, body) == ({"id": "task-001", "round": 2}, "Text.\n---\nMore.\n")
    assert document.where(("round",)) == ("t.md", 3)


@pytest.mark.parametrize(
    ("text", "body"),
    [
        (b"---\r\na: 1\r\n---\r\nText", "Text"),
        (b"---\na: 1\n---", ""),
        (b"\xef\xbb\xbf---\na: 1\n---\nx", "x"),
    ],
    ids=["windows", "no text", "byte order mark"],
)
def test_front_matter_is_found_however_the_page_was_saved(text: bytes, body: str) -> None:
    document, rest = front_matter(text, "t.md")
    assert (document.value, rest) == ({"a": 1}, body)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "id: 1\n",
            "t.md:1: has no front matter; expected a line `---`, `key: value` lines, a line `---`",
        ),
        (
            "---\nid: 1\n",
            (
                "t.md:1: has no end of front matter;"
                " expected a line `---`, `key: value` lines, a line `---`"
            ),
        ),
        ("---\n- a\n---\n", "t.md:2: is a list; expected a mapping"),
        ("---\na: 1\na: 2\n---\n", "t.md:3: a: is given twice; expected each key once"),
        ("---\na: 1\nb:\n\t- c\n---\n", "t.md:4: has a tab at column 1; expected spaces"),
    ],
)
def test_broken_front_matter_is_refused_with_the_line_of_the_page(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        front_matter(text.encode(), "t.md")
    assert str(raised.value) == message


def test_one_file_is_one_mapping() -> None:
    assert parse_one(b"", "a").value == {}
    for text, message in (
        (b"a: 1\n---\nb: 2\n", "a:3: is a second document; expected one document in this file"),
        (b"- a\n", "a:1: is a list; expected a mapping"),
    ):
        with pytest.raises(ConfigError) as raised:
            parse_one(text, "a")
        assert str(raised.value) == message


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("max_worker", "did you mean max_workers?"),
        ("strategy", ""),
        ("pol_interval", "did you mean poll_interval?"),
    ],
)
def test_only_a_name_that_is_near_is_proposed(word: str, hint: str) -> None:
    assert nearest(word, ["max_workers", "poll_interval"]) == hint


class Inner(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    strategy: Literal["squash", "rebase"] = "squash"
    depth: Annotated[int, msgspec.Meta(ge=1, le=9)] = 1


class Label(msgspec.Struct, frozen=True, tag_field="type", tag="label", forbid_unknown_fields=True):
    label: str = "lgtm"


class Checks(msgspec.Struct, frozen=True, tag_field="type", tag="ci", forbid_unknown_fields=True):
    checks: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]


class Outer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: Annotated[str, msgspec.Meta(pattern="^[a-z]+$", extra={"expected": "small letters"})]
    count: Annotated[int, msgspec.Meta(ge=1)] = 1
    share: Annotated[float, msgspec.Meta(gt=0)] | None = None
    on: bool = False
    inner: Inner = Inner()
    words: tuple[str, ...] = ()
    gates: dict[str, Label | Checks] = {}
    when: datetime | None = None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("count: 1", "name: is missing; expected small letters"),
        ("name: A1", 'name: is "A1"; expected small letters'),
        ("count: six", 'count: is "six"; expected a whole number of at least 1'),
        ("count: 0", "count: is 0; expected a whole number of at least 1"),
        ("count: 1.5", "count: is 1.5; expected a whole number of at least 1"),
        ("count: true", "count: is true; expected a whole number of at least 1"),
        ("count:", "count: is empty; expected a whole number of at least 1"),
        ("count: [1]", "count: is a list; expected a whole number of at least 1"),
        ("share: 0", "share: is 0; expected a number above 0 or null"),
        ("share: .nan", 'share: is ".nan"; expected a number above 0 or null'),
        ("on: yes", 'on: is "yes"; expected true or false'),
        ("inner: 5", "inner: is 5; expected a mapping"),
        ("inner:", "inner: is empty; expected a mapping"),
        ("inner: {depht: 2}", "inner.depht: unknown key (did you mean depth?)"),
        ("inner: {depth: 10}", "inner.depth: is 10; expected a whole number from 1 to 9"),
        (
            "inner: {strategy: sqash}",
            'inner.strategy: is "sqash"; expected rebase or squash (did you mean squash?)',
        ),
        ("words: a", 'words: is "a"; expected a list of text'),
        ("words: [a, 3]", "words[1]: is 3; expected text"),
        ("gates: [a]", "gates: is a list; expected a mapping"),
        ("gates: {a: {}}", "gates.a.type: is missing; expected label or ci"),
        (
            "gates: {a: {type: labl}}",
            'gates.a.type: is "labl"; expected label or ci (did you mean label?)',
        ),
        ("gates: {a: {type: [x]}}", "gates.a.type: is a list; expected label or ci"),
        (
            "gates: {a: {type: ci}}",
            "gates.a.checks: is missing; expected a list of text, not empty",
        ),
        (
            "gates: {a: {type: ci, checks: []}}",
            "gates.a.checks: is an empty list; expected a list of text, not empty",
        ),
        ("gates: {a: label}", 'gates.a: is "label"; expected a mapping'),
        (
            "when: soon",
            'when: is "soon"; expected a time such as 2026-11-21T14:05:00Z or null',
        ),
        ("nam: x", "nam: unknown key (did you mean name?)"),
        (
            "zzz: x",
            "zzz: unknown key (known: name, count, share, on, inner, words, gates, when)",
        ),
    ],
)
def test_a_mistake_is_said_in_words_with_what_was_expected(text: str, message: str) -> None:
    whole = text if text.startswith(("name", "count: 1")) and text != "count: 1.5" else ""
    document = parse_one((whole or f"name: x\n{text}").encode(), "a.yaml")
    problems: list[Problem] = []
    assert decode(document, Outer, problems) is None
    assert [str(problem) for problem in problems] == [f"a.yaml:{1 if whole else 2}: {message}"]


def test_six_mistakes_are_reported_together_in_line_order() -> None:
    text = b"""\
counts: 1
name: UPPER
share: none
inner: {depth: 99}
words: [1, ok, 2]
when: 5
"""
    with pytest.raises(ConfigError) as raised:
        decode_or_raise(parse_one(text, "a.yaml"), Outer)
    assert [str(problem) for problem in raised.value.problems] == [
        "a.yaml:1: counts: unknown key (did you mean count?)",
        'a.yaml:2: name: is "UPPER"; expected small letters',
        'a.yaml:3: share: is "none"; expected a number above 0 or null',
        "a.yaml:4: inner.depth: is 99; expected a whole number from 1 to 9",
        "a.yaml:5: words[0]: is 1; expected text",
        "a.yaml:5: words[2]: is 2; expected text",
        "a.yaml:6: when: is 5; expected a time such as 2026-11-21T14:05:00Z or null",
    ]


def test_what_is_right_is_decoded() -> None:
    text = b"""\
name: x
share: 2
gates: {a: {type: label}, b: {type: ci, checks: [unit]}}
when: 2026-11-21T14:05:00Z
"""
    assert decode_or_raise(parse_one(text, "a"), Outer) == Outer(
        name="x",
        share=2.0,
        gates={"a": Label(), "b": Checks(("unit",))},
        when=datetime.fromisoformat("2026-11-21T14:05:00Z"),
    )


class Loose(msgspec.Struct):
    name: str = ""


class Holder(msgspec.Struct, forbid_unknown_fields=True):
    loose: dict[str, Loose] = {}


def test_an_unknown_key_is_a_mistake_even_where_the_struct_would_take_it() -> None:
    problems: list[Problem] = []
    assert decode(parse_one(b"loose: {a: {nmae: x}}", "a"), Holder, problems) is None
    assert [str(problem) for problem in problems] == [
        "a:1: loose.a.nmae: unknown key (did you mean name?)"
    ]


def test_a_part_of_a_document_is_decoded_with_its_own_lines() -> None:
    document = parse_one(b"x: 1\npart:\n  depth: 99\n", "a")
    problems: list[Problem] = []
    assert decode(document, Inner, problems, ("part",)) is None
    assert [str(problem) for problem in problems] == [
        "a:3: part.depth: is 99; expected a whole number from 1 to 9"
    ]


def test_the_keys_of_a_kind_are_those_of_the_file() -> None:
    assert keys_of(Label) == ("type", "label")


def test_a_value_that_came_from_no_file_has_no_line() -> None:
    assert Document({"a": 1}, "HYPERLOOP_A").where(("a",)) == ("HYPERLOOP_A", 0)
