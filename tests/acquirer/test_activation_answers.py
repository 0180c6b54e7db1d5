"""A device and the acquirer speak, without a broker between: whose number is given, to whom, and what becomes of the device before."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography import x509

from firmware_agent.identity.activation import Activation, ActivationError, check_digit
from firmware_agent.identity.identity import KEY_FACTORY, Identity
from firmware_agent.links.link import LinkError, Message
from firmware_agent.messages.cose import key_id
from firmware_agent.messages.schema import Claims, kind_named, topic
from firmware_agent.store import Store
from firmware_agent.terminal import KEY_HIGHEST, Terminal
from hal.drivers.file_storage import FileStorage
from hal.files import Files
from host_sim.acquirer.acquirer import SLOT, Acquirer
from host_sim.acquirer.activation import TRIES_OF_A_CODE, TRIES_OF_A_DEVICE, Activations, NotActivated, Place
from host_sim.acquirer.equipment import software_element, started_clock
from host_sim.acquirer.sealing import SealingKey
from host_sim.pki import TestAuthority
from host_sim.provision import factory

TERMINAL = "T0000001"


class Link:
    """Hands what a device publishes to the acquirer, and what that publishes to whoever has subscribed."""

    def __init__(self, acquirer: Acquirer, heard: list[Message]) -> None:
        self._acquirer = acquirer
        self._heard = heard
        self.inbox: asyncio.Queue[Message] = asyncio.Queue()
        self.topics: list[str] = []

    async def connect(self, timeout_ms: int, will: object = None) -> bool:
        return False

    async def subscribe(self, where: str, timeout_ms: int) -> None:
        self.topics.append(where)

    async def publish(self, where: str, payload: bytes, retain: bool, timeout_ms: int) -> None:
        self._heard.append(Message(where, payload, False, False, 0))
        await self._acquirer.handle(self._heard[-1])

    async def receive(self) -> Message:
        return await self.inbox.get()

    async def acknowledge(self, message: Message) -> None:
        pass

    async def disconnect(self) -> None:
        pass


class World:
    def __init__(self, folder: Path, acquirer: Acquirer, authority: TestAuthority) -> None:
        self._folder = folder
        self.acquirer = acquirer
        self.authority = authority
        self.heard: list[Message] = []
        self.links: list[Link] = []
        self.told_brokers = 0
        self.now_s = 0

    async def device(self, name: str) -> Any:
        """A device from the factory, with `ask`, `store`, and `key` once it has asked."""
        folder = self._folder / name
        folder.mkdir()
        storage = FileStorage(Files(str(folder)))
        storage.open()
        storage.claim()
        await storage.enable()
        element = await software_element(folder)
        clock = await started_clock()
        devices = {"clock": clock, "storage": storage, "secure_element": element, "network": None}
        hal = SimpleNamespace(hardware_id=name, board="b", devices=lambda: [], **devices)
        await factory(hal, self.acquirer, self.authority, 8883, {})  # type: ignore[arg-type]
        store = Store(storage)
        store.open()
        Terminal.count_boot(store)

        async def make_link(identity: Identity) -> Link:
            self.links.append(Link(self.acquirer, self.heard))
            return self.links[-1]

        activation = Activation(hal, store, Identity.load(store, KEY_FACTORY), make_link, lambda line: None)  # type: ignore[arg-type]
        return SimpleNamespace(ask=activation.ask, store=store, hal=hal, activation=activation)

    def issue(self) -> str:
        assert self.acquirer.activations is not None
        return self.acquirer.activations.codes.issue(TERMINAL, self.now_s)


@asynccontextmanager
async def world(folder: Path) -> AsyncIterator[World]:
    authority = TestAuthority()
    keys = folder / "acquirer"
    keys.mkdir()
    element = await software_element(keys)
    public_key = await element.generate_key(SLOT)
    clock = await started_clock()
    acquirer = Acquirer("acq1", authority, element, public_key, clock.wall_s, sealing_key=SealingKey.generated())
    made = World(folder, acquirer, authority)
    made.now_s = clock.wall_s()

    async def publish(where: str, message: bytes) -> None:
        found = [link for link in made.links if where in link.topics]
        if not found:
            raise LinkError("E_OFFLINE", "nobody listens")
        found[-1].inbox.put_nowait(Message(where, message, False, False, 0))

    async def revoked() -> None:
        made.told_brokers += 1

    acquirer.publish = publish  # type: ignore[method-assign]
    place = Place("broker.acq1.example", 8883, "localhost", {"language": "en"})
    acquirer.activations = Activations(acquirer, authority, lambda terminal: place, clock.wall_s, lambda line: None, revoked)
    yield made


def run(tmp_path: Path, scenario: Any) -> None:
    async def program() -> None:
        async with world(tmp_path) as made:
            await scenario(made)

    asyncio.run(program())


async def refusal(asked: Any) -> str:
    with pytest.raises(ActivationError) as caught:
        await asked
    return caught.value.code


def test_a_device_becomes_a_terminal_that_the_acquirer_knows_by_its_new_key(tmp_path: Path) -> None:
    async def scenario(made: World) -> None:
        device = await made.device("d1")
        identity = await device.ask(made.issue())
        key = await device.hal.secure_element.public_key(0)
        assert identity.terminal == TERMINAL and made.acquirer.accounts[TERMINAL].public_key == key
        subject = x509.load_der_x509_certificate(identity.transport_certificate).subject.rfc4514_string()
        assert f"CN={TERMINAL}" in subject
        assert identity.sealing_key == made.acquirer.public_sealing_key
        assert made.told_brokers == 0 and not made.acquirer.accounts[TERMINAL].outgoing

    run(tmp_path, scenario)


def test_the_device_before_is_revoked_and_told_to_go_by_its_key_below_what_its_heir_has_heard(tmp_path: Path) -> None:
    async def scenario(made: World) -> None:
        old, new = await made.device("d1"), await made.device("d2")
        former = await old.ask(made.issue())
        old_key = made.acquirer.accounts[TERMINAL].public_key
        await new.ask(made.issue())
        assert made.acquirer.accounts[TERMINAL].public_key == await new.hal.secure_element.public_key(0)
        assert key_id(old_key) not in made.acquirer.registry.keys(TERMINAL)
        revoked = {entry.serial_number for entry in x509.load_pem_x509_crl(made.authority.crl_pem)}
        for certificate in (former.certificate, former.transport_certificate):
            assert x509.load_der_x509_certificate(certificate).serial_number in revoked
        assert made.told_brokers == 1
        (order,) = made.acquirer.accounts[TERMINAL].outgoing
        assert order.body == {"action": "replace", "key_id": key_id(old_key)}
        assert new.store.get(KEY_HIGHEST) is not None and order.sequence < made.acquirer.accounts[TERMINAL].sequence

    run(tmp_path, scenario)


def test_each_refusal_reaches_the_device_signed(tmp_path: Path) -> None:
    async def scenario(made: World) -> None:
        first, second = await made.device("d1"), await made.device("d2")
        code = made.issue()
        await first.ask(code)
        assert await refusal(second.ask(code)) == "used"
        codes = made.acquirer.activations.codes  # type: ignore[union-attr]
        assert await refusal(second.ask(codes.issue("T2", made.now_s, 0))) == "expired"
        made.acquirer.sealing_key = SealingKey.generated()
        third = await made.device("d3")
        third.activation.factory.sealing_key = bytes(second.activation.factory.sealing_key)
        assert await refusal(third.ask(code)) == "not_possible"

    run(tmp_path, scenario)


def test_the_same_question_again_has_the_same_answer_and_takes_nothing_from_anybody(tmp_path: Path) -> None:
    async def scenario(made: World) -> None:
        device = await made.device("d1")
        code = made.issue()
        made.acquirer.publish, publish = _lost, made.acquirer.publish  # type: ignore[method-assign]
        device.activation._hal.clock.wait_for = _no_time
        assert await refusal(device.ask(code)) == "no_answer"
        key = made.acquirer.accounts[TERMINAL].public_key
        made.acquirer.publish = publish  # type: ignore[method-assign]
        del device.activation._hal.clock.wait_for
        assert (await device.ask(code)).terminal == TERMINAL
        assert made.acquirer.accounts[TERMINAL].public_key == key and made.told_brokers == 0

    run(tmp_path, scenario)


async def _lost(where: str, message: bytes) -> None:
    raise LinkError("E_OFFLINE", "lost")


async def _no_time(waiting: Any, timeout_ms: int) -> None:
    waiting.close()
    raise OSError("timeout")


def test_what_is_no_activation_is_refused_and_costs_no_try(tmp_path: Path) -> None:
    async def scenario(made: World) -> None:
        device = await made.device("d1")
        code = made.issue()
        await device.ask(code)
        where, payload = made.heard[0].topic, made.heard[0].payload
        refused = made.acquirer.refused
        for number in range(len(payload)):
            altered = bytearray(payload)
            altered[number] ^= 1
            await made.acquirer.handle(Message(where, bytes(altered), False, False, 0))
        assert len(refused) == len(payload)
        await made.acquirer.handle(Message(topic("acq1", "d2", "activation"), payload, False, False, 0))  # moved to another device
        assert refused[-1][1] in ("bad_signature", "wrong_topic")
        count = len(refused)
        await made.acquirer.handle(made.heard[0])  # it comes twice
        assert len(refused) == count
        for _ in range(TRIES_OF_A_CODE):
            await made.acquirer.handle(Message(where, b"", False, False, 0))
        assert made.acquirer.accounts[TERMINAL].public_key == await device.hal.secure_element.public_key(0)

    run(tmp_path, scenario)


async def activated_again(made: World) -> tuple[Any, Activation, Identity]:
    """A device that has a name, what it asks with again, and its identity."""
    device = await made.device("hardware-1")
    device.hal.clock.set_wall = lambda *to: None  # the host's is not to be set
    first = await device.ask(made.issue())
    factory = Identity.load(device.store, KEY_FACTORY)

    async def make_link(identity: Identity) -> Link:
        made.links.append(Link(made.acquirer, made.heard))
        return made.links[-1]

    Terminal.count_boot(device.store)
    return device, Activation(device.hal, device.store, factory, make_link, lambda line: None, first), first


async def says(made: World, device: Any, identity: Identity, name: str) -> None:
    """An event, signed by that identity's key."""
    terminal = device.terminal = getattr(device, "terminal", None) or Terminal(device.hal, device.store, identity, lambda line: None)
    terminal.identity = identity
    body = {"name": name, "detail": ""}
    claims = Claims(kind_named("event"), TERMINAL, terminal.outbox.next_sequence(), body, boot_count=terminal.boot_count)
    where, message = await terminal.signed(claims)
    await made.acquirer.handle(Message(where, message, False, False, 0))


