from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_reseval.engines.base import Enforced
from pytest_reseval.outcomes import Cause
from pytest_reseval.records import TrialRecord
from pytest_reseval.reports.terminal import Line, summary
from pytest_reseval.resources import MIB
from tests.unit.builders import ENFORCED, make_manifest, make_phase, make_record

FILE = Path("reseval-runs/now/trials.jsonl")
GUARANTEE = 128 * MIB

THREE = [
    make_record("unpack", Cause.SOLVED, configuration="1x", phases=[make_phase(peak=GUARANTEE)]),
    make_record("unpack", Cause.OOM_LIMIT, configuration="1x", phases=[make_phase(peak=GUARANTEE)]),
    make_record("sort", Cause.WRONG, configuration="3x", phases=[make_phase(peak=MIB)]),
]

CAUSES = tuple(Cause)
MANY = [
    make_record(
        f"task-{number // 3:03}-with-a-name-of-some-length",
        CAUSES[number % len(CAUSES)],
        configuration=("1x", "3x", "uncapped")[number % 3],
        phases=[make_phase(peak=(number + 100) * MIB)],
    )
    for number in range(300)
]


def told(
    records: Sequence[TrialRecord],
    width: int = 80,
    not_run: int = 0,
    skipped: int = 0,
    **manifest: Any,
) -> list[str]:
    lines = summary(records, make_manifest(**manifest), not_run, skipped, len(records), FILE, width)
    return [line.text for line in lines]


def section(title: str, lines: Sequence[str]) -> list[str]:
    """The lines from one title to the next empty line."""
    start = lines.index(title) + 1
    return list(lines[start : lines.index("", start)])


@pytest.mark.parametrize("width", [80, 120, 200])
@pytest.mark.parametrize("records", [THREE, MANY], ids=["three", "many"])
def test_no_line_is_wider_than_the_terminal(records: list[TrialRecord], width: int) -> None:
    assert max(len(line) for line in told(records, width, not_run=7)) <= width


@pytest.mark.parametrize(
    "name", ["n" * 300, "\x1b[2J\x1b]0;owned\x07", "a\nb\tc", "\udcff", "\u202e"]
)
@pytest.mark.parametrize("cause", [Cause.OOM_LIMIT, Cause.WRONG])
def test_no_name_breaks_out_of_its_line(name: str, cause: Cause) -> None:
    records = [make_record(name, cause, phases=[make_phase(peak=GUARANTEE)])]
    for line in told(records, agent=f"cmd:{name}"):
        assert line.isprintable()
        assert len(line) <= 80


def test_a_path_is_never_cut() -> None:
    file = Path("/" + "deep/" * 60 + "trials.jsonl")
    lines = [line.text for line in summary(THREE, None, 0, 0, 3, file, 80)]
    assert f"records  {file}" in lines
    assert str(file.parent) in lines[-1]


def test_the_engine_and_how_limits_were_known_come_first() -> None:
    first = told([*THREE, make_record(cause=Cause.START)], width=200)[0]
    assert first.startswith("engine memory 1 · cgroup v2 · agent oracle · ")


@pytest.mark.parametrize(
    ("by", "words"),
    [
        ("cgroup", "limits read back from the kernel in 2 of 3 sandboxes"),
        ("watchdog", "limits by a polling watchdog in 2 of 3 sandboxes"),
    ],
)
def test_who_enforced_is_said_and_in_how_many(by: Any, words: str) -> None:
    def enforcing(record: TrialRecord, enforced: Enforced | None) -> TrialRecord:
        return replace(record, evidence=replace(record.evidence, enforced=enforced))

    first, *others = THREE
    known = [enforcing(one, replace(ENFORCED, by=by)) for one in others]
    assert words in "\n".join(told([enforcing(first, None), *known]))


def test_each_configuration_is_a_row_from_the_tightest_on() -> None:
    lines = told(
        [
            make_record("a", Cause.SOLVED, configuration="uncapped"),
            make_record("a", Cause.SOLVED, configuration="3x"),
            make_record("b", Cause.OOM_LIMIT, configuration="3x"),
            make_record("a", Cause.WRONG, configuration="1.5x"),
            make_record("a", Cause.START, configuration="declared"),
        ]
    )
    header = next(index for index, line in enumerate(lines) if line.startswith("headroom"))
    rows = [line.split() for line in lines[header + 1 : header + 5]]
    assert rows == [
        ["1.5x", "1", "0", "1", "0", "0%", "0-79%", "0%", "0%"],
        ["3x", "2", "1", "0", "1", "50%", "9-91%", "100%", "100%"],
        ["uncapped", "1", "1", "0", "0", "100%", "21-100%", "100%", "100%"],
        ["declared", "1", "0", "0", "1", "0%", "0-79%", "-", "100%"],
    ]


def test_samples_of_one_task_do_not_narrow_the_interval() -> None:
    once = told([make_record("a")])
    often = told([make_record("a", sample=sample) for sample in range(50)])
    interval = "21-100%"
    assert interval in "\n".join(once)
    assert interval in "\n".join(often)


def test_causes_are_listed_with_their_tasks_the_most_frequent_first() -> None:
    lines = told(
        [
            make_record("a", Cause.START),
            make_record("b", Cause.OOM_LIMIT, configuration="3x"),
            make_record("b", Cause.OOM_LIMIT, configuration="1x"),
            make_record("c", Cause.WRONG),
        ]
    )
    assert section("infra-error by cause", lines) == [
        "     2 oom-limit            b[1x,3x]",
        "       b[3x-s0]: told",
        "     1 start                a[3x]",
        "       a[3x-s0]: told",
    ]
    assert section("failed by cause", lines) == ["     1 wrong                c[3x]"]


