"""How large a report is, and how soon a browser has drawn it: ``python -m benchmarks.report_page``.

Needs Debian's chromium and chromium-driver.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.support.wait import WebDriverWait

from benchmarks.rounds import Table, show
from pytest_reseval.reports.findings import findings
from pytest_reseval.reports.findings.trials import rows_each, trial_series
from pytest_reseval.reports.page import page
from pytest_reseval.runs import read_run
from tests.synthetic_run import Shape, write_run

_SHAPES = {
    "3 x 12": Shape(("1x", "3x", "uncapped"), tasks=12, samples=1, rows=600),
    "6 x 500": Shape(("1x", "1.5x", "2x", "3x", "5x", "uncapped"), 500, samples=1, rows=600),
}
_ROUNDS = 5


def tables() -> Iterator[Table]:
    """One table: a row for each size of run."""
    with tempfile.TemporaryDirectory() as folder:
        rows = [_row(name, shape, Path(folder)) for name, shape in _SHAPES.items()]
    yield Table(
        "Report",
        ["configurations x tasks", "page (MB)", "made in (s)", "first drawn (s)", "all drawn (s)"],
        rows,
        f"Medians of {_ROUNDS} starts of Chromium, from the navigation to a file:// address: until "
        "the charts on the screen are drawn, and until those far below are, which is done when "
        "the browser has time. 600 samples a trial.",
    )


def _row(name: str, shape: Shape, folder: Path) -> list[str]:
    path = folder / name.replace(" ", "")
    write_run(path, shape)
    began = time.perf_counter()
    run = read_run(path)
    text = page([(findings(run), trial_series(run, rows_each(len(run.records))))])
    made = time.perf_counter() - began
    file = folder / f"{path.name}.html"
    file.write_text(text, encoding="utf-8")
    times = [_opened(file) for _ in range(_ROUNDS)]
    first, last = (statistics.median(column) for column in zip(*times, strict=True))
    size = f"{file.stat().st_size / 1e6:.1f}"
    return [name, size, f"{made:.1f}", f"{first:.2f}", f"{last:.2f}"]


def _opened(file: Path) -> tuple[float, float]:
    """Seconds until the first charts are drawn, and until all are, in a browser just started."""
    options = webdriver.ChromeOptions()
    options.binary_location = _program("chromium")
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.add_argument("--window-size=1280,900")
    service = webdriver.ChromeService(_program("chromedriver"))
    with webdriver.Chrome(options=options, service=service) as driver:
        driver.get("about:blank")
        began = time.perf_counter()
        driver.get(file.as_uri())
        _until(driver, "document.documentElement.dataset.drawn === 'true'")
        first = time.perf_counter() - began
        _until(driver, "!document.querySelector('.plot:not([data-drawn])')")
        return first, time.perf_counter() - began


def _until(driver: webdriver.Chrome, expression: str) -> None:
    WebDriverWait(driver, 120, 0.01).until(lambda one: one.execute_script(f"return {expression}"))


def _program(name: str) -> str:
    return shutil.which(name) or sys.exit(f"{name} is not installed")


if __name__ == "__main__":
    show(tables())
