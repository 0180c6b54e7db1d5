"""What the acquirer makes of messages: forged, moved and repeated ones, wills and births, registrations that nobody approved."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from firmware_agent.identity.der import certification_request
from firmware_agent.links.link import Message
from firmware_agent.messages.cbor import decode, encode
from firmware_agent.messages.cose import key_id, parse, sign
from firmware_agent.messages.schema import Claims, kind_named, topic
from hal.drivers.software_key import SoftwareKey
from host_sim.acquirer.acquirer import Account, Acquirer
from host_sim.acquirer.equipment import software_element
from host_sim.pki import TestAuthority

NOW_S = 1_800_000_000
RECEIPT = {"of": bytes(16), "result": "SUCC", "highest": 1}


class Scene:
    """An acquirer without a connection, and the key of one terminal that it knows."""

    def __init__(self, acquirer: Acquirer, terminal_key: SoftwareKey, account: Account) -> None:
        self.acquirer = acquirer
        self.key = terminal_key
        self.account = account

    async def message(
        self, kind: str, body: dict[str, Any], sequence: int, *, on: str | None = None, slot: int = 0, subject: str = "T1"
    ) -> Message:
        claims = Claims(kind_named(kind), subject, sequence, body, boot_count=1)
        where = topic("acq", "T1", claims.kind.leaf)
        payload = await sign(self.key, slot, key_id(await self.key.public_key(slot)), encode(claims.to_map()), where)
        return Message(on or where, payload, False, False, None)

    async def says(self, *arguments: Any, **options: Any) -> None:
        await self.acquirer.handle(await self.message(*arguments, **options))

    @property
    def refusals(self) -> list[str]:
        return [why for _, why in self.acquirer.refused]


def state(link: str, connection: int, mode: str = "in_service") -> dict[str, Any]:
    return {"mode": mode, "status": "OPER", "link": link, "connection": connection, "reasons": []}


@pytest.fixture
def play(tmp_path: Path) -> Callable[[Callable[[Scene], Awaitable[None]]], None]:
    def run(scenario: Callable[[Scene], Awaitable[None]]) -> None:
        async def in_scene() -> None:
            (tmp_path / "acquirer").mkdir()
            (tmp_path / "terminal").mkdir()
            element = await software_element(tmp_path / "acquirer")
            acquirer = Acquirer("acq", TestAuthority(), element, await element.generate_key(0), lambda: NOW_S)
            key = await software_element(tmp_path / "terminal")
            await scenario(Scene(acquirer, key, acquirer.enrol("T1", await key.generate_key(0))))

        asyncio.run(in_scene())

    return run


def test_a_message_is_kept_once_however_often_it_comes(play: Any) -> None:
    async def scenario(scene: Scene) -> None:
        for _ in range(3):
            await scene.says("receipt", RECEIPT, 7)
        assert len(scene.account.receipts) == 1
        assert (scene.account.verified, scene.account.duplicates) == (1, 2)

    play(scenario)


def test_what_is_wrong_with_a_message_is_named_and_nothing_of_it_is_kept(play: Any) -> None:
    async def scenario(scene: Scene) -> None:
        good = await scene.message("receipt", RECEIPT, 1)
        altered = Message(good.topic, good.payload[:-1] + bytes([good.payload[-1] ^ 1]), False, False, None)
        await scene.acquirer.handle(altered)
        await scene.acquirer.handle(Message(topic("acq", "T1", "report"), good.payload, False, False, None))
        await scene.acquirer.handle(Message(topic("acq", "T9", "receipt"), good.payload, False, False, None))
        await scene.acquirer.handle(Message("elsewhere", good.payload, False, False, None))
        await scene.acquirer.handle(Message(good.topic, b"garbage", False, False, None))
        await scene.says("receipt", RECEIPT, 2, subject="T2")
        await scene.says("order", {"action": "suspend"}, 3)
        assert scene.refusals[:4] == ["bad_signature", "bad_signature", "unknown_terminal", "unknown_terminal"]
        assert scene.refusals[4] in ("malformed", "not_signed")
        assert scene.refusals[5:] == ["wrong_topic", "wrong_topic"]
        assert scene.account.verified == 0 and not scene.account.receipts

    play(scenario)


def test_a_key_that_was_never_issued_speaks_for_nobody(play: Any) -> None:
    async def scenario(scene: Scene) -> None:
        await scene.key.generate_key(1)
        await scene.says("receipt", RECEIPT, 1, slot=1)
        assert scene.refusals == ["unknown_key"]

    play(scenario)


def test_a_late_will_does_not_win_over_a_newer_birth(play: Any) -> None:
    async def scenario(scene: Scene) -> None:
        await scene.says("state", state("online", 10), 11)
        assert scene.account.online
        await scene.says("state", state("online", 20), 21)
        await scene.says("state", state("lost", 10), 10)  # the old connection's will, late
        assert scene.account.online
        await scene.says("state", state("lost", 20), 20)  # this connection's
        assert not scene.account.online
        assert scene.account.state["mode"] == "in_service"  # what a will says of the state is not believed

    play(scenario)


def test_an_old_state_does_not_win_over_a_newer_one(play: Any) -> None:
    async def scenario(scene: Scene) -> None:
        await scene.says("state", state("online", 1, "suspended"), 5)
        await scene.says("state", state("online", 1, "in_service"), 4)
        assert scene.account.state["mode"] == "suspended"

    play(scenario)


def test_a_registration_is_answered_only_when_it_was_approved_and_once(play: Any) -> None:
    async def scenario(scene: Scene) -> None:
        await scene.key.generate_key(1)
        _, transport_key = await scene.key.transport_key()
        body = {
            "application": 1,
            "purpose": "registration",
            "reasons": [],
            "request": await certification_request(scene.key, 1, "T1"),
            "transport_key": transport_key,
        }
        await scene.says("application", body, 1)
        assert scene.refusals == ["registration_not_approved"]
        assert not scene.account.outgoing

        scene.account.may_register = True
        await scene.says("application", {**body, "request": b"no request"}, 2)
        assert scene.refusals[-1].startswith("request: ")
        await scene.says("application", body, 3)
        await scene.says("application", body, 3)
        assert len(scene.account.outgoing) == 1
        assert scene.account.next_public_key == await scene.key.public_key(1)

        await scene.says("receipt", RECEIPT, 4)  # the old key still speaks
        await scene.says("receipt", RECEIPT, 5, slot=1)  # until the new one is used
        await scene.says("receipt", RECEIPT, 6)
        assert scene.refusals[-1] == "unknown_key"
        assert len(scene.account.receipts) == 2

    play(scenario)


def test_messages_to_a_terminal_go_one_at_a_time_each_until_its_receipt(play: Any) -> None:
    async def scenario(scene: Scene) -> None:
        first = await scene.acquirer.order("T1", action="suspend", reason="maintenance")
        await scene.acquirer.order("T1", action="lift", reason="maintenance")
        assert [outgoing.name for outgoing in scene.account.outgoing][0] == first
        await scene.says("receipt", RECEIPT, 1)  # of something else
        assert len(scene.account.outgoing) == 2
        await scene.says("receipt", {**RECEIPT, "of": first}, 2)
        assert len(scene.account.outgoing) == 1
        assert scene.account.last_sent is scene.account.outgoing[0]

    play(scenario)


def test_an_inquiry_is_answered_by_its_nonce_and_once(play: Any) -> None:
    async def scenario(scene: Scene) -> None:
        for _ in range(2):
            await scene.says("inquiry", {"nonce": b"12345678"}, 1)
        (answer,) = scene.account.outgoing
        assert answer.where == topic("acq", "T1", "answer")
        claims = Claims.from_map(decode(parse(answer.message).payload))
        assert (claims.octets("nonce"), claims.issued_at, claims.subject) == (b"12345678", NOW_S, "T1")

    play(scenario)


def test_only_the_latest_of_many_inquiries_is_answered_and_no_order_gives_way_to_one(play: Any) -> None:
    async def scenario(scene: Scene) -> None:
        await scene.acquirer.order("T1", action="suspend", reason="maintenance")  # in flight
        await scene.says("inquiry", {"nonce": b"0"}, 1)
        await scene.acquirer.order("T1", action="lift", reason="maintenance")
        for number in range(1, 5):
            await scene.says("inquiry", {"nonce": bytes([number])}, 1 + number)
        assert [outgoing.kind for outgoing in scene.account.outgoing] == ["order", "order", "answer"]
        last = Claims.from_map(decode(parse(scene.account.outgoing[-1].message).payload))
        assert last.octets("nonce") == bytes([4])

    play(scenario)


def test_an_acquirer_that_hangs_sends_nothing_until_it_goes_on(play: Any) -> None:
    async def scenario(scene: Scene) -> None:
        scene.acquirer.hang(True)
        await scene.acquirer.order("T1", action="self_test")
        assert scene.account.last_sent is None
        scene.acquirer.hang(False)
        await scene.acquirer.order("T1", action="self_test")
        assert len(scene.account.outgoing) == 2

    play(scenario)
