"""Approaches to ``low-stock``."""

import csv
from pathlib import Path

from chosen import run
from survey import survey


def _report(is_low):
    with Path("/srv/stock.csv").open(newline="") as source:
        low = sorted(row["item"] for row in csv.DictReader(source) if is_low(row))
    Path("/app/low-stock.txt").write_text("".join(f"{item}\n" for item in low))


def numbers():
    """Compare numbers."""
    _report(lambda row: int(row["stock"]) < int(row["minimum"]))


def texts():
    """Compare what the CSV reader gives, which is text."""
    _report(lambda row: row["stock"] < row["minimum"])


def surveyed(kilobytes):
    """Look for a library of tables first, then compare numbers."""
    survey(kilobytes)
    numbers()


def surveyed_texts(kilobytes):
    """Look for a library of tables first, then compare texts."""
    survey(kilobytes)
    texts()


run(numbers, texts, surveyed, surveyed_texts)
