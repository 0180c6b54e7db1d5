"""What the acquirer makes of messages: forged, moved and repeated ones, wills and births, registrations that nobody approved."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy.exc import SQLAlchemyError

from firmware_agent.identity.der import certification_request
from firmware_agent.links.link import LinkError, Message
from firmware_agent.messages.cbor import decode, encode
from firmware_agent.messages.cose import key_id, parse, sign
from firmware_agent.messages.schema import Claims, kind_named, topic
from host_sim.acquirer.acquirer import ORDER_LIFETIME_S, RESEND_S, Acquirer, running, summary
from host_sim.acquirer.equipment import software_element
from host_sim.acquirer.registry import LATE_S
from host_sim.pki import TestAuthority

NOW_S = 1_800_000_000
LIMIT_S = 20.0
RECEIPT = {"of": bytes(16), "result": "SUCC", "highest": 1}


class Wire:
    """A connection. sent: (topic, message) of what was published; refuses: publications fail; arriving: what comes, again with each
    connection until it is acknowledged.
    """

    connected = False

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes]] = []
        self.refuses = False
        self.arriving: list[Message] = []
        self.acknowledged: list[Message] = []
        self._given = 0

    async def connect(self, timeout_ms: int) -> bool:
        self.connected = True
        self._given = 0
        return False

    async def subscribe(self, topic: str, timeout_ms: int) -> None:
        pass

    async def publish(self, topic: str, payload: bytes, retain: bool, timeout_ms: int) -> None:
        if self.refuses:
            raise LinkError("E_OFFLINE", "gone")
        self.sent.append((topic, payload))

    async def receive(self) -> Message:
        while self._given == len(self.arriving):
            await asyncio.sleep(0.01)
        self._given += 1
        return self.arriving[self._given - 1]

    async def acknowledge(self, message: Message) -> None:
        self.arriving.remove(message)
        self._given -= 1
        self.acknowledged.append(message)

    async def disconnect(self) -> None:
        self.connected = False


class Scene:
    """An acquirer with a wire that is not connected yet, and the key of one terminal that it knows. now_s: the time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.wire = Wire()
        self.now_s = NOW_S
        self.told: list[str] = []

    async def begin(self) -> None:
        for part in ("acquirer", "terminal"):
            (self.folder / part).mkdir()
        element = await software_element(self.folder / "acquirer")
        public_key = await element.generate_key(0)
        self.acquirer = Acquirer("acq", TestAuthority(), element, public_key, lambda: self.now_s, self.told.append)
        self.key = await software_element(self.folder / "terminal")
        self.account = self.acquirer.enrol("T1", await self.key.generate_key(0))

    def connected(self) -> contextlib.AbstractAsyncContextManager[object]:
        return running(self.acquirer, cast(Any, self.wire))

    async def message(
        self, kind: str, body: dict[str, Any], sequence: int, *, on: str | None = None, slot: int = 0, subject: str = "T1"
    ) -> Message:
        claims = Claims(kind_named(kind), subject, sequence, body, boot_count=1)
        where = topic("acq", "T1", claims.kind.leaf)
        payload = await sign(self.key, slot, key_id(await self.key.public_key(slot)), encode(claims.to_map()), where)
        return Message(on or where, payload, False, False, None)

    async def says(self, *arguments: Any, **options: Any) -> None:
        await self.acquirer.handle(await self.message(*arguments, **options))

    async def receipt(self, order: int, sequence: int, refusal: str = "") -> None:
        """The terminal's receipt for an order that was sent."""
        body = {"of": self.acquirer.registry.order(order).name, "result": "SUCC", "highest": 1}
        await self.says("receipt", body | ({"refusal": refusal} if refusal else {}), sequence)

    async def application(self, purpose: str, slot: int = 1) -> dict[str, Any]:
        _, transport_key = await self.key.transport_key()
        request = await certification_request(self.key, slot, "T1")
        return {"application": 1, "purpose": purpose, "reasons": [], "request": request, "transport_key": transport_key}

    def sent(self) -> list[Claims]:
        """What was published, decoded."""
        return [Claims.from_map(decode(parse(message).payload)) for _, message in self.wire.sent]

    @property
    def refusals(self) -> list[str]:
        return [why for _, why in self.acquirer.refused]


