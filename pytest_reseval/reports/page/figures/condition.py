"""Score and infra-errors of trials that met little to much of one condition."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_reseval.reports.findings.tables import condition_amount
from pytest_reseval.reports.page.figures import Drawing, Figure, Trace, trace
from pytest_reseval.reports.page.figures.style import BLUE, VERMILION, layout, words
from pytest_reseval.study.confounders import Association, Bin, Share

_HEIGHT = 240


def condition_drawing(association: Association) -> Drawing:
    """A point for each bin, at the mean of what its trials met."""
    bins = association.bins
    figure = Figure(_layout(association))
    lines = [
        ("score", BLUE, "circle", "solid", [one.score for one in bins]),
        ("infra-errors", VERMILION, "x", "dot", [one.infra_error for one in bins]),
    ]
    for title, colour, symbol, dash, shares in lines:
        figure.data.append(_line(title, colour, symbol, dash, association, shares))
    told = "; ".join(
        f"{_between(association, one)}: score {one.score.value:.0%}, "
        f"infra-errors {one.infra_error.value:.0%}"
        for one in bins
    )
    return Drawing(figure, _HEIGHT, f"Outcomes by {association.condition.label}. {told}.")


def _layout(association: Association) -> dict[str, object]:
    condition = association.condition
    unit = " (s)" if condition.unit == "s" else ""
    title = f"{condition.label}{unit}"
    if condition.name == "started":
        title = "seconds since the first trial"
    return layout(
        xaxis={
            "title": {"text": words(title)},
            "tickformat": ".0%" if condition.unit == "share" else "",
            "zeroline": False,
            "showgrid": False,
            "nticks": 5,
        },
        yaxis={"range": [-0.03, 1.03], "tickformat": ".0%", "zeroline": False, "automargin": True},
        margin={"l": 44, "r": 12, "t": 8, "b": 40},
    )


def _line(
    title: str,
    colour: str,
    symbol: str,
    dash: str,
    association: Association,
    shares: Sequence[Share],
) -> Trace:
    bins = association.bins
    return trace(
        "scatter",
        x=[one.mean for one in bins],
        y=[one.value for one in shares],
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [one.high - one.value for one in shares],
            "arrayminus": [one.value - one.low for one in shares],
            "thickness": 1.5,
            "width": 4,
        },
        mode="lines+markers",
        line={"color": colour, "dash": dash, "width": 2},
        marker={"color": colour, "symbol": symbol, "size": 8},
        name=title,
        text=[
            f"{words(_between(association, one))}<br>{share.value:.1%} "
            f"[{share.low:.1%}, {share.high:.1%}]<br>{one.trials} trials of {one.tasks} tasks"
            for one, share in zip(bins, shares, strict=True)
        ],
        hovertemplate="%{text}<extra>%{fullData.name}</extra>",
    )


def _between(association: Association, part: Bin) -> str:
    unit = association.condition.unit
    low, high = condition_amount(unit, part.low), condition_amount(unit, part.high)
    return low if low == high else f"{low} to {high}"
