"""The two brokers of the desktop keep the same rules, and say why when they do not start."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import ssl
from pathlib import Path
from typing import Any

import pytest

from firmware_agent.links.link import CUT_PAYLOAD_BYTES, LinkSettings, Tls
from firmware_agent.messages.schema import topic
from host_sim.brokers import MAX_PUBLICATION_BYTES, BrokerFailure, EmbeddedBroker, MosquittoBroker
from host_sim.pki import Credential, TestAuthority
from tests.links.support import KINDS, TIMEOUT_MS, error_of, is_connected, link_of, send_oversized, settings, soon

ACQUIRER = "acme"
ORDER = topic(ACQUIRER, "T1", "order")
REPORT = topic(ACQUIRER, "T1", "report")


@pytest.mark.parametrize("kind", KINDS)
def test_a_terminal_and_an_acquirer_meet_at_the_embedded_broker(kind: str, tmp_path: Path) -> None:
    async def scenario() -> None:
        authority = TestAuthority()
        broker = EmbeddedBroker(tmp_path, authority, ACQUIRER)
        await broker.start()
        try:
            terminal_settings = settings(broker.port, authority, authority.client("T1"))
            acquirer_settings = settings(broker.port, authority, authority.client(ACQUIRER))
            async with link_of(kind, terminal_settings) as terminal, link_of("paho", acquirer_settings) as acquirer:
                assert await acquirer.connect(TIMEOUT_MS) is False
                await acquirer.subscribe(topic(ACQUIRER, "+", "report"), TIMEOUT_MS)
                assert await terminal.connect(TIMEOUT_MS) is False
                await terminal.subscribe(ORDER, TIMEOUT_MS)
                for filter_ in (topic(ACQUIRER, "T2", "order"), "#", topic(ACQUIRER, "+", "order"), REPORT):
                    assert (await error_of(terminal.subscribe(filter_, TIMEOUT_MS))).code == "E_REFUSED", filter_
                await terminal.publish(topic(ACQUIRER, "T2", "report"), b"as T2", False, TIMEOUT_MS)
                await terminal.publish(REPORT, b"as T1", False, TIMEOUT_MS)
                message = await soon(acquirer.receive())
                assert message.payload == b"as T1"
                await acquirer.acknowledge(message)
                await acquirer.publish(ORDER, b"1", False, TIMEOUT_MS)
                message = await soon(terminal.receive())
                assert (message.topic, message.payload) == (ORDER, b"1")
                await terminal.acknowledge(message)
                await terminal.disconnect()
                await acquirer.publish(ORDER, b"2", False, TIMEOUT_MS)
                assert await terminal.connect(TIMEOUT_MS) is True
                message = await soon(terminal.receive())
                assert message.payload == b"2"
                await broker.restart()
                assert (await error_of(terminal.receive())).code == "E_OFFLINE"
                assert await terminal.connect(TIMEOUT_MS) is False
        finally:
            await broker.stop()

    asyncio.run(scenario())


@pytest.mark.parametrize("make", [EmbeddedBroker, pytest.param(MosquittoBroker, marks=pytest.mark.needs("mosquitto"))])
def test_a_publication_beyond_the_limit_is_acknowledged_and_dropped(make: type[EmbeddedBroker | MosquittoBroker], tmp_path: Path) -> None:
    async def scenario() -> None:
        authority = TestAuthority()
        broker = make(tmp_path, authority, ACQUIRER)
        await broker.start()
        try:
            own = settings(broker.port, authority, authority.client("T1"))
            others = settings(broker.port, authority, authority.client(ACQUIRER))
            async with link_of("paho", own) as terminal, link_of("paho", others) as acquirer:
                await terminal.connect(TIMEOUT_MS)
                await terminal.subscribe(ORDER, TIMEOUT_MS)
                await acquirer.connect(TIMEOUT_MS)
                for size in (MAX_PUBLICATION_BYTES + 1, MAX_PUBLICATION_BYTES):
                    send_oversized(acquirer, ORDER, size)
                await acquirer.publish(ORDER, b"after them", False, TIMEOUT_MS)
                received = [await soon(terminal.receive()) for _ in range(2)]
                assert [len(message.payload) for message in received] == [CUT_PAYLOAD_BYTES, len(b"after them")]
        finally:
            await broker.stop()

    asyncio.run(scenario())


@pytest.mark.parametrize("kind", KINDS)
def test_the_embedded_broker_demands_a_certificate(kind: str, tmp_path: Path) -> None:
    async def scenario() -> None:
        authority = TestAuthority()
        broker = EmbeddedBroker(tmp_path, authority, ACQUIRER)
        await broker.start()
        try:
            stranger = TestAuthority().client("T1")
            for credential in (Tls(authority.certificate_der, b"", b"", "localhost"), _tls(authority, stranger)):
                async with link_of(kind, LinkSettings("127.0.0.1", broker.port, "T1", 30, credential)) as link:
                    assert (await error_of(link.connect(TIMEOUT_MS))).code in ("E_TLS", "E_OFFLINE")
                    assert not await is_connected(link)
        finally:
            await broker.stop()

    asyncio.run(scenario())


def test_the_embedded_broker_judges_a_taken_over_session_by_the_certificate_at_hand(tmp_path: Path) -> None:
    async def scenario() -> None:
        authority = TestAuthority()
        broker = EmbeddedBroker(tmp_path, authority, ACQUIRER)
        await broker.start()
        try:
            own = settings(broker.port, authority, authority.client("T1"))
            thief = LinkSettings("127.0.0.1", broker.port, "T1", 30, _tls(authority, authority.client("T2")))
            async with link_of("paho", own) as terminal, link_of("paho", thief) as other:
                await terminal.connect(TIMEOUT_MS)
                await terminal.disconnect()
                await other.connect(TIMEOUT_MS)
                assert (await error_of(other.subscribe(ORDER, TIMEOUT_MS))).code == "E_REFUSED"
        finally:
            await broker.stop()

    asyncio.run(scenario())


@pytest.mark.needs("mosquitto")
def test_mosquitto_that_cannot_start_says_why(tmp_path: Path) -> None:
    async def scenario() -> None:
        authority = TestAuthority()
        first = MosquittoBroker(tmp_path / "first", authority, ACQUIRER)
        await first.start()
        second = MosquittoBroker(tmp_path / "second", authority, ACQUIRER)
        second.port = first.port
        try:
            with pytest.raises(BrokerFailure, match="Address already in use"):
                await second.start()
        finally:
            await first.stop()
            await second.stop()

    asyncio.run(scenario())


def test_a_mosquitto_that_is_not_there_says_so(tmp_path: Path) -> None:
    broker = MosquittoBroker(tmp_path, TestAuthority(), ACQUIRER, program="no-such-mosquitto")
    with pytest.raises(BrokerFailure, match="no-such-mosquitto cannot be started"):
        asyncio.run(broker.start())


def test_an_embedded_broker_that_cannot_start_says_why(tmp_path: Path) -> None:
    async def scenario() -> None:
        first = EmbeddedBroker(tmp_path / "first", TestAuthority(), ACQUIRER)
        await first.start()
        second = EmbeddedBroker(tmp_path / "second", TestAuthority(), ACQUIRER)
        second.port = first.port
        try:
            with pytest.raises(BrokerFailure, match="address already in use"):
                await second.start()
        finally:
            await first.stop()

    asyncio.run(scenario())


def _tls(authority: TestAuthority, credential: Credential) -> Tls:
    return Tls(authority.certificate_der, credential.certificate_der, credential.private_key_der, "localhost")


def test_the_embedded_broker_stops_at_whatever_point_a_connection_is(tmp_path: Path) -> None:
    """Once it hung for good where it was stopped in the very turn in which a connection's reader was made."""

    async def scenario(round_: int) -> bool:
        authority = TestAuthority()
        broker = EmbeddedBroker(tmp_path / str(round_), authority, ACQUIRER)
        await broker.start()
        async with link_of("paho", settings(broker.port, authority, authority.client("T1"))) as terminal:
            connecting = asyncio.create_task(terminal.connect(TIMEOUT_MS))
            sessions: Any = broker._broker._sessions  # type: ignore[union-attr]
            readers: list[asyncio.Task[None]] = []
            while not readers:
                await asyncio.sleep(0)
                readers = [handler._reader_task for _, handler in sessions.values() if handler._reader_task is not None]
            is_new = inspect.getcoroutinestate(readers[0].get_coro()) == inspect.CORO_CREATED
            await broker.stop()
            connecting.cancel()
            await asyncio.wait([connecting])
            return is_new

    assert any([asyncio.run(scenario(round_)) for round_ in range(5)])


