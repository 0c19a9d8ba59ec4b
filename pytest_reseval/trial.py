"""One trial of a task or a test: what happens in which sandbox, and the evidence of it."""

from __future__ import annotations

import time
import traceback
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

from pytest_reseval.admission import ClaimTooLarge
from pytest_reseval.agents.base import Agent, AgentServiceError, Solved
from pytest_reseval.artifacts import collect
from pytest_reseval.conditions import Conditions
from pytest_reseval.control import controlled
from pytest_reseval.engines.base import (
    CANNOT_RUN,
    EngineError,
    ExecResult,
    Sandbox,
    SandboxFileError,
    SandboxLost,
    StartError,
)
from pytest_reseval.harness import Harness
from pytest_reseval.outcomes import (
    Cause,
    Control,
    Evidence,
    Fault,
    PhaseName,
    classify,
    needs_control,
)
from pytest_reseval.plans import TrialPlan, verifier_plan
from pytest_reseval.printable import printable
from pytest_reseval.provision import Execution, Provision
from pytest_reseval.records import Attempt, TrialRecord
from pytest_reseval.service import ServiceUse, checked
from pytest_reseval.tasks.model import Task
from pytest_reseval.verification import Verification, verify

_LONGEST_PROBLEM = 200


class Trial:
    """The sandboxes of one trial and the facts about it.

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
        self.reward: float | None = None
        self._earlier = earlier
        self._files = harness.directory.attempt_files(trial_id, len(earlier) + 1)
        self._began = time.monotonic()
        self._started = datetime.now(UTC)
        self._ended: float | None = None
        self._provisions = [Provision(plan, harness, trial_id, self._began, self._files)]
        self._fault: Fault | None = None
        self._verification: Verification | None = None
        self._artifacts_missing: tuple[str, ...] = ()
        self._control: Control | None = None
        self._service: ServiceUse | None = None
        self._service_problem: str | None = None

    def start(self) -> Sandbox:
        """Admit, provision, read back the limits and wait until the sandbox is healthy."""
        self.harness.directory.announce(self._obituary())
        self._files.clear()
        return self._provisions[0].start()

    def phase(self, name: PhaseName) -> AbstractContextManager[Execution]:
        """Measure what happens inside the block as one phase of the trial.

        Raises DiskExceeded, GraceExceeded, SandboxLost or SandboxEnded at its end when the sandbox
        is gone.
        """
        return self._provisions[-1].phase(name)

    def verify(self) -> None:
        """Run the task's check where the agent worked, or in a sandbox of its own if it asks so."""
        assert self.plan.task is not None
        if self.plan.verifier is not None:
            with self.harness.directory.scratch(self.id) as folder:
                self._move_to_verifier(self.plan, folder)
        sandbox = self._provisions[-1].sandbox
        assert sandbox is not None
        with self.phase("verifier") as execution:
            self._verification = verify(
                self.plan.task, sandbox, self.plan.scaled(self.plan.task.verifier_timeout)
            )
            execution.result = self._verification.result
            self.reward = self._verification.reward

    def _move_to_verifier(self, plan: TrialPlan, folder: Path) -> None:
        """Take the artifacts, end the agent's sandbox, and put them into a new one."""
        assert plan.task is not None
        worked_in = self._provisions[-1]
        assert worked_in.sandbox is not None
        with worked_in.stage("artifacts"):
            found, self._artifacts_missing = collect(worked_in.sandbox, plan.task.artifacts, folder)
        worked_in.close()
        apart = Provision(
            verifier_plan(plan), self.harness, self.id, self._began, self._files, "verifier"
        )
        self._provisions.append(apart)
        sandbox = apart.start()
        for path, copy in found.items():
            try:
                sandbox.put(copy, path)
            except SandboxFileError as error:  # a file where the verifier's image has a directory
                self._artifacts_missing += (printable(str(error)),)

    def control(self) -> None:
        """Where the verdict hangs on it, see whether the verifier works without the agent."""
        if needs_control(self._evidence()):
            began = time.monotonic()
            self._control = controlled(self.plan, self.harness, self.id)
            self._provisions[0].stages["control"] = time.monotonic() - began

    def served(self, told: ServiceUse | None, problem: str | None = None) -> None:
        """Keep what the agent told of its own service, or why that is worth nothing."""
        try:
            self._service = None if told is None else checked(told)
        except ValueError as error:
            problem = str(error)
        if problem is not None:
            self._service_problem = printable(str(problem), keep="")[:_LONGEST_PROBLEM]

    def fault(self, error: EngineError | ClaimTooLarge | AgentServiceError) -> None:
        """Note what ended the trial early."""
        if isinstance(error, SandboxLost):
            error = self._provisions[-1].exceeded() or error
        if isinstance(error, ClaimTooLarge):
            cause = Cause.GUARANTEE_UNMET
        elif isinstance(error, AgentServiceError):
            cause = Cause.AGENT_SERVICE
            self.served(error.service)
        else:
            cause = Cause(error.cause)
        self._fault = Fault(cause, printable(str(error)))

    def close(self) -> None:
        """Read what is left to read and tear everything down; harmless when called twice."""
        try:
            self._provisions[-1].close()
        except EngineError as error:
            if self._fault is None:
                self.fault(error)
        finally:
            self._ended = self._ended or time.monotonic()

    def record(self) -> TrialRecord:
        """The verdict and all the evidence."""
        self._provisions[-1].stop_measuring()
        return self._record(self._evidence())

    def _obituary(self) -> TrialRecord:
        died = f"the worker process {self.harness.worker} died"
        return self._record(replace(self._evidence(), fault=Fault(Cause.WORKER_CRASH, died)))

    def _evidence(self) -> Evidence:
        verification = self._verification
        return Evidence(
            resources=self.plan.resources,
            enforced=self._provisions[0].enforced,
            fault=self._fault,
            phases=tuple(chain.from_iterable(one.phases for one in self._provisions)),
            reward=self.reward,
            reward_problem=verification.problem if verification else None,
            checks_reported=verification.checks_reported if verification else None,
            artifacts_missing=self._artifacts_missing,
            control=self._control,
            verifier_resources=self.plan.verifier,
        )

    def _record(self, evidence: Evidence) -> TrialRecord:
        plan, harness, first = self.plan, self.harness, self._provisions[0]
        verdict = classify(evidence, harness.oom_policy)
        stages: dict[str, float] = {}
        for one in self._provisions:
            stages |= one.stages
        return TrialRecord(
            run=harness.run,
            trial=self.id,
            task=plan.name,
            task_digest=plan.task.digest if plan.task else None,
            configuration=plan.configuration.label,
            sample=plan.sample,
            outcome=verdict.outcome,
            cause=verdict.cause,
            message=verdict.message,
            evidence=evidence,
            engine=harness.engine.info.name,
            agent=harness.agent.name if plan.task else "test",
            started=self._started.isoformat(timespec="milliseconds"),
            seconds=(self._ended or time.monotonic()) - self._began,
            waited=sum(one.waited for one in self._provisions),
            stages=stages,
            neighbours_at_start=first.neighbours[0],
            neighbours_at_end=first.neighbours[1],
            worker=harness.worker,
            defaulted=plan.defaulted,
            ignored_keys=plan.task.ignored_keys if plan.task else (),
            earlier=self._earlier,
            unwritten=tuple(self._files.unwritten),
            conditions=Conditions(first.host_load, self._service, self._service_problem),
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
        _require_users(task, sandbox)
        with trial.phase("agent") as execution:
            execution.result = _solved(agent, plan, task, sandbox)
            if isinstance(execution.result, Solved):
                trial.served(execution.result.service, execution.result.service_problem)
        trial.verify()
    except (EngineError, ClaimTooLarge, AgentServiceError) as error:
        trial.fault(error)
    finally:
        trial.close()
    trial.control()
    return trial.record()


def _require_users(task: Task, sandbox: Sandbox) -> None:
    """Raise StartError for a user whom the sandbox does not have: no agent is to blame for that."""
    for key, user in (("agent.user", task.agent_user), ("verifier.user", task.verifier_user)):
        if user is None:
            continue
        result = sandbox.exec(["true"], user=user)
        if result.exit_code == CANNOT_RUN:
            raise StartError(
                f"{task.file}: {key} = {user!r}: a command cannot be run as this user: "
                f"{result.stderr.strip() or 'no reason given'}; name one that the sandbox has"
            )


def _solved(agent: Agent, plan: TrialPlan, task: Task, sandbox: Sandbox) -> ExecResult:
    """What became of the agent; one whose own code fails has ended with an error, as others do."""
    try:
        return agent.solve(task, sandbox, plan.scaled(task.agent_timeout), plan.seed)
    except (EngineError, ClaimTooLarge, AgentServiceError):
        raise
    except Exception:
        return ExecResult(exit_code=1, stdout="", stderr=traceback.format_exc(), seconds=0.0)


def judge_test(trial: Trial, passed: bool) -> TrialRecord:
    """The record of a test that used a sandbox by itself: its own assertions are the verifier."""
    trial.reward = 1.0 if passed else 0.0
    record = trial.record()
    trial.harness.directory.conclude(record)
    return record
