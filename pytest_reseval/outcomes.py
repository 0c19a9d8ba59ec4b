"""From evidence to verdict: one pure function over facts that the agent's code cannot forge.

The table it implements, row by row, is in ``docs/outcomes.md``; the first row that applies decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from pytest_reseval.engines.base import Enforced
from pytest_reseval.grace import beyond_grace
from pytest_reseval.resources import MIB, Resources, format_memory

PASS_MARK = 1.0
"""The reward at and above which a task counts as solved."""

RESIDUE_SLACK = 16 * MIB
"""Bytes a sandbox may keep charged after the agent before its verifier's OOM is the agent's doing.

An idle sandbox costs 4 to 15 MB by itself.
"""

_AT_THE_LIMIT = 0.98
"""Fraction of the limit from which a high-water mark counts as having reached it.

Cgroup v1 has no counter of limits hit; charges come in batches, so the mark stops just short.
"""

PhaseName = Literal["agent", "verifier", "test"]
OomPolicy = Literal["infra-error", "failed"]


class Outcome(StrEnum):
    """The three ways a trial can end."""

    PASSED = "passed"
    FAILED = "failed"
    INFRA_ERROR = "infra-error"


class Cause(StrEnum):
    """Why a trial ended as it did."""

    SOLVED = "solved"
    IMAGE_BUILD = "image-build"
    IMAGE_PULL = "image-pull"
    START = "start"
    HEALTHCHECK = "healthcheck"
    ENFORCEMENT_MISMATCH = "enforcement-mismatch"
    GUARANTEE_UNMET = "guarantee-unmet"
    ENGINE_LOST = "engine-lost"
    SANDBOX_LOST = "sandbox-lost"
    OOM_LIMIT = "oom-limit"
    OOM_HOST = "oom-host"
    PIDS_LIMIT = "pids-limit"
    DISK_LIMIT = "disk-limit"
    VERIFIER_OOM = "verifier-oom"
    VERIFIER_TIMEOUT = "verifier-timeout"
    VERIFIER_INCOMPLETE = "verifier-incomplete"
    WORKER_CRASH = "worker-crash"
    AGENT_SERVICE = "agent-service"
    AGENT_TIMEOUT = "agent-timeout"
    AGENT_ERROR = "agent-error"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Fault:
    """Something outside the agent that ended the trial early, told by an engine or the harness."""

    cause: Cause
    detail: str


@dataclass(frozen=True, slots=True)
class PhaseFacts:
    """What was measured between the beginning and the end of one phase.

    Bytes and seconds; counters are differences over the phase; None where there is no such figure.
    """

    name: PhaseName
    started: float
    """Seconds from the beginning of the trial."""
    seconds: float
    exit_code: int | None
    timed_out: bool
    peak: int | None
    peak_source: Literal["kernel", "sampled"]
    nonreclaimable_peak: int | None
    """Sampled: a lower bound of the true need, where ``peak`` is an upper bound."""
    cache_saturated: bool
    """The peak reached the limit by page cache, with no kill: not an OOM, and no true need."""
    residue: int | None
    """Non-reclaimable bytes charged when the phase began, beyond those of the idle sandbox."""
    oom: int | None
    oom_kill: int | None
    cpu_seconds: float | None
    throttled_seconds: float | None
    throttled_periods: int | None
    pids_max_events: int | None
    memory_pressure_seconds: float | None
    cpu_pressure_seconds: float | None
    disk_peak: int | None = None
    """The most that a look found the sandbox to hold on disk."""
    output_tail: str = ""
    """The end of what the phase printed; for people, never for verdicts."""
    ended_above_limit: float | None = None
    """Seconds for which the sandbox had stood above a lenient limit when it was ended for that."""

    @property
    def out_of_memory(self) -> bool:
        """Whether memory cost the phase a process or, at a lenient limit, its sandbox."""
        return bool(self.oom_kill) or self.ended_above_limit is not None


@dataclass(frozen=True, slots=True)
class Control:
    """The task's own check, run once in a pristine sandbox of the same image."""

    started: str
    """UTC, ISO 8601."""
    seconds: float
    ran: bool
    """Whether it got as far as its checks there."""
    detail: str
    output_tail: str = ""
    """The end of what it printed there; for people, never for verdicts."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Facts gathered during a trial."""

    resources: Resources
    enforced: Enforced | None
    fault: Fault | None = None
    phases: tuple[PhaseFacts, ...] = ()
    reward: float | None = None
    reward_problem: str | None = None
    """Why no reward could be read, when the verifier ran."""
    checks_reported: bool | None = None
    """Whether the verifier left a report of at least one check; None where it is to leave none."""
    artifacts_missing: tuple[str, ...] = ()
    """What a separate verifier was to get of the agent's sandbox and did not, with the reason."""
    control: Control | None = None
    """Whether the verifier works without the agent; None where nothing hangs on it."""
    verifier_resources: Resources | None = None
    """What a separate verifier's sandbox was given; None where it shared the agent's."""

    def resources_in(self, phase: PhaseFacts) -> Resources:
        """What the sandbox was given in which the phase ran."""
        own = self.verifier_resources if phase.name == "verifier" else None
        return own or self.resources

    def phase(self, name: PhaseName) -> PhaseFacts | None:
        """The facts of one phase; None when it was not reached."""
        return next((phase for phase in self.phases if phase.name == name), None)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of a trial with its cause and one sentence for people."""

    outcome: Outcome
    cause: Cause
    message: str


_BEFORE_THE_AGENT = (
    Cause.IMAGE_BUILD,
    Cause.IMAGE_PULL,
    Cause.START,
    Cause.HEALTHCHECK,
    Cause.ENFORCEMENT_MISMATCH,
    Cause.GUARANTEE_UNMET,
)
_LOST = (Cause.ENGINE_LOST, Cause.SANDBOX_LOST)
_ENDED = Cause.AGENT_ERROR
"""What an engine's fault says when the sandbox was ended from inside."""


def classify(evidence: Evidence, oom_policy: OomPolicy = "infra-error") -> Verdict:
    """The verdict of a trial: the first row of the outcome table that applies."""
    fault = evidence.fault
    if evidence.reward is not None and evidence.reward >= PASS_MARK:
        return Verdict(Outcome.PASSED, Cause.SOLVED, f"reward {evidence.reward:g}")
    if fault and fault.cause in (*_BEFORE_THE_AGENT, *_LOST):
        return _infra(fault.cause, fault.detail)
    ended = fault is not None and fault.cause is _ENDED
    blamed = ended or _agent_starved_verifier(evidence)
    return (
        _agent_killed(evidence, oom_policy)
        or _pids_exhausted(evidence)
        or _disk_full(evidence)
        or (None if ended else _verifier_unfit(evidence))
        or (None if fault is None or blamed else _faulted(fault, evidence, oom_policy))
        or _agent_judged(evidence)
    )


def needs_control(evidence: Evidence) -> bool:
    """Whether the verdict hangs on whether the verifier works where no agent has been.

    So it is when it ran out of time, left no reward, or left one below the mark without the report
    that it should have left, and nothing else explains that.
    """
    verifier = evidence.phase("verifier")
    if evidence.fault or verifier is None or verifier.oom_kill:
        return False
    verdict = classify(evidence)
    if verdict.cause in (Cause.VERIFIER_INCOMPLETE, Cause.VERIFIER_TIMEOUT):
        return True
    return verdict.outcome is Outcome.FAILED and evidence.checks_reported is False


def _infra(cause: Cause, message: str) -> Verdict:
    return Verdict(Outcome.INFRA_ERROR, cause, message)


def _faulted(fault: Fault, evidence: Evidence, oom_policy: OomPolicy) -> Verdict:
    """What ended the trial early; an agent that had worked may be blamed for memory by policy."""
    by_agent = fault.cause is Cause.OOM_LIMIT and evidence.phase("agent") is not None
    if by_agent and oom_policy == "failed":
        return Verdict(Outcome.FAILED, fault.cause, fault.detail)
    return _infra(fault.cause, fault.detail)


