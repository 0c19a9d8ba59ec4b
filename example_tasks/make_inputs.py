"""Makes the input files of the example tasks anew, with the answers that their checks expect.

They are stored beside the tasks; this script says where they come from. Nothing in it is random.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import lzma
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

HERE = Path(__file__).parent


def numbers(seed: int) -> Iterator[int]:
    """The minimal standard generator of Park and Miller: the same on every machine, for ever."""
    while True:
        seed = seed * 48271 % 2147483647
        yield seed


def make_readings() -> None:
    """64 MiB of lines of 64 bytes; one cycle of 128 readings returns again and again."""
    draw = numbers(11)
    lines, totals = [], Counter[str]()
    for number in range(128):
        sensor, value, mark = f"sensor-{next(draw) % 24:02d}", next(draw) % 5000, next(draw)
        stamp = f"2024-03-01T00:{number // 60:02d}:{number % 60:02d}"
        line = f"{stamp},{sensor},temperature,{value:04d},ok,".encode()
        lines.append(line + f"{mark:x}".zfill(63 - len(line)).encode() + b"\n")
        totals[sensor] += value
    cycles = 8192
    data = b"".join(lines) * cycles
    archive = HERE / "unpack-readings/environment/readings.csv.xz"
    archive.write_bytes(lzma.compress(data, preset=0))
    expected = {
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "lines": len(lines) * cycles,
        "totals": {sensor: total * cycles for sensor, total in sorted(totals.items())},
    }
    text = json.dumps(expected, indent=1) + "\n"
    (HERE / "unpack-readings/tests/expected.json").write_text(text)


def make_orders() -> None:
    """280,000 orders; one cycle of 500 returns again and again."""
    draw = numbers(23)
    lines, totals = [], Counter[str]()
    for _ in range(500):
        customer, item, cents = next(draw) % 90, next(draw) % 400, 100 + next(draw) % 99_000
        name = f"customer-{customer:02d}"
        lines.append(f"{name},item-{item:03d},{('north', 'south')[item % 2]},{cents}\n")
        totals[name] += cents
    cycles = 560
    data = "customer,item,region,cents\n" + "".join(lines) * cycles
    archive = HERE / "order-totals/environment/orders.csv.gz"
    archive.write_bytes(gzip.compress(data.encode(), mtime=0))
    expected = [f"{name},{cents * cycles}\n" for name, cents in sorted(totals.items())]
    (HERE / "order-totals/tests/expected.csv").write_text("".join(expected))


def make_crates() -> None:
    """27 crates of 1,000 to 9,999 kg."""
    weights = (1000 + number % 9000 for number in islice(numbers(7), 27))
    lines = [f"crate-{number:02d},{weight}\n" for number, weight in enumerate(weights)]
    (HERE / "choose-cargo/environment/crates.csv").write_text("".join(lines))


def make_ledger() -> None:
    """2,500 lines, one in fifty of them an undo."""
    draw = numbers(31)
    balances = [100_000] * 20_000
    moves: list[tuple[int, int, int]] = []
    lines = []
    for number in range(2500):
        if number % 50 == 49:
            giver, taker, cents = moves.pop()
            balances[giver] += cents
            balances[taker] -= cents
            lines.append("undo\n")
            continue
        giver, taker, cents = next(draw) % 20_000, next(draw) % 20_000, 1 + next(draw) % 900
        balances[giver] -= cents
        balances[taker] += cents
        moves.append((giver, taker, cents))
        lines.append(f"move {giver} {taker} {cents}\n")
    (HERE / "replay-ledger/environment/ledger.txt").write_text("".join(lines))
    answer = "".join(f"{account} {cents}\n" for account, cents in enumerate(balances))
    digest = hashlib.sha256(answer.encode()).hexdigest()
    (HERE / "replay-ledger/tests/expected.sha256").write_text(digest + "\n")


if __name__ == "__main__":
    make_readings()
    make_orders()
    make_crates()
    make_ledger()
