"""Whether the kernel enforces what was asked for."""

from __future__ import annotations

import mmap

from pytest_reseval.engines.base import Enforced
from pytest_reseval.resources import Resources, format_memory

_CPU_TOLERANCE = 0.01
"""Fraction by which a quota may differ: kernels keep whole microseconds a period."""


def differences(asked: Resources, enforced: Enforced, swap: int) -> list[str]:
    """Every limit whose value read back is not the one asked for, as sentences.

    ``swap`` is the host's swap space in bytes: without any, a kernel need not limit it. A
    watchdog enforces memory only. Weights are not compared: their curve differs between runtimes.
    """
    found = []
    if not _same_memory(asked.memory_ceiling, enforced.memory_limit):
        found.append(
            f"memory limit is {_memory(enforced.memory_limit)}, "
            f"asked for was {_memory(asked.memory_ceiling)}"
        )
    if enforced.by == "watchdog":
        return found
    unlimited_swap_is_none = enforced.memory_swap_limit is None and not swap
    if not unlimited_swap_is_none and not _same_memory(
        asked.memory_ceiling, enforced.memory_swap_limit
    ):
        found.append(
            f"memory+swap limit is {_memory(enforced.memory_swap_limit)}, "
            f"asked for was {_memory(asked.memory_ceiling)}: swap would be hidden headroom"
        )
    if not _same_cores(asked.cpu_limit, enforced.cpu_limit):
        found.append(
            f"cpu limit is {_cores(enforced.cpu_limit)}, asked for was {_cores(asked.cpu_limit)}"
        )
    if enforced.pids_limit != asked.pids_limit:
        found.append(f"pids limit is {enforced.pids_limit}, asked for was {asked.pids_limit}")
    return found


def _same_memory(asked: int | None, enforced: int | None) -> bool:
    if asked is None or enforced is None:
        return asked is enforced
    return asked // mmap.PAGESIZE == enforced // mmap.PAGESIZE


def _same_cores(asked: float | None, enforced: float | None) -> bool:
    if asked is None or enforced is None:
        return asked is enforced
    return abs(asked - enforced) <= _CPU_TOLERANCE * asked


def _memory(amount: int | None) -> str:
    return "none" if amount is None else format_memory(amount)


def _cores(cores: float | None) -> str:
    return "none" if cores is None else f"{cores:g} cores"
