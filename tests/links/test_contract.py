"""One suite for every link: what firmware_agent.links.link promises, against mosquitto with certificates and access rules."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from firmware_agent.links.link import CAUSE_AUTHORITY, CAUSE_DATE, CAUSE_NAME, CUT_PAYLOAD_BYTES, LinkError, LinkSettings, Tls
from firmware_agent.links.mqtt_paho import MqttPahoLink
from firmware_agent.messages.schema import topic
from host_sim.brokers import MosquittoBroker
from host_sim.pki import Credential, TestAuthority
from host_sim.uplink import Uplink
from tests.links.support import (
    KINDS,
    TIMEOUT_MS,
    AnyLink,
    TestClock,
    begun,
    error_of,
    filled,
    is_connected,
    link_of,
    oversized,
    send_oversized,
    settings,
    soon,
    until,
)

pytestmark = pytest.mark.needs("mosquitto")

ACQUIRER = "acme"
TERMINAL = "T1"
ORDER = topic(ACQUIRER, TERMINAL, "order")
REPORT = topic(ACQUIRER, TERMINAL, "report")
STATE = topic(ACQUIRER, TERMINAL, "state")
KEEPALIVE_S = 2
LONG_KEEPALIVE_S = 8  # paho looks once a second, which is to be little of it
SILENCE_S = 1.5 * KEEPALIVE_S  # for which a broker bears with a client, MQTT 3.1.1 section 3.1.2.10


class LoggingBroker(MosquittoBroker):
    """mosquitto that logs each packet."""

    def write_config(self) -> Path:
        config = super().write_config()
        with config.open("a") as lines:
            lines.write("log_type debug\n")
        return config


class Scene:
    """A broker, the path to it, an acquirer that is connected, and the certificates."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind = kind
        self.folder = folder
        self.authority = TestAuthority()
        self.broker = LoggingBroker(folder / "broker", self.authority, ACQUIRER)
        self.credential = self.authority.client(TERMINAL)
        self.stack = AsyncExitStack()

    async def __aenter__(self) -> Scene:
        await self.broker.start()
        self.stack.push_async_callback(self.broker.stop)
        self.uplink = Uplink(self.broker.port, self.authority)
        await self.uplink.start()
        self.stack.push_async_callback(self.uplink.stop)
        return self

    async def __aexit__(self, *reason: object) -> None:
        await self.stack.aclose()

    async def acquirer(self) -> MqttPahoLink:
        acquirer = MqttPahoLink(settings(self.broker.port, self.authority, self.authority.client(ACQUIRER)), TestClock())
        self.stack.push_async_callback(acquirer.disconnect)
        await acquirer.connect(TIMEOUT_MS)
        return acquirer

    async def terminal(
        self,
        credential: Credential | None = None,
        authority: TestAuthority | None = None,
        server_name: str = "localhost",
        keepalive_s: int = 30,
    ) -> AnyLink:
        """The link under test, not connected, through the uplink."""
        settled = settings(self.uplink.port, authority or self.authority, credential or self.credential, keepalive_s, server_name)
        return await self.stack.enter_async_context(link_of(self.kind, settled))

    def answers(self, packet: str) -> int:
        """How many packets of a kind, by its name in the standard, the broker has sent to the terminal since it was started."""
        return (self.folder / "broker" / "mosquitto.log").read_text().count(f"Sending {packet} to {TERMINAL}\n")

    async def answered(self, packet: str, before: int) -> None:
        """Wait until the broker has sent more packets of a kind than `before`: for no longer than it bears silence."""

        async def more() -> bool:
            return self.answers(packet) > before

        await until(more, SILENCE_S)

    async def pings_answered(self, count: int) -> None:
        """Wait until the broker has answered so many further pings of the terminal."""
        for _ in range(count):
            await self.answered("PINGRESP", self.answers("PINGRESP"))

    async def silence_outlived(self) -> None:
        """Wait for pings and their answers: at least three, and the last one at a time when a silent terminal would not be borne with."""
        beginning = time.monotonic()
        await self.pings_answered(3)
        while time.monotonic() - beginning <= SILENCE_S:
            await self.pings_answered(1)


