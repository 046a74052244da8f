"""The two documents between a cycle and a session: what is written is what is read."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyperloop_action.domain.orders import (
    SCHEMA,
    Order,
    Result,
    Usage,
    decode_order,
    decode_result,
    encode,
)
from hyperloop_action.errors import UsageError
from tests.unit.domain.anything import anything

NEWER = """o.json: has schema 2
  expected at most 1
  it was written by a newer hyperloop: upgrade this one"""

ORDER = {"id": "o-1", "role": "pm", "wants": "proposals", "base": "b", "head": "h", "prompt": "p"}


@given(anything(Order, schema=st.just(SCHEMA)))
def test_an_order_is_read_as_it_was_written(order: Order) -> None:
    assert decode_order(encode(order), "o.json") == order


@given(anything(Result, schema=st.just(SCHEMA)))
def test_a_result_is_read_as_it_was_written(result: Result) -> None:
    assert decode_result(encode(result), "r.json") == result


def test_documents_are_indented_and_end_in_a_newline_since_people_open_them() -> None:
    text = encode(Result(order="o-1", outcome="done")).decode()
    assert text.startswith('{\n  "schema": 1,\n  "order": "o-1",\n  "outcome": "done",\n')
    assert text.endswith("}\n")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"wants": "money"},
            "o.json: is not a valid order: Invalid enum value 'money' - at `$.wants`",
        ),
        ({"round": "1"}, "o.json: is not a valid order: Expected `int`, got `str` - at `$.round`"),
        ({"schema": 2}, NEWER),
    ],
)
def test_a_mistake_names_file_and_key(change: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        decode_order(msgspec.json.encode(ORDER | change), "o.json")
    assert str(caught.value) == message


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b"\xff\xfe"])
def test_what_is_no_document_is_refused_in_words(data: bytes) -> None:
    with pytest.raises(UsageError, match=r"^r\.json: is not a valid result: "):
        decode_result(data, "r.json")


def test_bills_add_up_without_the_dust_of_floats() -> None:
    bill = Usage(cost_usd=0.1, turns=1, input_tokens=2, output_tokens=3, duration_s=0.1)
    assert bill + bill + bill == Usage(
        cost_usd=0.3, turns=3, input_tokens=6, output_tokens=9, duration_s=0.3
    )
