"""Three layers of documents, from a mapping of paths to bytes or from a folder."""

from pathlib import Path

import pytest

from hyperloop_action.adapters.definitions import (
    Definitions,
    load_definitions,
    read_folder,
    shipped,
)
from hyperloop_action.domain.agents import AgentDefinition
from hyperloop_action.domain.config_keys import RoleSettings
from hyperloop_action.domain.orders import Wants
from hyperloop_action.domain.process import (
    ActionStep,
    AgentStep,
    GateStep,
    LabelGate,
    LoopStep,
    MergeAction,
    Process,
)
from hyperloop_action.errors import ConfigError
from hyperloop_action.settings import Settings

BASE = {
    "base/agents.yaml": b"""\
kind: Agent
name: implementer
wants: changes
prompt: Implement.
guidelines: Small steps.
annotations: {team: base, ambient.io/persona: Anybody.}
---
kind: Agent
name: verifier
prompt: Verify.
---
kind: Agent
name: pm
wants: proposals
prompt: Plan.
""",
    "base/process.yaml": b"""\
kind: Process
name: default
pipeline:
  - loop: [agent: implementer, agent: verifier]
  - action: merge-pr
""",
}
HERE = ".hyperloop/agents"
WORK = LoopStep((AgentStep("implementer"), AgentStep("verifier")))


def load(files: dict[str, str], config: str = "") -> Definitions:
    settings = Settings.from_mapping({}, config.encode())
    return load_definitions({path: text.encode() for path, text in files.items()}, settings, BASE)


def mistakes(files: dict[str, str], config: str = "") -> list[str]:
    with pytest.raises(ConfigError) as raised:
        load(files, config)
    return [str(problem) for problem in raised.value.problems]


def test_without_an_overlay_the_base_is_what_there_is() -> None:
    assert load({"src/a.yaml": "not: ours", "README.md": "x"}) == Definitions(
        process=Process(
            name="default",
            pipeline=(WORK, ActionStep("merge-pr")),
            actions={"merge-pr": MergeAction()},
        ),
        agents={
            "implementer": AgentDefinition(
                name="implementer",
                prompt="Implement.",
                guidelines="Small steps.",
                persona="Anybody.",
                wants=Wants.CHANGES,
                annotations={"team": "base", "ambient.io/persona": "Anybody."},
            ),
            "verifier": AgentDefinition(name="verifier", prompt="Verify."),
            "pm": AgentDefinition(name="pm", prompt="Plan.", wants=Wants.PROPOSALS),
        },
        processes=load({}).processes,
    )


def test_a_patch_names_only_what_it_changes_and_annotations_are_united() -> None:
    patch = """\
kind: Agent
name: implementer
guidelines: Ours.
model: large
annotations:
  ambient.io/persona: You work on a Go service.
"""
    assert load({f"{HERE}/sub/implementer-patch.yml": patch}).agents["implementer"] == (
        AgentDefinition(
            name="implementer",
            prompt="Implement.",
            guidelines="Ours.",
            persona="You work on a Go service.",
            wants=Wants.CHANGES,
            runtime=RoleSettings(model="large"),
            annotations={"team": "base", "ambient.io/persona": "You work on a Go service."},
        )
    )


def test_a_new_agent_is_added_and_may_stand_in_the_process() -> None:
    files = {
        f"{HERE}/reviewer.yaml": "kind: Agent\nname: reviewer\nprompt: Review.\n",
        f"{HERE}/process-patch.yaml": "kind: Process\nname: default\n"
        "pipeline: [agent: implementer, role: reviewer]\n",
    }
    definitions = load(files)
    assert definitions.agents["reviewer"] == AgentDefinition(name="reviewer", prompt="Review.")
    assert definitions.process == Process(
        name="default", pipeline=(AgentStep("implementer"), AgentStep("reviewer"))
    )


CAREFUL = "kind: Process\nname: careful\npipeline: [agent: implementer]\n"
GATED = "pipeline: [agent: implementer, gate: human-pr-approval]\n"


def test_a_process_file_without_kind_and_name_is_about_the_chosen_process() -> None:
    files = {f"{HERE}/more.yaml": CAREFUL, f"{HERE}/process/process.yaml": GATED}
    definitions = load(files, "process: careful")
    assert definitions.process == Process(
        name="careful",
        pipeline=(AgentStep("implementer"), GateStep("human-pr-approval")),
        gates={"human-pr-approval": LabelGate()},
    )
    assert definitions.processes["default"].pipeline == (WORK, ActionStep("merge-pr"))


