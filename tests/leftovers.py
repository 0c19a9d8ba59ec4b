"""What runs of a test left on this host and its engines, found without the package's own means.

Others run sandboxes on the same host at the same time. So everything is told by its owner, a pytest
process that the test started: such a process leaves its name by the plugin ``tests/owners.py``,
engines' objects and names on disk carry it, and the process tree below this process is the test's
own, because orphans come back to it (PR_SET_CHILD_SUBREAPER). Images and containers of builds have
no owner; they bear a label that the test's Dockerfile sets before its first step.
"""

from __future__ import annotations

import ctypes
import os
import re
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import docker
import psutil
from docker.errors import DockerException

from tests.owners import DIRECTORY

SECONDS = 30.0
"""How long what ends by itself may take."""

_LABEL = "org.pytest-reseval."
_PR_SET_CHILD_SUBREAPER = 36
_CLAIM = re.compile(r"(waiting|admitted|unfinished)_.*")


@dataclass(frozen=True, slots=True, order=True)
class Leftover:
    """One thing that is there and should not be."""

    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose leftovers are looked for."""

    owners: Path
    """Where the test's pytest processes left their names."""
    ledger: Path
    build_label: str
    """``NAME=VALUE``, set by the test's Dockerfiles right after each FROM."""
    states: tuple[Path, ...] = field(
        default=(
            Path(f"/var/tmp/pytest-reseval-{os.geteuid()}"),
            Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pytest-reseval",
        )
    )
    journals: Path = Path(tempfile.gettempdir()) / f"pytest-reseval-{os.geteuid()}"
    beside: Path | None = None
    """The folder of an engine that goes on; its processes bear it in their arguments.

    So is what its runtime has not yet begun: an engine that was killed may leave that behind.
    """

    def environment(self) -> dict[str, str]:
        """What has every pytest process leave its name."""
        path = os.environ.get("PYTHONPATH", "")
        return {
            DIRECTORY: str(self.owners),
            "PYTEST_PLUGINS": "owners",
            "PYTHONPATH": os.pathsep.join(filter(None, [str(Path(__file__).parent), path])),
        }

    def owner_names(self) -> set[str]:
        """The processes that left their names, as PID-START."""
        return {path.name for path in self.owners.iterdir()}


def snapshot(scope: Scope) -> frozenset[Leftover]:
    """Everything of the scope that is there now."""
    owners = scope.owner_names()
    return frozenset(
        [
            *_on_docker(scope, owners),
            *_processes(scope.beside),
            *_named(owners, scope),
            *_claims(scope.ledger),
            *_journals(scope, owners),
        ]
    )


def assert_nothing_left(before: frozenset[Leftover], scope: Scope) -> None:
    """Wait for what ends by itself; AssertionError names all that is still there then.

    Children of this process must have been waited for: those that are left are taken for adopted.
    """
    deadline = time.monotonic() + SECONDS
    while left := snapshot(scope) - before:
        _reap()
        if time.monotonic() > deadline:
            told = "".join(f"\n  {one.kind} {one.name}" for one in sorted(left))
            raise AssertionError(f"left {SECONDS:g} s after the end:{told}")
        time.sleep(0.1)


@contextmanager
def nothing_stays(owners: Path, ledger: Path, beside: Path | None = None) -> Iterator[Scope]:
    """At the end nothing may be left of the runs that were started within."""
    scope = Scope(owners, ledger, f"reseval-test={uuid.uuid4().hex}", beside=beside)
    with adopting_orphans():
        before = snapshot(scope)
        yield scope
        try:
            assert_nothing_left(before, scope)
        finally:
            remove_images(scope)


def remove_images(scope: Scope) -> None:
    """Remove all images of the test's builds, those too that are kept as they should be."""
    try:
        client = docker.from_env()
    except DockerException:
        return
    try:
        filters = {"label": scope.build_label}
        while listed := client.api.images(all=True, filters=filters):
            parents = {image["ParentId"] for image in listed}
            for image in listed:
                if image["Id"] not in parents:
                    client.api.remove_image(image["Id"], force=True)
    finally:
        client.close()