def state(link: str, connection: int, mode: str = "in_service", reasons: list[Any] | None = None) -> dict[str, Any]:
    return {"mode": mode, "status": "OPER", "link": link, "connection": connection, "reasons": reasons or []}


@pytest.fixture
def play(tmp_path: Path) -> Callable[[Callable[[Scene], Awaitable[None]]], None]:
    def run(scenario: Callable[[Scene], Awaitable[None]]) -> None:
        async def in_scene() -> None:
            scene = Scene(tmp_path)
            await scene.begin()
            await scenario(scene)

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


def test_the_will_of_a_connection_that_was_lost_before_it_said_anything_ends_those_before_it(play: Any) -> None:
    async def scenario(scene: Scene) -> None:
        await scene.says("state", state("online", 10), 11)
        await scene.says("state", state("lost", 20), 20)
        assert not scene.account.online
        await scene.says("state", state("online", 30), 31)
        assert scene.account.online

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
        body = await scene.application("registration")
        await scene.says("application", body, 1)
        assert scene.refusals == ["registration_not_approved"]
        assert not scene.account.outgoing

        await scene.acquirer.answer("T1", 1, "approved")
        await scene.says("application", {**body, "request": b"no request"}, 2)
        assert scene.refusals[-1].startswith("request: ")
        await scene.says("application", body, 3)
        await scene.says("application", body, 3)
        assert [order.kind for order in scene.account.outgoing] == ["status", "credentials"]
        assert scene.account.next_public_key == await scene.key.public_key(1)

        await scene.says("receipt", RECEIPT, 4)  # the old key still speaks
        await scene.says("receipt", RECEIPT, 7, slot=1)  # until the new one is used
        await scene.says("receipt", RECEIPT, 8)
        assert scene.refusals[-1] == "unknown_key"
        assert len(scene.account.receipts) == 2
        assert (scene.account.public_key, scene.account.next_public_key) == (await scene.key.public_key(1), b"")
        assert not scene.account.may_register

    play(scenario)


def test_what_the_former_key_signed_before_is_taken_for_a_minute_for_another_process_may_be_slower_with_it(play: Any) -> None:
    async def scenario(scene: Scene) -> None:
        await scene.key.generate_key(1)
        await scene.acquirer.answer("T1", 1, "approved")
        await scene.says("application", await scene.application("registration"), 1)
        await scene.says("receipt", RECEIPT, 5, slot=1)
        await scene.says("receipt", RECEIPT, 3)
        assert not scene.refusals
        scene.now_s += LATE_S
        await scene.says("receipt", RECEIPT, 4)
        assert scene.refusals == ["unknown_key"]

    play(scenario)


def test_what_overtook_what_waited_was_signed_before_though_its_sequence_is_higher(play: Any) -> None:
    async def scenario(scene: Scene) -> None:
        await scene.key.generate_key(1)
        await scene.acquirer.answer("T1", 1, "approved")
        await scene.says("application", await scene.application("registration"), 1)
        await scene.says("state", state("online", 6), 7)
        await scene.says("receipt", RECEIPT, 5, slot=1)  # it waited until the new key was there
        await scene.says("state", state("lost", 6), 6)  # the last will, from before
        assert not scene.refusals and not scene.account.online
        await scene.says("receipt", RECEIPT, 8)
        assert scene.refusals == ["unknown_key"]

    play(scenario)


