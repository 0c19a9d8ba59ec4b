"""Approaches to ``parallel-build``."""

import hashlib
import json
import subprocess
import sys
import zlib
from pathlib import Path

from chosen import run

SIZE = 20 * 1024 * 1024
PASSES = 24
SHADES = bytes((7 * shade + 3) % 256 for shade in range(256))


def jobs(number):
    """The build as it is, so many steps at once."""
    done = subprocess.run(
        [sys.executable, "build.py", "--jobs", str(number)], cwd="/app", check=False
    )
    sys.exit(done.returncode != 0)


def passes(number):
    """The steps done here, with so many passes of a scene kept."""
    packed = []
    for scene in json.loads(Path("/app/build.json").read_text())["pack"]["needs"]:
        rasters = [hashlib.shake_256(scene.encode()).digest(SIZE)]
        marks = []
        for _ in range(PASSES):
            rasters.append(rasters[-1].translate(SHADES))
            marks.append(zlib.crc32(rasters[-1], zlib.crc32(rasters[-2])))
            del rasters[:-number]
        packed.append(" ".join([scene, *(f"{mark:08x}" for mark in marks)]) + "\n")
    Path("/app/level.pack").write_text("".join(packed))


run(jobs, passes)
