"""``reseval clean``: show and remove what dead runs left on this host."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_reseval.admission import default_directory
from pytest_reseval.admission.janitor import LedgerJanitor
from pytest_reseval.engines import janitor as janitor_of
from pytest_reseval.engines.base import EngineError, EngineUnavailable
from pytest_reseval.janitor import CannotRemove, Janitor, Orphan
from pytest_reseval.printable import printable

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

_ENGINES = ("docker", "local")


def declare(commands: Subparsers) -> None:
    """Add this command to the parser of all."""
    parser = commands.add_parser(
        "clean",
        help="remove what dead runs left on this host",
        description="Remove what dead runs left on this host: containers, networks, volumes and "
        "layers of broken builds, private directories and cgroups of sandboxes, entries of the "
        "admission ledger. What a living process owns is never touched, nor is what another host "
        "or pid namespace owns. Built images are kept.",
    )
    parser.add_argument("--dry-run", action="store_true", help="show it and change nothing")
    parser.add_argument(
        "--ledger",
        type=Path,
        metavar="DIR",
        help="folder of the admission ledger (default: the one that all users share)",
    )
    parser.set_defaults(run=_run)


def _run(chosen: argparse.Namespace) -> int:
    cleaning = _Cleaning(chosen.dry_run)
    with ExitStack() as opened:
        for name in _ENGINES:
            try:
                janitor = opened.enter_context(janitor_of(name))
            except EngineUnavailable as unavailable:
                print(f"{name}: not looked at: {_line(unavailable.reason)}")
            else:
                cleaning.clean(name, janitor)
        cleaning.clean("ledger", LedgerJanitor(chosen.ledger or default_directory()))
    print(cleaning.total())
    return 1 if cleaning.failed else 0


class _Cleaning:
    """What was found and done so far."""

    def __init__(self, dry_run: bool) -> None:
        self._dry_run = dry_run
        self._found = 0
        self._kept = 0
        self.failed = False
        """Whether something could not be looked for or removed."""

    def clean(self, place: str, janitor: Janitor) -> None:
        """Show, and unless this is a dry run remove, what was left in one place."""
        try:
            orphans = janitor.orphans()
        except (CannotRemove, EngineError) as error:
            print(f"{place}: not looked at: {_line(str(error))}")
            self.failed = True
            return
        for orphan, columns in zip(orphans, _columns(orphans), strict=True):
            print(columns, self._treat(janitor, orphan), flush=True)

    def _treat(self, janitor: Janitor, orphan: Orphan) -> str:
        self._found += 1
        if self._dry_run:
            return "would be removed"
        try:
            janitor.remove(orphan)
        except (CannotRemove, EngineError) as error:
            self._kept += 1
            self.failed = True
            return f"not removed: {_line(str(error))}"
        return "removed"

    def total(self) -> str:
        """The last line."""
        if not self._found:
            return "nothing of dead runs was found"
        if self._dry_run:
            return f"{self._found} left of dead runs; nothing was changed"
        kept = f", {self._kept} not" if self._kept else ""
        return f"{self._found - self._kept} removed{kept}"


def _line(text: str) -> str:
    return printable(text.replace("\n", " "), keep="")


def _columns(orphans: list[Orphan]) -> Iterator[str]:
    rows = [[orphan.kind, _line(orphan.name), _line(orphan.owner)] for orphan in orphans]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " "
