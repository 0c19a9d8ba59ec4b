from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator

import pytest
from selenium import webdriver

Open = Callable[..., webdriver.Chrome]


@pytest.fixture
def browser() -> Iterator[Open]:
    """Starts Chromium without a network, at a width and height in CSS pixels."""
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not program or not driver:
        pytest.skip("needs chromium and chromedriver (Debian: chromium, chromium-driver)")
    started: list[webdriver.Chrome] = []

    def start(width: int, height: int, mobile: bool = False) -> webdriver.Chrome:
        options = webdriver.ChromeOptions()
        options.binary_location = program
        for argument in (
            "--headless=new",
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--force-prefers-reduced-motion",
            "--host-resolver-rules=MAP * ~NOTFOUND",
            f"--window-size={width},{height}",
        ):
            options.add_argument(argument)
        if mobile:
            screen = {"width": width, "height": height, "pixelRatio": 2.0}
            options.add_experimental_option("mobileEmulation", {"deviceMetrics": screen})
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        one = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
        started.append(one)
        return one

    yield start
    for one in started:
        one.quit()
