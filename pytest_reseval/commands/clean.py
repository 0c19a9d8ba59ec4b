"""``reseval clean``: show and remove what dead runs left on this host."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import click

from pytest_reseval.admission import default_directory
from pytest_reseval.admission.janitor import LedgerJanitor
from pytest_reseval.engines import janitor as janitor_of
from pytest_reseval.engines.base import EngineError, EngineUnavailable
from pytest_reseval.janitor import CannotRemove, Janitor, Orphan
from pytest_reseval.printable import printable

_ENGINES = ("docker", "local")


@click.command("clean")
@click.option("--dry-run", is_flag=True, help="Show it and change nothing.")
@click.option(
    "--ledger",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder of the admission ledger (default: the one that all users share).",
)
def command(dry_run: bool, ledger: Path | None) -> None:
    """Remove what dead runs left on this host.

    Containers, networks, volumes and layers of broken builds, private directories and cgroups of
    sandboxes, entries of the admission ledger. What a living process owns is never touched, nor is
    what another host or pid namespace owns. Built images are kept.
    """
    cleaning = _Cleaning(dry_run)
    with ExitStack() as opened:
        for name in _ENGINES:
            try:
                janitor = opened.enter_context(janitor_of(name))
            except EngineUnavailable as unavailable:
                click.echo(f"{name}: not looked at: {_line(unavailable.reason)}")
            else:
                cleaning.clean(name, janitor)
        cleaning.clean("ledger", LedgerJanitor(ledger or default_directory()))
    click.echo(cleaning.total())
    if cleaning.failed:
        sys.exit(1)


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
            click.echo(f"{place}: not looked at: {_line(str(error))}")
            self.failed = True
            return
        for orphan, columns in zip(orphans, _columns(orphans), strict=True):
            click.echo(f"{columns} {self._treat(janitor, orphan)}")

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