def _agent_killed(evidence: Evidence, oom_policy: OomPolicy) -> Verdict | None:
    for phase in evidence.phases:
        if phase.name == "verifier":
            continue
        outcome = Outcome.FAILED if oom_policy == "failed" else Outcome.INFRA_ERROR
        limit = evidence.resources.memory_limit or 0
        if phase.ended_above_limit is not None:
            told = beyond_grace(phase.ended_above_limit, limit)
            return Verdict(outcome, Cause.OOM_LIMIT, f"{told}, in the {phase.name} phase")
        if not phase.oom_kill:
            continue
        if not _reached_own_limit(phase, evidence.resources):
            return _infra(Cause.OOM_HOST, _host_ran_out(phase, evidence.resources))
        message = (
            f"{_killer(evidence)} killed {_processes(phase.oom_kill)} in the {phase.name} phase "
            f"at the limit of {format_memory(limit)}"
        )
        return Verdict(outcome, Cause.OOM_LIMIT, message)
    return None


def _reached_own_limit(phase: PhaseFacts, resources: Resources) -> bool:
    """Whether a kill came from the sandbox's own limit rather than from the host or a parent.

    Cgroup v2 counts its own limit in ``oom`` of ``memory.events`` (kernel document cgroup-v2,
    "memory.events"); v1 has no such counter, there the high-water mark tells.
    """
    if resources.memory_ceiling is None:
        return False
    if phase.oom is not None:
        return phase.oom > 0
    return phase.peak is None or phase.peak >= _AT_THE_LIMIT * resources.memory_ceiling


def _host_ran_out(phase: PhaseFacts, resources: Resources) -> str:
    peak = phase.peak or 0
    side = (
        "below its guarantee: a broken promise of this host"
        if peak <= resources.memory_guarantee
        else "beyond its guarantee but below its limit"
    )
    return (
        f"the host killed {_processes(phase.oom_kill or 0)} in the {phase.name} phase while the "
        f"sandbox, at {format_memory(peak)}, was {side}"
    )


def _pids_exhausted(evidence: Evidence) -> Verdict | None:
    for phase in evidence.phases:
        if phase.pids_max_events:
            return _infra(
                Cause.PIDS_LIMIT,
                f"{phase.pids_max_events} forks were refused in the {phase.name} phase at the "
                f"limit of {evidence.resources_in(phase).pids_limit} processes",
            )
    return None


def _disk_full(evidence: Evidence) -> Verdict | None:
    by_quota = evidence.enforced is not None and evidence.enforced.storage_by == "quota"
    for phase in evidence.phases:
        held, bound = phase.disk_peak, evidence.resources_in(phase).storage_limit
        if held is None:
            continue
        if held > bound:
            return _infra(Cause.DISK_LIMIT, beyond_disk_bound(held, bound))
        if by_quota and held >= _AT_THE_LIMIT * bound:
            return _infra(
                Cause.DISK_LIMIT,
                f"the sandbox held {format_memory(held)} on disk in the {phase.name} phase, at its "
                f"quota of {format_memory(bound)}",
            )
    return None


def beyond_disk_bound(held: int, bound: int) -> str:
    """The sentence for a sandbox that held more bytes on disk than it may."""
    return (
        f"the sandbox held {format_memory(held)} on disk, more than its bound of "
        f"{format_memory(bound)} (polled)"
    )


def _verifier_unfit(evidence: Evidence) -> Verdict | None:
    """The rows in which the verifier could not do its work through no fault of the agent."""
    verifier = evidence.phase("verifier")
    if verifier is None:
        return None
    resources = evidence.resources_in(verifier)
    if verifier.ended_above_limit is not None:
        if _left_too_much(verifier, resources):
            return None
        told = beyond_grace(verifier.ended_above_limit, resources.memory_limit or 0)
        return _infra(Cause.VERIFIER_OOM, f"{told}, in the verifier phase")
    if verifier.oom_kill:
        if not _reached_own_limit(verifier, resources):
            return _infra(Cause.OOM_HOST, _host_ran_out(verifier, resources))
        if _left_too_much(verifier, resources):
            return None
        return _infra(
            Cause.VERIFIER_OOM,
            f"{_killer(evidence)} killed {_processes(verifier.oom_kill)} of the verifier at the "
            f"limit of {format_memory(resources.memory_limit or 0)}",
        )
    return _verifier_incomplete(evidence, verifier)


