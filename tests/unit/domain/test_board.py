"""What a person sees on opening the state branch; nothing that an agent wrote draws in it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from hyperloop_action.domain.board import cell, render_board
from hyperloop_action.domain.model import Meta, Phase, SpecStatus, Spend, State
from hyperloop_action.domain.orders import Usage
from tests.fakes.states import SPEC, make_spec, make_state, make_task

COMMIT = "b" * 12


def test_the_board_of_nothing() -> None:
    assert (
        render_board(State()) == "# hyperloop\n\n**0 of 0 specs synced**, 0 open tasks, cycle 0.\n"
    )


def test_the_whole_board() -> None:
    tasks = (
        make_task(10, Phase.QUEUED, round=2, reason="waits for a free slot"),
        make_task(9, Phase.COMPLETE, usage=Usage(cost_usd=1.234), reason=""),
    )
    state = replace(
        make_state(*tasks),
        meta=Meta(cycle=42, spend=Spend(day="2026-11-21", today_usd=1.0, total_usd=7.5)),
        specs={
            "specs/pay.md": make_spec(SpecStatus.FAILED, reason="three plans"),
            SPEC: make_spec(SpecStatus.SYNCED),
            "specs/old.md": make_spec(SpecStatus.REMOVED),
        },
    )
    assert render_board(state) == (
        "# hyperloop\n"
        "\n"
        "**1 of 2 specs synced**, 1 open task, cycle 42.\n"
        "\n"
        "| spec | state | version |\n"
        "|---|---|---|\n"
        f"| specs/auth.md | synced | {COMMIT} |\n"
        f"| specs/old.md | removed | {COMMIT} |\n"
        f"| specs/pay.md | needs a person: three plans | {COMMIT} |\n"
        "\n"
        "| task | title | state | round | cost | why it stands there |\n"
        "|---|---|---|---|---|---|\n"
        "| [task-009](tasks/task-009.md) | Log in with a password | complete | 0 | $1.23 |  |\n"
        "| [task-010](tasks/task-010.md) | Log in with a password | agent implementer | 2 | $0.00"
        " | waits for a free slot |\n"
        "\n"
        "Spent $7.50 in all, $1.00 on 2026-11-21.\n"
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a | b", "a \\| b"),
        ("![x](http://evil)", "!\\[x\\](http://evil)"),
        ("<img src=x>", "\\<img src=x\\>"),
        ("**bold** _it_ `code`", "\\*\\*bold\\*\\* \\_it\\_ \\`code\\`"),
        ("back\\slash |", "back\\\\slash \\|"),
        ("two\nlines\r\n# heading", "two lines # heading"),
        ("specs/log_in.md", "specs/log\\_in.md"),
    ],
)
def test_words_of_agents_and_names_of_files_draw_nothing(text: str, shown: str) -> None:
    assert cell(text) == shown


@given(st.text(), st.text(), st.text())
def test_whatever_is_said_the_table_keeps_its_rows_and_columns(
    title: str, reason: str, path: str
) -> None:
    state = replace(
        make_state(make_task(title=title, reason=reason)), specs={path: make_spec(reason=reason)}
    )
    rows = [line for line in render_board(state).split("\n") if line.startswith("|")]
    bare = [row.replace("\\\\", "").replace("\\|", "") for row in rows]
    assert [row.count("|") for row in bare] == [4, 4, 4, 7, 7, 7]


def test_an_equal_state_gives_an_equal_board() -> None:
    tasks = [make_task(n) for n in (1, 2, 10)]
    assert render_board(make_state(*tasks)) == render_board(make_state(*reversed(tasks)))
