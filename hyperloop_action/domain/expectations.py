"""Types in words, and whether a value is of a type: what the messages of ``decoding.py`` say.

Each function looks at one value, never into lists and mappings.
"""

import re
from collections.abc import Iterable
from datetime import datetime
from functools import singledispatch

import msgspec
from msgspec import inspect

from hyperloop_action.domain.documents import Value

Number = inspect.IntType | inspect.FloatType


@singledispatch
def expectation(kind: inspect.Type) -> str:
    """What a person should have written: ``a whole number of at least 1``."""
    words = choices(kind)
    return one_of(words) if words else _OTHER_WORDS.get(type(kind), "another value")


@expectation.register
def _(kind: inspect.Metadata) -> str:
    described = (kind.extra or {}).get("expected")
    return str(described) if described else expectation(kind.type)


@expectation.register
def _(kind: inspect.IntType) -> str:
    return f"a whole number{_bounds(kind)}"


@expectation.register
def _(kind: inspect.FloatType) -> str:
    return f"a number{_bounds(kind)}"


@expectation.register
def _(kind: inspect.StrType) -> str:
    return "some text" if kind.min_length else "text"


@expectation.register(inspect.ListType)
@expectation.register(inspect.VarTupleType)
def _(kind: inspect.ListType | inspect.VarTupleType) -> str:
    item = expectation(kind.item_type)
    return f"a list of {_PLURALS.get(item, item)}{', not empty' if kind.min_length else ''}"


@expectation.register
def _(kind: inspect.UnionType) -> str:
    """Null is named last: it is what a person wants least often."""
    some = sorted(kind.types, key=lambda one: isinstance(one, inspect.NoneType))
    return one_of(dict.fromkeys(expectation(one) for one in some))


_PLURALS = {"a mapping": "mappings", "the name of a variable": "names of variables"}

_OTHER_WORDS: dict[type[inspect.Type], str] = {
    inspect.BoolType: "true or false",
    inspect.NoneType: "null",
    inspect.DictType: "a mapping",
    inspect.StructType: "a mapping",
    inspect.DateTimeType: "a time such as 2026-11-21T14:05:00Z",
}


@singledispatch
def choices(_kind: inspect.Type) -> tuple[str, ...]:
    """The words that are allowed, where only some are."""
    return ()


@choices.register
def _(kind: inspect.Metadata) -> tuple[str, ...]:
    return choices(kind.type)


@choices.register
def _(kind: inspect.LiteralType) -> tuple[str, ...]:
    return tuple(str(value) for value in kind.values)


@choices.register
def _(kind: inspect.EnumType) -> tuple[str, ...]:
    return tuple(str(member.value) for member in kind.cls)


@choices.register
def _(kind: inspect.UnionType) -> tuple[str, ...]:
    return tuple(word for one in kind.types for word in choices(one))


@singledispatch
def fits(_kind: inspect.Type, _value: Value) -> bool:
    """Whether the value is of this type; a type that is not known here is left to msgspec."""
    return True


@fits.register
def _(kind: inspect.Metadata, value: Value) -> bool:
    return fits(kind.type, value)


@fits.register
def _(_kind: inspect.BoolType, value: Value) -> bool:
    return isinstance(value, bool)


@fits.register
def _(kind: inspect.IntType, value: Value) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and _in_bounds(value, kind)


@fits.register
def _(kind: inspect.FloatType, value: Value) -> bool:
    return (
        isinstance(value, int | float) and not isinstance(value, bool) and _in_bounds(value, kind)
    )


@fits.register
def _(kind: inspect.StrType, value: Value) -> bool:
    if not isinstance(value, str) or len(value) < (kind.min_length or 0):
        return False
    return kind.pattern is None or re.search(kind.pattern, value) is not None


@fits.register
def _(_kind: inspect.NoneType, value: Value) -> bool:
    return value is None


@fits.register
def _(kind: inspect.UnionType, value: Value) -> bool:
    return any(fits(one, value) for one in kind.types)


@fits.register(inspect.LiteralType)
@fits.register(inspect.EnumType)
def _(kind: inspect.LiteralType | inspect.EnumType, value: Value) -> bool:
    return isinstance(value, str) and value in choices(kind)


@fits.register
def _(_kind: inspect.DateTimeType, value: Value) -> bool:
    try:
        msgspec.convert(value, datetime)
    except msgspec.ValidationError:
        return False
    return True


def one_of(words: Iterable[str]) -> str:
    """``a, b or c``."""
    *most, last = words
    return f"{', '.join(most)} or {last}" if most else last


def bare(kind: inspect.Type) -> inspect.Type:
    """The type without its description."""
    return kind.type if isinstance(kind, inspect.Metadata) else kind


def _bounds(number: Number) -> str:
    if number.ge is not None and number.le is not None:
        return f" from {number.ge:g} to {number.le:g}"
    if number.gt is not None:
        return f" above {number.gt:g}"
    return f" of at least {number.ge:g}" if number.ge is not None else ""


def _in_bounds(value: float, number: Number) -> bool:
    return (
        (number.ge is None or value >= number.ge)
        and (number.gt is None or value > number.gt)
        and (number.le is None or value <= number.le)
        and (number.lt is None or value < number.lt)
    )
