"""The configuration: where values come from, what is refused, and that the schema says the same."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from msgspec import to_builtins
from msgspec.structs import asdict

from hyperloop_action.domain.config_keys import (
    ClaudeRuntime,
    CommandRuntime,
    Keys,
    Merge,
    RoleSettings,
    schema,
)
from hyperloop_action.domain.documents import Value
from hyperloop_action.domain.limits import Limits
from hyperloop_action.domain.orders import RuntimeSpec
from hyperloop_action.errors import ConfigError
from hyperloop_action.settings import Settings, show


def load(
    file: str = "", env: Mapping[str, str] | None = None, options: dict[str, Value] | None = None
) -> Settings:
    return Settings.from_mapping(env or {}, file.encode(), options)


def mistakes(file: str = "", env: Mapping[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        load(file, env)
    return [str(problem) for problem in raised.value.problems]


# As in the documentation, without what this version does not support yet.
FULL = """\
overlay: .hyperloop/agents/
base_ref: null
repo: null
process: reviewed
base_branch: main
specs_dir: specs
state_branch: hyperloop-state
branch_prefix: hyperloop/
remote: auto
runtime: claude                      # a runtime type, or a name under runtimes
runtimes:
  house-agent: {type: command, command: [python3, tools/agent.py], env: [HOUSE_KEY]}
agents:                              # per role; `default` for all
  default: {model: null, max_turns: 60, max_budget_usd: 5, timeout_minutes: 60}
  verifier: {runtime: house-agent}
