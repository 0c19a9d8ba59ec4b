"""The network of a run: one for all its processes, gone with it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import docker
import pytest

from pytest_reseval.records import RunDirectory
from tests.engines.conftest import marked_processes
from tests.leftovers import Scope
from tests.plugin.conftest import MakeTask
from tests.teardown.conftest import Go
from tests.teardown.test_kills import holder
from tests.waiting import until

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("nothing_left")]

EVERYWHERE = pytest.mark.parametrize("workers", ["-n0", "-n2"])

Networks = Callable[[], dict[str, list[str]]]


@pytest.fixture
def engine(docker_engine: None) -> str:
    return "docker"


@pytest.fixture
def networks(nothing_left: Scope) -> Iterator[Networks]:
    """Of the test's runs: names of networks, each with those of the containers that are on it."""
    client = docker.from_env()

    def is_ours(labels: dict[str, str]) -> bool:
        prefix = "org.pytest-reseval.owner-"
        owner = f"{labels[f'{prefix}pid']}-{labels[f'{prefix}start']}"
        return owner in nothing_left.owner_names()

    def look() -> dict[str, list[str]]:
        listed: list[dict[str, Any]] = client.api.networks(
            filters={"label": "org.pytest-reseval.owner-pid"}
        )
        told = [client.api.inspect_network(one["Id"]) for one in listed if is_ours(one["Labels"])]
        return {
            one["Name"]: sorted(container["Name"] for container in one["Containers"].values())
            for one in told
        }

    yield look
    client.close()


@EVERYWHERE
def test_all_sandboxes_of_a_run_are_on_one(
    task: MakeTask, go: Go, networks: Networks, mark: str, workers: str, pytester: pytest.Pytester
) -> None:
    at_once = int(workers[-1]) or 1
    for number in range(at_once):
        task(f"endless-{number}", solve=f"sleep {mark}")
    process = go(workers)
    until(lambda: len(marked_processes(mark)) >= at_once)
    run = RunDirectory(pytester.path / "results").read_manifest().run
    [(name, containers)] = networks().items()
    assert name.startswith(f"reseval-{run}-")
    assert len(containers) == at_once
    os.killpg(process.pid, signal.SIGINT)
    print(process.communicate(timeout=120)[0])
    assert networks() == {}


def test_two_runs_have_two(task: MakeTask, go: Go, networks: Networks, mark: str) -> None:
    task("endless", solve=f"sleep {mark}")
    processes = [go(results=results) for results in ("one", "other")]
    until(lambda: len(marked_processes(mark)) >= 2)
    assert sorted(map(len, networks().values())) == [1, 1]
    for process in processes:
        os.killpg(process.pid, signal.SIGINT)
        print(process.communicate(timeout=120)[0])


def test_it_outlives_a_worker(
    task: MakeTask, go: Go, networks: Networks, mark: str, nothing_left: Scope, leave: Any
) -> None:
    """What replaces the worker joins it too."""
    task("first")
    process = go("-n1", "--reseval-agent=staying", "--reseval-samples=2")
    until(lambda: any(networks().values()))
    before = networks()
    os.kill(holder(nothing_left, process, "first"), signal.SIGKILL)
    until(lambda: any(networks().values()) and networks() != before)
    assert networks().keys() == before.keys()
    leave.touch()
    output = process.communicate(timeout=120)[0]
    print(output)
    assert "1 passed" in output
    assert "worker-crash" in output


@EVERYWHERE
def test_tests_in_python_have_one_too(
    go: Go,
    base_image: str,
    networks: Networks,
    pytester: pytest.Pytester,
    task: MakeTask,
    workers: str,
) -> None:
    """No option is given, so that no controller chooses an engine before a test wants one."""
    pytester.makeini(
        f"""
        [pytest]
        reseval_image = {base_image}
        reseval_ledger = {pytester.path}/ledger
        """
    )
    pytester.makepyfile(
        """
        def test_joined(sandbox):
            assert sandbox.exec("cat /etc/resolv.conf").stdout.count("127.0.0.11") == 1
        """
    )
    done = pytester.runpytest_subprocess(workers, "-p", "no:cacheprovider")
    done.assert_outcomes(passed=1)
    assert networks() == {}


@EVERYWHERE
def test_a_run_without_one_says_so(
    task: MakeTask, go: Go, pytester: pytest.Pytester, workers: str
) -> None:
    task("trivial")
    pytester.makeconftest(
        """
        from pytest_reseval.engines.docker import network
        network._OPTIONS = {"com.docker.network.bridge.enable_icc": "perhaps"}
        """
    )
    process = go(workers)
    output = process.communicate(timeout=120)[0]
    print(output)
    assert process.returncode == 0
    assert "reseval: sandboxes can reach each other: " in output