def test_the_short_form_and_the_long_one_of_a_process_do_not_share_a_folder() -> None:
    files = {f"{HERE}/more.yaml": CAREFUL, f"{HERE}/process.yaml": GATED}
    assert mistakes(files, "process: careful") == [
        (
            f"{HERE}/process.yaml:1: name: process careful is already in {HERE}/more.yaml:2;"
            " expected one document for each name (merge the two)"
        )
    ]


def test_learned_guidelines_come_behind_the_others_and_replace_none() -> None:
    files = {
        f"{HERE}/ours.yaml": "kind: Agent\nname: implementer\nguidelines: |\n  Ours.\n",
        f"{HERE}/process/learned.yaml": "kind: Agent\nname: implementer\nguidelines: Learned.\n",
        f"{HERE}/process/other.yaml": "kind: Agent\nname: pm\nguidelines: Learned.\n",
    }
    agents = load(files).agents
    assert (agents["implementer"].guidelines, agents["pm"].guidelines) == (
        "Ours.\n\nLearned.",
        "Learned.",
    )


def test_another_folder_of_the_repository_may_be_the_overlay() -> None:
    files = {"tools/agents/a.yaml": "kind: Agent\nname: pm\nmodel: large\n"}
    definitions = load(files, "overlay: ./tools/agents/")
    assert definitions.agents["pm"].runtime == RoleSettings(model="large")


NEW = "kind: Agent\nname: new\nprompt: x\n"


@pytest.mark.parametrize(
    ("files", "config", "message"),
    [
        (
            {f"{HERE}/a.yaml": "kind: Agent\nname: implementr\nmodel: x\n"},
            "",
            (
                f'{HERE}/a.yaml:2: name: there is no agent "implementr" that this could change;'
                " expected a prompt, which would make it a new one (did you mean implementer?)"
            ),
        ),
        (
            {f"{HERE}/a.yaml": "kind: Process\nname: defualt\ngates: {}\n"},
            "",
            (
                f'{HERE}/a.yaml:2: name: there is no process "defualt" that this could change;'
                " expected a pipeline, which would make it a new one (did you mean default?)"
            ),
        ),
        (
            {f"{HERE}/a.yaml": "kind: Agnet\nname: x\n"},
            "",
            f'{HERE}/a.yaml:1: kind: is "Agnet"; expected Agent or Process (did you mean Agent?)',
        ),
        (
            {f"{HERE}/a.yaml": "kind: [Agent]\nname: x\n"},
            "",
            f"{HERE}/a.yaml:1: kind: is a list; expected Agent or Process",
        ),
        (
            {f"{HERE}/a.yaml": "name: x\nprompt: y\n"},
            "",
            f"{HERE}/a.yaml:1: kind: is missing; expected Agent or Process",
        ),
        (
            {f"{HERE}/a.yaml": "kind: Agent\nprompt: y\n"},
            "",
            f"{HERE}/a.yaml:1: name: is missing; expected the name of the agent",
        ),
        (
            {f"{HERE}/a.yaml": "- a\n"},
            "",
            f"{HERE}/a.yaml:1: is a list; expected a mapping with kind and name",
        ),
        (
            {f"{HERE}/a.yaml": NEW, f"{HERE}/b/c.yaml": f"---\n{NEW}"},
            "",
            (
                f"{HERE}/b/c.yaml:3: name: agent new is already in {HERE}/a.yaml:2;"
                " expected one document for each name (merge the two)"
            ),
        ),
        (
            {f"{HERE}/a.yaml": "kind: Agent\nname: pm\nmodle: x\n"},
            "",
            f"{HERE}/a.yaml:3: modle: unknown key (did you mean model?)",
        ),
        (
            {f"{HERE}/a.yaml": "kind: Agent\nname: pm\nruntime: hose\n"},
            "runtimes: {house: {type: command, command: [x]}}",
            (
                f'{HERE}/a.yaml:3: runtime: is "hose", which is no runtime;'
                " expected claude or house"
                " (did you mean house?)"
            ),
        ),
        (
            {f"{HERE}/a.yaml": "kind: Agent\nname: pm\nannotations:\n  team: 5\n"},
            "",
            f"{HERE}/a.yaml:4: annotations.team: is 5; expected text",
        ),
        (
            {f"{HERE}/kustomization.yaml": "resources: []\n"},
            "",
            (
                f"{HERE}/kustomization.yaml:"
                " kustomize overlays are not supported yet by this version"
                " (remove it to have the folder read as plain documents)"
            ),
        ),
        (
            {f"{HERE}/process/kustomization.yml": "resources: []\n"},
            "",
            (
                f"{HERE}/process/kustomization.yml:"
                " kustomize overlays are not supported yet by this version"
                " (remove it to have the folder read as plain documents)"
            ),
        ),
        (
            {},
            "\noverlay: .hyperlop/agents",
            (
                '.hyperloop.yaml:2: overlay: is ".hyperlop/agents", where there are no files;'
                " expected a folder with agents or a process"
            ),
        ),
        (
            {},
            "process: defalt",
            (
                '.hyperloop.yaml:1: process: there is no process "defalt"; expected default'
                " (did you mean default?)"
            ),
        ),
        (
            {f"{HERE}/process.yaml": "pipeline: [agent: implementer]"},
            "process: defalt",
            (
                '.hyperloop.yaml:1: process: there is no process "defalt"; expected default'
                " (did you mean default?)"
            ),
        ),
        (
            {},
            "agents:\n  verifer: {max_turns: 3}",
            (
                '.hyperloop.yaml:2: agents.verifer: there is no agent "verifer";'
                " expected default, implementer, pm or verifier (did you mean verifier?)"
            ),
        ),
    ],
)
def test_a_mistake_is_named_with_its_file_and_line(
    files: dict[str, str], config: str, message: str
) -> None:
    assert mistakes(files, config) == [message]


