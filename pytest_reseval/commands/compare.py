"""``reseval compare``: were two runs the same test, and what is the difference worth?"""

from __future__ import annotations

import json
from pathlib import Path

import click

from pytest_reseval.commands.extra import refuse, studying
from pytest_reseval.runs import UnreadableRun


@click.command("compare", no_args_is_help=True)
@click.argument("before", metavar="A", type=click.Path(path_type=Path))
@click.argument("after", metavar="[B]", required=False, type=click.Path(path_type=Path))
@click.option(
    "-c",
    "--configuration",
    metavar="X[,Y]",
    help="The configuration to compare, or one of A and one of B: 1x,3x.",
)
@click.option(
    "--changed-too", is_flag=True, help="Compare tasks whose files differ as well, by their names."
)
@click.option("--json", "as_json", is_flag=True, help="Machine-readable: docs/compare.md.")
def command(
    before: Path, after: Path | None, configuration: str | None, changed_too: bool, as_json: bool
) -> None:
    """Say whether two runs were the same test, and what their difference is worth.

    Use it before you say that one model, agent or version is better than another. First it tells
    what differs between the runs, resources first; then the difference of the scores over the
    tasks and samples that both have, with its 95% interval and p-value, for each configuration
    that both have; then a verdict. Between runs whose resources differ or are not known a gap of
    less than 3 points is not interpretable.

    A and B are folders of runs, finished or not, or CSV files task,sample,outcome of other
    harnesses, whose resources are unknown. With A alone, two configurations of one run are
    compared.

    \b
    reseval compare reseval-runs/before reseval-runs/after
    reseval compare before after --configuration 1x,3x
    reseval compare reseval-runs/sweep --configuration 1x,uncapped

    Exit status: 0 whatever the verdict is; 2 if a run cannot be read or nothing fits. Needs the
    extra "study".
    """
    with studying("compare"):
        from pytest_reseval.reports.comparison import comparison_lines
        from pytest_reseval.study.comparison import CannotCompare, comparison_json
        from pytest_reseval.study.comparison import compare as compared
        from pytest_reseval.study.readers import read_comparable

    chosen = _labels(configuration)
    if after is None and chosen is not None and chosen[0] == chosen[1]:
        refuse(f"--configuration {configuration}: both are the same; name two, like 1x,3x")
    if after is None and chosen is None:
        refuse("one run alone: name a second one, or two configurations by --configuration X,Y")
    try:
        first = read_comparable(before)
        second = first if after is None else read_comparable(after)
        comparisons = compared(first, second, chosen, changed_too)
    except (UnreadableRun, CannotCompare) as error:
        refuse(str(error))
    if as_json:
        told = comparison_json(first, second, comparisons)
        click.echo(json.dumps(told, indent=2))
    else:
        click.echo("\n".join(comparison_lines(first, second, comparisons)))


def _labels(typed: str | None) -> tuple[str, str] | None:
    if typed is None:
        return None
    labels = [label.strip() for label in typed.split(",")]
    if len(labels) > 2 or not all(labels):
        refuse(f"--configuration {typed}: write one label, or one of A and one of B: 1x,3x")
    return labels[0], labels[-1]
