"""Gathering what the manifest says of the machine and the versions."""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import psutil
import pytest

from pytest_reseval.plugin import options
from pytest_reseval.plugin.run import Run
from pytest_reseval.records import Manifest

_PACKAGES = ("pytest-reseval", "pytest", "pytest-xdist", "docker", "psutil")


def begin(run: Run, workers: int) -> Manifest:
    """The manifest as it is when the run starts."""
    engine, choice = run.chosen
    return Manifest(
        run=run.identity().run,
        started=now(),
        engine=engine.info,
        engine_choice=choice,
        host=_host(),
        budget_memory=run.budget.memory,
        budget_cores=run.budget.cores,
        options=options.shown(run.config),
        agent=run.agent.name,
        workers=workers,
        versions={name: version(name) for name in _PACKAGES} | {"python": sys.version.split()[0]},
        arguments=tuple(run.config.invocation_params.args),
        rootdir=str(run.config.rootpath),
        seed=run.identity().seed,
    )


def now() -> str:
    """This moment in UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def workers_of(config: pytest.Config) -> int:
    """How many processes run tests; 1 without xdist."""
    return max(1, len(getattr(config.option, "tx", None) or ()))


def _host() -> Mapping[str, str | int | float | None]:
    return {
        "kernel": platform.release(),
        "machine": platform.machine(),
        "cpu_model": _cpu_model(),
        "cores": psutil.cpu_count(),
        "physical_cores": psutil.cpu_count(logical=False),
        "memory": psutil.virtual_memory().total,
        "swap": psutil.swap_memory().total,
    }


def _cpu_model() -> str | None:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return None
