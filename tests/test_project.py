"""What is written in two places must agree: package, lock, commands, documents, workflows."""

import re
import shlex
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import hyperloop_action

ROOT = Path(__file__).parents[1]
DOCUMENTS = ("README.md", "CONTRIBUTING.md", "SECURITY.md")
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCK = tomllib.loads((ROOT / "uv.lock").read_text())
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.y*ml"))


def run(*argv: str) -> str:
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{shlex.join(argv)}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder))
    (built,) = folder.iterdir()
    return zipfile.ZipFile(built)


def test_a_wheel_ships_every_file_of_the_package(wheel: zipfile.ZipFile) -> None:
    tracked = run("git", "ls-files", "hyperloop_action").splitlines()
    shipped = {name for name in wheel.namelist() if name.startswith("hyperloop_action/")}

    assert set(tracked) - shipped == set()


@pytest.mark.parametrize("needed", ["base/", "templates/", "py.typed"])
def test_a_wheel_brings_the_data_that_the_package_reads(
    wheel: zipfile.ZipFile, needed: str
) -> None:
    assert [name for name in wheel.namelist() if name.startswith(f"hyperloop_action/{needed}")]


def test_the_version_comes_from_the_package_alone(wheel: zipfile.ZipFile) -> None:
    (metadata,) = (name for name in wheel.namelist() if name.endswith("dist-info/METADATA"))

    assert "version" not in PYPROJECT["project"]
    assert f"\nVersion: {hyperloop_action.__version__}\n" in wheel.read(metadata).decode()


def test_the_lock_is_of_what_pyproject_asks_for() -> None:
    project = next(package for package in LOCK["package"] if package["name"] == "hyperloop-action")
    asked = {
        "run": _asked(PYPROJECT["project"]["dependencies"]),
        "dev": _asked(PYPROJECT["dependency-groups"]["dev"]),
    }
    locked = {
        "run": _locked(project["metadata"]["requires-dist"]),
        "dev": _locked(project["metadata"]["requires-dev"]["dev"]),
    }

    assert locked == asked, "run `make lock`"


def _asked(requirements: list[str]) -> dict[str, str]:
    parsed = map(Requirement, requirements)
    return {canonicalize_name(one.name): str(one.specifier) for one in parsed}


def _locked(entries: list[dict[str, str]]) -> dict[str, str]:
    return {entry["name"]: entry["specifier"] for entry in entries}


def test_pip_and_uv_install_the_same_versions_each_with_its_hashes() -> None:
    dev, runtime = _exported("dev"), _exported("run")
    locked = {
        package["name"]: (package["version"], _hashes(package))
        for package in LOCK["package"]
        if package["name"] != "hyperloop-action"
    }

    assert dev == locked, "run `make lock`"
    assert runtime.items() <= dev.items(), "run `make lock`"
    assert set(_asked(PYPROJECT["project"]["dependencies"])) <= set(runtime)


