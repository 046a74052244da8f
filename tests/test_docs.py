"""What README promises is what the program does: keys, exit codes, examples, first steps."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from msgspec import NODEFAULT

from hyperloop_action import errors
from hyperloop_action.adapters.definitions import load_definitions
from hyperloop_action.domain.config_keys import DEFAULT_ROLE, Keys
from hyperloop_action.domain.config_rules import NOT_YET
from hyperloop_action.domain.documents import Value, dotted, parse_one
from hyperloop_action.domain.orders import Answer, Wants
from hyperloop_action.settings import Settings

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def sections() -> dict[str, str]:
    """Heading -> the text under it, to the next heading of any level. A comment in a fenced block
    is no heading."""
    found, title, fenced = {"": ""}, "", False
    for line in README.splitlines(keepends=True):
        fenced ^= line.startswith("```")
        if line.startswith("#") and not fenced:
            title = line.strip("# \n")
            found[title] = ""
        else:
            found[title] += line
    return found


SECTIONS = sections()


def blocks(title: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", SECTIONS[title], re.MULTILINE | re.DOTALL)


def rows(title: str) -> list[list[str]]:
    """The cells of the tables in a section, without backticks around a whole cell."""
    lines = [line for line in SECTIONS[title].splitlines() if line.startswith("| ")]
    return [[cell.strip().strip("`") for cell in line.strip("| ").split(" | ")] for line in lines]


def keys_of(struct: type[msgspec.Struct], path: tuple[str, ...] = ()) -> dict[str, object]:
    """Dotted key -> default of every key that can be set; sections are entered, lists are not."""
    found: dict[str, object] = {}
    for field in msgspec.structs.fields(struct):
        here = (*path, field.encode_name)
        default = field.default_factory() if field.default is NODEFAULT else field.default
        if here in NOT_YET:
            continue
        if isinstance(default, msgspec.Struct):
            found |= keys_of(type(default), here)
        else:
            found[dotted(here)] = msgspec.json.decode(msgspec.json.encode(default))
    return found


def typed(text: str) -> Value:
    value = parse_one(f"value: {text}".encode(), "README.md").value
    assert isinstance(value, dict)
    return value["value"]


def test_readme_has_one_row_for_each_key_with_its_default() -> None:
    told = {key: typed(default) for key, default, *_ in rows("Configuration")[1:]}

    assert told == keys_of(Keys)


def test_readme_tells_what_a_role_may_set_and_the_defaults() -> None:
    (row,) = (cells for cells in rows("Configuration") if cells[0] == "agents")
    told = dict(re.findall(r"`(\w+)` \((\d+)\)", row[2]))

    given = msgspec.to_builtins(DEFAULT_ROLE)
    assert told == {key: f"{value:.0f}" for key, value in given.items() if value is not None}
    assert set(given) <= set(re.findall(r"`(\w+)`", row[2]))


def test_readme_names_the_keys_that_are_refused_for_now() -> None:
    told = SECTIONS["Configuration"].rpartition("Keys of later versions")[2]
    named = set(re.findall(r"`([\w.]+)`", told))

    assert named == {"base_ref", "repo", "notifications", "observability.matrix"}
    assert {dotted(path).removesuffix(".type") for path in NOT_YET} == named


def test_readme_has_a_row_for_every_command() -> None:
    argv = [sys.executable, "-m", "hyperloop_action", "--help"]
    told = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    commands = re.findall(r"^  (\w+)", told.partition("Commands:\n")[2], re.MULTILINE)

    named = {words[0].split()[1] for words in rows("Commands") if words[0].startswith("hyperloop ")}
    assert named == set(commands)


def test_readme_tells_every_exit_code() -> None:
    told = {int(code) for code, *_ in rows("Commands") if code.isdecimal()}
    raised = {
        one.exit_code
        for one in vars(errors).values()
        if isinstance(one, type) and issubclass(one, errors.HyperloopError)
    }

    assert told == {0, 1} | raised


def test_the_processes_and_agents_that_readme_shows_are_understood() -> None:
    (process,) = blocks("Processes", "yaml")
    shown = [process, *blocks("Agents", "yaml")]
    files = {f".hyperloop/agents/{n}.yaml": text.encode() for n, text in enumerate(shown)}

    definitions = load_definitions(files, Settings.from_mapping({}, b"process: careful"))

    assert definitions.process.name == "careful"
    assert definitions.agents["security-reviewer"].wants is Wants.VERDICT
    assert definitions.agents["implementer"].persona.startswith("A Go API service.")


def test_readme_names_the_agents_that_are_shipped() -> None:
    named = set(re.findall(r"`([a-z-]+)`", SECTIONS["Agents"].partition(". Tell them")[0]))

    assert named == set(load_definitions({}, Settings.from_mapping({})).agents)


def test_the_configuration_of_an_own_agent_is_understood() -> None:
    (config,) = blocks("Your own agent", "yaml")
    settings = Settings.from_mapping({}, config.encode())

    runtime = settings.runtime_for("implementer")
    assert (runtime.name, runtime.command) == ("command", ("python3", "tools/agent.py"))
    assert settings.runtime_for("verifier") == runtime


@pytest.mark.parametrize(
    ("wants", "code", "expected"),
    [
        ("verdict", 0, Answer(verdict="pass", detail="Read it")),  # type: ignore[arg-type] # as JSON has it
        ("changes", 0, None),
        ("verdict", 3, None),
    ],
)
def test_the_agent_that_readme_shows_works(
    tmp_path: Path, wants: str, code: int, expected: Answer | None
) -> None:
    (program,) = blocks("Your own agent", "python")
    model = tmp_path / "my-model"
    words = '{"verdict": "pass", "detail": "\'"$(cat)"\'"}'
    model.write_text(f"#!/bin/sh\necho thinking\necho '{words}'\nexit {code}\n")
    model.chmod(0o755)
    order, answer = tmp_path / "order.json", tmp_path / "answer.json"
    order.write_text(msgspec.json.encode({"wants": wants}).decode())
    env = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "HYPERLOOP_ORDER_FILE": str(order),
        "HYPERLOOP_RESULT_FILE": str(answer),
    }

    argv = [sys.executable, "-c", program]
    done = subprocess.run(argv, env=env, input=b"Read it", check=False)

    assert done.returncode == code
    given = msgspec.json.decode(answer.read_bytes(), type=Answer) if answer.exists() else None
    assert given == expected


@pytest.fixture
def shell(tmp_path: Path) -> dict[str, str]:
    """The environment of a newcomer who has put the commands of the clone on PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, words in (("hyperloop", "-m hyperloop_action "), ("python3", "")):
        program = folder / name
        program.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" {words}"$@"\n')
        program.chmod(0o755)
    person = {f"GIT_{role}_NAME": "Ada" for role in ("AUTHOR", "COMMITTER")}
    person |= {f"GIT_{role}_EMAIL": "ada@example.com" for role in ("AUTHOR", "COMMITTER")}
    return person | {
        "PATH": f"{folder}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
    }


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not here: install it")
def test_five_minutes_work_by_their_steps_alone(tmp_path: Path, shell: dict[str, str]) -> None:
    first, second, third = (
        *blocks("Five minutes with it", "bash"),
        *blocks("With the example agent", "bash"),
    )
    script = "\n".join(("set -e", first, second, third.replace("git log ", "git --no-pager log ")))

    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=shell, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("\nHELLO!\n")
    assert re.search(r"^ {4}Task-Ref: task-001$", done.stdout, re.MULTILINE)
    assert "1 of 1 specs synced" in done.stdout


@pytest.mark.skipif(not (ROOT / ".venv/bin/hyperloop").exists(), reason="`make setup` makes .venv")
def test_the_demo_holds_what_it_claims(tmp_path: Path, shell: dict[str, str]) -> None:
    env = {**shell, "TMPDIR": str(tmp_path)}

    argv = [str(ROOT / "scripts" / "demo"), "--clean"]
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "12 checks hold, 0 do not" in done.stdout
    assert list(tmp_path.glob("hyperloop-demo.*")) == []
