"""Typed values -> YAML that a person reads and edits: no defaults, and a line for each key.

``state_files.py`` calls this; ``decoding.py`` reads it back.
"""

import msgspec
import yaml

_Fastest: type[yaml.SafeDumper] = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class _Dumper(_Fastest):  # type: ignore[misc, valid-type]  # whichever of the two there is
    """A line for each key of the file; what is inside a key stays on its line."""

    def serialize(self, node: yaml.CollectionNode) -> None:
        node.flow_style = False
        super().serialize(node)


def plain(value: msgspec.Struct, keep: tuple[str, ...] = ()) -> dict[str, object]:
    """As plain values without the fields that still have their default, save those in ``keep``."""
    fields: dict[str, object] = msgspec.to_builtins(value)
    defaults = {f.name: _default(f) for f in msgspec.structs.fields(value)}
    return {
        key: item
        for key, item in fields.items()
        if key in keep or getattr(value, key) != defaults[key]
    }


def _default(field: msgspec.structs.FieldInfo) -> object:
    if field.default_factory is not msgspec.NODEFAULT:
        return field.default_factory()
    return field.default


def dump(value: object) -> bytes:
    text = yaml.dump(
        value,
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=None,
        width=10_000,
        encoding="utf-8",
    )
    return bytes(text)
