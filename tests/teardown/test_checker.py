"""The checker is told what is left: one thing of each kind, left on purpose."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import docker
import psutil
import pytest

from pytest_reseval.admission import Budget, Claim, Ledger
from tests import leftovers
from tests.leftovers import Leftover, Scope, assert_nothing_left, snapshot


def myself() -> str:
    start = Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]
    return f"{os.getpid()}-{start}"


@pytest.fixture
def scope(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scope:
    """What this very process owns, in directories of the test."""
    monkeypatch.setattr(leftovers, "SECONDS", 0.2)
    for name in ("owners", "state", "journals"):
        (tmp_path / name).mkdir()
    (tmp_path / "owners" / myself()).touch()
    return replace(
        Scope(tmp_path / "owners", tmp_path / "ledger", f"reseval-test={uuid.uuid4().hex}"),
        states=(tmp_path / "state",),
        journals=tmp_path / "journals",
    )


@contextmanager
def left_directory(scope: Scope) -> Iterator[str]:
    directory = scope.states[0] / f"boot-1-{myself()}-ab"
    directory.mkdir()
    yield str(directory)
    directory.rmdir()


@contextmanager
def left_cgroup(scope: Scope) -> Iterator[str]:
    memory = [Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")]
    home = next(path for path in memory if (path / "cgroup.procs").exists())
    directory = home / f"pytest-reseval-boot-1-{myself()}-ab"
    directory.mkdir()
    yield str(directory)
    directory.rmdir()


@contextmanager
def left_mount(scope: Scope) -> Iterator[str]:
    with left_directory(scope) as directory:
        subprocess.run(["mount", "-t", "tmpfs", "none", directory], check=True)
        yield directory
        subprocess.run(["umount", directory], check=True)


@contextmanager
def left_process(scope: Scope) -> Iterator[str]:
    with subprocess.Popen(["sleep", "600"]) as process:
        yield f"{process.pid} sleep 600"
        process.kill()


@contextmanager
def left_claim(scope: Scope) -> Iterator[str]:
    with Ledger(scope.ledger, Budget(0, 0)).record(Claim(1, 0, "run", "trial")):
        [name] = [path.name for path in scope.ledger.glob("admitted_*")]
        yield name


@contextmanager
def left_journal(scope: Scope) -> Iterator[str]:
    journal = scope.journals / "build-engine-digest"
    journal.write_text(f'{{"tag": "a:b", "pid": {os.getpid()}, "began": 1}}\n')
    yield str(journal)
    journal.unlink()


def owner_labels() -> dict[str, str]:
    pid, start = myself().split("-")
    prefix = "org.pytest-reseval."
    return {f"{prefix}owner-pid": pid, f"{prefix}owner-start": start}


@contextmanager
def left_container(scope: Scope) -> Iterator[str]:
    with left_image(scope) as image, on_docker() as api:
        created = api.create_container(image, ["x"], labels=owner_labels())
        yield api.inspect_container(created["Id"])["Name"].lstrip("/")
        api.remove_container(created["Id"])


@contextmanager
def left_network(scope: Scope) -> Iterator[str]:
    name = f"reseval-test-{uuid.uuid4().hex}"
    with on_docker() as api:
        created = api.create_network(name, labels=owner_labels())
        yield name
        api.remove_network(created["Id"])


@contextmanager
def left_volume(scope: Scope) -> Iterator[str]:
    name = f"reseval-test-{uuid.uuid4().hex}"
    with on_docker() as api:
        api.create_volume(name, labels=owner_labels())
        yield name
        api.remove_volume(name)


@contextmanager
def left_image(scope: Scope) -> Iterator[str]:
    empty = io.BytesIO()
    tarfile.open(fileobj=empty, mode="w").close()
    with on_docker() as api:
        told = api.import_image_from_data(empty.getvalue(), changes=[f"LABEL {scope.build_label}"])
        image = told.partition("sha256:")[2][:12]
        yield image
        api.remove_image(image)


@contextmanager
def on_docker() -> Iterator[docker.APIClient]:
    client = docker.from_env()
    yield client.api
    client.close()


KINDS = {
    "container": left_container,
    "network": left_network,
    "volume": left_volume,
    "image": left_image,
    "directory": left_directory,
    "cgroup": left_cgroup,
    "mount": left_mount,
    "process": left_process,
    "claim": left_claim,
    "journal": left_journal,
}
DOCKER = ("container", "network", "volume", "image")
ROOT = ("cgroup", "mount")


@pytest.mark.parametrize(
    "kind",
    [
        *(pytest.param(kind, marks=pytest.mark.docker) for kind in DOCKER),
        *(pytest.param(kind, marks=pytest.mark.root) for kind in ROOT),
        *(kind for kind in KINDS if kind not in DOCKER + ROOT),
    ],
)
def test_one_of_each_kind_is_named(kind: str, scope: Scope, request: pytest.FixtureRequest) -> None:
    if kind in DOCKER:
        request.getfixturevalue("docker_engine")
    if kind in ROOT and os.geteuid():
        pytest.skip("needs root")
    before = snapshot(scope)
    with KINDS[kind](scope) as name:
        with pytest.raises(AssertionError) as told:
            assert_nothing_left(before, scope)
        assert f"\n  {kind} {name}" in str(told.value)
    assert_nothing_left(before, scope)


def test_what_was_there_before_is_not_told(scope: Scope) -> None:
    with left_directory(scope), left_process(scope):
        assert_nothing_left(snapshot(scope), scope)


def test_what_another_process_owns_is_not_told(scope: Scope) -> None:
    before = snapshot(scope)
    (scope.states[0] / "boot-1-1-12345-ab").mkdir()
    assert_nothing_left(before, scope)


def test_orphans_come_back(scope: Scope) -> None:
    with leftovers.adopting_orphans():
        before = snapshot(scope)
        told = subprocess.check_output(["sh", "-c", "sleep 600 >/dev/null & echo $!"], text=True)
        assert Leftover("process", f"{told.strip()} sleep 600") in snapshot(scope) - before
        psutil.Process(int(told)).kill()
        assert_nothing_left(before, scope)