@pytest.mark.parametrize(
    ("mode", "reasons", "granted"),
    [
        ("in_service", [], True),
        ("suspended", [[1, 0, NOW_S]], True),  # maintenance
        ("suspended", [[6, 0, NOW_S]], False),  # a violation: new keys follow its review
        ("suspended", [[99]], False),  # of a newer version
        ("out_of_order", [], False),
    ],
)
def test_a_renewal_is_granted_without_approval_to_a_terminal_in_good_standing(mode: str, reasons: Any, granted: bool, play: Any) -> None:
    async def scenario(scene: Scene) -> None:
        await scene.key.generate_key(1)
        await scene.says("state", state("online", 1, mode, reasons), 1)
        await scene.says("application", await scene.application("renewal"), 2)
        assert [order.kind for order in scene.account.outgoing] == (["credentials"] if granted else [])
        assert scene.refusals == ([] if granted else ["not_in_good_standing"])

    play(scenario)


def test_a_terminal_that_never_told_its_state_renews_nothing(play: Any) -> None:
    async def scenario(scene: Scene) -> None:
        await scene.key.generate_key(1)
        await scene.says("application", await scene.application("renewal"), 2)
        assert scene.refusals == ["not_in_good_standing"]

    play(scenario)


def test_a_device_that_takes_a_terminals_place_begins_anew_and_the_one_before_speaks_for_nobody(play: Any) -> None:
    async def scenario(scene: Scene) -> None:
        await scene.says("receipt", RECEIPT, 7)
        await scene.acquirer.order("T1", action="self_test")
        scene.acquirer.enrol("T1", await scene.key.generate_key(1))
        await scene.says("receipt", RECEIPT, 8)
        assert scene.refusals == ["unknown_key"]
        await scene.says("receipt", RECEIPT, 7, slot=1)  # its first boot has the sequences that the other one's had
        assert len(scene.account.receipts) == 2 and scene.account.duplicates == 0
        assert scene.acquirer.registry.next_sequence("T1") > 0
        scene.acquirer.enrol("T1", await scene.key.public_key(1))  # enrolled once more with the same key: nothing changes
        await scene.says("receipt", RECEIPT, 7, slot=1)
        assert scene.account.duplicates == 1

    play(scenario)


def test_messages_to_a_terminal_go_one_at_a_time_each_until_its_receipt(play: Any) -> None:
    async def scenario(scene: Scene) -> None:
        async with scene.connected():
            first = await scene.acquirer.order("T1", action="suspend", reason="maintenance")
            second = await scene.acquirer.order("T1", action="lift", reason="maintenance")
            assert [order.id for order in scene.account.outgoing] == [first, second]
            assert [claims.text("action") for claims in scene.sent()] == ["suspend"]
            await scene.says("receipt", RECEIPT, 1)  # of something else
            assert len(scene.wire.sent) == 1
            await scene.receipt(first, 2)
            assert [claims.text("action") for claims in scene.sent()] == ["suspend", "lift"]
            assert [order.id for order in scene.account.outgoing] == [second]
            receipt = scene.account.receipt_of(first)
            assert receipt is not None and receipt["of"] == scene.acquirer.registry.order(first).name
            assert scene.account.receipt_of(second) is None
            assert scene.account.last_sent == scene.wire.sent[-1]
            assert [claims.sequence for claims in scene.sent()] == [1, 2]

    play(scenario)


def test_what_was_queued_without_a_connection_is_sent_with_the_next_one(play: Any) -> None:
    async def scenario(scene: Scene) -> None:
        order = await scene.acquirer.order("T1", action="self_test")
        assert scene.account.outgoing[0].message == b""
        async with scene.connected():
            async with asyncio.timeout(LIMIT_S):
                while not scene.wire.sent:
                    await asyncio.sleep(0)
        assert scene.acquirer.registry.order(order).message == scene.wire.sent[0][1]

    play(scenario)


