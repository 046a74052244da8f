"""Any value of a typed Struct, for properties: every field drawn, those with a default too."""

import types
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

import msgspec
from hypothesis import strategies as st

T = TypeVar("T", bound=msgspec.Struct)

EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
LEAVES: dict[object, st.SearchStrategy[object]] = {
    str: st.text(max_size=40),
    int: st.integers(0, 10**12),
    float: st.floats(0, 1e12, allow_nan=False),
    bool: st.booleans(),
    types.NoneType: st.none(),
    datetime: st.integers(0, 10**15).map(lambda us: EPOCH + timedelta(microseconds=us)),
}


def anything(kind: type[T], **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[T]:
    """``fields`` says what is special about some of them."""
    drawn = {f.name: _of(f.type) for f in msgspec.structs.fields(kind) if f.name not in fields}
    return st.builds(kind, **drawn, **fields)


def _of(kind: Any) -> st.SearchStrategy[Any]:
    origin, args = get_origin(kind), get_args(kind)
    if origin in (types.UnionType, Union):
        return st.one_of(*map(_of, args))
    if origin is tuple:
        return st.lists(_of(args[0]), max_size=3).map(tuple)
    if origin is dict:
        return st.dictionaries(_of(args[0]), _of(args[1]), max_size=3)
    if origin is Literal or issubclass(kind, Enum):
        return st.sampled_from(args or list(kind))
    return LEAVES[kind] if kind in LEAVES else anything(kind)
