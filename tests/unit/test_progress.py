from __future__ import annotations

import os
from pathlib import Path

from pytest_reseval.admission import Budget, Claim, Entry, Ledger
from pytest_reseval.admission.model import State
from pytest_reseval.reports.progress import Progress, describe


def entry(
    label: str, state: State = "admitted", since: float = 0.0, phase: str = "agent", run: str = "r"
) -> Entry:
    return Entry(Claim(0, 0.0, run=run, label=label), state, since, phase, pid=1)


def test_a_run_with_nothing_in_flight_says_so() -> None:
    line = describe([], "r", "0 of 4 done", 100.0)
    assert line == "reseval: 0 of 4 done; 0 in flight; 0 waiting for admission"


def test_the_longest_are_named_first_with_their_phase_and_seconds() -> None:
    entries = [entry("late", since=90.0, phase=""), entry("early", since=40.4, phase="verifier")]
    line = describe(entries, "r", "1 of 4 done", 100.0)
    assert "2 in flight (early verifier 60 s, late starting 10 s)" in line


def test_at_most_three_are_named_and_the_others_counted() -> None:
    entries = [entry(name, since=float(at)) for at, name in enumerate("abcde")]
    line = describe(entries, "r", "0 of 9 done", 10.0)
    assert "5 in flight (a agent 10 s, b agent 9 s, c agent 8 s, +2)" in line


def test_those_who_wait_are_counted_and_not_named() -> None:
    entries = [entry("a"), entry("b", "waiting"), entry("c", "waiting")]
    line = describe(entries, "r", "0 of 3 done", 1.0)
    assert line.endswith("1 in flight (a agent 1 s); 2 waiting for admission")


def test_other_runs_are_told_of_only_to_those_who_wait() -> None:
    ours, theirs = entry("a", "waiting"), entry("b", run="other")
    assert describe([ours, theirs], "r", "", 1.0).endswith(
        "0 in flight; 1 waiting for admission, beside 1 of other runs"
    )
    assert describe([theirs], "r", "", 1.0).endswith("0 in flight; 0 waiting for admission")


def test_lines_come_until_it_is_stopped_and_then_the_descriptor_is_closed(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    ledger = Ledger(tmp_path, Budget(1, 1.0))
    progress = Progress(ledger, "r", 0.001, writer, lambda: "3 of 4 done")
    with os.fdopen(reader) as lines:
        assert lines.readline() == "\n"
        assert lines.readline().startswith("reseval: 3 of 4 done; 0 in flight")
        progress.stop()
        assert "in flight" not in lines.read().rpartition("\n")[2], "ends, and with a whole line"
