"""Tables as plain text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tabulate import tabulate


def table(
    header: Sequence[str], rows: Sequence[Sequence[object]], right: Iterable[int] = ()
) -> list[str]:
    """Lines of a table whose first row is the header; ``right`` are columns of figures."""
    aligned = ["right" if column in set(right) else "left" for column in range(len(header))]
    text = tabulate(
        [header, *rows],
        tablefmt="plain",
        colalign=aligned,
        disable_numparse=True,
        preserve_whitespace=True,
    )
    return text.splitlines()
