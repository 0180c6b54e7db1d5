"""Runs a scenario: broker, acquirer and one terminal, each step awaited on what really happened, and told as it happens."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any
from xml.etree import ElementTree

from firmware_agent.application.review import DECISIONS
from firmware_agent.flows.entry import NEXT_MS
from firmware_agent.flows.entry import TEXT as KEYS_OF_TEXT
from firmware_agent.flows.menu.device_flow import EXPORT_BEGINS, EXPORT_ENDS
from firmware_agent.flows.ui import KEY_WAIT_MS
from firmware_agent.identity.activation import check_digit
from firmware_agent.links.link import LinkSettings, Tls
from firmware_agent.links.mqtt_paho import MqttPahoLink
from firmware_agent.messages.schema import topic
from firmware_agent.prevention.reminders import DAY_S
from firmware_agent.records.console_export import EVIDENCE
from firmware_agent.screens.font import Font
from firmware_agent.selftest.firmware_image import MANIFEST_NAME
from firmware_agent.selftest.report import from_list
from firmware_agent.settings import DEFAULTS
from firmware_agent.state.machine import COMMISSIONING, LEVEL_SUPERIOR
from firmware_agent.state.reasons import Reason
from firmware_agent.texts import load as load_texts
from hal.calendar import date_of
from host_sim.acquirer.account import Account
from host_sim.acquirer.acquirer import SLOT, Acquirer, running
from host_sim.acquirer.activation import Activations, Place
from host_sim.acquirer.equipment import software_element, started_clock
from host_sim.acquirer.sealing import SealingKey
from host_sim.brokers import EmbeddedBroker, MosquittoBroker
from host_sim.chips.cards import BadgeCard, Card, MuteCard, NoPpseCard, PaymentCard, StrictLeCard
from host_sim.chips.faces import Breakable
from host_sim.evidence_package import exports_of, verify_package
from host_sim.firmware import release
from host_sim.microcontroller import Microcontroller
from host_sim.payment_host import HOST as PAYMENT_ADDRESS
from host_sim.payment_host import MERCHANT, PaymentHost
from host_sim.payment_host import NAME as PAYMENT_NAME
from host_sim.payment_host import TERMINAL as PAYMENT_TERMINAL
from host_sim.pki import TestAuthority
from host_sim.provision import BROKER_HOST, BROKER_NAME, issue_badge
from host_sim.reading import UNREADABLE, joined, more_of_picture
from host_sim.scenario import Scenario, Step
from host_sim.technician import Technician
from host_sim.terminal import DesktopTerminal, TerminalFailure, desktop_terminal, facts_of
from host_sim.uplink import Uplink
from host_sim.verify import Key

ACQUIRER = "acq1"
TERMINAL = "T0000001"
NEIGHBOUR = "T0000002"  # a terminal that exists at the acquirer, for messages that are not ours
SSID = "shop"
PASSWORD = "correct horse"  # of the access point on the bench
SETTINGS = {"ssid": SSID, "password": PASSWORD, "service_line": "95516", "contact_name": "Chen Xiao", "contact_phone": "+86 138 0000 1234"}
PIN = "271828"  # the technician's, of this terminal
SECOND_ID = b"\x24\x0a\xc4\x00\x00\x02"  # of the second device
BADGE, BADGE_NAME = "T-0042", "Chen"  # number and name on the technician's badge
BADGE_LIFETIME_S = 365 * 24 * 3600
BROKERS = ("embedded", "mosquitto")
REVIEWED = ("reactivation", "appeal")  # purposes of applications that a person reviews
CARDS = {"payment": PaymentCard, "no_ppse": NoPpseCard, "strict_le": StrictLeCard, "mute": MuteCard}
STEP_TIMEOUT_S = 60.0  # longer than any single wait of the agent's: a card is awaited for 30 s
SELF_TEST_TIMEOUT_S = 300.0  # of a whole one with all its examinations
LOOK_S = 0.02
SCROLL_S = 2.0  # in which a page that is asked has moved
PICTURE = "(a picture)"
STILL_S = 0.08  # longer than drawing one row takes

# What a hostile message must be refused for.
REFUSAL_OF = {
    "unsigned": "not_signed",
    "wrong_key": "unknown_key",
    "altered": "bad_signature",
    "other_terminal": "wrong_terminal",
    "moved": "wrong_topic",
    "expired": "expired",
    "repeated": "replayed",
}


class StepFailed(Exception):
    """What was expected did not come; the message says what was there instead."""


@dataclass
class StepResult:
    step: str
    line: int
    passed: bool
    duration_s: float
    message: str = ""


@dataclass
class Outcome:
    """What a run came to. published, verified, refused: messages of both directions; a last will is verified, but published by the broker,
    and one that was sent again is published twice.
    """

    scenario: str
    board: str
    runtime: str
    passed: bool
    final_state: str
    steps: list[StepResult]
    published: int
    verified: int
    refused: int
    duration_s: float
    screens: list[tuple[str, list[str]]] = field(default_factory=list)
    slip: list[str] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "scenario": self.scenario,
            "board": self.board,
            "runtime": self.runtime,
            "passed": self.passed,
            "final_state": self.final_state,
            "steps": [vars(step) for step in self.steps],
            "messages": {"published": self.published, "verified": self.verified, "refused": self.refused},
            "duration_s": round(self.duration_s, 3),
        }


class Story:
    """scenario: loaded; folder: empty; tell: takes (who, what) for each thing that happens; screens: where PNGs go, or None."""

    def __init__(
        self,
        scenario: Scenario,
        folder: Path,
        *,
        board: str,
        runtime: str,
        language: str,
        broker: str,
        tell: Callable[[str, str], None],
        screens: Path | None = None,
    ) -> None:
        self._scenario = scenario
        self._folder = folder
        self._board = board
        self._runtime = runtime
        self._language = language
        self._texts = load_texts(language)
        self._font = Font()
        self._tell = tell
        self._pictures = screens
        self._seen_screens: list[tuple[str, list[str]]] = []
        self._sent = 0  # messages that the terminal published and the broker acknowledged
        self._accepted = 0  # messages of the acquirer's whose signature the terminal verified, and which it obeyed
        self._hostile_refused = 0
        self._devices: dict[str, DesktopTerminal] = {}
        self._code = ""  # the activation code that was issued last
        self._notices = 0  # sent, and the number of the last
        self._decided = 0  # number of the last application that the acquirer has decided
        self._helper: Technician | None = None  # who does what a test asks for, as long as that is to be carried out
        authority = TestAuthority()
        self.authority = authority
        broker_class = MosquittoBroker if broker == "mosquitto" else EmbeddedBroker
        (folder / "broker").mkdir()
        self.broker = broker_class(folder / "broker", authority, ACQUIRER)

    async def run(self) -> Outcome:
        """Run to the end, or to the first step that fails."""
        began = time.monotonic()
        results: list[StepResult] = []
        async with self.world():
            for step in self._scenario.steps:
                if step.device and step.device not in self.terminal.chips:
                    continue
                step_began = time.monotonic()
                message = ""
                try:
                    await self._do(step)
                except (StepFailed, TerminalFailure) as error:
                    message = str(error)
                    self._tell("failed", f"{self._scenario.path}:{step.line}: {step}: {message}")
                results.append(StepResult(str(step), step.line, not message, round(time.monotonic() - step_began, 3), message))
                if message:
                    break
            account = self.account
            return Outcome(
                self._scenario.title,
                self._board,
                self._runtime,
                all(result.passed for result in results),
                str(account.state.get("mode", "")),
                results,
                self._sent + self.acquirer.published,
                self.acquirer.verified + self._accepted,
                len(self.acquirer.refused) + self._hostile_refused,
                time.monotonic() - began,
                self._seen_screens,
                self._slip_text(),
            )

    @contextlib.asynccontextmanager
    async def world(self) -> AsyncIterator[None]:
        """Broker, uplink, acquirer and a provisioned terminal that is still off."""
        async with contextlib.AsyncExitStack() as begun:
            await self._set_up(begun)
            async with running(self.acquirer, self._acquirer_link()) as self._acquirer_task:
                yield

    async def _set_up(self, begun: contextlib.AsyncExitStack) -> None:
        """begun: ends what was begun, in the opposite order."""
        await self.broker.start()
        begun.push_async_callback(self.broker.stop)
        uplink = self.uplink = Uplink(self.broker.port, self.authority)
        await uplink.start()
        begun.push_async_callback(uplink.stop)
        self.clock = await started_clock()
        (self._folder / "acquirer").mkdir()
        element = self.acquirer_element = await software_element(self._folder / "acquirer")
        public_key = await element.generate_key(SLOT)
        sealing_key = SealingKey.generated()
        self.acquirer = Acquirer(
            ACQUIRER, self.authority, element, public_key, self.clock.wall_s, self._acquirer_told, sealing_key=sealing_key
        )
        uplink.on_acquirer.append(self.acquirer.hang)
        self.payment_host = PaymentHost(lambda line: self._tell("payment", line))
        await self.payment_host.start()
        begun.push_async_callback(self.payment_host.stop)
        name = PAYMENT_NAME if "network" in facts_of(self._board)["parts"] else PAYMENT_ADDRESS
        payment = {"payment_host": f"{name}:{self.payment_host.port}", "merchant_number": MERCHANT, "payment_terminal": PAYMENT_TERMINAL}
        settings = {"service_line": SETTINGS["service_line"], "language": self._language, **payment}
        self.acquirer.activations = Activations(
            self.acquirer,
            self.authority,
            Place(BROKER_HOST, uplink.port, BROKER_NAME, settings),
            self.clock.wall_s,
            self._acquirer_told,
            self.broker.read_revoked,
        )
        self._begun = begun
        self.terminal = self._devices["first"] = await self._new_device("terminal")
        settings = SETTINGS | {"language": self._language} | payment
        await self.terminal.provision(TERMINAL, self.acquirer, self.authority, uplink.port, settings, PIN)
        self.terminal.seal(await self.acquirer.firmware_manifest(self.terminal.device))
        self.acquirer.enrol(NEIGHBOUR, public_key)
        self.account: Account = self.acquirer.accounts[TERMINAL]
        self._first_public_key = self.account.public_key

    async def _new_device(self, folder: str) -> DesktopTerminal:
        """With the shop's network around it."""
        device = desktop_terminal(self._board, self._runtime, self._folder / folder, self._terminal_said)
        self._begun.push_async_callback(device.take_down)
        await device.set_up()
        wifi: Any = device.chips["network"]
        wifi.ssid, wifi.password = SSID, PASSWORD
        # Sockets are the host's own: what the air does not carry is cut on the way to the broker.
        wifi.on_link.append(lambda carries: self.uplink.restore() if carries else self.uplink.cut())
        return device

    @property
    def breakable(self) -> Mapping[str, Breakable]:
        """All that can be broken: of the terminal, its wires by the board's names, and the way to the acquirer."""
        return {**self.terminal.breakable, "uplink": self.uplink, "payment": self.payment_host}

    def _acquirer_link(self) -> MqttPahoLink:
        credential = self.authority.client(ACQUIRER)
        tls = Tls(self.authority.certificate_der, credential.certificate_der, credential.private_key_der, "localhost")
        return MqttPahoLink(LinkSettings("127.0.0.1", self.broker.port, ACQUIRER, 30, tls), self.clock)

    # Telling.

    def _terminal_said(self, line: str) -> None:
        self._sent += line.startswith("sent ")
        self._accepted += line.startswith("accepted ")
        self._tell("terminal", line)
        if self._helper is not None:
            self._helper.heard(line)

    def _acquirer_told(self, line: str) -> None:
        self._tell("acquirer", line)

    # Steps.

    async def _do(self, step: Step) -> None:
        self._check()
        action: Callable[[Any], Awaitable[None]] = getattr(self, "_do_" + step.verb)
        await action(step.argument)

    async def _until(self, holds: Callable[[], bool], otherwise: Callable[[], str]) -> None:
        """Wait until it holds, or the agent ends, or STEP_TIMEOUT_S is over: StepFailed with what was there instead."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STEP_TIMEOUT_S):
                while not holds():
                    self._check()
                    await asyncio.sleep(LOOK_S)
                return
        raise StepFailed(otherwise())

    def _check(self) -> None:
        """Raises what ended the terminal or the acquirer: neither ends by itself."""
        self.terminal.check()
        if self._acquirer_task.done():
            self._acquirer_task.result()

    async def _do_say(self, text: str) -> None:
        self._tell("", text)

    async def _do_boot(self, _: str) -> None:
        if self.terminal.is_on:
            raise StepFailed("the terminal is on already; cut_power first")
        self.terminal.power_on()

    async def _do_device(self, which: str) -> None:
        """What follows is done at this device. The second one comes from the factory; the first one goes on, if it is on."""
        if which not in self._devices:
            device = self._devices[which] = await self._new_device(which)
            if isinstance(device, Microcontroller):
                device.bench.unique_id = SECOND_ID
            settings = {name: SETTINGS[name] for name in ("ssid", "password")} | {"language": self._language}
            await device.leave_factory(self.acquirer, self.authority, self.uplink.port, settings)
            device.seal(await self.acquirer.firmware_manifest(device.device))
        self.terminal = self._devices[which]
        self._tell("person", f"turns to the {which} device")

    async def _do_activation_code(self, _: str) -> None:
        assert self.acquirer.activations is not None
        self._code = self.acquirer.activations.codes.issue(TERMINAL, self.clock.wall_s())
        self._tell("acquirer", f"activation code for {TERMINAL}: {self._code}")

    async def _do_type_code(self, which: str) -> None:
        """wrong: of the right form, and another one; mistyped: one digit is not right. What was typed before is deleted."""
        if not self._code:
            raise StepFailed("no code was issued; activation_code first")
        code = self._code
        if which == "mistyped":
            code = code[:-1] + str((int(code[-1]) + 1) % 10)
        elif which == "wrong":
            digits = code[:4] + str((int(code[4:-1]) + 1) % 10**7).zfill(7)
            code = digits + check_digit(digits)
        keypad: Any = self.terminal.chips["keypad"]
        for key in ["clear"] * len(code) + list(code) + ["enter"]:
            keypad.tap(key)
        self._tell("person", f"types {code[:4]} {code[4:8]} {code[8:]}")

    async def _do_cut_power(self, _: str) -> None:
        """The connection is torn before the agent ends, so that an agent in this process has no time for good-byes either."""
        self._tell("person", "cuts the power")
        self.uplink.cut()
        await self.terminal.power_off()
        self.uplink.restore()

    async def _do_broker(self, what: str) -> None:
        """A broker that comes back may have forgotten every session: the terminal gets through when the acquirer listens again."""
        self._tell("network", f"broker: {what}")
        if what == "stop":
            self.uplink.cut()
            await self.broker.stop()
        else:
            await self.broker.start()
            await self._until(lambda: self.acquirer.connected, lambda: "the acquirer does not reach the broker")
            self.uplink.restore()

    async def _do_uplink(self, what: str) -> None:
        if what == "cut":
            self.uplink.cut()
        else:
            self.uplink.restore()
        self._tell("network", f"uplink: {what}")

    async def _do_access_point(self, argument: dict[str, str]) -> None:
        """The shop's router goes, and another one comes."""
        wifi: Any = self.terminal.chips["network"]
        wifi.link(False)
        wifi.ssid, wifi.password = argument["name"], argument.get("password", "")
        wifi.link(True)
        self._tell("network", f"access point: {wifi.ssid}")

    async def _do_type(self, text: str) -> None:
        """By repeated presses, as on telephones; two characters of one key have a pause between them."""
        keypad: Any = self.terminal.chips["keypad"]
        last = ""
        for character in text:
            found = [key for key, characters in KEYS_OF_TEXT.items() if character in characters]
            if not found:
                raise StepFailed(f"no key types {character!r}")
            if found[0] == last:
                await self._until(lambda: keypad.idle, lambda: "the keypad does not come to rest")
                await asyncio.sleep((NEXT_MS + KEY_WAIT_MS) / 1000)
            last = found[0]
            for _ in range(KEYS_OF_TEXT[last].index(character) + 1):
                keypad.tap(last)
        keypad.tap("enter")
        self._tell("person", f"types {text}")

    async def _do_press(self, key: str) -> None:
        keypad: Any = self.terminal.chips["keypad"]
        if key not in keypad.keys:
            raise StepFailed(f"no key {key!r}; there are: {', '.join(keypad.keys)}")
        keypad.tap(key)
        self._tell("person", f"presses {key}")

    async def _do_card(self, kind: str) -> None:
        reader: Any = self.terminal.chips["card_reader"]
        reader.insert_card(await self._badge(kind) if kind.startswith("badge") else CARDS[kind]())
        self._tell("person", f"holds a card to the reader ({kind})")

    async def _badge(self, kind: str) -> Card:
        """The technician's badge as the acquirer issued it, or what is wrong with it by its kind."""
        element, key = self.acquirer_element, self.acquirer.public_key
        if kind == "badge_of_other":
            folder = self._folder / "other"
            folder.mkdir(exist_ok=True)
            element = await software_element(folder)
            key = await element.generate_key(SLOT)
        expires = self.clock.wall_s() + (-60 if kind == "badge_expired" else BADGE_LIFETIME_S)
        badge, private_key = await issue_badge(element, SLOT, key, ACQUIRER, BADGE, BADGE_NAME, expires)
        if kind == "badge_altered":
            badge = badge.replace(BADGE.encode(), b"T-0001")
        if kind == "badge_copied":
            private_key, _ = await element.transport_key()
        return BadgeCard(badge, private_key)

    async def _do_remove_card(self, _: str) -> None:
        reader: Any = self.terminal.chips["card_reader"]
        reader.remove_card()

    async def _do_carry_out(self, work: str) -> None:
        """A person does what the tests ask for, with whatever devices this terminal has."""
        self._helper = helper = Technician(self.terminal, self._language, Random(0))
        try:
            if work == "self_test":
                await self._self_test_ended()
            else:
                await self._do_expect_state(COMMISSIONING)
                while self.account.state["mode"] == COMMISSIONING:
                    await self._do_expect_page("test")
                    await self._one_function_test()
        finally:
            self._helper = None
            await helper.leave()
            await self._do_remove_card("")

    async def _one_function_test(self) -> None:
        due = self.account.state["tests_due"]
        await self._do_press("1")
        await self._until(lambda: self.account.state["tests_due"] != due, lambda: f"still due: {', '.join(due)}")

    async def _self_test_ended(self) -> None:
        def ended() -> int:
            return sum(line.startswith("self-test ") and " ended, " in line for line in self.terminal.lines)

        before, began = ended(), time.monotonic()
        assert self._helper is not None
        self._helper.heard(self.terminal.lines[-1])  # it may have asked for something already
        while ended() == before:
            self._check()
            if time.monotonic() - began > SELF_TEST_TIMEOUT_S:
                raise StepFailed(f"no self-test has ended: {self.terminal.lines[-1]}")
            await asyncio.sleep(LOOK_S)

    async def _do_code(self, text: str) -> None:
        scanner: Any = self.terminal.chips["scanner"]
        scanner.present(text)
        self._tell("person", f"holds code {text} before the scanner")

    async def _do_fault(self, argument: dict[str, str]) -> None:
        breakable = self.breakable
        chip = breakable.get(argument["device"])
        on = argument.get("on", "yes") == "yes"
        try:
            if chip is None:
                raise ValueError(f"no device {argument['device']!r}; there are: {', '.join(sorted(breakable))}")
            chip.fault(argument["name"], on)
        except ValueError as error:
            raise StepFailed(str(error)) from error
        self._tell("hardware", f"{argument['device']}: {argument['name']} {'on' if on else 'off'}")

    async def _do_order(self, argument: dict[str, str]) -> None:
        fields = self._with_times(argument)
        if "probation_s" in fields:
            fields["probation_s"] = int(fields["probation_s"])
        if "settings" in fields:
            pairs = [pair.strip().split("=", 1) for pair in fields["settings"].split(",")]
            fields["settings"] = [[pair[0], *(self._date(value) for value in pair[1:])] for pair in pairs]
        await self.acquirer.order(TERMINAL, **fields)
        self._tell("acquirer", "signed order: " + " ".join(argument.values()))

    async def _do_notice(self, argument: dict[str, str]) -> None:
        self._notices += 1
        await self.acquirer.send("notice", TERMINAL, {"notice": self._notices, **self._with_times(argument)})
        self._tell("acquirer", f"signed notice {self._notices}: {argument['about']}")

    def _date(self, value: str) -> str:
        """A setting's value; 'today+30' and 'today-2' are dates, counted from today where the terminal stands."""
        if not re.fullmatch(r"today([+-]\d+)?", value):
            return value
        today = (self.clock.wall_s() + 60 * int(DEFAULTS["utc_offset_min"])) // DAY_S
        return date_of(today + int(value.removeprefix("today") or 0))

    def _with_times(self, argument: dict[str, str]) -> dict[str, Any]:
        """The fields of a message; `since_s` and `until_s` are counted from now."""
        fields: dict[str, Any] = {}
        for name, value in argument.items():
            if name in ("since_s", "until_s"):
                fields[name.removesuffix("_s")] = self.clock.wall_s() + int(value)
            else:
                fields[name] = value
        return fields

    async def _do_release(self, argument: dict[str, str]) -> None:
        """A technician copies a newer program to the terminal, as the acquirer has signed it, or not."""
        terminal, version, fault = self.terminal, argument["version"], argument.get("fault", "")
        if not isinstance(terminal, Microcontroller):
            raise StepFailed("a package manager installs what runs there")
        folder = terminal.device / terminal.spare_slot
        release(self._board, folder, version)
        if fault == "broken":
            (folder / "firmware_agent" / "agent.py").write_text("raise RuntimeError('a newer program that does not start')\n")
        manifest = await self.acquirer.firmware_manifest(folder, version)
        if fault == "forged":
            manifest = manifest[:-1] + bytes([manifest[-1] ^ 1])
        (folder / MANIFEST_NAME).write_bytes(manifest)
        if fault == "altered":
            (folder / "main.py").write_text("# not from the maker\n")
        elif fault == "missing":
            (folder / "hal" / "hal.py").unlink()
        self._tell("technician", f"puts version {version} into {folder.name} {fault}".rstrip())

    async def _do_review(self, argument: dict[str, str]) -> None:
        """To the last application; one that was decided is not decided again: the next is awaited."""

        def last() -> int:
            return max((item["application"] for item in self.account.applications if item["purpose"] in REVIEWED), default=0)

        await self._until(lambda: last() > self._decided, lambda: f"no application after number {self._decided}")
        number = last()
        if argument["status"] in DECISIONS:
            self._decided = number
        answer = await self.acquirer.answer(TERMINAL, number, argument["status"], argument.get("remark", ""))
        self._tell("acquirer", f"answer to application {number}: {argument['status']}")
        await self._until(lambda: self.account.receipt_of(answer) is not None, lambda: f"no receipt; receipts: {self.account.receipts}")
        receipt = self.account.receipt_of(answer)
        if receipt is None or "refusal" in receipt:
            raise StepFailed(f"the receipt says {receipt}")

    async def _do_hostile(self, kind: str) -> None:
        """Send a message that must be refused, and see it named in the log and in a signed receipt, and the state unchanged."""
        before = dict(self.account.state)
        where, message = await self._hostile(kind)
        receipts = len(self.account.receipts)
        await self.acquirer.publish(where, message)
        self._tell("attacker", f"sends an order: {kind}")
        refusal = REFUSAL_OF[kind]
        await self._until(
            lambda: any(receipt.get("refusal") == refusal for receipt in self.account.receipts[receipts:]),
            lambda: f"no receipt with refusal {refusal}; receipts: {self.account.receipts[receipts:]}",
        )
        if not any(line.startswith(f"refused: {refusal} ") for line in self.terminal.lines):
            raise StepFailed(f"the terminal's log does not name {refusal}")
        if self.account.state["mode"] != before["mode"] or self.account.state["reasons"] != before["reasons"]:
            raise StepFailed(f"the state changed: {self.account.state}")
        self._hostile_refused += 1

    async def _hostile(self, kind: str) -> tuple[str, bytes]:
        acquirer = self.acquirer
        order = {"action": "suspend", "reason": "compliance"}
        own = topic(ACQUIRER, TERMINAL, "order")
        if kind == "unsigned":
            return own, b"\xa2\x01gsuspend\x02jcompliance"
        if kind == "wrong_key":
            folder = self._folder / "attacker"
            folder.mkdir(exist_ok=True)
            element = await software_element(folder)
            forger = Acquirer(ACQUIRER, self.authority, element, await element.generate_key(SLOT), self.clock.wall_s)
            forger.enrol(TERMINAL, b"")
            return await forger.signed("order", TERMINAL, order, sequence=self.account.sequence + 1)
        if kind == "other_terminal":
            return own, (await acquirer.signed("order", NEIGHBOUR, order))[1]
        if kind == "expired":
            return await acquirer.signed("order", TERMINAL, order, expires=self.clock.wall_s() - 60)
        if kind == "moved":
            return topic(ACQUIRER, TERMINAL, "status"), (await acquirer.signed("order", TERMINAL, order))[1]
        if kind == "repeated":
            last = self.account.last_sent
            if last is None:
                raise StepFailed("nothing to repeat: no order was sent yet")
            return last
        where, message = await acquirer.signed("order", TERMINAL, order)
        altered = bytearray(message)
        altered[-1] ^= 1
        return where, bytes(altered)

    # Expectations.

    async def _do_expect_page(self, name: str) -> None:
        await self._shown(name + ".title", name, reads_on=False)

    async def _do_expect_text(self, key: str) -> None:
        await self._shown(key, key, reads_on=True)

    async def _shown(self, key: str, name: str, reads_on: bool) -> None:
        """The display shows the text. Of a page longer than the display a person looks at the top, and reads on if that may help."""
        wanted = self._text(key)
        lines: list[str] = []
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STEP_TIMEOUT_S):
                while _squeezed(wanted) not in _squeezed("".join(lines)):
                    self._check()
                    await asyncio.sleep(LOOK_S)
                    lines = await self._read(wanted, reads_on)
        if _squeezed(wanted) not in _squeezed("".join(lines)):
            raise StepFailed(f"the display does not show {wanted!r} but {lines}")
        await self._drawn()
        screen = lines if any(self._more()) else self.terminal.screen()
        self._seen_screens.append((name, screen))
        self._tell("display", " | ".join(screen[:3]))
        if self._pictures is not None:
            display: Any = self.terminal.chips["display"]
            self._pictures.mkdir(parents=True, exist_ok=True)
            display.picture().save(self._pictures / f"{len(self._seen_screens):02}-{name}.png")

    async def _read(self, wanted: str, reads_on: bool) -> list[str]:
        """The lines of a page from its top; `reads_on`: until the text is among them, or the page ends."""
        while self._more()[0] and await self._scrolled("up"):
            pass
        windows = [self.terminal.screen()]
        while reads_on and _squeezed(wanted) not in _squeezed("".join(joined(windows))):
            if not self._more()[1] or not await self._scrolled("down"):
                break
            windows.append(self.terminal.screen())
        return joined(windows)

    def _more(self) -> tuple[bool, bool]:
        """Whether the page goes on above and below what is seen."""
        display: Any = self.terminal.chips["display"]
        return more_of_picture(display.picture(), self._font)

    async def _scrolled(self, key: str) -> bool:
        """A person taps the key, and looks whether the page moves: on a page that only waits, it does not."""
        chips: Any = self.terminal.chips
        drawn = chips["display"].frames_changed
        chips["keypad"].tap(key)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SCROLL_S):
                while chips["display"].frames_changed == drawn:
                    await asyncio.sleep(LOOK_S)
                await self._drawn()
                return True
        return False

    async def _drawn(self) -> None:
        """Until the display has stood still for a while: a page is drawn row by row."""
        display: Any = self.terminal.chips["display"]
        drawn = -1
        while drawn != display.frames_changed:
            drawn = display.frames_changed
            await asyncio.sleep(STILL_S)

    async def _do_expect_slip(self, key: str) -> None:
        wanted = self._text(key)
        await self._until(
            lambda: _squeezed(wanted) in _squeezed("".join(self._slip_text())),
            lambda: f"the slip does not say {wanted!r} but {self._slip_text()}",
        )
        self._tell("printer", " | ".join(self._slip_text()))
        if self._pictures is not None:
            printer: Any = self.terminal.chips["printer"]
            printer.last_slip().picture().save(self._pictures / f"{len(self._seen_screens):02}-slip.png")

    async def _do_expect_export(self, form: str) -> None:
        """The last export on the console is whole, and what a reader of its form takes."""
        text = ""

        def is_whole() -> bool:
            nonlocal text
            text = export_of(self.terminal.lines, form)
            return bool(text)

        await self._until(is_whole, lambda: f"no export {form} on the console")
        try:
            told = json.loads(text)["plan"] if form == "JSON" else ElementTree.fromstring(text)[0].get("name", "")
        except (ValueError, KeyError, IndexError, ElementTree.ParseError) as error:
            raise StepFailed(f"the export is no {form}: {error!r}") from error
        self._tell("console", f"export {form}: {told}")
        if self._pictures is not None:
            self._pictures.mkdir(parents=True, exist_ok=True)
            suffix = "json" if form == "JSON" else "xml"
            (self._pictures / f"{len(self._seen_screens):02}-selftest.{suffix}").write_text(text, encoding="utf-8")

    async def _do_expect_record(self, what: str) -> None:
        """The last export of a record on the console has come to its end; an evidence package is verified by the terminal's public key."""

        def lines() -> list[str]:
            return (exports_of(self.terminal.lines, what) or [[]])[-1]

        await self._until(lambda: bool(lines()), lambda: f"no export {what} on the console")
        told = f"{len(lines())} lines"
        if what == EVIDENCE:
            keys = [Key(self.account.public_key, "registry", TERMINAL)]
            evidence = await asyncio.to_thread(verify_package, "\n".join(lines()), keys)
            if not evidence.is_whole:
                raise StepFailed(f"the evidence package: {evidence.problem or 'says itself that it is not whole'}")
            told = f"{len(evidence.entries)} entries, verified"
        self._tell("console", f"export {what}: {told}")

    async def _do_expect_summary(self, reason: str) -> None:
        def told() -> list[list[str]]:
            return [[Reason.from_told(values).code for values in body["reasons"]] for body in self.account.summaries]

        await self._until(lambda: reason in (told() or [[]])[-1], lambda: f"verified summaries tell of: {told()}")
        if not self.account.summaries[-1]["whole"]:
            raise StepFailed("the summary says that its log has gaps")

    async def _do_expect_event(self, name: str) -> None:
        def names() -> list[str]:
            return [event["name"] for event in self.account.events]

        await self._until(lambda: name in names()[-1:], lambda: f"verified events: {names()}")

    async def _do_expect_state(self, mode: str) -> None:
        await self._until(lambda: self.account.state.get("mode") == mode, lambda: f"the verified state is {self.account.state.get('mode')}")

    async def _do_expect_online(self, answer: str) -> None:
        await self._until(lambda: self.account.online == (answer == "yes"), lambda: f"online is {self.account.online}")

    async def _do_expect_report(self, argument: dict[str, str]) -> None:
        def results() -> dict[str, str]:
            told = [from_list(values) for report in self.account.reports[-1:] for values in report["results"]]
            return {result.phase: result.outcome for result in told}

        await self._until(
            lambda: results().get(argument["device"]) == argument["outcome"], lambda: f"the last verified report says {results()}"
        )

    async def _do_expect_test(self, argument: dict[str, str]) -> None:
        def outcomes() -> list[str]:
            return [test["outcome"] for test in self.account.tests if test["name"] == argument["name"]]

        await self._until(lambda: argument["outcome"] in outcomes()[-1:], lambda: f"verified outcomes: {outcomes()}")

    async def _do_expect_application(self, purpose: str) -> None:
        await self._until(
            lambda: purpose in [purpose_of(item) for item in self.account.applications],
            lambda: f"applications: {[purpose_of(item) for item in self.account.applications]}",
        )

    async def _do_expect_no_money(self, _: str) -> None:
        """The terminal made test sales at the payment host, and every one of them is reversed."""
        host = self.payment_host
        await self._until(lambda: bool(host.sales) and not host.objections(), lambda: f"sales: {len(host.sales)}; {host.objections()}")
        self._tell("payment", f"payment host: {len(host.sales)} test sales, all reversed; money moved: {host.money}")

    async def _do_expect_new_key(self, _: str) -> None:
        await self._until(lambda: self.account.public_key != self._first_public_key, lambda: "no message was signed by a new key")

    # What there is to see.

    def _text(self, key: str) -> str:
        try:
            return self._texts.get(key)
        except KeyError as error:
            raise StepFailed(f"no text {key!r}, or one that needs values ({error})") from error

    def _slip_text(self) -> list[str]:
        """What is no text is told as one picture."""
        lines: list[str] = []
        for line in self.terminal.slip() if "printer" in self.terminal.chips else []:
            if UNREADABLE not in line:
                lines.append(line)
            elif lines[-1:] != [PICTURE]:
                lines.append(PICTURE)
        return lines


def purpose_of(application: dict[str, Any]) -> str:
    """As a scenario names it: an appeal to the superior has a name of its own."""
    return "superior" if application.get("level") == LEVEL_SUPERIOR else str(application["purpose"])


def export_of(lines: list[str], form: str) -> str:
    """The text of the last export of that form among a console's lines; '' where there is none that has come to its end."""
    ends = [number for number, line in enumerate(lines) if line == EXPORT_ENDS + form]
    begins = [number for number, line in enumerate(lines) if line == EXPORT_BEGINS + form and ends and number < ends[-1]]
    return "\n".join(lines[begins[-1] + 1 : ends[-1]]) + "\n" if begins else ""


def _squeezed(text: str) -> str:
    """Without blanks: where a text was wrapped does not matter."""
    return "".join(text.split())
