"""One trial for people, and the list of a run's trials, as text."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_reseval.configuration import by_tightness
from pytest_reseval.engines.base import Enforced
from pytest_reseval.outcomes import PhaseFacts
from pytest_reseval.printable import printable
from pytest_reseval.records import TrialRecord
from pytest_reseval.reports.columns import table
from pytest_reseval.resources import format_memory
from pytest_reseval.study.series import rates, sparkline

_TAIL = 12
"""Lines shown of a log."""
_WIDTH = 60
"""Characters of a sparkline."""
_WIDEST = 100


@dataclass(frozen=True, slots=True)
class TrialFiles:
    """What is on disk beside a trial's record."""

    logs: Mapping[Path, str]
    """The end of each."""
    series: Mapping[Path, Mapping[str, Sequence[float]]]


def trials_lines(records: Sequence[TrialRecord], missing: Sequence[str] = ()) -> list[str]:
    """A row a trial, by task, and how many have no verdict."""
    places = by_tightness({record.configuration for record in records})
    listed = sorted(
        records, key=lambda one: (one.task, places.index(one.configuration), one.sample, one.trial)
    )
    rows = [
        [
            _line(record.label),
            str(record.outcome),
            str(record.cause),
            _memory(record.peak),
            f"{record.seconds:.1f} s",
        ]
        for record in listed
    ]
    lines = _stripped(table(["trial", "outcome", "cause", "peak", "took"], rows, right=(3, 4)))
    if missing:
        lines += ["", f"without a verdict: {len(missing)}"]
    return lines


def trial_lines(record: TrialRecord, files: TrialFiles) -> list[str]:
    """All that is known of one trial."""
    return [
        *_verdict(record),
        "",
        *_attempts(record),
        *_resources(record),
        "",
        *_phases(record),
        *_further(record),
        *_stages(record),
        *_series(files),
        *_logs(files),
    ]


def _verdict(record: TrialRecord) -> list[str]:
    return [
        _line(record.label),
        f"  {record.outcome} ({record.cause}): {_line(record.message)}",
        f"  {_line(record.trial)}",
        f"  agent {_line(record.agent)} · engine {_line(record.engine)} · worker "
        f"{_line(record.worker)} · started {_line(record.started)} · took {record.seconds:.1f} s, "
        f"{record.waited:.1f} s of it waiting for admission",
        f"  other sandboxes on the host: {record.neighbours_at_start} at its start, "
        f"{record.neighbours_at_end} at its end",
    ]


def _attempts(record: TrialRecord) -> Iterator[str]:
    if not record.earlier:
        return
    attempts = [*record.earlier, record.attempt]
    rows = [
        [
            f"  {number}",
            str(one.outcome),
            str(one.cause),
            f"{one.seconds:.1f} s",
            _cut(_line(one.message)),
        ]
        for number, one in enumerate(attempts, 1)
    ]
    yield from _stripped(table(["  attempt", "outcome", "cause", "took", ""], rows, right=(3,)))
    yield ""


_NOT_STARTED = Enforced("cgroup", None, None, None, None, None)


def _resources(record: TrialRecord) -> list[str]:
    asked, enforced = record.evidence.resources, record.evidence.enforced
    held = enforced or _NOT_STARTED
    figures: list[tuple[str, str, str]] = [
        (
            "memory guarantee",
            _memory(asked.memory_guarantee) + _by_default(record, "memory"),
            "by admission",
        ),
        (
            "memory limit",
            _most(asked.memory_limit),
            _most(held.memory_limit),
        ),
        (
            "memory and swap",
            _most(asked.memory_limit),
            _most(held.memory_swap_limit),
        ),
        (
            "cpu guarantee",
            _cores(asked.cpu_guarantee) + _by_default(record, "cpu"),
            "weight " + _most_of(held.cpu_weight),
        ),
        (
            "cpu limit",
            _most_cores(asked.cpu_limit),
            _most_cores(held.cpu_limit),
        ),
        ("pids", str(asked.pids_limit), _most_of(held.pids_limit)),
        (
            "disk",
            format_memory(asked.storage_limit),
            _most(held.storage_limit) + (f" ({held.storage_by})" if held.storage_by else ""),
        ),
    ]
    if asked.memory_grace is not None:
        figures.append(("above the limit", f"{asked.memory_grace:g} s at most", ""))
    if enforced is None:
        figures = [(name, wanted, "-") for name, wanted, _ in figures]
    by = f"enforced by {enforced.by}" if enforced else "no sandbox was started"
    rows = [[f"  {name}", wanted, held] for name, wanted, held in figures]
    return _stripped(table(["  resources", "asked for", by], rows, right=(1, 2)))


def _by_default(record: TrialRecord, kind: str) -> str:
    return " (default)" if kind in record.defaulted else ""


