"""Run every benchmark and print all tables in Markdown: ``python -m benchmarks``."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator

import psutil
import pytest

from benchmarks import collecting, sampling, scaling, startup, trial_cost
from benchmarks.rounds import show
from benchmarks.trials import ENGINES
from pytest_reseval.engines import choose
from pytest_reseval.resources import format_memory


def facts() -> Iterator[str]:
    """What one must know of this machine to read the tables, one line each."""
    yield f"Linux {platform.release()}, {os.cpu_count()} cores"
    yield f"memory {format_memory(psutil.virtual_memory().total)}"
    yield f"Python {platform.python_version()}, pytest {pytest.__version__}"
    for name in ENGINES:
        engine, _ = choose(name)
        info = engine.info
        engine.close()
        yield f"{name}: {info.version}, cgroup v{info.cgroup_version}, {info.storage_driver}"
    yield f"load average before the first table {os.getloadavg()[0]:.1f}"


def main() -> None:
    """Print the machine's facts, then every table."""
    print("\n".join(f"- {fact}" for fact in facts()), end="\n\n", flush=True)
    for benchmark in (trial_cost, startup, collecting, sampling, scaling):
        show(benchmark.tables())


if __name__ == "__main__":
    main()
