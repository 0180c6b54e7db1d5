"""The desktop simulator as a person has it: `reinstate sim` as a process, its page in the system's browser, and what is clicked there."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Error, Locator, Page, Playwright, Request, Route, expect

from firmware_agent.texts import load as load_texts

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = ("chromium", "chromium-browser")  # as distributions call it; Playwright's own browsers are not needed
WAIT_MS = 60_000
BEGIN_S = 60
END_S = 30
PR_SET_PDEATHSIG = 1  # linux/prctl.h
VIEWPORT = {"width": 1400, "height": 900}
# What a person chooses by in the page's languages.
MODES = {
    "en": {"in_service": "In service", "suspended": "Suspended"},
    "zh-CN": {"in_service": "正常服务", "suspended": "已停用"},
}


class Simulator:
    """`reinstate sim`, with agents on CPython. errors: the file that gets what it says of defects.

    started again it is on the same port. It ends with whoever started it, however that ends.
    """

    def __init__(self, errors: Path) -> None:
        self.errors = errors
        self._port = 0

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._port}/"

    @property
    def process_id(self) -> int:
        return self._process.pid

    def start(self) -> None:
        command = ["-m", "host_sim.cli", "sim", "--no-browser", "--runtime", "cpython", "--lang", "en", "--port", str(self._port)]
        with self.errors.open("ab") as errors:
            self._process = subprocess.Popen(
                [sys.executable, *command],
                cwd=ROOT,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
                preexec_fn=_ends_with_its_parent(),
            )
        assert self._process.stdout is not None
        began, _, _ = select.select([self._process.stdout], [], [], BEGIN_S)
        line = self._process.stdout.readline() if began else ""
        found = re.search(r"http://127\.0\.0\.1:(\d+)/", line)
        assert found, f"the simulator did not begin: {line!r} {self.said()}"
        self._port = int(found[1])

    def stop(self) -> None:
        """As Ctrl-C ends it. Fails if that takes long, or if it told of a defect meanwhile."""
        self._process.send_signal(signal.SIGINT)
        try:
            code = self._process.wait(END_S)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)  # whatever is left of it
            self._process.wait()
        assert (code, self.said()) == (0, ""), f"the simulator ended with {code}: {self.said()}"

    def terminals(self) -> list[str]:
        """Their numbers."""
        with urllib.request.urlopen(f"{self.address}api/terminals", timeout=END_S) as answer:
            return [terminal["id"] for terminal in json.load(answer)]

    def remove(self, number: str) -> None:
        """A terminal."""
        request = urllib.request.Request(f"{self.address}api/terminals/{number}", method="DELETE")
        urllib.request.urlopen(request, timeout=END_S).close()

    def said(self) -> str:
        return self.errors.read_text(errors="replace")


def _ends_with_its_parent() -> Callable[[], object] | None:
    """What a child does at first, so that the kernel interrupts it when its parent is gone; None where no kernel does that."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl  # before the fork: there is little that a child may do
    return functools.partial(prctl, PR_SET_PDEATHSIG, int(signal.SIGINT))


@contextlib.contextmanager
def chromium(playwright: Playwright) -> Iterator[Browser]:
    """The system's, without a window."""
    path = next(filter(None, map(shutil.which, CHROMIUM)), None)
    # Chromium does not sandbox itself for root; a small /dev/shm, as in containers, is not used.
    arguments = ["--disable-dev-shm-usage", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    browser = playwright.chromium.launch(executable_path=path, args=arguments)
    yield browser
    browser.close()


class Desk:
    """Pages of one simulator in one browser profile. It refuses whatever does not go to the simulator, and notes in `complaints` each thing
    that a faultless page never does: errors on its console (a violation of its policy is one), uncaught errors, requests to elsewhere.
    """

    def __init__(self, browser: Browser, simulator: Simulator, language: str = "en", **more: object) -> None:
        self.simulator = simulator
        self.complaints: list[str] = []
        options = {"locale": {"en": "en-GB"}.get(language, language), "viewport": VIEWPORT, "color_scheme": "light", **more}
        self.context: BrowserContext = browser.new_context(**options)  # type: ignore[arg-type]
        self.context.set_default_timeout(WAIT_MS)
        self.context.grant_permissions(["clipboard-read", "clipboard-write"])
        self.context.on("console", self._said)
        self.context.on("weberror", lambda error: self.complaints.append(f"uncaught: {error.error}"))
        self.context.on("request", self._asked)
        self.context.route(re.compile("^(?!" + re.escape(simulator.address) + ")"), lambda route: _refuse(route))
        self.page = self.open()

    def open(self) -> Page:
        """One more tab."""
        page = self.context.new_page()
        page.goto(self.simulator.address)
        expect(page.get_by_test_id("add-terminal")).to_be_visible()
        return page

    def forgive(self, pattern: str) -> None:
        """What was to be expected."""
        self.complaints = [line for line in self.complaints if not re.search(pattern, line)]

    def at(self, name: str) -> Locator:
        return self.page.get_by_test_id(name)

    def add(self, board: str = "esp32s3_counter", runtime: str = "cpython", language: str = "en") -> Terminal:
        """A terminal from the installer, off, as a person adds it."""
        self.at("add-board").select_option(board)
        self.at("add-runtime").select_option(runtime)
        self.at("add-language").select_option(language)
        with self.page.expect_response(lambda answer: answer.url.endswith("/api/terminals") and answer.request.method == "POST") as answer:
            self.at("add-terminal").click()
        number = answer.value.json()["terminal"]["id"]
        expect(self.at(f"terminal-{number}")).to_be_visible()
        expect(self.at("add-terminal")).to_be_enabled()
        return Terminal(self.page, number, language)

    def close(self) -> None:
        """No terminal is left for whoever comes next."""
        self.context.close()
        for number in self.simulator.terminals():
            self.simulator.remove(number)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"console: {message.text}")

    def _asked(self, request: Request) -> None:
        if not request.url.startswith((self.simulator.address, "data:", "blob:")):
            self.complaints.append(f"asked for {request.url}")


