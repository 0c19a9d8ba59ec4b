"""Colours, marks and text that all figures share.

Colours are those of Okabe and Ito (Color Universal Design, 2008), which people with any common
colour vision tell apart; no figure says anything by colour alone.
"""

from __future__ import annotations

import html
from typing import Any

from pytest_reseval.outcomes import Outcome
from pytest_reseval.printable import printable

BLUE = "#0072B2"
SKY = "#56B4E9"
GREEN = "#009E73"
ORANGE = "#E69F00"
VERMILION = "#D55E00"
PURPLE = "#CC79A7"
GREY = "#888888"
RED = "#d00000"
"""Of marks on data, beside the others."""

OUTCOME_COLOURS = {
    Outcome.PASSED: GREEN,
    Outcome.FAILED: VERMILION,
    Outcome.INFRA_ERROR: PURPLE,
}

_SERIES = (
    (BLUE, "circle"),
    (ORANGE, "square"),
    (GREEN, "diamond"),
    (PURPLE, "triangle-up"),
    (VERMILION, "triangle-down"),
    (SKY, "pentagon"),
)

_LONGEST_NAME = 24


def series(index: int) -> tuple[str, str]:
    """Colour and marker of one of several series; no two of the first 36 have both alike."""
    turn, place = divmod(index, len(_SERIES))
    return _SERIES[place][0], _SERIES[(place + turn) % len(_SERIES)][1]


def words(text: str) -> str:
    """Text that Plotly shows as it is: what Plotly would take for markup is escaped."""
    return html.escape(printable(text, keep=""), quote=False)


def name(text: str) -> str:
    """As ``words``, cut to what fits beside an axis."""
    plain = printable(text, keep="")
    return words(plain if len(plain) <= _LONGEST_NAME else f"{plain[: _LONGEST_NAME - 1]}…")


def layout(**settings: Any) -> dict[str, Any]:
    """The layout of every figure; the page sets colours of text and grid, for dark or light."""
    common: dict[str, Any] = {
        "margin": {"l": 56, "r": 12, "t": 16, "b": 44},
        "legend": {
            "orientation": "h",
            "x": 0,
            "y": 1.02,
            "yanchor": "bottom",
            "font": {"size": 12},
        },
        "hovermode": "closest",
        "font": {"size": 13},
    }
    return common | settings
