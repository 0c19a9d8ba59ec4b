"""How much CPU does it cost to sample sandboxes?

    python -m benchmarks.sampling

Prints one table: CPU seconds of this process while it samples some running sandboxes, less those
while it does not.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack

from benchmarks.rounds import Table, show
from benchmarks.tasks import GUARANTEE_MIB, IMAGE
from benchmarks.trials import ENGINES
from pytest_reseval.cgroups.sampler import INTERVAL, Sampler
from pytest_reseval.engines import choose
from pytest_reseval.engines.base import SandboxRequest
from pytest_reseval.resources import GIB, MIB, Headroom, Resources

SANDBOXES = 8
SECONDS = 10.0
ROUNDS = 5


def tables() -> Iterator[Table]:
    """One table."""
    yield Table(
        f"CPU share of sampling {SANDBOXES} sandboxes at {1 / INTERVAL:.0f} Hz",
        ("engine", "share of one core", "a sample"),
        [_row(engine) for engine in ENGINES],
        f"Medians of {ROUNDS} rounds: {SECONDS:g} s with sampling less {SECONDS:g} s without.",
    )


def _row(engine_name: str) -> tuple[str, ...]:
    guarantee = GUARANTEE_MIB * MIB
    resources = Resources(guarantee, Headroom(3.0).memory_limit(guarantee), 1.0, 1.0, 100, GIB)
    image = IMAGE if engine_name == "docker" else None
    with ExitStack() as opened:
        engine, _ = choose(engine_name)
        opened.callback(engine.close)
        meters = []
        for number in range(SANDBOXES):
            sandbox = engine.start(SandboxRequest(f"benchmark-{number}", image, resources))
            opened.callback(sandbox.close)
            meters.append(sandbox.meter)
        differences, samples = [], []
        for _ in range(ROUNDS):
            idle = _cpu_seconds_of_a_window()
            sampler = Sampler()
            series = [sampler.watch(meter) for meter in meters]
            busy = _cpu_seconds_of_a_window()
            for one in series:
                one.stop()
            differences.append(busy - idle)
            samples.append(sum(len(one.samples) for one in series))
    seconds = statistics.median(differences)
    return (
        engine_name,
        f"{100 * seconds / SECONDS:.2f} %",
        f"{1e6 * seconds / statistics.median(samples):.0f} µs",
    )


def _cpu_seconds_of_a_window() -> float:
    began = time.process_time()
    time.sleep(SECONDS)
    return time.process_time() - began


if __name__ == "__main__":
    show(tables())