def _verifier_incomplete(evidence: Evidence, verifier: PhaseFacts) -> Verdict | None:
    """The rows for checks that did not get done, through no fault of the agent.

    What fails in a sandbox where an agent has been is excused only if it fails in a pristine one
    too. Where no such sandbox could be had, time that ran out and a missing reward are excused.
    """
    control = evidence.control
    if control is not None and control.ran:
        return None
    if verifier.timed_out:
        cause = Cause.VERIFIER_TIMEOUT
    elif evidence.reward is None or (evidence.checks_reported is False and control is not None):
        cause = Cause.VERIFIER_INCOMPLETE
    else:
        return None
    alike = "; in a pristine sandbox it fails too" if control else ""
    return _infra(cause, f"{_shortfall(evidence)}{alike}")


def _shortfall(evidence: Evidence) -> str:
    """What is missing for a verdict of the verifier."""
    verifier = evidence.phase("verifier")
    if verifier and verifier.timed_out:
        return f"the verifier was stopped after {verifier.seconds:.0f} s"
    if evidence.reward is None:
        return evidence.reward_problem or "the verifier ended without a reward"
    return f"reward {evidence.reward:g}, and no check was reported"


def _left_too_much(verifier: PhaseFacts, resources: Resources) -> bool:
    """Whether memory the agent left charged ate into the guarantee that the verifier had."""
    if resources.memory_limit is None or verifier.residue is None:
        return False
    return resources.memory_limit - verifier.residue + RESIDUE_SLACK < resources.memory_guarantee


def _agent_starved_verifier(evidence: Evidence) -> bool:
    """Whether the verifier was ended above a lenient limit for what the agent had left charged."""
    verifier = evidence.phase("verifier")
    if verifier is None or verifier.ended_above_limit is None:
        return False
    return _left_too_much(verifier, evidence.resources_in(verifier))


def _agent_judged(evidence: Evidence) -> Verdict:
    agent = evidence.phase("agent")
    verifier = evidence.phase("verifier")
    if evidence.fault and evidence.fault.cause is _ENDED:
        return Verdict(Outcome.FAILED, evidence.fault.cause, evidence.fault.detail)
    if agent and agent.timed_out:
        return Verdict(
            Outcome.FAILED,
            Cause.AGENT_TIMEOUT,
            f"the agent was stopped after {agent.seconds:.0f} s",
        )
    if agent and agent.exit_code:
        return Verdict(
            Outcome.FAILED, Cause.AGENT_ERROR, f"the agent ended with exit code {agent.exit_code}"
        )
    if verifier and (verifier.oom_kill or verifier.ended_above_limit is not None):
        return Verdict(
            Outcome.FAILED,
            Cause.WRONG,
            f"the verifier was killed for want of memory: the agent had left "
            f"{format_memory(verifier.residue or 0)} charged",
        )
    if evidence.control is not None:
        return Verdict(
            Outcome.FAILED,
            Cause.WRONG,
            f"{_shortfall(evidence)}, though in a pristine sandbox the verifier works: "
            f"{evidence.control.detail}",
        )
    if evidence.reward is None:
        return Verdict(Outcome.FAILED, Cause.WRONG, "no reward")
    return Verdict(Outcome.FAILED, Cause.WRONG, f"reward {evidence.reward:g}, below {PASS_MARK:g}")


def _killer(evidence: Evidence) -> str:
    watched = evidence.enforced is not None and evidence.enforced.by == "watchdog"
    return "the watchdog" if watched else "the kernel"


def _processes(count: int) -> str:
    return "1 process" if count == 1 else f"{count} processes"
