"""No card number leaves a terminal or stays in it, however it comes in: typed, scanned, told by a card, set, or written by the acquirer."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from firmware_agent.card_numbers import masked
from firmware_agent.links.link import Message
from firmware_agent.messages.cbor import encode
from firmware_agent.texts import load
from host_sim.chips.cards import OK, PPSE, PaymentCard, tlv
from host_sim.scenarios.looking import Onlooker
from host_sim.scenarios.scenario import Step
from host_sim.scenarios.story import Player
from host_sim.terminal import RUNTIMES
from host_sim.world import PIN, TERMINAL, Shop
from tests.story.world import LIMIT_S, run_story, until

# Test numbers of three schemes, 16, 16 and 19 digits, each with the right check digit.
NUMBERS = ("4111111111111111", "5555555555554444", "6222021234567890128")
SEPARATORS = (" ", "-", "", ".")
LOOK_S = 0.2


def in_parts(number: str, separator: str) -> str:
    return separator.join(number[place : place + 4] for place in range(0, len(number), 4))


def found_in(data: bytes) -> list[str]:
    """Which numbers are in there: as text with or without separators, as BCD wherever it begins, or as a binary number."""
    text = data.decode("latin-1")
    bare = "".join(character for character in text if character not in " -./_\r\n\t")
    full_width = data.decode("utf-8", errors="replace").translate({0xFF10 + digit: str(digit) for digit in range(10)})
    return [
        number
        for number in NUMBERS
        if number in bare
        or number in full_width
        or number in data.hex()
        or int(number).to_bytes(8, "big") in data
        or int(number).to_bytes(8, "little") in data
    ]


class TellingCard(PaymentCard):
    """Tells its number and track 2, whatever it is asked: what a terminal that reads no records must not take up either."""

    def __init__(self, number: str) -> None:
        super().__init__()
        bcd = bytes.fromhex(number + "F" * (len(number) % 2))
        track_2 = bytes.fromhex((number + "D25122010000").ljust(36, "F")[:36])
        self.asked: list[bytes] = []
        self._told = tlv("5A", bcd) + tlv("57", track_2) + tlv("5F20", number.encode())

    def transceive(self, apdu: bytes) -> bytes | None:
        self.asked.append(apdu)
        return tlv("6F", tlv("84", PPSE) + tlv("A5", self._told)) + OK


class Outside:
    """Everything that leaves a terminal, and all that stays in it, as bytes by where it was found."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self._messages: list[bytes] = []
        self._seen: set[str] = set()
        handle = shop.acquirer.handle

        async def record(message: Message) -> None:
            self._messages.append(message.topic.encode() + b"\n" + message.payload)
            await handle(message)

        shop.acquirer.handle = record  # type: ignore[method-assign]

    @contextlib.asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """With the display read again and again."""
        watcher = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            watcher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watcher

    async def _watch(self) -> None:
        terminal = self._shop.terminal
        display: Any = terminal.chips["display"]
        drawn = -1
        while True:
            if display.frames_changed != drawn:
                drawn = display.frames_changed
                self._seen.add("\n".join(terminal.screen()))
            await asyncio.sleep(LOOK_S)

    def look_at_slip(self) -> None:
        self._seen.add("\n".join(self._shop.terminal.slip()))

    def shows(self, text: str) -> bool:
        """Wherever it was wrapped."""
        return any("".join(text.split()) in "".join(seen.split()) for seen in self._seen)

    def found(self) -> dict[str, list[str]]:
        """Where there is a card number, and which."""
        places = {f"message {number}": data for number, data in enumerate(self._messages)}
        places["console"] = "\n".join(self._shop.terminal.lines).encode()
        places |= {f"seen {number}": seen.encode() for number, seen in enumerate(sorted(self._seen))}
        places |= {str(file): file.read_bytes() for file in self._flash().rglob("*") if file.is_file()}
        return {place: found_in(data) for place, data in places.items() if found_in(data)}

    def _flash(self) -> Path:
        return self._shop.terminal.folder / "data"

    def keeps(self, text: str) -> bool:
        """Whether that text is on flash."""
        return any(text.encode() in file.read_bytes() for file in self._flash().rglob("*") if file.is_file())

    def says(self, text: str) -> bool:
        """Whether that text was sent, in a message that anybody can read."""
        return any(text.encode() in message for message in self._messages)


