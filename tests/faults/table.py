"""The table of faults in docs/outcomes.md: written from what the fault suite saw.

``pytest tests/faults --write-fault-table`` writes it; without that option the suite ends with an
error when the documentation says something else than what was seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from tests.faults.catalogue import ENGINES

PROPERTY = "reseval-fault"
DOCUMENT = Path(__file__).parents[2] / "docs" / "outcomes.md"
BEGIN = "<!-- written by the fault suite: begin -->\n"
END = "<!-- written by the fault suite: end -->\n"


class Cell(msgspec.Struct, frozen=True):
    """What became of a fault on one engine."""

    outcome: str
    cause: str
    evidence: list[str]


class Seen(msgspec.Struct, frozen=True):
    """One cell with its place."""

    fault: str
    engine: str
    cell: Cell


def dump(fault: str, engine: str, cell: Cell) -> str:
    """A cell as text that travels on a test report."""
    return msgspec.json.encode(Seen(fault, engine, cell)).decode()


def load(text: str) -> Seen:
    """The inverse of ``dump``."""
    return msgspec.json.decode(text, type=Seen)


def rendered(
    titles: Mapping[str, str],
    elsewhere: Mapping[str, Mapping[str, str]],
    seen: Iterable[Seen],
) -> str:
    """The table in Markdown. Raises ValueError for a cell that is empty without a reason.

    It is another mistake when a fault was judged differently in two runs on one engine.
    """
    cells: dict[tuple[str, str], Cell] = {}
    for one in seen:
        place = (one.fault, one.engine)
        if cells.setdefault(place, one.cell) != one.cell:
            raise ValueError(f"{place} was judged in two ways: {cells[place]} and {one.cell}")
    lines = [
        f"| fault | {' | '.join(f'`{engine}`' for engine in ENGINES)} |",
        f"|---|{'---|' * len(ENGINES)}",
    ]
    for fault, title in titles.items():
        row = []
        for engine in ENGINES:
            cell = cells.get((fault, engine))
            reason = elsewhere.get(fault, {}).get(engine)
            if cell is None and reason is None:
                raise ValueError(f"fault {fault!r} was not seen on {engine}")
            row.append(f"not there: {reason}" if cell is None else _shown(cell))
        lines.append(f"| {' | '.join(map(_escaped, (title, *row)))} |")
    return "\n".join(lines) + "\n"


def _shown(cell: Cell) -> str:
    return f"{cell.outcome}, `{cell.cause}`: {'; '.join(cell.evidence)}"


def _escaped(text: str) -> str:
    """The text as the content of one cell: in one line, and without a pipe that would end it."""
    return " ".join(text.split()).replace("|", "\\|")


def written() -> str:
    """The table as the documentation has it."""
    text = DOCUMENT.read_text()
    return text[text.index(BEGIN) + len(BEGIN) : text.index(END)]


def write(table: str) -> None:
    """Put the table into the documentation."""
    text = DOCUMENT.read_text()
    start, end = text.index(BEGIN) + len(BEGIN), text.index(END)
    DOCUMENT.write_text(text[:start] + table + text[end:])
