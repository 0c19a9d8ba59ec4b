"""What a run brings into the guest: the repository, the packages it imports, and what to do."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from tests.virtual_machine import recipe

REPOSITORY = Path(__file__).parents[2]

CONTENT = (
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "pytest_reseval",
    "tests",
    "example_tasks",
    "benchmarks",
)
"""What of the repository the tests need."""

ORDER = "order.json"
"""The file that tells the guest which suites to run, and with which arguments of pytest."""


class PayloadError(Exception):
    """The packages cannot be had; the message says why."""


def pack(into: IO[bytes], suites: Sequence[str], arguments: Sequence[str]) -> None:
    """Write the payload in tar's format. Raises PayloadError."""
    with tempfile.TemporaryDirectory(prefix="reseval-payload-") as made:
        scratch = Path(made)
        _fetch_packages(scratch)
        order = {"suites": list(suites), "arguments": list(arguments)}
        (scratch / ORDER).write_text(json.dumps(order))
        with tarfile.open(fileobj=into, mode="w") as archive:
            archive.add(scratch / ORDER, ORDER)
            archive.add(scratch / "site", "site")
            for name in CONTENT:
                archive.add(REPOSITORY / name, f"repository/{name}", filter=_without_caches)
    into.flush()


def _without_caches(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if entry.name.endswith("/__pycache__") else entry


def _fetch_packages(scratch: Path) -> None:
    """Install this package and what its tests import for the guest's Python."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    _pip("wheel", "--no-deps", f"--wheel-dir={scratch}", str(REPOSITORY))
    _pip(
        *("install", f"--target={scratch / 'site'}", "--no-compile", "--only-binary=:all:"),
        f"--python-version={recipe.PYTHON}",
        *map(str, scratch.glob("*.whl")),
        *project["dependency-groups"]["test"],
    )


def _pip(*arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise PayloadError(
            f"pip {arguments[0]} ended with status {done.returncode}:\n{done.stderr}"
        )