@pytest.fixture(params=KINDS)
def play(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Callable[[Scene], Awaitable[None]]], None]:
    """Runs a scenario in a scene of its own."""

    def run(scenario: Callable[[Scene], Awaitable[None]]) -> None:
        async def main() -> None:
            async with Scene(request.param, tmp_path) as scene:
                await asyncio.wait_for(scenario(scene), 60)

        asyncio.run(main())

    return run


Play = Callable[[Callable[[Scene], Awaitable[None]]], None]


# Connecting.


def test_the_first_connection_has_a_new_session_and_the_next_one_finds_it_kept(play: Play) -> None:
    async def scenario(scene: Scene) -> None:
        link = await scene.terminal()
        assert not await is_connected(link)
        assert await link.connect(TIMEOUT_MS) is False
        assert await is_connected(link)
        await link.disconnect()
        assert not await is_connected(link)
        assert await link.connect(TIMEOUT_MS) is True

    play(scenario)


def test_a_broker_of_another_authority_is_refused(play: Play) -> None:
    async def scenario(scene: Scene) -> None:
        error = await error_of((await scene.terminal(authority=TestAuthority())).connect(TIMEOUT_MS))
        assert (error.code, error.cause) == ("E_TLS", "authority")

    play(scenario)


def test_a_broker_of_another_name_is_refused(play: Play) -> None:
    async def scenario(scene: Scene) -> None:
        error = await error_of((await scene.terminal(server_name="broker.example")).connect(TIMEOUT_MS))
        assert (error.code, error.cause) == ("E_TLS", "name")

    play(scenario)


def test_an_expired_certificate_of_the_broker_is_refused_for_its_date(play: Play) -> None:
    async def scenario(scene: Scene) -> None:
        broker = MosquittoBroker(scene.folder / "expired", scene.authority, ACQUIRER, scene.authority.server(days=-1))
        await broker.start()
        scene.stack.push_async_callback(broker.stop)
        scene.uplink.target_port = broker.port
        error = await error_of((await scene.terminal()).connect(TIMEOUT_MS))
        assert (error.code, error.cause) == ("E_TLS", "date")

    play(scenario)


def test_a_terminal_without_a_certificate_is_not_connected(play: Play) -> None:
    async def scenario(scene: Scene) -> None:
        tls = Tls(scene.authority.certificate_der, b"", b"", "localhost")
        link = await scene.stack.enter_async_context(link_of(scene.kind, LinkSettings("127.0.0.1", scene.uplink.port, TERMINAL, 30, tls)))
        error = await error_of(link.connect(TIMEOUT_MS))
        # How it shows is the runtime's: an alert, or a connection that ends before the CONNACK.
        assert error.code in ("E_TLS", "E_OFFLINE")
        assert not await is_connected(link)

    play(scenario)


def test_a_certificate_of_another_authority_is_not_connected(play: Play) -> None:
    async def scenario(scene: Scene) -> None:
        link = await scene.terminal(credential=TestAuthority().client(TERMINAL))
        error = await error_of(link.connect(TIMEOUT_MS))
        assert error.code in ("E_TLS", "E_OFFLINE")
        assert not await is_connected(link)

    play(scenario)


def test_a_key_that_is_none_is_a_tls_error(play: Play) -> None:
    async def scenario(scene: Scene) -> None:
        tls = Tls(scene.authority.certificate_der, scene.credential.certificate_der, b"no key", "localhost")
        link = await scene.stack.enter_async_context(link_of(scene.kind, LinkSettings("127.0.0.1", scene.uplink.port, TERMINAL, 30, tls)))
        assert (await error_of(link.connect(TIMEOUT_MS))).code == "E_TLS"

    play(scenario)


def why(error: LinkError) -> tuple[str, str]:
    return error.code, error.cause


def test_a_broker_that_is_down_behind_a_relay_is_offline(play: Play) -> None:
    async def scenario(scene: Scene) -> None:
        await scene.broker.stop()
        assert why(await error_of((await scene.terminal()).connect(TIMEOUT_MS))) == ("E_OFFLINE", "tls")

    play(scenario)


def test_a_port_on_which_nobody_listens_is_refused(play: Play) -> None:
    async def scenario(scene: Scene) -> None:
        scene.uplink.fault("port_closed")
        link = await scene.terminal()
        assert why(await error_of(link.connect(TIMEOUT_MS))) == ("E_OFFLINE", "refused")
        scene.uplink.fault("port_closed", False)
        await link.connect(TIMEOUT_MS)

    play(scenario)


