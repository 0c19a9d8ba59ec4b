from __future__ import annotations

import os
from collections.abc import Generator

import pytest

pytest_plugins = ["pytester"]

REQUIRED = frozenset(os.environ.get("RESEVAL_TESTS_REQUIRE", "").split())
"""Markers whose tests fail instead of being skipped, where everything should be there."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and any(mark.name in REQUIRED for mark in item.iter_markers()):
        report.outcome = "failed"
        report.longrepr = f"skipped where it must run: {report.longreprtext}"
    return report
