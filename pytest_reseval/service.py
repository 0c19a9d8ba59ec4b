"""What an agent's own service cost in time, as the agent tells it: descriptive, never a verdict."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from pytest_reseval.engines.base import Sandbox, SandboxFileError, SandboxFileMissing

SERVICE_FILE = "/logs/agent/service.json"
"""Where an agent that runs in the sandbox may leave its report."""

_LARGEST_REPORT = 4096
_MOST = 10**9


@dataclass(frozen=True, slots=True)
class ServiceUse:
    """What an agent's calls to its own service came to in one trial; None: not told.

    ``requests`` counts calls, ``errors`` those of them that failed, whether or not they were tried
    again. ``seconds`` is the time until their answers, summed over calls: of calls at once it may
    exceed the clock.
    """

    requests: int | None = None
    seconds: float | None = None
    errors: int | None = None

    @property
    def latency(self) -> float | None:
        """Seconds a call; None where that was not told."""
        return self.seconds / self.requests if self.seconds is not None and self.requests else None


class _Report(msgspec.Struct, forbid_unknown_fields=True):
    """The fields of ``ServiceUse`` as JSON has them: nothing else, and no null."""

    requests: int | msgspec.UnsetType = msgspec.UNSET
    seconds: float | msgspec.UnsetType = msgspec.UNSET
    errors: int | msgspec.UnsetType = msgspec.UNSET


def read_service(sandbox: Sandbox) -> tuple[ServiceUse | None, str | None]:
    """The report that was left in the sandbox, or None and what is wrong with it, if there is one.

    Raises SandboxLost or EngineLost.
    """
    try:
        return parse_service(sandbox.read(SERVICE_FILE, max_bytes=_LARGEST_REPORT)), None
    except SandboxFileMissing:
        return None, None
    except (SandboxFileError, ValueError) as error:
        return None, f"{SERVICE_FILE}: {error}"


def parse_service(content: bytes) -> ServiceUse:
    """The report in a flat JSON object. Raises ValueError for anything else."""
    try:
        told = msgspec.to_builtins(msgspec.json.decode(content, type=_Report))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(
            f"not an object of requests, seconds and errors, each a number ({error})"
        ) from None
    return checked(ServiceUse(**told))


def checked(told: object) -> ServiceUse:
    """A report that makes sense, whoever made it. Raises ValueError."""
    figures = {name: getattr(told, name, None) for name in ("requests", "seconds", "errors")}
    known = {name: figure for name, figure in figures.items() if figure is not None}
    if not known:
        raise ValueError("it says nothing")
    for name, figure in known.items():
        whole = name != "seconds"
        if type(figure) is not int and (whole or type(figure) is not float):
            raise ValueError(f"{name} is no {'whole number' if whole else 'number'}")
        if not 0 <= figure <= _MOST:
            raise ValueError(f"{name} is not from 0 to {_MOST}")
    if known.get("errors", 0) > known.get("requests", _MOST):
        raise ValueError("more errors than requests")
    return ServiceUse(**known)
