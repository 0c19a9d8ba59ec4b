"""Only what is proved to be left behind counts as left behind."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from pytest_reseval.engines.docker.orphans import (
    Place,
    is_orphan,
    owner_labels,
    process_has_ended,
)

HERE = Place(host="host", boot="boot", pid_namespace="pid:[1]")
LABELS = {
    "org.pytest-reseval.host": "host",
    "org.pytest-reseval.boot": "boot",
    "org.pytest-reseval.pid-namespace": "pid:[1]",
    "org.pytest-reseval.owner-pid": "12",
    "org.pytest-reseval.owner-start": "345",
}


def _dead(pid: int, started: int) -> bool:
    assert (pid, started) == (12, 345)
    return True


def _unasked(pid: int, started: int) -> bool:
    raise AssertionError("nobody may be asked for a process of another place")


def test_a_dead_owner_leaves_an_orphan() -> None:
    assert is_orphan(LABELS, HERE, _dead)


def test_a_living_owner_does_not() -> None:
    assert not is_orphan(LABELS, HERE, lambda pid, started: False)


def test_an_earlier_boot_proves_it() -> None:
    assert is_orphan(LABELS | {"org.pytest-reseval.boot": "earlier"}, HERE, _unasked)


@pytest.mark.parametrize(
    "labels",
    [
        {},
        {"other": "label"},
        LABELS | {"org.pytest-reseval.host": "another"},
        LABELS | {"org.pytest-reseval.host": "another", "org.pytest-reseval.boot": "earlier"},
        LABELS | {"org.pytest-reseval.pid-namespace": "pid:[2]"},
        LABELS | {"org.pytest-reseval.owner-pid": "twelve"},
        {key: value for key, value in LABELS.items() if not key.endswith("owner-start")},
        {key: value for key, value in LABELS.items() if not key.endswith("boot")},
    ],
)
def test_what_proves_nothing(labels: dict[str, str]) -> None:
    assert not is_orphan(labels, HERE, _unasked)


def test_our_own_labels_name_a_living_owner() -> None:
    here = Place.here()
    assert not is_orphan(owner_labels(here), here, process_has_ended)


def test_a_process_is_known_by_number_and_start() -> None:
    here = Place.here()
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert child.stdin is not None
    started = int(owner_labels(here)["org.pytest-reseval.owner-start"])
    assert not process_has_ended(os.getpid(), started)
    assert process_has_ended(os.getpid(), started + 1)
    assert process_has_ended(child.pid, 0)
    child.stdin.close()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert process_has_ended(child.pid, 0), "a zombie owns nothing"
    child.wait()
    assert process_has_ended(child.pid, 0)
