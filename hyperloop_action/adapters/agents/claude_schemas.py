"""The JSON Schemas that make `claude` give a typed answer, by what an order wants.

``claude.py`` passes them to `--json-schema`; what comes back is decoded into ``orders.Answer``.
Written out, since the API takes no reference at the top; a test holds them to ``orders.py``.
For changes and rules the commits are the answer; it is asked for what only words can say: that
nothing had to be changed, or that the work cannot be done.
"""

from hyperloop_action.domain.orders import Wants

Schema = dict[str, object]


def _text(description: str) -> Schema:
    return {"type": "string", "description": description}


def _texts(description: str) -> Schema:
    return {"type": "array", "items": {"type": "string"}, "description": description}


def _object(required: tuple[str, ...], **properties: Schema) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


VERDICT = _object(
    ("verdict", "detail"),
    verdict={
        "enum": ["pass", "fail"],
        "description": "pass only if the work meets its spec in full, as you saw yourself",
    },
    detail=_text("Markdown: what you checked and what you found; for a fail, what must change"),
)

CHANGES = _object(
    ("detail",),
    detail=_text("Markdown: what you did, and what is left or was noticed"),
    verdict={
        "enum": ["pass", "fail"],
        "description": "leave it out, but for two cases: pass if all was there already and nothing"
        " had to be changed, fail if the work cannot be done as it is asked for",
    },
)

PROPOSAL = _object(
    ("key", "title", "description", "spec"),
    key=_text("a short name for this task, unique in this answer"),
    title=_text("one line"),
    description=_text("Markdown: what to build, and how to tell that it is done"),
    spec=_text("path of the spec that it comes from"),
    deps=_texts("keys of this answer, or ids of existing tasks, that must be merged first"),
    covers=_texts("the criteria of the spec that it meets: their ids, or their words"),
)

PROPOSALS = _object(
    ("proposals",),
    proposals={"type": "array", "items": PROPOSAL, "description": "empty if nothing is left to do"},
    detail=_text("Markdown: why these tasks, or why none"),
)

SCHEMAS: dict[Wants, Schema] = {
    Wants.CHANGES: CHANGES,
    Wants.RULES: CHANGES,
    Wants.VERDICT: VERDICT,
    Wants.PROPOSALS: PROPOSALS,
}
