"""The courier: what is queued arrives in order however often the link is lost, what arrives is never acknowledged before it is safe,
and a broker that is away or throws the terminal out is not stormed.
"""

import asyncio

from firmware_agent.links.link import LinkError, Message
from firmware_agent.messages.cbor import decode
from firmware_agent.messages.cose import parse
from firmware_agent.messages.courier import (
    BACK_OFF_MAX_MS,
    BACK_OFF_MIN_MS,
    CONNECT_TIMEOUT_MS,
    GOOD_CONNECTION_MS,
    IDLE_MS,
    NETWORK_LOOK_MS,
    Courier,
)
from firmware_agent.messages.outbox import Outbox
from firmware_agent.messages.schema import Claims, down_topics
from firmware_agent.store import StoreError
from hal.errors import E_FAILURE, DeviceError
from tests.core.parts import Flash, Time
from tests.core.support import raises_in
from tests.core.terminal_parts import ACQUIRER, TERMINAL, boot, identity, provisioned


class Broker:
    """What a broker does to the links of one terminal. Each wish below may be set while it runs."""

    def __init__(self, time):
        self.time = time
        self.links = []
        self.delivered = []  # (name, sequence or detail, retained) of what was published and acknowledged
        self.inbox = []  # payloads not acknowledged by the terminal yet: delivered again after each new connection
        self.events = []  # (at_ms, what)
        self.connect_error = None
        self.connect_ms = 10
        self.subscribe_ms = 0
        self.publish_ms = 1
        self.fail_publish = []  # of each publication to come: None, or the LinkError that it ends with after it arrived
        self.heard = lambda claims: None  # told of each message that is published and acknowledged
        self.keeps_ms = None  # a connection is ended so long after it was made

    def happened(self, what):
        self.events.append((self.time.now_ms, what))

    def at(self, what):
        return [at_ms for at_ms, happened in self.events if happened == what]

    def lose(self):
        self.links[-1].end(LinkError("E_OFFLINE", "lost"))

    def bring(self, payload):
        self.inbox.append(payload)
        self.links[-1].changed.set()


class FakeLink:
    """Keeps the contract of firmware_agent.links.link towards a Broker."""

    def __init__(self, broker, certificate):
        self.broker = broker
        self.certificate = certificate
        self.connected = False
        self.subscribed = []
        self.will = None
        self.given = []
        self.error = LinkError("E_OFFLINE", "not connected")
        self.changed = asyncio.Event()
        broker.links.append(self)

    def end(self, error):
        if self.connected:
            self.connected = False
            self.error = error
            self.changed.set()
            self.broker.happened("lost")

    def require(self):
        if not self.connected:
            raise self.error.fresh()

    async def connect(self, timeout_ms, will=None):
        broker = self.broker
        broker.happened("connect")
        assert timeout_ms == CONNECT_TIMEOUT_MS
        await broker.time.sleep_ms(min(broker.connect_ms, timeout_ms))
        if broker.connect_error is not None:
            broker.happened("failed")
            raise broker.connect_error.fresh()
        self.will = will
        self.connected = True
        if broker.keeps_ms is not None:
            self.kicker = asyncio.create_task(self.kick(broker.keeps_ms))
        return False

    async def kick(self, after_ms):
        await self.broker.time.sleep_ms(after_ms)
        self.end(LinkError("E_OFFLINE", "thrown out"))

    async def subscribe(self, topic, timeout_ms):
        self.require()
        await self.broker.time.sleep_ms(min(self.broker.subscribe_ms, timeout_ms))
        if self.broker.subscribe_ms > timeout_ms:
            self.end(LinkError("E_TIMEOUT", "no answer"))
        self.require()
        self.subscribed.append(topic)

    async def publish(self, topic, payload, retain, timeout_ms):
        self.require()
        await self.broker.time.sleep_ms(self.broker.publish_ms)
        self.require()
        error = self.broker.fail_publish.pop(0) if self.broker.fail_publish else None
        if error is not None:
            if error.code != "E_REFUSED":
                self.end(error)
            raise error.fresh()
        claims = Claims.from_map(decode(parse(payload).payload))
        assert topic.split("/")[2:4] == [ACQUIRER, TERMINAL]
        self.broker.delivered.append((claims.kind.name, claims.text("detail") or claims.sequence, retain))
        self.broker.heard(claims)

    async def receive(self):
        while True:
            for payload in self.broker.inbox:
                if payload not in self.given:
                    self.given.append(payload)
                    return Message("topic", payload, False, False, payload)
            self.require()
            self.changed.clear()
            await self.changed.wait()

    async def acknowledge(self, message):
        self.require()
        self.broker.happened("acknowledged " + message.token)
        self.broker.inbox.remove(message.token)

    async def disconnect(self):
        if self.connected:
            self.end(LinkError("E_OFFLINE", "disconnected"))
            self.broker.happened("disconnected")