def test_an_order_is_sent_again_with_a_new_connection_of_the_terminal_and_after_some_time_byte_for_byte(play: Any) -> None:
    async def scenario(scene: Scene) -> None:
        async with scene.connected():
            await scene.says("state", state("online", 1), 1)
            await scene.acquirer.order("T1", action="self_test")
            await scene.says("state", state("online", 1), 2)  # the same connection
            assert len(scene.wire.sent) == 1
            await scene.says("state", state("online", 3), 3)
            assert len(scene.wire.sent) == 2
            assert scene.acquirer.registry.due(scene.now_s) == []
            assert scene.acquirer.registry.due(scene.now_s + 1) == ["T1"]
            await scene.says("state", state("lost", 3), 4)
            assert scene.acquirer.registry.due(scene.now_s + 1) == []  # the broker keeps it
            assert len(set(scene.wire.sent)) == 1

    play(scenario)


def test_a_publication_that_fails_is_made_up_for(play: Any) -> None:
    async def scenario(scene: Scene) -> None:
        async with scene.connected():
            await scene.says("state", state("online", 1), 1)
            scene.wire.refuses = True
            await scene.acquirer.order("T1", action="self_test")
            assert not scene.wire.sent
            scene.wire.refuses = False
            scene.now_s += RESEND_S + 1
            async with asyncio.timeout(LIMIT_S):
                while not scene.wire.sent:
                    await asyncio.sleep(0.01)

    play(scenario)


def test_an_order_that_a_wrong_clock_took_for_expired_is_sent_anew_once_and_then_when_that_is_set(play: Any) -> None:
    async def scenario(scene: Scene) -> None:
        async with scene.connected():
            first = await scene.acquirer.order("T1", action="suspend", reason="maintenance")
            await scene.acquirer.order("T1", action="lift", reason="maintenance")
            scene.now_s += 3600
            await scene.receipt(first, 1, "expired")
            suspend, again = scene.sent()
            assert again.body == suspend.body and again.sequence > suspend.sequence
            assert again.expires == suspend.expires + 3600
            assert scene.account.receipt_of(first) is None
            await scene.receipt(first, 2, "expired")
            assert len(scene.wire.sent) == 2 and scene.account.receipt_of(first) is None  # its clock is to be set first
            await scene.says("inquiry", {"nonce": b"12345678"}, 3)
            answer = next(order for order in scene.account.outgoing if order.kind == "answer")
            await scene.receipt(answer.id, 4)
            await scene.receipt(first, 5)
            assert [claims.text("action") for claims in scene.sent()] == ["suspend", "suspend", "", "suspend", "lift"]
            sequences = [claims.sequence for claims in scene.sent()]
            assert sequences == sorted(set(sequences))

    play(scenario)


def test_an_order_that_has_expired_is_not_sent_anew(play: Any) -> None:
    async def scenario(scene: Scene) -> None:
        async with scene.connected():
            order = await scene.acquirer.order("T1", action="self_test")
            scene.now_s += ORDER_LIFETIME_S
            await scene.receipt(order, 1, "expired")
            assert len(scene.wire.sent) == 1 and not scene.account.outgoing

    play(scenario)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("event", {"name": "storage_works"}),
        ("events", {"events": [["signed_on", "", 0, 1], ["storage_works", "", 0, 1]]}),
        ("state", state("online", 9)),  # it has started anew, perhaps
    ],
)
def test_what_could_not_be_kept_is_sent_anew_when_the_storage_works_and_answers_do_not_wait_for_it(kind: str, body: Any, play: Any) -> None:
    async def scenario(scene: Scene) -> None:
        async with scene.connected():
            await scene.says("state", state("online", 1), 1)
            first = await scene.acquirer.order("T1", action="suspend", reason="maintenance")
            await scene.acquirer.order("T1", action="lift", reason="maintenance")
            await scene.receipt(first, 2, "not_kept")
            assert len(scene.wire.sent) == 1
            await scene.says("inquiry", {"nonce": b"12345678"}, 3)
            assert [claims.kind.name for claims in scene.sent()] == ["order", "answer"]
            await scene.receipt(scene.account.outgoing[-1].id, 4)  # a terminal that has its answer may take more than before
            assert [claims.text("action") for claims in scene.sent()] == ["suspend", "", "suspend"]
            await scene.receipt(first, 5, "not_kept")
            assert len(scene.wire.sent) == 3
            await scene.says(kind, body, 6)
            assert [claims.text("action") for claims in scene.sent()] == ["suspend", "", "suspend", "suspend"]
            sequences = [claims.sequence for claims in scene.sent()]
            assert sequences == sorted(set(sequences))

    play(scenario)


