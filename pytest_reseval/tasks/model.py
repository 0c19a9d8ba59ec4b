"""A benchmark task, whatever format it was written in. Bytes, seconds, cores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


class TaskError(Exception):
    """One mistake in one task file, told so that its author can mend it."""

    def __init__(self, file: Path, key: str, value: object, mend: str) -> None:
        self.file = file
        self.key = key
        self.value = value
        self.mend = mend
        shown = "" if value is None else f" = {value!r}"
        super().__init__(f"{file}: {key}{shown}: {mend}")


@dataclass(frozen=True, slots=True)
class Healthcheck:
    """When the sandbox counts as ready; times in seconds, with Docker's HEALTHCHECK meanings."""

    command: str
    interval: float = 5.0
    timeout: float = 30.0
    start_period: float = 0.0
    start_interval: float = 5.0
    retries: int = 3


@dataclass(frozen=True, slots=True)
class Environment:
    """What the sandbox is made of. Exactly one of ``image`` and ``dockerfile`` is set, or neither."""

    image: str | None
    """A prebuilt image, which wins over a Dockerfile."""
    dockerfile: Path | None
    context: Path | None
    """Directory that is the Dockerfile's build context."""
    context_digest: str | None
    """SHA-256 over the build context: names, modes and contents."""
    build_timeout: float
    env: Mapping[str, str]
    workdir: str | None
    network: bool
    healthcheck: Healthcheck | None


@dataclass(frozen=True, slots=True)
class Task:
    """One benchmark problem: instruction, environment, resources, verifier."""

    name: str
    file: Path
    directory: Path
    digest: str
    """SHA-256 over every file of the task: names, modes and contents."""
    instruction: str
    memory_guarantee: int | None
    """None when the file says nothing; a default from the configuration then applies."""
    cpu_guarantee: float | None
    storage_limit: int | None
    environment: Environment
    agent_timeout: float | None
    agent_user: str | None
    verifier_timeout: float
    verifier_env: Mapping[str, str]
    verifier_user: str | None
    tests: Path
    """Directory with ``test.sh``; copied to ``/tests`` only after the agent is done."""
    solution: Path | None
    """Directory with ``solve.sh``; copied to ``/solution`` only for the oracle."""
    solution_env: Mapping[str, str]
    host: bool
    """True when the author says that the task needs nothing but the host's own system."""
    unsupported: str | None = None
    """Why the task cannot be run by this version, naming the feature; None when it can."""
    ignored_keys: tuple[str, ...] = ()
    """Dotted keys of the file that mean nothing to us; they are listed, not fatal."""
    metadata: Mapping[str, object] = field(default_factory=dict)
