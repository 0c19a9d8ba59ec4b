"""The vocabulary of admission: budgets, claims and what a display may know of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pytest_reseval.resources import format_memory

State = Literal["waiting", "admitted"]

CORES_TOLERANCE = 1e-6
"""Cores by which a sum may exceed a budget: ten claims of 0.1 core do fit one core."""

_MOST_MEMORY = 2**63 - 1
_MOST_CORES = 1e6


@dataclass(frozen=True, slots=True)
class Budget:
    """What may be promised in sum on this host: bytes of memory, and cores."""

    memory: int
    cores: float

    def holds(self, memory: int, cores: float) -> bool:
        """True when so many bytes and cores in sum are within the budget."""
        return memory <= self.memory and cores <= self.cores + CORES_TOLERANCE


@dataclass(frozen=True, slots=True)
class Claim:
    """What one sandbox asks to be promised: bytes and cores, for a trial of a run.

    ``run`` and ``label`` (the trial's name) are for people; displays of any process show them.
    Raises ValueError for a negative, infinite or absurdly large amount.
    """

    memory: int
    cores: float
    run: str
    label: str

    def __post_init__(self) -> None:
        if not (0 <= self.memory <= _MOST_MEMORY and 0 <= self.cores <= _MOST_CORES):
            raise ValueError(
                f"{self.label}: nobody can mean a claim of {self.memory} bytes, {self.cores} cores"
            )


class ClaimTooLarge(ValueError):
    """A claim that would wait for ever: alone it exceeds the whole budget."""

    def __init__(self, claim: Claim, budget: Budget) -> None:
        excesses = []
        if not budget.holds(claim.memory, 0):
            excesses.append(
                f"memory {format_memory(claim.memory)} of {format_memory(budget.memory)}"
            )
        if not budget.holds(0, claim.cores):
            excesses.append(f"cores {claim.cores:g} of {budget.cores:g}")
        super().__init__(
            f"{claim.label} asks for more than this host may promise in sum: "
            f"{' and '.join(excesses)}; ask for less, raise the budget, or use a larger host"
        )
        self.claim = claim
        self.budget = budget


@dataclass(frozen=True, slots=True)
class Entry:
    """One live line of the ledger, of any process on the host, for displays.

    ``since`` is when the state began, in seconds on CLOCK_BOOTTIME. ``pid`` is the holder's process
    as its own PID namespace numbers it. Texts come from whoever made the entry, perhaps another
    user: they are bounded and printable, nothing more. They are empty when they cannot be read.
    """

    claim: Claim
    state: State
    since: float
    phase: str
    pid: int
