"""The menu on a running terminal: the code on paper and display is the signed report, a session ends, tamper takes two."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any
from xml.etree import ElementTree

import pytest
import zxingcpp
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from PIL import Image

from firmware_agent.flows.handout import draw_code
from firmware_agent.flows.menu.device_flow import may_confirm
from firmware_agent.flows.menu.device_pages import entries_of, result_page, slip_lines
from firmware_agent.flows.menu.menu import SESSION_MS, VIEWED_MS, menu
from firmware_agent.flows.menu.menu import Visit as MenuVisit
from firmware_agent.flows.menu.technician_flow import session
from firmware_agent.identity.technician import Technician, set_pin
from firmware_agent.identity.tries import FIRST_DELAY_MS
from firmware_agent.messages.cbor import encode
from firmware_agent.screens.font import Font
from firmware_agent.screens.qr import qr_code
from firmware_agent.selftest.export import json_lines, junit_lines, last_run
from firmware_agent.selftest.subject import Subject
from firmware_agent.settings import Settings
from firmware_agent.state.machine import OUT_OF_ORDER, Suspended
from firmware_agent.state.reasons import ACTOR_HOST, Reason
from firmware_agent.texts import LANGUAGES, load
from host_sim import technician
from host_sim.cli import main
from host_sim.scenarios.actions import BADGE, Actions
from host_sim.scenarios.expectations import export_of
from host_sim.terminal import RUNTIMES
from host_sim.world import PIN, TERMINAL, Shop
from tests.core import test_export as runs
from tests.core.parts import Flash, Time
from tests.core.terminal_parts import boot, provisioned
from tests.story.world import run_story, until

TEXTS = load("en")


class Counter:
    """A person at a running terminal, who looks before he presses a key."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.chips: Any = shop.terminal.bench.chips

    async def press(self, *keys: str) -> None:
        for key in keys:
            self.chips["keypad"].tap(key)
            await until(lambda: self.chips["keypad"].idle, f"key {key}")

    async def sees(self, key: str) -> None:
        wanted = "".join(TEXTS.get(key).split())
        await until(lambda: wanted in "".join("".join(self.shop.terminal.screen()).split()), f"{key} on the display")

    async def signs_on(self, has_reader: bool = True) -> None:
        await self.press("help")
        await self.sees("menu.title")
        await self.press("2")
        if has_reader:
            await self.sees("sign_on.how")
            await self.press("1")
        await self.sees("pin.title")
        await self.press(*PIN, "enter")
        await self.sees("technician.pin")


def scanned(picture: Image.Image) -> str:
    """What a telephone makes of it; '' for no code."""
    image = picture.convert("L")
    if image.width < 200:  # a camera takes several pixels of a module
        image = image.resize((image.width * 4, image.height * 4), Image.Resampling.NEAREST)
    found = zxingcpp.read_barcodes(image, formats=zxingcpp.BarcodeFormat.QRCode)
    return found[0].text if found and found[0].valid else ""


