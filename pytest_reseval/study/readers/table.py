"""Results of any harness as CSV: ``task,sample,outcome``, and nothing known of the resources."""

from __future__ import annotations

import csv
from pathlib import Path

from pytest_reseval.outcomes import Outcome
from pytest_reseval.printable import printable, shown
from pytest_reseval.runs import UnreadableRun
from pytest_reseval.study.comparable import ComparableRun, Result

UNKNOWN = "unknown"
"""The label of the one configuration of such a run."""

_COLUMNS = ["task", "sample", "outcome"]


class TableReader:
    """Reads a file whose name ends with ``.csv``."""

    def reads(self, path: Path) -> bool:
        """Whether the name says so."""
        return path.suffix == ".csv" and not path.is_dir()

    def read(self, path: Path) -> ComparableRun:
        """One result a line. Raises UnreadableRun."""
        try:
            with path.open(newline="", encoding="utf-8-sig") as file:
                rows = list(csv.reader(file, strict=True))
        except OSError as error:
            raise UnreadableRun(f"{path}: {error.strerror}") from None
        except (UnicodeDecodeError, csv.Error) as error:
            raise UnreadableRun(f"{path}: this is no CSV in UTF-8: {error}") from None
        if not rows or rows[0] != _COLUMNS:
            raise UnreadableRun(
                f"{path}: the first line is not {','.join(_COLUMNS)}; make it so, with a trial in "
                "each further line"
            )
        results: dict[tuple[str, int], Result] = {}
        for number, row in enumerate(rows[1:], 2):
            if not row:
                continue
            result = _result(path, number, row)
            place = (result.task, result.sample)
            if place in results:
                raise UnreadableRun(
                    f"{path}: line {number}: sample {result.sample} of {shown(result.task)} is "
                    "there twice; number the samples of a task from 0"
                )
            results[place] = result
        return ComparableRun(name=path.name, terms={}, results=tuple(results.values()))


def _result(path: Path, number: int, row: list[str]) -> Result:
    if len(row) != len(_COLUMNS):
        raise UnreadableRun(f"{path}: line {number} has {len(row)} values and not 3")
    task, sample, outcome = row
    if not (sample.isascii() and sample.isdigit() and len(sample) < 10):
        raise UnreadableRun(
            f"{path}: line {number}: sample {shown(sample)}: write a whole number from 0"
        )
    if outcome not in [*Outcome]:
        raise UnreadableRun(
            f"{path}: line {number}: outcome {shown(outcome)}: write {', '.join(Outcome)}"
        )
    return Result(printable(task, keep=""), UNKNOWN, int(sample), Outcome(outcome))
