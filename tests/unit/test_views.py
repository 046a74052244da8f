"""Words and drawings for people: short, whole, and harmless to a terminal."""

import io
import json
import re

import pytest
import yaml
from rich.console import Console
from rich.text import Text

from hyperloop_action.console.describe import draw
from hyperloop_action.console.screen import Screen, clean
from hyperloop_action.console.spoken import words_of
from hyperloop_action.console.summary import Ending
from hyperloop_action.console.views import (
    count,
    event_values,
    lines_of,
    span,
    table,
    tasks_table,
)
from hyperloop_action.domain.commits import LoggedCommit
from hyperloop_action.domain.facts import SpecFound, TaskMerged
from hyperloop_action.domain.model import SpecStatus, State
from hyperloop_action.domain.outlook import Outlook
from hyperloop_action.domain.process import AgentStep, LoopStep, Process
from hyperloop_action.loop import Summary
from tests.fakes.states import NOW, REVIEWED, SPEC, make_spec, make_state, make_task


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def screen(out: io.StringIO, **env: str) -> Screen:
    return Screen(out, io.StringIO(), {"TERM": "xterm", "COLUMNS": "60", **env})


def printed(ending: Ending) -> str:
    out = io.StringIO()
    screen(out).show(ending.page())
    return out.getvalue()


class TestTable:
    def drawn(self, width: int) -> str:
        out = io.StringIO()
        console = Console(file=out, width=width)
        console.print(table(["TASK", "COST", "WHY"], [["task-001", "", "waits"], ["b", "$1", "x"]]))
        return "".join(f"{line.rstrip()}\n" for line in out.getvalue().splitlines())

    def test_where_there_is_room_it_has_columns(self) -> None:
        assert self.drawn(42) == "TASK      COST  WHY\ntask-001        waits\nb         $1    x\n"

    def test_on_a_narrow_terminal_each_row_is_a_paragraph_and_no_word_is_torn(self) -> None:
        assert self.drawn(41) == "task-001\n  why  waits\nb\n  cost  $1\n  why   x\n"


class TestScreen:
    LONG = Text("word " * 30, style="red")

    def test_a_pipe_gets_whole_lines_without_colours(self) -> None:
        out = io.StringIO()

        screen(out).show(self.LONG)

        assert out.getvalue() == "word " * 29 + "word\n"

    def test_a_terminal_gets_its_width_and_colours(self) -> None:
        out = Terminal()

        screen(out).show(self.LONG)

        assert "\x1b[31m" in out.getvalue()
        assert len(out.getvalue().splitlines()) == 3

    def test_no_color_is_respected(self) -> None:
        out = Terminal()

        screen(out, NO_COLOR="1").show(self.LONG)

        assert "\x1b[31m" not in out.getvalue()

    def test_words_in_brackets_are_words(self) -> None:
        out = io.StringIO()

        screen(out).show("[bold]task[/] :smile:")

        assert out.getvalue() == "[bold]task[/] :smile:\n"

    @pytest.mark.parametrize(("output", "read"), [("json", json.loads), ("yaml", yaml.safe_load)])
    def test_programs_read_back_what_was_dumped(self, output: str, read: object) -> None:
        out, value = io.StringIO(), [{"path": "specs/\udcff ä.md", "why": "a: b\nc", "n": None}]

        screen(out).dump(value[0]["n"] if output == "yaml" else value, output)  # type: ignore[arg-type]

        assert read(out.getvalue()) == (None if output == "yaml" else value)  # type: ignore[operator]

    @pytest.mark.parametrize(
        ("text", "shown"),
        [
            ("a\x1b[2Jb", "a\ufffd[2Jb"),
            ("a\rb", "a\ufffdb"),
            ("a\r\nb\n", "a\nb\n"),
            ("a\tb", "a   b"),
            ("\u202egpj.exe", "\ufffdgpj.exe"),
            ("grün 日本", "grün 日本"),
        ],
    )
    def test_no_text_steers_a_terminal(self, text: str, shown: str) -> None:
        assert clean(text) == shown

    def test_a_narrow_terminal_folds_words_and_loses_none(self) -> None:
        out = Terminal()
        task = make_task(title="Log in with a password", reason="waits for a free slot")

        screen(out).show(tasks_table([task]))

        plain = re.sub(r"\x1b\[[\d;]*m", "", out.getvalue())
        assert "".join(plain.split()) == (
            "task-001statusnot-startedstepagentimplementerround0"
            "titleLoginwithapasswordwhywaitsforafreeslot"
        )


