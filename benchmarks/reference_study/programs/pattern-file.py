"""Approaches to ``pattern-file``."""

import hashlib
import os
from pathlib import Path

from chosen import run

BLOCKS = 224
MIB = 1024 * 1024


def _block(number):
    return hashlib.sha256(str(number).encode()).digest() * (MIB // 32)


def _hexadecimal_block(number):
    return hashlib.sha256(str(number).encode()).hexdigest().encode() * (MIB // 64)


def _write(pieces):
    digest = hashlib.sha256()
    with Path("/app/pattern.bin").open("wb", buffering=0) as target:
        for piece in pieces:
            target.write(piece)
            os.fsync(target.fileno())
            digest.update(piece)
    return digest.hexdigest()


def _tell(digest):
    Path("/app/pattern.sha256").write_text(digest + "\n")


def _batches(blocks, block):
    for first in range(0, BLOCKS, blocks):
        yield b"".join([block(number) for number in range(first, min(first + blocks, BLOCKS))])


def blocks():
    """Four blocks at a time."""
    _tell(_write(_batches(4, _block)))


def hexadecimal():
    """Four blocks at a time, of the digest as it is usually printed."""
    _tell(_write(_batches(4, _hexadecimal_block)))


def batches(number):
    """So many blocks at a time: a list of them and their join are held."""
    _tell(_write(_batches(number, _block)))


def batches_hexadecimal(number):
    """So many blocks at a time, of the digest as it is usually printed."""
    _tell(_write(_batches(number, _hexadecimal_block)))


def read_back():
    """Write by blocks, then read the file whole for its digest."""
    _write(_batches(4, _block))
    _tell(hashlib.sha256(Path("/app/pattern.bin").read_bytes()).hexdigest())


def whole():
    """The whole file as one value."""
    _tell(_write(_batches(BLOCKS, _block)))


run(blocks, hexadecimal, batches, batches_hexadecimal, read_back, whole)
