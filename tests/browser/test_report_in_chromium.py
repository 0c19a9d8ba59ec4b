"""The report as a browser shows it: from a file, without a network."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.select import Select
from selenium.webdriver.support.wait import WebDriverWait

from pytest_reseval.outcomes import Cause
from pytest_reseval.records import RunDirectory
from pytest_reseval.reports.findings import findings
from pytest_reseval.reports.findings.trials import rows_each, trial_series
from pytest_reseval.reports.page import page
from pytest_reseval.runs import read_run
from tests.synthetic_run import Shape, write_run
from tests.unit.builders import make_manifest, make_phase, make_record

pytestmark = pytest.mark.chromium

Open = Callable[..., Chrome]

HOSTILE = "</script><script>window.owned = 1</script><img src=x onerror='window.owned = 1'>"
LINK = "<a href='http://evil.example'>click</a>"

DESKTOP = (1280, 900, False)
PHONE = (360, 780, True)


def write_page(directory: RunDirectory, file: Path) -> Path:
    run = read_run(directory.path)
    file.write_text(page([(findings(run), trial_series(run, rows_each(len(run.records))))]))
    return file


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("interrupted")
    directory = write_run(folder / "run", Shape(tasks=6, done=0.7))
    return write_page(directory, folder / "report.html")


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    directory = RunDirectory(tmp_path / "run")
    directory.write_manifest(make_manifest(run=HOSTILE, agent=LINK, arguments=(HOSTILE,)))
    for number, (name, configuration) in enumerate(
        (name, configuration) for name in (HOSTILE, LINK) for configuration in ("1x", "3x")
    ):
        record = make_record(
            name,
            Cause.OOM_LIMIT,
            configuration=configuration,
            trial=f"{number}",
            message=name,
            worker=LINK,
            phases=[make_phase(oom_kill=1)],
        )
        directory.append(record)
    return write_page(directory, tmp_path / "report.html")


def until(driver: Chrome, expression: str, *arguments: object) -> None:
    """Wait until a JavaScript expression is true."""
    WebDriverWait(driver, 60, 0.05).until(
        lambda one: one.execute_script(f"return {expression}", *arguments)
    )


def shown(driver: Chrome, file: Path) -> None:
    """Open the page, and go to each chart until it is drawn."""
    driver.get(file.as_uri())
    until(driver, "document.documentElement.dataset.drawn === 'true'")
    for plot in driver.find_elements(By.CSS_SELECTOR, ".plot"):
        driver.execute_script("arguments[0].scrollIntoView({behavior: 'instant'})", plot)
        until(driver, "arguments[0].dataset.drawn === 'true'", plot)


def log(driver: Chrome, kind: str) -> list[dict[str, str]]:
    entries: list[dict[str, str]] = driver.get_log(kind)  # type: ignore[no-untyped-call]
    return entries


def complaints(driver: Chrome) -> list[str]:
    """What the console holds, violations of the page's policy included."""
    return [entry["message"] for entry in log(driver, "browser")]


def requested(driver: Chrome) -> set[str]:
    """The addresses of everything that the page asked for."""
    events = [json.loads(entry["message"])["message"] for entry in log(driver, "performance")]
    return {
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    }


@pytest.mark.parametrize("screen", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_all_charts_are_drawn_and_nothing_is_fetched(
    browser: Open, interrupted: Path, screen: tuple[int, int, bool]
) -> None:
    driver = browser(*screen)
    shown(driver, interrupted)
    plots = driver.find_elements(By.CSS_SELECTOR, ".plot")
    assert len(plots) > 4
    for plot in plots:
        marks = plot.find_elements(By.CSS_SELECTOR, ".scatterlayer path, .barlayer path")
        assert len(marks) > 1, plot.get_attribute("id")
    assert complaints(driver) == []
    assert {url for url in requested(driver) if not url.startswith("data:")} == {
        interrupted.as_uri()
    }


@pytest.mark.parametrize("screen", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_the_page_is_no_wider_than_the_screen(
    browser: Open, interrupted: Path, screen: tuple[int, int, bool]
) -> None:
    driver = browser(*screen)
    shown(driver, interrupted)
    driver.execute_script("for (const one of document.querySelectorAll('details')) one.open = true")
    assert driver.execute_script(
        "return document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    )
    wide = driver.execute_script(
        "return [...document.querySelectorAll('.plot')]"
        ".filter(one => one.querySelector('.main-svg').clientWidth > one.clientWidth + 1).length"
    )
    assert wide == 0


def test_any_trial_can_be_chosen(browser: Open, interrupted: Path) -> None:
    driver = browser(*DESKTOP)
    shown(driver, interrupted)
    view = driver.find_element(By.CSS_SELECTOR, ".trial")
    task = Select(view.find_element(By.NAME, "task"))
    name = task.options[3].text
    task.select_by_index(3)
    configuration = Select(view.find_element(By.NAME, "configuration"))
    configuration.select_by_visible_text("uncapped")
    verdict = view.find_element(By.CSS_SELECTOR, ".verdict")
    WebDriverWait(driver, 60, 0.05).until(lambda _: f"{name}[uncapped-s0]" in verdict.text)
    before = view.find_element(By.CSS_SELECTOR, ".plot").get_attribute("data-trial")
    view.find_element(By.NAME, "next").click()
    until(driver, f"document.querySelector('.trial .plot').dataset.trial !== '{before}'")
    assert complaints(driver) == []


def test_a_cell_of_the_matrix_leads_to_its_trial(browser: Open, interrupted: Path) -> None:
    driver = browser(*DESKTOP)
    shown(driver, interrupted)
    cell = driver.find_elements(By.CSS_SELECTOR, ".matrix a[data-trial]")[-1]
    wanted = cell.get_attribute("data-trial")
    driver.execute_script("arguments[0].click()", cell)
    until(driver, f"document.querySelector('.trial .plot').dataset.trial === '{wanted}'")


def test_printing_draws_and_opens_everything(browser: Open, interrupted: Path) -> None:
    driver = browser(*DESKTOP)
    driver.get(interrupted.as_uri())
    until(driver, "!document.querySelector('.plot:not([data-drawn])')")
    driver.execute_script(
        "addEventListener('beforeprint', () => {"
        "  window.atPrint = [...document.querySelectorAll('.plot')]"
        "    .filter(one => !one.querySelector('.main-svg')).length"
        "    + document.querySelectorAll('details:not([open])').length; });"
    )
    printed = driver.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})
    assert base64.b64decode(printed["data"]).startswith(b"%PDF-")
    assert driver.execute_script("return window.atPrint") == 0
    until(driver, "document.querySelectorAll('details[open]').length === 0")


def test_names_from_outside_stay_names(browser: Open, hostile: Path) -> None:
    driver = browser(*DESKTOP)
    shown(driver, hostile)
    assert driver.execute_script("return window.owned") is None
    assert driver.find_elements(By.CSS_SELECTOR, "img") == []
    assert driver.find_elements(By.CSS_SELECTOR, "svg a, a[href^='http']") == []
    options = Select(driver.find_element(By.NAME, "task")).options
    assert [option.text for option in options] == sorted([HOSTILE, LINK])
    assert driver.find_element(By.CSS_SELECTOR, "h2").text == HOSTILE
    assert complaints(driver) == []
