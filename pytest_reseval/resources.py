"""Quantities, and the arithmetic of guarantee, limit and headroom.

Memory is in bytes, CPU in cores, everywhere in this package. All suffixes of memory are powers of
1024, as in Docker's ``--memory`` and in Harbor's task files: ``2G``, ``2GB`` and ``2GiB`` are one.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from pytest_reseval.printable import shown

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB
TIB = 1024 * GIB

SMALLEST_LIMIT = 32 * MIB
"""Starting a container alone costs 4 to 15 MB; a lower limit measures the start, not the task."""

_UNITS = {"": 1, "b": 1, "k": KIB, "m": MIB, "g": GIB, "t": TIB}
_MEMORY = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([bkmgt]?)(?:i?b)?\s*", re.IGNORECASE)
_LARGEST_MEMORY = 1024 * TIB
_LARGEST_CORES = 4096.0


class QuantityError(ValueError):
    """A quantity that cannot be meant; the message says what was given and what is accepted."""


def parse_memory(value: str | int) -> int:
    """Bytes from ``"512MiB"``, ``"1.5G"`` or a whole number of bytes.

    Raises QuantityError for anything else, for zero, and for more than 1024 TiB.
    """
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise QuantityError(
            f"{shown(value)} is not an amount of memory; write it like '512MiB' or '2G'"
        )
    if isinstance(value, int):
        amount = value
    else:
        match = _MEMORY.fullmatch(value)
        if match is None:
            raise QuantityError(
                f"{shown(value)} is not an amount of memory; write it like '512MiB' or '2G'"
            )
        exact = float(match[1]) * _UNITS[match[2].lower()]
        amount = round(exact) if exact <= _LARGEST_MEMORY else _LARGEST_MEMORY + 1
    if not 0 < amount <= _LARGEST_MEMORY:
        raise QuantityError(f"{shown(value)} is not above zero and at most 1024 TiB")
    return amount


def format_memory(amount: int) -> str:
    """A short human form with a unit that keeps three figures: ``"512 MiB"``, ``"1.5 GiB"``."""
    for unit, name in ((TIB, "TiB"), (GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")):
        if amount >= unit:
            return f"{amount / unit:.4g} {name}"
    return f"{amount} B"


def parse_cores(value: str | float) -> float:
    """Cores from a number or its text. Raises QuantityError unless 0.01 <= cores <= 4096."""
    try:
        cores = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        cores = math.nan
    if not 0.01 <= cores <= _LARGEST_CORES:
        raise QuantityError(f"{shown(value)} is not a number of cores between 0.01 and 4096")
    return cores


_LONGEST_GRACE = 24 * 3600.0

_FACTOR = re.compile(r"([0-9]+(?:\.[0-9]+)?)x")
_LENIENT = re.compile(r"lenient:([0-9]+(?:\.[0-9]+)?)x/([0-9]+(?:\.[0-9]+)?)s")


@dataclass(frozen=True, slots=True)
class Headroom:
    """Limit divided by guarantee.

    ``factor=None`` is uncapped: the guarantee stays, no limit. With ``grace``, in seconds, a
    sandbox may stand above its memory limit for so long before it is ended for it, the way lenient
    sandbox providers behave; None is a hard limit.
    """

    factor: float | None
    grace: float | None = None

    @property
    def label(self) -> str:
        """The form a user types and reads: ``3x``, ``1.5x``, ``lenient:2x/15s``, ``uncapped``."""
        if self.factor is None:
            return "uncapped"
        times = f"{_plain(self.factor)}x"
        return times if self.grace is None else f"lenient:{times}/{_plain(self.grace)}s"

    @classmethod
    def parse(cls, text: str) -> Headroom:
        """Headroom from ``"3x"``, ``"lenient:2x/15s"`` or ``"uncapped"``.

        Raises QuantityError for anything else.
        """
        word = text.strip().lower()
        if word == "uncapped":
            return cls(None)
        lenient = _LENIENT.fullmatch(word)
        match = lenient or _FACTOR.fullmatch(word)
        if match is None:
            raise QuantityError(
                f"unknown headroom {shown(text)}; write a factor like '1x' or '1.5x', 'uncapped', "
                "or 'lenient:2x/15s' (above twice the guarantee for 15 seconds at most)"
            )
        factor = float(match[1])
        if not 1 <= factor <= 1000:
            raise QuantityError(
                f"headroom {shown(text)} would put the limit below the guarantee or out of all "
                "reason; write a factor from 1x to 1000x, or 'uncapped'"
            )
        grace = float(lenient[2]) if lenient else None
        if grace is not None and not 0.1 <= grace <= _LONGEST_GRACE:
            raise QuantityError(
                f"headroom {shown(text)}: write a grace from 0.1s to {_LONGEST_GRACE:.0f}s"
            )
        return cls(factor, grace)

    @property
    def tightness(self) -> tuple[float, float]:
        """Sorts headrooms from the tightest to uncapped."""
        return (math.inf if self.factor is None else self.factor), self.grace or 0.0

    def memory_limit(self, guarantee: int) -> int | None:
        """The memory ceiling in bytes for a guarantee in bytes; None when uncapped."""
        return None if self.factor is None else round(guarantee * self.factor)

    def cpu_limit(self, guarantee: float) -> float | None:
        """The CPU ceiling in cores for a guarantee in cores; None when uncapped."""
        return None if self.factor is None else guarantee * self.factor


def _plain(number: float) -> str:
    return repr(number).removesuffix(".0")


@dataclass(frozen=True, slots=True)
class Resources:
    """What one sandbox is promised and where it is stopped. None as a limit means no limit.

    ``storage_limit`` is in bytes of the host's disk. ``memory_grace`` is how many seconds the
    sandbox may stand above its memory limit before it is ended for it; None is a hard limit.
    """

    memory_guarantee: int
    memory_limit: int | None
    cpu_guarantee: float
    cpu_limit: float | None
    pids_limit: int
    storage_limit: int
    memory_grace: float | None = None

    @property
    def memory_ceiling(self) -> int | None:
        """The memory limit in bytes that the kernel itself is to hold; None: it holds none."""
        return self.memory_limit if self.memory_grace is None else None

    def __post_init__(self) -> None:
        if self.memory_limit is not None:
            if self.memory_limit < self.memory_guarantee:
                raise QuantityError(
                    f"memory limit {format_memory(self.memory_limit)} is below its guarantee "
                    f"{format_memory(self.memory_guarantee)}; raise the one or lower the other"
                )
            if self.memory_limit < SMALLEST_LIMIT:
                raise QuantityError(
                    f"memory limit {format_memory(self.memory_limit)} is below "
                    f"{format_memory(SMALLEST_LIMIT)}, which starting a sandbox alone may need"
                )
        if self.cpu_limit is not None and self.cpu_limit < self.cpu_guarantee:
            raise QuantityError(
                f"cpu limit {self.cpu_limit:g} is below its guarantee {self.cpu_guarantee:g} "
                "cores; raise the one or lower the other"
            )