def test_that_the_storage_works_may_be_heard_before_that_it_did_not(play: Any) -> None:
    async def scenario(scene: Scene) -> None:
        async with scene.connected():
            order = await scene.acquirer.order("T1", action="self_test")
            await scene.says("event", {"name": "storage_works"}, 3)
            await scene.receipt(order, 2, "not_kept")
            assert len(scene.wire.sent) == 2

    play(scenario)


def test_an_inquiry_is_answered_by_its_nonce_and_once(play: Any) -> None:
    async def scenario(scene: Scene) -> None:
        async with scene.connected():
            for _ in range(2):
                await scene.says("inquiry", {"nonce": b"12345678"}, 1)
            ((where, _),) = scene.wire.sent
            (claims,) = scene.sent()
            assert where == topic("acq", "T1", "answer")
            assert (claims.octets("nonce"), claims.issued_at, claims.subject) == (b"12345678", NOW_S, "T1")

    play(scenario)


def test_only_the_latest_of_many_inquiries_is_answered_and_no_order_gives_way_to_one(play: Any) -> None:
    async def scenario(scene: Scene) -> None:
        async with scene.connected():
            await scene.acquirer.order("T1", action="suspend", reason="maintenance")  # in flight
            await scene.says("inquiry", {"nonce": b"0"}, 1)
            await scene.acquirer.order("T1", action="lift", reason="maintenance")
            for number in range(1, 5):
                await scene.says("inquiry", {"nonce": bytes([number])}, 1 + number)
            assert [order.kind for order in scene.account.outgoing] == ["order", "order", "answer"]
            assert scene.account.outgoing[-1].body["nonce"] == bytes([4])

    play(scenario)


def test_an_acquirer_that_hangs_sends_nothing_until_it_goes_on(play: Any) -> None:
    async def scenario(scene: Scene) -> None:
        async with scene.connected():
            scene.acquirer.hang(True)
            await scene.acquirer.order("T1", action="self_test")
            assert scene.account.last_sent is None
            scene.acquirer.hang(False)
            await scene.acquirer.order("T1", action="self_test")
            assert len(scene.account.outgoing) == 2 and len(scene.wire.sent) == 1

    play(scenario)


def test_events_of_a_batch_are_accounted_for_like_those_that_came_at_once(play: Any) -> None:
    async def scenario(scene: Scene) -> None:
        await scene.says("event", {"name": "tamper", "detail": "lid"}, 1)
        await scene.says("events", {"events": [["signed_on", "Chen", NOW_S, 1], ["signed_on", "Li", 0, 3]]}, 2)
        assert [(event["name"], event["detail"], event.get("times")) for event in scene.account.events] == [
            ("tamper", "lid", None),
            ("signed_on", "Chen", 1),
            ("signed_on", "Li", 3),
        ]

    play(scenario)


SUMMARY = {
    "number": 2,
    "reasons": [[6, 0, NOW_S, 0, "", "C-1"], [99, 0]],
    "since": NOW_S,
    "until": NOW_S + 7200,
    "duration_s": 7200,
    "steps": [[0, NOW_S, 6], [1], [99], [17, NOW_S + 7200]],
    "tests": [["print", 2, "pass", NOW_S]],
    "people": [[0, "T-0042"], [1, "7"]],
    "advice": [6],
    "whole": False,
    "back": True,
}