def _refuse(route: Route) -> None:
    with contextlib.suppress(Error):  # its page is closed already
        route.abort()


class Terminal:
    """One terminal on a page. language: of its screens."""

    def __init__(self, page: Page, number: str, language: str) -> None:
        self.page = page
        self.id = number
        self.language = language
        self._texts = load_texts(language)

    def on(self, page: Page) -> Terminal:
        """The same, in another tab."""
        return Terminal(page, self.id, self.language)

    def at(self, name: str) -> Locator:
        """What belongs to it: display, screen, slip, power, ..."""
        return self.page.get_by_test_id(f"{name}-{self.id}")

    def near(self, name: str) -> Locator:
        """What is in the panel, where this terminal is chosen."""
        return self.page.get_by_test_id(name)

    def apply(self) -> None:
        """From the list of materials: all that a violation asks for is at hand, and the application goes to the acquirer."""
        self.press("1", "2", "3", "4", "7", "9", "enter")
        self.shows("recovery.application.title")
        self.press("1")
        self.shows("statement.title")
        self.press("1", "enter")
        self.shows("recovery.application.title")
        self.press("1")
        self.shows("confirm_form.title")
        self.press("1")
        self.shows("recovery.review.title")

    def pass_the_tests(self) -> None:
        """From the list of the tests before service to the page that says that it is back: prints, scans, and takes a card."""
        self.press("1")
        self.shows("exam.printer.seen")
        expect(self.at("slip")).to_be_visible()
        self.press("1")
        self._passed("print")
        self.press("1")
        self.shows("exam.scanner.hold")
        self.at("scan").click()
        self._passed("scan")
        self.press("1")
        self.shows("exam.card_reader.hold")
        self.at("card-insert").click()
        expect(self.at("card-remove")).to_be_enabled()
        self.shows("restored.title")
        self.at("card-remove").click()

    def _passed(self, test: str) -> None:
        """The list of tests is back, and this one has passed."""
        passed = self.say(f"test.{test}").pattern + r"\s*" + self.say("outcome.pass").pattern
        self.shows("test.title")
        expect(self.at("screen")).to_contain_text(re.compile(passed))

    def say(self, key: str, **values: object) -> re.Pattern[str]:
        """One of the terminal's own texts, wherever its lines are broken."""
        text = self._texts.get(key, **values)
        return re.compile(r"\s*".join(re.escape(letter) for letter in text if not letter.isspace()))

    def shows(self, key: str, **values: object) -> None:
        """It stands on the display, read back from its pixels."""
        expect(self.at("screen")).to_contain_text(self.say(key, **values))

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.get_by_test_id(f"key-{self.id}-{key}").click()

    def switch_on(self) -> None:
        """And it is in service."""
        self.at("power").click()
        self.shows("idle.ready")
        expect(self.at("mode")).to_be_visible()

    def order(self, action: str, **fields: str) -> None:
        self.near("tab-acquirer").click()
        self.near(f"action-{action}").click()
        for name, value in fields.items():
            field = self.near(f"order-{name}")
            if field.evaluate("(field) => field.tagName") == "SELECT":
                field.select_option(value)
            else:
                field.fill(value)
        self.near("send-order").click()

    def suspend(self) -> None:
        """For a violation."""
        self.order("suspend", reason="violation", case="C-2026-1107")
        self.shows("suspended.choice.1")
        expect(self.near("mode")).to_have_class(re.compile("warn"))

    def prepare(self) -> None:
        """From the page that says why it is suspended to that of the materials."""
        for page in ("reason", "contact", "check", "materials"):
            self.press("1")
            self.shows(f"recovery.{page}.title")