_FIGURES: tuple[tuple[str, Callable[[PhaseFacts], str]], ...] = (
    ("took", lambda one: _seconds(one.seconds)),
    ("exit code", lambda one: "-" if one.exit_code is None else str(one.exit_code)),
    ("stopped at the timeout", lambda one: _yes(one.timed_out)),
    ("peak memory", lambda one: _memory(one.peak)),
    ("  measured by", lambda one: one.peak_source),
    ("  not reclaimable, sampled", lambda one: _memory(one.nonreclaimable_peak)),
    ("  page cache up to the limit", lambda one: _yes(one.cache_saturated)),
    ("left by the phase before", lambda one: _memory(one.residue)),
    ("limit hit without reclaim", lambda one: _count(one.oom)),
    ("processes killed for memory", lambda one: _count(one.oom_kill)),
    ("ended above a lenient limit", lambda one: _after(one.ended_above_limit)),
    ("cpu time", lambda one: _seconds(one.cpu_seconds)),
    ("throttled", lambda one: _seconds(one.throttled_seconds)),
    ("throttled periods", lambda one: _count(one.throttled_periods)),
    ("forks refused", lambda one: _count(one.pids_max_events)),
    ("stalled for memory", lambda one: _seconds(one.memory_pressure_seconds)),
    ("stalled for cpu", lambda one: _seconds(one.cpu_pressure_seconds)),
    ("peak on disk", lambda one: _memory(one.disk_peak)),
)


def _phases(record: TrialRecord) -> list[str]:
    phases = record.evidence.phases
    if not phases:
        return ["  no phase was reached", ""]
    rows = [[f"  {name}", *(told(phase) for phase in phases)] for name, told in _FIGURES]
    header = ["  evidence", *(phase.name for phase in phases)]
    return [*_stripped(table(header, rows, right=range(1, len(header)))), ""]


def _further(record: TrialRecord) -> Iterator[str]:
    evidence = record.evidence
    told = [
        ("fault", evidence.fault and f"{evidence.fault.cause}: {evidence.fault.detail}"),
        ("reward", None if evidence.reward is None else f"{evidence.reward:g}"),
        ("no reward", evidence.reward_problem),
        (
            "checks reported",
            None if evidence.checks_reported is None else _yes(evidence.checks_reported),
        ),
        ("artifacts missing", ", ".join(evidence.artifacts_missing) or None),
        (
            "control",
            evidence.control
            and ("ran: " if evidence.control.ran else "failed too: ") + evidence.control.detail,
        ),
        *_conditions(record),
        ("not written", ", ".join(record.unwritten) or None),
        ("keys without effect", ", ".join(record.ignored_keys) or None),
    ]
    rows = [[f"  {name}", _line(text)] for name, text in told if text]
    if rows:
        yield from _stripped(table(["  besides", ""], rows))
        yield ""


def _conditions(record: TrialRecord) -> Iterator[tuple[str, str | None]]:
    """What the trial met that its resources do not say."""
    met = record.conditions
    if met is None:
        return
    if met.host is not None:
        host = met.host
        told = [
            f"busy {host.busy_share:.0%}" if host.busy_share is not None else "",
            f"stolen {host.steal_share:.0%}" if host.steal_share is not None else "",
            *(
                f"waited for {name} {stalls.some:.2f} s"
                for name, stalls in (
                    ("cpu", host.cpu_pressure),
                    ("memory", host.memory_pressure),
                    ("io", host.io_pressure),
                )
                if stalls is not None
            ),
        ]
        yield "host", ", ".join(filter(None, told)) or None
    if met.service is not None:
        use = met.service
        known = {"requests": use.requests, "errors": use.errors, "seconds": use.seconds}
        told = [f"{name} {figure:g}" for name, figure in known.items() if figure is not None]
        yield "agent's service", ", ".join(told) or None
    yield "service report", met.service_problem


def _stages(record: TrialRecord) -> Iterator[str]:
    if record.stages:
        yield "  stages  " + ", ".join(
            f"{_line(name)} {seconds:.2f} s" for name, seconds in record.stages.items()
        )


def _series(files: TrialFiles) -> Iterator[str]:
    for file, columns in files.series.items():
        times = columns.get("time", [])
        if len(times) < 2:
            continue
        yield ""
        yield f"  {_line(str(file))}  {len(times)} rows, {times[-1] - times[0]:.1f} s"
        cpu = rates(columns.get("cpu_seconds", []), times)
        for name, values, told in (
            ("memory", columns.get("total", []), _bytes),
            ("not reclaimable", columns.get("nonreclaimable", []), _bytes),
            ("cpu", cpu, _cores),
        ):
            if values:
                line = sparkline(values, _WIDTH)
                yield f"    {name:<15} {line}  at most {told(max(values))}"


def _logs(files: TrialFiles) -> Iterator[str]:
    for file, text in files.logs.items():
        lines = deque((line for line in text.splitlines() if line.strip()), maxlen=_TAIL)
        yield ""
        yield f"  {_line(str(file))}"
        yield from (f"    | {_cut(printable(line, keep=''))}" for line in lines)
        if not lines:
            yield "    (nothing was printed)"


def _memory(amount: int | None) -> str:
    return "-" if amount is None else format_memory(amount)


def _bytes(amount: float) -> str:
    return format_memory(round(amount))


def _most(amount: int | None) -> str:
    return "none" if amount is None else format_memory(amount)


def _most_cores(cores: float | None) -> str:
    return "none" if cores is None else _cores(cores)


def _most_of(count: int | None) -> str:
    return "none" if count is None else str(count)


def _cores(cores: float) -> str:
    return f"{cores:.3g} core{'' if cores == 1 else 's'}"


def _seconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.2f} s"


def _after(seconds: float | None) -> str:
    return "no" if seconds is None else f"after {seconds:.1f} s"


def _count(count: int | None) -> str:
    return "not kept" if count is None else str(count)


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _line(text: str) -> str:
    return printable(" ".join(text.split()), keep="")


def _cut(text: str) -> str:
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 1]}…"


def _stripped(lines: Sequence[str]) -> list[str]:
    return [line.rstrip() for line in lines]