def test_the_summary_of_a_suspension_is_kept_and_told_in_one_line_whatever_a_newer_terminal_tells(play: Any) -> None:
    async def scenario(scene: Scene) -> None:
        await scene.says("summary", SUMMARY, 1)
        await scene.says("summary", SUMMARY, 1)
        assert scene.account.summaries == [SUMMARY]
        assert summary("summary", SUMMARY) == (
            "summary of suspension 2: violation, #99; back after 7200 s; steps suspended, recovery_started, #99, back; "
            "tests pass print; people technician T-0042, staff 7; the log has gaps"
        )
        strange = SUMMARY | {"reasons": [], "steps": ["x"], "tests": [5], "people": [[]], "back": False}
        del strange["duration_s"]
        assert summary("summary", strange) == "summary of suspension 2: ; goes on; steps 'x'; the log has gaps"

    play(scenario)


def audit(count: int, head: int, kept: int | None = None) -> dict[str, Any]:
    return {"count": count, "head": bytes([head]) * 32} | ({} if kept is None else {"kept": bytes([kept]) * 32})


def test_the_head_of_a_terminals_evidence_log_is_kept_and_it_is_told_so(play: Any) -> None:
    async def scenario(scene: Scene) -> None:
        async with scene.connected():
            await scene.says("audit", audit(16, 1), 1)
            assert scene.account.evidence == (16, bytes([1]) * 32)
            (audited,) = scene.sent()
            assert (audited.kind.name, audited.body) == ("audited", audit(16, 1))
            assert not scene.acquirer.registry.alarms()

    play(scenario)


@pytest.mark.parametrize(("body", "alarm"), [(audit(15, 2), "evidence_went_back"), (audit(16, 2), "evidence_forked")])
def test_a_log_that_goes_back_or_has_another_head_for_its_count_is_an_alarm_that_is_kept_and_told(body: Any, alarm: str, play: Any) -> None:
    async def scenario(scene: Scene) -> None:
        await scene.says("audit", audit(16, 1), 1)
        await scene.says("audit", body, 2)
        (kept,) = scene.acquirer.registry.alarms()
        assert (kept.terminal, kept.at, kept.name) == ("T1", NOW_S, alarm)
        assert any(f"T1: ALARM {alarm}: " in line for line in scene.told)
        assert scene.account.evidence == (16, bytes([1]) * 32)  # what was kept stays

    play(scenario)


@pytest.mark.parametrize("kept", [None, 2])
@pytest.mark.parametrize("sequence", [1, 2])  # 1: as the message before; an earlier copy of a terminal's memory uses sequences again
def test_a_longer_log_that_does_not_go_on_from_what_is_kept_is_not_believed_and_is_told_what_is_kept(
    kept: int | None, sequence: int, play: Any
) -> None:
    async def scenario(scene: Scene) -> None:
        async with scene.connected():
            await scene.says("audit", audit(16, 1), 1)
            await scene.says("audit", audit(40, 3, kept), sequence)
            assert scene.account.evidence == (16, bytes([1]) * 32) and not scene.acquirer.registry.alarms()
            assert scene.sent()[-1].body == audit(16, 1)
            await scene.says("audit", audit(41, 4, 1), 3)
            assert scene.account.evidence == (41, bytes([4]) * 32)

    play(scenario)


def test_an_audit_that_was_told_earlier_and_comes_later_is_no_alarm(play: Any) -> None:
    async def scenario(scene: Scene) -> None:
        await scene.says("audit", audit(16, 1), 5)
        await scene.says("audit", audit(8, 2), 4)
        assert not scene.acquirer.registry.alarms() and scene.account.evidence[0] == 16

    play(scenario)


def test_a_registry_that_does_not_answer_keeps_nothing_and_raises(play: Any) -> None:
    async def scenario(scene: Scene) -> None:
        message = await scene.message("receipt", RECEIPT, 1)
        with scene.acquirer.registry.engine.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE messages RENAME TO gone")
        with pytest.raises(SQLAlchemyError):
            await scene.acquirer.handle(message)
        with scene.acquirer.registry.engine.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE gone RENAME TO messages")
        await scene.acquirer.handle(message)  # the broker, which got no acknowledgement, delivers it again
        assert len(scene.account.receipts) == 1

    play(scenario)


