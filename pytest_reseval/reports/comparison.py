"""What ``reseval compare`` says, as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pytest_reseval.printable import printable
from pytest_reseval.reports.columns import table
from pytest_reseval.statistics.estimates import Estimate
from pytest_reseval.statistics.paired import Difference
from pytest_reseval.study.comparable import ComparableRun, Value
from pytest_reseval.study.comparison import Comparison, Flip

_MOST_FLIPS = 12
_WIDEST = 44


def comparison_lines(
    before: ComparableRun, after: ComparableRun, comparisons: Sequence[Comparison]
) -> list[str]:
    """Everything that is told of two runs."""
    lines = [f"A  {_cell(before.name)}", f"B  {_cell(after.name)}"]
    for run, side in ((before, "A"), (after, "B")):
        if run.unfinished:
            lines.append(
                f"{side} is not complete: {run.unfinished} trials have no verdict; what both have "
                "is compared"
            )
    for one in comparisons:
        lines += ["", *_comparison(one)]
    return lines


def _comparison(one: Comparison) -> Iterator[str]:
    first, second = one.configurations
    yield first if first == second else f"{first} of A beside {second} of B"
    yield f"  {printable(one.sameness.told, keep='')}"
    yield f"  {one.told}"
    yield ""
    if one.sameness.differences:
        rows = [
            [f"  {term.weight}", _cell(term.name), _value(term.before), _value(term.after)]
            for term in one.sameness.differences
        ]
        yield from _stripped(table(["  differs", "", "A", "B"], rows))
        yield ""
    if one.before is None or one.after is None:
        return
    yield from _scores(one)
    yield from _flips(one)
    yield from _not_compared(one)


def _scores(one: Comparison) -> Iterator[str]:
    assert one.before is not None
    assert one.after is not None
    found = one.contrast
    rows = [
        _row("score", one.before.headline, one.after.headline, found.score),
        _row("graded only", one.before.graded, one.after.graded, found.graded),
        _row("infra-errors", one.before.infra, one.after.infra, found.infra),
    ]
    header = ["  of the same trials", "A", "B", "B - A", "95%", "p", "tasks", "pairs"]
    yield from _stripped(table(header, rows, right=range(1, 8)))


def _row(
    name: str, before: Estimate | None, after: Estimate | None, found: Difference
) -> list[str]:
    low, high = (f"{100 * end:+.1f}" for end in (found.low, found.high))
    differs = [f"{100 * found.value:+.1f}", f"{low} to {high}", f"{found.p_value:.2g}"]
    return [
        f"  {name}",
        "-" if before is None else f"{before.value:.1%}",
        "-" if after is None else f"{after.value:.1%}",
        *(differs if found.pairs else ["-", "-", "-"]),
        str(found.tasks),
        str(found.pairs),
    ]


def _flips(one: Comparison) -> Iterator[str]:
    if not one.flips:
        return
    yield ""
    rows = [
        [f"  {_cell(flip.task)}", f"{flip.before}/{flip.samples}", f"{flip.after}/{flip.samples}"]
        for flip in _most_changed(one.flips)
    ]
    yield from _stripped(table(["  passes otherwise", "A", "B"], rows, right=(1, 2)))
    if len(one.flips) > _MOST_FLIPS:
        yield f"  and {len(one.flips) - _MOST_FLIPS} tasks that changed less"


def _most_changed(flips: Sequence[Flip]) -> Sequence[Flip]:
    """Those that lost most and those that won most; ``flips`` goes from the one to the other."""
    half = _MOST_FLIPS // 2
    return flips if len(flips) <= _MOST_FLIPS else [*flips[:half], *flips[-half:]]


def _not_compared(one: Comparison) -> Iterator[str]:
    lacking = [
        f"{count} in {side} alone"
        for count, side in ((one.only_before, "A"), (one.only_after, "B"))
        if count
    ]
    if lacking:
        yield ""
        yield f"  trials not compared: {', '.join(lacking)}"
    if one.left_out:
        yield ""
        yield (
            f"  tasks not compared, since their files differ: {len(one.left_out)} "
            f"({_cell(', '.join(one.left_out))}); --changed-too compares them"
        )


def _value(value: Value) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return "-" if value is None else _cell(str(value) or "''")


def _cell(text: str) -> str:
    line = printable(" ".join(text.split()), keep="")
    return line if len(line) <= _WIDEST else f"{line[: _WIDEST - 1]}…"


def _stripped(lines: Sequence[str]) -> list[str]:
    return [line.rstrip() for line in lines]
