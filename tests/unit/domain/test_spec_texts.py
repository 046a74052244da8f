"""Which specs go into one plan: those with a text, and only as many as fit a prompt."""

from hyperloop_action.domain.orders import SpecToPlan
from hyperloop_action.domain.spec_texts import MAX_PLAN_BYTES, fitting


def spec(name: str) -> SpecToPlan:
    return SpecToPlan(path=f"specs/{name}.md", commit="c" * 40, blob=name, change="new")


def names(sizes: dict[str, int]) -> list[str]:
    specs = tuple(spec(name) for name in sizes)
    texts = {name: b"x" * size for name, size in sizes.items()}
    return [each.blob for each in fitting(specs, texts)]


def test_all_specs_that_fit_one_prompt_are_planned_together() -> None:
    assert names({"a": 1, "b": MAX_PLAN_BYTES - 1}) == ["a", "b"]


def test_what_does_not_fit_waits_for_the_next_plan() -> None:
    assert names({"a": 1, "b": MAX_PLAN_BYTES, "c": 1}) == ["a"]


def test_the_first_spec_is_planned_however_long_it_is() -> None:
    assert names({"a": MAX_PLAN_BYTES + 1, "b": 1}) == ["a"]


def test_without_specs_there_is_nothing_to_plan() -> None:
    assert names({}) == []
