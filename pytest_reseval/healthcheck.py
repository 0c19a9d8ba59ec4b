"""Waiting until a sandbox is ready, by the rules of Docker's HEALTHCHECK."""

from __future__ import annotations

import time

from pytest_reseval.engines.base import EngineError, Sandbox
from pytest_reseval.tasks.model import Healthcheck


class Unhealthy(EngineError):
    """The check failed as often in a row as it may."""

    cause = "healthcheck"


def wait_until_healthy(sandbox: Sandbox, check: Healthcheck) -> None:
    """Run the check until it passes.

    Failures within ``start_period`` seconds do not count, and checks then follow each other every
    ``start_interval`` seconds instead of every ``interval``. Raises Unhealthy after ``retries``
    counted failures in a row.
    """
    began = time.monotonic()
    failures = 0
    while True:
        starting = time.monotonic() - began < check.start_period
        result = sandbox.exec(check.command, timeout=check.timeout)
        if result.ok:
            return
        if not starting:
            failures += 1
        if failures >= check.retries:
            ending = (
                f"ran longer than {check.timeout:g} s"
                if result.timed_out
                else f"ended with exit code {result.exit_code}"
            )
            raise Unhealthy(
                f"the healthcheck failed {failures} times in a row; at last it {ending}: "
                f"{(result.stdout + result.stderr).strip()[-500:] or 'no output'}"
            )
        time.sleep(check.start_interval if starting else check.interval)
