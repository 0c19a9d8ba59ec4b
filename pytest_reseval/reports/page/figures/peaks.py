"""Peaks of memory over guarantees, a row a task."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_reseval.reports.findings.peaks import Peak
from pytest_reseval.reports.page.figures import Drawing, Figure, Trace, trace
from pytest_reseval.reports.page.figures.style import GREY, RED, layout, name, series, words
from pytest_reseval.resources import format_memory

MOST_TASKS = 30
"""Rows of the chart; the table beside it has all."""

_ROW = 26
_MOST_TICKS = 8
_AROUND = 120
_SPREAD = 0.6
"""The part of a row over which configurations are spread."""


def peaks_drawing(peaks: Sequence[Peak], configurations: Sequence[str]) -> Drawing:
    """The tasks with the highest ratios; ``peaks`` come sorted by task."""
    tasks = list(dict.fromkeys(peak.task for peak in peaks))[:MOST_TASKS]
    row = {task: len(tasks) - 1 - index for index, task in enumerate(tasks)}
    shown = [peak for peak in peaks if peak.task in row]
    shift = {
        one: _SPREAD * (0.5 - (index + 0.5) / len(configurations))
        for index, one in enumerate(configurations)
    }
    height = {id(peak): row[peak.task] + shift[peak.configuration] for peak in shown}
    figure = Figure(_layout(tasks, shown))
    figure.data.append(_needs(shown, height))
    figure.data.append(_limits(shown, height))
    for index, configuration in enumerate(configurations):
        colour, symbol = series(index)
        mine = [peak for peak in shown if peak.configuration == configuration]
        if mine:
            figure.data.append(_marks(configuration, colour, symbol, mine, height))
    figure.data.append(_rings("OOM kill", "x-thin", [p for p in shown if p.oom_kills], height))
    figure.data.append(
        _rings("page cache at limit", "circle-open", [p for p in shown if p.saturated], height)
    )
    above = sum(1 for task in tasks if any(p.ratio > 1 for p in shown if p.task == task))
    return Drawing(
        figure,
        _AROUND + _ROW * max(2, len(tasks)),
        f"Peak memory over guarantee for {len(tasks)} tasks; {above} of them are above 1.",
    )


def _layout(tasks: Sequence[str], shown: Sequence[Peak]) -> dict[str, object]:
    ticks = _ticks([peak.ratio for peak in shown if peak.ratio > 0])
    return layout(
        xaxis={
            "title": {"text": "memory / guarantee (log scale)"},
            "type": "log",
            "tickvals": ticks,
            "ticktext": [f"{tick:g}x" for tick in ticks],
            "zeroline": False,
        },
        yaxis={
            "tickvals": [len(tasks) - 1 - index for index in range(len(tasks))],
            "ticktext": [name(task) for task in tasks],
            "range": [-0.6, len(tasks) - 0.4],
            "zeroline": False,
            "automargin": True,
        },
        shapes=[
            {
                "type": "line",
                "x0": 1,
                "x1": 1,
                "yref": "paper",
                "y0": 0,
                "y1": 1,
                "line": {"color": GREY, "width": 2},
            }
        ],
    )


def _ticks(ratios: Sequence[float]) -> list[float]:
    """Round numbers around the ratios: many where these are close, few where they are not."""
    low, high = min(ratios, default=1) / 3, max(ratios, default=1) * 2
    for steps in ((1, 2, 3, 5), (1, 3), (1,)):
        ticks = [step * 10.0**power for power in range(-4, 5) for step in steps]
        shown = [tick for tick in ticks if low <= tick <= high]
        if len(shown) <= _MOST_TICKS:
            return shown
    return shown


def _needs(shown: Sequence[Peak], height: dict[int, float]) -> Trace:
    """From sampled need to peak: the true need lies between, unless something was killed."""
    x: list[float | None] = []
    y: list[float | None] = []
    for peak in shown:
        if peak.need:
            x += [peak.need / peak.guarantee, peak.ratio, None]
            y += [height[id(peak)], height[id(peak)], None]
    return trace(
        "scatter",
        x=x,
        y=y,
        mode="lines",
        line={"color": GREY, "width": 2},
        name="need (sampled) to peak",
        hoverinfo="skip",
    )


def _limits(shown: Sequence[Peak], height: dict[int, float]) -> Trace:
    limited = [peak for peak in shown if peak.limit is not None]
    return trace(
        "scatter",
        x=[(peak.limit or 0) / peak.guarantee for peak in limited],
        y=[height[id(peak)] for peak in limited],
        mode="markers",
        marker={"symbol": "line-ns", "size": 9, "line": {"width": 2, "color": GREY}},
        name="limit",
        text=[f"{words(p.task)}<br>limit {format_memory(p.limit or 0)}" for p in limited],
        hovertemplate="%{text}<extra></extra>",
    )


def _marks(
    configuration: str, colour: str, symbol: str, mine: Sequence[Peak], height: dict[int, float]
) -> Trace:
    return trace(
        "scatter",
        x=[peak.ratio for peak in mine],
        y=[height[id(peak)] for peak in mine],
        mode="markers",
        marker={"color": colour, "symbol": symbol, "size": 8},
        name=words(configuration),
        text=[told(peak) for peak in mine],
        hovertemplate="%{text}<extra>%{fullData.name}</extra>",
    )


def _rings(title: str, symbol: str, marked: Sequence[Peak], height: dict[int, float]) -> Trace:
    """A mark around or across the peaks it is of; it stands in the legend in any case."""
    return trace(
        "scatter",
        x=[peak.ratio for peak in marked] or [None],
        y=[height[id(peak)] for peak in marked] or [None],
        mode="markers",
        marker={"symbol": symbol, "size": 14, "color": RED, "line": {"width": 2, "color": RED}},
        name=title,
        showlegend=bool(marked),
        hoverinfo="skip",
    )


def told(peak: Peak) -> str:
    """A peak in words, in Plotly's markup."""
    need = f"<br>sampled need {format_memory(peak.need)}" if peak.need is not None else ""
    kills = f"<br>OOM kill in {peak.oom_kills} of {peak.trials} trials" if peak.oom_kills else ""
    cache = "<br>page cache grown to the limit" if peak.saturated else ""
    return (
        f"{words(peak.task)}<br>peak {format_memory(peak.peak)}, {peak.ratio:.2f}x of "
        f"{format_memory(peak.guarantee)}{need}{kills}{cache}"
    )
