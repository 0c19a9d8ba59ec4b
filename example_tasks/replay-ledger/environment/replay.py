"""Replays a ledger and prints the final balances: ``python3 replay.py LEDGER``.

A line of the ledger is ``move FROM TO CENTS`` or ``undo``, which takes back the last move that
still stands. Accounts are numbers.
"""

import sys


def replay(lines, accounts=20_000):
    balances = [100_000] * accounts
    history = []
    for line in lines:
        if line == "undo":
            balances = history.pop()
            continue
        _, giver, taker, cents = line.split()
        history.append(list(balances))
        balances[int(giver)] -= int(cents)
        balances[int(taker)] += int(cents)
    return balances


if __name__ == "__main__":
    with open(sys.argv[1], encoding="ascii") as ledger:
        final = replay(line.strip() for line in ledger)
    for account, cents in enumerate(final):
        print(account, cents)
