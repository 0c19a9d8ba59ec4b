"""The summary at the end of a run, as text: a pure function from records to lines."""

from __future__ import annotations

import shlex
import textwrap
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_reseval.configuration import by_tightness
from pytest_reseval.gates import Judgement
from pytest_reseval.outcomes import Outcome
from pytest_reseval.printable import printable
from pytest_reseval.records import Manifest, TrialRecord
from pytest_reseval.reports.columns import table
from pytest_reseval.resources import format_memory
from pytest_reseval.statistics.intervals import wilson_interval

_NEAR = 0.9
"""Fraction of the guarantee from which a peak is worth showing."""

_MOST_EXAMPLES = 2
_MOST_EXAMPLE_LINES = 5

_MOST_ROWS = 12
"""Rows of the table of peaks; the records have the rest."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the summary and how it is coloured, in the words of pytest's terminal writer."""

    text: str
    markup: tuple[str, ...] = ()


def summary(
    records: Sequence[TrialRecord],
    manifest: Manifest | None,
    not_run: int,
    without_verdict: int,
    selected: int,
    trials_file: Path,
    width: int,
    *,
    recalled: int = 0,
    unfiled: Sequence[str] = (),
    gates: Sequence[Judgement] = (),
) -> list[Line]:
    """Everything the summary says, for a terminal of ``width`` columns.

    No line is wider, but those that name files and trials: a name is of use only as a whole.
    ``recalled`` counts verdicts of the run that this one went on with, ``unfiled`` names what could
    not be written down.
    """
    folder = shlex.quote(str(trials_file.parent))
    lines = [Line(text) for text in _enforcement(records, manifest, width)]
    lines += [Line(""), *_outcomes(records, width)]
    lines += _attempts(records, manifest, width)
    if recalled:
        text = f"from the earlier run: {recalled} of {len(records)} verdicts"
        lines += [Line(""), Line(text)]
    lines += _causes(records, width)
    lines += _peaks(records, width)
    lines += _unsaid(records, width)
    if without_verdict:
        text = f"not in the table: {without_verdict}, skipped or not loaded"
        lines += [Line(""), Line(text, ("yellow",))]
    if not_run:
        lines += [Line(""), Line(f"not run: {not_run} of {selected}", ("yellow", "bold"))]
    lines += _gates(gates, width)
    return [
        *(Line(_clipped(line.text, width), line.markup) for line in lines),
        *([Line(""), Line("not on file", ("red", "bold"))] if unfiled else []),
        *(Line(f"  {printable(one, keep='')}", ("red",)) for one in unfiled),
        Line(""),
        Line(f"records  {trials_file}"),
        *([Line(f"go on    --reseval-resume={folder}")] if not_run else []),
        Line(f"each     reseval show {folder}"),
        Line(f"more     reseval report {folder}"),
    ]


def _enforcement(
    records: Sequence[TrialRecord], manifest: Manifest | None, width: int
) -> list[str]:
    enforced = [record.evidence.enforced for record in records if record.evidence.enforced]
    by = Counter(limits.by for limits in enforced)
    figures = []
    if manifest is not None:
        engine = manifest.engine
        figures.append(f"engine {engine.name} {engine.version}")
        if engine.cgroup_version:
            figures.append(f"cgroup v{engine.cgroup_version}")
        figures.append(f"agent {printable(manifest.agent, keep='')}")
    for kind, count in by.most_common():
        words = {
            "cgroup": "limits read back from the kernel",
            "watchdog": "limits by a polling watchdog",
        }[kind]
        figures.append(f"{words} in {count} of {len(records)} sandboxes")
    return _wrapped(figures, " · ", width)


def _gates(gates: Sequence[Judgement], width: int) -> list[Line]:
    lines = [
        Line(text, ("green",) if gate.held else ("red", "bold"))
        for gate in gates
        for text in textwrap.wrap(gate.text, width, subsequent_indent="  ")
    ]
    return [Line(""), *lines] if lines else []


