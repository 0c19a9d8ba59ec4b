"""Containers whose engine was killed and does not know them any more: their processes end too."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.faults.engines import PrivateEngine, private_engine
from tests.teardown.test_kills import RESEVAL
from tests.waiting import until

pytestmark = pytest.mark.docker

OWNER = """
import sys
from pytest_reseval.engines.base import SandboxRequest
from pytest_reseval.engines.docker import DockerEngine
from pytest_reseval.resources import GIB, MIB, Resources

engine = DockerEngine()
resources = Resources(64 * MIB, 128 * MIB, 0.5, 1.0, pids_limit=64, storage_limit=GIB)
sandbox = engine.start(SandboxRequest("forgotten", sys.argv[1], resources))
print(sandbox.id, flush=True)
sys.stdin.read()
engine.close()
"""


@pytest.fixture
def engine(base_image: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[PrivateEngine]:
    """An engine that may be killed, and that is used by whatever the test starts."""
    with private_engine("/docker", base_image) as private:
        monkeypatch.setenv("DOCKER_HOST", private.address)
        yield private


@pytest.fixture
def owner(engine: PrivateEngine, base_image: str) -> Iterator[subprocess.Popen[str]]:
    """A process that started a sandbox, and closes its engine once its input ends."""
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, base_image],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        process.kill()


@pytest.fixture
def forgotten(engine: PrivateEngine, owner: subprocess.Popen[str]) -> psutil.Process:
    """The sandbox's first process, of which its engine knows nothing after it was killed.

    As after a kill in the middle of a start, when it has not written down what it did.
    """
    assert owner.stdout is not None
    container = owner.stdout.readline().strip()
    first = engine.first_process(container)
    engine.kill()
    shutil.rmtree(engine.folder / "data" / "containers" / container)
    engine.start()
    assert engine.containers() == []
    assert first.is_running()
    return first


def ended(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def clean(*arguments: str, ledger: Path) -> str:
    command = [*RESEVAL, "clean", f"--ledger={ledger}", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_the_owner_ends_them_when_it_closes(
    forgotten: psutil.Process, owner: subprocess.Popen[str]
) -> None:
    owner.communicate("")
    until(lambda: ended(forgotten))


def test_cleaning_ends_those_of_dead_owners_only(
    forgotten: psutil.Process, owner: subprocess.Popen[str], tmp_path: Path
) -> None:
    name = f"{forgotten.pid} of container"
    assert name not in clean("--dry-run", ledger=tmp_path)
    owner.kill()
    owner.wait()
    assert name in clean("--dry-run", ledger=tmp_path)
    assert not ended(forgotten)
    clean(ledger=tmp_path)
    until(lambda: ended(forgotten))
    assert name not in clean("--dry-run", ledger=tmp_path)
