from __future__ import annotations

import pytest

from pytest_reseval.reports.findings.planned import UNKNOWN, Place, places
from tests.unit.builders import make_record


@pytest.mark.parametrize(
    ("trial", "place"),
    [
        ("tasks/unpack/task.toml::run[3x-s0]", Place("unpack", "3x")),
        ("tasks/unpack/task.toml::run[3x-cpu1x-time2x-s12]", Place("unpack", "3x-cpu1x-time2x")),
        ("tasks/unpack/task.toml::run[lenient:2x/15s-s0]", Place("unpack", "lenient:2x/15s")),
        ("test_a.py::test_sorts[declared-s1]", Place("test_a.py::test_sorts", "declared")),
        ("test_a.py::test_it[un-pack-1x-s0]", Place("test_a.py::test_it[un-pack", "1x")),
        ("test_a.py::test_it", Place("test_a.py::test_it", UNKNOWN)),
        ("test_a.py::test_it[other-s0]", Place("test_a.py::test_it[other-s0]", UNKNOWN)),
    ],
)
def test_a_node_id_tells_task_and_configuration(trial: str, place: Place) -> None:
    assert places([trial], []) == [place]


def test_a_task_is_called_as_in_the_records_of_its_other_trials() -> None:
    record = make_record("sorting", configuration="1x", trial="test_a.py::test_it[sorting-1x-s0]")
    assert places(["test_a.py::test_it[sorting-3x-s0]"], [record]) == [Place("sorting", "3x")]
