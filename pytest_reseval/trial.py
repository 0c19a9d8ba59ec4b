"""One trial from admission to teardown, gathering evidence on the way."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import psutil

from pytest_reseval.admission import Admission, ClaimTooLarge
from pytest_reseval.agents.base import AgentServiceError
from pytest_reseval.cgroups.meter import Counters
from pytest_reseval.cgroups.sampler import Series
from pytest_reseval.enforcement import differences
from pytest_reseval.engines.base import (
    EngineError,
    ExecResult,
    Sandbox,
    SandboxLost,
    SandboxRequest,
)
from pytest_reseval.harness import Harness
from pytest_reseval.healthcheck import wait_until_healthy
from pytest_reseval.outcomes import (
    Cause,
    Evidence,
    Fault,
    PhaseFacts,
    PhaseName,
    classify,
)
from pytest_reseval.plans import TrialPlan
from pytest_reseval.printable import printable
from pytest_reseval.records import Attempt, TrialRecord
from pytest_reseval.tasks.model import Environment
from pytest_reseval.verification import verify

Number = TypeVar("Number", int, float)

_OUTPUT_TAIL = 4000
"""Characters of a phase's output kept in its record."""


class LimitsDiffer(EngineError):
    """The kernel enforces something else than was asked for."""

    cause = Cause.ENFORCEMENT_MISMATCH


@dataclass
class Execution:
    """What ran in a phase; filled in by whoever runs it."""

    result: ExecResult | None = None


class Trial:
    """The sandbox of one trial and the facts about it.

    ``start`` may raise EngineError or ClaimTooLarge; hand what was raised to ``fault``.
    ``close`` must always be called. A record made before it knows nothing of the teardown.
    """

    def __init__(
        self,
        plan: TrialPlan,
        harness: Harness,
        trial_id: str,
        earlier: tuple[Attempt, ...] = (),
    ) -> None:
        self.plan = plan
        self.harness = harness
        self.id = trial_id
        self._earlier = earlier
        self.reward: float | None = None
        self.reward_problem: str | None = None
        self.sandbox: Sandbox | None = None
        self._began = time.monotonic()
        self._started = datetime.now(UTC)
        self._ended: float | None = None
        self._stages: dict[str, float] = {}
        self._phases: list[PhaseFacts] = []
        self._fault: Fault | None = None
        self._admission: Admission | None = None
        self._series: Series | None = None
        self._idle_memory = 0
        self._neighbours = (0, 0)
        self._unwritten: list[str] = []

    def start(self) -> Sandbox:
        """Admit, provision, read back the limits and wait until the sandbox is healthy."""
        plan, harness = self.plan, self.harness
        harness.directory.announce(self._obituary())
        harness.directory.clear(self.id, self._number)
        with self._stage("admit"):
            self._admission = harness.admit(plan)
        self._neighbours = (harness.neighbours(), 0)
        environment = plan.environment
        with self._stage("prepare"):
            image = harness.engine.prepare(
                plan.name, environment, timeout=harness.scaled(environment.build_timeout)
            )
        with self._stage("start"):
            self.sandbox = sandbox = harness.engine.start(
                SandboxRequest(
                    name=plan.label,
                    image=image,
                    resources=plan.resources,
                    env=environment.env,
                    workdir=environment.workdir,
                    network=environment.network,
                    labels={"run": harness.run, "trial": self.id},
                )
            )
            mismatches = differences(plan.resources, sandbox.enforced, psutil.swap_memory().total)
            if mismatches:
                raise LimitsDiffer("; ".join(mismatches))
            self._series = harness.sampler.watch(sandbox.meter)
            _furnish(sandbox, environment)
        if environment.healthcheck is not None:
            with self._stage("healthcheck"):
                wait_until_healthy(sandbox, environment.healthcheck)
        self._idle_memory = sandbox.meter.counters().nonreclaimable or 0
        return sandbox

    @contextmanager
    def phase(self, name: PhaseName) -> Iterator[Execution]:
        """Measure what happens inside the block as one phase of the trial.

        Raises SandboxLost at its end when the sandbox is gone.
        """
        assert self.sandbox is not None
        if self._admission:
            self._admission.phase(name)
        meter = self.sandbox.meter
        before = meter.counters()
        fresh_peak = meter.reset_peak()
        began = time.monotonic()
        execution = Execution()
        try:
            yield execution
        finally:
            after = meter.counters()
            ended = time.monotonic()
            self._stages[name] = ended - began
            self._phases.append(
                self._facts(name, began, ended, before, after, fresh_peak, execution.result)
            )
            if execution.result is not None:
                output = execution.result.stdout + execution.result.stderr
                with self._at_most_unwritten(f"{name}.log"):
                    self.harness.directory.write_log(self.id, name, output, self._number)
        if not self.sandbox.alive():
            raise SandboxLost(f"the sandbox ended in the {name} phase without our doing")

    def fault(self, error: EngineError | ClaimTooLarge | AgentServiceError) -> None:
        """Note what ended the trial early."""
        if isinstance(error, ClaimTooLarge):
            cause = Cause.GUARANTEE_UNMET
        elif isinstance(error, AgentServiceError):
            cause = Cause.AGENT_SERVICE
        else:
            cause = Cause(error.cause)
        self._fault = Fault(cause, printable(str(error)))

    def close(self) -> None:
        """Read what is left to read and tear everything down; harmless when called twice."""
        if self._ended is not None:
            return
        with ExitStack() as teardown:
            teardown.callback(self._give_back)
            teardown.callback(self._remove_sandbox)
            self._stop_measuring()

    def record(self) -> TrialRecord:
        """The verdict and all the evidence."""
        self._stop_measuring()
        return self._record(self._fault)

    @property
    def _number(self) -> int:
        return len(self._earlier) + 1

    @contextmanager
    def _at_most_unwritten(self, file: str) -> Iterator[None]:
        """A file that cannot be written costs no verdict."""
        try:
            yield
        except OSError:
            self._unwritten.append(file)

    def _stop_measuring(self) -> None:
        if self._admission is not None and self._ended is None:
            self._neighbours = (self._neighbours[0], self.harness.neighbours())
        if self._series is not None:
            series, self._series = self._series, None
            series.stop()
            with self._at_most_unwritten("series.csv"):
                self.harness.directory.write_series(
                    self.id, self._began, series.samples, self._number
                )

    def _remove_sandbox(self) -> None:
        try:
            with self._stage("teardown"):
                if self.sandbox is not None:
                    self.sandbox.close()
        except EngineError as error:
            if self._fault is None:
                self.fault(error)

    def _give_back(self) -> None:
        self._ended = time.monotonic()
        if self._admission is not None:
            self._admission.release()

    def _obituary(self) -> TrialRecord:
        died = f"the worker process {self.harness.worker} died"
        return self._record(Fault(Cause.WORKER_CRASH, died))

    def _record(self, fault: Fault | None) -> TrialRecord:
        plan, harness = self.plan, self.harness
        evidence = Evidence(
            resources=plan.resources,
            enforced=self.sandbox.enforced if self.sandbox else None,
            fault=fault,
            phases=tuple(self._phases),
            reward=self.reward,
            reward_problem=self.reward_problem,
        )
        verdict = classify(evidence, harness.oom_policy)
        return TrialRecord(
            run=harness.run,
            trial=self.id,
            task=plan.name,
            task_digest=plan.task.digest if plan.task else None,
            configuration=plan.configuration,
            sample=plan.sample,
            outcome=verdict.outcome,
            cause=verdict.cause,
            message=verdict.message,
            evidence=evidence,
            engine=harness.engine.info.name,
            agent=harness.agent.name if plan.task else "test",
            started=self._started.isoformat(timespec="milliseconds"),
            seconds=(self._ended or time.monotonic()) - self._began,
            waited=self._admission.waited if self._admission else 0.0,
            stages=self._stages,
            neighbours_at_start=self._neighbours[0],
            neighbours_at_end=self._neighbours[1],
            worker=harness.worker,
            defaulted=plan.defaulted,
            ignored_keys=plan.task.ignored_keys if plan.task else (),
            earlier=self._earlier,
            unwritten=tuple(self._unwritten),
        )

    @contextmanager
    def _stage(self, name: str) -> Iterator[None]:
        if self._admission is not None:
            self._admission.phase(name)
        began = time.monotonic()
        try:
            yield
        finally:
            self._stages[name] = time.monotonic() - began

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
            and _saturated_by_cache(peak, nonreclaimable, self.plan.resources.memory_limit),
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
            output_tail=_tail(result.stdout + result.stderr) if result else "",
        )


def run_task(
    plan: TrialPlan, harness: Harness, trial_id: str, earlier: tuple[Attempt, ...] = ()
) -> TrialRecord:
    """One attempt at a benchmark task: the agent works, then the task's verifier judges."""
    assert plan.task is not None
    task, agent = plan.task, harness.agent
    trial = Trial(plan, harness, trial_id, earlier)
    try:
        sandbox = trial.start()
        with trial.phase("agent") as execution:
            execution.result = agent.solve(task, sandbox, harness.scaled(task.agent_timeout))
        with trial.phase("verifier") as execution:
            verification = verify(task, sandbox, harness.scaled(task.verifier_timeout))
            execution.result = verification.result
            trial.reward, trial.reward_problem = verification.reward, verification.problem
    except (EngineError, ClaimTooLarge, AgentServiceError) as error:
        trial.fault(error)
    finally:
        trial.close()
    return trial.record()


def judge_test(trial: Trial, passed: bool) -> TrialRecord:
    """The record of a test that used a sandbox by itself: its own assertions are the verifier."""
    trial.reward = 1.0 if passed else 0.0
    record = trial.record()
    trial.harness.directory.conclude(record)
    return record


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


def _tail(output: str) -> str:
    return printable(output[-_OUTPUT_TAIL:])[-_OUTPUT_TAIL:]


def _saturated_by_cache(peak: int | None, nonreclaimable: int | None, limit: int | None) -> bool:
    if peak is None or nonreclaimable is None or limit is None:
        return False
    return peak >= 0.98 * limit and nonreclaimable < 0.9 * limit


def _increase(before: Number | None, after: Number | None) -> Number | None:
    return None if before is None or after is None else after - before