def test_a_host_that_does_not_answer_is_unreachable(play: Play) -> None:
    async def scenario(scene: Scene) -> None:
        scene.uplink.fault("host_unreachable")
        link = await scene.terminal()
        assert why(await error_of(link.connect(300))) == ("E_OFFLINE", "unreachable")
        scene.uplink.fault("host_unreachable", False)
        await link.connect(TIMEOUT_MS)

    play(scenario)


def test_a_broker_that_is_silent_in_tls_and_one_that_is_silent_after_it_are_told_apart(play: Play) -> None:
    async def scenario(scene: Scene) -> None:
        link = await scene.terminal()
        scene.uplink.black_hole()
        assert why(await error_of(link.connect(500))) == ("E_TIMEOUT", "tls")
        scene.uplink.restore()
        scene.uplink.fault("broker_silent")
        assert why(await error_of(link.connect(500))) == ("E_TIMEOUT", "broker")
        scene.uplink.fault("broker_silent", False)
        await link.connect(TIMEOUT_MS)

    play(scenario)


def test_a_broker_that_refuses_says_so_in_its_answer(play: Play) -> None:
    async def scenario(scene: Scene) -> None:
        scene.uplink.fault("broker_refuses")
        assert why(await error_of((await scene.terminal()).connect(TIMEOUT_MS))) == ("E_REFUSED", "")

    play(scenario)


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        ("tls_wrong_name", CAUSE_NAME),
        ("tls_wrong_authority", CAUSE_AUTHORITY),
        ("tls_expired", CAUSE_DATE),
        ("tls_not_yet_valid", CAUSE_DATE),
    ],
)
def test_what_is_wrong_with_a_certificate_is_told(play: Play, fault: str, cause: str) -> None:
    async def scenario(scene: Scene) -> None:
        scene.uplink.fault(fault)
        link = await scene.terminal()
        assert why(await error_of(link.connect(TIMEOUT_MS))) == ("E_TLS", cause)
        scene.uplink.fault(fault, False)
        await link.connect(TIMEOUT_MS)

    play(scenario)


def test_a_host_without_an_address_is_a_resolve_error(play: Play) -> None:
    async def scenario(scene: Scene) -> None:
        link = await scene.stack.enter_async_context(link_of(scene.kind, LinkSettings("no-such-host.invalid", 8883, TERMINAL)))
        assert (await error_of(link.connect(2 * TIMEOUT_MS))).code == "E_RESOLVE"

    play(scenario)


def test_a_link_that_was_never_connected_says_so(play: Play) -> None:
    async def scenario(scene: Scene) -> None:
        link = await scene.terminal()
        assert (await error_of(link.publish(REPORT, b"", False, TIMEOUT_MS))).code == "E_OFFLINE"
        assert (await error_of(link.subscribe(ORDER, TIMEOUT_MS))).code == "E_OFFLINE"
        assert (await error_of(link.receive())).code == "E_OFFLINE"
        await link.disconnect()

    play(scenario)


# Messages.


@pytest.mark.parametrize("size", [0, 1, 100, 127, 128, 4096])
def test_a_publication_of_any_size_arrives_as_it_was_sent(play: Play, size: int) -> None:
    async def scenario(scene: Scene) -> None:
        acquirer = await scene.acquirer()
        await acquirer.subscribe(topic(ACQUIRER, "+", "report"), TIMEOUT_MS)
        link = await scene.terminal()
        await link.connect(TIMEOUT_MS)
        payload = bytes(number & 0xFF for number in range(size))
        await link.publish(REPORT, payload, False, TIMEOUT_MS)
        message = await soon(acquirer.receive())
        assert (message.topic, message.payload, message.retained) == (REPORT, payload, False)

    play(scenario)


def test_a_publication_that_is_too_large_is_refused_and_the_link_stays(play: Play) -> None:
    async def scenario(scene: Scene) -> None:
        link = await scene.terminal()
        await link.connect(TIMEOUT_MS)
        assert (await error_of(link.publish(REPORT, bytes(4097), False, TIMEOUT_MS))).code == "E_REFUSED"
        assert (await error_of(link.publish("a/+/b", b"", False, TIMEOUT_MS))).code == "E_REFUSED"
        assert (await error_of(link.subscribe("a" * 257, TIMEOUT_MS))).code == "E_REFUSED"
        await link.publish(REPORT, b"", False, TIMEOUT_MS)

    play(scenario)