def key_file(folder: Path, public_key: bytes) -> Path:
    point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x04" + public_key)
    path = folder / "terminal.pem"
    path.write_bytes(point.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return path


def verified(text: str, public_key: bytes, folder: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """What `reinstate verify` says of the text of a code."""
    path = folder / "code.txt"
    path.write_text(text, encoding="utf-8")
    capsys.readouterr()
    assert main(["verify", str(path), "--key", str(key_file(folder, public_key)), "--json"]) == 0
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert document["good"] and document["kind"] == "report"
    return document


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_the_code_on_paper_and_on_the_display_is_the_report_that_was_sent(
    runtime: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    codes: list[str] = []
    sent: list[dict[str, Any]] = []
    exports: list[str] = []
    key = b""

    async def story(shop: Shop) -> None:
        nonlocal key
        shop.terminal.power_on()
        await until(lambda: bool(shop.account.reports), "the report, which is sent and gone from the outbox")
        person = Counter(shop)
        await person.sees("idle.title")
        await person.signs_on()
        await person.press("5")
        printer = person.chips["printer"]
        await until(lambda: bool(scanned(printer.last_slip().picture())), "a code on the slip")
        codes.append(scanned(printer.last_slip().picture()))
        await person.sees("technician.pin")
        await person.press("6")
        await until(lambda: bool(scanned(person.chips["display"].picture())), "a code on the display")
        codes.append(scanned(person.chips["display"].picture()))
        await person.press("enter")
        await person.sees("technician.pin")
        await person.press("7", "1", "2")
        await until(lambda: bool(export_of(shop.terminal.lines, "JUnit XML")), "the exports")
        exports.extend(export_of(shop.terminal.lines, form) for form in ("JSON", "JUnit XML"))
        sent.extend(shop.account.reports)
        key = shop.account.public_key

    run_story(story, runtime)
    documents = [verified(text, key, tmp_path, capsys) for text in codes]
    assert len(sent) == 1
    for document in documents:
        assert document["body"] == sent[0]
        assert document["terminal"] == TERMINAL and document["boot_count"] == 1
    assert documents[0]["sequence"] == documents[1]["sequence"]
    exported = json.loads(exports[0])
    assert exported["sequence"] == documents[0]["sequence"]
    assert [(result["phase"], result["outcome"]) for result in exported["results"]] == [
        (result["phase"], result["outcome"]) for result in documents[0]["results"]
    ]
    suite = ElementTree.fromstring(exports[1])[0]
    assert [case.get("name") for case in suite.iter("testcase")] == [result["phase"] for result in exported["results"]]


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_the_handheld_shows_the_code_of_its_power_on_test_on_its_small_display(
    runtime: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    codes: list[str] = []
    key = b""

    async def story(shop: Shop) -> None:
        nonlocal key
        shop.terminal.power_on()
        await until(lambda: bool(shop.account.reports), "the report")
        key = shop.account.public_key
        person = Counter(shop)
        await person.sees("idle.title")
        await person.signs_on()
        await person.press("6")
        await until(lambda: bool(scanned(person.chips["display"].picture())), "a code on the display")
        codes.append(scanned(person.chips["display"].picture()))
        await person.press("cancel")
        await person.sees("technician.pin")

    run_story(story, runtime, board="esp32_mpos")
    verified(codes[0], key, tmp_path, capsys)


def test_a_power_cut_signs_off() -> None:
    async def story(shop: Shop) -> None:
        person = Counter(shop)
        shop.terminal.power_on()
        await person.sees("idle.title")
        await person.signs_on()
        await shop.terminal.power_off()
        shop.terminal.power_on()
        await person.sees("idle.title")
        await person.press("help")
        await person.sees("menu.choice.2")

    run_story(story, "cpython")


def test_a_tamper_is_lifted_by_a_technician_with_a_badge_and_the_acquirer_together() -> None:
    async def story(shop: Shop) -> None:
        person = Counter(shop)
        helper = technician.Technician(shop.terminal, "en", Random(1))
        shop.listeners.append(helper.heard)
        shop.terminal.power_on()
        await person.sees("idle.title")
        await shop.acquirer.order(TERMINAL, action="suspend", reason="tamper")
        await person.sees("out_of_order.title")

        # By PIN nobody confirms it, whatever was tested.
        await person.signs_on()
        await person.press("9")
        await person.sees("out_of_order.title")

        await person.press("help")
        await person.sees("menu.title")
        await person.press("2")
        await person.sees("sign_on.how")
        await person.press("2")
        await person.sees("badge.title")
        person.chips["card_reader"].insert_card(await Actions(shop).badge("badge"))
        await person.sees("technician.choice.9")
        person.chips["card_reader"].remove_card()
        assert not any(TEXTS.get("technician.choice.8") in line for line in shop.terminal.screen())
        await person.press("1")
        await until(lambda: any(line.startswith("self-test full ended") for line in shop.terminal.lines), "the full test")
        await helper.leave()
        person.chips["card_reader"].remove_card()
        await person.press("cancel")
        await person.sees("technician.choice.8")
        await person.press("8")
        await person.sees("confirm.text")
        await person.press("2")
        event = {"name": "technician_confirmed", "detail": f"badge {BADGE}"}
        await until(lambda: shop.account.events[-1:] == [event], "the event")
        assert shop.account.state["mode"] == "out_of_order"  # the acquirer has to agree
        await shop.acquirer.order(TERMINAL, action="lift", reason="tamper")
        await until(lambda: shop.account.state["mode"] != "out_of_order", "the end of the tamper")

    run_story(story, "cpython")


# A closer look at the menu alone, in time that jumps.


class Person:
    """In the place of the display and the keys: presses what `keys` says, one key a page, then nothing any more."""

    def __init__(self, clock: Any, *keys: str) -> None:
        self.texts = TEXTS
        self.slips = None
        self.pages: list[str] = []
        self.clock = clock
        self.keys = list(keys)
        self.key_ms = 0

    def show(self, page: Any) -> None:
        self.pages.append(page.name)

    async def ask(self, page: Any, outdated: Callable[[], bool], further_keys: tuple[str, ...] = ()) -> str:
        self.show(page)
        meant = [choice[0] for choice in page.choices] + list(further_keys)
        while not outdated():
            if self.keys:
                key = self.keys.pop(0)
                if isinstance(key, str):
                    self.key_ms = self.clock.monotonic_ms()
                if isinstance(key, str) and key in meant:
                    return key
                assert not isinstance(key, str), f"{key} means nothing on {page.name}"
            await self.clock.sleep_ms(1000)
        return ""


class Visit:
    """A terminal with a keypad and a PIN, and a visit to its menu by a person who presses these keys."""

    def __init__(self) -> None:
        self.flash = Flash()
        provisioned(self.flash)
        self.time = Time()
        self.terminal = boot(self.flash, self.time, True, ())
        self.hal = self.terminal.hal
        self.hal.keypad = Keys()
        self.time.run(set_pin(self.terminal.store, self.hal.secure_element, self.hal.clock, "1234"))
        self.outdated = False

    def of(self, *keys: str, who: Technician | None = None) -> list[str]:
        """The pages that were shown. who: signed on already."""
        person = Person(self.hal.clock, *keys)
        self.subject = Subject(self.hal, self.terminal)
        ui: Any = person
        self.visit = MenuVisit(self.terminal, ui, Settings(self.terminal.store), self.subject, None, lambda: self.outdated)
        self.visit.who = who
        self.time.run(menu(self.visit) if who is None else session(self.visit))
        return person.pages


class Keys:
    """A keypad whose phases find nothing."""

    keys = ("1",)
    enabled = False
    claimed = True
    level = 1

    async def enable(self) -> None:
        raise AssertionError

    def disable(self) -> None:
        pass


def test_whoever_only_looks_gives_way_after_a_minute_and_to_what_is_due() -> None:
    visit = Visit()
    assert visit.of() == ["menu"]
    assert VIEWED_MS <= visit.time.now_ms < VIEWED_MS + 2000
    visit.outdated = True
    assert visit.of() == []


def test_a_session_ends_ten_minutes_after_the_last_key_and_not_for_what_is_due() -> None:
    visit = Visit()
    visit.outdated = True
    assert visit.of(who=Technician()) == ["technician"]
    assert SESSION_MS <= visit.time.now_ms < SESSION_MS + 2000
    assert "signed off" in visit.terminal.lines[-1]
    began_ms = visit.time.now_ms
    pause: Any = None  # a second without a key
    visit.of(*[pause] * 500, "2", "cancel", *[pause] * 500, "2", who=Technician())
    assert visit.time.now_ms - began_ms >= 1000_000 + SESSION_MS


def test_the_right_pin_opens_the_session_and_a_cancelled_one_does_not() -> None:
    visit = Visit()
    assert visit.of("2", "1", "2", "3", "4", "enter", "9")[-1] == "technician"
    assert visit.of("2", "1", "2", "cancel", "cancel")[-1] == "menu"
    assert "technician" not in visit.of("2", "1", "2", "3", "clear", "4", "enter", "cancel", "cancel")
    assert "technician" in visit.of("2", "1", "clear", "1", "2", "3", "4", "enter", "9")


def test_nobody_types_a_pin_while_the_delay_lasts() -> None:
    visit = Visit()
    wrong = ["9", "9", "9", "9", "enter"]
    visit.of("2", *wrong * 3, "cancel", "cancel")
    with pytest.raises(AssertionError, match="1 means nothing on pin"):
        visit.of("2", "1")
    visit.time.now_ms += FIRST_DELAY_MS
    assert "technician" in visit.of("2", "1", "2", "3", "4", "enter", "9")


def test_a_terminal_without_pin_and_reader_offers_no_way_to_sign_on() -> None:
    visit = Visit()
    visit.terminal.store.remove("pin")
    with pytest.raises(AssertionError, match="2 means nothing on menu"):
        visit.of("2")


def test_a_tamper_is_not_confirmed_by_pin_nor_untested_nor_with_a_finding_that_stands() -> None:
    visit = Visit()
    visit.terminal.apply([Suspended(Reason("tamper", ACTOR_HOST, 0))])
    assert visit.terminal.state.mode == OUT_OF_ORDER
    badge = Technician("T-1", "Chen")
    for who, tested in ((Technician(), True), (badge, False)):
        visit.of(who=who)
        visit.visit.who, visit.visit.tested_all = who, tested
        assert not may_confirm(visit.visit)
    visit.visit.who, visit.visit.tested_all = badge, True
    assert may_confirm(visit.visit)
    visit.terminal.store.put("test.firmware", encode([0, "full", ["firmware", "firmware", 1, 111, 0, "file_changed", "", 9, []], True]))
    assert not may_confirm(visit.visit)


# What is written and shown of a run.


class Screen:
    """A display that keeps what is drawn: rows of pixels, True = ink."""

    def __init__(self, width_px: int, height_px: int) -> None:
        self.width_px, self.height_px = width_px, height_px
        self.picture = Image.new("1", (width_px, height_px), 0)

    def fill(self, colour: int) -> None:
        self.picture.paste(colour == 0xFFFFFF, (0, 0, self.width_px, self.height_px))

    def draw_bitmap(self, x_px: int, y_px: int, width_px: int, height_px: int, bits: bytes, ink: int, paper: int) -> None:
        assert (x_px, width_px, ink, paper) == (0, self.width_px, 0x000000, 0xFFFFFF) and y_px + height_px <= self.height_px
        self.picture.paste(Image.frombytes("1", (width_px, height_px), bytes(0xFF ^ byte for byte in bits)), (x_px, y_px))


@pytest.mark.parametrize(("characters", "fits"), [(345, True), (441, True), (500, False)])
def test_a_code_is_drawn_with_the_quiet_zone_that_the_display_has_room_for_or_not_at_all(characters: int, fits: bool) -> None:
    """The lengths are those of docs/signed-text.md: whole quiet zone, part of it, and too long for 64 pixels."""
    content = "RS1:" + "A7+" * (characters // 3)
    for width_px, height_px in ((128, 64), (320, 240)):
        screen: Any = Screen(width_px, height_px)
        assert draw_code(screen, qr_code(content)) == (fits or height_px == 240)
        assert scanned(screen.picture) == (content if fits or height_px == 240 else "")


def test_the_junit_is_what_readers_of_junit_take() -> None:
    """By the rules of the schema that Jenkins and others publish (junit-10.xsd): names of elements, their order, required attributes."""
    root = ElementTree.fromstring("\n".join(runs.World().lines(junit_lines)))
    assert root.tag == "testsuites" and set(root.attrib) <= {"name", "time", "tests", "failures", "errors", "disabled"}
    (suite,) = root
    assert {"name", "tests", "failures", "errors", "skipped", "time", "hostname", "timestamp"} == set(suite.attrib)
    assert [child.tag for child in suite] == ["properties"] + ["testcase"] * 8
    for number in ("tests", "failures", "errors", "skipped"):
        assert suite.attrib[number].isdecimal()
    for case in suite.iter("testcase"):
        assert set(case.attrib) == {"name", "classname", "time"} and float(case.attrib["time"]) >= 0
        assert len(case) <= 1
        for child in case:
            assert child.tag in ("failure", "error", "skipped", "system-out")
            assert child.tag == "system-out" or child.get("message")
    (failure,) = [case[0] for case in suite.iter("testcase") if case.get("name") == "firmware"]
    assert 'a "quoted" <tag> & \\ \t\n?' in failure.attrib["message"] and "陈 ●" in failure.attrib["message"]


def test_the_results_name_what_is_broken_first_and_each_component_once() -> None:
    terminal = runs.World(run_phases=runs.phases()[:3]).terminal
    entries = entries_of(TEXTS, terminal)
    assert [(entry.component, entry.told) for entry in entries] == [
        ("firmware", "file changed"),
        ("certificate", "ends soon, or has ended"),
        ("power", "pass"),
    ]
    texts = load("zh-CN")
    shown = "\n".join(result_page(texts, terminal, Settings(terminal.store), entries[1], 0).lines)
    for key in ("mends.acquirer", "answer.yes", "next.register"):
        assert texts.get(key) in shown
    assert "days_left：9" in shown


def test_the_slip_says_each_result_in_words_of_both_languages() -> None:
    world = runs.World(run_phases=runs.phases()[:3])
    font = Font()
    run = last_run(world.terminal)
    assert run is not None
    for language in LANGUAGES:
        texts = load(language)
        text = "\n".join(slip_lines(texts, Settings(world.terminal.store), run))
        assert TERMINAL in text and "2026-11-22 08:00" in text
        for key in ("cause.file_changed", "next.tamper", "phase.power", "outcome.pass", "cause.certificate_ends", "plan.full"):
            assert texts.get(key) in text, key
        assert all(font.has(character) for character in text if character != "\n")


def test_both_documents_are_written_line_by_line() -> None:
    run = last_run(runs.World().terminal)
    assert run is not None
    for form in (json_lines, junit_lines):
        assert max(map(len, form(run))) < 1000
        assert "\n" not in "".join(form(run))
