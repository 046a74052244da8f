"""A gate without a forge: one person's word, for one gate and one head."""

import pytest
from msgspec.structs import replace

from hyperloop_action.domain.gates import Cleared, GateView, Waits, evaluate
from hyperloop_action.domain.model import Approval, Phase
from hyperloop_action.domain.process import (
    AllGate,
    AnyGate,
    ApprovalGate,
    CiGate,
    GateSpec,
    LabelGate,
)
from tests.fakes.states import BASE, HEAD, NOW, make_task

TASK = make_task(phase=Phase.WAITING, at=(1,))
WORD = Approval(gate="review", head=HEAD, by="Ada", at=NOW)
GATES = [
    pytest.param(LabelGate(), "label", id="label"),
    pytest.param(ApprovalGate(), "pr-approval", id="pr-approval"),
    pytest.param(CiGate(), "ci-status", id="ci-status"),
    pytest.param(AllGate(gates=(LabelGate(), CiGate())), "all", id="all"),
    pytest.param(AnyGate(gates=(LabelGate(), CiGate())), "any", id="any"),
]


@pytest.mark.parametrize(("gate", "kind"), GATES)
def test_every_gate_waits_and_says_what_to_type(gate: GateSpec, kind: str) -> None:
    assert evaluate("review", gate, TASK, merged=False) == Waits(
        f"waits at gate review ({kind}): look at hyperloop/task-001,"
        " then `hyperloop approve task-001`"
    )


@pytest.mark.parametrize(("gate", "kind"), GATES)
def test_a_word_for_gate_and_head_clears_every_gate(gate: GateSpec, kind: str) -> None:
    assert evaluate("review", gate, replace(TASK, approval=WORD), merged=False) == Cleared("Ada")


@pytest.mark.parametrize(
    ("head", "base", "approval", "counts"),
    [
        pytest.param(HEAD, BASE, WORD, True, id="its head"),
        pytest.param("c" * 40, BASE, WORD, False, id="an older head"),
        pytest.param(HEAD, BASE, replace(WORD, gate="other"), False, id="another gate"),
        pytest.param(None, BASE, replace(WORD, head=BASE), True, id="no change, the base itself"),
        pytest.param(None, BASE, WORD, False, id="a head that is no longer there"),
        pytest.param(None, None, replace(WORD, head=""), True, id="a gate before all work"),
    ],
)
def test_a_word_counts_for_the_gate_and_the_head_that_it_was_said_of(
    head: str | None, base: str | None, approval: Approval, counts: bool
) -> None:
    task = replace(TASK, head=head, base=base, approval=approval)
    view = evaluate("review", LabelGate(), task, merged=False)
    assert isinstance(view, Cleared) is counts


def test_a_merge_by_hand_says_more_than_any_gate() -> None:
    view: GateView = evaluate("review", LabelGate(), TASK, merged=True)
    assert view == Cleared("a merge by hand")
