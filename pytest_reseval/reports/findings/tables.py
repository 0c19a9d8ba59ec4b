"""The tables of a report as plain text, shared by its page and its Markdown."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_reseval.outcomes import Outcome
from pytest_reseval.reports.findings import Findings
from pytest_reseval.reports.findings.causes import CauseCount
from pytest_reseval.reports.findings.curve import Point
from pytest_reseval.reports.findings.headline import Progress
from pytest_reseval.reports.findings.matrix import Cell, Row
from pytest_reseval.reports.findings.peaks import Peak
from pytest_reseval.resources import format_memory
from pytest_reseval.statistics.estimates import Estimate
from pytest_reseval.study.confounders import Association, Balance, Unit

SYMBOLS = {Outcome.PASSED: "✓", Outcome.FAILED: "✗", Outcome.INFRA_ERROR: "⚠"}
MISSING = "…"
"""Stands for trials without a verdict."""

NOTHING = "—"


@dataclass(frozen=True, slots=True)
class Table:
    """Names of columns, rows of text, and which columns hold numbers."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: frozenset[int] = frozenset()


def score_table(points: Sequence[Point]) -> Table:
    """Trials, outcomes and the four shares of each configuration."""
    rows = []
    for point in points:
        outcomes = [str(point.outcomes[outcome]) for outcome in Outcome]
        scores = point.scores
        shares = [scores.headline, scores.graded, scores.at_most, scores.infra]
        rows.append(
            (point.configuration, str(point.trials), *outcomes, *(_share(one) for one in shares))
        )
    names = ("score", "graded only", "at most", "infra-errors")
    header = ("configuration", "trials", *(str(outcome) for outcome in Outcome), *names)
    return Table(header, tuple(rows), frozenset(range(1, len(header))))


def progress_table(progress: Sequence[Progress]) -> Table:
    """What is missing, where."""
    return Table(
        ("configuration", "planned", "with a verdict", "missing"),
        tuple(
            (one.configuration, str(one.planned), str(one.planned - one.missing), str(one.missing))
            for one in progress
        ),
        frozenset({1, 2, 3}),
    )


def cause_table(causes: Sequence[CauseCount]) -> Table:
    """Why trials did not pass, each cause with what is told of one trial."""
    return Table(
        ("outcome", "cause", "trials", "tasks", "configurations", "for example"),
        tuple(
            (
                f"{SYMBOLS[one.outcome]} {one.outcome}",
                str(one.cause),
                str(one.trials),
                str(one.tasks),
                ", ".join(one.configurations),
                f"{one.example}: {shortened(one.message)}",
            )
            for one in causes
        ),
        frozenset({2, 3}),
    )


def peak_table(peaks: Sequence[Peak]) -> Table:
    """Peaks, guarantees and limits of each task and configuration."""
    header = ("task", "configuration", "guarantee", "limit", "peak", "ratio", "sampled need", "")
    return Table(
        header,
        tuple(
            (
                one.task,
                one.configuration,
                format_memory(one.guarantee),
                NOTHING if one.limit is None else format_memory(one.limit),
                ("≥ " if one.oom_kills else "≤ " if one.saturated else "")
                + format_memory(one.peak),
                f"{one.ratio:.2f}x",
                NOTHING if one.need is None else format_memory(one.need),
                _notes(one),
            )
            for one in peaks
        ),
        frozenset({2, 3, 4, 5, 6}),
    )


def matrix_table(rows: Sequence[Row], configurations: Sequence[str]) -> Table:
    """A cell for each task and configuration, in symbols."""
    return Table(
        ("task", *configurations),
        tuple((row.task, *(cell_text(cell) for cell in row.cells)) for row in rows),
    )


def cell_text(cell: Cell) -> str:
    """The counts of a cell: ``✓4 ⚠1``; of a single trial its symbol alone."""
    parts = [f"{SYMBOLS[one]}{cell.outcomes[one]}" for one in Outcome if cell.outcomes[one]]
    if cell.missing:
        parts.append(f"{MISSING}{cell.missing}")
    if cell.outcomes.total() + cell.missing == 1:
        parts = [parts[0].removesuffix("1")]
    return " ".join(parts) or NOTHING


def cell_words(cell: Cell) -> str:
    """The same in words, with causes: ``4 passed, 1 infra-error (oom-limit)``."""
    parts = [f"{cell.outcomes[one]} {one}" for one in Outcome if cell.outcomes[one]]
    if cell.missing:
        parts.append(f"{cell.missing} without a verdict")
    causes = f" ({', '.join(sorted(cell.causes))})" if cell.causes else ""
    return (", ".join(parts) or "not planned") + causes


