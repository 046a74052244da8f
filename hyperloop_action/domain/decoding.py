"""Values -> typed Structs, or every mistake at once; all that people write comes through here.

``msgspec.convert`` does the work where nothing is wrong. It stops at the first mistake, so only
after it fails the value is walked again, beside the type, and each mistake is put into words.
"""

from functools import lru_cache
from typing import TypeVar

import msgspec
from msgspec import inspect

from hyperloop_action.domain.documents import Document, Path, Value, nearest, shown
from hyperloop_action.domain.expectations import bare, choices, expectation, fits, one_of
from hyperloop_action.errors import ConfigError, Problem

MAX_KEYS_SHOWN = 8

T = TypeVar("T", bound=msgspec.Struct)


def decode(document: Document, kind: type[T], problems: list[Problem], path: Path = ()) -> T | None:
    """The value at ``path`` as ``kind``; ``None`` after adding all its mistakes to ``problems``.

    Unknown keys are always mistakes. Structs with ``forbid_unknown_fields`` are checked fastest.
    """
    value = at(document.value, path)
    found: list[Problem] = []
    try:
        decoded = msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        _Walk(document, found).check(value, _type_of(kind), path)
        if not found:
            found.append(document.problem(path, str(error)))
    else:
        if _is_strict(kind):
            return decoded
        _Walk(document, found).check(value, _type_of(kind), path)
        if not found:
            return decoded
    problems += sorted(found, key=lambda problem: (problem.file, problem.line))
    return None


def decode_or_raise(document: Document, kind: type[T]) -> T:
    """Raises :class:`ConfigError` with every mistake of the document, in line order."""
    problems: list[Problem] = []
    decoded = decode(document, kind, problems)
    if decoded is None:
        raise ConfigError(problems)
    return decoded


def at(value: Value, path: Path) -> Value:
    """The part of a value at ``path``; ``None`` where there is none."""
    for part in path:
        if isinstance(value, dict) and isinstance(part, str):
            value = value.get(part)
        elif isinstance(value, list) and isinstance(part, int):
            value = value[part]
        else:
            return None
    return value


def keys_of(kind: type[msgspec.Struct]) -> tuple[str, ...]:
    """The keys that a mapping of this kind may have, as written in files."""
    return _keys(_type_of(kind))


