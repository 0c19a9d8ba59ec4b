"""Approaches to ``fix-ring-buffer``."""

import subprocess
import sys
from pathlib import Path

from chosen import run

MODULE = Path("/app/ringbuffer.py")
WRONG = "self._start = self._start + count"
MIB = 1024 * 1024


def _mend(line):
    MODULE.write_text(MODULE.read_text().replace(WRONG, line))


def _suite(*options):
    with Path("/app/report.txt").open("wb") as report:
        done = subprocess.run(
            [sys.executable, "-m", "unittest", "discover", "-v", "-s", "suite", *options],
            cwd="/app",
            stdout=report,
            stderr=report,
            check=False,
        )
    sys.exit(done.returncode != 0)


def quick():
    """Mended, and the three quick tests."""
    _mend("self._start = (self._start + count) % capacity")
    _suite("-k", "reads", "-k", "wraps", "-k", "refuses")


def suite():
    """Mended, and the whole suite."""
    _mend("self._start = (self._start + count) % capacity")
    _suite()


def reset():
    """Mended by starting anew at the end of the buffer, and the whole suite."""
    _mend("self._start = (self._start + count) if self._start + count < capacity else 0")
    _suite()


def modelled(megabytes):
    """Mended, held against a plain list of all bytes, and the whole suite."""
    _mend("self._start = (self._start + count) % capacity")
    sys.path.insert(0, "/app")
    from ringbuffer import RingBuffer

    data = bytes(range(256)) * (megabytes * MIB // 256)
    model = list(data)
    ring = RingBuffer(len(data))
    ring.write(data)
    assert list(ring.read(len(data))) == model
    del model, data, ring
    _suite()


run(quick, suite, reset, modelled)
