"""A report as Markdown (GitHub's), short enough for the summary of a CI job."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from pytest_reseval.outcomes import Outcome
from pytest_reseval.printable import printable
from pytest_reseval.reports.findings import Findings, tables
from pytest_reseval.reports.findings.tables import Table, shortened

_MOST_TASKS = 50
_MOST_PEAKS = 12
_LONGEST_CELL = 300
"""Characters; with the bounds on rows it keeps a run below the 1 MiB that GitHub accepts."""

_MARKUP = re.compile(r"([\\`*_{}\[\]<>()#+!|~&:@$])|(?<=www)(\.)", re.IGNORECASE)


def markdown(runs: Sequence[Findings]) -> str:
    """The report on one or several runs; it ends with a newline."""
    return "\n".join(line for run in runs for line in _run(run))


def escaped(text: str) -> str:
    """Text from outside in one line, shown as it is: no markup, no HTML, no link.

    https://spec.commonmark.org/0.31.2/#backslash-escapes; in tables too, for ``|``.
    """
    return _MARKUP.sub(r"\\\g<0>", printable(shortened(text, _LONGEST_CELL), keep=""))


def _run(found: Findings) -> Iterator[str]:
    head = found.headline
    yield f"## {escaped(head.title)}\n"
    yield (f"{escaped(head.agent)} · {escaped(head.engine)} · {tables.plan_words(found)}\n")
    if head.missing:
        yield f"> **{tables.SYMBOLS[Outcome.INFRA_ERROR]} {escaped(head.missing)}.**\n"
        if head.planned > head.trials:
            yield _table(tables.progress_table(head.progress))
    for sentence in tables.imbalances(found):
        yield f"> Unlike conditions: {escaped(sentence)}.\n"
    outcomes = ", ".join(f"{head.outcomes[one]} {one}" for one in Outcome)
    enforcement = "".join(f" {escaped(one)}." for one in head.enforcement)
    yield f"{head.trials} trials: {outcomes}.{enforcement}\n"
    if found.curve:
        yield "### Score by configuration\n"
        yield _table(tables.score_table(found.curve))
        yield (
            "score: an infra-error is not solved; graded only: left out; at most: passed. "
            "In brackets 95% intervals in percent, clustered by task; the summary at a run's end "
            "has simpler ones.\n"
        )
    if found.causes:
        yield "### What did not pass, and why\n"
        yield _table(tables.cause_table(found.causes))
    if first := tables.attempts_sentence(found):
        yield f"{escaped(first)}\n"
    yield from _spots(found)
    yield from _peaks(found)
    if found.balances:
        yield "### Conditions by configuration\n"
        yield _table(tables.balance_table(found.balances))
    yield "### How it was run\n"
    yield _table(tables.facts_table(found))


def _spots(found: Findings) -> Iterator[str]:
    spots = [row for row in found.matrix if not row.spotless]
    if not spots:
        return
    yield "### Tasks that did not always pass\n"
    yield _table(tables.matrix_table(spots[:_MOST_TASKS], found.configurations))
    signs = ", ".join(f"{tables.SYMBOLS[one]} {one}" for one in Outcome)
    yield _more(len(spots), _MOST_TASKS) + f"{signs}, {tables.MISSING} no verdict\n"


def _peaks(found: Findings) -> Iterator[str]:
    above = [peak for peak in found.peaks if peak.ratio > 1 or peak.oom_kills]
    if not above:
        return
    yield "### Memory above the guarantee\n"
    above.sort(key=lambda peak: -peak.ratio)
    yield _table(tables.peak_table(above[:_MOST_PEAKS]))
    if more := _more(len(above), _MOST_PEAKS):
        yield f"{more}\n"


def _more(count: int, most: int) -> str:
    return f"{count - most} more are in the records. " if count > most else ""


def _table(table: Table) -> str:
    """A table with an empty line after it."""
    rules = ["--:" if column in table.numeric else ":--" for column in range(len(table.header))]
    rows = [
        [escaped(text) for text in table.header],
        rules,
        *([escaped(text) for text in row] for row in table.rows),
    ]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in rows)
