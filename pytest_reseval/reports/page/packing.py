"""Data made small and safe to stand in a page."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import zlib
from functools import cache
from importlib.resources import files
from typing import Any

from pytest_reseval.printable import printable
from pytest_reseval.reports.findings.series import Column, Compact
from pytest_reseval.reports.findings.tables import shortened
from pytest_reseval.reports.findings.trials import TrialSeries
from pytest_reseval.resources import KIB

_LONGEST_MESSAGE = 600


@cache
def plotly_script() -> tuple[str, str]:
    """Plotly's script: gzip in base64, and the hash by which a page may run it."""
    script = (files(__package__) / "vendor" / "plotly-basic.min.js").read_bytes()
    return _text(gzip.compress(script, 9, mtime=0)), script_hash(script)


def script_hash(script: bytes) -> str:
    """The source expression that lets a page run this script and no other.

    https://www.w3.org/TR/CSP3/#grammardef-hash-source
    """
    return f"'sha256-{_text(hashlib.sha256(script).digest())}'"


def packed(trial: TrialSeries) -> str:
    """All that the page shows of one trial: JSON, deflated (zlib), in base64."""
    record = trial.record
    resources = record.evidence.resources
    facts: dict[str, Any] = {
        "label": record.label,
        "outcome": record.outcome,
        "cause": record.cause,
        "message": shortened(record.message, _LONGEST_MESSAGE),
        "started": record.started,
        "seconds": round(record.seconds, 2),
        "waited": round(record.waited, 2),
        "attempts": len(record.earlier) + 1,
        "memoryGuarantee": resources.memory_guarantee,
        "memoryLimit": resources.memory_limit,
        "cpuGuarantee": resources.cpu_guarantee,
        "cpuLimit": resources.cpu_limit,
        "phases": [
            {
                "name": phase.name,
                "started": round(phase.started, 2),
                "seconds": round(phase.seconds, 2),
                "timedOut": phase.timed_out,
                "peak": phase.peak,
                "need": phase.nonreclaimable_peak,
                "cpu": phase.cpu_seconds and round(phase.cpu_seconds, 2),
                "throttled": phase.throttled_seconds and round(phase.throttled_seconds, 2),
                "kills": phase.oom_kill,
            }
            for phase in record.evidence.phases
        ],
        "kills": [
            {"time": round(kill.time, 2), "phase": kill.phase, "seen": kill.seen}
            for kill in trial.kills
        ],
        "problem": trial.problem,
        "series": [_series(one) for one in trial.series],
    }
    text = json.dumps(facts, separators=(",", ":"), ensure_ascii=True)
    return _text(zlib.compress(text.encode(), 9))


def _series(series: Compact) -> dict[str, list[float]]:
    return {
        "time": _rounded(series.time, 2),
        "total": _rounded(series.total / KIB, 0),
        "need": _rounded(series.nonreclaimable / KIB, 0),
        "cpuTime": _rounded(series.cpu_time, 2),
        "cores": _rounded(series.cores, 3),
        "throttled": _rounded(series.throttled, 3),
    }


def _rounded(column: Column, digits: int) -> list[float]:
    values = column.round(digits)
    return [int(one) if one.is_integer() else one for one in values.tolist()]


def plain(value: Any) -> Any:
    """A value fit for UTF-8, whatever bytes of file names its texts came from."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, dict):
        return {plain(key): plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    return value


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