def _unsaid(records: Sequence[TrialRecord], width: int) -> list[Line]:
    """What task files say in vain, and what they do not say: a mistyped key is both."""
    ignored = {
        printable(f"{record.task}: {', '.join(record.ignored_keys)}", keep="")
        for record in records
        if record.ignored_keys
    }
    defaulted = {
        printable(f"{record.task} ({', '.join(record.defaulted)})", keep="")
        for record in records
        if record.defaulted and record.task_digest
    }
    lines = []
    if ignored:
        lines.append(_listing("keys without effect: ", sorted(ignored), width))
    if defaulted:
        lines.append(_listing("guarantees by default: ", sorted(defaulted), width))
    return [Line(""), *(Line(text) for text in lines)] if lines else []


def _outcomes(records: Sequence[TrialRecord], width: int) -> list[Line]:
    """The table of scores; labels that leave no room for figures stand on lines of their own."""
    rows: list[list[object]] = []
    for configuration in _configurations(records):
        mine = [record for record in records if record.configuration == configuration]
        count = Counter(record.outcome for record in mine)
        passed, failed, infra = (count[outcome] for outcome in Outcome)
        low, high = wilson_interval(passed / len(mine), len({record.task for record in mine}))
        graded = f"{passed / (passed + failed):.0%}" if passed + failed else "-"
        rows.append(
            [
                configuration,
                len(mine),
                passed,
                failed,
                infra,
                f"{passed / len(mine):.0%}",
                f"{low * 100:.0f}-{high:.0%}",
                graded,
                f"{(passed + infra) / len(mine):.0%}",
            ]
        )
    header = ["headroom", "trials", *Outcome, "score", "95%", "graded", "at most"]
    first, *rest = table(header, rows, right=range(1, 9))
    if len(first) > width:
        figures = [["", *row[1:]] for row in rows]
        first, *below = table(["", *header[1:]], figures, right=range(1, 9))
        labels = [str(row[0]) for row in rows]
        rest = [line for pair in zip(labels, below, strict=True) for line in pair]
    return [Line(first, ("bold",)), *(Line(text) for text in rest)]


def _attempts(records: Sequence[TrialRecord], manifest: Manifest | None, width: int) -> list[Line]:
    """How often the first attempt was an infra-error: retries must not hide it."""
    retried = [record for record in records if record.earlier]
    retries_are_on = manifest is not None and manifest.options.get("infra_retries", "0") != "0"
    if not (retries_are_on or retried):
        return []
    infra = sum(record.first_outcome is Outcome.INFRA_ERROR for record in records)
    parts = [f"first attempts: {infra} of {len(records)} infra-errors ({infra / len(records):.0%})"]
    if retried:
        ended = Counter(record.outcome for record in retried)
        counts = ", ".join(f"{ended[outcome]} {outcome}" for outcome in Outcome if ended[outcome])
        parts.append(f"tried again: {len(retried)}, of which {counts}")
    return [Line(""), *(Line(text) for text in _wrapped(parts, "; ", width))]


def _causes(records: Sequence[TrialRecord], width: int) -> list[Line]:
    lines = []
    for outcome, colour in ((Outcome.INFRA_ERROR, "yellow"), (Outcome.FAILED, "red")):
        mine = [record for record in records if record.outcome is outcome]
        if not mine:
            continue
        lines += [Line(""), Line(f"{outcome} by cause", ("bold",))]
        for cause, count in Counter(record.cause for record in mine).most_common():
            those = [record for record in mine if record.cause is cause]
            listing = _listing(f"  {count:4} {cause:<20} ", _tasks(those), width)
            lines.append(Line(listing, (colour,)))
            if outcome is Outcome.INFRA_ERROR:
                lines += [Line(text) for one in _examples(those) for text in _told(one, width)]
    return lines


