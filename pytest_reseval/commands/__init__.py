"""The command line beside pytest's: ``reseval COMMAND``."""

from __future__ import annotations

import click

from pytest_reseval.commands import calibrate, clean, compare, report, show


@click.version_option(package_name="pytest-reseval")
@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Read, compare and calibrate runs of pytest-reseval, and clean up after dead ones.

    A RUN is the folder that pytest named at the end under "records".
    """


main.add_command(calibrate.command)
main.add_command(clean.command)
main.add_command(compare.command)
main.add_command(report.command)
main.add_command(show.command)
