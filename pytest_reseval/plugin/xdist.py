"""Everything that knows pytest-xdist. Registered only where xdist is."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from typing import Any

import pytest

from pytest_reseval.plugin.run import Run
from pytest_reseval.plugin.tally import Stage, Tally, is_of_a_task


class Distribution:
    """The controller's side: what workers are told, and what is done when one dies."""

    def __init__(self, run: Run, tally: Tally, collected: Callable[[Sequence[str]], None]) -> None:
        self._run = run
        self._tally = tally
        self._collected = collected
        self._scheduler: Any = None
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
        """Know what there is to run, before it is handed out."""
        if self._tally.selected:
            return
        self._collected(ids)
        if self._tally.trials:
            spread_evenly(self._scheduler)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object | None) -> None:
        """Remove the sandboxes of a worker that died."""
        if node.gateway.spec.popen:
            self._workers.discard(node.gateway._rinfo().pid)
        if error is not None and self._run.has_engine:
            from pytest_reseval.engines.base import EngineError

            with suppress(EngineError):  # an engine that is away is swept at the end of the run
                self._run.sweep()

    @pytest.hookimpl(optionalhook=True, wrapper=True)
    def pytest_xdist_make_scheduler(self) -> Generator[None, Any, Any]:
        """Have another worker run what a dead one was handed and had not begun."""
        self._scheduler = yield
        hand_on(self._scheduler, self._was_begun, self._is_over)
        return self._scheduler

    def _was_begun(self, nodeid: str) -> bool:
        if not is_of_a_task(nodeid) or self._tally.stage(nodeid) is not None:
            return True
        directory = self._run.directory
        return directory.obituary(nodeid) is not None or directory.find(nodeid) is not None

    def _is_over(self, nodeid: str) -> bool:
        return is_of_a_task(nodeid) and self._tally.stage(nodeid) is Stage.OVER

    @pytest.hookimpl(optionalhook=True)
    def pytest_handlecrashitem(
        self, crashitem: str, report: pytest.TestReport, sched: object
    ) -> None:
        """Tell of the trial that a dead worker was running.

        It is an infra-error, unless its verdict is on file and only its report was lost. If that
        came too nothing was lost: the worker died before it could say that it is done.
        """
        from pytest_reseval.plugin.verdicts import as_teardown, retell

        if is_of_a_task(crashitem) and self._tally.stage(crashitem) is Stage.DECIDED:
            as_teardown(report)
            return
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


MOST_HANDED_ON = 2
"""What kills three workers before it has begun is more than chance."""


def hand_on(
    scheduler: Any, was_begun: Callable[[str], bool], is_over: Callable[[str], bool]
) -> None:
    """Have one of xdist's schedulers give to others what a dead worker had not begun.

    To xdist the first item that a worker has not finished is the one that it died of. But a worker
    can be killed between two items, or before its first.
    """
    remove_node = scheduler.remove_node
    handed_on: Counter[str] = Counter()

    def remove(node: Any) -> str | None:
        item: str | None = remove_node(node)
        if item is None or is_over(item):
            return None
        if was_begun(item) or handed_on[item] == MOST_HANDED_ON:
            return item
        handed_on[item] += 1
        scheduler.mark_test_pending(item)
        return None

    scheduler.remove_node = remove


UNSOUND = frozenset({"each", "loadscope", "loadfile", "loadgroup"})
"""Ways to distribute in which an item may be run again, or by all, and so have two verdicts."""


def refuse_unsound(config: pytest.Config) -> None:
    """Raise pytest.UsageError for a way to distribute under which verdicts would not count."""
    way = config.getoption("dist", "no")
    if way in UNSOUND and config.getoption("tx", None):
        raise pytest.UsageError(
            f"--dist={way}: each trial is run once, and this way xdist runs some twice, as when a "
            "worker dies; use --dist=load or --dist=worksteal, or leave it out"
        )


def spread_evenly(scheduler: Any) -> None:
    """Hand out one item at a time: a waiting item cannot be taken back from its worker.

    Unless the user typed how many; xdist's other schedulers know no such number.
    """
    if getattr(scheduler, "maxschedchunk", 1) is None:
        scheduler.maxschedchunk = 1
