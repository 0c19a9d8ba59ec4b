"""``reseval calibrate``: which ceiling, and which guarantees, a run calls for."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pytest_reseval.commands.extra import refuse, studying
from pytest_reseval.printable import printable
from pytest_reseval.runs import UnreadableRun, read_run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_reseval.study.taskfiles import Change, Refusal


@click.command("calibrate", no_args_is_help=True)
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--patch",
    type=click.Path(path_type=Path, allow_dash=True),
    metavar="FILE",
    help="Write the proposed guarantees as a patch of the task files; - is standard output.",
)
@click.option("--write", is_flag=True, help="Change the task files.")
@click.option(
    "--rootdir",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The folder from which trials have their names, where the tasks are now (default: "
    "pytest's rootdir when the run was made).",
)
@click.option("--json", "as_json", is_flag=True, help="Machine-readable: docs/calibrate.md.")
def command(
    run: Path, patch: Path | None, write: bool, rootdir: Path | None, as_json: bool
) -> None:
    """Name the ceiling that a benchmark needs, and the guarantees that are too low.

    For those who keep a benchmark, after a run of its tasks under several headrooms with several
    samples. The ceiling is the smallest headroom under which infra-errors have fallen enough and
    the score has not moved beyond noise; none is named where the run cannot tell. The guarantees
    are judged by measured peaks: too low, unclear, fitting, generous or untested.

    \b
    pytest tasks --reseval-headroom=1x,3x,uncapped --reseval-samples=10 -n 8
    reseval calibrate reseval-runs/20261123T152331-ac0cb2
    reseval calibrate reseval-runs/20261123T152331-ac0cb2 --patch - | git apply
    reseval calibrate reseval-runs/20261123T152331-ac0cb2 --write

    --write keeps comments and layout. A task whose files have changed since the run is left alone,
    and named; so is what lies outside the rootdir.

    Exit status: 0 if a ceiling is named, 1 if none is, 2 if the run cannot be read or a file that
    should be patched could not be. Needs the extra "study". docs/calibrate.md has the rules.
    """
    with studying("calibrate"):
        from pytest_reseval.reports.calibration import ceiling_lines, cpu_lines, needs_lines
        from pytest_reseval.study.calibration import calibrate, calibration_json
        from pytest_reseval.study.taskfiles import changes

    if as_json and patch == Path("-"):
        refuse("--json and --patch - both want standard output; the JSON has the patch")
    try:
        found = read_run(run)
    except UnreadableRun as error:
        refuse(str(error))
    calibration = calibrate(found)
    made, refused = changes(
        calibration.proposed, rootdir or Path(found.manifest.rootdir), os.environ
    )
    whole_patch = "".join(change.patch for change in made)
    if as_json:
        click.echo(json.dumps(calibration_json(calibration, refused, whole_patch), indent=2))
    else:
        click.echo(
            "\n".join(
                [
                    *ceiling_lines(calibration.ceiling),
                    "",
                    *needs_lines(calibration.needs),
                    "",
                    *cpu_lines(calibration.needs),
                    *_left_alone(refused),
                ]
            ),
            err=patch == Path("-"),
        )
    failed = bool(refused)
    if patch is not None:
        _hand_out(patch, whole_patch)
    if write:
        failed |= not _write_all(made)
    elif made and patch is None and not as_json:
        files = "1 task file" if len(made) == 1 else f"{len(made)} task files"
        click.echo(f"\n{files} would change: --patch FILE, or --write")
    if failed and (write or patch is not None):
        sys.exit(2)
    sys.exit(0 if calibration.ceiling.named else 1)


def _left_alone(refused: Sequence[Refusal]) -> list[str]:
    if not refused:
        return []
    return ["", *(printable(f"not changed: {one.task}: {one.why}", keep="") for one in refused)]


def _hand_out(target: Path, patch: str) -> None:
    if target != Path("-"):
        try:
            target.write_bytes(patch.encode())
        except OSError as error:
            refuse(f"{target}: {error.strerror}")
        return
    click.echo(printable(patch) if sys.stdout.isatty() else patch.encode(), nl=False)


def _write_all(made: Sequence[Change]) -> bool:
    """Change every file; whether all could be."""
    from pytest_reseval.study.specs import CannotEdit
    from pytest_reseval.study.taskfiles import put_in_place

    done = True
    for change in made:
        try:
            put_in_place(change)
        except CannotEdit as error:
            click.echo(printable(f"not changed: {change.task}: {error}", keep=""), err=True)
            done = False
        else:
            click.echo(printable(f"changed: {change.file}", keep=""), err=True)
    return done
