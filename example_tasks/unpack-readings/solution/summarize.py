"""Unpacks the archive whole, as most one-line recipes do: text and bytes are held at once."""

import hashlib
import json
import lzma
from collections import Counter
from pathlib import Path

data = lzma.decompress(Path("/app/readings.csv.xz").read_bytes())
text = data.decode("ascii")

totals = Counter()
lines = 0
start = 0
while (end := text.find("\n", start)) >= 0:
    _, sensor, _, value, _ = text[start:end].split(",", 4)
    totals[sensor] += int(value)
    lines += 1
    start = end + 1

summary = {
    "bytes": len(data),
    "sha256": hashlib.sha256(data).hexdigest(),
    "lines": lines,
    "totals": totals,
}
Path("/app/summary.json").write_text(json.dumps(summary, indent=1))
