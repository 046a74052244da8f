"""The numbers and choices that the rules obey; ``Settings.limits()`` makes them."""

from typing import Literal

import msgspec


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Counts are at least 1, ``_s`` is seconds; the defaults are those of the settings.

    ``max_task_rounds`` and the three ``max_*_attempts`` of a task bound what one task may cost;
    ``max_spec_attempts`` counts plans for one version of a spec. ``max_lost`` is how often in a row
    a worker may vanish: that is the runner's trouble, so it is allowed more often than an error.
    ``max_usd_per_day`` counts UTC days; ``None`` is no limit.
    """

    max_workers: int = 6
    max_task_rounds: int = 50
    max_action_attempts: int = 3
    max_rebase_attempts: int = 3
    max_spawn_attempts: int = 3
    max_spec_attempts: int = 3
    backoff_s: float = 30.0
    max_lost: int = 10
    auto_merge: bool = True
    merge_strategy: Literal["squash", "merge", "rebase"] = "squash"
    delete_branch: bool = True
    max_usd_per_day: float | None = None
    branch_prefix: str = "hyperloop/"
