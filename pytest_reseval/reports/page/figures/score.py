"""Scores and infra-error rates against configurations, with their intervals."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_reseval.configuration import by_tightness
from pytest_reseval.reports.findings.curve import Point
from pytest_reseval.reports.page.figures import Drawing, Figure, Trace, trace
from pytest_reseval.reports.page.figures.style import (
    BLUE,
    GREEN,
    ORANGE,
    VERMILION,
    layout,
    series,
    words,
)
from pytest_reseval.statistics.estimates import Estimate

_HEIGHT = 400
_APART = 0.07
"""How far series stand apart, in steps from one configuration to the next."""


def score_drawing(points: Sequence[Point]) -> Drawing:
    """One run: the four ways to count infra-errors."""
    labels = [point.configuration for point in points]
    places = range(len(points))
    figure = Figure(_layout(labels))
    figure.data.append(_between(points))
    counted: list[tuple[str, str, str, str, list[Estimate | None]]] = [
        ("score", BLUE, "circle", "solid", [one.scores.headline for one in points]),
        ("graded only", ORANGE, "square", "dash", [one.scores.graded for one in points]),
        ("at most", GREEN, "triangle-up", "dot", [one.scores.at_most for one in points]),
        ("infra-errors", VERMILION, "x", "solid", [one.scores.infra for one in points]),
    ]
    for index, (title, colour, symbol, dash, estimates) in enumerate(counted):
        shift = (index - 1.5) * _APART
        figure.data.append(
            _line(title, colour, symbol, dash, [one + shift for one in places], estimates, labels)
        )
    told = "; ".join(
        f"{point.configuration}: score {point.scores.headline.value:.0%}, "
        f"infra-errors {point.scores.infra.value:.0%}"
        for point in points
    )
    return Drawing(figure, _HEIGHT, f"Score and infra-error rate by configuration. {told}.")


def overlay_drawing(runs: Sequence[tuple[str, Sequence[Point]]]) -> Drawing:
    """Several runs: the score of each, and its rate of infra-errors dashed."""
    labels = by_tightness({point.configuration for _, points in runs for point in points})
    place = {label: index for index, label in enumerate(labels)}
    figure = Figure(_layout(labels))
    for index, (run, points) in enumerate(runs):
        colour, symbol = series(index)
        shift = (index - (len(runs) - 1) / 2) * _APART
        where = [place[point.configuration] + shift for point in points]
        mine = [point.configuration for point in points]
        scores: list[Estimate | None] = [point.scores.headline for point in points]
        infra: list[Estimate | None] = [point.scores.infra for point in points]
        figure.data.append(_line(f"{run}: score", colour, symbol, "solid", where, scores, mine))
        beside = [one + _APART / 3 for one in where]
        figure.data.append(_line(f"{run}: infra-errors", colour, "x", "dot", beside, infra, mine))
    return Drawing(
        figure, _HEIGHT, f"Score and infra-error rate by configuration of {len(runs)} runs."
    )


def _layout(labels: Sequence[str]) -> dict[str, object]:
    return layout(
        xaxis={
            "title": {"text": "configuration, tightest first"},
            "tickvals": list(range(len(labels))),
            "ticktext": [words(label) for label in labels],
            "range": [-0.5, len(labels) - 0.5],
            "ticklabeloverflow": "allow",
            "showgrid": False,
            "zeroline": False,
            "automargin": True,
        },
        yaxis={
            "title": {"text": "share of trials"},
            "range": [-0.02, 1.02],
            "tickformat": ".0%",
            "zeroline": False,
            "automargin": True,
        },
    )


def _between(points: Sequence[Point]) -> Trace:
    """The room between what was scored and what could have been at most."""
    low = [point.scores.at_least.value for point in points]
    high = [point.scores.at_most.value for point in points]
    at_least = [place - 1.5 * _APART for place in range(len(points))]
    at_most = [place + 0.5 * _APART for place in range(len(points))]
    return trace(
        "scatter",
        x=at_most + at_least[::-1],
        y=high + low[::-1],
        fill="toself",
        fillcolor="rgba(0,114,178,0.12)",
        line={"width": 0},
        mode="lines",
        hoverinfo="skip",
        name="score if infra-errors had passed",
        showlegend=False,
    )


def _line(
    title: str,
    colour: str,
    symbol: str,
    dash: str,
    places: Sequence[float],
    estimates: Sequence[Estimate | None],
    labels: Sequence[str],
) -> Trace:
    given = [
        (place, one, label)
        for place, one, label in zip(places, estimates, labels, strict=True)
        if one is not None
    ]
    return trace(
        "scatter",
        x=[place for place, _, _ in given],
        y=[one.value for _, one, _ in given],
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [one.high - one.value for _, one, _ in given],
            "arrayminus": [one.value - one.low for _, one, _ in given],
            "thickness": 1.5,
            "width": 4,
        },
        mode="lines+markers",
        line={"color": colour, "dash": dash, "width": 2},
        marker={"color": colour, "symbol": symbol, "size": 9},
        name=words(title),
        text=[
            f"{words(label)}: {one.value:.1%} [{one.low:.1%}, {one.high:.1%}]"
            f"<br>{one.trials} trials of {one.tasks} tasks"
            for _, one, label in given
        ],
        hovertemplate="%{text}<extra>%{fullData.name}</extra>",
    )
