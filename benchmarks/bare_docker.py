"""The least that docker-py can do for one trial: the same container, files, commands and reading.

Nothing is measured, verified, recorded or admitted, and nothing survives an error.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import docker

from pytest_reseval.engines.base import SandboxRequest
from pytest_reseval.engines.docker.config import container_config, container_name
from pytest_reseval.plans import TrialPlan

CLEAR = ["sh", "-c", "rm -rf /tests /logs/verifier; mkdir -p -m 777 /logs/verifier"]


def bare_docker(client: docker.APIClient, plan: TrialPlan) -> Callable[[], None]:
    """A function that runs the trial of ``plan`` by plain calls; RuntimeError unless solved."""
    task = plan.task
    assert task is not None
    assert task.solution is not None
    host_memory: int = client.info()["MemTotal"]
    solution, tests = task.solution, task.tests

    def run() -> None:
        request = SandboxRequest(plan.label, plan.environment.image, plan.resources)
        config = container_config(
            request, owner={}, mark="", host_memory=host_memory, bounds_storage=False
        )
        created = client.create_container_from_config(  # type: ignore[no-untyped-call]
            config, container_name(request)
        )
        container: str = created["Id"]
        stdin = client.attach_socket(container, params={"stdin": 1, "stream": 1})
        client.start(container)
        client.inspect_container(container)
        client.put_archive(container, "/", _logs())
        client.put_archive(container, "/", _packed(solution, "solution"))
        _execute(client, container, ["/solution/solve.sh"])
        _execute(client, container, CLEAR)
        client.put_archive(container, "/", _packed(tests, "tests"))
        _execute(client, container, ["/tests/test.sh"])
        chunks, _ = client.get_archive(container, "/logs/verifier/reward.txt")
        with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as archive:
            reward = archive.extractfile("reward.txt")
            if reward is None or float(reward.read()) != 1:
                raise RuntimeError("the bare trial was not solved")
        client.remove_container(container, force=True, v=True)
        stdin.close()

    return run


def _execute(client: docker.APIClient, container: str, command: list[str]) -> None:
    created = client.exec_create(container, command)
    client.exec_start(created["Id"], demux=True)
    client.exec_inspect(created["Id"])


def _packed(folder: Path, name: str) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.add(folder, arcname=name)
    return packed.getvalue()


def _logs() -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name in ("logs", "logs/agent", "logs/verifier", "logs/artifacts"):
            member = tarfile.TarInfo(name)
            member.type, member.mode = tarfile.DIRTYPE, 0o777
            archive.addfile(member)
    return packed.getvalue()