@pytest.mark.parametrize("width", [80, 200])
def test_tasks_that_do_not_fit_are_counted(width: int) -> None:
    tasks = [f"task-{number}" for number in range(100)]
    (line,) = section("failed by cause", told([make_record(t, Cause.WRONG) for t in tasks], width))
    shown, _, more = line.rpartition(" +")
    assert shown.count("task-") + int(more) == 100
    assert len(line) > width - len(", task-10[3x] +99")


def test_where_all_passed_there_are_no_causes() -> None:
    assert not any("by cause" in line for line in told([make_record()]))


def peaks(*records: TrialRecord, width: int = 120) -> list[list[str]]:
    lines = told(records, width)
    title = "peaks near or above the guarantee"
    return [line.split() for line in section(title, lines)[1:]] if title in lines else []


def test_long_labels_leave_room_for_every_figure() -> None:
    long = "lenient:1.5x/0.5s-cpuuncapped-time0.5x"
    lines = told([make_record(configuration=long), make_record(configuration="1x")])
    place = lines.index(long)
    assert lines[place + 1].split() == ["1", "1", "0", "0", "100%", "21-100%", "100%", "100%"]
    assert lines[place - 3].split()[-2:] == ["at", "most"]


def test_only_peaks_near_the_guarantee_are_shown_the_highest_first() -> None:
    near, over, far = (
        make_record(name, phases=[make_phase(peak=peak)])
        for name, peak in (("a", GUARANTEE * 9 // 10 + 1), ("b", 2 * GUARANTEE), ("c", MIB))
    )
    assert [row[0] for row in peaks(near, over, far)] == ["b", "a"]
    assert peaks(far) == []


def test_a_kill_makes_the_peak_a_lower_bound_and_cache_an_upper_one() -> None:
    high = make_phase(peak=2 * GUARANTEE)
    rows = peaks(
        make_record("killed", configuration="2x", phases=[replace(high, oom_kill=1)]),
        make_record("cached", phases=[replace(high, cache_saturated=True)]),
        make_record(
            "ended",
            configuration="lenient:1x/1s",
            phases=[replace(high, oom_kill=0, ended_above_limit=1.5)],
        ),
    )
    assert " ".join(rows[0]) == "killed 128 MiB >= 256 MiB 2.0x 2x OOM at 2x"
    assert " ".join(rows[1]) == "cached 128 MiB <= 256 MiB 2.0x 3x page cache"
    assert " ".join(rows[2]) == ("ended 128 MiB >= 256 MiB 2.0x lenient:1x/1s OOM at lenient:1x/1s")


def test_of_many_peaks_the_top_twelve_are_shown() -> None:
    rows = peaks(*MANY)
    assert len(rows) == 13
    assert rows[-1] == ["and", "83", "more"]
    shown = [float(row[-2].removesuffix("x")) for row in rows[:-1] if row[-2].endswith("x")]
    assert shown == sorted(shown, reverse=True)


def test_what_was_not_run_is_said_and_nothing_when_all_was() -> None:
    assert "not run: 2 of 3" in told(THREE, not_run=2)
    assert not any("not run" in line for line in told(THREE))


def test_outcomes_are_coloured_as_pytest_colours_them() -> None:
    lines = summary(THREE, None, 1, 0, 3, FILE, 80)
    assert {line.markup for line in lines if line.text.startswith("     1")} == {
        ("yellow",),
        ("red",),
    }
    assert Line("not run: 1 of 3", ("yellow", "bold")) in lines


def test_the_command_that_tells_more_is_quoted_for_a_shell() -> None:
    lines = summary(THREE, None, 0, 0, 3, Path("my runs/trials.jsonl"), 80)
    assert lines[-2].text.endswith("reseval show 'my runs'")
    assert lines[-1].text.endswith("reseval report 'my runs'")


def test_what_is_no_trial_is_said_to_be_outside_of_the_score() -> None:
    assert "not in the table: 2, skipped or not loaded" in told(THREE, skipped=2)


def test_a_mistyped_key_and_what_it_leaves_to_the_default_are_said() -> None:
    record = replace(
        make_record(task_digest="abc"),
        ignored_keys=("environment.memory_mbb",),
        defaulted=("memory",),
    )
    lines = told([record])
    assert "keys without effect: unpack: environment.memory_mbb" in lines
    assert "guarantees by default: unpack (memory)" in lines


def test_a_run_that_was_broken_off_says_how_to_go_on() -> None:
    lines = [line.text for line in summary(THREE, None, 1, 0, 4, Path("my runs/trials.jsonl"), 80)]
    assert "go on    --reseval-resume='my runs'" in lines
    assert not any("go on" in line for line in told(THREE))


def test_different_reasons_of_one_cause_are_each_shown() -> None:
    records = [
        replace(make_record("a", Cause.IMAGE_BUILD), message="step 1 failed\n  no such file"),
        replace(make_record("b", Cause.IMAGE_BUILD), message="unknown instruction: FRM"),
    ]
    lines = section("infra-error by cause", told(records))
    assert "       a[3x-s0]: step 1 failed no such file" in lines
    assert "       b[3x-s0]: unknown instruction: FRM" in lines


def test_an_uncapped_peak_far_above_the_sampled_need_says_so() -> None:
    high = make_phase(peak=4 * GUARANTEE, nonreclaimable_peak=GUARANTEE // 8)
    (row,) = peaks(make_record("cached", configuration="uncapped", phases=[high]))
    assert " ".join(row).endswith("uncapped sampled need 16 MiB")
