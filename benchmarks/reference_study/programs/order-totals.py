"""Approaches to ``order-totals``."""

import csv
import gzip
import json
from collections import Counter
from pathlib import Path

from chosen import run


def _source():
    return gzip.open("/app/orders.csv.gz", "rt", encoding="ascii", newline="")


def _tell(totals):
    lines = [f"{customer},{cents}\n" for customer, cents in sorted(totals.items())]
    Path("/app/totals.csv").write_text("".join(lines))


def rows():
    """Row by row."""
    totals = Counter()
    with _source() as source:
        for order in csv.DictReader(source):
            totals[order["customer"]] += int(order["cents"])
    _tell(totals)


def chunks(size):
    """Chunk by chunk, each split into lines by itself; malformed ones are left out."""
    totals = Counter()
    with _source() as source:
        while chunk := source.read(size):
            for line in chunk.splitlines():
                fields = line.split(",")
                if len(fields) == 4 and fields[3].isdigit():
                    totals[fields[0]] += int(fields[3])
    _tell(totals)


def dictionaries():
    """A list of all orders."""
    with _source() as source:
        orders = list(csv.DictReader(source))
    totals = Counter()
    for order in orders:
        totals[order["customer"]] += int(order["cents"])
    _tell(totals)


def amounts():
    """A list of all orders, with amounts as floating-point numbers."""
    with _source() as source:
        orders = list(csv.DictReader(source))
    totals = Counter()
    for order in orders:
        totals[order["customer"]] += float(order["cents"])
    _tell(totals)


def converted():
    """A list of all orders, converted to JSON and read again."""
    with _source() as source:
        orders = list(csv.DictReader(source))
    document = json.dumps({"orders": orders})
    totals = Counter()
    for order in json.loads(document)["orders"]:
        totals[order["customer"]] += int(order["cents"])
    _tell(totals)


run(rows, chunks, dictionaries, amounts, converted)