def _examples(records: Sequence[TrialRecord]) -> list[TrialRecord]:
    """A few trials that ended with different messages."""
    firsts: dict[str, TrialRecord] = {}
    for record in records:
        firsts.setdefault(record.message, record)
    return list(firsts.values())[:_MOST_EXAMPLES]


def _told(record: TrialRecord, width: int) -> list[str]:
    """What happened in one trial: pytest itself shows the text of failures only."""
    message = " ".join(record.message.split())
    return textwrap.wrap(
        f"{printable(record.label, keep='')}: {printable(message, keep='')}",
        width,
        initial_indent=" " * 7,
        subsequent_indent=" " * 7,
        max_lines=_MOST_EXAMPLE_LINES,
        placeholder=" …",
        break_on_hyphens=False,
    )


def _peaks(records: Sequence[TrialRecord], width: int) -> list[Line]:
    rows = []
    for task in dict.fromkeys(record.task for record in records):
        mine = [record for record in records if record.task == task and record.peak is not None]
        if not mine:
            continue
        top = max(mine, key=lambda record: record.peak or 0)
        guarantee = top.evidence.resources.memory_guarantee
        peak = top.peak or 0
        if peak < _NEAR * guarantee:
            continue
        killed = _configurations(
            [
                record
                for record in mine
                if any(phase.out_of_memory for phase in record.evidence.phases)
            ]
        )
        cached = any(phase.cache_saturated for phase in top.evidence.phases)
        bound = ">= " if top.configuration in killed else "<= " if cached else ""
        notes = ["OOM at " + ", ".join(killed)] if killed else []
        if cached:
            notes.append("page cache")
        sampled = max(phase.nonreclaimable_peak or peak for phase in top.evidence.phases)
        if not notes and sampled < peak / 2:
            notes.append(f"sampled need {format_memory(sampled)}")
        rows.append(
            (
                peak / guarantee,
                [
                    _clipped(printable(task, keep=""), width * 3 // 10),
                    format_memory(guarantee),
                    f"{bound}{format_memory(peak)}",
                    f"{peak / guarantee:.1f}x",
                    top.configuration,
                    "; ".join(notes),
                ],
            )
        )
    if not rows:
        return []
    rows.sort(key=lambda row: -row[0])
    header = ["  task", "guarantee", "peak", "ratio", "under", ""]
    shown = [["  " + cells[0], *cells[1:]] for _, cells in rows[:_MOST_ROWS]]
    lines = [Line(""), Line("peaks near or above the guarantee", ("bold",))]
    lines += [Line(text.rstrip()) for text in table(header, shown, right=(1, 2, 3))]
    if len(rows) > _MOST_ROWS:
        lines.append(Line(f"  and {len(rows) - _MOST_ROWS} more"))
    return lines


def _configurations(records: Sequence[TrialRecord]) -> list[str]:
    """From the tightest to uncapped; limits that tests declare come last."""
    return by_tightness({record.configuration for record in records})


def _tasks(records: Sequence[TrialRecord]) -> list[str]:
    """Each task with its configurations: ``unpack[1x,3x]``."""
    return [
        f"{printable(task, keep='')}"
        f"[{','.join(_configurations([one for one in records if one.task == task]))}]"
        for task in dict.fromkeys(record.task for record in records)
    ]


def _clipped(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


def _listing(start: str, names: Sequence[str], width: int) -> str:
    """As many names as fit in one line, and how many do not."""
    text = start
    for index, name in enumerate(names):
        rest = len(names) - index
        more = f" +{rest}"
        if index and len(text) + len(name) + 2 + len(more) > width:
            return text + more
        text += (", " if index else "") + name
    return text


def _wrapped(parts: Sequence[str], joint: str, width: int) -> list[str]:
    lines: list[str] = []
    for part in parts:
        if lines and len(lines[-1]) + len(joint) + len(part) <= width:
            lines[-1] += joint + part
        else:
            lines.append(part)
    return lines
