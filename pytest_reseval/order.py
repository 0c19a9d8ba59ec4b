"""The order in which the trials of a sweep are started.

A block is one sample of one task under every configuration. Configurations of a block are
neighbours in time, so that drift and time of day fall on all of them alike; each configuration
stands at each place of a block equally often; blocks of one sample come in random order, and all of
them before those of the next sample, so that a run which is broken off holds whole samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import TypeVar

from pytest_reseval.plans import TrialPlan

Trial = TypeVar("Trial")


def blocked(trials: Sequence[tuple[str, TrialPlan, Trial]], seed: int) -> list[Trial]:
    """The trials in order, each given with a name that all trials of its task have in common.

    The answer is the same whatever order they are given in, unless all are of one configuration:
    then the order given is kept, for there is nothing to keep apart.
    """
    configurations = {plan.configuration for _, plan, _ in trials}
    if len(configurations) < 2:
        return [trial for _, _, trial in trials]
    blocks: dict[tuple[int, str], list[tuple[TrialPlan, Trial]]] = {}
    for name, plan, trial in trials:
        blocks.setdefault((plan.sample, name), []).append((plan, trial))
    random = Random(seed)
    names = sorted({name for _, name in blocks})
    ordered: list[Trial] = []
    for sample in sorted({sample for sample, _ in blocks}):
        random.shuffle(names)
        for turn, name in enumerate(names, start=sample):
            block = blocks.get((sample, name))
            if block is None:
                continue
            block.sort(key=lambda entry: entry[0].configuration.tightness)
            first = turn % len(block)
            ordered += [trial for _, trial in block[first:] + block[:first]]
    return ordered