def test_mistakes_of_all_files_come_together() -> None:
    files = {
        f"{HERE}/a.yaml": "kind: Agent\nname: pm\nmodel: 5\n---\nkind: Agent\nname: pm\n",
        f"{HERE}/b.yaml": "a: 1\na: 2\n",
        f"{HERE}/process/process.yaml": "pipeline: [agent: implementr]\nactions: {x: {}}\n",
    }
    assert mistakes(files) == [
        f"{HERE}/a.yaml:3: model: is 5; expected some text or null",
        (
            f"{HERE}/a.yaml:6: name: agent pm is already in {HERE}/a.yaml:2;"
            " expected one document for each name (merge the two)"
        ),
        f"{HERE}/b.yaml:2: a: is given twice; expected each key once",
        (
            f'{HERE}/process/process.yaml:1: pipeline[0].agent: there is no agent "implementr"'
            " (did you mean implementer?)"
        ),
        (
            f"{HERE}/process/process.yaml:2: actions.x.type: is missing;"
            " expected pr-merge or mark-pr-ready"
        ),
    ]


def test_a_patched_part_keeps_its_own_file_and_line_in_messages() -> None:
    files = {f"{HERE}/process.yaml": "# ours\ngates: {spare: {type: label}}\n"}
    assert load(files).notices == (
        f"{HERE}/process.yaml:2: gates.spare is defined, but no step uses it",
    )


@pytest.mark.parametrize("name", ["default", "reviewed"])
def test_what_is_shipped_is_right_and_says_nothing(name: str) -> None:
    settings = Settings.from_mapping({}, f"process: {name}".encode())
    definitions = load_definitions({}, settings)
    gate = (GateStep("human-pr-approval"),) if name == "reviewed" else ()
    assert definitions.process.pipeline == (WORK, *gate, ActionStep("merge-pr"))
    assert definitions.notices == ()
    assert {"implementer", "verifier", "pm", "process-improver"} <= set(definitions.agents)


def test_each_shipped_agent_is_asked_for_what_the_pipeline_needs() -> None:
    agents = load_definitions({}, Settings.from_mapping({})).agents
    roles = ("implementer", "verifier", "pm", "process-improver")
    assert [agents[role].wants for role in roles] == [
        Wants.CHANGES,
        Wants.VERDICT,
        Wants.PROPOSALS,
        Wants.RULES,
    ]


def test_a_folder_on_disk_is_read_by_paths_from_its_root(tmp_path: Path) -> None:
    (tmp_path / HERE / "process").mkdir(parents=True)
    (tmp_path / HERE / "a.yaml").write_text(NEW)
    (tmp_path / HERE / "process" / "b.yaml").write_text("")
    (tmp_path / "other.yaml").write_text("x")
    assert read_folder(tmp_path, HERE) == {
        f"{HERE}/a.yaml": NEW.encode(),
        f"{HERE}/process/b.yaml": b"",
    }
    assert read_folder(tmp_path, "nowhere") == {}


def test_what_is_shipped_is_named_as_the_base() -> None:
    assert "base/process.yaml" in shipped()