def test_the_embedded_broker_stops_while_a_terminal_goes_on_talking(tmp_path: Path) -> None:
    """Once it hung where a packet came in the very turn in which the reader of its connection was cancelled."""

    async def scenario() -> None:
        authority = TestAuthority()
        broker = EmbeddedBroker(tmp_path, authority, ACQUIRER)
        await broker.start()
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", broker.port, ssl=_context(tmp_path, authority), server_hostname="localhost"
        )

        async def talk() -> None:
            with contextlib.suppress(OSError):
                while True:
                    writer.write(b"\xc0\x00")  # PINGREQ
                    await writer.drain()
                    await asyncio.sleep(0)

        async def listen() -> None:
            with contextlib.suppress(OSError):
                while await reader.read(4096):
                    pass

        try:
            writer.write(b"\x10\x0e\x00\x04MQTT\x04\x02\x00\x1e\x00\x02T1")  # CONNECT
            assert await soon(reader.readexactly(4)) == b"\x20\x02\x00\x00"
            talking, listening = asyncio.create_task(talk()), asyncio.create_task(listen())
            for _ in range(50):
                await asyncio.sleep(0)
            talking.cancel()
        finally:
            await broker.stop()
        await soon(listening)
        writer.close()

    asyncio.run(scenario())


def _context(folder: Path, authority: TestAuthority) -> ssl.SSLContext:
    credential = authority.client("T1")
    certificate, key = folder / "T1.pem", folder / "T1.key"
    certificate.write_bytes(credential.certificate_pem)
    key.write_bytes(credential.private_key_pem)
    context = ssl.create_default_context(cadata=authority.certificate_der)
    context.load_cert_chain(certificate, key)
    return context