class Network:
    def __init__(self, joined):
        self.joined = joined

    def is_connected(self):
        return self.joined


def drawing(drawn):
    """As `random` of a secure element that always draws the same."""

    async def random(length):
        return drawn

    return random


class Scene:
    """A terminal with its courier and its broker, run by `play`."""

    def __init__(self, is_set=True):
        self.time = Time()
        self.flash = Flash()
        provisioned(self.flash)
        self.terminal = boot(self.flash, self.time, is_set)
        asyncio.run(self.terminal.hal.secure_element.generate_key(0))
        for key in self.terminal.outbox.waiting():
            self.terminal.outbox.remove(key)
        self.terminal.hal.secure_element.random = drawing(bytes(4))  # the shortest of each spread
        self.broker = Broker(self.time)
        self.arrived = []
        self.look_up_ms = 0
        self.resolve_error = None
        self.courier = Courier(self.terminal, self.make_link, self.arrive)

    async def make_link(self):
        await self.time.sleep_ms(self.look_up_ms)
        if self.resolve_error is not None:
            raise self.resolve_error.fresh()
        return FakeLink(self.broker, self.terminal.identity.certificate)

    async def arrive(self, message):
        self.arrived.append(message.payload)

    def queue(self, *details):
        for detail in details:
            self.terminal.send("event", {"name": "sign_on_refused", "detail": detail})

    def details(self):
        """What arrived at the broker, but for states."""
        return [detail for name, detail, _ in self.broker.delivered if name == "event"]

    async def for_ms(self, duration_ms):
        await self.time.sleep_ms(duration_ms)

    def play(self, program):
        """Run the courier while `program` does."""

        async def both():
            courier = asyncio.create_task(self.courier.run())
            try:
                await program
                assert not courier.done(), "the courier ended"
            finally:
                courier.cancel()
                try:
                    await courier
                except asyncio.CancelledError:
                    pass

        self.time.run(both())


def gaps(scene):
    """Between the end of each attempt and the next, in ms."""
    ends = scene.broker.at("failed") or scene.broker.at("lost")
    return [begin - end for end, begin in zip(ends, scene.broker.at("connect")[1:])]


def steps():
    step_ms = BACK_OFF_MIN_MS
    while True:
        yield step_ms
        step_ms = min(2 * step_ms, BACK_OFF_MAX_MS)


def test_what_is_queued_is_delivered_in_order_and_then_gone():
    scene = Scene()
    scene.queue("1", "2", "3")

    async def program():
        await scene.for_ms(500)
        scene.queue("4")
        await scene.for_ms(500)

    scene.play(program())
    assert scene.details() == ["1", "2", "3", "4"]
    assert scene.terminal.outbox.waiting() == []
    assert scene.broker.links[0].subscribed == down_topics(ACQUIRER, TERMINAL)
    assert [(name, retain) for name, _, retain in scene.broker.delivered] == [("event", False)] * 3 + [("state", True), ("event", False)]


def test_what_the_broker_has_not_acknowledged_is_kept_and_sent_again():
    scene = Scene()
    scene.queue("1", "2", "3")
    scene.broker.fail_publish = [None, LinkError("E_TIMEOUT", "no acknowledgement")]

    async def program():
        await scene.for_ms(200)
        assert scene.details() == ["1"]
        assert scene.terminal.outbox.message(scene.terminal.outbox.waiting()[0]).text("detail") == "2"
        await scene.for_ms(5000)

    scene.play(program())
    assert scene.details() == ["1", "2", "3"]


