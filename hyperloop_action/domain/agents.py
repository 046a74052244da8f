"""A ``kind: Agent`` document -> :class:`AgentDefinition`; ``adapters/definitions.py`` calls this.

The texts are templates of ``adapters/prompts.py``; nothing here looks into them.
"""

from typing import Annotated, Literal

import msgspec

from hyperloop_action.domain.config_keys import RoleSettings
from hyperloop_action.domain.decoding import decode
from hyperloop_action.domain.documents import Document
from hyperloop_action.domain.orders import Wants
from hyperloop_action.domain.process import Name
from hyperloop_action.errors import Problem

PERSONA = "ambient.io/persona"

Prose = Annotated[str, msgspec.Meta(pattern=r"\S", extra={"expected": "text, not empty"})]


class AgentDefinition(msgspec.Struct, frozen=True, kw_only=True):
    """An agent as it is after all layers. ``persona`` is the project's annotation of that name;
    ``runtime`` holds what the document says about how it runs, null where it says nothing."""

    name: str
    prompt: str
    guidelines: str = ""
    persona: str = ""
    wants: Wants = Wants.VERDICT
    runtime: RoleSettings = RoleSettings()
    annotations: dict[str, str] = msgspec.field(default_factory=dict)


class _Fields(RoleSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The document as it is typed."""

    kind: Literal["Agent"]
    name: Name
    prompt: Prose
    guidelines: str = ""
    annotations: dict[str, str] = msgspec.field(default_factory=dict)
    wants: Wants = Wants.VERDICT


def read_agent(document: Document, problems: list[Problem]) -> AgentDefinition | None:
    """``None`` after adding every mistake to ``problems``."""
    fields = decode(document, _Fields, problems)
    if fields is None:
        return None
    runtime = {key: getattr(fields, key) for key in RoleSettings.__struct_fields__}
    return AgentDefinition(
        name=fields.name,
        prompt=fields.prompt,
        guidelines=fields.guidelines,
        persona=fields.annotations.get(PERSONA, ""),
        wants=fields.wants,
        runtime=RoleSettings(**runtime),
        annotations=fields.annotations,
    )
