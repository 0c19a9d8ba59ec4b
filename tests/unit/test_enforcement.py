from __future__ import annotations

import mmap
from dataclasses import replace
from typing import Any

import pytest

from pytest_reseval.enforcement import differences
from pytest_reseval.resources import GIB, MIB
from tests.unit.builders import ENFORCED, RESOURCES

UNCAPPED = replace(RESOURCES, memory_limit=None, cpu_limit=None)
UNLIMITED = replace(ENFORCED, memory_limit=None, memory_swap_limit=None, cpu_limit=None)


def found(swap: int = GIB, **enforced: Any) -> str:
    return "; ".join(differences(RESOURCES, replace(ENFORCED, **enforced), swap))


def test_what_was_asked_for_is_no_difference() -> None:
    assert differences(RESOURCES, ENFORCED, GIB) == []


def test_no_limits_asked_for_and_none_enforced_is_no_difference() -> None:
    assert differences(UNCAPPED, UNLIMITED, GIB) == []


@pytest.mark.parametrize(
    ("enforced", "told"),
    [
        ({"memory_limit": 255 * MIB}, "memory limit is 255 MiB, asked for was 256 MiB"),
        ({"memory_limit": None}, "memory limit is none, asked for was 256 MiB"),
        ({"memory_swap_limit": 512 * MIB}, "memory+swap limit is 512 MiB"),
        ({"memory_swap_limit": None}, "memory+swap limit is none"),
        ({"cpu_limit": 1.9}, "cpu limit is 1.9 cores, asked for was 2 cores"),
        ({"cpu_limit": None}, "cpu limit is none, asked for was 2 cores"),
        ({"pids_limit": None}, "pids limit is None, asked for was 100"),
        ({"pids_limit": 99}, "pids limit is 99, asked for was 100"),
    ],
)
def test_each_limit_that_differs_is_a_sentence(enforced: dict[str, Any], told: str) -> None:
    assert found(**enforced).startswith(told)
    assert len(differences(RESOURCES, replace(ENFORCED, **enforced), GIB)) == 1


@pytest.mark.parametrize(
    ("asked", "enforced"), [("memory_limit", {"memory_limit": MIB}), ("cpu", {"cpu_limit": 2.0})]
)
def test_a_limit_that_nobody_asked_for_is_a_difference(
    asked: str, enforced: dict[str, Any]
) -> None:
    (sentence,) = differences(UNCAPPED, replace(UNLIMITED, **enforced), GIB)
    assert sentence.endswith("asked for was none")


def test_kernels_round_memory_down_to_pages() -> None:
    odd = replace(RESOURCES, memory_limit=256 * MIB + 100)
    assert differences(odd, ENFORCED, GIB) == []
    above = replace(ENFORCED, memory_limit=256 * MIB + mmap.PAGESIZE)
    assert len(differences(odd, above, GIB)) == 1


def test_kernels_round_quotas_to_microseconds() -> None:
    assert found(cpu_limit=1.99999) == ""


def test_swap_need_not_be_limited_where_there_is_none() -> None:
    assert found(swap=0, memory_swap_limit=None) == ""


def test_swap_that_is_limited_otherwise_differs_even_where_there_is_none() -> None:
    assert "hidden headroom" in found(swap=0, memory_swap_limit=512 * MIB)


def test_weights_are_not_compared() -> None:
    assert found(cpu_weight=7) == ""


def test_a_watchdog_is_held_to_memory_alone() -> None:
    nothing_else: dict[str, Any] = {
        "memory_swap_limit": None,
        "cpu_limit": None,
        "pids_limit": None,
    }
    assert found(by="watchdog", **nothing_else) == ""
    assert found(by="watchdog", memory_limit=MIB, **nothing_else).startswith("memory limit is")


def test_every_difference_is_told_at_once() -> None:
    everything = replace(UNLIMITED, pids_limit=None)
    assert len(differences(RESOURCES, everything, GIB)) == 4
