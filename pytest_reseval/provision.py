"""One sandbox from the wait for admission to its teardown, measured phase by phase."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

import psutil

from pytest_reseval.admission import Admission
from pytest_reseval.cgroups.meter import Counters
from pytest_reseval.cgroups.sampler import Series
from pytest_reseval.conditions import HostLoad, HostReading, load_between
from pytest_reseval.disk.watcher import DiskWatch
from pytest_reseval.enforcement import differences
from pytest_reseval.engines.base import (
    Enforced,
    EngineError,
    ExecResult,
    Sandbox,
    SandboxLost,
    SandboxRequest,
)
from pytest_reseval.grace import GraceWatch, beyond_grace
from pytest_reseval.harness import Harness
from pytest_reseval.healthcheck import Unhealthy, wait_until_healthy
from pytest_reseval.outcomes import Cause, PhaseFacts, PhaseName, beyond_disk_bound
from pytest_reseval.plans import TrialPlan
from pytest_reseval.printable import printable
from pytest_reseval.records import AttemptFiles
from pytest_reseval.resources import Resources
from pytest_reseval.tasks.model import Environment

Number = TypeVar("Number", int, float)

Role = Literal["trial", "verifier", "control"]
"""What a sandbox is for: the trial itself, its separate verifier, or a control of the verifier."""

_OUTPUT_TAIL = 4000
"""Characters of a phase's output kept in its record."""


class LimitsDiffer(EngineError):
    """The kernel enforces something else than was asked for."""

    cause = Cause.ENFORCEMENT_MISMATCH


class GraceExceeded(EngineError):
    """The sandbox was ended because it stood above a lenient memory limit for too long."""

    cause = Cause.OOM_LIMIT


class DiskExceeded(EngineError):
    """The sandbox was ended because it held more on disk than it may."""

    cause = Cause.DISK_LIMIT


@dataclass
class Execution:
    """What ran in a phase; filled in by whoever runs it."""

    result: ExecResult | None = None


