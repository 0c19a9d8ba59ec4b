from __future__ import annotations

import importlib.util
import os
from collections.abc import Generator
from pathlib import Path
from types import ModuleType

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


@pytest.fixture(scope="session")
def base_image() -> str:
    """The common image of the example tasks, made if need be."""
    import docker

    made = _example_image_module()
    client = docker.from_env()
    try:
        made.ensure(client)
    except made.BaseImageError as obstacle:
        pytest.skip(str(obstacle))
    finally:
        client.close()
    image: str = made.IMAGE
    return image


def _example_image_module() -> ModuleType:
    path = Path(__file__).parents[1] / "example_tasks" / "base_image.py"
    spec = importlib.util.spec_from_file_location("base_image", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
