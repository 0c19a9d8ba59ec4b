"""Handles and trees, on real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Collection

import psutil
import pytest

from pytest_reseval.engines.docker.processes import (
    ProcessHandle,
    in_container,
    kill_tree,
    namespace_depth,
    numbers_inside,
    send_directly,
)


def test_a_handle_sees_the_end() -> None:
    child = subprocess.Popen(["sleep", "60"])
    handle = ProcessHandle(child.pid)
    assert not handle.ended()
    assert not handle.ending()
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert handle.ended()
    assert handle.ending()
    child.wait()
    assert handle.ended()
    assert handle.ending()
    handle.close()
    handle.close()
    assert handle.ended()


def test_there_is_no_handle_on_what_is_gone() -> None:
    child = subprocess.Popen(["true"])
    child.wait()
    with pytest.raises(ProcessLookupError):
        ProcessHandle(child.pid)


def test_a_tree_is_killed_whole() -> None:
    script = "sh -c 'sleep 60 & sleep 60 & wait' & sleep 60 & wait"
    child = subprocess.Popen(["sh", "-c", script])
    tree: list[psutil.Process] = []
    while [process.name() for process in tree].count("sleep") < 3:
        time.sleep(0.01)
        tree = psutil.Process(child.pid).children(recursive=True)
    assert kill_tree(child.pid, send_directly)
    assert child.wait() == -signal.SIGKILL
    assert not any(
        process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in tree
    )


def test_everything_is_stopped_before_anything_is_killed() -> None:
    sent: list[signal.Signals] = []

    def send(processes: Collection[psutil.Process], which: signal.Signals) -> None:
        if processes:
            sent.append(which)
        send_directly(processes, which)

    child = subprocess.Popen(["sh", "-c", "sleep 60 & echo up; wait"], stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    assert kill_tree(child.pid, send)
    assert sent == [signal.SIGSTOP, signal.SIGSTOP, signal.SIGKILL]
    child.wait()
    child.stdout.close()


def test_a_tree_that_is_gone_is_no_error() -> None:
    child = subprocess.Popen(["true"])
    child.wait()
    assert kill_tree(child.pid, send_directly)


def test_a_stranger_is_in_no_container() -> None:
    assert not in_container(os.getpid(), "0123456789abcdef" * 4)


def test_process_numbers_of_namespaces() -> None:
    us = psutil.Process()
    assert numbers_inside([us], namespace_depth(us.pid))[0].isdigit()
    assert numbers_inside([us], namespace_depth(us.pid) + 1) == []
