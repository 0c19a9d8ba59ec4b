"""One module a figure: from findings to a figure of Plotly, with the words beside it."""

from __future__ import annotations

from dataclasses import dataclass

from plotly.graph_objects import Figure


@dataclass(frozen=True, slots=True)
class Drawing:
    """A figure, and what a page says beside it."""

    figure: Figure
    height: int
    """CSS pixels."""
    description: str
    """What is to be seen, for those who do not see it."""
