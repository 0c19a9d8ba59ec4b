from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from plotly import graph_objects

from pytest_reseval.outcomes import Cause
from pytest_reseval.records import TrialRecord
from pytest_reseval.reports.findings import findings
from pytest_reseval.reports.findings.trials import rows_each, trial_series
from pytest_reseval.reports.page import page
from pytest_reseval.reports.page.figures.style import series
from pytest_reseval.reports.page.packing import script_hash
from pytest_reseval.runs import Run, read_run
from tests.synthetic_run import Shape, write_run
from tests.unit.builders import make_manifest, make_phase, make_record

HOSTILE = [
    "</script><script>owned()</script>",
    "<!--<script>",
    "\"><img src=x onerror='owned()'>",
    "<a href='http://evil.example'>click</a>",
    "{{ 7 * 7 }}",
    "\u2028\u202eevil",
    "\udcff\x00",
]

SIZES = Shape(("1x", "1.5x", "2x", "3x", "5x", "uncapped"), tasks=500, samples=1, rows=90)


class Elements(HTMLParser):
    """Every element with its attributes, and what stands in scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: dict[str, str] = {}
        self._script: str | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag == "script":
            self._script = dict(attrs).get("id") or ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "script":
            self._script = None

    def handle_data(self, data: str) -> None:
        if self._script is not None:
            self.scripts[self._script] = self.scripts.get(self._script, "") + data


def of(*runs: Run) -> str:
    rows = rows_each(sum(len(run.records) for run in runs))
    return page([(findings(run), trial_series(run, rows)) for run in runs])


def run(records: Sequence[TrialRecord], **manifest: Any) -> Run:
    return Run(Path("nowhere"), make_manifest(**manifest), tuple(records))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("runs") / "small"
    write_run(folder, Shape(done=0.6))
    return of(read_run(folder))


@pytest.mark.parametrize("name", HOSTILE)
def test_no_text_from_outside_becomes_markup_or_script(name: str) -> None:
    def text(task: str) -> str:
        records = [
            make_record(
                task,
                Cause.OOM_LIMIT,
                message=task,
                agent=task,
                worker=task,
                configuration=configuration,
                phases=[make_phase(oom_kill=1, output_tail=task)],
            )
            for configuration in ("1x", "3x")
        ]
        return of(run(records, agent=task, arguments=(task,), versions={task: task}, run=task))

    hostile, harmless = Elements(text(name)), Elements(text("harmless"))
    assert [tag for tag, _ in hostile.found] == [tag for tag, _ in harmless.found]
    assert hostile.scripts.keys() == harmless.scripts.keys()
    for key in ("figures", "run0-trials"):
        json.loads(hostile.scripts[key])


def test_plotly_gets_no_markup_from_outside() -> None:
    records = [make_record("<a href='http://evil.example'>x</a>", Cause.WRONG, worker="<b>")]
    figures = Elements(of(run(records))).scripts["figures"]
    texts = json.dumps(json.loads(figures))
    assert not re.search(r"<(?!br>|extra>|/extra>)", texts)


def test_nothing_is_fetched_from_anywhere(small: str) -> None:
    elements = Elements(small)
    addresses = {
        value
        for _, attributes in elements.found
        for name, value in attributes.items()
        if name in ("src", "href", "action", "data") and value and not value.startswith("#")
    }
    assert not addresses
    assert not {"link", "img", "iframe", "object"} & {tag for tag, _ in elements.found}
    assert "url(" not in small[: small.index("</style>")]


def test_the_policy_allows_our_scripts_alone(small: str) -> None:
    elements = Elements(small)
    policy = next(
        attributes["content"] or ""
        for tag, attributes in elements.found
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    )
    assert "default-src 'none'" in policy
    scripts = re.search(r"script-src ([^;]*);", policy)
    assert scripts is not None
    assert script_hash(elements.scripts[""].encode()) in scripts[1].split()
    assert len(scripts[1].split()) == 2
    assert "unsafe" not in scripts[1]


def test_what_is_missing_is_said(small: str) -> None:
    assert "24 of 60 trials have no verdict" in small


def test_figures_are_what_plotly_knows(small: str) -> None:
    figures = json.loads(Elements(small).scripts["figures"])
    assert {"run0-score", "run0-peaks", "run0-timeline"} <= figures.keys()
    for figure in figures.values():
        graph_objects.Figure(figure["data"], figure["layout"])
        assert all(one for one in figure["data"])


def test_several_runs_share_one_page_and_one_chart(tmp_path: Path) -> None:
    for name in ("before", "after"):
        write_run(tmp_path / name, Shape(tasks=3, samples=1))
    text = of(read_run(tmp_path / "before"), read_run(tmp_path / "after"))
    elements = Elements(text)
    ids = [attributes["id"] for _, attributes in elements.found if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {"run0", "run1", "overlay"} <= set(ids)
    assert text.count('id="plotly"') == 1


def test_a_run_without_any_verdict_has_a_page() -> None:
    text = of(run([], order=("tasks/a/task.toml::run[3x-s0]",)))
    assert "1 of 1 trials have no verdict" in text


def test_three_thousand_trials_stay_below_fifteen_megabytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # 3000 of them take ten seconds
    write_run(tmp_path / "run", SIZES)
    text = of(read_run(tmp_path / "run"))
    assert len(text.encode()) < 15_000_000
    assert len(json.loads(Elements(text).scripts["run0-trials"])["packed"]) == 3000


def test_series_are_told_apart_by_colour_or_marker() -> None:
    assert len({series(index) for index in range(36)}) == 36
