"""Running a script that was copied into a sandbox."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_reseval.engines.base import ExecResult, Sandbox


def run_script(
    sandbox: Sandbox,
    path: str,
    *,
    timeout: float | None,
    user: str | None,
    env: Mapping[str, str],
) -> ExecResult:
    """Run a script by its own first line, or by bash when its author forgot the executable bit."""
    return sandbox.exec(
        ["sh", "-c", 'if [ -x "$0" ]; then exec "$0"; fi; exec bash "$0"', path],
        timeout=timeout,
        user=user,
        env=env,
    )
