"""Joins baked scenes into one level: ``python3 pack.py LEVEL BAKED...``."""

import sys

level, *baked = sys.argv[1:]
with open(level, "w", encoding="ascii") as target:
    for name in baked:
        with open(name, encoding="ascii") as source:
            target.write(source.read())
