"""What ``reseval calibrate`` says, as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pytest_reseval.printable import printable
from pytest_reseval.reports.columns import table
from pytest_reseval.resources import format_memory
from pytest_reseval.statistics.estimates import Estimate
from pytest_reseval.statistics.paired import Difference
from pytest_reseval.study.ceiling import Candidate, Ceiling
from pytest_reseval.study.needs import MARGIN, Need, Status

_WIDEST = 32


def ceiling_lines(ceiling: Ceiling) -> list[str]:
    """The ceiling that is named, or why none is, with what it was decided on."""
    named = ceiling.named or "none can be named"
    lines = [f"ceiling  {named}", f"  {printable(ceiling.told, keep='')}"]
    if ceiling.reference is None:
        return lines
    rows = [_reference(ceiling), *(_candidate(ceiling, one) for one in ceiling.candidates)]
    header = [
        "  headroom",
        "infra",
        "p (Holm)",
        "gone",
        "score",
        "vs",
        "95%",
        "p",
        "sees",
        "graded",
    ]
    lines += ["", *_stripped(table(header, rows, right=range(1, 10)))]
    rule = ceiling.rule
    lines += [
        "",
        f"  tasks {ceiling.tasks}, samples {ceiling.samples}. A ceiling is named if "
        "infra-errors are significantly fewer than at",
        f"  {ceiling.reference} (p (Holm) < {rule.level:g}) and {rule.cut:.0%} of them are gone, "
        f"the score has not moved (p >= {rule.level:g},",
        f"  or less than {100 * rule.least_lift:g} points), and the comparison sees "
        f"{100 * rule.must_see:g} points or less (sees: with 80% power).",
        "  vs, 95%, p: of the score, beside the first row. graded: vs of the pairs without an "
        "infra-error.",
        "  infra, score: of all trials. All else: of the tasks and samples that both rows have.",
    ]
    if ceiling.left_out:
        lines.append(f"  left out, since more than headroom differs: {', '.join(ceiling.left_out)}")
    return lines


def _reference(ceiling: Ceiling) -> list[str]:
    assert ceiling.reference is not None
    own = ceiling.scores[ceiling.reference]
    return [
        f"  {ceiling.reference}",
        _share(own.infra),
        "",
        "",
        _share(own.headline),
        *([""] * 5),
    ]


def _candidate(ceiling: Ceiling, one: Candidate) -> list[str]:
    own, found = ceiling.scores[one.configuration], one.contrast
    return [
        f"  {one.configuration}",
        _share(own.infra),
        f"{one.infra_p_value:.2g}",
        f"{one.removed:.0%}",
        _share(own.headline),
        *_difference(found.score),
        f"{found.score.p_value:.2g}",
        "-" if found.detectable is None else _sees(found.detectable),
        f"{100 * found.graded.value:+.1f}" if found.graded.pairs else "-",
    ]


def _sees(detectable: float) -> str:
    return "nothing" if detectable > 1 else f"{100 * detectable:.1f}"


def _share(estimate: Estimate) -> str:
    return f"{estimate.value:.1%}"


def _difference(found: Difference) -> tuple[str, str]:
    return f"{100 * found.value:+.1f}", f"{100 * found.low:+.1f} to {100 * found.high:+.1f}"


def needs_lines(needs: Sequence[Need]) -> list[str]:
    """What each task's measured peaks say of its guarantees."""
    if not needs:
        return ["memory guarantees  no task of a task file was measured"]
    order = list(Status)
    listed = sorted(needs, key=lambda need: (order.index(need.status), need.task))
    counts = [
        f"{sum(need.status is status for need in needs)} {status}"
        for status in Status
        if any(need.status is status for need in needs)
    ]
    rows = [_need(need) for need in listed]
    header = ["  task", "guarantee", "needs", "under", "status", "proposed", ""]
    return [
        f"memory guarantees  {', '.join(counts)}",
        *_stripped(table(header, rows, right=(1, 2, 5))),
        "",
        *_caveats(needs),
    ]


def _caveats(needs: Sequence[Need]) -> Iterator[str]:
    yield (
        f"  A proposal is the upper end of the need and {MARGIN - 1:.0%} more, in a round size. "
        "Only what is too low is proposed anew."
    )
    yield (
        "  under: the loosest headroom without kills, and how many trials were measured under it."
    )
    agents = sorted({need.agent for need in needs if not need.of_a_model})
    if agents:
        yield (
            f"  Measured with {', '.join(agents)}: what an agent needs that has to find the way "
            "may be more, so take needs for lower bounds."
        )


def _need(need: Need) -> list[str]:
    return [
        f"  {_cell(need.task)}",
        format_memory(need.guarantee) + (" (default)" if need.defaulted else ""),
        _span(need.low, need.high),
        f"{need.under} ({need.samples})" if need.under else "-",
        str(need.status),
        "-" if need.proposal is None else format_memory(need.proposal),
        need.why,
    ]


def _span(low: int | None, high: int | None) -> str:
    if low is None:
        return "-"
    if high is None:
        return f"> {format_memory(low)}"
    if high - low <= 0.05 * high:
        return format_memory(high)
    return f"{format_memory(low)} to {format_memory(high)}"


def cpu_lines(needs: Sequence[Need]) -> list[str]:
    """What is known of CPU, which is less: means over the agent's phase, and throttling."""
    rows = [
        [
            f"  {_cell(need.task)}",
            f"{need.cpu.guarantee:g}",
            "-" if need.cpu.busiest is None else f"{need.cpu.busiest:.2f}",
            f"{need.cpu.throttled} of {need.cpu.throttled_of}",
            f"{need.cpu.throttled_seconds:.1f}",
        ]
        for need in needs
        if need.cpu.throttled or (need.cpu.busiest or 0) > need.cpu.guarantee
    ]
    if not rows:
        return [
            "cpu guarantees  no task was throttled under the tightest headroom, and none used more "
            "than its guarantee in the mean"
        ]
    header = ["  task", "cores", "mean use", "throttled", "CPU s"]
    return [
        "cpu guarantees  tasks that were throttled, or used more than theirs in the mean",
        *_stripped(table(header, rows, right=range(1, 5))),
        "",
        "  mean use: CPU seconds by seconds of the agent's phase, the highest of all samples under "
        "the loosest headroom.",
        "  throttled: trials under the tightest. Both are means, not peaks: no guarantee follows "
        "from them alone.",
    ]


def _cell(text: str) -> str:
    line = printable(text, keep="")
    return line if len(line) <= _WIDEST else f"{line[: _WIDEST - 1]}…"


def _stripped(lines: Sequence[str]) -> list[str]:
    return [line.rstrip() for line in lines]
