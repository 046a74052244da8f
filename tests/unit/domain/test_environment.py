"""Which variables of the caller an agent gets."""

import pytest

from hyperloop_action.domain.environment import forbidden, passed, secret_values


@pytest.mark.parametrize(
    "name",
    [
        "GITHUB_TOKEN", "GH_TOKEN", "GH_ENTERPRISE_TOKEN", "ACTIONS_RUNTIME_TOKEN",
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "INPUT_GITHUB-TOKEN", "GITHUB_ENV", "GITHUB_PATH",
        "GIT_DIR", "GIT_CONFIG_COUNT", "HYPERLOOP_TOKEN", "HOME", "github_token",
    ],
)  # fmt: skip
def test_some_names_never_pass(name: str) -> None:
    assert forbidden(name) != ""
    assert passed({name: "x"}, [name]) == {}


@pytest.mark.parametrize("name", ["ANTHROPIC_API_KEY", "HOUSE_KEY", "GITHUB_REPOSITORY", "GITEA"])
def test_other_names_pass_when_they_are_asked_for(name: str) -> None:
    assert forbidden(name) == ""
    assert passed({name: "x", "OTHER": "y"}, [name, "ABSENT"]) == {name: "x"}


def test_values_are_secret_unless_short_or_open_by_their_name() -> None:
    variables = {
        "ANTHROPIC_API_KEY": "sk-ant-1234", "HOUSE_KEY": "seven77", "AWS_REGION": "eu-central-1",
        "ANTHROPIC_MODEL": "claude-sonnet", "ANTHROPIC_BASE_URL": "https://gateway.example",
        "PROXY_URL": "https://user:word@proxy.example", "ANYTHING": "12345678",
    }  # fmt: skip
    assert secret_values(variables) == (
        "sk-ant-1234",
        "https://user:word@proxy.example",
        "12345678",
    )