def _exported(name: str) -> dict[str, tuple[str, frozenset[str]]]:
    """Name -> (version, hashes) of a requirements file."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    uncommented = re.sub(r"^ *#.*\n", "", text, flags=re.MULTILINE)
    found = {}
    for block in filter(None, re.split(r"^(?=[a-z])", uncommented, flags=re.MULTILINE)):
        pin = re.match(r"([\w.-]+)==(\S+)", block)
        assert pin, f"not pinned: {block}"
        found[pin[1]] = (pin[2], frozenset(re.findall(r"--hash=(\S+)", block)))
    return found


def _hashes(package: dict[str, Any]) -> frozenset[str]:
    files = [*package.get("wheels", []), *([package["sdist"]] if "sdist" in package else [])]
    return frozenset(file["hash"] for file in files)


def test_the_lock_names_the_public_index_alone() -> None:
    hosts = set(re.findall(r"https?://([^/\"]+)", (ROOT / "uv.lock").read_text()))

    assert {host.removeprefix("files.") for host in hosts} == {"pypi.org", "pythonhosted.org"}


# Written so that this file does not match itself.
OF_ONE_MACHINE = re.compile(
    rb"(?<![\w.$}])/(work|root)/[\w.]|registry[.]npmjs|proxy[.]golang|files[.]pythonhosted"
    rb"|pypi[.]org/simple"
)


def test_no_file_names_a_path_of_one_machine_or_a_host_of_a_registry() -> None:
    paths = [ROOT / name for name in run("git", "ls-files").splitlines()]
    found = {
        f"{path.relative_to(ROOT)}: {match[0].decode()}"
        for path in paths
        if path.is_file() and path.name != "uv.lock"
        for match in OF_ONE_MACHINE.finditer(path.read_bytes())
    }

    assert found == set()


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_starts_with_no_permission_and_pins_what_it_uses(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text())
    used = re.findall(r"uses: *(\S+)", path.read_text())

    assert workflow["permissions"] == {}
    assert [name for name, job in workflow["jobs"].items() if "permissions" not in job] == []
    assert [use for use in used if not re.search(r"^\./|@[0-9a-f]{40}$", use)] == []


FENCED = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)


def _typed(document: str, program: str) -> Iterator[list[str]]:
    """What a reader of ``document`` is told to type: the words after ``program``."""
    text = (ROOT / document).read_text().replace("\\\n", " ")
    lines = re.findall(r"`([^`\n]+)`", FENCED.sub("", text))
    for language, block in FENCED.findall(text):
        if language in {"", "bash", "console", "sh"}:
            shown = block.splitlines()
            asked = [line.removeprefix("$ ") for line in shown if line.startswith("$ ")]
            lines += asked or shown
    for line in lines:
        command = re.split(r" [|&>;]", line)[0].strip()
        words = shlex.split(command, comments=True) if command.startswith(f"{program} ") else []
        if len(words) > 1:
            yield words[1:]


def test_every_make_target_that_a_document_names_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {words[0] for document in DOCUMENTS for words in _typed(document, "make")}

    assert named - targets == set()
    assert {"demo", "test", "check"} <= named


def test_every_command_and_option_that_a_document_names_exists() -> None:
    missing = []
    for document in DOCUMENTS:
        for words in _typed(document, "hyperloop"):
            text = _help_for(words)
            options = {word.partition("=")[0] for word in words if word.startswith("-")}
            missing += [f"hyperloop {shlex.join(words)}: {one}" for one in options - text]

    assert missing == []


_helped: dict[tuple[str, ...], set[str]] = {}


def _help_for(words: list[str]) -> set[str]:
    """The words of the help for the command that ``words`` start with; fails when there is none."""
    command: list[str] = []
    text = _help()
    for word in words:
        if word.startswith("-") or "Commands:" not in text:
            break
        command.append(word)
        text = _help(*command)
    return text


def _help(*command: str) -> set[str]:
    if command not in _helped:
        text = run(sys.executable, "-m", "hyperloop_action", *command, "--help")
        _helped[command] = set(re.findall(r"[\w:-]+", text))
    return _helped[command]


PATHS = re.compile(r"`((?:hyperloop_action|tests|scripts|requirements|\.ci|\.github)/[\w./-]*)`")


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_path_that_a_document_names_exists(document: str) -> None:
    named = PATHS.findall((ROOT / document).read_text())

    assert [path for path in named if not (ROOT / path).exists()] == []


SKIPS = """
import pytest

@pytest.mark.skip(reason="no kite here")
def test_of_a_mark(): ...

def test_of_a_call():
    pytest.skip("no wind here")
"""


@pytest.mark.parametrize(
    ("plugin", "ending"),
    [("no:cacheprovider", "2 skipped"), ("tests.no_skips", "1 failed, 1 error")],
)
def test_a_skip_fails_where_nothing_may_be_left_out(
    tmp_path: Path, plugin: str, ending: str
) -> None:
    (tmp_path / "test_skips.py").write_text(SKIPS)
    argv = [sys.executable, "-m", "pytest", "-q", "-p", plugin, str(tmp_path)]

    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.stdout.splitlines()[-1].startswith(ending), done.stdout
