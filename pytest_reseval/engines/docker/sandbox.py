"""One container as a sandbox."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, cast

from docker.errors import APIError, NotFound

from pytest_reseval.cgroups.meter import Meter
from pytest_reseval.engines.base import (
    Enforced,
    EngineError,
    EngineLost,
    ExecResult,
    SandboxFileError,
    SandboxFileMissing,
    SandboxLost,
)
from pytest_reseval.engines.docker import archive, commands, endings
from pytest_reseval.engines.docker.client import (
    CALL_TIMEOUT,
    Client,
    Hijacked,
    engine_answers,
    raise_for_status,
    reason,
)
from pytest_reseval.engines.docker.disk import ContainerDisk
from pytest_reseval.engines.docker.idle import HEART
from pytest_reseval.engines.docker.orphans import remove_container
from pytest_reseval.engines.docker.processes import PATIENCE, ProcessHandle

_STAT_HEADER = "X-Docker-Container-Path-Stat"


class DockerSandbox:
    """A running container that lives as long as ``stdin`` is attached; see ``Sandbox``."""

    def __init__(
        self,
        client: Client,
        container_id: str,
        stdin: Hijacked,
        first_process: ProcessHandle,
        enforced: Enforced,
        meter: Meter,
        disk: ContainerDisk,
    ) -> None:
        self.enforced = enforced
        self.meter = meter
        self.id = container_id
        self._client = client
        self._stdin = stdin
        self._first_process = first_process
        self._disk = disk
        self._removed = False
        HEART.add(stdin)

    def exec(
        self,
        command: str | Sequence[str],
        *,
        timeout: float | None = None,
        user: str | None = None,
        env: Mapping[str, str] | None = None,
        workdir: str | None = None,
    ) -> ExecResult:
        """See ``Sandbox.exec``. A command that the engine cannot start has exit code 126.

        A missing ``workdir`` is made, by the user who runs the command.
        """
        self._check_alive()
        return commands.run(
            self._client,
            self.id,
            self._first_process,
            command,
            timeout=timeout,
            user=user,
            env=env,
            workdir=workdir,
        )

    def put(self, source: Path, target: str) -> None:
        """See ``Sandbox.put``. Raises SandboxFileError when the sandbox has no room or no place."""
        self._check_alive()
        path = _absolute(target)
        if source.is_dir() and not source.is_symlink():
            existing, missing = self._locate(path)
            packed = archive.pack(source, None, missing)
        else:
            existing, missing = self._locate(path.parent)
            packed = archive.pack(source, path.name, missing)
        with packed:
            self._upload(existing, packed)

    def write(self, path: str, data: bytes, mode: int = 0o644) -> None:
        """See ``Sandbox.write``. What stood at ``path`` is replaced, a symlink too."""
        self._check_alive()
        target = _absolute(path)
        existing, missing = self._locate(target.parent)
        self._upload(existing, archive.pack_bytes(data, target.name, mode, missing))

    def read(self, path: str, *, max_bytes: int) -> bytes:
        """See ``Sandbox.read``. Only the last part of the path may not be a symlink."""
        with self._download(path) as (stat, stream):
            if not stat.regular:
                raise SandboxFileError(f"{path} in the sandbox is not a regular file")
            archive.check_size(path, stat.size, max_bytes)
            return archive.unpack_file(stream, path, max_bytes)

    def fetch(self, path: str, target: Path, *, max_bytes: int, max_files: int) -> int:
        """See ``Sandbox.fetch``. Only the last part of the path may not be a symlink."""
        with self._download(path) as (_, stream):
            return archive.unpack_tree(
                stream, path, target, max_bytes=max_bytes, max_files=max_files
            )

    @contextmanager
    def _download(self, path: str) -> Iterator[tuple[archive.PathStat, archive.Readable]]:
        self._check_alive()
        with self._answers(f"reading {path}"):
            response = self._client.get(
                self._archive_endpoint(),
                params={"path": str(_absolute(path))},
                headers={"Accept-Encoding": "identity"},
                stream=True,
                timeout=CALL_TIMEOUT,
            )
            with closing(response):
                try:
                    raise_for_status(response)
                except NotFound as error:
                    self._check_alive()
                    raise SandboxFileMissing(f"{path} is missing in the sandbox") from error
                stat = archive.PathStat.from_header(response.headers[_STAT_HEADER])
                yield stat, cast(archive.Readable, response.raw)

    def disk_used(self) -> int | None:
        """See ``Sandbox.disk_used``."""
        return self._disk.used()

    def kill(self) -> None:
        """See ``Sandbox.kill``. Raises EngineLost when the engine cannot do it."""
        if not self.alive():
            return
        self.meter.counters()
        try:
            self._first_process.kill()
        except PermissionError:
            self._kill_by_engine()
        if not self._first_process.wait(PATIENCE):
            raise EngineLost("a sandbox that was killed does not end")

    def _kill_by_engine(self) -> None:
        try:
            with engine_answers("killing a sandbox"):
                self._client.kill(self.id)
        except APIError as error:
            if self.alive():
                raise EngineLost(f"a sandbox cannot be killed: {reason(error)}") from error

    def alive(self) -> bool:
        """See ``Sandbox.alive``; known from the kernel without asking the engine."""
        return not self._first_process.ended()

    def explain(self, lost: SandboxLost) -> EngineError:
        """See ``Sandbox.explain``."""
        return endings.explain(self._client, self.id, lost)

    def close(self) -> None:
        """See ``Sandbox.close``. Raises EngineLost when the engine does not answer."""
        if self._removed:
            return
        HEART.discard(self._stdin)
        try:
            with engine_answers("removing a sandbox"):
                remove_container(self._client, self.id)
            self._removed = True
        except APIError as error:
            raise EngineLost(f"a sandbox cannot be removed: {reason(error)}") from error
        finally:
            # Without its input the container ends by itself, even if the engine is gone.
            self._stdin.close()
            self._first_process.close()
            self.meter.close()

    def _locate(self, directory: PurePosixPath) -> tuple[PurePosixPath, list[str]]:
        """The nearest existing directory, and the names that are missing below it."""
        missing: list[str] = []
        while directory != directory.parent and not self._exists(directory):
            missing.insert(0, directory.name)
            directory = directory.parent
        return directory, missing

    def _exists(self, path: PurePosixPath) -> bool:
        with self._answers(f"looking for {path}"):
            response = self._client.head(
                self._archive_endpoint(), params={"path": str(path)}, timeout=CALL_TIMEOUT
            )
            try:
                raise_for_status(response)
            except NotFound:
                self._check_alive()
                return False
        return True

    def _upload(self, directory: PurePosixPath, packed: IO[bytes]) -> None:
        with self._answers(f"writing into {directory}"):
            response = self._client.put(
                self._archive_endpoint(),
                params={"path": str(directory)},
                data=packed,
                timeout=CALL_TIMEOUT,
            )
            raise_for_status(response)

    def _archive_endpoint(self) -> str:
        return self._client.endpoint(f"/containers/{self.id}/archive")

    def _check_alive(self) -> None:
        if not self.alive():
            raise SandboxLost("the sandbox has ended")

    @contextmanager
    def _answers(self, doing: str) -> Iterator[None]:
        """An engine that refuses a path answers: what is there is the agent's doing."""
        try:
            with engine_answers(doing):
                yield
        except APIError as error:
            self._check_alive()
            raise SandboxFileError(f"{doing} in the sandbox fails: {reason(error)}") from error


def _absolute(path: str) -> PurePosixPath:
    pure = PurePosixPath(path)
    if not pure.is_absolute() or ".." in pure.parts:
        raise ValueError(f"{path!r} is not an absolute path without '..'")
    return pure