def test_a_device_that_activates_itself_anew_is_not_told_to_erase_itself(tmp_path: Path) -> None:
    async def scenario(made: World) -> None:
        device, again, first = await activated_again(made)
        second = await again.ask(made.issue())
        assert second.slot != first.slot and second.terminal == TERMINAL
        assert made.acquirer.accounts[TERMINAL].next_public_key == await device.hal.secure_element.public_key(second.slot)
        assert made.acquirer.accounts[TERMINAL].outgoing == []

    run(tmp_path, scenario)


def test_what_a_device_says_while_it_activates_itself_anew_is_taken_whichever_of_its_keys_has_signed_it(tmp_path: Path) -> None:
    async def scenario(made: World) -> None:
        device, again, first = await activated_again(made)
        await says(made, device, first, "before")
        second = await again.ask(made.issue())
        await says(made, device, first, "signed before the answer came")
        await says(made, device, second, "with the new key")
        assert made.acquirer.refused == []
        account = made.acquirer.accounts[TERMINAL]
        assert [event["name"] for event in account.events] == ["before", "signed before the answer came", "with the new key"]
        assert account.public_key == await device.hal.secure_element.public_key(second.slot)
        await says(made, device, first, "the key before is used on")
        assert [why for _, why in made.acquirer.refused] == ["unknown_key"]

    run(tmp_path, scenario)


