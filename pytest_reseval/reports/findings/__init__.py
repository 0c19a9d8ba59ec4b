"""What a report says of a run, as plain values: no page, no text, no drawing.

``findings`` is a pure function of what was read; ``trials`` alone reads the sampled series.
"""

from __future__ import annotations

from dataclasses import dataclass

from pytest_reseval.configuration import by_tightness
from pytest_reseval.reports.findings.causes import Attempts, CauseCount, attempts, causes
from pytest_reseval.reports.findings.curve import Point, curve
from pytest_reseval.reports.findings.headline import Headline, headline
from pytest_reseval.reports.findings.matrix import Row, matrix
from pytest_reseval.reports.findings.peaks import Peak, peaks
from pytest_reseval.reports.findings.planned import UNKNOWN, places
from pytest_reseval.reports.findings.timeline import Timeline, timeline
from pytest_reseval.runs import Run
from pytest_reseval.study.confounders import Association, Balance, associations, balances


@dataclass(frozen=True, slots=True)
class Findings:
    """Everything that a report says of one run."""

    run: Run
    headline: Headline
    configurations: tuple[str, ...]
    """From the tightest to the loosest, those without any verdict included."""
    curve: tuple[Point, ...]
    matrix: tuple[Row, ...]
    peaks: tuple[Peak, ...]
    causes: tuple[CauseCount, ...]
    attempts: Attempts
    timeline: Timeline | None
    balances: tuple[Balance, ...]
    """Whether configurations met alike conditions."""
    associations: tuple[Association, ...]
    """How outcomes go with conditions; those alone that trials differ in."""


def findings(run: Run) -> Findings:
    """What there is to say of a run, however far it came."""
    missing = places(run.missing, run.records)
    labels = {*run.configurations, *(place.configuration for place in missing)}
    unknown = [UNKNOWN] if UNKNOWN in labels else []
    configurations = [*by_tightness(labels - {UNKNOWN}), *unknown]
    return Findings(
        run=run,
        headline=headline(run, missing, configurations),
        configurations=tuple(configurations),
        curve=curve(run.records, configurations),
        matrix=matrix(run.records, missing, configurations),
        peaks=peaks(run.records, configurations),
        causes=causes(run.records),
        attempts=attempts(run.records),
        timeline=timeline(run.records, run.manifest),
        balances=balances(run.records) if len(run.configurations) > 1 else (),
        associations=tuple(one for one in associations(run.records) if len(one.bins) > 1),
    )
