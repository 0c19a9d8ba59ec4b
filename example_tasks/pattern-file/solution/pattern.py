"""Writes and reads in blocks of 1 MiB, so that all the memory it fills is page cache."""

import hashlib
import os

BLOCKS = 224
REPEATS = 1024 * 1024 // 32
FLUSH_EVERY = 4

with open("/app/pattern.bin", "wb", buffering=0) as target:
    for number in range(BLOCKS):
        target.write(hashlib.sha256(str(number).encode()).digest() * REPEATS)
        if number % FLUSH_EVERY == FLUSH_EVERY - 1:
            os.fsync(target.fileno())

digest = hashlib.sha256()
with open("/app/pattern.bin", "rb", buffering=0) as source:
    while block := source.read(1024 * 1024):
        digest.update(block)
with open("/app/pattern.sha256", "w", encoding="ascii") as file:
    print(digest.hexdigest(), file=file)