def test_publications_keep_their_order_when_sent_together(play: Play) -> None:
    async def scenario(scene: Scene) -> None:
        acquirer = await scene.acquirer()
        await acquirer.subscribe(REPORT, TIMEOUT_MS)
        link = await scene.terminal()
        await link.connect(TIMEOUT_MS)
        payloads = [bytes([number]) for number in range(10)]
        await asyncio.gather(*(link.publish(REPORT, payload, False, TIMEOUT_MS) for payload in payloads))
        assert [(await soon(acquirer.receive())).payload for _ in payloads] == payloads

    play(scenario)


def test_a_retained_publication_waits_for_who_comes_later(play: Play) -> None:
    async def scenario(scene: Scene) -> None:
        link = await scene.terminal()
        await link.connect(TIMEOUT_MS)
        await link.publish(STATE, b"in_service", True, TIMEOUT_MS)
        acquirer = await scene.acquirer()
        await acquirer.subscribe(STATE, TIMEOUT_MS)
        message = await soon(acquirer.receive())
        assert (message.payload, message.retained) == (b"in_service", True)

    play(scenario)


def test_a_terminal_sees_what_is_retained_and_what_is_not(play: Play) -> None:
    async def scenario(scene: Scene) -> None:
        acquirer = await scene.acquirer()
        await acquirer.publish(ORDER, b"before", True, TIMEOUT_MS)
        link = await scene.terminal()
        await link.connect(TIMEOUT_MS)
        await link.subscribe(ORDER, TIMEOUT_MS)
        message = await soon(link.receive())
        assert (message.topic, message.payload, message.retained, message.duplicate) == (ORDER, b"before", True, False)
        await link.acknowledge(message)
        await acquirer.publish(ORDER, b"after", False, TIMEOUT_MS)
        message = await soon(link.receive())
        assert (message.payload, message.retained) == (b"after", False)

    play(scenario)


def test_a_message_that_was_not_acknowledged_comes_again_and_one_that_was_does_not(play: Play) -> None:
    async def scenario(scene: Scene) -> None:
        acquirer = await scene.acquirer()
        link = await scene.terminal()
        await link.connect(TIMEOUT_MS)
        await link.subscribe(ORDER, TIMEOUT_MS)
        await acquirer.publish(ORDER, b"1", False, TIMEOUT_MS)
        await acquirer.publish(ORDER, b"2", False, TIMEOUT_MS)
        first, second = await soon(link.receive()), await soon(link.receive())
        assert (first.payload, second.payload) == (b"1", b"2")
        await link.acknowledge(first)
        await link.publish(REPORT, b"", False, TIMEOUT_MS)  # acknowledged after the first message's acknowledgement was read
        scene.uplink.cut()
        assert (await error_of(link.receive())).code == "E_OFFLINE"
        scene.uplink.restore()
        assert await link.connect(TIMEOUT_MS) is True
        again = await soon(link.receive())
        assert (again.payload, again.duplicate, again.retained) == (b"2", True, False)
        await link.acknowledge(first)  # of the earlier connection: nothing is sent
        await link.acknowledge(again)
        await acquirer.publish(ORDER, b"3", False, TIMEOUT_MS)
        assert (await soon(link.receive())).payload == b"3"

    play(scenario)


def test_messages_sent_while_the_terminal_was_away_are_delivered(play: Play) -> None:
    async def scenario(scene: Scene) -> None:
        acquirer = await scene.acquirer()
        link = await scene.terminal()
        await link.connect(TIMEOUT_MS)
        await link.subscribe(ORDER, TIMEOUT_MS)
        await link.disconnect()
        await acquirer.publish(ORDER, b"meanwhile", False, TIMEOUT_MS)
        assert await link.connect(TIMEOUT_MS) is True
        assert (await soon(link.receive())).payload == b"meanwhile"

    play(scenario)


