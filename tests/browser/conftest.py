"""One simulator and one browser for each module, and a desk for each test: with pictures of it in build/browser if the test fails.

Not for longer: while Playwright's browser is open its event loop runs in this thread, and no test can run one of its own. So `make test`
gives these tests a process of their own, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.browser.desk import ROOT, WAIT_MS, Desk, Simulator, chromium

PICTURES = ROOT / "build" / "browser"
PASSED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    report = yield
    if report.when == "call":
        item.stash[PASSED] = report.passed
    return report


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=WAIT_MS)
    with sync_playwright() as playwright, chromium(playwright) as browser:
        yield browser


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    simulator = Simulator(tmp_path_factory.mktemp("simulator") / "errors")
    simulator.start()
    simulator.remove("T0000001")
    yield simulator
    simulator.stop()


@pytest.fixture
def language() -> str:
    """Of the page; a test that is for both is parametrised with it."""
    return "en"


@pytest.fixture
def desk(request: pytest.FixtureRequest, browser: Browser, simulator: Simulator, language: str) -> Iterator[Desk]:
    """A page without terminals."""
    yield from desk_of(request, browser, simulator, language)


def desk_of(request: pytest.FixtureRequest, browser: Browser, simulator: Simulator, language: str, **more: object) -> Iterator[Desk]:
    desk = Desk(browser, simulator, language, **more)
    expect(desk.page.locator(".shelf")).to_be_visible()
    yield desk
    if not request.node.stash.get(PASSED, False):
        picture(desk, request.node.name)
    desk.close()
    assert desk.complaints == []


def picture(desk: Desk, name: str) -> Path:
    PICTURES.mkdir(parents=True, exist_ok=True)
    path = PICTURES / f"{name}.png"
    desk.page.screenshot(path=path)
    return path
