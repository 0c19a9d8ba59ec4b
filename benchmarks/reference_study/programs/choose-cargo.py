"""Approaches to ``choose-cargo``."""

from itertools import combinations, islice
from pathlib import Path

from chosen import run

CAPACITY = 36_000
CHOSEN = 8

crates = [line.split(",") for line in Path("/app/crates.csv").read_text().split()]
weights = [int(kilograms) for _, kilograms in crates]


def _tell(indexes):
    names = [crates[index][0] for index in sorted(indexes)]
    Path("/app/cargo.txt").write_text("".join(f"{name}\n" for name in names))


def one_by_one():
    """Every choice, one at a time."""
    heaviest, place = 0, 0
    for number, weight in enumerate(map(sum, combinations(weights, CHOSEN))):
        if heaviest < weight <= CAPACITY:
            heaviest, place = weight, number
    _tell(next(islice(combinations(range(len(crates)), CHOSEN), place, None)))


def greedy():
    """The heaviest crate that leaves room for the rest, again and again."""
    chosen, weight = [], 0
    order = sorted(range(len(crates)), key=lambda index: -weights[index])
    for index in order:
        rest = CHOSEN - len(chosen) - 1
        least = sum(sorted(weights[other] for other in order if other not in chosen)[:rest])
        if rest >= 0 and weight + weights[index] + least <= CAPACITY:
            chosen.append(index)
            weight += weights[index]
    _tell(chosen)


def sums():
    """The weights of all choices in a list."""
    totals = list(map(sum, combinations(weights, CHOSEN)))
    place = totals.index(max(weight for weight in totals if weight <= CAPACITY))
    _tell(next(islice(combinations(range(len(crates)), CHOSEN), place, None)))


def sums_of_sorted():
    """The weights of all choices in a list, of crates sorted by weight first."""
    order = sorted(range(len(crates)), key=lambda index: -weights[index])
    totals = list(map(sum, combinations([weights[index] for index in order], CHOSEN)))
    place = totals.index(max(weight for weight in totals if weight <= CAPACITY))
    _tell(next(islice(combinations(order, CHOSEN), place, None)))


def all_choices():
    """All choices in a list."""
    choices = list(combinations(range(len(crates)), CHOSEN))
    totals = map(sum, combinations(weights, CHOSEN))
    best = max(range(len(choices)), key=[w if w <= CAPACITY else 0 for w in totals].__getitem__)
    _tell(choices[best])


run(one_by_one, greedy, sums, sums_of_sorted, all_choices)
