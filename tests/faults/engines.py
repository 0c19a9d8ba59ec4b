"""A Docker engine of a test's own, which may be killed without harm to others."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from tests.waiting import until


class PrivateEngine:
    """dockerd with its own data, socket and network namespace; ``address`` is for DOCKER_HOST."""

    def __init__(self, folder: Path, cgroup_parent: str) -> None:
        self.address = f"unix://{folder}/docker.sock"
        self._command = [
            *("unshare", "--net", "dockerd"),
            f"--host={self.address}",
            f"--data-root={folder}/data",
            f"--exec-root={folder}/exec",
            f"--pidfile={folder}/dockerd.pid",
            f"--cgroup-parent={cgroup_parent}",
        ]
        self.folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        Path(f"{self.folder}/dockerd.pid").unlink(missing_ok=True)
        with (self.folder / "dockerd.log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        until(self._answers)

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.folder / "dockerd.log").read_text()[-3000:]
        return not self._docker("version").returncode

    def _docker(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = ["docker", f"--host={self.address}", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def kill(self) -> None:
        """``kill -9`` of it and of the containerd that it started; containers' shims live on."""
        assert self._process is not None
        helpers = psutil.Process(self._process.pid).children(recursive=True)
        self._process.kill()
        self._process.wait()
        for helper in helpers:
            with suppress(psutil.Error):
                if helper.name() in ("dockerd", "containerd"):
                    helper.kill()
                    helper.wait()

    def containers(self) -> list[str]:
        """The names of all containers that it knows."""
        return self._docker("ps", "--all", "--format={{.Names}}").stdout.split()

    def first_process(self, container: str) -> psutil.Process:
        """The first process of a container that runs."""
        told = self._docker("inspect", "--format={{.State.Pid}}", container)
        return psutil.Process(int(told.stdout))

    def remove(self, container: str) -> bool:
        """Kill and remove a container; False if that cannot be done any more."""
        return not self._docker("rm", "--force", container).stderr

    def copy_image(self, name: str) -> None:
        """Bring in an image of the engine that everybody uses."""
        with subprocess.Popen(["docker", "save", name], stdout=subprocess.PIPE) as saving:
            loading = ["docker", f"--host={self.address}", "load"]
            subprocess.run(loading, stdin=saving.stdout, check=True, stdout=subprocess.DEVNULL)

    def end(self) -> None:
        """End it with all that it started."""
        assert self._process is not None
        self._process.terminate()
        self._process.wait()
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if str(self.folder) in " ".join(process.cmdline()):
                    process.kill()


@contextmanager
def private_engine(cgroup_parent: str, image: str) -> Iterator[PrivateEngine]:
    """An engine that holds the image, and is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="reseval-engine-", dir="/var/tmp"))
    engine = PrivateEngine(folder, cgroup_parent)
    try:
        engine.start()
        engine.copy_image(image)
        yield engine
    finally:
        engine.end()
        for mount in reversed(psutil.disk_partitions(all=True)):
            if mount.mountpoint.startswith(f"{folder}/"):
                subprocess.run(["umount", "--lazy", mount.mountpoint], check=False)
        shutil.rmtree(folder, ignore_errors=True)