def test_what_waits_survives_a_boot():
    scene = Scene()
    scene.queue("1", "2")
    scene.terminal = boot(scene.flash, scene.time)
    scene.courier = Courier(scene.terminal, scene.make_link, scene.arrive)
    scene.play(scene.for_ms(500))
    assert scene.details() == ["1", "2"]


def test_a_lost_link_is_noticed_with_nothing_to_send():
    scene = Scene()

    async def program():
        await scene.for_ms(1000)
        assert scene.terminal.online
        scene.broker.lose()
        await scene.for_ms(2 * IDLE_MS)
        assert not scene.terminal.online
        await scene.for_ms(5000)
        assert scene.terminal.online

    scene.play(program())
    assert len(scene.broker.links) == 2
    assert all([link.subscribed == down_topics(ACQUIRER, TERMINAL) for link in scene.broker.links])


def test_back_off_grows_from_the_end_of_each_attempt():
    scene = Scene()
    scene.broker.connect_error = LinkError("E_OFFLINE", "nobody listens")
    scene.broker.connect_ms = CONNECT_TIMEOUT_MS  # an attempt takes longer than the first steps
    scene.play(scene.for_ms(1200000))
    found = gaps(scene)
    assert len(found) > 10 and found[-1] == BACK_OFF_MAX_MS // 2
    for gap_ms, step_ms in zip(found, steps()):
        assert gap_ms == step_ms // 2


def test_back_off_is_spread_over_half_to_all_of_a_step():
    found = []
    for drawn in (b"\x00\x00\x00\x00", b"\x00\x00\x00\x64", b"\x00\x00\x01\x90"):
        scene = Scene()
        scene.terminal.hal.secure_element.random = drawing(drawn)
        scene.broker.connect_error = LinkError("E_OFFLINE", "nobody listens")
        scene.play(scene.for_ms(3000))
        found.append(gaps(scene)[0])
    assert found == [500, 600, 900]


def test_a_broker_that_throws_the_terminal_out_does_not_reset_the_back_off():
    scene = Scene()
    scene.broker.keeps_ms = GOOD_CONNECTION_MS - 1000
    scene.play(scene.for_ms(900000))
    found = gaps(scene)
    assert len(found) >= 7
    for gap_ms, step_ms in zip(found, steps()):
        assert step_ms // 2 <= gap_ms <= step_ms // 2 + IDLE_MS


def test_an_attempt_that_failed_slowly_does_not_reset_the_back_off():
    scene = Scene()
    scene.broker.connect_ms = CONNECT_TIMEOUT_MS - 1
    scene.broker.subscribe_ms = 10**6  # connected, but no subscription is ever answered: more than 30 s in all
    scene.play(scene.for_ms(900000))
    found = gaps(scene)
    assert len(found) >= 7
    for gap_ms, step_ms in zip(found, steps()):
        assert gap_ms == step_ms // 2


