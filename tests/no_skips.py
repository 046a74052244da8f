"""Turns every skip into a failure, for runs that may leave nothing out: `pytest -p tests.no_skips`.

`make test` loads it when `CI` or `HYPERLOOP_SKIP_NOTHING` is set.
"""

from collections.abc import Generator
from typing import TypeVar

import pytest

Report = TypeVar("Report", pytest.CollectReport, pytest.TestReport)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    return _failed_if_skipped(report)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    # An expected failure is reported as skipped too, and has done its work.
    return report if hasattr(report, "wasxfail") else _failed_if_skipped(report)


def _failed_if_skipped(report: Report) -> Report:
    if report.outcome == "skipped":
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{reason}\nHere nothing may be skipped: install what is missing."
    return report
