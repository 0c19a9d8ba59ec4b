from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_reseval.configuration import Configuration, by_tightness
from pytest_reseval.resources import Headroom, QuantityError

factors = st.floats(1, 1000)
hard = st.one_of(st.just(Headroom(None)), factors.map(Headroom))
lenient = st.builds(Headroom, factors, st.floats(0.1, 86400))
scales = st.one_of(st.just(1.0), st.floats(1e-6, 1e6))
configurations = st.one_of(
    st.builds(Configuration, st.one_of(hard, lenient), hard, scales),
    st.builds(Configuration, st.none(), st.none(), scales),
)


@given(configurations)
def test_a_configuration_reads_back_from_its_label(configuration: Configuration) -> None:
    assert Configuration.parse(configuration.label) == configuration


@given(st.lists(configurations, unique=True, max_size=6))
def test_distinct_configurations_have_distinct_labels(distinct: list[Configuration]) -> None:
    assert len({configuration.label for configuration in distinct}) == len(distinct)


@pytest.mark.parametrize(
    ("configuration", "label"),
    [
        (Configuration(Headroom(3), Headroom(3)), "3x"),
        (Configuration(Headroom(3), Headroom(1.5)), "3x-cpu1.5x"),
        (Configuration(Headroom(2, 15), Headroom(2)), "lenient:2x/15s"),
        (Configuration(Headroom(None), Headroom(2), 0.5), "uncapped-cpu2x-time0.5x"),
        (Configuration(None, None), "declared"),
        (Configuration(None, None, 2), "declared-time2x"),
    ],
)
def test_a_label_names_what_is_not_as_usual(configuration: Configuration, label: str) -> None:
    assert configuration.label == label


@pytest.mark.parametrize("nonsense", ["", "3", "3x-gpu2x", "3x-cpu", "declared-cpu2x", "3x-time"])
def test_what_is_no_label_is_refused(nonsense: str) -> None:
    with pytest.raises(QuantityError):
        Configuration.parse(nonsense)


def test_labels_sort_from_the_tightest_to_the_loosest() -> None:
    sorted_labels = [
        "1x",
        "2x-cpu1x",
        "2x",
        "2x-time2x",
        "lenient:2x/15s",
        "10x",
        "uncapped",
        "declared",
    ]
    assert by_tightness(set(sorted_labels)) == sorted_labels
