"""Finding and removing what dead owners left of sandboxes on this host."""

from __future__ import annotations

from pathlib import Path

from pytest_reseval.cgroups import control
from pytest_reseval.cgroups.control import CgroupError
from pytest_reseval.engines.base import EngineUnavailable
from pytest_reseval.engines.local import rootfs, state
from pytest_reseval.janitor import CannotRemove, Orphan, whose

CGROUP_PREFIX = "pytest-reseval-"
"""What the name of a sandbox's cgroup has before that of its private directory."""


class LocalJanitor:
    """Cgroups of dead owners, and their private directories in ``directory``.

    Mounts need no removal: they end with the sandbox's last process.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def orphans(self) -> list[Orphan]:
        """See ``Janitor.orphans``. A cgroup is known by its name, even without a directory."""
        privates = self._privates()
        cgroups = {path.name for path in control.named(CGROUP_PREFIX)}
        for private in privates:
            cgroups.update(path.name for path in _recorded(private))
        dead = sorted(name for name in cgroups if state.is_orphan(_private_name(name)))
        return [
            *(Orphan("cgroup", name, self._owner(_private_name(name)), name) for name in dead),
            *(
                Orphan("directory", str(private), self._owner(private.name), str(private))
                for private in privates
            ),
        ]

    def remove(self, orphan: Orphan) -> None:
        """See ``Janitor.remove``. Processes that are still in a cgroup are killed."""
        try:
            if orphan.kind == "cgroup":
                recorded = _recorded(self._directory / _private_name(orphan.handle))
                control.remove({*control.named(orphan.handle), *recorded})
            else:
                state.remove(Path(orphan.handle))
        except (OSError, CgroupError) as error:
            raise CannotRemove(str(error)) from error

    def _privates(self) -> list[Path]:
        if not self._directory.exists():
            return []
        try:
            state.prepare_directory(self._directory)
            return state.orphans(self._directory)
        except (OSError, state.StateError) as error:
            raise CannotRemove(str(error)) from error

    def _owner(self, private_name: str) -> str:
        labels = state.recorded_labels(self._directory / private_name)
        pid = state.owner_pid(private_name)
        return whose(run=labels.get("run"), trial=labels.get("trial"), pid=pid)


def default_janitor() -> LocalJanitor:
    """The janitor of this user's sandboxes. Raises EngineUnavailable where there can be none."""
    try:
        mounts = rootfs.mountpoints(Path("/proc/self/mountinfo").read_text())
        return LocalJanitor(state.choose_directory(mounts))
    except (OSError, state.StateError) as error:
        raise EngineUnavailable(str(error)) from error


def _private_name(cgroup: str) -> str:
    return cgroup.removeprefix(CGROUP_PREFIX)


def _recorded(private: Path) -> list[Path]:
    """The cgroups noted for a sandbox that still are, and are named as only its own can be."""
    return [
        path
        for path in state.recorded_cgroups(private)
        if path.name == f"{CGROUP_PREFIX}{private.name}" and path.exists()
    ]