def test_forgeries_do_not_fill_the_memory_or_the_registry(play: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("host_sim.acquirer.acquirer.MOST_REFUSED", 3)

    async def scenario(scene: Scene) -> None:
        for number in range(5):
            await scene.acquirer.handle(Message(topic("acq", f"T{number + 2}", "event"), b"", False, False, None))
        assert [where for where, _ in scene.acquirer.refused] == [topic("acq", f"T{number}", "event") for number in (4, 5, 6)]
        assert scene.acquirer.verified == 0 and list(scene.acquirer.accounts) == ["T1"]

    play(scenario)


def test_a_message_is_acknowledged_after_it_was_kept_and_not_where_it_could_not_be(play: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("host_sim.acquirer.acquirer.RECONNECT_S", 0.01)

    async def scenario(scene: Scene) -> None:
        kept_then: list[int] = []
        acknowledge = scene.wire.acknowledge

        async def counted(message: Message) -> None:
            kept_then.append(scene.acquirer.verified)
            await acknowledge(message)

        scene.wire.acknowledge = counted  # type: ignore[method-assign]
        async with scene.connected():
            with scene.acquirer.registry.engine.begin() as connection:
                connection.exec_driver_sql("ALTER TABLE messages RENAME TO gone")
            scene.wire.arriving = [await scene.message("receipt", RECEIPT, number) for number in (1, 2)]
            async with asyncio.timeout(LIMIT_S):
                while len(scene.told) < 2:  # tried twice, with a new connection
                    await asyncio.sleep(0.01)
            assert all(line.startswith("registry ") for line in scene.told) and not scene.wire.acknowledged
            with scene.acquirer.registry.engine.begin() as connection:
                connection.exec_driver_sql("ALTER TABLE gone RENAME TO messages")
            async with asyncio.timeout(LIMIT_S):
                while len(scene.wire.acknowledged) < 2:
                    await asyncio.sleep(0.01)
            assert kept_then == [1, 2]

    play(scenario)


def test_whoever_asks_for_a_review_is_told_anew_where_it_stands_and_nobody_else(play: Any) -> None:
    async def scenario(scene: Scene) -> None:
        async with scene.connected():
            await scene.says("event", {"name": "review_asked", "detail": "1"}, 1)
            await scene.says("event", {"name": "review_asked", "detail": "all of them"}, 2)
            assert scene.sent() == [], "there is no such application"
            await scene.says("application", {"application": 1, "purpose": "reactivation", "reasons": [[6]]}, 3)
            await scene.says("event", {"name": "review_asked", "detail": "1"}, 4)
            await scene.says("event", {"name": "review_asked", "detail": "1"}, 5)
            assert [(claims.number("application"), claims.text("status")) for claims in scene.sent()] == [(1, "received")]
            await scene.receipt(scene.account.outgoing[-1].id, 6)
            answer = await scene.acquirer.answer("T1", 1, "more_needed", "licence")
            await scene.receipt(answer, 7)
            await scene.says("events", {"events": [["review_asked", "1", 0, 2]]}, 8)
            assert [claims.text("remark") for claims in scene.sent()] == ["", "licence", "licence"]

    play(scenario)


def test_an_appeal_is_told_with_whom_it_goes_to_and_what_lies_ready(play: Any) -> None:
    async def scenario(scene: Scene) -> None:
        body = {"application": 3, "purpose": "appeal", "reasons": [[6]], "level": 2, "materials": [1, 9, "x", 10]}
        await scene.says("application", body, 1)
        assert "T1: verified application 3 for appeal to his superior, at hand: M1 M9 M10" in scene.told
        await scene.says("application", body | {"level": 7, "application": 4}, 2)
        assert any("for appeal to #7" in line for line in scene.told)

    play(scenario)