def test_receiving_can_be_given_up_and_taken_up_again(play: Play) -> None:
    async def scenario(scene: Scene) -> None:
        acquirer = await scene.acquirer()
        link = await scene.terminal()
        await link.connect(TIMEOUT_MS)
        await link.subscribe(ORDER, TIMEOUT_MS)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(link.receive(), 0.05)
        await acquirer.publish(ORDER, b"1", False, TIMEOUT_MS)
        assert (await soon(link.receive())).payload == b"1"

    play(scenario)


@pytest.mark.parametrize("size", [4097, 5000, 60_000])
def test_a_publication_that_is_too_large_is_received_cut_and_does_not_come_again(play: Play, size: int) -> None:
    async def scenario(scene: Scene) -> None:
        acquirer = await scene.acquirer()
        link = await scene.terminal()
        await link.connect(TIMEOUT_MS)
        await link.subscribe(ORDER, TIMEOUT_MS)
        await link.disconnect()
        send_oversized(acquirer, ORDER, size)
        await acquirer.publish(ORDER, b"after it", False, TIMEOUT_MS)
        for again in (False, True):  # until it is acknowledged it comes, and the link lives
            assert await link.connect(TIMEOUT_MS) is True
            cut, after = await soon(link.receive()), await soon(link.receive())
            assert cut.payload == oversized(size)[:CUT_PAYLOAD_BYTES]
            assert (after.payload, cut.duplicate, after.duplicate) == (b"after it", again, again)
            if again:
                await link.acknowledge(cut)
                await link.acknowledge(after)
                await link.publish(REPORT, b"", False, TIMEOUT_MS)  # acknowledged after those acknowledgements were read
            scene.uplink.cut()
            assert (await error_of(link.receive())).code == "E_OFFLINE"
            scene.uplink.restore()
        assert await link.connect(TIMEOUT_MS) is True
        await acquirer.publish(ORDER, b"next", False, TIMEOUT_MS)
        assert (await soon(link.receive())).payload == b"next"

    play(scenario)


def test_the_largest_publication_that_fits_is_received_whole(play: Play) -> None:
    async def scenario(scene: Scene) -> None:
        acquirer = await scene.acquirer()
        link = await scene.terminal()
        await link.connect(TIMEOUT_MS)
        await link.subscribe(ORDER, TIMEOUT_MS)
        await acquirer.publish(ORDER, oversized(4096), False, TIMEOUT_MS)
        assert (await soon(link.receive())).payload == oversized(4096)

    play(scenario)


async def queue(scene: Scene, link: AnyLink, count: int, size: int) -> list[bytes]:
    """Let the broker keep orders for the terminal, which is not connected afterwards. Gives their payloads."""
    await link.connect(TIMEOUT_MS)
    await link.subscribe(ORDER, TIMEOUT_MS)
    await link.disconnect()
    acquirer = await scene.acquirer()
    payloads = [bytes([number]) * size for number in range(count)]
    await asyncio.gather(*(acquirer.publish(ORDER, payload, False, 4 * TIMEOUT_MS) for payload in payloads))
    return payloads


def test_more_messages_than_the_terminal_can_hold_are_all_received_in_order(play: Play) -> None:
    async def scenario(scene: Scene) -> None:
        link = await scene.terminal()
        payloads = await queue(scene, link, 40, 4000)
        assert await link.connect(TIMEOUT_MS) is True
        for payload in payloads:
            message = await soon(link.receive())
            assert (message.payload, message.duplicate) == (payload, False)
            await link.acknowledge(message)
        await link.publish(REPORT, b"", False, TIMEOUT_MS)
        assert await is_connected(link)

    play(scenario)


def test_a_full_inbox_keeps_the_link_for_longer_than_the_keepalive(play: Play) -> None:
    async def scenario(scene: Scene) -> None:
        link = await scene.terminal(keepalive_s=KEEPALIVE_S)
        payloads = await queue(scene, link, 10, 4000)
        assert await link.connect(TIMEOUT_MS) is True
        await filled(link)
        await scene.silence_outlived()
        assert await is_connected(link)
        for payload in payloads:
            message = await soon(link.receive())
            assert (message.payload, message.duplicate) == (payload, False)
            await link.acknowledge(message)
        await scene.silence_outlived()
        assert await is_connected(link)
        acquirer = await scene.acquirer()
        await acquirer.publish(ORDER, b"next", False, TIMEOUT_MS)
        assert (await soon(link.receive())).payload == b"next"  # and nothing again before it

    play(scenario)