class TestWords:
    @pytest.mark.parametrize(
        ("seconds", "words"),
        [
            (-3, "0 s"),
            (0, "0 s"),
            (89, "89 s"),
            (90, "2 min"),
            (3500, "58 min"),
            (7500, "2 h 5 min"),
        ],
    )
    def test_spans_are_told_as_people_count(self, seconds: float, words: str) -> None:
        assert span(seconds) == words

    def test_one_is_not_several(self) -> None:
        assert [count(n, "task") for n in (0, 1, 2)] == ["0 tasks", "1 task", "2 tasks"]

    @pytest.mark.parametrize(
        ("here", "drawn"),
        [
            ((0, 1), "( implementer > [verifier] ) > human-pr-approval > merge-pr"),
            ((1,), "( implementer > verifier ) > [human-pr-approval] > merge-pr"),
            (None, "( implementer > verifier ) > human-pr-approval > merge-pr"),
        ],
    )
    def test_a_pipeline_is_a_line_with_the_step_marked(
        self, here: tuple[int, ...] | None, drawn: str
    ) -> None:
        assert draw(REVIEWED, here).plain == drawn

    def test_loops_nest_in_the_drawing(self) -> None:
        inner = LoopStep((AgentStep("a"), AgentStep("b")))
        process = Process(name="x", pipeline=(LoopStep((inner, AgentStep("a"))),))

        assert draw(process, (0, 1)).plain == "( ( a > b ) > [a] )"

    @pytest.mark.parametrize(
        ("line", "words"),
        [
            ("plain words", "plain words"),
            ('{"type": "stdout", "text": "compiling"}', "compiling"),
            (
                '{"type":"assistant","message":{"content":[{"type":"text","text":"I look"}]}}',
                "I look",
            ),
            (
                (
                    '{"type":"assistant","message":{"content":[{"type":"text","text":"I look"},'
                    '{"type":"tool_use","name":"Bash","input":{"command":"make test"}}]}}'
                ),
                "Bash: make test",
            ),
            ('{"type":"user","message":{"content":[{"type":"tool_result"}]}}', ""),
            ('{"type":"assistant","mess', ""),
            ("[1, 2]", "[1, 2]"),
        ],
    )
    def test_the_last_words_of_an_agent_are_read_from_its_transcript(
        self, line: str, words: str
    ) -> None:
        assert words_of(line) == words


class TestEvents:
    COMMIT = LoggedCommit(
        "c" * 40,
        NOW,
        "cycle 3: merge 1",
        "task-001 merged as 123\ntask-0010 waits\n\nTask-Ref: task-001\nRun-Ref: local",
        {"Task-Ref": ("task-001",), "Run-Ref": ("local",)},
    )

    def test_trailers_are_no_events(self) -> None:
        assert lines_of(self.COMMIT) == ["task-001 merged as 123", "task-0010 waits"]

    def test_a_commit_without_lines_is_told_by_its_subject(self) -> None:
        bare = LoggedCommit("d" * 40, NOW, "edited by hand", "", {})

        assert lines_of(bare) == ["edited by hand"]

    def test_an_event_is_about_what_it_names_in_full(self) -> None:
        told = event_values([self.COMMIT], "task-001")

        assert [event["what"] for event in told] == ["task-001 merged as 123"]


class TestEnding:
    def ending(
        self, state: State, *, unseen: dict[str, str] | None = None, **fields: object
    ) -> Ending:
        values: dict[str, object] = {
            "converged": False,
            "workers": (),
            "wakes_at": None,
            "attention": (),
            "waiting": (),
            **fields,
        }
        outlook = Outlook(**values)  # type: ignore[arg-type]  # a test names the fields it wants
        facts = (SpecFound(SPEC, "new"), TaskMerged("task-001", "c" * 40))
        return Ending(Summary(outlook, facts), state, "main", "specs", unseen or {})

    def test_all_synced_is_one_line(self) -> None:
        state = make_state(spec=make_spec(SpecStatus.SYNCED))

        assert printed(self.ending(state, converged=True)) == "1 of 1 specs synced, 1 task merged\n"

    def test_what_needs_a_person_comes_with_the_command(self) -> None:
        state = make_state(spec=make_spec(SpecStatus.FAILED, reason="it is empty"))
        waits = ("task-002 backs off until 14:05", "task-003 waits at gate g")

        assert printed(
            self.ending(state, attention=(f"{SPEC}: it is empty", waits[1]), waiting=waits)
        ) == (
            "0 of 1 specs synced, 1 task merged\n"
            "\n"
            "needs you:\n"
            "  specs/auth.md  failed: it is empty\n"
            "                 edit it and commit, or: hyperloop retry specs/auth.md"
            "   (its story: hyperloop describe spec specs/auth.md)\n".replace("   (", " (")
            + "  task-003       waits at gate g\n"
            "\n"
            "waits:\n"
            "  task-002  backs off until 14:05\n"
            "\n"
            "Then go on with: hyperloop run\n"
        )

    def test_of_many_waiting_tasks_ten_are_named(self) -> None:
        waits = tuple(f"task-{n:03d} waits for a free slot" for n in range(1, 15))

        lines = printed(self.ending(make_state(), waiting=waits)).splitlines()

        assert lines[-4:] == [
            "  task-010  waits for a free slot",
            "            and 4 more: hyperloop get tasks",
            "",
            "Go on with: hyperloop run",
        ]

    def test_a_spec_that_was_never_committed_is_named(self) -> None:
        assert printed(
            self.ending(State(), unseen={"specs/a.md": "not committed"}, converged=True)
        ) == (
            "There is no spec below specs/ on main.\n"
            "\n"
            "not seen yet:\n"
            "  specs/a.md  not committed\n"
            "\n"
            "Write what should be true as specs/a.md, commit it, then: hyperloop run\n"
        )
