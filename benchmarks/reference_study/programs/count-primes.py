"""Approaches to ``count-primes``."""

import math
from itertools import compress
from pathlib import Path

from chosen import run

LIMIT = 140_000_000


def _tell(count, largest):
    Path("/app/primes.txt").write_text(f"{count}\n{largest}\n")


def _every(limit):
    sieve = bytearray(b"\x01") * limit
    sieve[:2] = b"\x00\x00"
    for number in range(2, math.isqrt(limit) + 1):
        if sieve[number]:
            sieve[number * number :: number] = bytes(len(range(number * number, limit, number)))
    return sieve


def segments(size):
    """A sieve of segments."""
    small = list(compress(range(math.isqrt(LIMIT) + 1), _every(math.isqrt(LIMIT) + 1)))
    count, largest = 0, 0
    for start in range(0, LIMIT, size):
        end = min(start + size, LIMIT)
        sieve = bytearray(b"\x01") * (end - start)
        if start == 0:
            sieve[:2] = b"\x00\x00"
        for prime in small:
            first = max(prime * prime, -(-start // prime) * prime) - start
            if first < len(sieve):
                sieve[first::prime] = bytes(len(range(first, len(sieve), prime)))
        count += sieve.count(1)
        largest = max(largest, start + sieve.rfind(1))
    _tell(count, largest)


def estimate():
    """Riemann's formula for the count, and trial division for the largest."""

    def power_sum(x):
        term, total = 1.0, 1.0
        for k in range(1, 200):
            term *= math.log(x) / k
            total += term / (k * sum(n ** -(k + 1) for n in range(1, 200)))
        return total

    largest = next(
        number
        for number in range(LIMIT - 1, 0, -1)
        if all(number % divisor for divisor in range(2, math.isqrt(number) + 1))
    )
    _tell(round(power_sum(LIMIT)), largest)


def every():
    """A sieve of every number."""
    sieve = _every(LIMIT)
    _tell(sieve.count(1), sieve.rindex(1))


def listed():
    """A sieve of every number, and the list of all primes."""
    primes = list(compress(range(LIMIT), _every(LIMIT)))
    _tell(len(primes), primes[-1])


run(segments, estimate, every, listed)
