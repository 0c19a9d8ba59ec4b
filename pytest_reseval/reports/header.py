"""The terms of a run, printed before anything runs."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_reseval.outcomes import Outcome
from pytest_reseval.printable import printable
from pytest_reseval.records import Manifest
from pytest_reseval.resources import format_memory


def header(manifest: Manifest, on_file: Mapping[Outcome, int] | None = None) -> list[str]:
    """A few lines for pytest's header; ``on_file`` counts the verdicts of a run gone on with."""
    engine, options = manifest.engine, manifest.options
    facts = [f"{engine.name} {engine.version} ({manifest.engine_choice})"]
    if engine.cgroup_version:
        facts.append(f"cgroup v{engine.cgroup_version}")
    if engine.storage_driver:
        facts.append(engine.storage_driver)
    lines = [
        f"reseval: engine {', '.join(facts)}",
        f"reseval: headroom {options['headroom']}; samples {options['samples']}; "
        f"agent {printable(manifest.agent, keep='')}; seed {manifest.seed}; "
        f"admission by {options['admission']}, {format_memory(manifest.budget_memory)} and "
        f"{manifest.budget_cores:g} cores to promise",
    ]
    if on_file is not None:
        told = ", ".join(f"{on_file.get(outcome, 0)} {outcome}" for outcome in Outcome)
        lines.append(f"reseval: goes on with run {manifest.run}, of which are on file: {told}")
    return lines + [f"reseval: {note}" for note in engine.notes]
