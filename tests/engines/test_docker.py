"""What only the Docker engine does: the API, images, labels, and an engine that is lost."""

from __future__ import annotations

import gc
import io
import os
import re
import socket
import subprocess
import sys
import tarfile
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import docker
import pytest
from docker.errors import APIError, NotFound

from pytest_reseval.engines.base import (
    Engine,
    EngineLost,
    EngineUnavailable,
    ImageBuildError,
    ImagePullError,
    Sandbox,
    SandboxEnded,
    SandboxLost,
    SandboxRequest,
    StartError,
)
from pytest_reseval.engines.docker import DockerEngine, client, orphans
from pytest_reseval.engines.docker.sandbox import DockerSandbox
from pytest_reseval.resources import MIB, Resources
from pytest_reseval.tasks.model import Environment
from tests.engines.conftest import (
    PATIENCE,
    REPOSITORY,
    SLOWNESS,
    Start,
    first_process,
    marked_processes,
    wait_for_process,
    wait_until,
)

pytestmark = pytest.mark.docker

RESOURCES = Resources(64 * MIB, 256 * MIB, 0.5, 1.0, 64, 1024 * MIB)


@pytest.fixture
def api(docker_engine: Engine) -> Iterator[docker.APIClient]:
    """Docker's own client, to look from outside."""
    opened = docker.from_env()
    yield opened.api
    opened.close()


@pytest.fixture
def container(start_docker: Start) -> DockerSandbox:
    """A sandbox, known to be a container."""
    return _container(start_docker())


def _container(sandbox: Sandbox) -> DockerSandbox:
    assert isinstance(sandbox, DockerSandbox)
    return sandbox