def test_answers_wait_behind_a_full_inbox_until_somebody_receives(play: Play) -> None:
    async def scenario(scene: Scene) -> None:
        link = await scene.terminal(keepalive_s=KEEPALIVE_S)
        payloads = await queue(scene, link, 10, 4000)
        assert await link.connect(TIMEOUT_MS) is True
        before = scene.answers("SUBACK")
        async with begun(link.subscribe(ORDER, 4 * TIMEOUT_MS)) as subscription:
            await filled(link)
            await scene.answered("SUBACK", before)
            await scene.pings_answered(2)  # the link is at work, and the answer at its socket
            assert not subscription.done()
            assert [(await soon(link.receive())).payload for _ in payloads] == payloads
            await soon(subscription)

    play(scenario)


def test_a_connection_that_is_reset_while_the_inbox_is_full_is_noticed(play: Play) -> None:
    async def scenario(scene: Scene) -> None:
        link = await scene.terminal(keepalive_s=KEEPALIVE_S)
        await queue(scene, link, 10, 4000)
        await link.connect(TIMEOUT_MS)
        await filled(link)
        assert await is_connected(link)
        scene.uplink.cut()

        async def is_noticed() -> bool:
            return not await is_connected(link)

        await until(is_noticed)
        assert (await error_of(link.receive())).code == "E_OFFLINE"

    play(scenario)


def test_a_path_that_went_silent_while_the_inbox_was_full_is_noticed_when_there_is_room(play: Play) -> None:
    async def scenario(scene: Scene) -> None:
        link = await scene.terminal(keepalive_s=KEEPALIVE_S)
        await queue(scene, link, 10, 4000)
        await link.connect(TIMEOUT_MS)
        await filled(link)
        scene.uplink.black_hole()

        async def take_all() -> None:
            for _ in range(11):
                await link.receive()

        assert (await error_of(take_all())).code == "E_OFFLINE"

    play(scenario)


@pytest.mark.parametrize("size", [4000, 60_000])
def test_a_link_with_a_full_inbox_disconnects_in_order_and_at_once(play: Play, size: int) -> None:
    async def scenario(scene: Scene) -> None:
        link = await scene.terminal()
        await queue(scene, link, 1, 1)
        watcher = await scene.acquirer()
        await watcher.subscribe(STATE, TIMEOUT_MS)
        await watcher.subscribe(REPORT, TIMEOUT_MS)
        for _ in range(40):
            send_oversized(watcher, ORDER, size)
        await watcher.publish(ORDER, b"last", False, TIMEOUT_MS)
        assert await link.connect(TIMEOUT_MS, (STATE, b"gone", False)) is True
        await filled(link)
        await asyncio.wait_for(link.disconnect(), 3)
        assert not await is_connected(link)
        assert (await error_of(link.receive())).code == "E_OFFLINE"
        assert await link.connect(TIMEOUT_MS) is True
        assert len((await soon(link.receive())).payload) == 1  # nothing was acknowledged
        receiving = asyncio.create_task(receive_for_ever(link))
        await link.publish(REPORT, b"here again", False, TIMEOUT_MS)
        receiving.cancel()
        assert (await soon(watcher.receive())).payload == b"here again"  # and no will before it

    play(scenario)


async def receive_for_ever(link: AnyLink) -> None:
    while True:
        await link.receive()


# The end of a connection.


def test_the_will_is_published_when_the_connection_is_torn_and_not_when_it_ends_in_order(play: Play) -> None:
    async def scenario(scene: Scene) -> None:
        acquirer = await scene.acquirer()
        await acquirer.subscribe(STATE, TIMEOUT_MS)
        await acquirer.subscribe(REPORT, TIMEOUT_MS)
        link = await scene.terminal()
        will = (STATE, b"gone", True)
        await link.connect(TIMEOUT_MS, will)
        await link.disconnect()
        await link.connect(TIMEOUT_MS, will)
        await link.publish(REPORT, b"still here", False, TIMEOUT_MS)
        assert (await soon(acquirer.receive())).payload == b"still here"  # and no will before it
        scene.uplink.cut()
        message = await soon(acquirer.receive())
        assert (message.topic, message.payload) == (STATE, b"gone")
        late = await scene.acquirer()  # takes the session over
        await late.subscribe(STATE, TIMEOUT_MS)
        messages = [await soon(late.receive())]
        while not messages[-1].retained:  # what the first acquirer did not acknowledge comes before
            messages.append(await soon(late.receive()))
        assert messages[-1].payload == b"gone"

    play(scenario)