class _Walk:
    """One pass over a value and its type, side by side."""

    def __init__(self, document: Document, problems: list[Problem]) -> None:
        self.document = document
        self.problems = problems

    def check(self, value: Value, kind: inspect.Type, path: Path) -> None:
        match bare(kind):
            case inspect.UnionType(types=types):
                self._union(value, kind, types, path)
            case inspect.StructType() as struct:
                self._struct(value, struct, path)
            case inspect.DictType(key_type=key, value_type=item):
                self._dict(value, key, item, path)
            case inspect.ListType(item_type=item) | inspect.VarTupleType(item_type=item):
                self._list(value, kind, item, path)
            case _:
                self._scalar(value, kind, path)

    def _union(
        self, value: Value, kind: inspect.Type, types: tuple[inspect.Type, ...], path: Path
    ) -> None:
        if value is None and any(isinstance(one, inspect.NoneType) for one in types):
            return
        others = [one for one in types if not isinstance(one, inspect.NoneType)]
        structs = [one for one in map(bare, others) if isinstance(one, inspect.StructType)]
        if structs and (isinstance(value, dict) or len(structs) == len(others)):
            self._tagged(value, structs, path)
        elif len(others) == 1 and isinstance(value, dict | list):
            self.check(value, others[0], path)
        else:
            self._scalar(value, kind, path)

    def _tagged(self, value: Value, structs: list[inspect.StructType], path: Path) -> None:
        """The struct that the tag names, or a word about the tag; one struct needs no tag."""
        field = structs[0].tag_field
        if len(structs) == 1 or not isinstance(value, dict) or field is None:
            self._struct(value, structs[0], path)
            return
        tags = {str(struct.tag): struct for struct in structs}
        if field not in value:
            self._say((*path, field), "is missing", one_of(tags))
        elif isinstance(tag := value[field], str) and tag in tags:
            self._struct(value, tags[tag], path)
        else:
            self._say((*path, field), f"is {shown(tag)}", one_of(tags), nearest(str(tag), tags))

    def _struct(self, value: Value, struct: inspect.StructType, path: Path) -> None:
        if not isinstance(value, dict):
            self._say(path, f"is {shown(value)}", "a mapping")
            return
        keys = _keys(struct)
        for key in value.keys() - set(keys):
            self._say((*path, key), "unknown key", hint=_did_you_mean(key, keys))
        for field in struct.fields:
            if field.encode_name in value:
                self.check(value[field.encode_name], field.type, (*path, field.encode_name))
            elif field.required:
                self._say((*path, field.encode_name), "is missing", expectation(field.type))
        if struct.tag_field in value and value[struct.tag_field] != struct.tag:
            tag = value[struct.tag_field]
            self._say((*path, struct.tag_field), f"is {shown(tag)}", f"{struct.tag}")

    def _dict(self, value: Value, key: inspect.Type, item: inspect.Type, path: Path) -> None:
        if not isinstance(value, dict):
            self._say(path, f"is {shown(value)}", "a mapping")
            return
        for name, inner in value.items():
            if not fits(key, name):
                self._say((*path, name), "is not a name", expectation(key))
            self.check(inner, item, (*path, name))

    def _list(self, value: Value, kind: inspect.Type, item: inspect.Type, path: Path) -> None:
        if not isinstance(value, list):
            self._say(path, f"is {shown(value)}", expectation(kind))
            return
        if not value and getattr(bare(kind), "min_length", None):
            self._say(path, "is an empty list", expectation(kind))
        for index, inner in enumerate(value):
            self.check(inner, item, (*path, index))

    def _scalar(self, value: Value, kind: inspect.Type, path: Path) -> None:
        if not fits(kind, value):
            self._say(
                path, f"is {shown(value)}", expectation(kind), nearest(str(value), choices(kind))
            )

    def _say(self, path: Path, what: str, expected: str = "", hint: str = "") -> None:
        self.problems.append(self.document.problem(path, what, expected, hint))


def _did_you_mean(key: str, keys: tuple[str, ...]) -> str:
    few = f"known: {', '.join(keys)}" if len(keys) <= MAX_KEYS_SHOWN else ""
    return nearest(key, keys) or few


@lru_cache(maxsize=256)
def _type_of(kind: type[msgspec.Struct]) -> inspect.StructType:
    (found,) = inspect.multi_type_info([kind])
    if not isinstance(found, inspect.StructType):
        raise TypeError(f"{kind} is not a Struct")
    return found


@lru_cache(maxsize=256)
def _is_strict(kind: type[msgspec.Struct]) -> bool:
    """Whether msgspec itself refuses unknown keys, here and in every Struct inside."""
    seen: list[inspect.Type] = []
    todo: list[inspect.Type] = [_type_of(kind)]
    while todo:
        one = todo.pop()
        if any(one is before for before in seen):
            continue
        seen.append(one)
        if isinstance(one, inspect.StructType):
            if not one.forbid_unknown_fields:
                return False
            todo += [field.type for field in one.fields]
        todo += _inside(one)
    return True


def _inside(kind: inspect.Type) -> list[inspect.Type]:
    match kind:
        case inspect.Metadata(type=inner):
            return [inner]
        case inspect.UnionType(types=types):
            return list(types)
        case inspect.DictType(value_type=item):
            return [item]
        case inspect.ListType(item_type=item) | inspect.VarTupleType(item_type=item):
            return [item]
        case _:
            return []


def _keys(struct: inspect.StructType) -> tuple[str, ...]:
    tag = (struct.tag_field,) if struct.tag_field else ()
    return (*tag, *(field.encode_name for field in struct.fields))
