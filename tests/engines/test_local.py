"""The local engine on this kernel: root with cgroups, an ordinary user with a watchdog."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil
import pytest

from tests.engines.conftest import PATIENCE, REPOSITORY, wait_until
from tests.engines.local_scenarios import SCENARIOS

SCRIPT = Path(__file__).with_name("local_scenarios.py")
ORDINARY_UID = 65534

IS_ROOT = os.geteuid() == 0

NO_NAMESPACES = ("sh", "-c", 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"', "sh")


class Account:
    """Somebody who runs scenarios: an interpreter with all it imports, and a directory."""

    def __init__(self, scratch: Path, interpreter: str, path: Path, uid: int | None) -> None:
        self.scratch = scratch
        self._interpreter = interpreter
        self._path = path
        self._uid = uid

    def begin(self, name: str, prefix: Sequence[str] = ()) -> subprocess.Popen[str]:
        """Start a scenario, by way of the command ``prefix``."""
        return subprocess.Popen(
            [*prefix, self._interpreter, str(self._path / SCRIPT.name), name, str(self.scratch)],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(self._path), "HOME": "/"},
            cwd="/",
            user=self._uid,
            group=self._uid,
            extra_groups=None if self._uid is None else [],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, name: str, prefix: Sequence[str] = ()) -> None:
        """Run a scenario to its end; what it says becomes the failure."""
        process = self.begin(name, prefix)
        output, _ = process.communicate(timeout=120)
        assert process.returncode == 0, output


@pytest.fixture(scope="module")
def packages() -> Iterator[Path]:
    """A copy of what scenarios import that every user can read."""
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="reseval-packages-") as name:
        place = Path(name)
        shutil.copytree(REPOSITORY / "pytest_reseval", place / "pytest_reseval")
        for package in ("psutil", "msgspec"):
            spec = importlib.util.find_spec(package)
            assert spec is not None
            assert spec.origin is not None
            shutil.copytree(Path(spec.origin).parent, place / package)
        shutil.copy(SCRIPT, place)
        subprocess.run(["chmod", "-R", "a+rX", name], check=True)
        yield place


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A directory that is visible in sandboxes, which /tmp is not."""
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="reseval-scratch-") as name:
        yield Path(name)


@pytest.fixture
def root(scratch: Path, packages: Path) -> Account:
    """Root, with this interpreter."""
    if not IS_ROOT:
        pytest.skip("needs root")
    return Account(scratch, sys.executable, packages, None)


@pytest.fixture
def ordinary(scratch: Path, packages: Path) -> Account:
    """A user without privileges, with the first interpreter that serves."""
    uid = ORDINARY_UID if IS_ROOT else None
    if uid is not None:
        os.chown(scratch, uid, uid)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for interpreter in (sys.executable, shutil.which(version, path="/usr/bin:/usr/local/bin")):
        if interpreter is not None and _serves(interpreter, packages, uid):
            return Account(scratch, interpreter, packages, uid)
    pytest.skip(f"no {version} that uid {uid} can run with psutil and msgspec: the one of this "
                "suite is out of its reach, and /usr/bin has none")  # fmt: skip


def _serves(interpreter: str, packages: Path, uid: int | None) -> bool:
    try:
        tried = subprocess.run(
            [interpreter, "-c", "import psutil, msgspec, pytest_reseval.engines.local"],
            env={"PYTHONPATH": str(packages)},
            cwd="/",
            user=uid,
            group=uid,
            extra_groups=None if uid is None else [],
            capture_output=True,
            check=False,
        )
    except PermissionError:
        return False
    return tried.returncode == 0


@pytest.fixture(params=[pytest.param("root", marks=pytest.mark.root), "ordinary"])
def account(request: pytest.FixtureRequest) -> Account:
    """Both ways in which the engine works."""
    found: Account = request.getfixturevalue(request.param)
    return found


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario(account: Account, name: str) -> None:
    account.run(name)


def test_a_sandbox_ends_with_its_owner(account: Account) -> None:
    owner = account.begin("hold")
    assert owner.stdout is not None
    told = owner.stdout.readline()
    try:
        held = json.loads(told)
    except json.JSONDecodeError:
        pytest.fail(told + owner.stdout.read())
    processes = [psutil.Process(pid) for pid in held["processes"]]
    owner.send_signal(signal.SIGKILL)
    owner.wait(PATIENCE)
    try:
        wait_until(
            lambda: not any(process.is_running() for process in processes),
            "all processes end with the owner",
        )
    finally:
        os.kill(held["heir"], signal.SIGKILL)
        owner.stdout.close()
    assert list((account.scratch / "state").iterdir())
    account.run("sweep")
    assert not any(Path(group).exists() for group in held["cgroups"])


def test_a_user_namespace_within_another_serves(ordinary: Account) -> None:
    ordinary.run("writes_stay_inside", prefix=("unshare", "--map-root-user"))


def test_refused_namespaces_are_explained(ordinary: Account) -> None:
    ordinary.run(
        "refused_namespaces_are_explained",
        prefix=("unshare", "--map-root-user", *NO_NAMESPACES),
    )
