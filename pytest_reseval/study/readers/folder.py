"""Runs of pytest-reseval: a folder with ``manifest.json`` and ``trials.jsonl``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

from pytest_reseval.configuration import Configuration
from pytest_reseval.records import Manifest, TrialRecord
from pytest_reseval.resources import GIB, Resources
from pytest_reseval.runs import Run, read_run
from pytest_reseval.study.comparable import ComparableRun, Result, Terms, Value, Weight

_WEIGHT_OF_OPTION = {
    "admission": Weight.RESOURCES,
    "pids_limit": Weight.RESOURCES,
    "default_memory": Weight.RESOURCES,
    "default_cpu": Weight.RESOURCES,
    "default_storage": Weight.RESOURCES,
    "image": Weight.ENVIRONMENT,
    "oom": Weight.RULES,
    "infra_retries": Weight.RULES,
}

_OPTIONS_TOLD_OTHERWISE = {
    "headroom",
    "cpu_headroom",
    "timeout_scale",
    "samples",
    "seed",
    "agent",
    "engine",
    "tasks",
    "reserve_memory",
    "results",
    "resume",
    "progress",
    "ledger",
    "fail_under",
    "max_infra_rate",
}
"""By the terms of a configuration or of the engine, by the results; or they move no score."""


class FolderReader:
    """Reads the folder of a run."""

    def reads(self, path: Path) -> bool:
        """Whether there is a manifest."""
        return (path / "manifest.json").is_file()

    def read(self, path: Path) -> ComparableRun:
        """The run, be it finished or not. Raises UnreadableRun."""
        return comparable(read_run(path))


def comparable(run: Run) -> ComparableRun:
    """What ``compare`` needs of a run."""
    names = task_names(run.records)
    return ComparableRun(
        name=run.manifest.run,
        terms=_terms(run.manifest, run.records),
        results=tuple(
            Result(
                task=names[record.trial],
                configuration=record.configuration,
                sample=record.sample,
                outcome=record.outcome,
                digest=record.task_digest,
                resources=_resources(record.evidence.resources),
            )
            for record in run.records
        ),
        configurations={label: _of_configuration(label) for label in run.configurations},
        unfinished=len(run.missing),
    )


def task_names(records: tuple[TrialRecord, ...]) -> Mapping[str, str]:
    """By node id what the trial's task is called: by its own name, if no other one has it too."""
    places = {(record.task, _place(record)) for record in records}
    count = Counter(task for task, _ in places)
    return {
        record.trial: record.task if count[record.task] == 1 else _place(record)
        for record in records
    }


def _place(record: TrialRecord) -> str:
    """The node id without what tells samples and configurations apart."""
    head, _, tail = record.trial.rpartition(f"{record.configuration}-s{record.sample}")
    return f"{head.rstrip('-[')}{tail.rstrip(']')}"


def _of_configuration(label: str) -> Terms:
    configuration = Configuration.parse(label)
    memory, cpu = configuration.memory, configuration.cpu
    return {
        "resources.memory headroom": memory.label if memory else "declared",
        "resources.cpu headroom": cpu.label if cpu else "declared",
        "resources.timeout scale": configuration.timeout_scale,
    }


def _resources(resources: Resources) -> Terms:
    return {field.name: getattr(resources, field.name) for field in fields(Resources)}


def _terms(manifest: Manifest, records: tuple[TrialRecord, ...]) -> Terms:
    engine, host = manifest.engine, manifest.host
    known = {
        f"{_WEIGHT_OF_OPTION.get(name, Weight.ENVIRONMENT)}.{name.replace('_', ' ')}": text
        for name, text in manifest.options.items()
        if name not in _OPTIONS_TOLD_OTHERWISE
    }
    enforced = {one.evidence.enforced.by for one in records if one.evidence.enforced}
    terms: dict[str, Value] = {
        "resources.engine": engine.name,
        "resources.limits held by": ", ".join(sorted(enforced)) or None,
        "resources.engine memory (GiB)": round(engine.memory / GIB),
        "resources.engine cores": engine.cores,
        "resources.budget memory (GiB)": round(manifest.budget_memory / GIB),
        "resources.budget cores": manifest.budget_cores,
        "resources.cpu model": host.get("cpu_model"),
        "resources.cores": host.get("cores"),
        "resources.physical cores": host.get("physical_cores"),
        "resources.memory (GiB)": _gib(host.get("memory")),
        "resources.swap (GiB)": _gib(host.get("swap")),
        **known,
        "agent.agent": manifest.agent,
        "environment.engine version": engine.version,
        "environment.cgroup version": engine.cgroup_version,
        "environment.storage driver": engine.storage_driver,
        "environment.machine": host.get("machine"),
        "environment.kernel": host.get("kernel"),
        **{f"environment.{name}": version for name, version in manifest.versions.items()},
        "circumstance.started": manifest.started,
        "circumstance.workers": manifest.workers,
        "circumstance.seed": manifest.seed,
        "circumstance.times gone on with": len(manifest.resumed),
    }
    for resumption in manifest.resumed:
        terms |= {
            f"environment.{name.rpartition('.')[2]} after going on": str(value)
            for name, value in resumption.differing.items()
            if not name.startswith("options.")
        }
    return terms


def _gib(amount: str | int | float | None) -> int | None:
    return round(amount / GIB) if isinstance(amount, (int, float)) else None
