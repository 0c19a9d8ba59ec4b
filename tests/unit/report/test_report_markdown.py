from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pytest_reseval.outcomes import Cause
from pytest_reseval.records import TrialRecord
from pytest_reseval.reports.findings import findings
from pytest_reseval.reports.markdown import escaped, markdown
from pytest_reseval.resources import MIB
from pytest_reseval.runs import Run
from tests.unit.builders import make_manifest, make_phase, make_record

HOSTILE = [
    "<script>alert(1)</script>",
    "[a](http://evil.example)",
    "a|b",
    "a\n\n# b",
    "`code` *strong* _soft_ ~~gone~~ $x$",
    "\u202eevil",
    "\udcff",
    "@everybody #1",
    "back\\slash",
    "www.evil.example",
    "n" * 5000,
]


def report(records: Sequence[TrialRecord], **manifest: Any) -> str:
    return markdown([findings(Run(Path("run"), make_manifest(**manifest), tuple(records)))])


def test_it_says_what_the_page_says() -> None:
    records = [
        make_record("unpack", Cause.OOM_LIMIT, configuration="1x", phases=[make_phase(oom_kill=1)]),
        make_record("unpack", Cause.SOLVED, phases=[make_phase(peak=300 * MIB)]),
    ]
    text = report(records)
    assert "| 1x | 1 | 0 | 0 | 1 | 0.0% " in text
    assert "| ⚠ infra-error | oom-limit | 1 | 1 | 1x |" in text
    assert "| unpack | ⚠ | ✓ |" in text
    assert "| unpack | 3x | 128 MiB | 256 MiB | 300 MiB | 2.34x |" in text


def test_missing_trials_come_first() -> None:
    text = report([make_record()], order=("tasks/a/task.toml::run[3x-s0]",))
    assert text.index("1 of 2 trials have no verdict") < text.index("Score by configuration")
    assert "| 3x | 2 | 1 | 1 |" in text


@pytest.mark.parametrize("name", HOSTILE)
def test_no_text_from_outside_is_markup(name: str) -> None:
    shown = escaped(name)
    assert "\n" not in shown
    assert len(shown) < 1000
    shown.encode()
    assert not re.search(r"(?<!\\)(?:\\\\)*[<>|`*_\[\]~@#$]", shown)
    assert "www." not in shown
    text = report([make_record(name, Cause.OOM_LIMIT, message=name, agent=name)], agent=name)
    lines = text.splitlines()
    tables = [line for line in lines if line.startswith("|")]
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in tables}) <= 4
    assert not re.search(r"(?<!\\)<", text)


def test_a_large_run_fits_the_summary_of_a_ci_job() -> None:
    records = [
        make_record(
            f"{number}-" + "<" * 500,
            Cause.OOM_LIMIT,
            configuration=configuration,
            message="|" * 5000,
            phases=[make_phase(peak=900 * MIB)],
        )
        for number in range(500)
        for configuration in ("1x", "1.5x", "2x", "3x", "5x", "uncapped")
    ]
    assert len(report(records).encode()) < 1024 * 1024