def test_a_restarted_broker_is_connected_to_again_and_has_kept_the_session(play: Play) -> None:
    async def scenario(scene: Scene) -> None:
        link = await scene.terminal()
        await link.connect(TIMEOUT_MS)
        await link.subscribe(ORDER, TIMEOUT_MS)
        await scene.broker.restart()
        assert (await error_of(link.receive())).code == "E_OFFLINE"
        assert not await is_connected(link)
        assert await link.connect(TIMEOUT_MS) is True
        acquirer = await scene.acquirer()
        await acquirer.publish(ORDER, b"1", False, TIMEOUT_MS)
        assert (await soon(link.receive())).payload == b"1"

    play(scenario)


def test_a_broker_that_lost_its_sessions_says_so(play: Play) -> None:
    async def scenario(scene: Scene) -> None:
        link = await scene.terminal()
        await link.connect(TIMEOUT_MS)
        await link.disconnect()
        await scene.broker.stop()
        (scene.folder / "broker" / "mosquitto.db").unlink()
        await scene.broker.start()
        assert await link.connect(TIMEOUT_MS) is False

    play(scenario)


def test_a_broker_that_lost_its_sessions_delivers_again_once_it_is_subscribed_to_again(play: Play) -> None:
    async def scenario(scene: Scene) -> None:
        link = await scene.terminal()
        await link.connect(TIMEOUT_MS)
        await link.subscribe(ORDER, TIMEOUT_MS)
        await scene.broker.stop()
        (scene.folder / "broker" / "mosquitto.db").unlink()
        await scene.broker.start()
        assert (await error_of(link.receive())).code == "E_OFFLINE"
        acquirer = await scene.acquirer()
        assert await link.connect(TIMEOUT_MS) is False
        await acquirer.publish(ORDER, b"not heard", False, TIMEOUT_MS)
        await link.subscribe(ORDER, TIMEOUT_MS)
        await acquirer.publish(ORDER, b"heard", False, TIMEOUT_MS)
        assert (await soon(link.receive())).payload == b"heard"

    play(scenario)


def test_a_will_that_comes_late_does_not_stay_over_what_the_next_connection_says(play: Play) -> None:
    """The broker still has the old connection, of which it has heard nothing, when the terminal is back."""

    async def scenario(scene: Scene) -> None:
        watcher = await scene.acquirer()
        await watcher.subscribe(STATE, TIMEOUT_MS)
        link = await scene.terminal()
        await link.connect(TIMEOUT_MS, (STATE, b"the first is gone", True))
        scene.uplink.black_hole()
        assert (await error_of(link.publish(REPORT, b"", False, 300))).code == "E_TIMEOUT"
        scene.uplink.restore()
        assert await link.connect(TIMEOUT_MS, (STATE, b"the second is gone", True)) is True
        await link.publish(STATE, b"here again", True, TIMEOUT_MS)
        told = [(await soon(watcher.receive())).payload]
        while told[-1] != b"here again":
            told.append((await soon(watcher.receive())).payload)
        assert told in ([b"the first is gone", b"here again"], [b"here again"])
        await link.publish(REPORT, b"", False, TIMEOUT_MS)  # a will that came after all would be there by now
        late = await scene.acquirer()
        await late.subscribe(STATE, TIMEOUT_MS)
        message = await soon(late.receive())
        while not message.retained:
            message = await soon(late.receive())
        assert message.payload == b"here again"

    play(scenario)


