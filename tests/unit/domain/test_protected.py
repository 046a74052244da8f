"""Which paths a session may change. The expected answers are those of ``git check-ignore``."""

import pytest

from hyperloop_action.domain.orders import Wants
from hyperloop_action.domain.protected import changeable, matcher, reaches_git
from hyperloop_action.errors import UsageError


@pytest.mark.parametrize(
    ("pattern", "inside", "outside"),
    [
        ("specs/**", "specs/a.md specs/x/y.md", "specs sub/specs/a specsx/a"),
        (".hyperloop.yaml", ".hyperloop.yaml sub/.hyperloop.yaml", "x.hyperloop.yaml"),
        ("*.md", "README.md d/README.md", "README.mdx"),
        ("/a", "a a/b", "z/a"),
        ("a/", "a/b z/a/b", "a"),
        ("a/*/c", "a/b/c a/b/c/d", "a/c a/b/d/c"),
        ("a/**/c", "a/c a/b/c a/b/d/c", "z/a/c"),
        ("**/x", "x q/x q/x/z", "xx"),
        ("f[!a-c]o", "fdo", "fao f/o"),
        ("f[a-c]o", "fao", "fdo"),
        ("f?o", "fao", "f/o"),
        ("a**b", "a1b ab", "a/1b"),
        ("x\\*y", "x*y", "xzy"),
        ("a.b", "a.b", "axb"),
        ("**", "a a/b", ""),
    ],
)
def test_patterns_mean_what_they_mean_in_gitignore(pattern: str, inside: str, outside: str) -> None:
    matches = matcher([pattern])
    assert [path for path in inside.split() if not matches(path)] == []
    assert [path for path in outside.split() if matches(path)] == []


def test_the_last_match_decides_and_comments_count_for_nothing() -> None:
    matches = matcher(["# specs", "", "specs/**", "!specs/open.md", "specs/x/**"])
    paths = ["specs/a.md", "specs/open.md", "specs/x/open.md"]
    assert [matches(path) for path in paths] == [True, False, True]


def test_a_pattern_that_means_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match=r"\[z-a\]"):
        matcher(["[z-a]"])


@pytest.mark.parametrize(
    ("wants", "path", "may"),
    [
        (Wants.CHANGES, "src/a", True),
        (Wants.CHANGES, "specs/a", False),
        (Wants.RULES, "src/a", False),
        (Wants.RULES, "specs/a", False),
        (Wants.RULES, ".hyperloop/checks/a", True),
        (Wants.RULES, ".hyperloop/agents/process/a/b", True),
        (Wants.RULES, ".hyperloop/agents/a", False),
    ],
)
def test_rules_change_rules_and_code_changes_the_rest(wants: Wants, path: str, may: bool) -> None:
    assert changeable(wants, ["specs/**", ".hyperloop/**"])(path) is may


@pytest.mark.parametrize(
    ("path", "reaches"),
    [
        (".git/config", True), ("a/.GIT", True), ("a/.g\u200cit/x", True), ("GIT~1/x", True),
        (".git./x", True), (".git /x", True), (".git::$INDEX_ALLOCATION/x", True),
        (".gitignore", False), (".github/x", False), ("a.git", False), ("git", False),
    ],
)  # fmt: skip
def test_what_any_system_takes_for_git_is_known(path: str, reaches: bool) -> None:
    assert reaches_git(path) is reaches
