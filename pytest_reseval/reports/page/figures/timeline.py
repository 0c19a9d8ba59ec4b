"""Trials over time, and what was promised at each moment."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pytest_reseval.outcomes import Outcome
from pytest_reseval.records import TrialRecord
from pytest_reseval.reports.findings.timeline import Load, Span, Timeline, averaged
from pytest_reseval.reports.page.figures import Drawing, Figure, Trace, trace
from pytest_reseval.reports.page.figures.style import (
    BLUE,
    GREY,
    ORANGE,
    OUTCOME_COLOURS,
    layout,
    words,
)
from pytest_reseval.resources import format_memory

_AROUND = 480
_LANE = 18
_MOST_LANES = 500
"""CSS pixels of all workers' lanes together."""

_MOST_LOADS = 600
_PARTS = 240
"""Into how many parts the time is divided, of each of which the mean is drawn, where more loads
follow each other than can be told apart."""


def timeline_drawing(timeline: Timeline, records: Sequence[TrialRecord]) -> Drawing:
    """Three parts over one time axis: trials by worker, how many, and how much was promised."""
    unit, seconds = _unit(max(span.ended for span in timeline.spans))
    workers = sorted({span.worker for span in timeline.spans}, key=_natural)
    lane = {worker: len(workers) - 1 - index for index, worker in enumerate(workers)}
    lanes = min(_MOST_LANES, max(60, _LANE * len(workers)))
    height = _AROUND + lanes
    loads: Sequence[Load] = timeline.loads
    means = ""
    if len(loads) > _MOST_LOADS:
        loads = averaged(loads, _PARTS)
        means = f"<br>mean of {(loads[-1].time - loads[0].time) / _PARTS / seconds:.2g} {unit}"
    figure = Figure(_layout(workers, unit, lanes / height, means))
    figure.data.append(_waiting(timeline.spans, lane, seconds))
    for outcome in Outcome:
        mine = [span for span in timeline.spans if span.outcome is outcome]
        if mine:
            figure.data.append(_running(outcome, mine, records, lane, seconds))
    figure.data.extend(_counts(loads, seconds))
    if timeline.admission != "off":
        figure.data.extend(_promises(timeline, loads, seconds))
    top = max(load.running for load in timeline.loads)
    return Drawing(
        figure,
        height,
        f"Trials by worker over time; at most {top} ran at once. Below, how many waited and ran, "
        "and the share of the budget that was promised.",
    )


def _layout(workers: Sequence[str], unit: str, share: float, means: str) -> dict[str, object]:
    top, middle = 1 - share - 0.03, (1 - share) / 2
    return layout(
        barmode="overlay",
        bargap=0.25,
        xaxis={
            "title": {"text": f"{unit} since the first trial"},
            "zeroline": False,
            "anchor": "y3",
        },
        yaxis={
            "domain": [top, 1],
            "tickvals": list(range(len(workers))),
            "ticktext": [words(worker) for worker in reversed(workers)],
            "range": [-0.6, len(workers) - 0.4],
            "showgrid": False,
            "zeroline": False,
            "automargin": True,
            "title": {"text": "worker"},
        },
        yaxis2={
            "domain": [middle, top - 0.06],
            "title": {"text": f"trials{means}"},
            "rangemode": "tozero",
            "automargin": True,
        },
        yaxis3={
            "domain": [0, middle - 0.06],
            "title": {"text": f"promised{means}"},
            "tickformat": ".0%",
            "rangemode": "tozero",
            "automargin": True,
        },
    )


def _waiting(spans: Sequence[Span], lane: dict[str, int], seconds: float) -> Trace:
    return trace(
        "bar",
        orientation="h",
        base=[round(span.asked / seconds, 3) for span in spans],
        x=[round((span.admitted - span.asked) / seconds, 4) for span in spans],
        y=[lane[span.worker] for span in spans],
        width=0.25,
        marker={"color": GREY, "line": {"width": 0}},
        name="waiting for admission",
        hoverinfo="skip",
    )


def _running(
    outcome: Outcome,
    spans: Sequence[Span],
    records: Sequence[TrialRecord],
    lane: dict[str, int],
    seconds: float,
) -> Trace:
    pattern = {Outcome.PASSED: "", Outcome.FAILED: "/", Outcome.INFRA_ERROR: "x"}[outcome]
    return trace(
        "bar",
        orientation="h",
        base=[round(span.admitted / seconds, 3) for span in spans],
        x=[round((span.ended - span.admitted) / seconds, 4) for span in spans],
        y=[lane[span.worker] for span in spans],
        marker={
            "color": OUTCOME_COLOURS[outcome],
            "line": {"width": 0.5, "color": "white"},
            "pattern": {
                "shape": pattern,
                "size": 6,
                "solidity": 0.3,
                "bgcolor": OUTCOME_COLOURS[outcome],
                "fgcolor": "white",
            },
        },
        name=str(outcome),
        customdata=[span.trial for span in spans],
        text=[words(records[span.trial].label) for span in spans],
        textposition="none",
        hovertemplate="%{text}<extra>%{fullData.name}</extra>",
    )


def _counts(loads: Sequence[Load], seconds: float) -> list[Trace]:
    time = [round(load.time / seconds, 4) for load in loads]
    return [
        _steps(time, [round(load.running, 3) for load in loads], "running", BLUE, "solid", "y2"),
        _steps(time, [round(load.waiting, 3) for load in loads], "waiting", ORANGE, "dot", "y2"),
    ]


def _promises(timeline: Timeline, loads: Sequence[Load], seconds: float) -> list[Trace]:
    time = [round(load.time / seconds, 4) for load in loads]
    memory = [round(load.memory / timeline.budget_memory, 4) for load in loads]
    cores = [round(load.cores / timeline.budget_cores, 4) for load in loads]
    of_memory = f"memory, of {format_memory(timeline.budget_memory)}"
    return [
        _steps(time, memory, of_memory, BLUE, "solid", "y3"),
        _steps(time, cores, f"CPU, of {timeline.budget_cores:g} cores", ORANGE, "dot", "y3"),
        trace(
            "scatter",
            x=[time[0], time[-1]],
            y=[1, 1],
            yaxis="y3",
            mode="lines",
            line={"color": GREY, "width": 2, "dash": "dash"},
            name="budget",
            hoverinfo="skip",
        ),
    ]


def _steps(
    time: Sequence[float],
    values: Sequence[float],
    title: str,
    colour: str,
    dash: str,
    axis: str,
) -> Trace:
    return trace(
        "scatter",
        x=time,
        y=values,
        yaxis=axis,
        mode="lines",
        line={"color": colour, "dash": dash, "width": 2, "shape": "hv"},
        name=words(title),
    )


def _unit(longest: float) -> tuple[str, float]:
    if longest < 300:
        return "seconds", 1.0
    return ("minutes", 60.0) if longest < 5 * 3600 else ("hours", 3600.0)


def _natural(worker: str) -> tuple[str, int]:
    stem, digits = re.fullmatch(r"(.*?)([0-9]*)", worker, re.DOTALL).groups()  # type: ignore[union-attr]
    return stem, int(digits or 0)
