"""The command line beside pytest's: ``reseval COMMAND``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from pytest_reseval.commands import clean


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and answer its exit status."""
    parser = argparse.ArgumentParser(
        prog="reseval",
        description="What pytest-reseval offers beside runs of pytest.",
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    clean.declare(commands)
    chosen = parser.parse_args(arguments)
    status: int = chosen.run(chosen)
    return status
