from __future__ import annotations

import math
import re
from contextlib import nullcontext
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_reseval.printable import shown
from pytest_reseval.resources import (
    GIB,
    KIB,
    MIB,
    SMALLEST_LIMIT,
    TIB,
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
        10**5000,
    ],
    ids=shown,
)
def test_nonsense_memory_is_refused_by_value(nonsense: object) -> None:
    with pytest.raises(QuantityError) as caught:
        parse_memory(nonsense)  # type: ignore[arg-type]
    assert shown(nonsense) in str(caught.value)


@pytest.mark.parametrize(
    "nonsense",
    ["", "many", -1, 0, True, None, math.inf, math.nan, 5000, 10**400, 10**5000],
    ids=shown,
)
def test_nonsense_cores_are_refused_by_value(nonsense: object) -> None:
    with pytest.raises(QuantityError) as caught:
        parse_cores(nonsense)  # type: ignore[arg-type]
    assert shown(nonsense) in str(caught.value)


UNITS = {"": 1, "B": 1, "K": KIB, "M": MIB, "G": GIB, "T": TIB}
LARGEST = 1024 * TIB
amounts = st.integers(min_value=1, max_value=LARGEST)
anything = st.one_of(
    st.text(max_size=12),
    st.from_regex(r"\s*[-+]?[0-9]{0,20}\.?[0-9]{0,3}\s*[bkmgtpex]?i?b?\s*", fullmatch=True),
    st.integers(),
    st.integers(0, 20_000).map(lambda digits: 10**digits),
    st.floats(),
    st.decimals(),
    st.fractions(),
    st.complex_numbers(),
    st.booleans(),
    st.none(),
    st.binary(max_size=8),
    st.lists(st.integers(), max_size=2),
)


def is_clear(error: QuantityError, value: object) -> None:
    assert shown(value) in str(error)
    assert str(error).isprintable()
    assert len(str(error)) < 500


@settings(max_examples=300)
@given(anything)
def test_whatever_is_given_is_an_amount_of_memory_or_one_clear_error(value: Any) -> None:
    try:
        amount = parse_memory(value)
    except QuantityError as error:
        is_clear(error, value)
    else:
        assert type(amount) is int
        assert 0 < amount <= LARGEST


@settings(max_examples=300)
@given(anything)
def test_whatever_is_given_is_a_number_of_cores_or_one_clear_error(value: Any) -> None:
    try:
        cores = parse_cores(value)
    except QuantityError as error:
        is_clear(error, value)
    else:
        assert type(cores) is float
        assert 0.01 <= cores <= 4096


@settings(max_examples=300)
@given(
    st.one_of(
        st.text(max_size=12),
        st.decimals(0, 2000, places=3).map("{}x".format),
        st.from_regex(r"\s*-?[0-9]{0,400}\.?[0-9]{0,9}[xX]?\s*", fullmatch=True),
    )
)
def test_whatever_is_given_is_a_headroom_or_one_clear_error(text: str) -> None:
    try:
        headroom = Headroom.parse(text)
    except QuantityError as error:
        is_clear(error, text)
    else:
        assert headroom.factor is None or 1 <= headroom.factor <= 1000
        assert Headroom.parse(headroom.label) == headroom


@given(amounts)
def test_bytes_read_back_exactly_however_they_are_written(amount: int) -> None:
    assert parse_memory(amount) == parse_memory(str(amount)) == parse_memory(f"{amount}B") == amount


@given(st.integers(1, 1024), st.sampled_from(sorted(UNITS)), st.data())
def test_all_spellings_of_a_unit_are_one(count: int, unit: str, data: st.DataObject) -> None:
    spellings = [unit, f"{unit}B", f"{unit}iB"] if unit not in ("", "B") else [unit]
    unit_as_written = data.draw(st.sampled_from(spellings))
    case = data.draw(st.sampled_from([str.upper, str.lower, str.swapcase]))
    blank = st.sampled_from(["", " ", "\t"])
    written = (
        f"{data.draw(blank)}{count}{data.draw(blank)}{case(unit_as_written)}{data.draw(blank)}"
    )
    assert parse_memory(written) == count * UNITS[unit]


@given(amounts, amounts)
def test_more_memory_never_reads_or_shows_as_less(one: int, other: int) -> None:
    less, more = sorted((one, other))
    assert parse_memory(f"{less / MIB:.9f}M") <= parse_memory(f"{more / MIB:.9f}M")
    assert parse_memory(format_memory(less)) <= parse_memory(format_memory(more))


@given(st.floats(min_value=0.01, max_value=4096))
def test_cores_read_back_exactly(cores: float) -> None:
    assert parse_cores(cores) == parse_cores(repr(cores)) == parse_cores(f" {cores!r}\n") == cores


@given(amounts)
def test_shown_memory_is_short_and_has_a_unit(amount: int) -> None:
    assert re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,3})? ([KMGT]i)?B", format_memory(amount))


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


factors = st.floats(min_value=1, max_value=1000)
close = st.integers(0, 9).map(lambda billionths: 1 + billionths / 10**9)
headrooms = st.one_of(st.just(Headroom(None)), st.one_of(factors, close).map(Headroom))
guarantees = st.integers(min_value=1, max_value=1024 * GIB)
cores = st.floats(min_value=0.01, max_value=4096)


@given(factors.map(Headroom), guarantees, cores)
def test_a_limit_is_never_below_its_guarantee(headroom: Headroom, memory: int, cpus: float) -> None:
    memory_limit, cpu_limit = headroom.memory_limit(memory), headroom.cpu_limit(cpus)
    assert memory_limit is not None
    assert memory_limit >= memory
    assert cpu_limit is not None
    assert cpu_limit >= cpus


@given(amounts, cores)
def test_1x_is_the_guarantee_to_the_byte(memory: int, cpus: float) -> None:
    strict = Headroom.parse("1x")
    assert strict.memory_limit(memory) == memory
    assert strict.cpu_limit(cpus) == cpus


@given(factors, factors, guarantees, guarantees, cores)
def test_more_headroom_or_more_guarantee_is_never_less_limit(
    factor: float, other_factor: float, memory: int, other_memory: int, cpus: float
) -> None:
    small, large = sorted((factor, other_factor))
    few, many = sorted((memory, other_memory))
    limits = [Headroom(by).memory_limit(of) or 0 for by in (small, large) for of in (few, many)]
    assert limits[0] <= min(limits[1:3])
    assert max(limits[1:3]) <= limits[3]
    assert (Headroom(small).cpu_limit(cpus) or 0) <= (Headroom(large).cpu_limit(cpus) or 0)


@given(headrooms)
def test_a_headroom_reads_back_from_its_label(headroom: Headroom) -> None:
    assert Headroom.parse(headroom.label) == headroom


@given(st.lists(headrooms, unique=True, max_size=6))
def test_distinct_headrooms_have_distinct_labels(distinct: list[Headroom]) -> None:
    assert len({headroom.label for headroom in distinct}) == len(distinct)


def test_uncapped_keeps_the_guarantee_and_has_no_limit() -> None:
    assert Headroom(None).memory_limit(GIB) is None
    assert Headroom(None).cpu_limit(2.0) is None


small = st.one_of(st.integers(1, SMALLEST_LIMIT // 2), st.integers(1, SMALLEST_LIMIT), guarantees)


@settings(max_examples=300)
@given(small, st.one_of(st.none(), small), cores, st.one_of(st.none(), cores))
def test_resources_are_refused_exactly_where_a_limit_cannot_hold(
    memory: int, memory_limit: int | None, cpus: float, cpu_limit: float | None
) -> None:
    possible = (memory_limit is None or memory_limit >= max(memory, SMALLEST_LIMIT)) and (
        cpu_limit is None or cpu_limit >= cpus
    )
    refusal = (
        nullcontext() if possible else pytest.raises(QuantityError, match=r"limit .* is below")
    )
    with refusal:
        Resources(memory, memory_limit, cpus, cpu_limit, 100, GIB)


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