class TestUnavailable:
    def test_nobody_listens(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        address = f"unix://{tmp_path}/none.sock"
        monkeypatch.setenv("DOCKER_HOST", address)
        with pytest.raises(EngineUnavailable, match=address):
            DockerEngine()

    def test_nobody_answers(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/silent.sock")
        monkeypatch.setattr(client, "_GREETING_TIMEOUT", 0.2)
        with socket.socket(socket.AF_UNIX) as silent:
            silent.bind(f"{tmp_path}/silent.sock")
            silent.listen()
            with pytest.raises(EngineUnavailable, match="silent"):
                DockerEngine()

    def test_address_that_means_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DOCKER_HOST", "nonsense://x")
        with pytest.raises(EngineUnavailable, match="nonsense://x"):
            DockerEngine()


class TestStart:
    def test_info(self, docker_engine: Engine, api: docker.APIClient) -> None:
        told = api.info()
        assert docker_engine.info.name == "docker"
        assert docker_engine.info.memory == told["MemTotal"]
        assert docker_engine.info.cores == told["NCPU"]
        assert told["ServerVersion"] in docker_engine.info.version
        assert docker_engine.info.cgroup_version in (1, 2)

    def test_an_image_that_is_not_there(self, docker_engine: Engine) -> None:
        request = SandboxRequest("missing", "no-such-image:1", RESOURCES)
        with pytest.raises(StartError, match="no-such-image"):
            docker_engine.start(request)

    def test_an_image_without_a_shell_leaves_nothing(
        self, docker_engine: Engine, api: docker.APIClient
    ) -> None:
        empty = io.BytesIO()
        tarfile.open(fileobj=empty, mode="w").close()
        image = f"reseval-test-empty:{uuid.uuid4().hex}"
        repository, tag = image.split(":")
        api.import_image_from_data(empty.getvalue(), repository=repository, tag=tag)
        try:
            with pytest.raises(StartError, match="sh"):
                docker_engine.start(SandboxRequest("empty", image, RESOURCES))
            assert api.containers(all=True, filters={"ancestor": image}) == []
        finally:
            api.remove_image(image)

    def test_labels_tell_the_run_and_the_owner(
        self, start_docker: Start, api: docker.APIClient, request: pytest.FixtureRequest
    ) -> None:
        sandbox = _container(start_docker())
        labels = api.inspect_container(sandbox.id)["Config"]["Labels"]
        assert labels["org.pytest-reseval.trial"] == request.node.name
        assert labels["org.pytest-reseval.owner-pid"] == str(os.getpid())
        here = orphans.Place.here()
        assert not orphans.is_orphan(labels, here, orphans.process_has_ended)

    def test_privileges(self, container: DockerSandbox) -> None:
        status = dict(
            line.split(":\t")
            for line in container.exec("grep -E 'NoNewPrivs|CapEff' /proc/self/status")
            .stdout.strip()
            .split("\n")
        )
        assert status["NoNewPrivs"] == "1"
        cap_net_raw, cap_sys_admin = 1 << 13, 1 << 21
        assert int(status["CapEff"], 16) & (cap_net_raw | cap_sys_admin) == 0

    def test_who_is_killed_first_when_the_host_runs_out(self, container: DockerSandbox) -> None:
        scores = container.exec("cat /proc/self/oom_score_adj /proc/1/oom_score_adj").stdout
        command, first_process = map(int, scores.split())
        assert command > 900
        assert first_process <= 0

    def test_what_the_first_process_could_log_goes_nowhere(
        self, container: DockerSandbox, api: docker.APIClient
    ) -> None:
        container.exec("echo flood > /proc/1/fd/1")
        assert api.inspect_container(container.id)["HostConfig"]["LogConfig"]["Type"] == "none"


class TestEnd:
    def test_removed_from_outside_is_lost(
        self, container: DockerSandbox, api: docker.APIClient
    ) -> None:
        api.remove_container(container.id, force=True)
        with pytest.raises(SandboxLost):
            container.exec("true")
        container.close()

    def test_killed_while_a_command_runs_is_lost(
        self, container: DockerSandbox, api: docker.APIClient, mark: str
    ) -> None:
        def kill() -> None:
            wait_for_process(mark)
            api.kill(container.id)

        with ThreadPoolExecutor() as beside:
            done = beside.submit(kill)
            with pytest.raises(SandboxLost):
                container.exec(["sleep", mark], timeout=PATIENCE)
            done.result()

    def test_an_end_that_the_engine_was_asked_for_is_outside_our_doing(
        self, container: DockerSandbox, api: docker.APIClient
    ) -> None:
        api.remove_container(container.id, force=True)
        lost = SandboxLost("gone")
        assert container.explain(lost) is lost

    def test_an_end_that_nobody_asked_for_came_from_inside(
        self, container: DockerSandbox, mark: str
    ) -> None:
        """Stands for what a tracer inside does: the first process ends, and no API call is seen."""
        container.exec(f"sleep {mark} > /dev/null 2>&1 &")
        inside = wait_for_process(mark)
        first_process(inside).kill()
        wait_until(lambda: not container.alive(), "the container has ended")
        assert isinstance(container.explain(SandboxLost("gone")), SandboxEnded)

    def test_container_and_mounts_are_gone(
        self, container: DockerSandbox, api: docker.APIClient
    ) -> None:
        merged = api.inspect_container(container.id)["GraphDriver"]["Data"]["MergedDir"]
        assert merged in Path("/proc/self/mountinfo").read_text()
        container.close()
        with pytest.raises(NotFound):
            api.inspect_container(container.id)
        assert merged not in Path("/proc/self/mountinfo").read_text()


class TestOrphans:
    def test_the_container_of_a_killed_owner_is_swept(
        self, docker_engine: Engine, api: docker.APIClient, base_image: str, mark: str
    ) -> None:
        script = (
            "import sys, time\n"
            "from pytest_reseval.engines.docker import DockerEngine\n"
            "from pytest_reseval.engines.base import SandboxRequest\n"
            "from pytest_reseval.resources import MIB, Resources\n"
            "resources = Resources(64 * MIB, 256 * MIB, 0.5, 1.0, 64, 1024 * MIB)\n"
            "request = SandboxRequest('owned', sys.argv[1], resources)\n"
            "print(DockerEngine().start(request).id, flush=True)\n"
            "time.sleep(600)\n"
        )
        owner = subprocess.Popen(
            [sys.executable, "-c", script, base_image], stdout=subprocess.PIPE, cwd=REPOSITORY
        )
        assert owner.stdout is not None
        container_id = owner.stdout.readline().decode().strip()
        docker_engine.sweep()
        assert api.inspect_container(container_id)["State"]["Running"]
        owner.kill()
        owner.wait()
        owner.stdout.close()
        docker_engine.sweep()
        with pytest.raises(NotFound):
            api.inspect_container(container_id)

    def test_networks(self, docker_engine: Engine, api: docker.APIClient) -> None:
        here = orphans.Place.here()
        living = orphans.owner_labels(here)
        dead = living | {"org.pytest-reseval.boot": str(uuid.uuid4())}
        names = {which: f"reseval-test-{which}-{uuid.uuid4().hex}" for which in ("dead", "living")}
        api.create_network(names["dead"], labels=dead)
        kept = api.create_network(names["living"], labels=living)
        try:
            docker_engine.sweep()
            assert api.networks(names=[names["dead"]]) == []
            assert len(api.networks(names=[names["living"]])) == 1
        finally:
            api.remove_network(kept["Id"])


class TestDisk:
    def test_a_volume_that_the_image_declares_counts(
        self, docker_engine: Engine, base_image: str, api: docker.APIClient
    ) -> None:
        image = f"reseval-test-volume:{uuid.uuid4().hex}"
        dockerfile = io.BytesIO(f"FROM {base_image}\nVOLUME /data\n".encode())
        list(api.build(fileobj=dockerfile, tag=image, rm=True))
        try:
            sandbox = docker_engine.start(SandboxRequest("volume", image, RESOURCES))
            try:
                before = sandbox.disk_used()
                assert before is not None
                assert sandbox.exec("head -c 20M /dev/zero > /data/file").ok
                assert 20 * MIB <= (sandbox.disk_used() or 0) - before < 21 * MIB
            finally:
                sandbox.close()
        finally:
            api.remove_image(image)

    def test_who_may_not_read_the_engines_files_asks_the_engine(
        self, container: DockerSandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        assert container.exec("head -c 20M /dev/zero > /file").ok
        seen = container.disk_used()
        assert seen is not None
        monkeypatch.setattr(container._disk, "_layer", tmp_path / "out of reach")
        told = container.disk_used()
        assert told is not None
        assert 20 * MIB <= told < 21 * MIB
        assert abs(told - seen) < MIB

    def test_a_container_that_is_gone_cannot_be_seen(self, container: DockerSandbox) -> None:
        container.close()
        assert container.disk_used() is None


class TestImages:
    @pytest.fixture
    def environment(
        self, tmp_path: Path, base_image: str, api: docker.APIClient
    ) -> Iterator[Environment]:
        """An environment with a Dockerfile and a context that no other has."""
        context = tmp_path / "context"
        context.mkdir()
        (context / "unique").write_text(uuid.uuid4().hex)
        environment = Environment(
            image=None,
            dockerfile=context / "Dockerfile",
            context=context,
            loose_files=None,
            build_timeout=60.0 * SLOWNESS,
            env={},
            workdir=None,
            network=True,
            healthcheck=None,
        )
        _write_dockerfile(environment, base_image, "COPY . /context")
        yield environment
        wait_until(lambda: _remove_images(api, _label(environment)), "all images are removed")

    def test_built_once_under_the_digest(
        self, docker_engine: Engine, environment: Environment, api: docker.APIClient
    ) -> None:
        tag = docker_engine.prepare("My Task/1", environment, timeout=60 * SLOWNESS)
        assert tag == f"pytest-reseval/my-task-1:{environment.context_digest}"
        first = api.inspect_image(tag)["Id"]  # type: ignore[no-untyped-call]
        assert environment.dockerfile is not None
        environment.dockerfile.write_text("FROM no-such-image\n")
        assert docker_engine.prepare("My Task/1", environment, timeout=60 * SLOWNESS) == tag
        assert api.inspect_image(tag)["Id"] == first  # type: ignore[no-untyped-call]

    def test_the_context_is_what_the_author_meant(
        self, docker_engine: Engine, environment: Environment, tmp_path: Path
    ) -> None:
        context = environment.context
        assert context is not None
        (tmp_path / "secret").write_text("of the host")
        (tmp_path / "secrets").mkdir()
        (tmp_path / "secrets" / "key").write_text("of the host")
        (context / "link").symlink_to(tmp_path / "secret")
        (context / "directory").symlink_to(tmp_path / "secrets")
        (context / "kept").write_text("kept")
        (context / "left.out").write_text("left out")
        (context / ".dockerignore").write_text("# comment\n\n*.out\n")
        tag = docker_engine.prepare("context", environment, timeout=60 * SLOWNESS)
        sandbox = docker_engine.start(SandboxRequest("context", tag, RESOURCES))
        try:
            names = sandbox.exec("cd /context && ls").stdout.split()
            assert names == ["Dockerfile", "directory", "kept", "link", "unique"]
            assert not sandbox.exec("cat /context/link /context/directory/key").ok
        finally:
            sandbox.close()

    def test_a_failure_shows_the_last_lines(
        self, docker_engine: Engine, environment: Environment, base_image: str
    ) -> None:
        _write_dockerfile(environment, base_image, "RUN echo told why; exit 9")
        with pytest.raises(ImageBuildError, match=r"(?s)Dockerfile.*told why") as failed:
            docker_engine.prepare("failing", environment, timeout=60 * SLOWNESS)
        assert "9" in str(failed.value)

    def test_a_dockerfile_that_makes_no_sense(
        self, docker_engine: Engine, environment: Environment
    ) -> None:
        assert environment.dockerfile is not None
        environment.dockerfile.write_text("FORM x\n")
        with pytest.raises(ImageBuildError, match="FORM"):
            docker_engine.prepare("nonsense", environment, timeout=60 * SLOWNESS)

    def test_a_hung_build_is_cancelled(
        self, docker_engine: Engine, environment: Environment, base_image: str, mark: str
    ) -> None:
        instructions = f'RUN echo about to hang\nRUN ["sleep", "{mark}"]'
        _write_dockerfile(environment, base_image, instructions)
        with pytest.raises(
            ImageBuildError, match=rf"(?s)longer than {5 * SLOWNESS:g} s.*about to hang"
        ):
            docker_engine.prepare("hung", environment, timeout=5 * SLOWNESS)
        wait_until(lambda: not marked_processes(mark), "the build's process ends")

    def test_a_talking_build_is_cancelled_too(
        self, docker_engine: Engine, environment: Environment, base_image: str
    ) -> None:
        _write_dockerfile(environment, base_image, "RUN while :; do echo talking; sleep 0.1; done")
        with pytest.raises(ImageBuildError, match=rf"(?s)longer than {3 * SLOWNESS:g} s.*talking"):
            docker_engine.prepare("talking", environment, timeout=3 * SLOWNESS)

    def test_one_builder_at_a_time(
        self, environment: Environment, base_image: str, api: docker.APIClient
    ) -> None:
        # Two builds at once would leave two images: neither finds its layers in a cache.
        _write_dockerfile(environment, base_image, "RUN sleep 1; date +%N > /stamp")
        engines = [DockerEngine(), DockerEngine()]
        with ThreadPoolExecutor() as both:
            tags = list(
                both.map(
                    lambda one: one.prepare("same", environment, timeout=60 * SLOWNESS), engines
                )
            )
        assert len(set(tags)) == 1
        assert len(_built(api, environment)) == 1
        for engine in engines:
            engine.close()

    def test_present_image_is_taken_as_it_is(
        self, docker_engine: Engine, environment: Environment, base_image: str
    ) -> None:
        prebuilt = replace(environment, image=base_image, dockerfile=None)
        assert docker_engine.prepare("prebuilt", prebuilt, timeout=5) == base_image

    def test_pull_that_fails_tells_why(
        self, docker_engine: Engine, environment: Environment
    ) -> None:
        image = "127.0.0.1:9/no/such:image"
        with pytest.raises(ImagePullError, match=r"127\.0\.0\.1:9.*(refused|connect)"):
            docker_engine.prepare("pulled", replace(environment, image=image), timeout=20)

    def test_pull_that_hangs_ends_at_its_deadline(
        self, docker_engine: Engine, environment: Environment
    ) -> None:
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen()
            image = f"127.0.0.1:{silent.getsockname()[1]}/silent:image"
            with pytest.raises(ImagePullError, match=r"within 1 s"):
                docker_engine.prepare("hung", replace(environment, image=image), timeout=1)


def _write_dockerfile(environment: Environment, base_image: str, instructions: str) -> None:
    """Write a Dockerfile whose every layer bears a label, so that all can be removed again."""
    assert environment.dockerfile is not None
    environment.dockerfile.write_text(
        f"FROM {base_image}\nLABEL {_label(environment)}\n{instructions}\n"
    )


def _label(environment: Environment) -> str:
    assert environment.context is not None
    return f"reseval-test={(environment.context / 'unique').read_text()}"


def _remove_images(api: docker.APIClient, label: str) -> bool:
    """Remove what bears the label; False while a cancelled build still holds on to some of it."""
    for image in api.images(filters={"label": label}):
        with suppress(APIError):
            api.remove_image(image["Id"], force=True)
    return not api.images(filters={"label": label})


def _built(api: docker.APIClient, environment: Environment) -> list[str]:
    """Ids of all images that were built from this context."""
    label = f"org.pytest-reseval.digest={environment.context_digest}"
    return [image["Id"] for image in api.images(filters={"label": label})]


class Relay:
    """A socket that passes everything on to the engine until it is cut or stalled."""

    def __init__(self, path: Path, engine: str) -> None:
        self._engine = engine
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(path))
        self._listening.listen()
        self._open: list[socket.socket] = []
        self._answers: list[bytes] = []
        self._flows = threading.Event()
        self._flows.set()
        threading.Thread(target=self._accept, daemon=True).start()

    def has_told_the_process_of(self, mark: str) -> bool:
        """Whether the client has been told which process its command with this argument is."""
        return any(
            mark.encode() in one and re.search(rb'"Pid":[1-9]', one) for one in self._answers
        )

    def stall(self) -> None:
        """Pass nothing on any more, but keep the connections."""
        self._flows.clear()

    def cut(self) -> None:
        """Close everything, as an engine does that dies."""
        self._flows.set()
        for end in (self._listening, *self._open):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with suppress(OSError), self._listening:
            while True:
                near, _ = self._listening.accept()
                threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _serve(self, near: socket.socket) -> None:
        with near, socket.socket(socket.AF_UNIX) as far:
            far.connect(self._engine)
            self._open += [near, far]
            arguments = (far, near, self._answers)
            answers = threading.Thread(target=self._pass_on, args=arguments, daemon=True)
            answers.start()
            self._pass_on(near, far, [])
            answers.join()

    def _pass_on(self, source: socket.socket, sink: socket.socket, passed: list[bytes]) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                self._flows.wait()
                sink.sendall(data)
                passed.append(data)
            sink.shutdown(socket.SHUT_WR)


# docker-py leaves its socket open when nobody listens any more.
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
class TestLostEngine:
    @pytest.fixture
    def relay(
        self, api: docker.APIClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> Iterator[Relay]:
        """A relay before the engine, where DOCKER_HOST points now."""
        if not client.address().startswith("unix://"):
            pytest.skip("the relay speaks to a Unix socket only")
        relay = Relay(tmp_path / "relay.sock", client.address().removeprefix("unix://"))
        monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/relay.sock")
        yield relay
        relay.cut()
        gc.collect()

    @pytest.fixture
    def relayed(self, relay: Relay, base_image: str) -> Iterator[Sandbox]:
        """A sandbox whose engine can be lost."""
        engine = DockerEngine()
        sandbox = engine.start(SandboxRequest("relayed", base_image, RESOURCES))
        yield sandbox
        relay.cut()
        with suppress(EngineLost):
            sandbox.close()
        engine.close()

    @pytest.fixture(autouse=True)
    def swept(self, relayed: DockerSandbox, api: docker.APIClient) -> Iterator[None]:
        """Remove the container past the relay, once it has been cut."""
        yield
        with suppress(NotFound):
            api.remove_container(relayed.id, force=True)

    def test_before_a_command(self, relay: Relay, relayed: Sandbox) -> None:
        relay.cut()
        with pytest.raises((EngineLost, SandboxLost)):
            relayed.exec("true")

    @pytest.mark.parametrize("identified", [False, True])
    def test_while_a_command_runs(
        self, relay: Relay, relayed: Sandbox, mark: str, identified: bool
    ) -> None:
        def cut() -> None:
            wait_for_process(mark)
            if identified:
                wait_until(lambda: relay.has_told_the_process_of(mark), "the process is told")
            relay.cut()

        with ThreadPoolExecutor() as beside:
            done = beside.submit(cut)
            with pytest.raises((EngineLost, SandboxLost)):
                relayed.exec(["sleep", mark], timeout=PATIENCE)
            done.result()

    def test_a_silent_engine_does_not_outlast_the_timeout(
        self, relay: Relay, relayed: Sandbox, mark: str
    ) -> None:
        def stall() -> None:
            # before that, EngineLost would be right
            wait_until(lambda: relay.has_told_the_process_of(mark), "the process is told")
            relay.stall()

        with ThreadPoolExecutor() as beside:
            done = beside.submit(stall)
            result = relayed.exec(["sleep", mark], timeout=3 * SLOWNESS)
            done.result()
        assert result.timed_out
        assert marked_processes(mark) == []

    def test_closing_tells_and_lets_the_container_end(
        self, relay: Relay, relayed: Sandbox, mark: str
    ) -> None:
        assert relayed.exec(f"(setsid sleep {mark} >/dev/null 2>&1 &)").ok
        wait_for_process(mark)
        relay.cut()
        with pytest.raises(EngineLost):
            relayed.close()
        wait_until(lambda: not marked_processes(mark), "the container ends by itself")


@pytest.mark.root
class TestOrdinaryUser:
    def test_who_may_not_signal_kills_from_inside(
        self, docker_engine: Engine, base_image: str, mark: str
    ) -> None:
        address = client.address()
        if not address.startswith("unix://"):
            pytest.skip("only a Unix socket lets its group in")
        group = Path(address.removeprefix("unix://")).stat().st_gid
        done = subprocess.run(
            [sys.executable, "-c", _AS_NOBODY],
            input=f"{group} {base_image} {mark}",
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            timeout=60 * SLOWNESS,
            check=False,
        )
        assert done.stdout == "AccessDenied\nTrue []\nafter\nTrue\nFalse\n", done.stderr


_AS_NOBODY = """
import os, sys
from contextlib import closing
import psutil
from tests.engines.conftest import marked_processes, wait_for_process
from pytest_reseval.engines.docker import DockerEngine
from pytest_reseval.engines.base import SandboxRequest
from pytest_reseval.resources import MIB, Resources
group, image, mark = sys.stdin.read().split()
resources = Resources(64 * MIB, None, 0.5, None, 64, 1024 * MIB)
engine = DockerEngine()
# Everything is imported before the interpreter's own files may be out of reach.
with closing(engine.start(SandboxRequest("root", image, resources))) as sandbox:
    sandbox.exec(["sleep", "600"], timeout=0.5)
os.setgroups([int(group)])
os.setresgid(65534, 65534, 65534)
os.setresuid(65534, 65534, 65534)
sandbox = engine.start(SandboxRequest("nobody", image, resources))
try:
    sandbox.exec(f"(setsid sleep 0{mark} >/dev/null 2>&1 &)")
    try:
        wait_for_process("0" + mark).kill()
    except psutil.AccessDenied as denied:
        print(type(denied).__name__)
    result = sandbox.exec(f"sh -c 'sleep {mark} & wait' & sleep {mark}", timeout=1)
    print(result.timed_out, marked_processes(mark))
    print(sandbox.exec("echo after").stdout, end="")
    sandbox.exec("head -c 20M /dev/zero > /file")
    print(20 * MIB <= sandbox.disk_used() < 21 * MIB)
    sandbox.kill()
    print(sandbox.alive())
finally:
    sandbox.close()
"""
