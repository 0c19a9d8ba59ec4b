"""What all trials of one process share: engine, ledger, agent, sampler and the run's folder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pytest_reseval.admission import Admission, Budget, Claim, Ledger
from pytest_reseval.agents.base import Agent
from pytest_reseval.cgroups.sampler import Sampler
from pytest_reseval.conditions import Host
from pytest_reseval.disk.watcher import DiskWatcher
from pytest_reseval.engines.base import Engine, EngineInfo
from pytest_reseval.outcomes import OomPolicy
from pytest_reseval.plans import TrialPlan
from pytest_reseval.records import RunDirectory
from pytest_reseval.resources import Resources

AdmissionMode = Literal["guarantee", "limit", "off"]


def budget_of(info: EngineInfo, reserve: int) -> Budget:
    """What may be promised on an engine's host: all but ``reserve`` bytes kept for the harness.

    The reserve is at most a quarter of the memory, so that small machines stay of use.
    """
    return Budget(memory=info.memory - min(reserve, info.memory // 4), cores=info.cores)


@dataclass(frozen=True, slots=True)
class Harness:
    """Everything that a trial needs and that outlives it."""

    engine: Engine
    ledger: Ledger
    agent: Agent
    sampler: Sampler
    disk_watcher: DiskWatcher
    directory: RunDirectory
    run: str
    worker: str
    admission: AdmissionMode
    oom_policy: OomPolicy
    host: Host | None
    """Where the sandboxes are, if that is this machine: only then are its figures theirs."""

    def admit(self, plan: TrialPlan) -> Admission:
        """Wait until the plan's promise fits the host. Raises ClaimTooLarge when it never can."""
        memory, cores = promised(plan.resources, self.admission, self.ledger.budget)
        claim = Claim(memory=memory, cores=cores, run=self.run, label=plan.label)
        if self.admission == "off":
            return self.ledger.record(claim)
        return self.ledger.admit(claim)

    def neighbours(self) -> int:
        """Sandboxes admitted on this host besides the one that asks."""
        return sum(entry.state == "admitted" for entry in self.ledger.entries()) - 1


def promised(resources: Resources, mode: AdmissionMode, budget: Budget) -> tuple[int, float]:
    """Bytes and cores that a sandbox claims: its guarantees, or its limits in mode ``limit``.

    What has no limit, or one beyond the host, claims the whole budget.
    """
    if mode != "limit":
        return resources.memory_guarantee, resources.cpu_guarantee
    memory = budget.memory if resources.memory_limit is None else resources.memory_limit
    cores = budget.cores if resources.cpu_limit is None else resources.cpu_limit
    return (
        max(resources.memory_guarantee, min(memory, budget.memory)),
        max(resources.cpu_guarantee, min(cores, budget.cores)),
    )
