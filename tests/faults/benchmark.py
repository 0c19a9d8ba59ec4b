"""A folder of tasks that both engines can run, and real pytest processes that run it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import msgspec

from tests.faults.catalogue import Fault
from tests.launched import end
from tests.leftovers import Scope, nothing_stays

INFRA_ONLY = 75


@contextmanager
def made(engine: str, beside: Path | None = None) -> Iterator[Benchmark]:
    """An empty benchmark, of whose runs nothing may be left in the end.

    Not below /tmp, which sandboxes of the host's own system never show. ``beside`` is the folder of
    an engine that goes on, whose own processes are not of the runs.
    """
    folder = Path(tempfile.mkdtemp(prefix="reseval-faults-", dir="/var/tmp"))
    try:
        owners = folder / "owners"
        owners.mkdir()
        with (
            nothing_stays(owners, folder / "ledger", beside) as scope,
            ExitStack() as launched,
        ):
            yield Benchmark(folder, engine, scope, launched)
    finally:
        shutil.rmtree(folder)


@contextmanager
def unwatched(folder: Path, engine: str) -> Iterator[Benchmark]:
    """An empty benchmark below a folder; that nothing is left of its runs is the test's to see."""
    place = folder / "benchmark"
    (place / "owners").mkdir(parents=True)
    scope = Scope(place / "owners", place / "ledger", "reseval-test=none")
    with ExitStack() as launched:
        yield Benchmark(place, engine, scope, launched)


@dataclass(frozen=True)
class Benchmark:
    """Tasks and records of their own below ``folder``, run on one engine and watched."""

    folder: Path
    engine: str
    scope: Scope
    launched: ExitStack
    """Ends the runs that a test which failed has not waited for."""

    @property
    def results(self) -> Path:
        """The run's folder."""
        return self.folder / "results"

    def add(self, fault: Fault) -> None:
        """Write a task in which the fault happens."""
        task = self.folder / "tasks" / fault.name
        for script, body in (("solution/solve.sh", fault.solve), ("tests/test.sh", fault.check)):
            path = task / script
            path.parent.mkdir(parents=True)
            path.write_text(f"#!/bin/sh\n{body}\n")
            path.chmod(0o755)
        for name, content in fault.files.items():
            path = task / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content.replace("{label}", self.scope.build_label))
        (task / "instruction.md").write_text("Write 42 into /app/answer.\n")
        image = f'docker_image = "{fault.image}"\n' if fault.image else ""
        (task / "task.toml").write_text(
            f"[metadata]\nreseval.host = true\n"
            f"[environment]\ncpus = 0.5\nmemory_mb = {fault.memory_mb}\n{image}{fault.toml}\n"
        )

    def conftest(self, text: str) -> None:
        """Write the benchmark's conftest."""
        (self.folder / "conftest.py").write_text(text)

    def command(self, *arguments: str, resume: bool = False) -> list[str]:
        """The command line that runs all tasks."""
        where = "resume" if resume else "results"
        return [
            *(sys.executable, "-m", "pytest", "tasks", "-p", "no:cacheprovider"),
            f"--reseval-engine={self.engine}",
            f"--reseval-ledger={self.scope.ledger}",
            f"--reseval-{where}={self.results}",
            "--reseval-headroom=1x",
            *arguments,
        ]

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """Our own, without what would reach the run by accident."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PYTEST_", "RESEVAL_"))
        }
        return {**kept, "COLUMNS": "120", **self.scope.environment(), **(more or {})}

    def run(
        self,
        *arguments: str,
        env: Mapping[str, str] | None = None,
        resume: bool = False,
        first: Callable[[], object] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run all tasks to the end; ``first`` is what the process does before it becomes pytest."""
        done = subprocess.run(
            self.command(*arguments, resume=resume),
            cwd=self.folder,
            env=self.environment(env),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            preexec_fn=first,
        )
        print(done.stdout, done.stderr, sep="\n")
        return done

    def launch(
        self,
        *arguments: str,
        env: Mapping[str, str] | None = None,
        output: IO[str] | None = None,
    ) -> subprocess.Popen[str]:
        """Start what ``run`` runs, as a process group of its own; ``output`` is a pipe if None."""
        process = subprocess.Popen(
            self.command(*arguments),
            cwd=self.folder,
            env=self.environment(env),
            stdin=subprocess.DEVNULL,
            stdout=output or subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.launched.callback(end, process)
        return process

    def records(self) -> dict[str, dict[str, Any]]:
        """The lines of ``trials.jsonl`` by task."""
        file = self.results / "trials.jsonl"
        lines = [msgspec.json.decode(line) for line in file.read_bytes().splitlines()]
        found = {line["task"]: line for line in lines}
        assert len(found) == len(lines), "a trial was recorded twice"
        return found
