"""Everything that knows pytest-xdist. Registered only where xdist is."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from typing import Any

import pytest

from pytest_reseval.plugin.run import Run
from pytest_reseval.plugin.tally import Tally


class Distribution:
    """The controller's side: what workers are told, and what is done when one dies."""

    def __init__(self, run: Run, tally: Tally) -> None:
        self._run = run
        self._tally = tally
        self._workers: set[int] = set()
        """Processes of the workers on this machine."""

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a worker which run it belongs to."""
        node.workerinput["reseval"] = self._run.to_worker()
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
        """Know how many items there are to run."""
        self._tally.selected = len(ids)

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
        """Call the trial that a dead worker was running what it is: an infra-error."""
        from pytest_reseval.plugin.verdicts import failure_text, mark

        worker = report.node.gateway.id if hasattr(report, "node") else None
        obituary = self._run.directory.obituary(worker) if worker else None
        if obituary is None or obituary.trial != crashitem:
            return
        self._run.directory.append(obituary)
        self._run.directory.retract(obituary.worker)
        report.when = "setup"
        report.longrepr = failure_text(obituary)
        mark(report, obituary)


def spread_evenly(config: pytest.Config) -> None:
    """Hand out one item at a time: a waiting item cannot be taken back from its worker."""
    if config.getoption("maxschedchunk", None) is None:
        config.option.maxschedchunk = 1
