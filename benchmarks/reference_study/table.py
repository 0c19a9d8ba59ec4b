"""Tells the study's curve in Markdown: ``python -m benchmarks.reference_study.table STUDY``.

STUDY is the folder of a run, or a CSV file in which ``--keep`` kept one.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from tabulate import tabulate

from benchmarks.reference_study import outcomes
from benchmarks.reference_study.approaches import Strategy
from benchmarks.reference_study.outcomes import Trial
from pytest_reseval.configuration import by_tightness
from pytest_reseval.runs import UnreadableRun, read_run
from pytest_reseval.statistics.estimates import Estimate, share
from pytest_reseval.statistics.paired import difference
from pytest_reseval.statistics.trend import Trend, trend

PUBLISHED: Mapping[str, tuple[str, str]] = {
    "1x": ("5.8%", ""),
    "3x": ("2.1%", "within noise (p = 0.40)"),
    "uncapped": ("0.5%", "+6 points"),
}
"""Infra-errors and score against 1x: https://www.anthropic.com/engineering/infrastructure-noise"""

Property = Callable[[Trial], bool]


def passed(trial: Trial) -> bool:
    """The score counts it."""
    return trial.outcome == "passed"


def infra(trial: Trial) -> bool:
    """The box kept it from a fair answer."""
    return trial.outcome == "infra-error"


def told(trials: Sequence[Trial]) -> str:
    """All tables and the chart."""
    labels = by_tightness({trial.configuration for trial in trials})
    parts = [
        _curve(trials, labels),
        _chart(trials, labels),
        "\n".join(_trends(trials, labels)),
        "By the strategy of the first approach, score and infra-errors:",
        _strategies(trials, labels),
        "By verdict:",
        _verdicts(trials, labels),
    ]
    return "\n\n".join(parts) + "\n"


def _curve(trials: Sequence[Trial], labels: Sequence[str]) -> str:
    rows = []
    for label in labels:
        infra_published, score_published = PUBLISHED.get(label, ("", ""))
        change = difference(_pairs(trials, labels[0], label)) if label != labels[0] else None
        rows.append(
            [
                label,
                sum(trial.configuration == label for trial in trials),
                _percent(_share(trials, label, infra)),
                infra_published,
                _percent(_share(trials, label, passed)),
                f"{100 * change.value:+.1f}" if change else "",
                f"{100 * change.low:+.1f} to {100 * change.high:+.1f}" if change else "",
                _p(change.p_value) if change else "",
                score_published,
            ]
        )
    headers = [
        "headroom",
        "trials",
        "infra-errors (95%)",
        "published",
        "score (95%)",
        f"points against {labels[0]}",
        "95%",
        "p",
        "published",
    ]
    return tabulate(rows, headers, tablefmt="pipe", disable_numparse=True)


def _chart(trials: Sequence[Trial], labels: Sequence[str]) -> str:
    rates = [100 * _share(trials, label, infra).value for label in labels]
    scores = [100 * _share(trials, label, passed).value for label in labels]
    gains = [score - scores[0] for score in scores]
    low, high = min(0.0, *gains), max(*rates, *gains)
    return "\n".join(
        [
            "```mermaid",
            "xychart-beta",
            f'    title "falling: infra-errors in %; rising: points of score above {labels[0]}"',
            "    x-axis [" + ", ".join(f'"{label}"' for label in labels) + "]",
            f"    y-axis {low - 0.5:.1f} --> {high + 0.5:.1f}",
            f"    line [{', '.join(f'{rate:.1f}' for rate in rates)}]",
            f"    line [{', '.join(f'{gain:.1f}' for gain in gains)}]",
            "```",
        ]
    )


def _trends(trials: Sequence[Trial], labels: Sequence[str]) -> Iterator[str]:
    yield f"- infra-errors, {labels[0]} to {labels[-1]}: {_trend(trials, labels, infra)}"
    if "3x" in labels[1:-1]:
        place = labels.index("3x")
        low, high = labels[: place + 1], labels[place:]
        yield f"- score, {low[0]} to 3x: {_trend(trials, low, passed)}"
        change = difference(_pairs(trials, "3x", high[-1]))
        yield (
            f"- score, 3x to {high[-1]}: {100 * change.value:+.1f} points "
            f"({100 * change.low:+.1f} to {100 * change.high:+.1f}), {_compared(change.p_value)}"
        )
    yield f"- score, {labels[0]} to {labels[-1]}: {_trend(trials, labels, passed)}"


