"""Which specs a pm can work with: one without text, or too long for a prompt, needs a person."""

from itertools import accumulate

from hyperloop_action.domain.draft import Draft
from hyperloop_action.domain.ledger import fail_spec
from hyperloop_action.domain.orders import SpecToPlan
from hyperloop_action.domain.world import World

MAX_SPEC_BYTES = 256 * 1024
"""What still leaves room for work in an agent's context; a longer spec should be several."""


MAX_PLAN_BYTES = 384 * 1024
"""Of all specs of one plan together; the others wait for the next one."""


def refuse_size(draft: Draft, world: World, path: str) -> None:
    """Told from the tree alone, before any text is read."""
    seen = world.specs.get(path)
    if seen is None:
        return
    if seen.size == 0:
        fail_spec(draft, path, "the file is empty: write what should be true, then commit it")
    elif seen.size > MAX_SPEC_BYTES:
        size, most = seen.size / 1024 / 1024, MAX_SPEC_BYTES // 1024
        why = f"the file has {size:.1f} MB, more than the {most} KB that fit a prompt: split it"
        fail_spec(draft, path, why)


def refuse_blank(
    draft: Draft, specs: tuple[SpecToPlan, ...], texts: dict[str, bytes]
) -> tuple[SpecToPlan, ...]:
    """The specs whose text (by blob) a pm can work with; the others fail until somebody edits
    them."""
    usable = []
    for spec in specs:
        why = _unreadable(texts[spec.blob])
        if why:
            fail_spec(draft, spec.path, why)
        else:
            usable.append(spec)
    return tuple(usable)


def fitting(specs: tuple[SpecToPlan, ...], texts: dict[str, bytes]) -> tuple[SpecToPlan, ...]:
    """As many as fit one prompt, in order; the first always does."""
    sizes = accumulate(len(texts[spec.blob]) for spec in specs)
    return tuple(
        spec
        for place, (spec, size) in enumerate(zip(specs, sizes, strict=True))
        if place == 0 or size <= MAX_PLAN_BYTES
    )


def _unreadable(text: bytes) -> str:
    try:
        blank = not text.decode("utf-8").strip()
    except UnicodeDecodeError as error:
        return f"the file is not UTF-8 text (byte {error.start}): save it as UTF-8, then commit it"
    return "the file has no text: write what should be true, then commit it" if blank else ""
