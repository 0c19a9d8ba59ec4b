"""Approaches to ``replay-ledger``."""

import subprocess
import sys
from collections import deque
from pathlib import Path

from chosen import run

ACCOUNTS = 20_000


def _moves():
    with Path("/app/ledger.txt").open(encoding="ascii") as ledger:
        for line in ledger:
            yield line.split()


def _tell(balances):
    lines = [f"{account} {cents}\n" for account, cents in enumerate(balances)]
    Path("/app/balances.txt").write_text("".join(lines))


def backwards():
    """Undo by the opposite move."""
    balances, moves = [100_000] * ACCOUNTS, []
    for kind, *numbers in _moves():
        if kind == "undo":
            giver, taker, cents = moves.pop()
            giver, taker = taker, giver
        else:
            giver, taker, cents = map(int, numbers)
            moves.append((giver, taker, cents))
        balances[giver] -= cents
        balances[taker] += cents
    _tell(balances)


def forwards():
    """Moves alone; other lines are left out."""
    balances = [100_000] * ACCOUNTS
    for kind, *numbers in _moves():
        if kind == "move":
            giver, taker, cents = map(int, numbers)
            balances[giver] -= cents
            balances[taker] += cents
    _tell(balances)


def recent(kept):
    """As the program, with so many copies of all balances kept."""
    balances, history = [100_000] * ACCOUNTS, deque(maxlen=kept)
    for kind, *numbers in _moves():
        if kind == "undo":
            balances = history.pop()
            continue
        history.append(list(balances))
        giver, taker, cents = map(int, numbers)
        balances[giver] -= cents
        balances[taker] += cents
    _tell(balances)


def afterwards(kept):
    """So many copies kept, each taken after its move."""
    balances, history = [100_000] * ACCOUNTS, deque(maxlen=kept)
    for kind, *numbers in _moves():
        if kind == "undo":
            balances = history.pop()
            continue
        giver, taker, cents = map(int, numbers)
        balances[giver] -= cents
        balances[taker] += cents
        history.append(list(balances))
    _tell(balances)


def as_it_is():
    """The program as it is, which keeps all copies."""
    with Path("/app/balances.txt").open("wb") as target:
        done = subprocess.run(
            [sys.executable, "/app/replay.py", "/app/ledger.txt"], stdout=target, check=False
        )
    sys.exit(done.returncode != 0)


run(backwards, forwards, recent, afterwards, as_it_is)