@contextmanager
def adopting_orphans() -> Iterator[None]:
    """Have orphans of this process's descendants become its children."""
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    assert prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
    try:
        yield
    finally:
        prctl(_PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
        _reap()


def _reap() -> None:
    """Do what init does for orphans: the first process of a pid namespace waits for it to end."""
    for child in psutil.Process().children():
        with suppress(ChildProcessError, psutil.NoSuchProcess):
            if child.status() == psutil.STATUS_ZOMBIE:
                os.waitpid(child.pid, os.WNOHANG)


def _processes(beside: Path | None) -> Iterator[Leftover]:
    """Descendants of this process: pytest, workers, fork servers, keepers, sandboxes' processes."""
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if process.status() != psutil.STATUS_ZOMBIE:
                command = " ".join(process.cmdline()) or process.name()
                of_the_engine = beside and (str(beside) in command or command == "runc init")
                if not of_the_engine:
                    yield Leftover("process", f"{process.pid} {command[:200]}")


def _named(owners: set[str], scope: Scope) -> Iterator[Leftover]:
    """What bears an owner in its name: BOOT-NAMESPACE-PID-START-RANDOM."""

    def is_ours(name: str) -> bool:
        return any(f"-{owner}-" in name for owner in owners)

    for state in scope.states:
        if state.is_dir():
            for path in state.iterdir():
                if is_ours(path.name):
                    yield Leftover("directory", str(path))
    for parent, names, _ in os.walk("/sys/fs/cgroup"):
        for name in names:
            if is_ours(name):
                yield Leftover("cgroup", f"{parent}/{name}")
    for mounts in Path("/proc").glob("[0-9]*/mountinfo"):
        with suppress(OSError):
            for line in mounts.read_text().splitlines():
                if is_ours(line):
                    where = line.split()[4]
                    yield Leftover("mount", f"{where} in the namespace of {mounts.parent.name}")


def _claims(ledger: Path) -> Iterator[Leftover]:
    if ledger.is_dir():
        for path in ledger.iterdir():
            if _CLAIM.fullmatch(path.name):
                yield Leftover("claim", path.name)


def _journals(scope: Scope, owners: set[str]) -> Iterator[Leftover]:
    """Records of builds that are neither finished nor cleared away."""
    pids = {owner.partition("-")[0] for owner in owners}
    if scope.journals.is_dir():
        for path in scope.journals.iterdir():
            with suppress(FileNotFoundError):
                told = set(re.findall(r'"pid": (\d+)', path.read_text()))
                if told & pids:
                    yield Leftover("journal", str(path))


def _on_docker(scope: Scope, owners: set[str]) -> Iterator[Leftover]:
    try:
        client = docker.from_env()
    except DockerException:
        return
    try:
        api = client.api
        found: dict[tuple[str, str], str] = {}
        for owner in owners:
            pid, start = owner.split("-")
            labels = [f"{_LABEL}owner-pid={pid}", f"{_LABEL}owner-start={start}"]
            found |= _labelled(api, labels)
        found |= _labelled(api, [scope.build_label])
        found |= _images(api, scope.build_label)
        yield from (Leftover(kind, name) for (kind, _), name in found.items())
    finally:
        client.close()


def _labelled(api: docker.APIClient, labels: list[str]) -> dict[tuple[str, str], str]:
    filters = {"label": labels}
    containers = api.containers(all=True, filters=filters)
    networks = api.networks(filters=filters)
    volumes = api.volumes(filters=filters)["Volumes"] or ()
    return {
        **{
            ("container", one["Id"]): f"{one['Names'][0].lstrip('/')} ({one['State']})"
            for one in containers
        },
        **{("network", one["Id"]): one["Name"] for one in networks},
        **{("volume", one["Name"]): one["Name"] for one in volumes},
    }


def _images(api: docker.APIClient, label: str) -> dict[tuple[str, str], str]:
    """Images of the test that neither have a name nor are below one that has."""
    listed = {image["Id"]: image for image in api.images(all=True)}
    named = [one for one in listed.values() if set(one["RepoTags"] or ()) - {"<none>:<none>"}]
    kept = set()
    for image in named:
        while image is not None:
            kept.add(image["Id"])
            image = listed.get(image["ParentId"])
    ours = api.images(all=True, filters={"label": label})
    return {
        ("image", image["Id"]): image["Id"].removeprefix("sha256:")[:12]
        for image in ours
        if image["Id"] not in kept
    }