def test_a_silence_is_found_by_the_terminal_within_one_and_a_half_keepalives_and_by_the_broker(play: Play) -> None:
    """MQTT 3.1.1, section 3.1.2.10; a broker looks only from time to time. On simulated time and from every moment on:
    tests/core/test_keepalive.py.
    """

    async def scenario(scene: Scene) -> None:
        watcher = await scene.acquirer()
        await watcher.subscribe(STATE, TIMEOUT_MS)
        link = await scene.terminal(keepalive_s=LONG_KEEPALIVE_S)
        await link.connect(TIMEOUT_MS, (STATE, b"gone", True))
        scene.uplink.black_hole()
        with pytest.raises(LinkError, match="E_OFFLINE"):
            await asyncio.wait_for(link.receive(), 1.5 * LONG_KEEPALIVE_S)
        assert (await asyncio.wait_for(watcher.receive(), 3 * LONG_KEEPALIVE_S)).payload == b"gone"

    play(scenario)


def test_a_path_that_goes_silent_is_noticed_and_the_next_connection_works(play: Play) -> None:
    async def scenario(scene: Scene) -> None:
        link = await scene.terminal(keepalive_s=KEEPALIVE_S)
        await link.connect(TIMEOUT_MS)
        scene.uplink.black_hole()
        assert (await error_of(link.receive())).code == "E_OFFLINE"
        assert (await error_of(link.connect(500))).code == "E_TIMEOUT"
        scene.uplink.restore()
        await link.connect(TIMEOUT_MS)
        await link.publish(REPORT, b"", False, TIMEOUT_MS)

    play(scenario)


def test_an_idle_connection_is_kept_alive(play: Play) -> None:
    async def scenario(scene: Scene) -> None:
        link = await scene.terminal(keepalive_s=KEEPALIVE_S)
        await link.connect(TIMEOUT_MS)
        async with begun(link.receive()) as receiving:
            await scene.silence_outlived()
            assert not receiving.done()
        assert await is_connected(link)
        await link.publish(REPORT, b"", False, TIMEOUT_MS)

    play(scenario)


def test_a_publication_that_is_not_acknowledged_in_time_ends_the_connection(play: Play) -> None:
    async def scenario(scene: Scene) -> None:
        link = await scene.terminal()
        await link.connect(TIMEOUT_MS)
        scene.uplink.black_hole()
        assert (await error_of(link.publish(REPORT, b"", False, 300))).code == "E_TIMEOUT"
        assert not await is_connected(link)
        assert (await error_of(link.receive())).code == "E_TIMEOUT"

    play(scenario)


def test_a_cancelled_publication_leaves_the_link_in_order(play: Play) -> None:
    async def scenario(scene: Scene) -> None:
        link = await scene.terminal()
        await link.connect(TIMEOUT_MS)
        scene.uplink.latency_ms = 200
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(link.publish(REPORT, b"1", False, TIMEOUT_MS), 0.05)
        await link.publish(REPORT, b"2", False, TIMEOUT_MS)
        assert await is_connected(link)

    play(scenario)


def test_a_slow_path_is_slow_but_works(play: Play) -> None:
    async def scenario(scene: Scene) -> None:
        scene.uplink.latency_ms = 100
        link = await scene.terminal()
        assert (await error_of(link.connect(150))).code == "E_TIMEOUT"
        await link.connect(TIMEOUT_MS)
        await link.publish(REPORT, b"", False, TIMEOUT_MS)

    play(scenario)


# The rules of the broker. mosquitto grants every subscription and then delivers nothing; that it refuses is tested with amqtt.


def test_a_terminal_neither_reads_nor_writes_the_topics_of_another(play: Play) -> None:
    async def scenario(scene: Scene) -> None:
        acquirer = await scene.acquirer()
        await acquirer.subscribe(topic(ACQUIRER, "+", "report"), TIMEOUT_MS)
        link = await scene.terminal()
        await link.connect(TIMEOUT_MS)
        await link.subscribe("#", TIMEOUT_MS)
        await acquirer.publish(topic(ACQUIRER, "T2", "order"), b"for T2", False, TIMEOUT_MS)
        await acquirer.publish(ORDER, b"for T1", False, TIMEOUT_MS)
        assert (await soon(link.receive())).payload == b"for T1"
        await link.publish(topic(ACQUIRER, "T2", "report"), b"as T2", False, TIMEOUT_MS)
        await link.publish(ORDER, b"an order by myself", False, TIMEOUT_MS)
        await link.publish(REPORT, b"as T1", False, TIMEOUT_MS)
        assert (await soon(acquirer.receive())).payload == b"as T1"

    play(scenario)