def _trend(trials: Sequence[Trial], labels: Sequence[str], counted: Property) -> str:
    found: Trend = trend(
        [
            [
                [
                    float(counted(trial)) if (trial := by_label.get(label)) else None
                    for label in labels
                ]
                for by_label in samples.values()
            ]
            for samples in _blocks(trials).values()
        ]
    )
    return (
        f"{found.direction}, {100 * found.slope:+.2f} points a step, {_compared(found.p_value)} "
        f"({found.tasks} tasks)"
    )


def _strategies(trials: Sequence[Trial], labels: Sequence[str]) -> str:
    rows = []
    for strategy in Strategy:
        own = [trial for trial in trials if trial.strategy == strategy]
        if own:
            cells = [
                f"{_mean(own, label, passed):.0f}% / {_mean(own, label, infra):.0f}%"
                for label in labels
            ]
            rows.append([strategy, len(own) // len(labels), *cells])
    headers = ["strategy", "attempts", *labels]
    return tabulate(rows, headers, tablefmt="pipe", disable_numparse=True)


def _verdicts(trials: Sequence[Trial], labels: Sequence[str]) -> str:
    def counted(chosen: Property) -> list[int]:
        return [
            sum(chosen(trial) for trial in trials if trial.configuration == label)
            for label in labels
        ]

    rows: list[list[str | int]] = [
        ["passed without a kill", *counted(lambda one: passed(one) and not one.kills)],
        ["passed, a kill survived", *counted(lambda one: passed(one) and one.kills > 0)],
        ["failed without a kill", *counted(lambda one: one.outcome == "failed" and not one.kills)],
        [
            "failed, killed for what the agent had left running",
            *counted(lambda one: one.outcome == "failed" and one.kills > 0),
        ],
    ]
    rows += [
        [f"infra-error, `{cause}`", *counted(lambda one, cause=cause: one.cause == cause)]  # type: ignore[misc]
        for cause in sorted({trial.cause for trial in trials if infra(trial)})
    ]
    return tabulate(rows, ["verdict", *labels], tablefmt="pipe", disable_numparse=True)


def _blocks(trials: Iterable[Trial]) -> dict[str, dict[int, dict[str, Trial]]]:
    """Trials by task, sample and configuration."""
    found: dict[str, dict[int, dict[str, Trial]]] = {}
    for trial in trials:
        samples = found.setdefault(trial.task, {})
        samples.setdefault(trial.sample, {})[trial.configuration] = trial
    return found


def _pairs(trials: Iterable[Trial], before: str, after: str) -> list[list[tuple[float, float]]]:
    return [
        [
            (float(passed(by_label[before])), float(passed(by_label[after])))
            for by_label in samples.values()
            if before in by_label and after in by_label
        ]
        for samples in _blocks(trials).values()
    ]


def _share(trials: Iterable[Trial], label: str, counted: Property) -> Estimate:
    return share(
        [
            [float(counted(by_label[label])) for by_label in samples.values() if label in by_label]
            for samples in _blocks(trials).values()
        ]
    )


def _mean(trials: Iterable[Trial], label: str, counted: Property) -> float:
    return 100 * _share(trials, label, counted).value


def _percent(estimate: Estimate) -> str:
    return f"{100 * estimate.value:.1f}% ({100 * estimate.low:.1f}-{100 * estimate.high:.1f})"


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _compared(value: float) -> str:
    return f"p {_p(value)}" if value < 0.001 else f"p = {_p(value)}"


def study(path: Path) -> list[Trial]:
    """The trials that a run's folder or a kept CSV file holds. Raises UnreadableRun."""
    return outcomes.read(path) if path.is_file() else outcomes.of_run(read_run(path))


def main() -> None:
    """Print the tables of the study that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reference_study.table")
    parser.add_argument("study", type=Path, help="folder of a run, or a CSV file kept of one")
    parser.add_argument("--keep", type=Path, metavar="CSV", help="keep the outcomes in this file")
    arguments = parser.parse_args()
    try:
        trials = study(arguments.study)
    except UnreadableRun as error:
        sys.exit(str(error))
    if not trials:
        sys.exit(f"{arguments.study}: no trial has ended yet")
    if arguments.keep:
        outcomes.write(trials, arguments.keep)
    print(told(trials), end="")


if __name__ == "__main__":
    main()
