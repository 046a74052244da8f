"""The environment of every git process: the caller's, without what would redirect git."""

from collections.abc import Mapping

from hyperloop_action.domain.commits import BOT

_KEPT = frozenset(
    {
        "GIT_ALLOW_PROTOCOL",
        "GIT_ASKPASS",
        "GIT_CONFIG_COUNT",
        "GIT_CONFIG_GLOBAL",
        "GIT_CONFIG_NOSYSTEM",
        "GIT_CONFIG_SYSTEM",
        "GIT_EXEC_PATH",
        "GIT_PROXY_SSL_CAINFO",
        "GIT_SSH",
        "GIT_SSH_COMMAND",
        "GIT_SSH_VARIANT",
        "GIT_SSL_CAINFO",
        "GIT_SSL_CAPATH",
        "GIT_SSL_NO_VERIFY",
    }
)
"""Variables that say how remotes are reached and where configuration lies. All others (GIT_DIR,
GIT_INDEX_FILE, ...) would redirect us; git itself sets them when we are called from a hook."""

_SETTINGS = {
    "core.hooksPath": "/dev/null",  # a repository's hooks are for people's commands
    "gc.auto": "0",
    "maintenance.auto": "false",
    "log.showSignature": "false",  # would mix text of gpg into what we parse
    "core.fsync": "committed,loose-object,reference",  # state survives a power cut
}


def environment(
    caller: Mapping[str, str], config: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The environment of every git process.

    ``config`` is passed the same way as our own settings, so it is in no argument list and in no
    file: this is the place for the header that carries a token.
    """
    env = {k: v for k, v in caller.items() if not k.startswith("GIT_") or k in _KEPT}
    env.pop("LANGUAGE", None)
    env |= {"LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0"}
    for role in ("AUTHOR", "COMMITTER"):
        env |= {f"GIT_{role}_NAME": BOT.name, f"GIT_{role}_EMAIL": BOT.email}
    count = caller.get("GIT_CONFIG_COUNT", "")
    first = int(count) if count.isdigit() else 0
    for n in range(first):
        pair = (f"GIT_CONFIG_KEY_{n}", f"GIT_CONFIG_VALUE_{n}")
        env |= {name: caller[name] for name in pair if name in caller}
    settings = [*_SETTINGS.items(), *(config or {}).items()]
    for n, (key, value) in enumerate(settings, first):
        env |= {f"GIT_CONFIG_KEY_{n}": key, f"GIT_CONFIG_VALUE_{n}": value}
    return env | {"GIT_CONFIG_COUNT": str(first + len(settings))}
