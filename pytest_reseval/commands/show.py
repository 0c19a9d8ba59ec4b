"""``reseval show``: one trial for people, or the list of all."""

from __future__ import annotations

import os
from pathlib import Path

import click

from pytest_reseval.commands.extra import refuse
from pytest_reseval.outcomes import Outcome
from pytest_reseval.printable import printable
from pytest_reseval.records import TrialRecord
from pytest_reseval.reports.trial import TrialFiles, trial_lines, trials_lines
from pytest_reseval.runs import Run, UnreadableRun, read_run
from pytest_reseval.study.lookup import NoSuchTrial, find_trial
from pytest_reseval.study.series import read_series

_TAIL_BYTES = 16 * 1024


@click.command("show", no_args_is_help=True)
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("trial", required=False)
@click.option(
    "--outcome",
    type=click.Choice([str(one) for one in Outcome]),
    help="List only trials that ended so.",
)
def command(run: Path, trial: str | None, outcome: str | None) -> None:
    """Show one trial of a run: its verdict and all that is behind it. Without TRIAL, list all.

    Use it to see why a trial ended as it did: what was asked for and enforced, what was measured
    in each phase, every attempt, the ends of its logs, its memory and CPU over time, and where its
    files are.

    TRIAL is a node id, a label, or any part of one that no other trial has.

    \b
    reseval show reseval-runs/20261123T152331-ac0cb2
    reseval show reseval-runs/20261123T152331-ac0cb2 --outcome infra-error
    reseval show reseval-runs/20261123T152331-ac0cb2 'unpack[3x-s0]'

    Exit status: 0; 2 if the run cannot be read, or TRIAL names none or several.
    """
    try:
        found = read_run(run)
    except UnreadableRun as error:
        refuse(str(error))
    if trial is None:
        records = [one for one in found.records if outcome in (None, one.outcome)]
        click.echo("\n".join(trials_lines(records, [] if outcome else found.missing)))
        return
    if outcome is not None:
        refuse("--outcome is for the list of all trials; leave out one of the two")
    try:
        record = find_trial(found, trial)
    except NoSuchTrial as error:
        refuse(f"{run}: {error}")
    for line in trial_lines(record, _files(found, record)):
        click.echo(printable(line))


def _files(run: Run, record: TrialRecord) -> TrialFiles:
    files = run.files(record)
    try:
        return TrialFiles(
            logs={file: _tail(file) for file in files.logs()},
            series={file: read_series(file) for file in files.series()},
        )
    except OSError as error:
        refuse(f"{error.filename}: {error.strerror}")


def _tail(file: Path) -> str:
    with file.open("rb") as stream:
        stream.seek(0, os.SEEK_END)
        stream.seek(max(0, stream.tell() - _TAIL_BYTES))
        return stream.read().decode(errors="replace")
