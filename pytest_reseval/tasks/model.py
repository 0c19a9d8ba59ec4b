"""A benchmark task, whatever format it was written in. Bytes, seconds, cores."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from pytest_reseval.printable import printable, shown
from pytest_reseval.tasks.digest import combined_digest, tree_digest

_REPORT = re.compile(r"/logs/verifier/[\w/-]+(?:\.[\w-]+)*?\.(?:json|xml)\b")
_REWARD = "/logs/verifier/reward.json"


class TaskError(Exception):
    """One mistake in one task file, told so that its author can mend it.

    The message is one line of printable characters, whatever the file holds.
    """

    def __init__(self, file: Path, key: str, value: object, mend: str) -> None:
        self.file = file
        self.key = key
        self.value = value
        self.mend = mend
        given = "" if value is None else f" = {shown(value)}"
        super().__init__(printable(f"{file}: {key}{given}: {mend}", keep=""))


@dataclass(frozen=True, slots=True)
class Healthcheck:
    """When the sandbox counts as ready; times in seconds, with Docker's HEALTHCHECK meanings."""

    command: str
    interval: float = 5.0
    timeout: float = 30.0
    start_period: float = 0.0
    start_interval: float = 5.0
    retries: int = 3


@dataclass(frozen=True)
class Environment:
    """What the sandbox is made of. At most one of ``image`` and ``dockerfile`` is set."""

    image: str | None = None
    """A prebuilt image, which wins over a Dockerfile."""
    dockerfile: Path | None = None
    context: Path | None = None
    """Directory that is the Dockerfile's build context; set exactly when ``dockerfile`` is."""
    loose_files: Path | None = None
    """Directory whose contents are copied into ``workdir`` when there is nothing to build."""
    build_timeout: float = 600.0
    env: Mapping[str, str] = field(default_factory=dict)
    workdir: str | None = None
    network: bool = True
    healthcheck: Healthcheck | None = None

    @cached_property
    def context_digest(self) -> str | None:
        """SHA-256 over the build context: names, executable bits and contents; None without one.

        Read when first asked for. Raises TaskError when a file cannot be read.
        """
        return None if self.context is None else _digest(self.context)


@dataclass(frozen=True, slots=True)
class VerifierEnvironment:
    """A sandbox for the verifier alone; None for an amount: the same as the agent's."""

    environment: Environment
    memory_guarantee: int | None
    cpu_guarantee: float | None
    storage_limit: int | None


@dataclass(frozen=True)
class Task:
    """One benchmark problem: instruction, environment, resources, verifier."""

    name: str
    file: Path
    directory: Path
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
    verifier_environment: VerifierEnvironment | None
    """None when the verifier runs where the agent worked."""
    tests: Path
    """Directory with ``test.sh``; copied to ``/tests`` only after the agent is done."""
    solution: Path | None
    """Directory with ``solve.sh``; copied to ``/solution`` only for the oracle."""
    solution_env: Mapping[str, str]
    host: bool
    """True when the author says that the task needs nothing but the host's own system."""
    artifacts: tuple[str, ...] = ()
    """Absolute paths in the agent's sandbox that a separate verifier gets a copy of."""
    parts: tuple[Path, ...] = ()
    """The files and directories that can move a score, which the digest covers."""
    unsupported: str | None = None
    """Why the task cannot be run by this version, naming the feature; None when it can."""
    ignored_keys: tuple[str, ...] = ()
    """Dotted keys of the file that mean nothing to us; they are listed, not fatal."""
    metadata: Mapping[str, object] = field(default_factory=dict)

    @cached_property
    def report(self) -> str | None:
        """The test report that ``test.sh`` names, a JSON or XML file below /logs/verifier.

        None when it names none. Read when first asked for.
        """
        try:
            script = (self.tests / "test.sh").read_text(errors="replace")
        except OSError:
            return None
        return next((path for path in _REPORT.findall(script) if path != _REWARD), None)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over ``parts``: names, executable bits and contents.

        Read when first asked for, and the build context is read once for both digests. What else
        lies in the task's directory (a README, caches) cannot move a score and is not covered; nor
        are values filled in from the caller's environment. Raises TaskError when a file cannot be
        read.
        """
        return combined_digest((part.name, self._part_digest(part)) for part in self.parts)

    def _part_digest(self, part: Path) -> str:
        known = self.environment.context_digest if part == self.environment.context else None
        return known or _digest(part)


def _digest(path: Path) -> str:
    try:
        return tree_digest(path.resolve())
    except OSError as error:
        raise TaskError(
            Path(error.filename or path),
            "content",
            None,
            f"{error.strerror or error}; make it a file that can be read",
        ) from None