class Person:
    """Does the steps of a scenario, and some that no scenario has."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self._player = Player(shop)
        self.chips: Any = shop.terminal.chips

    async def do(self, *steps: tuple[str, str | dict[str, str]]) -> None:
        for verb, argument in steps:
            await self._player.do(Step(verb, argument, 0))

    async def types(self, text: str) -> None:
        """All digits of it, one after the other."""
        for key in text:
            self.chips["keypad"].tap(key)
        await until(lambda: self.chips["keypad"].idle, f"{text} typed")

    async def sees(self, key: str) -> None:
        wanted = "".join(load("en").get(key).split())
        await until(lambda: wanted in "".join("".join(self._shop.terminal.screen()).split()), f"{key} on the display")

    async def chooses(self, key: str) -> None:
        """Of a numbered list, which may have more pages."""
        for _ in range(4):
            for line in self._shop.terminal.screen():
                if load("en").get(key) in line:
                    await self.do(("press", line.strip()[0]))
                    return
            before = self._shop.terminal.screen()
            await self.types("9")
            await until(lambda seen=before: self._shop.terminal.screen() != seen, "the next page of the list")  # type: ignore[misc]
            await Onlooker(self._shop).until_drawn()
        raise AssertionError(f"{key} is not in the list")

    async def has_applied(self, times: int) -> None:
        """An answer is to the last application that the acquirer knows of."""

        def applications() -> int:
            return sum(item["purpose"] == "reactivation" for item in self._shop.account.applications)

        await until(lambda: applications() == times, f"application {times}")

    async def order(self, refusal: str = "", **fields: Any) -> None:
        """An order, and the receipt that is due to it."""
        number = await self._shop.acquirer.order(TERMINAL, **fields)
        receipt = await self._shop.acquirer.receipt_of(TERMINAL, number, LIMIT_S)
        assert receipt.get("refusal", "") == refusal, receipt


def test_the_search_finds_each_form() -> None:
    for number in NUMBERS:
        for separator in SEPARATORS:
            assert found_in(b"\x00\xffx" + in_parts(number, separator).encode() + b"\xfe") == [number]
        bcd = bytes.fromhex("A" + number + "F" * (1 - len(number) % 2))
        for data in (bcd, encode(["note", number]), encode({1: int(number)}), tlv("57", bytes.fromhex(number.ljust(20, "D")))):
            assert found_in(data) == [number]
        assert found_in("".join(chr(0xFF10 + int(digit)) for digit in number).encode()) == [number]
        assert found_in(masked(number).encode()) == []
        assert found_in(TellingCard(number).transceive(b"") or b"") == [number]


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_no_card_number_leaves_the_terminal_or_stays_in_it(runtime: str) -> None:
    async def story(shop: Shop) -> None:
        outside, person = Outside(shop), Person(shop)
        async with outside.watched():
            await person.do(("boot", ""), ("expect_state", "in_service"), ("expect_page", "idle"))
            await settings_and_nonsense(person)
            await keys_and_badges(person)
            await recovery(person, outside)
            await technician(person)
            outside.look_at_slip()
        places = outside.found()
        assert places == {}
        # It all came in: what is told of it is masked.
        assert outside.shows("receipt of **** **** **** 1111")  # the remark
        assert outside.says(masked(NUMBERS[0]))  # the case, in the state
        told = "\n".join(shop.terminal.lines)
        assert masked(NUMBERS[2]) in told  # of the scanned code, in the export

    run_story(story, runtime)


async def settings_and_nonsense(person: Person) -> None:
    """What the acquirer sets or asks for by mistake."""
    for name, number in zip(("contact_phone", "contact_name", "ssid", "password"), (*NUMBERS, NUMBERS[0]), strict=True):
        await person.order("wrong_setting", action="configure", settings=[[name, number]])
    await person.order("wrong_setting", action="configure", settings=[[NUMBERS[0], "yes"]])
    await person.order("unknown_action", action=NUMBERS[0])
    await person.order("unknown_action", action="self_test", plan=NUMBERS[1])
    await person.order(action="revoke_badge", badge=NUMBERS[2])


async def keys_and_badges(person: Person) -> None:
    """Typed where digits are taken and where they are not, and held to the reader in the place of a badge."""
    await person.types(NUMBERS[0])
    await person.do(("press", "help"), ("expect_page", "menu"), ("press", "2"))
    await person.sees("sign_on.how")
    await person.do(("press", "1"), ("expect_page", "pin"))
    await person.types(NUMBERS[1])
    await person.do(("press", "enter"))
    await person.sees("pin.wrong")
    await person.do(("press", "cancel"), ("expect_page", "menu"), ("press", "2"))
    await person.sees("sign_on.how")
    card = TellingCard(NUMBERS[0])
    person.chips["card_reader"].insert_card(card)
    await person.do(("press", "2"), ("expect_text", "refused.damaged"))
    assert card.asked
    person.chips["card_reader"].remove_card()
    await person.do(("press", "cancel"), ("expect_page", "menu"), ("press", "cancel"), ("expect_page", "idle"))


async def recovery(person: Person, outside: Outside) -> None:
    """The acquirer's words, a code, and a card, from suspension to service."""
    note = "card " + in_parts(NUMBERS[1], "-")
    await person.order(action="suspend", reason="violation", case=NUMBERS[0], note=note)
    await person.do(("expect_page", "suspended"))
    assert outside.keeps(masked(note))
    for page in ("recovery.reason", "recovery.contact", "recovery.check", "recovery.materials"):
        await person.do(("press", "1"), ("expect_page", page))
    await person.do(("press", "enter"), ("expect_page", "materials"), ("press", "2"), ("expect_page", "recovery.application"))
    await person.do(
        ("press", "4"), ("expect_page", "statement"), ("press", "1"), ("press", "enter"), ("expect_page", "recovery.application")
    )
    await person.do(("press", "1"), ("expect_page", "confirm_form"), ("press", "1"), ("expect_page", "recovery.review"))
    await person.has_applied(1)
    await person.do(("review", {"status": "more_needed", "remark": "receipt of " + in_parts(NUMBERS[0], " ")}))
    await person.do(
        ("expect_page", "answer"), ("expect_text", "answer.more_needed"), ("press", "1"), ("expect_page", "recovery.application")
    )
    await person.do(("press", "1"), ("expect_page", "confirm_form"), ("press", "1"), ("expect_page", "recovery.review"))
    await person.has_applied(2)
    await person.do(("review", {"status": "approved", "remark": NUMBERS[2]}), ("expect_page", "answer"), ("press", "1"))
    await person.do(("expect_page", "recovery.lift"))
    await person.do(("order", {"action": "lift", "reason": "violation"}), ("expect_state", "commissioning"), ("expect_page", "test"))
    await person.do(("press", "1"), ("expect_text", "exam.printer.seen"), ("press", "1"))
    await person.do(("expect_test", {"name": "print", "outcome": "pass"}))
    await person.do(("expect_page", "test"), ("press", "1"), ("expect_page", "exam.scanner.hold"))
    await person.do(("code", "PAY " + NUMBERS[2] + " NOW"), ("expect_test", {"name": "scan", "outcome": "pass"}))
    card = TellingCard(NUMBERS[1])
    await person.do(("expect_page", "test"), ("press", "1"), ("expect_page", "exam.card_reader.hold"))
    person.chips["card_reader"].insert_card(card)
    await person.do(("expect_test", {"name": "pay", "outcome": "pass"}), ("expect_state", "in_service"), ("expect_page", "restored"))
    assert len(card.asked) == 1  # SELECT, and nothing that reads a record
    person.chips["card_reader"].remove_card()
    await person.do(("press", "1"), ("expect_page", "idle"))


async def technician(person: Person) -> None:
    """What was kept of it all, on paper and console."""
    await person.do(("press", "help"), ("expect_page", "menu"), ("press", "2"))
    await person.sees("sign_on.how")
    await person.do(("press", "1"), ("expect_page", "pin"))
    await person.types(PIN)
    await person.do(("press", "enter"))
    await person.sees("technician.pin")
    await person.do(("press", "2"), ("expect_page", "devices"))
    await person.chooses("device.scanner")
    await person.do(("expect_page", "exam.scanner.hold"), ("code", NUMBERS[2]), ("expect_text", "selftest.all_passed"))
    await person.do(("press", "cancel"), ("expect_page", "technician"), ("press", "5"), ("expect_slip", "slip.code"))
    await person.do(("expect_page", "technician"), ("press", "7"), ("expect_page", "export"), ("press", "1"), ("expect_export", "JSON"))
    await person.do(("press", "2"), ("expect_export", "JUnit XML"), ("press", "cancel"), ("expect_page", "technician"))
