"""What people, the acquirer, the network and defects do to a shop's terminal: a method for each verb of a scenario that does something."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

from firmware_agent.application.review import DECISIONS
from firmware_agent.flows.entry import NEXT_MS
from firmware_agent.flows.entry import TEXT as KEYS_OF_TEXT
from firmware_agent.flows.ui import KEY_WAIT_MS
from firmware_agent.identity.activation import check_digit
from firmware_agent.links.link import LinkError
from firmware_agent.messages.schema import SchemaError, topic
from firmware_agent.prevention.reminders import DAY_S
from firmware_agent.selftest.firmware_image import MANIFEST_NAME
from firmware_agent.settings import DEFAULTS
from firmware_agent.state.machine import COMMISSIONING
from hal.calendar import date_of
from host_sim.acquirer.acquirer import SLOT, Acquirer
from host_sim.acquirer.equipment import software_element
from host_sim.brokers import BrokerFailure
from host_sim.chips.cards import BadgeCard, Card, MuteCard, NoPpseCard, PaymentCard, StrictLeCard
from host_sim.firmware import release
from host_sim.microcontroller import Microcontroller
from host_sim.provision import issue_badge
from host_sim.scenarios.looking import Onlooker, StepFailed
from host_sim.scenarios.scenario import Step
from host_sim.simulated_time import SimulatedTime
from host_sim.technician import Technician
from host_sim.waiting import comes
from host_sim.world import ACQUIRER, NEIGHBOUR, Shop

BADGE, BADGE_NAME = "T-0042", "Chen"  # number and name on the technician's badge
BADGE_LIFETIME_S = 365 * 24 * 3600
REVIEWED = ("reactivation", "appeal")  # purposes of applications that a person reviews
CARDS = {"payment": PaymentCard, "no_ppse": NoPpseCard, "strict_le": StrictLeCard, "mute": MuteCard}
FINGER_S = 1.0  # in which a terminal that works sees a key
MOST_LATENCY_MS = 60000  # each way
SELF_TEST_TIMEOUT_S = 300.0  # of a whole one with all its examinations

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


class Actions:
    """code: the activation code that was issued last; hostile_refused: hostile messages that were refused as they had to be."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self._onlooker = Onlooker(shop)
        self.code = ""
        self.hostile_refused = 0
        self._cuts_power = False  # the power goes after the next write
        self.notices = 0  # sent, and the number of the last
        self.decided = 0  # number of the last application that the acquirer has decided

    async def do(self, step: Step) -> None:
        """Carry out a step. Raises StepFailed: it cannot be done; TerminalFailure: the terminal ended by itself."""
        action: Callable[[Any], Awaitable[None]] = getattr(self, "do_" + step.verb)
        try:
            await action(step.argument)
        except (SchemaError, LinkError, BrokerFailure, TimeoutError) as error:
            raise StepFailed(str(error) or "it took too long") from error

    def _chip(self, kind: str) -> Any:
        """The model of a device, with its back face. Raises StepFailed."""
        chips = self._shop.terminal.chips
        if kind not in chips:
            raise StepFailed(f"this terminal has no {kind}; it has: {', '.join(sorted(chips))}")
        return chips[kind]

    def _microcontroller(self, otherwise: str) -> Microcontroller:
        """The terminal, if it is one. Raises StepFailed."""
        terminal = self._shop.terminal
        if not isinstance(terminal, Microcontroller):
            raise StepFailed(otherwise)
        return terminal

    async def do_say(self, text: str) -> None:
        self._shop.tell("", text)

    async def do_time(self, argument: dict[str, str]) -> None:
        """Whatever is due in that time happens, in its order."""
        if not isinstance(self._shop.backend.time, SimulatedTime):
            raise StepFailed("this run is in real time, which nobody can forward; it takes simulated time")
        seconds = int(argument["forward_s"])
        self._shop.tell("time", f"{seconds} s pass")
        await asyncio.sleep(seconds)

    async def do_boot(self, _: str) -> None:
        if self._cuts_power:
            self._cuts_power = False
            await self._onlooker.until(lambda: not self._shop.terminal.is_on, lambda: "nothing was written: the terminal is still on")
        if self._shop.terminal.is_on:
            raise StepFailed("the terminal is on already; cut_power first")
        self._shop.terminal.power_on()

    async def do_device(self, which: str) -> None:
        await self._shop.turn_to(which)
        self._shop.tell("person", f"turns to the {which} device")

    async def do_activation_code(self, _: str) -> None:
        assert self._shop.acquirer.activations is not None
        self.code = self._shop.acquirer.activations.codes.issue(self._shop.name, self._shop.clock.wall_s())
        self._shop.tell("acquirer", f"activation code for {self._shop.name}: {self.code}")

    async def do_type_code(self, which: str) -> None:
        """wrong: of the right form, and another one; mistyped: one digit is not right. What was typed before is deleted."""
        if not self.code:
            raise StepFailed("no code was issued; activation_code first")
        code = self.code
        if which == "mistyped":
            code = code[:-1] + str((int(code[-1]) + 1) % 10)
        elif which == "wrong":
            digits = code[:4] + str((int(code[4:-1]) + 1) % 10**7).zfill(7)
            code = digits + check_digit(digits)
        keypad = self._chip("keypad")
        for key in ["clear"] * len(code) + list(code) + ["enter"]:
            keypad.tap(key)
        self._shop.tell("person", f"types {code[:4]} {code[4:8]} {code[8:]}")

    async def do_cut_power(self, _: str) -> None:
        self._shop.tell("person", "cuts the power")
        self._cuts_power = False
        await self._shop.cut_power()

    async def do_cut_power_after_write(self, _: str) -> None:
        self._microcontroller("the disk there is the kernel's; cut_power ends the agent at any moment")
        if not self._shop.terminal.is_on:
            raise StepFailed("the terminal is off")
        self._chip("storage").power_cut()
        self._cuts_power = True
        self._shop.tell("person", "will cut the power after the next write to the flash")

    async def do_factory_new(self, _: str) -> None:
        self._cuts_power = False
        await self._shop.factory_new()
        self._shop.tell("person", "puts a new device in its place")

    async def do_clock(self, jump_s: str) -> None:
        self._microcontroller("the clock there is this machine's").jump_clock(int(jump_s))
        self._shop.tell("hardware", f"clock: jumps by {jump_s} s")

    async def do_broker(self, what: str) -> None:
        """A broker that comes back may have forgotten every session: the terminal gets through when the acquirer listens again."""
        if self._shop.broker.is_running == (what == "start"):
            raise StepFailed("the broker runs already" if what == "start" else "the broker is stopped already")
        self._shop.tell("network", f"broker: {what}")
        if what == "stop":
            self._shop.uplink.cut()
            await self._shop.broker.stop()
        else:
            await self._shop.broker.start()
            await self._onlooker.until(lambda: self._shop.acquirer.connected, lambda: "the acquirer does not reach the broker")
            self._shop.uplink.restore()

    async def do_uplink(self, what: str) -> None:
        if what == "cut":
            self._shop.uplink.cut()
        else:
            self._shop.uplink.restore()
        self._shop.tell("network", f"uplink: {what}")

    async def do_latency(self, milliseconds: str) -> None:
        if int(milliseconds) > MOST_LATENCY_MS:
            raise StepFailed(f"{milliseconds} ms are too long; at most {MOST_LATENCY_MS}")
        self._shop.uplink.latency_ms = int(milliseconds)
        self._shop.tell("network", f"latency: {milliseconds} ms each way")

    async def do_access_point(self, argument: dict[str, str]) -> None:
        """The shop's router goes, and another one comes."""
        wifi = self._chip("network")
        wifi.link(False)
        wifi.ssid, wifi.password = argument["name"], argument.get("password", "")
        wifi.link(True)
        self._shop.tell("network", f"access point: {wifi.ssid}")

    async def do_type(self, text: str) -> None:
        """By repeated presses, as on telephones; two characters of one key have a pause between them."""
        keypad = self._chip("keypad")
        last = ""
        for character in text:
            found = [key for key, characters in KEYS_OF_TEXT.items() if character in characters]
            if not found:
                raise StepFailed(f"no key types {character!r}")
            if found[0] == last:
                await self._onlooker.until(lambda: keypad.idle, lambda: "the keypad does not come to rest")
                await asyncio.sleep((NEXT_MS + KEY_WAIT_MS) / 1000)
            last = found[0]
            for _ in range(KEYS_OF_TEXT[last].index(character) + 1):
                keypad.tap(last)
        keypad.tap("enter")
        self._shop.tell("person", f"types {text}")

    def _keypad_with(self, key: str) -> Any:
        keypad = self._chip("keypad")
        if key not in keypad.keys:
            raise StepFailed(f"no key {key!r}; there are: {', '.join(keypad.keys)}")
        return keypad

    async def do_press(self, key: str) -> None:
        self._keypad_with(key).tap(key)
        self._shop.tell("person", f"presses {key}")

    async def do_hold(self, key: str) -> None:
        self._keypad_with(key).press(key)
        self._shop.tell("person", f"holds {key}")

    async def do_let_go(self, key: str) -> None:
        """Not before a terminal that looks has seen it: no finger is so quick."""
        keypad = self._keypad_with(key)
        await comes(lambda: not self._shop.terminal.is_on or keypad.is_seen(key), FINGER_S)
        keypad.release(key)
        self._shop.tell("person", f"lets go of {key}")

    async def do_card(self, kind: str) -> None:
        reader = self._chip("card_reader")
        reader.insert_card(await self.badge(kind) if kind.startswith("badge") else CARDS[kind]())
        self._shop.tell("person", f"holds a card to the reader ({kind})")

    async def badge(self, kind: str) -> Card:
        """The technician's badge as the acquirer issued it, or what is wrong with it by its kind."""
        element, key = self._shop.backend.element, self._shop.acquirer.public_key
        if kind == "badge_of_other":
            folder = self._shop.folder / "other"
            folder.mkdir(exist_ok=True)
            element = await software_element(folder)
            key = await element.generate_key(SLOT)
        expires = self._shop.clock.wall_s() + (-60 if kind == "badge_expired" else BADGE_LIFETIME_S)
        badge, private_key = await issue_badge(element, SLOT, key, ACQUIRER, BADGE, BADGE_NAME, expires)
        if kind == "badge_altered":
            badge = badge.replace(BADGE.encode(), b"T-0001")
        if kind == "badge_copied":
            private_key, _ = await element.transport_key()
        return BadgeCard(badge, private_key)

    async def do_pay(self, card: str) -> None:
        """At the payment application beside the agent, which the agent has no part in."""
        try:
            code = await self._shop.payments.pay(int(card), self._shop.terminal.data)
        except (OSError, EOFError) as error:
            raise StepFailed(f"the payment host does not answer: {error}") from error
        self._shop.tell("person", f"pays with card {card}: {code}")

    async def do_remove_card(self, _: str) -> None:
        self._chip("card_reader").remove_card()

    async def do_carry_out(self, work: str) -> None:
        """A person does what the tests ask for, with whatever devices this terminal has."""
        if not self._shop.terminal.is_on:
            raise StepFailed("the terminal is off")
        helper = Technician(self._shop.terminal, self._shop.language, Random(0))
        self._shop.listeners.append(helper.heard)
        try:
            if work == "self_test":
                await self._self_test_ended(helper)
            else:
                await self._onlooker.until_mode(COMMISSIONING)
                while self._shop.account.state["mode"] == COMMISSIONING:
                    await self._onlooker.until_page("test")
                    await self._one_function_test()
        finally:
            self._shop.listeners.remove(helper.heard)
            await helper.leave()
            await self.do_remove_card("")

    async def _one_function_test(self) -> None:
        due = self._shop.account.state["tests_due"]
        await self.do_press("1")
        await self._onlooker.until(lambda: self._shop.account.state["tests_due"] != due, lambda: f"still due: {', '.join(due)}")

    async def _self_test_ended(self, helper: Technician) -> None:
        def ended() -> int:
            return sum(line.startswith("self-test ") and " ended, " in line for line in self._shop.terminal.lines)

        before = ended()
        for line in self._shop.terminal.lines[-1:]:
            helper.heard(line)  # it may have asked for something already
        if not await comes(lambda: ended() > before, SELF_TEST_TIMEOUT_S, self._shop.check):
            raise StepFailed(f"no self-test has ended: {self._shop.terminal.lines[-1]}")

    async def do_code(self, text: str) -> None:
        self._chip("scanner").present(text)
        self._shop.tell("person", f"holds code {text} before the scanner")

    async def do_tear_off(self, _: str) -> None:
        """One that the cutter has cut is only taken."""
        printer = self._chip("printer")
        if printer.slip().items:
            printer.tear_off()
        elif not printer.cut_slips:
            raise StepFailed("no slip was printed yet")
        self._shop.tell("person", "takes the slip")

    async def do_fault(self, argument: dict[str, str]) -> None:
        breakable = self._shop.breakable
        chip = breakable.get(argument["device"])
        on = argument.get("on", "yes") == "yes"
        try:
            if chip is None:
                raise ValueError(f"no device {argument['device']!r}; there are: {', '.join(sorted(breakable))}")
            chip.fault(argument["name"], on)
        except ValueError as error:
            raise StepFailed(str(error)) from error
        self._shop.tell("hardware", f"{argument['device']}: {argument['name']} {'on' if on else 'off'}")

    async def do_order(self, argument: dict[str, str]) -> None:
        fields = self._with_times(argument)
        if "probation_s" in fields:
            fields["probation_s"] = int(fields["probation_s"])
        if "settings" in fields:
            pairs = [pair.strip().split("=", 1) for pair in fields["settings"].split(",")]
            fields["settings"] = [[pair[0], *(self._date(value) for value in pair[1:])] for pair in pairs]
        await self._shop.acquirer.order(self._shop.name, **fields)
        self._shop.tell("acquirer", "signed order: " + " ".join(argument.values()))

    async def do_notice(self, argument: dict[str, str]) -> None:
        self.notices += 1
        await self._shop.acquirer.send("notice", self._shop.name, {"notice": self.notices, **self._with_times(argument)})
        self._shop.tell("acquirer", f"signed notice {self.notices}: {argument['about']}")

    def _date(self, value: str) -> str:
        """A setting's value; 'today+30' and 'today-2' are dates, counted from today where the terminal stands."""
        if not re.fullmatch(r"today([+-]\d+)?", value):
            return value
        today = (self._shop.clock.wall_s() + 60 * int(DEFAULTS["utc_offset_min"])) // DAY_S
        return date_of(today + int(value.removeprefix("today") or 0))

    def _with_times(self, argument: dict[str, str]) -> dict[str, Any]:
        """The fields of a message; `since_s` and `until_s` are counted from now."""
        fields: dict[str, Any] = {}
        for name, value in argument.items():
            if name in ("since_s", "until_s"):
                fields[name.removesuffix("_s")] = self._shop.clock.wall_s() + int(value)
            else:
                fields[name] = value
        return fields

    async def do_release(self, argument: dict[str, str]) -> None:
        """A technician copies a newer program to the terminal, as the acquirer has signed it, or not."""
        terminal = self._microcontroller("a package manager installs what runs there")
        version, fault = argument["version"], argument.get("fault", "")
        folder = terminal.device / terminal.spare_slot
        release(self._shop.board, folder, version)
        if fault == "broken":
            (folder / "firmware_agent" / "agent.py").write_text("raise RuntimeError('a newer program that does not start')\n")
        manifest = await self._shop.acquirer.firmware_manifest(folder, version)
        if fault == "forged":
            manifest = manifest[:-1] + bytes([manifest[-1] ^ 1])
        (folder / MANIFEST_NAME).write_bytes(manifest)
        if fault == "altered":
            (folder / "main.py").write_text("# not from the maker\n")
        elif fault == "missing":
            (folder / "hal" / "hal.py").unlink()
        self._shop.tell("technician", f"puts version {version} into {folder.name} {fault}".rstrip())

    async def do_review(self, argument: dict[str, str]) -> None:
        """To the last application; one that was decided is not decided again: the next is awaited."""

        def last() -> int:
            return max((item["application"] for item in self._shop.account.applications if item["purpose"] in REVIEWED), default=0)

        await self._onlooker.until(lambda: last() > self.decided, lambda: f"no application after number {self.decided}")
        number = last()
        if argument["status"] in DECISIONS:
            self.decided = number
        answer = await self._shop.acquirer.answer(self._shop.name, number, argument["status"], argument.get("remark", ""))
        self._shop.tell("acquirer", f"answer to application {number}: {argument['status']}")
        await self._onlooker.until(
            lambda: self._shop.account.receipt_of(answer) is not None, lambda: f"no receipt; receipts: {self._shop.account.receipts}"
        )
        receipt = self._shop.account.receipt_of(answer)
        if receipt is None or "refusal" in receipt:
            raise StepFailed(f"the receipt says {receipt}")

    async def do_hostile(self, kind: str) -> None:
        """Send a message that must be refused, and see it named in the log and in a signed receipt, and the state unchanged."""
        before = dict(self._shop.account.state)
        where, message = await self._hostile(kind)
        receipts = len(self._shop.account.receipts)
        await self._shop.acquirer.publish(where, message)
        self._shop.tell("attacker", f"sends an order: {kind}")
        refusal = REFUSAL_OF[kind]
        await self._onlooker.until(
            lambda: any(receipt.get("refusal") == refusal for receipt in self._shop.account.receipts[receipts:]),
            lambda: f"no receipt with refusal {refusal}; receipts: {self._shop.account.receipts[receipts:]}",
        )
        if not any(line.startswith(f"refused: {refusal} ") for line in self._shop.terminal.lines):
            raise StepFailed(f"the terminal's log does not name {refusal}")
        if any(self._shop.account.state.get(name) != before.get(name) for name in ("mode", "reasons")):
            raise StepFailed(f"the state changed: {self._shop.account.state}")
        self.hostile_refused += 1

    async def _hostile(self, kind: str) -> tuple[str, bytes]:
        acquirer = self._shop.acquirer
        order = {"action": "suspend", "reason": "compliance"}
        own = topic(ACQUIRER, self._shop.name, "order")
        if kind == "unsigned":
            return own, b"\xa2\x01gsuspend\x02jcompliance"
        if kind == "wrong_key":
            folder = self._shop.folder / "attacker"
            folder.mkdir(exist_ok=True)
            element = await software_element(folder)
            forger = Acquirer(ACQUIRER, self._shop.authority, element, await element.generate_key(SLOT), self._shop.clock.wall_s)
            forger.enrol(self._shop.name, b"")
            return await forger.signed("order", self._shop.name, order, sequence=self._shop.account.sequence + 1)
        if kind == "other_terminal":
            return own, (await acquirer.signed("order", NEIGHBOUR, order))[1]
        if kind == "expired":
            return await acquirer.signed("order", self._shop.name, order, expires=self._shop.clock.wall_s() - 60)
        if kind == "moved":
            return topic(ACQUIRER, self._shop.name, "status"), (await acquirer.signed("order", self._shop.name, order))[1]
        if kind == "repeated":
            last = self._shop.account.last_sent
            if last is None:
                raise StepFailed("nothing to repeat: no order was sent yet")
            return last
        where, message = await acquirer.signed("order", self._shop.name, order)
        altered = bytearray(message)
        altered[-1] ^= 1
        return where, bytes(altered)
