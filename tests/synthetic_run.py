"""A made-up run on disk, of any size: records, manifest and series, as a real one leaves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

from pytest_reseval.cgroups.meter import Sample
from pytest_reseval.configuration import Configuration
from pytest_reseval.engines.base import Enforced, EngineInfo
from pytest_reseval.outcomes import Evidence, PhaseFacts, classify
from pytest_reseval.records import Manifest, RunDirectory, TrialRecord
from pytest_reseval.resources import GIB, MIB, Resources

_BEGAN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
_SIZES = (256 * MIB, 512 * MIB, GIB, 2 * GIB, 4 * GIB)


@dataclass(frozen=True, slots=True)
class Shape:
    """How large the run is."""

    configurations: tuple[str, ...] = ("1x", "3x", "uncapped")
    tasks: int = 10
    samples: int = 2
    rows: int = 60
    """Samples of each trial's series."""
    done: float = 1.0
    """The part of the trials that has a verdict, as of a run that was interrupted."""


@dataclass(frozen=True, slots=True)
class _Task:
    name: str
    guarantee: int
    need: int
    chance: float
    """Of being solved by an agent whose box holds."""
    seconds: float


def write_run(path: Path, shape: Shape, seed: int = 0) -> RunDirectory:
    """Write the run into a folder that does not exist; the same for the same seed."""
    random = Random(seed)
    directory = RunDirectory(path)
    tasks = [_task(index, random) for index in range(shape.tasks)]
    planned = [
        (task, configuration, sample)
        for sample in range(shape.samples)
        for task in tasks
        for configuration in shape.configurations
    ]
    directory.write_manifest(_manifest(planned, shape.done < 1))
    free = [0.0] * 8
    for task, configuration, sample in planned[: round(len(planned) * shape.done)]:
        worker = min(range(len(free)), key=free.__getitem__)
        record = _record(task, configuration, sample, worker, free[worker], random)
        free[worker] += record.seconds
        directory.append(record)
        files = directory.attempt_files(record.trial, 1)
        files.write_series("series", 0.0, _series(record, shape.rows, random))
    return directory


def _trial(task: _Task, configuration: str, sample: int) -> str:
    return f"tasks/{task.name}/task.toml::run[{configuration}-s{sample}]"


def _task(index: int, random: Random) -> _Task:
    guarantee = random.choice(_SIZES)
    return _Task(
        name=f"task-{index:03}-{random.choice(('build', 'parse', 'train', 'serve'))}",
        guarantee=guarantee,
        need=round(guarantee * random.lognormvariate(-0.7, 0.9)),
        chance=random.betavariate(1.2, 1.0),
        seconds=random.lognormvariate(4.0, 0.8),
    )


def _record(
    task: _Task, label: str, sample: int, worker: int, asked: float, random: Random
) -> TrialRecord:
    configuration = Configuration.parse(label)
    assert configuration.memory is not None
    assert configuration.cpu is not None
    resources = Resources(
        memory_guarantee=task.guarantee,
        memory_limit=configuration.memory.memory_limit(task.guarantee),
        cpu_guarantee=1.0,
        cpu_limit=configuration.cpu.cpu_limit(1.0),
        pids_limit=4096,
        storage_limit=10 * GIB,
    )
    need = round(task.need * random.uniform(0.9, 1.1))
    killed = resources.memory_limit is not None and need > resources.memory_limit
    peak = min(need, resources.memory_limit or need)
    seconds = task.seconds * random.uniform(0.8, 1.2)
    waited = random.expovariate(1 / 5)
    phases = (
        _phase("agent", waited + 1.0, seconds, peak, killed, random),
        _phase("verifier", waited + 1.2 + seconds, 4.0, peak // 10, False, random),
    )
    reward = float(not killed and random.random() < task.chance)
    evidence = Evidence(resources, _enforced(resources), phases=phases, reward=reward)
    verdict = classify(evidence)
    return TrialRecord(
        trial=_trial(task, label, sample),
        task=task.name,
        configuration=label,
        sample=sample,
        outcome=verdict.outcome,
        cause=verdict.cause,
        message=verdict.message,
        evidence=evidence,
        engine="docker",
        agent="made-up",
        started=(_BEGAN + timedelta(seconds=asked)).isoformat(timespec="milliseconds"),
        seconds=waited + seconds + 6.0,
        waited=waited,
        stages={"admit": waited, "start": 1.0, "agent": seconds, "verifier": 4.0, "teardown": 0.8},
        neighbours_at_start=random.randrange(8),
        neighbours_at_end=random.randrange(8),
        worker=f"gw{worker}",
        task_digest="0" * 64,
        run="20260102T030405-abcdef",
    )


def _phase(
    name: str, started: float, seconds: float, peak: int, killed: bool, random: Random
) -> PhaseFacts:
    return PhaseFacts(
        name="agent" if name == "agent" else "verifier",
        started=started,
        seconds=seconds,
        exit_code=137 if killed else 0,
        timed_out=False,
        peak=peak,
        peak_source="kernel",
        nonreclaimable_peak=round(peak * random.uniform(0.6, 0.99)),
        cache_saturated=not killed and random.random() < 0.03,
        residue=0,
        oom=int(killed),
        oom_kill=int(killed),
        cpu_seconds=seconds * random.uniform(0.1, 1.0),
        throttled_seconds=seconds * random.uniform(0.0, 0.3),
        throttled_periods=0,
        pids_max_events=0,
        memory_pressure_seconds=0.0,
        cpu_pressure_seconds=0.0,
        disk_peak=MIB,
    )


def _series(record: TrialRecord, rows: int, random: Random) -> Iterator[Sample]:
    """Memory climbs to the peak three quarters into the agent's phase, and falls."""
    agent, verifier = record.evidence.phases
    first, last = agent.started, verifier.started + verifier.seconds
    top = agent.started + 0.75 * agent.seconds
    peak = agent.peak or 0
    used = throttled = 0.0
    for row in range(rows):
        time = first + (last - first) * row / max(1, rows - 1)
        level = (time - first) / (top - first) if time <= top else random.uniform(0.05, 0.3)
        total = round(peak * max(0.02, level) * random.uniform(0.85, 1.0))
        anonymous = round(total * random.uniform(0.6, 0.95))
        used += (last - first) / rows * random.random()
        throttled += (last - first) / rows * random.random() * 0.2
        cache = total - anonymous
        yield Sample(time, anonymous, cache, anonymous, total, used, throttled, 7)


def _enforced(resources: Resources) -> Enforced:
    return Enforced(
        by="cgroup",
        memory_limit=resources.memory_limit,
        memory_swap_limit=resources.memory_limit,
        cpu_limit=resources.cpu_limit,
        cpu_weight=1024,
        pids_limit=resources.pids_limit,
        storage_limit=resources.storage_limit,
        storage_by="polled",
    )


def _manifest(planned: list[tuple[_Task, str, int]], interrupted: bool) -> Manifest:
    return Manifest(
        run="20260102T030405-abcdef",
        started=_BEGAN.isoformat(timespec="milliseconds"),
        engine=EngineInfo(
            name="docker",
            version="Engine 29.0",
            cgroup_version=2,
            storage_driver="overlay2",
            memory=64 * GIB,
            cores=8.0,
            needs_image=True,
        ),
        engine_choice="asked for",
        host={"kernel": "6.12", "cpu_model": "made up", "cores": 8, "memory": 64 * GIB, "swap": 0},
        budget_memory=63 * GIB,
        budget_cores=8.0,
        options={"admission": "guarantee", "oom": "infra-error", "infra_retries": "0"},
        agent="made-up",
        workers=8,
        versions={"pytest-reseval": "0.1.0", "python": "3.13.0"},
        arguments=("tasks",),
        rootdir="/home/somebody/benchmark",
        tasks={task.name: "0" * 64 for task, _, _ in planned},
        ended=None if interrupted else (_BEGAN + timedelta(hours=8)).isoformat(),
        not_run=None if interrupted else 0,
        order=tuple(_trial(*one) for one in planned),
    )