def test_a_good_connection_resets_the_back_off():
    scene = Scene()
    scene.broker.connect_error = LinkError("E_OFFLINE", "nobody listens")

    async def program():
        await scene.for_ms(300000)
        scene.broker.connect_error = None
        await scene.for_ms(BACK_OFF_MAX_MS + GOOD_CONNECTION_MS + 1000)
        assert scene.terminal.online
        scene.broker.lose()
        links = len(scene.broker.links)
        await scene.for_ms(BACK_OFF_MIN_MS // 2 + IDLE_MS)
        assert len(scene.broker.links) == links + 1

    scene.play(program())


def test_states_of_connections_that_brought_nothing_do_not_fill_the_outbox():
    scene = Scene()
    scene.terminal.outbox = Outbox(scene.terminal.store, TERMINAL, 1, capacity=3)
    scene.queue("1", "2")
    scene.broker.publish_ms = 500
    scene.broker.keeps_ms = 200

    async def program():
        await scene.for_ms(600000)
        assert len(scene.broker.links) > 6 and scene.broker.delivered == []
        scene.broker.keeps_ms = None
        await scene.for_ms(BACK_OFF_MAX_MS + 3000)

    scene.play(program())
    assert scene.details() == ["1", "2"] and scene.terminal.outbox.dropped == 0
    assert [name for name, _, _ in scene.broker.delivered] == ["event", "event", "state"]


def test_the_will_and_the_state_carry_the_number_of_their_connection():
    scene = Scene()
    wills = []
    numbers = []

    async def program():
        for _ in range(3):
            await scene.for_ms(3000)
            wills.append(scene.broker.links[-1].will)
            numbers.append(scene.terminal.connection)
            scene.broker.lose()

    scene.play(program())
    assert numbers[0] < numbers[1] < numbers[2]
    for (topic, payload, retain), number in zip(wills, numbers):
        claims = Claims.from_map(decode(parse(payload).payload))
        assert topic == "poi/v1/acq1/T0000001/state" and retain is True
        assert claims.sequence == number == claims.number("connection")
        assert claims.text("link") == "lost" and claims.boot_count == 1
    births = [sequence for name, sequence, _ in scene.broker.delivered if name == "state"]
    assert len(births) == 3
    for birth, number, following in zip(births, numbers, numbers[1:] + [10**12]):
        assert number < birth < following  # so that a late will never wins over a newer birth


def test_a_message_is_acknowledged_after_it_was_handled():
    scene = Scene()

    async def slowly(message):
        await scene.for_ms(300)
        scene.broker.happened("handled " + message.payload)

    scene.courier = Courier(scene.terminal, scene.make_link, slowly)

    async def program():
        await scene.for_ms(100)
        scene.broker.bring("a")
        scene.broker.bring("b")
        await scene.for_ms(1000)

    scene.play(program())
    words = [what for _, what in scene.broker.events if what.startswith("handled") or what.startswith("acknowledged")]
    assert words == ["handled a", "acknowledged a", "handled b", "acknowledged b"]


def test_a_message_that_could_not_be_kept_is_not_acknowledged_and_comes_again():
    for error in (StoreError("medium", "full"), DeviceError(E_FAILURE, "secure_element", "no answer")):
        scene = Scene()
        errors = [error, None]

        async def fails_once(message, scene=scene, errors=errors):
            failure = errors.pop(0)
            if failure is not None:
                raise failure
            scene.arrived.append(message.payload)

        scene.courier = Courier(scene.terminal, scene.make_link, fails_once)

        async def program(scene=scene):
            await scene.for_ms(100)
            scene.broker.bring("order")
            await scene.for_ms(2 * IDLE_MS)
            assert scene.broker.inbox == ["order"] and not scene.terminal.online
            await scene.for_ms(5000)

        scene.play(program())
        assert scene.arrived == ["order"] and scene.broker.inbox == []
        assert len(scene.broker.links) == 2


def test_a_link_that_is_lost_while_a_message_is_handled_brings_it_again():
    scene = Scene()
    begun = []

    async def slowly(message):
        begun.append(message.payload)
        await scene.for_ms(300)
        scene.arrived.append(message.payload)

    scene.courier = Courier(scene.terminal, scene.make_link, slowly)

    async def program():
        await scene.for_ms(100)
        scene.broker.bring("order")
        await scene.for_ms(50)
        scene.queue("a reason to notice")
        scene.broker.lose()
        await scene.for_ms(5000)

    scene.play(program())
    assert begun == ["order", "order"] and scene.broker.inbox == []
    assert scene.arrived == ["order"]  # the first was given up with its connection


def test_a_new_identity_is_used_as_soon_as_nothing_is_in_flight():
    scene = Scene()
    new = identity()
    new.certificate = b"new certificate"

    async def program():
        await scene.for_ms(500)
        scene.broker.publish_ms = 100
        scene.queue("1", "2", "3")
        scene.terminal.identity = new
        scene.courier.renew()
        scene.queue("4")
        await scene.for_ms(250)
        assert len(scene.broker.links) == 1  # the old connection first delivers what waits
        await scene.for_ms(2000)

    scene.play(program())
    assert scene.details() == ["1", "2", "3", "4"]
    assert [link.certificate for link in scene.broker.links] == [b"certificate", b"new certificate"]
    (renewed_ms,) = scene.broker.at("disconnected")[:1]
    assert scene.broker.at("connect")[1] - renewed_ms <= IDLE_MS  # in order, and without a back-off


def test_an_entry_that_cannot_be_sent_is_given_up_and_does_not_hold_up_the_others():
    scene = Scene()
    scene.queue("1", "2", "3", "4")
    keys = scene.terminal.outbox.waiting()
    scene.terminal.store.put(keys[1], b"\xff")  # as if another version had queued it
    scene.broker.fail_publish = [None, LinkError("E_REFUSED", "payload of 5000 bytes, at most 4096")]
    scene.play(scene.for_ms(1000))
    assert scene.details() == ["1", "4"]
    assert scene.terminal.outbox.dropped == 2 and len(scene.broker.links) == 1


def test_a_broker_that_refuses_the_terminal_costs_no_message():
    scene = Scene()
    scene.queue("1")
    refused = LinkError("E_REFUSED", "not authorized")
    scene.broker.connect_error = refused

    async def program():
        await scene.for_ms(10000)
        scene.broker.connect_error = None
        scene.broker.publish_ms = 100
        await scene.for_ms(20)
        while not scene.broker.links[-1].connected:
            await scene.for_ms(10)
        await scene.for_ms(50)
        scene.broker.links[-1].end(refused)  # in the middle of the publication
        await scene.for_ms(60000)

    scene.play(program())
    assert scene.details() == ["1"] and scene.terminal.outbox.dropped == 0


def test_what_gives_way_while_the_oldest_is_being_sent_does_no_harm():
    scene = Scene()
    scene.terminal.outbox = Outbox(scene.terminal.store, TERMINAL, 1, capacity=4)
    scene.queue("1", "2", "3")
    scene.broker.publish_ms = 1000

    async def program():
        await scene.for_ms(500)  # '1' is under way
        scene.queue("4", "5", "6", "7")
        await scene.for_ms(20000)

    scene.play(program())
    assert scene.details() == ["1", "4", "5", "6", "7"]


def test_without_a_network_the_broker_is_not_looked_for():
    scene = Scene()
    scene.terminal.hal.network = Network(False)

    async def program():
        await scene.for_ms(60000)
        assert scene.broker.links == []
        scene.terminal.hal.network.joined = True
        await scene.for_ms(NETWORK_LOOK_MS + 100)
        assert scene.terminal.online

    scene.play(program())


def test_an_element_that_fails_is_tried_again():
    scene = Scene()
    scene.queue("1")
    element = scene.terminal.hal.secure_element
    sign = element.sign
    left = [3]

    async def glitch(slot, digest):
        left[0] -= 1
        if left[0] == 0:
            raise DeviceError(E_FAILURE, "secure_element", "no answer")
        return await sign(slot, digest)

    element.sign = glitch

    async def program():
        await scene.for_ms(60000)

    scene.play(program())
    assert left[0] < 0 and scene.details() == ["1"]


def test_a_terminal_that_is_switched_off_in_order_leaves_no_will():
    scene = Scene()
    scene.play(scene.for_ms(1000))
    assert scene.broker.at("disconnected") == [1000]


def test_why_the_last_connection_failed_is_kept_for_the_screen():
    scene = Scene()
    scene.broker.connect_error = LinkError("E_TLS", "not yet valid", "date")

    async def program():
        await scene.for_ms(3000)
        assert scene.terminal.link_cause == "date" and not scene.terminal.online
        scene.broker.connect_error = LinkError("E_OFFLINE", "closed")
        await scene.for_ms(60000)
        assert scene.terminal.link_cause == ""

    scene.play(program())


def test_a_name_without_an_address_fails_as_a_connection_does():
    scene = Scene()
    scene.queue("1")
    scene.resolve_error = LinkError("E_RESOLVE", "no such name")

    async def program():
        error = await scene.courier.attempt(1000)
        assert error.code == "E_RESOLVE" and scene.broker.links == []
        scene.resolve_error = None
        await scene.for_ms(5000)

    scene.play(program())
    assert scene.details() == ["1"]


def test_an_attempt_that_is_asked_for_ends_the_back_off_once_and_does_not_shorten_the_next_ones():
    scene = Scene()
    scene.broker.connect_error = LinkError("E_OFFLINE", "nobody listens", "refused")

    async def program():
        await scene.for_ms(300000)  # the back-off is at its longest
        last_ms = scene.broker.at("failed")[-1]
        assert scene.time.now_ms - last_ms > 100 and last_ms + BACK_OFF_MAX_MS // 2 - scene.time.now_ms > 100
        attempts = len(scene.broker.links)
        error = await scene.courier.attempt(10000)
        assert (error.code, error.cause) == ("E_OFFLINE", "refused")
        assert len(scene.broker.links) == attempts + 1 and scene.broker.at("failed")[-1] == scene.time.now_ms
        await scene.for_ms(BACK_OFF_MAX_MS // 2 - 100)
        assert len(scene.broker.links) == attempts + 1

    scene.play(program())


def test_the_attempt_under_way_is_the_one_that_counts():
    scene = Scene()
    scene.broker.connect_error = LinkError("E_TIMEOUT", "no answer", "broker")
    scene.broker.connect_ms = 10000

    async def program():
        await scene.for_ms(5000)
        error = await scene.courier.attempt(20000)
        assert error.cause == "broker" and scene.time.now_ms == 10000
        await scene.for_ms(BACK_OFF_MIN_MS // 2 - 100)
        assert len(scene.broker.links) == 1  # and no further one was made for it

    scene.play(program())


def test_an_attempt_tells_that_the_terminal_is_online_and_how_long_it_took():
    scene = Scene()
    scene.look_up_ms = 300
    scene.broker.connect_ms = 500

    async def program():
        assert await scene.courier.attempt(10000) is None
        assert scene.terminal.online and scene.courier.connect_ms == 800
        assert await scene.courier.attempt(10000) is None

    scene.play(program())
    assert len(scene.broker.links) == 1


def test_an_attempt_has_a_limit():
    scene = Scene()
    scene.broker.connect_ms = CONNECT_TIMEOUT_MS

    async def program():
        error = await scene.courier.attempt(1000)
        assert error.code == "E_TIMEOUT" and scene.time.now_ms == 1000

    scene.play(program())


def test_an_inquiry_overtakes_what_is_queued_and_is_never_queued_itself():
    scene = Scene()

    async def program():
        await raises_in(LinkError, scene.courier.inquire(b"12345678", 1000))
        await scene.for_ms(500)
        sent_ms = await scene.courier.inquire(b"12345678", 1000)
        assert scene.time.now_ms - sent_ms == scene.broker.publish_ms
        scene.broker.lose()
        await raises_in(LinkError, scene.courier.inquire(b"12345678", 1000))

    scene.play(program())
    assert [name for name, _, _ in scene.broker.delivered] == ["state", "inquiry"]
    assert scene.terminal.outbox.waiting() == []


def test_a_store_that_refuses_to_be_written_silences_nobody():
    """What is on flash goes first, then what waits in memory; all of it once, over connections lost and made again."""
    scene = Scene()
    scene.queue("1", "2")

    async def program():
        scene.flash.broken = True
        scene.queue("3")
        await scene.for_ms(1000)
        scene.queue("4")
        scene.broker.fail_publish = [LinkError("E_TIMEOUT", "no acknowledgement")]
        await scene.for_ms(20000)
        scene.broker.lose()
        await scene.for_ms(20000)
        scene.queue("5")
        await scene.for_ms(1000)
        scene.flash.broken = False
        scene.queue("6")
        await scene.for_ms(1000)

    scene.play(program())
    assert scene.details() == ["1", "2", "3", "4", "5", "6"]
    assert scene.terminal.outbox.waiting() == []
    assert boot(scene.flash).outbox.waiting() == []


def test_states_of_connections_that_brought_nothing_do_not_fill_the_memory_either():
    scene = Scene()
    scene.flash.broken = True
    scene.queue("1", "2")
    scene.broker.publish_ms = 500
    scene.broker.keeps_ms = 200

    async def program():
        await scene.for_ms(600000)
        assert len(scene.broker.links) > 6 and scene.broker.delivered == []
        assert len(scene.terminal.outbox.waiting()) == 3
        scene.broker.keeps_ms = None
        await scene.for_ms(BACK_OFF_MAX_MS + 3000)

    scene.play(program())
    assert scene.details() == ["1", "2"]
