"""A report as one HTML page that needs nothing beside itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from pytest_reseval.outcomes import Outcome
from pytest_reseval.printable import printable
from pytest_reseval.records import TrialRecord
from pytest_reseval.reports.findings import Findings, tables
from pytest_reseval.reports.findings.trials import TrialSeries
from pytest_reseval.reports.page.figures import Drawing
from pytest_reseval.reports.page.figures.condition import condition_drawing
from pytest_reseval.reports.page.figures.peaks import MOST_TASKS, peaks_drawing
from pytest_reseval.reports.page.figures.score import overlay_drawing, score_drawing
from pytest_reseval.reports.page.figures.timeline import timeline_drawing
from pytest_reseval.reports.page.packing import packed, plain, plotly_script, script_hash


@dataclass(frozen=True, slots=True)
class Section:
    """One run as its section of the page shows it."""

    key: str
    """Begins every id and name of the section."""
    findings: Findings
    score: Drawing | None
    peaks: Drawing | None
    timeline: Drawing | None
    conditions: dict[str, Drawing]
    """By the name of the condition."""
    first_trial: int
    manifest: str
    """The whole manifest as JSON."""


def page(runs: Sequence[tuple[Findings, Iterable[TrialSeries]]]) -> str:
    """The page for one or several runs, each with the series of its trials."""
    environment = Environment(
        loader=PackageLoader(__name__),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "ensure_ascii": True}
    sections = [_section(f"run{index}", one) for index, (one, _) in enumerate(runs)]
    drawings = {
        f"{section.key}-{name}": drawing
        for section in sections
        for name in ("score", "peaks", "timeline")
        if (drawing := getattr(section, name)) is not None
    }
    for section in sections:
        for name, drawing in section.conditions.items():
            drawings[f"{section.key}-condition-{name}"] = drawing
    overlay = None
    if len(runs) > 1:
        overlay = overlay_drawing([(one.headline.title, one.curve) for one, _ in runs])
        drawings["overlay"] = overlay
    plotly, plotly_hash = plotly_script()
    script = _asset("page.js")
    return environment.get_template("page.html").render(
        sections=sections,
        overlay=overlay,
        figures={key: plain(msgspec.to_builtins(one.figure)) for key, one in drawings.items()},
        trials={
            section.key: _trials(section.findings, series)
            for section, (_, series) in zip(sections, runs, strict=True)
        },
        plotly=plotly,
        script=Markup(script),
        style=Markup(_asset("page.css")),
        policy=_policy(plotly_hash, script_hash(script.encode())),
        tables=tables,
        outcomes=list(Outcome),
        most_tasks=MOST_TASKS,
    )


def _policy(*hashes: str) -> str:
    """No network, no script but ours: https://www.w3.org/TR/CSP3/."""
    return (
        f"default-src 'none'; script-src {' '.join(hashes)}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def _section(key: str, findings: Findings) -> Section:
    records = findings.run.records
    timeline = findings.timeline
    return Section(
        key=key,
        findings=findings,
        score=score_drawing(findings.curve) if findings.curve else None,
        peaks=peaks_drawing(findings.peaks, findings.configurations) if findings.peaks else None,
        timeline=timeline_drawing(timeline, records) if timeline else None,
        conditions={one.condition.name: condition_drawing(one) for one in findings.associations},
        first_trial=_most_telling(records),
        manifest=msgspec.json.format(msgspec.json.encode(plain(_builtins(findings)))).decode(),
    )


def _builtins(findings: Findings) -> Any:
    return msgspec.to_builtins(findings.run.manifest)


def _most_telling(records: Sequence[TrialRecord]) -> int:
    """The place of the trial that is shown first: an infra-error, a failure, or the first."""
    for outcome in (Outcome.INFRA_ERROR, Outcome.FAILED):
        for index, record in enumerate(records):
            if record.outcome is outcome and record.evidence.phases:
                return index
    return 0


def _trials(findings: Findings, series: Iterable[TrialSeries]) -> dict[str, Any]:
    """Which trials there are, small, and each with its facts and series, packed."""
    records = findings.run.records
    tasks = {task: index for index, task in enumerate(findings.run.tasks)}
    configurations = {name: index for index, name in enumerate(findings.configurations)}
    return {
        "tasks": plain(list(tasks)),
        "configurations": plain(list(configurations)),
        "index": [
            [tasks[one.task], configurations[one.configuration], one.sample] for one in records
        ],
        "outcomes": [list(Outcome).index(one.outcome) for one in records],
        "packed": [packed(one) for one in series],
    }


def _asset(name: str) -> str:
    return (files(__name__) / "templates" / name).read_text(encoding="utf-8")


def _shown(value: Any) -> Any:
    """What a template prints: text from outside cannot turn the reading direction, say."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return printable(value)
    return value
