"""Brute force that keeps every choice until the best is known."""

from itertools import combinations

CAPACITY = 36_000

with open("/app/crates.csv", encoding="ascii") as file:
    crates = [line.strip().split(",") for line in file]
weights = [int(kilograms) for _, kilograms in crates]

choices = list(combinations(range(len(crates)), 8))
best, heaviest = (), 0
for choice in choices:
    weight = sum([weights[index] for index in choice])
    if heaviest < weight <= CAPACITY:
        best, heaviest = choice, weight

with open("/app/cargo.txt", "w", encoding="ascii") as file:
    for index in best:
        print(crates[index][0], file=file)
