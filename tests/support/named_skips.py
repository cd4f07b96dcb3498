"""A pytest plugin: a test that is skipped must say why, or it fails."""

from collections.abc import Generator

import pytest

_NO_REASONS = frozenset({"", "unconditional skip"})


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip without a reason into a failure."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2].removeprefix("Skipped").strip(": ")
        if reason in _NO_REASONS:
            report.outcome = "failed"
            report.longrepr = "skipped without a reason"
    return report