class Provision:
    """A sandbox for a plan's resources and environment, and what was measured in it.

    ``began`` is when the trial began, in seconds of ``time.monotonic``; logs and series go into
    ``files``, if there are any. ``start`` may raise
    EngineError or ClaimTooLarge; ``close`` must always be called. The stages of anything but the
    trial's own sandbox are named after its role: ``verifier-start``.
    """

    def __init__(
        self,
        plan: TrialPlan,
        harness: Harness,
        trial_id: str,
        began: float,
        files: AttemptFiles | None,
        role: Role = "trial",
    ) -> None:
        self.sandbox: Sandbox | None = None
        self.stages: dict[str, float] = {}
        self.phases: list[PhaseFacts] = []
        self.neighbours = (0, 0)
        self.host_load: HostLoad | None = None
        """From admission until the last figures were taken; of the trial's own sandbox alone."""
        self._plan = plan
        self._harness = harness
        self._trial_id = trial_id
        self._began = began
        self._files = files
        self._role = role
        self._admission: Admission | None = None
        self._series: Series | None = None
        self._disk: DiskWatch | None = None
        self._host_before: HostReading | None = None
        self._grace: GraceWatch | None = None
        self._idle_memory = 0
        self._closed = False

    @property
    def waited(self) -> float:
        """Seconds spent waiting for admission."""
        return self._admission.waited if self._admission else 0.0

    @property
    def enforced(self) -> Enforced | None:
        """The limits read back; None before a sandbox was started."""
        return self.sandbox.enforced if self.sandbox else None

    def start(self) -> Sandbox:
        """Admit, provision, read back the limits and wait until the sandbox is healthy."""
        plan, harness, environment = self._plan, self._harness, self._plan.environment
        with self.stage("admit"):
            self._admission = harness.admit(plan)
        self.neighbours = (harness.neighbours(), 0)
        if harness.host is not None and self._role == "trial":
            self._host_before = harness.host.read()
        with self.stage("prepare"):
            image = harness.engine.prepare(
                plan.name, environment, timeout=plan.scaled(environment.build_timeout)
            )
        with self.stage("start"):
            self.sandbox = sandbox = harness.engine.start(
                SandboxRequest(
                    name=plan.label,
                    image=image,
                    resources=plan.resources,
                    env=environment.env,
                    workdir=environment.workdir,
                    network=environment.network,
                    labels={"run": harness.run, "trial": self._trial_id},
                    hidden=self._hidden(),
                )
            )
            mismatches = differences(plan.resources, sandbox.enforced, psutil.swap_memory().total)
            if mismatches:
                raise LimitsDiffer("; ".join(mismatches))
            self._grace = _grace_watch(plan.resources, sandbox)
            self._series = harness.sampler.watch(
                sandbox.meter, self._grace.note if self._grace else None
            )
            self._disk = harness.disk_watcher.watch(sandbox, plan.resources.storage_limit)
            _furnish(sandbox, environment)
        if environment.healthcheck is not None:
            with self.stage("healthcheck"):
                try:
                    wait_until_healthy(sandbox, environment.healthcheck)
                except Unhealthy as error:
                    kills = sandbox.meter.counters().oom_kill
                    raise Unhealthy(f"{error}{_killed_meanwhile(kills)}") from error
        self._idle_memory = sandbox.meter.counters().nonreclaimable or 0
        return sandbox

    def exceeded(self) -> DiskExceeded | GraceExceeded | None:
        """Why the harness ended the sandbox, if it did."""
        if self._disk is not None and self._disk.exceeded is not None:
            return DiskExceeded(beyond_disk_bound(self._disk.exceeded, self._disk.bound))
        if self._grace is not None and self._grace.exceeded is not None:
            limit = self._plan.resources.memory_limit or 0
            return GraceExceeded(beyond_grace(self._grace.exceeded, limit))
        return None

    def _hidden(self) -> list[Path]:
        """Hidden tests and solution, and what other trials wrote down."""
        task = self._plan.task
        return [
            self._harness.directory.path.resolve(),
            *([task.directory.resolve()] if task else []),
        ]

    @contextmanager
    def phase(self, name: PhaseName) -> Iterator[Execution]:
        """Measure what happens inside the block as one phase.

        Raises DiskExceeded, GraceExceeded, SandboxLost or SandboxEnded at its end when the sandbox
        is gone.
        """
        sandbox, disk = self.sandbox, self._disk
        assert sandbox is not None
        assert disk is not None
        if self._admission:
            self._admission.phase(name)
        meter = sandbox.meter
        before = meter.counters()
        fresh_peak = meter.reset_peak()
        disk.restart()
        began = time.monotonic()
        execution = Execution()
        lost: SandboxLost | None = None
        try:
            yield execution
        except SandboxLost as error:
            lost = error
        finally:
            after = meter.counters()
            ended = time.monotonic()
            self.stages[name] = ended - began
            disk.look()
            self.phases.append(
                self._facts(name, began, ended, before, after, fresh_peak, execution.result)
            )
            if execution.result is not None and self._files is not None:
                self._files.write_log(name, execution.result.stdout + execution.result.stderr)
        if (exceeded := self.exceeded()) is not None:
            raise exceeded from lost
        if lost is None and not sandbox.alive():
            lost = SandboxLost(f"the sandbox ended in the {name} phase without our doing")
        if lost is not None:
            raise sandbox.explain(lost) from lost

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time what happens inside the block, and show it in the ledger."""
        label = name if self._role == "trial" else f"{self._role}-{name}"
        if self._admission is not None:
            self._admission.phase(label)
        began = time.monotonic()
        try:
            yield
        finally:
            self.stages[label] = time.monotonic() - began

    def stop_measuring(self) -> None:
        """Take the last figures; harmless when called twice."""
        if self._disk is not None:
            self._disk.stop()
        if self._admission is not None and not self._closed:
            self.neighbours = (self.neighbours[0], self._harness.neighbours())
            if self._host_before is not None and self._harness.host is not None:
                self.host_load = load_between(self._host_before, self._harness.host.read())
        if self._series is not None:
            self._series.stop()
            if self._files is not None:
                name = "series" if self._role == "trial" else f"{self._role}-series"
                self._files.write_series(name, self._began, self._series.samples)
            self._series = None

    def close(self) -> None:
        """Tear everything down; harmless when called twice.

        Raises EngineError when the sandbox cannot be removed.
        """
        if self._closed:
            return
        with ExitStack() as teardown:
            teardown.callback(self._give_back)
            teardown.callback(self._remove_sandbox)
            self.stop_measuring()

    def _remove_sandbox(self) -> None:
        with self.stage("teardown"):
            if self.sandbox is not None:
                self.sandbox.close()

    def _give_back(self) -> None:
        self._closed = True
        if self._admission is not None:
            self._admission.release()

    def _facts(
        self,
        name: PhaseName,
        began: float,
        ended: float,
        before: Counters,
        after: Counters,
        fresh_peak: bool,
        result: ExecResult | None,
    ) -> PhaseFacts:
        assert self.sandbox is not None
        sampled = self._series.peak(began, ended) if self._series else None
        peak, source = after.peak, self.sandbox.meter.peak_source
        if not fresh_peak and peak == before.peak and sampled is not None:
            peak, source = sampled.total, "sampled"
        nonreclaimable = max(
            (
                figure
                for figure in (
                    before.nonreclaimable,
                    after.nonreclaimable,
                    sampled.nonreclaimable if sampled else None,
                )
                if figure is not None
            ),
            default=None,
        )
        kills = _increase(before.oom_kill, after.oom_kill)
        return PhaseFacts(
            name=name,
            started=began - self._began,
            seconds=ended - began,
            exit_code=result.exit_code if result else None,
            timed_out=result.timed_out if result else False,
            peak=peak,
            peak_source=source,
            nonreclaimable_peak=nonreclaimable,
            cache_saturated=not kills
            and _saturated_by_cache(peak, nonreclaimable, self._plan.resources.memory_ceiling),
            residue=(
                None
                if before.nonreclaimable is None
                else max(0, before.nonreclaimable - self._idle_memory)
            ),
            oom=_increase(before.oom, after.oom),
            oom_kill=kills,
            cpu_seconds=_increase(before.cpu_seconds, after.cpu_seconds),
            throttled_seconds=_increase(before.throttled_seconds, after.throttled_seconds),
            throttled_periods=_increase(before.throttled_periods, after.throttled_periods),
            pids_max_events=_increase(before.pids_max_events, after.pids_max_events),
            memory_pressure_seconds=_increase(
                before.memory_pressure_seconds, after.memory_pressure_seconds
            ),
            cpu_pressure_seconds=_increase(before.cpu_pressure_seconds, after.cpu_pressure_seconds),
            disk_peak=self._disk.peak if self._disk else None,
            ended_above_limit=self._grace.exceeded if self._grace else None,
            output_tail=_tail(result.stdout + result.stderr) if result else "",
        )


def _grace_watch(resources: Resources, sandbox: Sandbox) -> GraceWatch | None:
    if resources.memory_grace is None or resources.memory_limit is None:
        return None
    return GraceWatch(resources.memory_limit, resources.memory_grace, sandbox.kill)


def _furnish(sandbox: Sandbox, environment: Environment) -> None:
    """Make the folders that every Harbor task expects, and bring in files that need no build."""
    with tempfile.TemporaryDirectory() as draft:
        for name in ("agent", "verifier", "artifacts"):
            folder = Path(draft, "logs", name)
            folder.mkdir(parents=True)
            folder.chmod(0o777)
        Path(draft, "logs").chmod(0o755)
        sandbox.put(Path(draft), "/")
    if environment.loose_files is not None:
        workdir = environment.workdir or sandbox.exec("pwd").stdout.rstrip("\n")
        sandbox.put(environment.loose_files, workdir)


def _killed_meanwhile(kills: int | None) -> str:
    return f"; processes killed for memory meanwhile: {kills}" if kills else ""


def _tail(output: str) -> str:
    return printable(output[-_OUTPUT_TAIL:])[-_OUTPUT_TAIL:]


def _saturated_by_cache(peak: int | None, nonreclaimable: int | None, limit: int | None) -> bool:
    if peak is None or nonreclaimable is None or limit is None:
        return False
    return peak >= 0.98 * limit and nonreclaimable < 0.9 * limit


def _increase(before: Number | None, after: Number | None) -> Number | None:
    return None if before is None or after is None else after - before
