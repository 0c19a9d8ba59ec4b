"""Whom a sandbox of the Docker engine can reach."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from itertools import count

import docker
import pytest

from pytest_reseval.engines.base import Sandbox, SandboxRequest
from pytest_reseval.engines.docker import DockerEngine, network
from pytest_reseval.resources import MIB, Resources
from tests.engines.conftest import wait_until

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("docker_engine")]

RESOURCES = Resources(32 * MIB, 128 * MIB, 0.2, 1.0, 64, 256 * MIB)
PORT = "8000"
SECONDS = "3"

LISTEN = """\
python3 -c '
import socket
server = socket.create_server(("", %s))
while True:
    server.accept()
' >/dev/null 2>&1 &
"""
CONNECT = """
import socket, sys, time
for _ in range(3):
    socket.create_connection(sys.argv[1:3], float(sys.argv[3])).close()
    time.sleep(0.2)
"""
"""Three times: when any network is made, Docker's rule between networks is gone for an instant."""
ADDRESS = "import socket; print(socket.gethostbyname(socket.gethostname()))"
GATEWAY = """\
import socket
routes = [line.split() for line in open("/proc/net/route")]
[gateway] = [route[2] for route in routes if route[1] == "00000000"]
print(socket.inet_ntoa(bytes.fromhex(gateway)[::-1]))
"""

NewEngine = Callable[[], DockerEngine]
Begin = Callable[[DockerEngine], Sandbox]


@pytest.fixture
def new_engine() -> Iterator[NewEngine]:
    """Make engines, as processes of their own would; all are closed after the test."""
    with ExitStack() as opened:
        yield lambda: opened.enter_context(closing(DockerEngine()))


@pytest.fixture
def begin(new_engine: NewEngine, base_image: str) -> Iterator[Begin]:
    """Start sandboxes, which are closed after the test."""
    numbers = count()
    with ExitStack() as opened:
        yield lambda engine: opened.enter_context(
            closing(engine.start(SandboxRequest(f"net-{next(numbers)}", base_image, RESOURCES)))
        )


@pytest.fixture
def api() -> Iterator[docker.APIClient]:
    """Docker's own client, to look from outside."""
    opened = docker.from_env()
    yield opened.api
    opened.close()


def python(sandbox: Sandbox, program: str, *arguments: str) -> str:
    done = sandbox.exec(["python3", "-c", program, *arguments])
    assert done.ok, done.stderr
    return done.stdout.strip()


def connects(sandbox: Sandbox, address: str) -> bool:
    return sandbox.exec(["python3", "-c", CONNECT, address, PORT, SECONDS]).ok


def reaches(one: Sandbox, other: Sandbox) -> bool:
    """Whether one can connect to a port on which the other listens."""
    other.exec(LISTEN % PORT)
    address = python(other, ADDRESS)
    listening = f":{int(PORT):04X} 00000000:0000 0A"
    wait_until(
        lambda: listening in other.exec("cat /proc/net/tcp").stdout, "the other sandbox listens"
    )
    reached = connects(one, address)
    assert reached or connects(other, address), "nobody listens at the address that was tried"
    return reached


def names(api: docker.APIClient, run: str) -> list[str]:
    filters = {"label": f"org.pytest-reseval.run={run}"}
    return [found["Name"] for found in api.networks(filters=filters)]


def test_on_the_default_network_sandboxes_reach_each_other(
    new_engine: NewEngine, begin: Begin
) -> None:
    engine = new_engine()
    assert reaches(begin(engine), begin(engine))


def test_on_a_run_s_own_they_do_not(new_engine: NewEngine, begin: Begin) -> None:
    engine = new_engine()
    assert engine.join_network("a-run") is not None
    assert not reaches(begin(engine), begin(engine))


def test_nor_do_those_of_two_processes_of_a_run(new_engine: NewEngine, begin: Begin) -> None:
    controller, worker = new_engine(), new_engine()
    name = controller.join_network("a-run")
    assert worker.join_network("a-run", name) == name
    assert not reaches(begin(controller), begin(worker))


def test_nor_do_those_of_two_runs(new_engine: NewEngine, begin: Begin) -> None:
    one, other = new_engine(), new_engine()
    assert one.join_network("a-run") != other.join_network("a-run")
    assert not reaches(begin(one), begin(other))


def test_the_outside_is_reached_as_before(new_engine: NewEngine, begin: Begin) -> None:
    """And with it services of the host that listen on all addresses."""
    engine = new_engine()
    engine.join_network("a-run")
    sandbox = begin(engine)
    gateway = python(sandbox, GATEWAY)
    with socket.create_server(("0.0.0.0", 0)) as host:
        host.settimeout(30)
        python(sandbox, CONNECT, gateway, str(host.getsockname()[1]), SECONDS)
        accepted, (peer, _) = host.accept()
        accepted.close()
    assert peer == python(sandbox, ADDRESS)


def test_a_task_without_network_has_none(new_engine: NewEngine, base_image: str) -> None:
    engine = new_engine()
    engine.join_network("a-run")
    request = SandboxRequest("no-net", base_image, RESOURCES, network=False)
    with closing(engine.start(request)) as sandbox:
        assert sandbox.exec("ls /sys/class/net").stdout == "lo\n"


def test_it_is_removed_by_the_process_that_made_it(
    new_engine: NewEngine, api: docker.APIClient, request: pytest.FixtureRequest
) -> None:
    run = request.node.name
    maker, joiner = new_engine(), new_engine()
    name = maker.join_network(run)
    joiner.join_network(run, name)
    joiner.close()
    assert names(api, run) == [name]
    maker.close()
    assert names(api, run) == []


def test_one_that_was_pruned_is_replaced(
    new_engine: NewEngine, begin: Begin, api: docker.APIClient, request: pytest.FixtureRequest
) -> None:
    """``docker network prune`` removes those that no container uses at that moment."""
    run = request.node.name
    maker, joiner = new_engine(), new_engine()
    name = maker.join_network(run)
    joiner.join_network(run, name)
    assert name is not None
    api.remove_network(name)
    assert not reaches(begin(joiner), begin(joiner))
    [replacement] = names(api, run)
    assert replacement != name


def test_an_engine_that_has_none_says_so(
    new_engine: NewEngine,
    begin: Begin,
    monkeypatch: pytest.MonkeyPatch,
    api: docker.APIClient,
    request: pytest.FixtureRequest,
) -> None:
    """The engine refuses the option; sandboxes start all the same."""
    monkeypatch.setattr(network, "_OPTIONS", {"com.docker.network.bridge.enable_icc": "perhaps"})
    engine = new_engine()
    notes = engine.info.notes
    assert engine.join_network(request.node.name) is None
    [note] = set(engine.info.notes) - set(notes)
    assert note.startswith("sandboxes can reach each other: ")
    assert "perhaps" in note
    assert begin(engine).exec("true").ok
    assert names(api, request.node.name) == []
