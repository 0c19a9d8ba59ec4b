"""Formats of results that can be compared: a module each, with a ``RunReader``.

Another format is another module, and a line here.
"""

from __future__ import annotations

from pathlib import Path

from pytest_reseval.study.comparable import ComparableRun, RunReader
from pytest_reseval.study.readers.folder import FolderReader
from pytest_reseval.study.readers.table import TableReader

_READERS: tuple[RunReader, ...] = (TableReader(), FolderReader())
"""The first that reads a path does; the last takes what is left, and tells what is wrong."""


def read_comparable(path: Path) -> ComparableRun:
    """The run at a path. Raises UnreadableRun."""
    reader = next((reader for reader in _READERS if reader.reads(path)), _READERS[-1])
    return reader.read(path)