def test_a_device_whose_answer_was_lost_goes_on_with_the_key_that_it_has(tmp_path: Path) -> None:
    async def scenario(made: World) -> None:
        device, again, first = await activated_again(made)
        made.acquirer.publish, publish = _lost, made.acquirer.publish  # type: ignore[method-assign]
        device.hal.clock.wait_for = _no_time
        code = made.issue()
        assert await refusal(again.ask(code)) == "no_answer"
        await says(made, device, first, "no answer")
        made.acquirer.publish = publish  # type: ignore[method-assign]
        del device.hal.clock.wait_for
        second = await again.ask(code)
        await says(made, device, second, "answer")
        assert made.acquirer.refused == [] and len(made.acquirer.accounts[TERMINAL].events) == 2

    run(tmp_path, scenario)


def test_an_acquirers_key_that_only_the_identity_before_trusts_signs_nothing_for_the_new_one(tmp_path: Path) -> None:
    async def scenario(made: World) -> None:
        _, again, _ = await activated_again(made)
        registry = made.acquirer.registry
        with registry.entry(TERMINAL) as entry:
            entry.trusts(b"nextkey.")
        await again.ask(made.issue())
        assert registry.facts(TERMINAL)["trusts"] is None

    run(tmp_path, scenario)


def test_an_order_to_unlock_a_terminal_forgets_its_wrong_codes_here_too(tmp_path: Path) -> None:
    async def scenario(made: World) -> None:
        device, again, _ = await activated_again(made)
        codes = made.acquirer.activations.codes  # type: ignore[union-attr]
        for _ in range(TRIES_OF_A_DEVICE):
            with pytest.raises(NotActivated):
                codes.use("1" * 12, "hardware-1", b"", made.now_s)
        assert await refusal(again.ask(made.issue())) == "too_many_tries"
        await made.acquirer.order(TERMINAL, action="unlock")
        device.store.put_all([again.tries.forgotten()])  # as the order does it there
        again._asked += 1
        assert (await again.ask(made.issue())).terminal == TERMINAL

    run(tmp_path, scenario)


def test_a_terminal_that_was_enrolled_by_files_is_known_by_the_key_that_it_names(tmp_path: Path) -> None:
    async def scenario(made: World) -> None:
        device = await made.device("d1")
        key = await device.hal.secure_element.generate_key(0)
        made.acquirer.enrol(TERMINAL, key)
        present = Identity.load(device.store, KEY_FACTORY).changed(terminal=TERMINAL)
        factory = Identity.load(device.store, KEY_FACTORY)
        again = Activation(device.hal, device.store, factory, device.activation._make_link, lambda line: None, present)
        code = made.issue()
        wrong = code[:4] + f"{(int(code[4:-1]) + 1) % 10**7:07}"
        assert await refusal(again.ask(wrong + check_digit(wrong))) == "wrong_code"
        codes = made.acquirer.activations.codes  # type: ignore[union-attr]
        assert codes.forget_tries(terminal=TERMINAL)

    run(tmp_path, scenario)
