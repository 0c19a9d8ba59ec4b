"""Synthetic records, tasks, and an engine in memory, for the tests of what stands on them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pytest_reseval.admission import Budget, Ledger
from pytest_reseval.agents.base import Agent
from pytest_reseval.cgroups.meter import Counters, Meter, PeakSource, Sample
from pytest_reseval.cgroups.sampler import Sampler
from pytest_reseval.configuration import Configuration
from pytest_reseval.disk.watcher import DiskWatcher
from pytest_reseval.engines.base import (
    Enforced,
    Engine,
    EngineError,
    EngineInfo,
    ExecResult,
    Sandbox,
    SandboxFileMissing,
    SandboxLost,
    SandboxRequest,
)
from pytest_reseval.harness import Harness
from pytest_reseval.outcomes import Cause, Evidence, Outcome, PhaseFacts, PhaseName
from pytest_reseval.plans import TrialPlan
from pytest_reseval.records import Manifest, RunDirectory, TrialRecord
from pytest_reseval.resources import GIB, MIB, Resources
from pytest_reseval.tasks.model import Environment, Task

RESOURCES = Resources(
    memory_guarantee=128 * MIB,
    memory_limit=256 * MIB,
    cpu_guarantee=1.0,
    cpu_limit=2.0,
    pids_limit=100,
    storage_limit=GIB,
)

ENFORCED = Enforced(
    by="cgroup",
    memory_limit=256 * MIB,
    memory_swap_limit=256 * MIB,
    cpu_limit=2.0,
    cpu_weight=1024,
    pids_limit=100,
    storage_limit=GIB,
    storage_by="polled",
)

ENVIRONMENT = Environment()

INFO = EngineInfo(
    name="memory",
    version="1",
    cgroup_version=2,
    storage_driver=None,
    memory=8 * GIB,
    cores=4.0,
    needs_image=False,
)

CALM = Counters(
    current=20 * MIB,
    peak=20 * MIB,
    nonreclaimable=10 * MIB,
    cache=10 * MIB,
    oom=0,
    oom_kill=0,
    cpu_seconds=1.0,
    throttled_seconds=0.0,
    throttled_periods=0,
    pids_max_events=0,
    memory_pressure_seconds=None,
    cpu_pressure_seconds=None,
)

DONE = ExecResult(exit_code=0, stdout="", stderr="", seconds=0.0)


def make_phase(name: PhaseName = "agent", **facts: Any) -> PhaseFacts:
    calm: dict[str, Any] = {
        "started": 0.0,
        "seconds": 1.0,
        "exit_code": 0,
        "timed_out": False,
        "peak": 50 * MIB,
        "peak_source": "kernel",
        "nonreclaimable_peak": 40 * MIB,
        "cache_saturated": False,
        "residue": 0,
        "oom": 0,
        "oom_kill": 0,
        "cpu_seconds": 1.0,
        "throttled_seconds": 0.0,
        "throttled_periods": 0,
        "pids_max_events": 0,
        "memory_pressure_seconds": None,
        "cpu_pressure_seconds": None,
    }
    return PhaseFacts(name=name, **(calm | facts))


def make_record(
    task: str = "unpack",
    cause: Cause = Cause.SOLVED,
    *,
    configuration: str = "3x",
    phases: Sequence[PhaseFacts] = (),
    **fields: Any,
) -> TrialRecord:
    infra = cause not in (Cause.SOLVED, Cause.WRONG, Cause.AGENT_ERROR, Cause.AGENT_TIMEOUT)
    told: dict[str, Any] = {
        "trial": f"tasks/{task}/task.toml::run[{configuration}-s0]",
        "sample": 0,
        "message": "told",
        "engine": "memory",
        "agent": "oracle",
        "started": "2026-01-02T03:04:05.678+00:00",
        "seconds": 2.5,
        "waited": 0.0,
        "stages": {"agent": 1.0},
        "neighbours_at_start": 0,
        "neighbours_at_end": 0,
        "worker": "main",
    }
    return TrialRecord(
        task=task,
        configuration=configuration,
        cause=cause,
        outcome=Outcome.PASSED
        if cause is Cause.SOLVED
        else Outcome.INFRA_ERROR
        if infra
        else Outcome.FAILED,
        evidence=Evidence(RESOURCES, ENFORCED, phases=tuple(phases), reward=0.0),
        **(told | fields),
    )


def make_manifest(**fields: Any) -> Manifest:
    told: dict[str, Any] = {
        "run": "20260102T030405-abcdef",
        "started": "2026-01-02T03:04:05.678+00:00",
        "engine": INFO,
        "engine_choice": "asked for",
        "host": {"kernel": "6.12", "cores": 4, "swap": 0},
        "budget_memory": 7 * GIB,
        "budget_cores": 4.0,
        "options": {"headroom": "3x"},
        "agent": "oracle",
        "workers": 2,
        "versions": {"pytest": "9"},
        "arguments": ("tasks",),
        "rootdir": "/home/somebody/benchmark",
    }
    return Manifest(**(told | fields))


def make_task(directory: Path, **fields: Any) -> Task:
    """A task whose directories exist and are empty."""
    for name in ("tests", "solution"):
        (directory / name).mkdir(parents=True, exist_ok=True)
    told: dict[str, Any] = {
        "name": directory.name,
        "file": directory / "task.toml",
        "directory": directory,
        "instruction": "Write 42.",
        "memory_guarantee": RESOURCES.memory_guarantee,
        "cpu_guarantee": RESOURCES.cpu_guarantee,
        "storage_limit": None,
        "environment": ENVIRONMENT,
        "agent_timeout": 60.0,
        "agent_user": None,
        "verifier_timeout": 30.0,
        "verifier_env": {},
        "verifier_user": None,
        "verifier_environment": None,
        "tests": directory / "tests",
        "solution": directory / "solution",
        "solution_env": {},
        "host": True,
    }
    return Task(**(told | fields))


def make_plan(task: Task, resources: Resources = RESOURCES) -> TrialPlan:
    return TrialPlan(
        name=task.name,
        task=task,
        configuration=Configuration.parse("2x"),
        sample=0,
        resources=resources,
        environment=task.environment,
        defaulted=(),
    )


class MemoryMeter:
    """Shows whatever ``now`` holds; ``resettable`` says whether the peak can be started anew.

    ``samples`` counts how often the sampler has looked.
    """

    peak_source: PeakSource = "kernel"

    def __init__(self, resettable: bool = True) -> None:
        self.now = CALM
        self.resettable = resettable
        self.samples = 0

    def use(self, **figures: Any) -> None:
        """Change what the kernel would show from now on."""
        self.now = replace(self.now, **figures)

    def counters(self) -> Counters:
        return self.now

    def sample(self) -> Sample | None:
        self.samples += 1
        total, nonreclaimable = self.now.current or 0, self.now.nonreclaimable or 0
        return Sample(time.monotonic(), nonreclaimable, 0, nonreclaimable, total, 0.0, 0.0, 1)

    def reset_peak(self) -> bool:
        if self.resettable:
            self.use(peak=self.now.current)
        return self.resettable

    def close(self) -> None:
        pass


class MemorySandbox:
    """Files in a dictionary; commands are answered by ``answer`` and listed in ``commands``."""

    def __init__(
        self,
        enforced: Enforced = ENFORCED,
        answer: Callable[[str], ExecResult] = lambda command: DONE,
        files: Mapping[str, bytes | Exception] | None = None,
        meter: MemoryMeter | None = None,
    ) -> None:
        self.enforced = enforced
        self.meter: Meter = meter or MemoryMeter()
        self.answer = answer
        self.files: dict[str, bytes | Exception] = dict(files or {})
        self.commands: list[str] = []
        self.timeouts: list[float | None] = []
        self.brought: list[str] = []
        self.running = True
        self.explanation: EngineError | None = None
        self.disk: int | None = 0
        self.closed = 0

    def exec(
        self,
        command: str | Sequence[str],
        *,
        timeout: float | None = None,
        user: str | None = None,
        env: Mapping[str, str] | None = None,
        workdir: str | None = None,
    ) -> ExecResult:
        text = command if isinstance(command, str) else " ".join(command)
        self.commands.append(text)
        self.timeouts.append(timeout)
        return self.answer(text)

    def put(self, source: Path, target: str) -> None:
        self.brought.append(target)

    def write(self, path: str, data: bytes, mode: int = 0o644) -> None:
        self.files[path] = data

    def read(self, path: str, *, max_bytes: int) -> bytes:
        content = self.files.get(path, SandboxFileMissing(path))
        if isinstance(content, Exception):
            raise content
        return content

    def fetch(self, path: str, target: Path, *, max_bytes: int, max_files: int) -> int:
        content = self.read(path, max_bytes=max_bytes)
        target.write_bytes(content)
        return len(content)

    def disk_used(self) -> int | None:
        return self.disk

    def kill(self) -> None:
        self.running = False

    def alive(self) -> bool:
        return self.running

    def explain(self, lost: SandboxLost) -> EngineError:
        return self.explanation or lost

    def close(self) -> None:
        self.closed += 1


class MemoryEngine:
    """Hands out one sandbox; ``prepare_error`` and ``start_error`` are raised where they would."""

    info = INFO

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.prepare_error: BaseException | None = None
        self.start_error: BaseException | None = None
        self.requests: list[SandboxRequest] = []

    def unsupported(self, task: Task) -> str | None:
        return None

    def prepare(self, name: str, environment: Environment, *, timeout: float | None) -> str | None:
        if self.prepare_error:
            raise self.prepare_error
        return None

    def start(self, request: SandboxRequest) -> Sandbox:
        self.requests.append(request)
        if self.start_error:
            raise self.start_error
        return self.sandbox

    def join_network(self, run: str, name: str | None = None) -> str | None:
        return name

    def sweep(self) -> list[str]:
        return []

    def close(self) -> None:
        pass


class Acting:
    """An agent that is a Python function of the sandbox."""

    name = "acting"

    def __init__(self, act: Callable[[Sandbox], ExecResult] = lambda sandbox: DONE) -> None:
        self.act = act

    def unsupported(self, task: Task) -> str | None:
        return None

    def solve(self, task: Task, sandbox: Sandbox, timeout: float | None, seed: int) -> ExecResult:
        return self.act(sandbox)


def make_harness(folder: Path, engine: Engine, agent: Agent, **fields: Any) -> Harness:
    told: dict[str, Any] = {
        "ledger": Ledger(folder / "ledger", Budget(memory=7 * GIB, cores=4.0)),
        "sampler": Sampler(),
        "disk_watcher": DiskWatcher(),
        "directory": RunDirectory(folder / "results"),
        "run": "run",
        "worker": "main",
        "admission": "guarantee",
        "oom_policy": "infra-error",
        "host": None,
    }
    return Harness(engine=engine, agent=agent, **(told | fields))
