"""What a prompt may speak of, and what is cut when it is too much."""

from msgspec.structs import replace

from hyperloop_action.domain.agents import AgentDefinition
from hyperloop_action.domain.briefing import (
    CUT,
    FINDINGS_BUDGET,
    Briefing,
    SpecBrief,
    blobs_of,
    bounded,
    plan_briefing,
    task_briefing,
)
from hyperloop_action.domain.model import Meta, Phase, Planner, Review, SpecStatus
from hyperloop_action.domain.orders import SpecToPlan, Verdict
from tests.fakes.states import BASE, SPEC, make_spec, make_state, make_task

AGENT = AgentDefinition(name="implementer", prompt="Do it.")
PAY = "specs/pay.md"


def review(text: str, seq: int = 0, round_: int = 0) -> Review:
    return Review(
        task_id="task-001",
        seq=seq,
        round=round_,
        role="verifier",
        verdict=Verdict.FAIL,
        findings=text,
    )


def test_a_task_is_briefed_with_the_spec_and_the_findings_of_all_rounds_newest_first() -> None:
    reviews = (review("a", 0, 9), review("b", 1, 10), review("c", 2, 10))
    task = make_task()
    state = replace(make_state(task), reviews={"task-001": reviews})
    assert task_briefing(AGENT, task, state, "# Auth") == Briefing(
        agent=AGENT,
        spec_ref=f"{SPEC}@{BASE}",
        spec_text="# Auth",
        task=task,
        findings=tuple(reversed(reviews)),
    )


def test_findings_that_do_not_fit_are_cut_and_the_cut_is_said() -> None:
    kept = bounded((review("x" * 60), review("y" * 60), review("z")), budget=100)
    assert [one.findings for one in kept] == ["x" * 60, "y" * 40 + CUT]


def test_findings_that_just_fit_stay_whole() -> None:
    whole = (review("x" * (FINDINGS_BUDGET - 1)), review("y"))
    assert bounded(whole) == whole


def test_a_review_without_words_takes_no_room() -> None:
    assert bounded((review(""), review("x")), budget=1) == (review("x"),)


def test_the_pm_is_told_what_was_there_what_failed_and_what_is_open() -> None:
    failed, complete = make_task(2, Phase.FAILED), make_task(1, Phase.COMPLETE)
    other = make_task(10, spec_ref=f"{PAY}@{BASE}")
    older = make_task(9, spec_ref=f"{PAY}@{BASE}")
    said = (replace(review("no"), task_id="task-002"),)
    state = replace(
        make_state(failed, complete, other, older),
        specs={SPEC: make_spec(SpecStatus.PENDING, blob="new", synced_blob="old")},
        reviews={"task-002": said},
        meta=Meta(planner=Planner(refusal="the key 'a' stands twice")),
    )
    spec = SpecToPlan(path=SPEC, commit=BASE, blob="new", change="failed")
    texts = {"new": "# New", "old": "# Old"}
    assert blobs_of((spec,), state) == ["new", "old"]
    assert plan_briefing(AGENT, (spec,), state, texts) == Briefing(
        agent=AGENT,
        specs=(
            SpecBrief(
                path=SPEC,
                change="failed",
                text="# New",
                before="# Old",
                history=((complete, ()), (failed, said)),
            ),
        ),
        tasks=(older, other),
        refusal="the key 'a' stands twice",
    )


def test_a_text_before_that_cannot_be_read_any_more_is_left_out() -> None:
    state = make_state(spec=make_spec(SpecStatus.PENDING, synced_blob="old"))
    spec = SpecToPlan(path=SPEC, commit=BASE, blob="new", change="changed")
    (brief,) = plan_briefing(AGENT, (spec,), state, {"new": "# New"}).specs
    assert brief.before is None