def facts_table(findings: Findings) -> Table:
    """Where and with what the run was made."""
    manifest = findings.run.manifest
    host = manifest.host
    memory = host.get("memory")
    facts = [
        ("agent", manifest.agent),
        ("engine", f"{findings.headline.engine} ({manifest.engine_choice})"),
        ("host", ", ".join(str(host[key]) for key in ("cpu_model", "machine") if host.get(key))),
        ("kernel", str(host.get("kernel", NOTHING))),
        ("cores", str(host.get("cores", NOTHING))),
        ("memory", format_memory(int(memory)) if memory is not None else NOTHING),
        (
            "budget of admission",
            f"{format_memory(manifest.budget_memory)}, {manifest.budget_cores:g} cores",
        ),
        ("workers", str(manifest.workers)),
        ("seed", str(manifest.seed)),
        ("started", manifest.started),
        ("ended", manifest.ended or NOTHING),
        ("versions", ", ".join(f"{name} {value}" for name, value in manifest.versions.items())),
        ("arguments", shlex.join(manifest.arguments)),
    ]
    return Table(("", ""), tuple(facts))


def balance_table(balances: Sequence[Balance]) -> Table:
    """What the trials of each configuration met on average; conditions on record alone."""
    known = [one for one in balances if one.levels]
    configurations = list(
        dict.fromkeys(level.configuration for one in known for level in one.levels)
    )
    rows = []
    for one in known:
        means = {level.configuration: level.mean for level in one.levels}
        rows.append(
            (
                one.condition.label,
                *(
                    condition_amount(one.condition.unit, means[name]) if name in means else NOTHING
                    for name in configurations
                ),
                NOTHING if one.corrected is None else f"{one.corrected:.2g}",
                one.sentence,
            )
        )
    return Table(
        ("condition", *configurations, "corrected p", ""),
        tuple(rows),
        frozenset(range(1, len(configurations) + 2)),
    )


def association_table(associations: Sequence[Association]) -> Table:
    """Outcomes by what trials met."""
    return Table(
        ("condition", "from", "to", "trials", "score", "infra-errors"),
        tuple(
            (
                one.condition.label,
                condition_amount(one.condition.unit, part.low),
                condition_amount(one.condition.unit, part.high),
                str(part.trials),
                _interval(part.score.value, part.score.low, part.score.high),
                _interval(part.infra_error.value, part.infra_error.low, part.infra_error.high),
            )
            for one in associations
            for part in one.bins
        ),
        frozenset(range(1, 6)),
    )


def imbalances(findings: Findings) -> list[str]:
    """A sentence on each condition that configurations did not meet alike."""
    return [one.sentence for one in findings.balances if one.unbalanced]


def balance_sentence(findings: Findings) -> str:
    """How many conditions were looked at, in how many blocks, and what was found."""
    tested = [one for one in findings.balances if one.p is not None]
    if not tested:
        return "Too little is on record to compare what the configurations met."
    found = len(imbalances(findings)) or "none"
    blocks = max(one.blocks for one in tested)
    return (
        f"Of {len(tested)} conditions {found} was found to differ notably, from {blocks} whole "
        "blocks at most; few blocks find little."
    )


def condition_amount(unit: Unit, figure: float) -> str:
    """An amount of a condition in its unit."""
    if unit == "share":
        return f"{figure:.1%}"
    return f"{figure:.3g} s" if unit == "s" else f"{figure:.3g}"


def plan_words(findings: Findings) -> str:
    """``12 tasks, 3 configurations, 1 sample``."""
    head = findings.headline
    counts = [
        (head.tasks, "task"),
        (head.configurations, "configuration"),
        (head.samples, "sample"),
    ]
    return ", ".join(f"{count} {name}{'' if count == 1 else 's'}" for count, name in counts)


def attempts_sentence(findings: Findings) -> str:
    """How often the first attempt was an infra-error, and what came of trying again."""
    first = findings.attempts
    if not first.trials:
        return ""
    told = (
        f"First attempts: {first.infra_first} of {first.trials} were infra-errors "
        f"({first.infra_first / first.trials:.1%})."
    )
    if first.retried:
        ended = ", ".join(f"{first.ended[one]} {one}" for one in Outcome if first.ended[one])
        told += f" Tried again: {first.retried}, which ended as {ended}."
    return told


def shortened(text: str, longest: int = 300) -> str:
    """The text in one line, cut where a reader would have stopped."""
    line = " ".join(text.split())
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def _share(estimate: Estimate | None) -> str:
    if estimate is None:
        return NOTHING
    return _interval(estimate.value, estimate.low, estimate.high)


def _interval(value: float, low: float, high: float) -> str:
    return f"{value:.1%} [{low * 100:.0f}, {high * 100:.0f}]"


def _notes(peak: Peak) -> str:
    notes = []
    if peak.oom_kills:
        notes.append(f"OOM kill in {peak.oom_kills} of {peak.trials}")
    if peak.saturated:
        notes.append("page cache at the limit")
    if peak.sampled:
        notes.append("sampled, not the kernel's mark")
    return "; ".join(notes)
