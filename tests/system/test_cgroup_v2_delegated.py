"""An ordinary user with a delegated cgroup: ``systemd-run --user --scope -p Delegate=yes``."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from pytest_reseval.cgroups.control import CgroupError, find_home
from pytest_reseval.cgroups.locate import host_version
from pytest_reseval.engines.base import SandboxRequest
from pytest_reseval.engines.local import LocalEngine
from pytest_reseval.engines.local.sandbox import LocalSandbox
from pytest_reseval.resources import GIB, MIB, Resources

pytestmark = pytest.mark.delegated

HOG = "b = b'x' * (200 << 20)"


@pytest.fixture
def sandbox() -> Iterator[LocalSandbox]:
    """A sandbox of 64 MiB."""
    if os.geteuid() == 0 or host_version() != 2:
        pytest.skip("needs an ordinary user and cgroup v2")
    try:
        find_home()
    except (OSError, CgroupError) as error:
        pytest.skip(f"nothing is delegated here: {error}")
    engine = LocalEngine()
    resources = Resources(32 * MIB, 64 * MIB, 0.5, 2.0, 64, GIB)
    sandbox = engine.start(SandboxRequest("delegated", None, resources))
    yield sandbox
    sandbox.close()
    engine.close()


def test_the_kernel_enforces_what_was_asked(sandbox: LocalSandbox) -> None:
    enforced = sandbox.enforced
    assert enforced.by == "cgroup"
    assert enforced.memory_limit == enforced.memory_swap_limit == 64 * MIB
    assert enforced.cpu_limit == 2.0
    assert enforced.pids_limit == 64
    assert enforced.memory_reservation == 32 * MIB


def test_a_kill_at_the_limit_is_counted(sandbox: LocalSandbox) -> None:
    assert sandbox.exec(["python3", "-c", HOG]).exit_code == 128 + signal.SIGKILL
    counters = sandbox.meter.counters()
    assert counters.oom is not None
    assert counters.oom >= 1
    assert counters.oom_kill == 1
