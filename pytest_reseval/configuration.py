"""One point of what a sweep varies: headroom of memory, headroom of CPU, scale of timeouts."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from pytest_reseval.printable import shown
from pytest_reseval.resources import Headroom, QuantityError

DECLARED = "declared"
"""Names the memory and CPU of a configuration in which a test's own limits hold."""

_TIME = re.compile(r"time([0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?)x")


@dataclass(frozen=True, slots=True)
class Configuration:
    """The terms under which a trial is run.

    ``memory=None`` and ``cpu=None`` stand for limits that a test declares by itself.
    ``timeout_scale`` is a factor on the build, agent and verifier timeouts.
    """

    memory: Headroom | None
    cpu: Headroom | None
    timeout_scale: float = 1.0

    @property
    def label(self) -> str:
        """A name that says what is not as usual: ``3x``, ``3x-cpu1x``, ``3x-time2x``, ``declared``.

        CPU has the factor of memory unless it is named; timeouts are the tasks' own unless named.
        """
        parts = [self.memory.label if self.memory else DECLARED]
        if self.cpu and self.memory and self.cpu.factor != self.memory.factor:
            parts.append(f"cpu{self.cpu.label}")
        if self.timeout_scale != 1:
            parts.append(f"time{repr(self.timeout_scale).removesuffix('.0')}x")
        return "-".join(parts)

    @classmethod
    def parse(cls, label: str) -> Configuration:
        """The inverse of ``label``. Raises QuantityError for what is no label."""
        memory_text, *rest = re.split(r"-(?=cpu|time)", label)
        memory = None if memory_text == DECLARED else Headroom.parse(memory_text)
        cpu = Headroom(memory.factor) if memory else None
        scale = 1.0
        for part in rest:
            if part.startswith("cpu") and memory:
                cpu = Headroom.parse(part.removeprefix("cpu"))
            elif match := _TIME.fullmatch(part):
                scale = float(match[1])
            else:
                raise QuantityError(f"{shown(label)} is not the label of a configuration")
        return cls(memory, cpu, scale)

    @property
    def tightness(self) -> tuple[bool, tuple[float, ...]]:
        """Sorts configurations from the tightest to the loosest; declared limits come last."""
        memory = self.memory.tightness if self.memory else (math.inf, math.inf)
        cpu = self.cpu.tightness if self.cpu else (math.inf, math.inf)
        return self.memory is None, (*memory, *cpu, self.timeout_scale)


def by_tightness(labels: set[str]) -> list[str]:
    """Labels of configurations from the tightest to the loosest."""
    return sorted(labels, key=lambda label: Configuration.parse(label).tightness)
