from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_reseval.resources import (
    GIB,
    MIB,
    Headroom,
    QuantityError,
    Resources,
    format_memory,
    parse_cores,
    parse_memory,
)


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("512MiB", 512 * MIB),
        ("512M", 512 * MIB),
        ("512mb", 512 * MIB),
        ("1.5GiB", 3 * GIB // 2),
        ("2G", 2 * GIB),
        (" 2 g ", 2 * GIB),
        ("4096", 4096),
        (4096, 4096),
        ("64k", 65536),
        ("1TiB", 1024 * GIB),
    ],
)
def test_memory_is_read_with_1024_based_suffixes(text: str | int, amount: int) -> None:
    assert parse_memory(text) == amount


@pytest.mark.parametrize(
    "nonsense",
    [
        "",
        "lots",
        "-1G",
        "1e9",
        "2 GiB of RAM",
        "0",
        0,
        -5,
        True,
        1.5,
        None,
        "inf",
        "NaN",
        "99999T",
        "9" * 400 + "G",
    ],
)
def test_nonsense_memory_is_refused_by_value(nonsense: object) -> None:
    with pytest.raises(QuantityError) as caught:
        parse_memory(nonsense)  # type: ignore[arg-type]
    assert repr(nonsense) in str(caught.value)


@pytest.mark.parametrize(
    "nonsense", ["", "many", -1, 0, True, None, math.inf, math.nan, 5000, 10**400]
)
def test_nonsense_cores_are_refused_by_value(nonsense: object) -> None:
    with pytest.raises(QuantityError) as caught:
        parse_cores(nonsense)  # type: ignore[arg-type]
    assert repr(nonsense) in str(caught.value)


@given(st.integers(min_value=1, max_value=1024 * GIB))
def test_shown_memory_reads_back_within_its_four_figures(amount: int) -> None:
    assert parse_memory(format_memory(amount)) == pytest.approx(amount, rel=1e-3)


@pytest.mark.parametrize(
    ("text", "factor"), [("1x", 1.0), ("1.5x", 1.5), (" 3X ", 3.0), ("uncapped", None)]
)
def test_headroom_reads_what_users_type(text: str, factor: float | None) -> None:
    assert Headroom.parse(text).factor == factor


@pytest.mark.parametrize("nonsense", ["", "3", "x", "0.5x", "-1x", "infx", "3x3x", "5000x", "max"])
def test_unknown_headroom_is_refused_by_value(nonsense: str) -> None:
    with pytest.raises(QuantityError, match="headroom"):
        Headroom.parse(nonsense)


@given(st.floats(min_value=1, max_value=1000), st.integers(min_value=1, max_value=1024 * GIB))
def test_a_limit_is_never_below_its_guarantee(factor: float, guarantee: int) -> None:
    limit = Headroom(factor).memory_limit(guarantee)
    assert limit is not None
    assert limit >= guarantee


@given(st.floats(min_value=1, max_value=1000).map(lambda factor: float(f"{factor:g}")))
def test_a_headroom_reads_back_from_its_label(factor: float) -> None:
    assert Headroom.parse(Headroom(factor).label) == Headroom(factor)


def test_uncapped_keeps_the_guarantee_and_has_no_limit() -> None:
    assert Headroom(None).memory_limit(GIB) is None
    assert Headroom(None).cpu_limit(2.0) is None


@pytest.mark.parametrize(
    ("limits", "told"),
    [
        ({"memory_limit": 32 * MIB}, "below its guarantee"),
        ({"cpu_limit": 0.5}, "below its guarantee"),
        ({"memory_guarantee": 8 * MIB, "memory_limit": 16 * MIB}, "32 MiB"),
    ],
)
def test_limits_that_cannot_hold_are_refused(limits: dict[str, int], told: str) -> None:
    asked = {
        "memory_guarantee": 64 * MIB,
        "memory_limit": 128 * MIB,
        "cpu_guarantee": 1.0,
        "cpu_limit": 2.0,
        "pids_limit": 100,
        "storage_limit": GIB,
    }
    with pytest.raises(QuantityError, match=told):
        Resources(**(asked | limits))  # type: ignore[arg-type]
