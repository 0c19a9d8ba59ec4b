"""Everything that knows pytest-xdist. Registered only where xdist is."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import pytest

from pytest_reseval.plugin.run import Run
from pytest_reseval.plugin.tally import Tally


class Distribution:
    """The controller's side: what workers are told, and what is done when one dies."""

    def __init__(self, run: Run, tally: Tally, collected: Callable[[Sequence[str]], None]) -> None:
        self._run = run
        self._tally = tally
        self._collected = collected
        self._workers: set[int] = set()
        """Processes of the workers on this machine."""

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a worker which run it belongs to."""
        under_way = bool(self._tally.selected)
        node.workerinput["reseval"] = self._run.to_worker(under_way)
        if node.gateway.spec.popen:
            self._workers.add(node.gateway._rinfo().pid)

    def pytest_keyboard_interrupt(self) -> None:
        """Interrupt the workers too; xdist would let them go on for seconds, and then kill them."""
        for worker in self._workers:
            with suppress(ProcessLookupError):
                os.kill(worker, signal.SIGTERM)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """End the run before it starts when a worker found what can never be admitted."""
        if hasattr(report, "reseval_refusal"):
            raise pytest.UsageError(report.longreprtext)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any, ids: list[str]) -> None:
        """Know what there is to run."""
        self._collected(ids)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object | None) -> None:
        """Remove the sandboxes of a worker that died."""
        if node.gateway.spec.popen:
            self._workers.discard(node.gateway._rinfo().pid)
        if error is not None and self._run.has_engine:
            self._run.sweep()

    @pytest.hookimpl(optionalhook=True)
    def pytest_handlecrashitem(
        self, crashitem: str, report: pytest.TestReport, sched: object
    ) -> None:
        """Tell of the trial that a dead worker was running.

        It is an infra-error, unless its verdict is on file and only its report was lost.
        """
        from pytest_reseval.plugin.verdicts import retell

        if self._tally.has_verdict(crashitem):
            return
        directory = self._run.directory
        record = directory.find(crashitem)
        if record is None:
            record = directory.obituary(crashitem)
            if record is None:
                return
            directory.conclude(record)
        retell(report, record)


def spread_evenly(config: pytest.Config) -> None:
    """Hand out one item at a time: a waiting item cannot be taken back from its worker."""
    if config.getoption("maxschedchunk", None) is None:
        config.option.maxschedchunk = 1
