"""A lenient memory limit: standing above it is tolerated for a while, then the sandbox is ended.

Some sandbox providers behave so. What counts is memory that reclaim can hardly give back: under a
hard limit the kernel would take file cache back before it killed anything.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from threading import Thread

from pytest_reseval.cgroups.meter import Sample
from pytest_reseval.engines.base import EngineError
from pytest_reseval.resources import format_memory


class GraceWatch:
    """Watches the samples of one sandbox and ends it, once.

    ``limit`` is in bytes, ``grace`` in seconds of standing above it without a break; ``end`` ends
    the sandbox and may raise EngineError.
    """

    def __init__(self, limit: int, grace: float, end: Callable[[], None]) -> None:
        self._limit = limit
        self._grace = grace
        self._end = end
        self._above_since: float | None = None
        self._exceeded: float | None = None

    @property
    def exceeded(self) -> float | None:
        """Seconds it had stood above its limit when it was ended for that; None if it was not."""
        return self._exceeded

    def note(self, sample: Sample) -> None:
        """Look at one sample; another thread ends the sandbox, so that sampling goes on."""
        if self._exceeded is not None:
            return
        if sample.nonreclaimable <= self._limit:
            self._above_since = None
            return
        if self._above_since is None:
            self._above_since = sample.time
        stood = sample.time - self._above_since
        if stood > self._grace:
            self._exceeded = stood
            Thread(target=self._end_it, name="reseval-grace", daemon=True).start()

    def _end_it(self) -> None:
        with suppress(EngineError):
            self._end()


def beyond_grace(stood: float, limit: int) -> str:
    """The sentence for a sandbox that was ended after ``stood`` seconds above ``limit`` bytes."""
    return f"the sandbox was ended after {stood:.1f} s above its limit of {format_memory(limit)}"
