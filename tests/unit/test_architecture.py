"""The line that docs/architecture.md draws: below it nothing knows pytest."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = "pytest_reseval"
ROOT = Path(__file__).parents[2]

ABOVE = {"plugin"}
BELOW = {
    "admission",
    "agents",
    "artifacts",
    "attempts",
    "cgroups",
    "control",
    "commands",
    "configuration",
    "disk",
    "enforcement",
    "engines",
    "harness",
    "healthcheck",
    "janitor",
    "journal",
    "occupancy",
    "order",
    "outcomes",
    "plans",
    "printable",
    "provision",
    "records",
    "reports",
    "resources",
    "resume",
    "runs",
    "statistics",
    "tasks",
    "trial",
    "verification",
}
"""Modules and subpackages of the package, by their first name within it."""

KEEPER = "engines.local.keeper"

STUDY = {f"statistics.{name}" for name in ("estimates", "paired", "permutation", "power", "trend")}
"""Modules that need the extra ``study``."""

HOMES = {
    "click": {"commands"},
    "docker": {"engines.docker"},
    "requests": {"engines.docker"},
    "urllib3": {"engines.docker"},
    "psutil": {"engines.docker", "engines.local", "plugin.manifest", "provision"},
    "tabulate": {"reports.terminal"},
    "msgspec": {
        "admission.files",
        "control",
        "records",
        "reports.junit",
        "resume",
        "runs",
        "tasks",
        "verification",
    },
    "numpy": STUDY,
    "scipy": STUDY,
    "pytest": ABOVE,
    "_pytest": ABOVE,
}
"""Where each package that is not the standard library's may be imported."""


def _modules() -> dict[str, Path]:
    """Every module by its name within the package; the package itself is the empty name."""
    found = {}
    for path in sorted((ROOT / PACKAGE).rglob("*.py")):
        parts = path.relative_to(ROOT / PACKAGE).with_suffix("").parts
        found[".".join(part for part in parts if part != "__init__")] = path
    return found


MODULES = _modules()


def _imports(name: str) -> Iterator[str]:
    """The full names that a module imports anywhere in it, for type checkers alone included."""
    path = MODULES[name]
    package = [PACKAGE, *filter(None, name.split("."))]
    if path.name != "__init__.py":
        package.pop()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *filter(None, [node.module])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


def _within(name: str, places: set[str]) -> bool:
    return any(name == place or name.startswith(f"{place}.") for place in places)


def _below() -> list[str]:
    return [name for name in MODULES if _within(name, BELOW)]


def test_every_module_is_on_one_side_of_the_line() -> None:
    homes = {name.partition(".")[0] for name in MODULES if name}
    assert homes <= ABOVE | BELOW
    assert not ABOVE & BELOW


@pytest.mark.parametrize("name", _below())
def test_what_is_below_the_line_imports_nothing_from_above(name: str) -> None:
    inner = [
        imported.removeprefix(f"{PACKAGE}.")
        for imported in _imports(name)
        if imported.startswith(f"{PACKAGE}.")
    ]
    assert not [imported for imported in inner if _within(imported, ABOVE)]


@pytest.mark.parametrize("name", MODULES)
def test_packages_of_others_are_imported_in_their_places_alone(name: str) -> None:
    others = {imported.partition(".")[0] for imported in _imports(name)}
    others -= {PACKAGE, *sys.stdlib_module_names}
    assert not {other for other in others if not _within(name, HOMES.get(other, set()))}


def test_everything_below_the_line_can_be_imported_without_pytest() -> None:
    names = [f"{PACKAGE}.{name}" for name in _below() if not _within(name, {KEEPER})]
    program = (
        "import importlib, sys\n"
        f"for name in {names!r}: importlib.import_module(name)\n"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert not {"pytest", "_pytest", "xdist"} & set(done.stdout.split())


@pytest.mark.parametrize("name", [name for name in MODULES if _within(name, {KEEPER})])
def test_the_keeper_needs_nothing_but_the_standard_library(name: str) -> None:
    outside = [
        imported
        for imported in _imports(name)
        if imported.partition(".")[0] not in sys.stdlib_module_names
        and not imported.startswith(f"{PACKAGE}.{KEEPER}")
    ]
    assert not outside
