"""A pytest plugin: a test that is skipped must say why, or it fails."""

from collections.abc import Generator

import pytest

_NO_REASONS = frozenset({"", "unconditional skip"})


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip without a reason into a failure."""
    report = yield
    _require_reason(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same for a whole module."""
    report = yield
    _require_reason(report)
    return report


def _require_reason(report: pytest.TestReport | pytest.CollectReport) -> None:
    if not report.skipped:
        return
    if hasattr(report, "wasxfail"):
        reason = report.wasxfail
    else:
        reason = report.longrepr[2].removeprefix("Skipped").strip(": ") if isinstance(report.longrepr, tuple) else ""
    if reason in _NO_REASONS:
        report.outcome = "failed"
        report.longrepr = "skipped, or expected to fail, without a reason"
