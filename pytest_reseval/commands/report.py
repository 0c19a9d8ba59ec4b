"""``reseval report``: runs as one HTML page, and as Markdown."""

from __future__ import annotations

from pathlib import Path
from typing import IO

import click

from pytest_reseval.commands.extra import refuse, studying
from pytest_reseval.runs import UnreadableRun, read_run


@click.command("report", no_args_is_help=True)
@click.argument("runs", nargs=-1, required=True, metavar="RUN...", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("report.html"),
    show_default=True,
    metavar="FILE",
    help="The HTML page to write.",
)
@click.option(
    "--markdown",
    type=click.File("w", encoding="utf-8", lazy=True),
    metavar="FILE",
    help="Write the report as Markdown too; - is standard output.",
)
def command(runs: tuple[Path, ...], output: Path, markdown: IO[str] | None) -> None:
    """Show runs in one HTML page that needs no network.

    Scores and infra-errors by configuration, how every task ended, peaks against guarantees and
    limits, any trial over time, admission, and the manifest. A run that was interrupted is shown
    as far as it came, with what is missing. Of several runs each has its section, and a chart has
    the scores of all.

    \b
    reseval report reseval-runs/20261123T152331-ac0cb2
    reseval report before after -o both.html
    reseval report RUN --markdown - >> "$GITHUB_STEP_SUMMARY"

    The Markdown is short: what did not pass, and the highest peaks. Needs the extra "study". Exit
    status 2: a folder holds no run, or a file cannot be written.
    """
    try:
        found = [read_run(path) for path in runs]
    except UnreadableRun as error:
        refuse(str(error))
    with studying("report"):
        from pytest_reseval.reports.findings import findings
        from pytest_reseval.reports.findings.trials import rows_each, trial_series
        from pytest_reseval.reports.markdown import markdown as in_markdown
        from pytest_reseval.reports.page import page

    rows = rows_each(sum(len(run.records) for run in found))
    reports = [findings(run) for run in found]
    text = page([(one, trial_series(one.run, rows)) for one in reports])
    try:
        output.write_text(text, encoding="utf-8")
        if markdown is not None:
            markdown.write(in_markdown(reports))
    except click.FileError as error:
        refuse(error.format_message())
    except OSError as error:
        refuse(f"{error.filename}: {error.strerror}")
    click.echo(f"{output}: {len(text.encode()) / 1e6:.1f} MB", err=True)
