"""One module a figure: from findings to a figure of Plotly, with the words beside it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Trace = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Figure:
    """Traces and layout in the terms of Plotly's JSON: https://plotly.com/javascript/reference/."""

    layout: dict[str, Any]
    data: list[Trace] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Drawing:
    """A figure, and what a page says beside it."""

    figure: Figure
    height: int
    """CSS pixels."""
    description: str
    """What is to be seen, for those who do not see it."""


def trace(kind: str, **settings: Any) -> Trace:
    """One trace of a figure."""
    return {"type": kind, **settings}