max_workers: 6
max_task_rounds: 50
max_action_attempts: 3
max_rebase_attempts: 3
max_spawn_attempts: 3
max_spec_attempts: 3
poll_interval: 30
on_close: replan
merge: {auto_merge: true, strategy: squash, delete_branch: true}
budget: {max_usd_per_day: null}
protected_paths: [specs/**, .hyperloop/**, .hyperloop.yaml, .github/**]
max_change_mb: 50
notifications: {type: null}
observability: {log_format: console, log_level: info, matrix: null}
"""


def values(settings: Settings) -> dict[str, Any]:
    return {key: value for key, value in asdict(settings).items() if key in keys()}


def keys() -> tuple[str, ...]:
    return Keys.__struct_fields__


def test_a_full_house_is_read_and_says_little_more_than_the_defaults() -> None:
    full, default = values(load(FULL)), values(load())
    changed = {key: full[key] for key in keys() if full[key] != default[key]}
    assert changed == {
        "process": "reviewed",
        "runtimes": {
            "house-agent": CommandRuntime(command=("python3", "tools/agent.py"), env=("HOUSE_KEY",))
        },
        "agents": {
            "default": RoleSettings(max_turns=60, max_budget_usd=5, timeout_minutes=60),
            "verifier": RoleSettings(runtime="house-agent"),
        },
    }


def test_a_full_house_has_every_key_that_there_is() -> None:
    assert re.findall(r"^(\w+):", FULL, re.MULTILINE) == list(keys())


def test_no_file_and_an_empty_file_are_the_defaults() -> None:
    assert Settings.from_mapping({}) == load("# nothing\n") == load()


def test_later_sources_win_and_each_value_knows_its_own() -> None:
    settings = load(
        "max_workers: 2\nmerge: {strategy: merge, auto_merge: false}\nprocess: reviewed\n",
        {"HYPERLOOP_MAX_WORKERS": "3", "HYPERLOOP_MERGE__STRATEGY": "rebase", "MAX_WORKERS": "9"},
        {"max_workers": 4, "base_branch": None},
    )
    assert (settings.max_workers, settings.merge, settings.base_branch) == (
        4,
        Merge(auto_merge=False, strategy="rebase"),
        "main",
    )
    assert settings.origins == {
        "max_workers": "command line",
        "merge.strategy": "HYPERLOOP_MERGE__STRATEGY",
        "merge.auto_merge": ".hyperloop.yaml:2",
        "process": ".hyperloop.yaml:3",
    }


@pytest.mark.parametrize(
    ("name", "text", "key", "value"),
    [
        ("HYPERLOOP_MAX_WORKERS", " 3 ", "max_workers", 3),
        ("HYPERLOOP_POLL_INTERVAL", "2.5", "poll_interval", 2.5),
        ("HYPERLOOP_BASE_BRANCH", "007", "base_branch", "007"),
        ("HYPERLOOP_BASE_BRANCH", "1", "base_branch", "1"),
        ("HYPERLOOP_PROTECTED_PATHS", "a/**, b", "protected_paths", ("a/**", "b")),
        ("HYPERLOOP_MERGE__AUTO_MERGE", "false", "merge", Merge(auto_merge=False)),
        ("HYPERLOOP_BASE_REF", "null", "base_ref", None),
        ("HYPERLOOP_MAX_WORKERS", "", "max_workers", 6),
        ("HYPERLOOP_PROMPT_FILE", "x", "max_workers", 6),
    ],
)
def test_a_variable_means_what_its_key_wants(name: str, text: str, key: str, value: object) -> None:
    assert getattr(load("", {name: text}), key) == value


@pytest.mark.parametrize("word", ["true", "false"])
def test_what_is_not_a_word_for_the_key_names_the_variable(word: str) -> None:
    assert mistakes("", {"HYPERLOOP_MAX_WORKERS": word, "HYPERLOOP_ON_CLOSE": "replann"}) == [
        f'HYPERLOOP_MAX_WORKERS: max_workers: is "{word}"; expected a whole number of at least 1',
        ('HYPERLOOP_ON_CLOSE: on_close: is "replann"; expected replan (did you mean replan?)'),
    ]


def test_a_variable_that_is_nearly_a_setting_is_pointed_out() -> None:
    assert load("", {"HYPERLOOP_MAX_WORKER": "3", "HYPERLOOP_TOKEN": "x"}).notices == (
        "HYPERLOOP_MAX_WORKER is no setting (did you mean HYPERLOOP_MAX_WORKERS?)",
    )


REF = "expected the name of a branch"
LATER = "is not supported yet by this version; expected null (leave the key out)"
INSIDE = "expected a folder inside the repository"
ELSEWHERE = f"overlays from elsewhere are not supported yet by this version; {INSIDE}"
COMMAND = "runtimes: {house: {type: command, command: [x]"
MISTAKES = [
    ("max_worker: 3", "max_worker: unknown key (did you mean max_workers?)"),
    ('max_workers: "six"', 'max_workers: is "six"; expected a whole number of at least 1'),
    ("max_workers: 0", "max_workers: is 0; expected a whole number of at least 1"),
    ("poll_interval: 0", "poll_interval: is 0; expected a number from 1 to 86400"),
    (
        "on_close: close",
        'on_close: is "close"; expected replan',
    ),
    ("merge:", "merge: is empty; expected a mapping"),
    (
        "merge: {strategy: sqash}",
        'merge.strategy: is "sqash"; expected merge, rebase or squash (did you mean squash?)',
    ),
    ("merge: {auto_merge: yes}", 'merge.auto_merge: is "yes"; expected true or false'),
    ("base_branch: ../x", f'base_branch: is "../x"; {REF}'),
    ("base_branch: -x", f'base_branch: is "-x"; {REF}'),
    ("base_branch: a b", f'base_branch: is "a b"; {REF}'),
    ("base_branch: a.lock", f'base_branch: is "a.lock"; {REF}'),
    ('state_branch: "a\\n"', f'state_branch: is "a"; {REF}'),
    ("branch_prefix: a//", 'branch_prefix: is "a//"; expected the beginning of a branch\'s name'),
    ("remote: --all", 'remote: is "--all"; expected auto, none or the name of a remote'),
    ("specs_dir: /specs", f'specs_dir: is "/specs"; {INSIDE}'),
    ("specs_dir: a/../../b", f'specs_dir: is "a/../../b"; {INSIDE}'),
    ("overlay: ../agents", f'overlay: is "../agents"; {INSIDE}'),
    ("overlay: git@host.org:o/r//x", f'overlay: is "git@host.org:o/r//x"; {ELSEWHERE}'),
    ("overlay: https://host.org/r", f'overlay: is "https://host.org/r"; {ELSEWHERE}'),
    ("base_ref: host.org/r//base", f"base_ref: {LATER}"),
    ("repo: owner/name", f"repo: {LATER}"),
    ("repo: name", 'repo: is "name"; expected owner/name or null'),
    ("notifications: {type: github-comment}", f"notifications.type: {LATER}"),
    ("observability: {matrix: {homeserver: x}}", f"observability.matrix: {LATER}"),
    (
        "observability: {log_level: warn}",
        (
            'observability.log_level: is "warn"; expected debug, error, info or warning'
            " (did you mean warning?)"
        ),
    ),
    (
        "budget: {max_usd_per_day: 0}",
        "budget.max_usd_per_day: is 0; expected a number above 0 or null",
    ),
    ("protected_paths: specs", 'protected_paths: is "specs"; expected a list of some text'),
    (
        "runtime: claud",
        'runtime: is "claud", which is no runtime; expected claude (did you mean claude?)',
    ),
    (
        "runtime: command",
        (
            'runtime: is "command", which is no runtime; expected claude'
            " (a command is given a name under runtimes)"
        ),
    ),
    (
        "agents: {pm: {runtime: hose}}\n" + COMMAND + "}}",
        (
            'agents.pm.runtime: is "hose", which is no runtime; expected claude or house'
            " (did you mean house?)"
        ),
    ),
    (
        "agents: {pm: {max_turn: 3}}",
        "agents.pm.max_turn: unknown key (did you mean max_turns?)",
    ),
    (
        "runtimes: {house: {type: comand}}",
        'runtimes.house.type: is "comand"; expected command or claude (did you mean command?)',
    ),
    (
        "runtimes: {house: {type: command}}",
        "runtimes.house.command: is missing; expected a list of some text, not empty",
    ),
    (
        COMMAND + ", env: [OK, GITHUB_TOKEN]}}",
        (
            "runtimes.house.env[1]: GITHUB_TOKEN never reaches an agent:"
            " it lets its holder push and merge (remove it)"
        ),
    ),
    (
        COMMAND + ", env: [git_dir]}}",
        (
            "runtimes.house.env[0]: git_dir never reaches an agent:"
            " it would redirect git away from the agent's own clone (remove it)"
        ),
    ),
    (
        COMMAND + ", env: [A=b]}}",
        'runtimes.house.env[0]: is "A=b"; expected the name of a variable',
    ),
    (
        "runtimes: {claude: {type: command, command: [x]}}",
        (
            "runtimes.claude: is the name of a runtime type, and this one is of type command;"
            " expected another name"
        ),
    ),
    (
        "state_branch: main",
        'state_branch: is "main", as base_branch; expected a branch of its own',
    ),
    (
        "state_branch: hyperloop/state",
        (
            'branch_prefix: is "hyperloop/", which state_branch hyperloop/state is in the way of;'
            " expected a prefix of its own"
        ),
    ),
    (
        "branch_prefix: main/",
        (
            'branch_prefix: is "main/", which base_branch main is in the way of;'
            " expected a prefix of its own"
        ),
    ),
]


@pytest.mark.parametrize(
    ("file", "message"),
    MISTAKES,
    ids=[file for file, _ in MISTAKES],
)
def test_a_mistake_is_named_with_its_line_and_what_was_expected(file: str, message: str) -> None:
    assert mistakes(f"# a comment\n{file}\n") == [f".hyperloop.yaml:2: {message}"]


def test_mistakes_of_all_sources_are_reported_together() -> None:
    file = """\
max_worker: 3
merge: {strategy: sqash}
agents:
  verifier: {max_turns: none}
runtimes:
  house: {type: command}
target: {base_brunch: x}
max_rounds: 0
"""
    assert mistakes(file, {"HYPERLOOP_MERGE__AUTO_MERGE": "maybe"}) == [
        ".hyperloop.yaml:7: target.base_brunch: unknown key (did you mean base_branch?)",
        ".hyperloop.yaml:1: max_worker: unknown key (did you mean max_workers?)",
        (
            '.hyperloop.yaml:2: merge.strategy: is "sqash"; expected merge, rebase or squash'
            " (did you mean squash?)"
        ),
        (
            '.hyperloop.yaml:4: agents.verifier.max_turns: is "none";'
            " expected a whole number of at least 1 or null"
        ),
        (
            ".hyperloop.yaml:6: runtimes.house.command: is missing;"
            " expected a list of some text, not empty"
        ),
        ".hyperloop.yaml:8: max_rounds: is 0; expected a whole number of at least 1",
        'HYPERLOOP_MERGE__AUTO_MERGE: merge.auto_merge: is "maybe"; expected true or false',
    ]


def test_a_file_that_is_not_yaml_does_not_hide_a_wrong_variable() -> None:
    assert mistakes("a: 1\na: 2\n", {"HYPERLOOP_MAX_WORKERS": "x"}) == [
        ".hyperloop.yaml:2: a: is given twice; expected each key once",
        'HYPERLOOP_MAX_WORKERS: max_workers: is "x"; expected a whole number of at least 1',
    ]


def test_the_keys_of_0_8_still_work_and_are_pointed_out() -> None:
    settings = load("""\
target:
  base_branch: develop
  specs_dir: docs/specs
runtime:
  default: local
  max_workers: 4
max_rounds: 7
""")
    assert settings.runtime_for("implementer").name == "claude"
    assert (
        settings.base_branch,
        settings.specs_dir,
        settings.max_workers,
        settings.max_task_rounds,
        settings.notices,
    ) == (
        "develop",
        "docs/specs",
        4,
        7,
        (
            ".hyperloop.yaml:2: target.base_branch is the old spelling of base_branch",
            ".hyperloop.yaml:3: target.specs_dir is the old spelling of specs_dir",
            ".hyperloop.yaml:5: runtime.default is the old spelling of runtime",
            ".hyperloop.yaml:6: runtime.max_workers is the old spelling of max_workers",
            ".hyperloop.yaml:7: max_rounds is the old spelling of max_task_rounds",
        ),
    )


def test_an_old_and_a_new_spelling_together_are_a_mistake() -> None:
    assert mistakes("max_task_rounds: 3\nmax_rounds: 4\ntarget: main\n") == [
        ".hyperloop.yaml:3: target: unknown key",
        (
            ".hyperloop.yaml:2: max_rounds: is the old spelling of max_task_rounds,"
            " which is also there; expected one of them"
        ),
    ]


RUNTIMES = """\
runtime: house
runtimes:
  house: {type: command, command: [python3, agent.py], env: [HOUSE_KEY]}
  big: {type: claude, model: large, env: [PROXY]}
agents:
  default: {max_turns: 20, timeout_minutes: 0.5}
  verifier: {runtime: big, max_budget_usd: 1}
  pm: {runtime: big, model: larger}
  simple: {runtime: local}
"""
HOUSE = RuntimeSpec(
    name="command",
    command=("python3", "agent.py"),
    env=("HOUSE_KEY",),
    max_turns=20,
    timeout_s=30.0,
)


@pytest.mark.parametrize(
    ("role", "document", "spec"),
    [
        ("implementer", None, HOUSE),
        (
            "implementer",
            RoleSettings(max_turns=9, model="m"),
            RuntimeSpec(
                name="command",
                command=HOUSE.command,
                env=HOUSE.env,
                model="m",
                max_turns=9,
                timeout_s=30.0,
            ),
        ),
        (
            "verifier",
            RoleSettings(runtime="house", max_budget_usd=2),
            RuntimeSpec(
                model="large", env=("PROXY",), max_turns=20, max_budget_usd=1, timeout_s=30.0
            ),
        ),
        ("pm", None, RuntimeSpec(model="larger", env=("PROXY",), max_turns=20, timeout_s=30.0)),
        ("simple", None, RuntimeSpec(max_turns=20, timeout_s=30.0)),
    ],
)
def test_a_role_runs_as_whoever_is_nearest_to_it_says(
    role: str, document: RoleSettings | None, spec: RuntimeSpec
) -> None:
    assert load(RUNTIMES).runtime_for(role, document) == spec


def test_by_default_a_role_runs_as_an_order_does() -> None:
    assert load().runtime_for("implementer") == RuntimeSpec()


def test_every_limit_comes_from_its_setting() -> None:
    settings = load("""\
max_workers: 2
max_task_rounds: 3
max_action_attempts: 4
max_rebase_attempts: 5
max_spawn_attempts: 6
max_spec_attempts: 7
poll_interval: 8
merge: {auto_merge: false, strategy: rebase, delete_branch: false}
budget: {max_usd_per_day: 9.5}
branch_prefix: loop/
""")
    assert settings.limits() == Limits(
        max_workers=2,
        max_task_rounds=3,
        max_action_attempts=4,
        max_rebase_attempts=5,
        max_spawn_attempts=6,
        max_spec_attempts=7,
        backoff_s=8.0,
        max_lost=10,
        auto_merge=False,
        merge_strategy="rebase",
        delete_branch=False,
        max_usd_per_day=9.5,
        branch_prefix="loop/",
    )


def test_the_defaults_of_the_limits_are_those_of_the_settings() -> None:
    assert load().limits() == Limits()


def test_what_is_shown_is_read_back_as_the_same() -> None:
    settings = load(RUNTIMES + 'protected_paths: ["a b", "007", "# x", "null", "*.md", "ä: b"]\n')
    assert values(load(show(settings))) == values(settings)


def test_what_is_shown_says_where_each_value_was_set() -> None:
    shown = show(load("max_workers: 3\nmerge: {strategy: merge}\n", {"HYPERLOOP_PROCESS": "x"}))
    lines = dict(line.strip().split("  # ") for line in shown.splitlines() if "  # " in line)
    assert {key: place for key, place in lines.items() if place != "default"} == {
        "max_workers: 3": ".hyperloop.yaml:1",
        "strategy: merge": ".hyperloop.yaml:2",
        "process: x": "HYPERLOOP_PROCESS",
    }


def schemas() -> Iterator[tuple[str, dict[str, Any]]]:
    definitions = schema()["$defs"]
    assert isinstance(definitions, dict)
    yield from definitions.items()


def test_the_schema_has_the_keys_of_the_decoder_and_refuses_others() -> None:
    whole = dict(schemas())["Keys"]
    assert list(whole["properties"]) == list(keys())
    assert all(
        part["additionalProperties"] is False for name, part in schemas() if part["properties"]
    )


def test_the_schema_has_the_defaults_of_the_decoder() -> None:
    plain = {
        key: as_tuple(part["default"])
        for key, part in dict(schemas())["Keys"]["properties"].items()
        if not isinstance(part.get("default"), dict)
    }
    decoded = to_builtins(Keys())
    assert plain == {key: decoded[key] for key in plain}
    assert len(plain) > 15


def as_tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def words_of(part: object) -> Iterator[tuple[str, list[str]]]:
    if isinstance(part, dict):
        for key, inner in part.items():
            if isinstance(inner, dict) and "enum" in inner:
                yield key, inner["enum"]
            yield from words_of(inner)


def test_the_decoder_takes_each_word_of_the_schema_and_no_other() -> None:
    sections = {"strategy": "merge", "log_format": "observability", "log_level": "observability"}
    found = {key: words for key, words in words_of(schema()) if key != "type"}
    assert set(found) == {"on_close", *sections}
    for key, words in found.items():
        for word in words:
            text = f"{key}: {word}"
            load(f"{sections[key]}: {{{text}}}" if key in sections else text)
        text = f"{key}: other"
        assert mistakes(f"{sections[key]}: {{{text}}}" if key in sections else text)


def test_a_named_runtime_may_be_claude_with_more_variables() -> None:
    settings = load("runtimes: {claude: {type: claude, env: [HTTPS_PROXY]}}")
    assert settings.runtimes == {"claude": ClaudeRuntime(env=("HTTPS_PROXY",))}
    assert settings.runtime_for("pm") == RuntimeSpec(env=("HTTPS_PROXY",))
