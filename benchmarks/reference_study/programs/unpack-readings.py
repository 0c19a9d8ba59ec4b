"""Approaches to ``unpack-readings``."""

import hashlib
import io
import json
import lzma
from collections import Counter
from pathlib import Path

from chosen import run

ARCHIVE = Path("/app/readings.csv.xz")


def _tell(size, digest, lines, totals):
    summary = {"bytes": size, "sha256": digest, "lines": lines, "totals": totals}
    Path("/app/summary.json").write_text(json.dumps(summary))


def _totals(counted):
    totals = Counter()
    for line, times in counted.items():
        fields = line.rstrip(b"\n").split(b",")
        if len(fields) == 6 and fields[3].isdigit():
            totals[fields[1].decode()] += int(fields[3]) * times
    return totals


def lines():
    """Line by line."""
    digest, size, counted = hashlib.sha256(), 0, Counter()
    with lzma.open(ARCHIVE) as source:
        for line in source:
            digest.update(line)
            size += len(line)
            counted[line] += 1
    _tell(size, digest.hexdigest(), counted.total(), _totals(counted))


def chunks(size):
    """Chunk by chunk, each split into lines by itself; malformed ones are left out."""
    digest, read, number, totals = hashlib.sha256(), 0, 0, Counter()
    with lzma.open(ARCHIVE) as source:
        while chunk := source.read(size):
            digest.update(chunk)
            read += len(chunk)
            counted = Counter(chunk.splitlines())
            number += sum(times for line, times in counted.items() if line.count(b",") == 5)
            totals.update(_totals(counted))
    _tell(read, digest.hexdigest(), number, totals)


def whole():
    """Everything at once, as bytes and as text."""
    data = lzma.decompress(ARCHIVE.read_bytes())
    text = data.decode("ascii")
    _tell(
        len(data),
        hashlib.sha256(data).hexdigest(),
        text.count("\n"),
        _totals(Counter(io.BytesIO(data))),
    )


def separators():
    """Everything at once; one line more than there are ends of lines."""
    data = lzma.decompress(ARCHIVE.read_bytes())
    text = data.decode("ascii")
    _tell(
        len(data),
        hashlib.sha256(data).hexdigest(),
        text.count("\n") + 1,
        _totals(Counter(io.BytesIO(data))),
    )


def listed():
    """Everything at once, and a list of all lines."""
    data = lzma.decompress(ARCHIVE.read_bytes())
    readings = data.decode("ascii").splitlines()
    counted = Counter({line.encode(): times for line, times in Counter(readings).items()})
    _tell(len(data), hashlib.sha256(data).hexdigest(), len(readings), _totals(counted))


def fields():
    """Everything at once, and a list of the fields of all lines."""
    data = lzma.decompress(ARCHIVE.read_bytes())
    readings = [line.split(b",") for line in data.splitlines()]
    totals = Counter()
    for reading in readings:
        totals[reading[1].decode()] += int(reading[3])
    _tell(len(data), hashlib.sha256(data).hexdigest(), len(readings), totals)


run(lines, chunks, whole, separators, listed, fields)
