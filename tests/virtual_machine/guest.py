"""Runs in the guest: suite after suite, and hands the results over on a disk.

usage: python -m tests.virtual_machine.guest RESULTS_DISK
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

import docker
import docker.errors

from example_tasks import base_image
from pytest_reseval.cgroups.locate import host_version
from tests.virtual_machine.results import SUMMARY, Facts, Peak, Ran, Summary
from tests.virtual_machine.suites import SUITES, USER, Suite

_PLACE = Path("/srv/reseval")
_RESULTS = Path("/srv/results")
_BASE_IMAGE = Path("/srv/base-image.tar")
_LONGEST = 3600.0
"""Seconds that one suite may take: a hung one must not keep the results of the others."""


def main(disk: str) -> int:
    """Run what was ordered; the results tell how it went."""
    order = json.loads((_PLACE / "order.json").read_text())
    _RESULTS.mkdir()
    _RESULTS.chmod(0o1777)
    _make_a_way_out()
    facts = _facts()
    ran = []
    for suite in SUITES:
        if suite.name in order["suites"]:
            ran.append(
                _run(suite, order["arguments"] or suite.tests, emulated=facts.processor == "qemu")
            )
            _hand_over(disk, Summary(facts, ran))
    journal = _output("journalctl", "--boot", "--no-pager", "--priority=warning")
    (_RESULTS / "journal.txt").write_text(journal)
    _hand_over(disk, Summary(facts, ran))
    return 0


def _hand_over(disk: str, summary: Summary) -> None:
    (_RESULTS / SUMMARY).write_bytes(summary.encoded())
    with open(disk, "r+b") as device:  # noqa: PTH123
        with tarfile.open(fileobj=device, mode="w") as archive:
            archive.add(_RESULTS, "")
        device.flush()
        os.fsync(device.fileno())


def _make_a_way_out() -> None:
    """A default route that leads nowhere: without one, rootless Podman starts no container."""
    for command in (
        "ip link add uplink type veth peer name nowhere",
        "ip address add 192.0.2.2/24 dev uplink",
        "ip link set nowhere up",
        "ip link set uplink up",
        "ip route add default via 192.0.2.1",
    ):
        subprocess.run(command.split(), check=True)


def _facts() -> Facts:
    return Facts(
        kernel=os.uname().release,
        cgroup_version=host_version() or 0,
        memory_peak=_memory_peak(Path("/sys/fs/cgroup/system.slice/memory.peak")),
        systemd=_output("systemctl", "--version").splitlines()[0],
        processor=_output("systemd-detect-virt").strip(),
    )


def _memory_peak(file: Path) -> Peak:
    if not file.exists():
        return "absent"
    return "resettable" if file.stat().st_mode & 0o222 else "kept"


def _run(suite: Suite, tests: Sequence[str], *, emulated: bool) -> Ran:
    print(f"\n######## {suite.name} ########", flush=True)
    environment = {
        "RESEVAL_TESTS_REQUIRE": suite.require,
        "RESEVAL_TESTS_SLOWNESS": "8" if emulated else "1",
        "HYPOTHESIS_STORAGE_DIRECTORY": f"/var/tmp/hypothesis-{suite.name}",
    }
    began = time.monotonic()
    engine = None
    environment["DOCKER_HOST"] = f"unix://{suite.socket or '/nowhere'}"
    if suite.socket is not None:
        try:
            engine = _prepare(environment["DOCKER_HOST"])
        except (docker.errors.DockerException, OSError) as error:
            print(error, flush=True)
            return Ran(suite.name, "does not take the image", 1, time.monotonic() - began)
    command = [
        *(sys.executable, "-m", "pytest", "-W", "error", "-v", "--color=no"),
        *("-p", "no:cacheprovider", f"--junitxml={_RESULTS / suite.name}.xml"),
        *tests,
    ]
    try:
        status: int | None = subprocess.run(
            _as_user(command, environment) if suite.delegated else command,
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            timeout=_LONGEST,
            check=False,
        ).returncode
    except subprocess.TimeoutExpired:
        status = None
    return Ran(suite.name, engine, status, time.monotonic() - began)


def _as_user(command: list[str], environment: Mapping[str, str]) -> list[str]:
    """The command in a session of the ordinary user, in a scope as our documentation has it."""
    return [
        *("systemd-run", f"--machine={USER}@.host", "--user", "--pipe", "--wait", "--quiet"),
        f"--working-directory={Path.cwd()}",
        *(f"--setenv={name}={value}" for name, value in environment.items()),
        *("--", "systemd-run", "--user", "--scope", "--quiet", "-p", "Delegate=yes", "--"),
        *command,
    ]


def _prepare(address: str) -> str:
    """Give an engine the base image; answers what the engine says of itself."""
    with closing(docker.DockerClient(base_url=address, timeout=600)) as client:
        with _BASE_IMAGE.open("rb") as archive:
            base_image.load(client, archive)
        told, version = client.info(), client.version()
        component = version["Components"][0]
        return (
            f"{component['Name']} {component['Version']} "
            f"({told['DefaultRuntime']}, {told['CgroupDriver']} driver, {told['Driver']})"
        )


def _output(*command: str) -> str:
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False).stdout


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
