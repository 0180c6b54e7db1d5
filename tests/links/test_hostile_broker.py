"""Bytes that are no MQTT, from a server on loopback: each ends in an error of the link, and the link can be connected again."""

from __future__ import annotations

import asyncio

import pytest

from firmware_agent.links.link import CUT_PAYLOAD_BYTES, LinkSettings
from tests.links.support import CONNACK, KINDS, TIMEOUT_MS, error_of, filled, is_connected, link_of, server, soon

CONNECT_MS = 1000

INSTEAD_OF_CONNACK = {
    "another packet": b"\xd0\x00",
    "http": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "too short": b"\x20\x01\x00",
    "too long": b"\x20\x03\x00\x00\x00",
}

AFTER_CONNACK = {
    "a reserved packet": b"\x00\x00",
    "a packet that only clients send": b"\x82\x02\x00\x01",
    "a length without end": b"\x30\xff\xff\xff\xff\x7f",
    "a publication at quality of service 3": b"\x36\x07\x00\x01a\x00\x01xx",
    "a publication without a topic": b"\x32\x01\x00",
    "a topic longer than its packet": b"\x32\x05\x00\x09abc",
    "a topic of 257 bytes": b"\x32\x85\x02\x01\x01" + bytes([0x61] * 257) + b"\x00\x01",
    "a publication of one byte more than 1 MiB, of which little comes": b"\x32\x81\x80\x40\x00\x01a",
    "an empty topic": b"\x32\x04\x00\x00\x00\x01",
    "a topic that is not UTF-8": b"\x32\x06\x00\x02\xff\xfe\x00\x01",
    "an acknowledgement that is too short": b"\x40\x01\x00",
}

# What MQTT 3.1.1 forbids and paho lets pass.
STRICT = {
    "a CONNACK with reserved flags": (b"\x20\x02\x02\x00", b""),
    "a CONNACK with a reserved code": (b"\x20\x02\x00\x06", b""),
    "a topic with a wildcard": (CONNACK, b"\x32\x06\x00\x02a#\x00\x01"),
    "a topic with a zero character": (CONNACK, b"\x32\x06\x00\x02a\x00\x00\x01"),
    "identifier 0": (CONNACK, b"\x32\x06\x00\x02ab\x00\x00"),
    "a duplicate at quality of service 0": (CONNACK, b"\x38\x04\x00\x02ab"),
    "quality of service 2, which we never asked for": (CONNACK, b"\x34\x06\x00\x02ab\x00\x01"),
    "a ping response with a body": (CONNACK, b"\xd0\x01\x00"),
    "an acknowledgement announced as 4,000 bytes": (CONNACK, b"\x40\xa0\x1f"),
}


async def met(kind: str, connack: bytes, packet: bytes) -> str:
    """The code of the error that a link meets, at connect or after it; and that the link is down."""
    async with server(connack + packet) as port, link_of(kind, LinkSettings("127.0.0.1", port, "T1")) as link:

        async def use() -> None:
            await link.connect(CONNECT_MS)
            await link.receive()

        error = await error_of(use())
        assert not await is_connected(link)
        return error.code


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", sorted(INSTEAD_OF_CONNACK))
def test_what_is_no_connack_is_refused(kind: str, name: str) -> None:
    # paho waits on for a CONNACK when another packet comes first.
    assert asyncio.run(met(kind, INSTEAD_OF_CONNACK[name], b"")) in (("E_PROTOCOL", "E_TIMEOUT") if kind == "paho" else ("E_PROTOCOL",))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", sorted(AFTER_CONNACK))
def test_a_hostile_packet_closes_the_link(kind: str, name: str) -> None:
    assert asyncio.run(met(kind, CONNACK, AFTER_CONNACK[name])) == "E_PROTOCOL"


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "paho"])
@pytest.mark.parametrize("name", sorted(STRICT))
def test_our_own_client_is_strict(kind: str, name: str) -> None:
    assert asyncio.run(met(kind, *STRICT[name])) == "E_PROTOCOL"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("code", [1, 2, 3, 4, 5])
def test_a_refusing_connack_is_a_refusal(kind: str, code: int) -> None:
    # paho takes 'protocol version not accepted' for a protocol error.
    expected = "E_PROTOCOL" if (kind, code) == ("paho", 1) else "E_REFUSED"
    assert asyncio.run(met(kind, bytes([0x20, 2, 0, code]), b"")) == expected


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("granted", [0x80, 0x00])
def test_a_subscription_that_is_not_granted_is_a_refusal_and_the_link_stays(kind: str, granted: int) -> None:
    async def scenario() -> None:
        suback = bytes([0x90, 3, 0, 1, granted])
        async with server(CONNACK, suback, b"\x40\x02\x00\x02") as port, link_of(kind, LinkSettings("127.0.0.1", port, "T1")) as link:
            await link.connect(TIMEOUT_MS)
            assert (await error_of(link.subscribe("a", TIMEOUT_MS))).code == "E_REFUSED"
            await link.publish("a", b"", False, TIMEOUT_MS)

    asyncio.run(scenario())


@pytest.mark.parametrize("kind", KINDS)
def test_an_acknowledgement_of_something_else_does_not_count(kind: str) -> None:
    async def scenario() -> None:
        async with server(CONNACK, b"\x40\x02\x00\x09") as port, link_of(kind, LinkSettings("127.0.0.1", port, "T1")) as link:
            await link.connect(TIMEOUT_MS)
            assert (await error_of(link.publish("a", b"", False, 300))).code == "E_TIMEOUT"

    asyncio.run(scenario())


@pytest.mark.parametrize("kind", KINDS)
def test_a_link_recovers_from_a_hostile_broker(kind: str) -> None:
    async def scenario() -> None:
        async with server(CONNACK + b"\x00\x00") as port, link_of(kind, LinkSettings("127.0.0.1", port, "T1")) as link:

            async def use() -> None:
                await link.connect(TIMEOUT_MS)
                await link.receive()

            for _ in range(3):
                assert (await error_of(use())).code == "E_PROTOCOL"

    asyncio.run(scenario())


@pytest.mark.parametrize("kind", KINDS)
def test_a_packet_that_comes_byte_by_byte_is_whole(kind: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        for byte in CONNACK + b"\x32\x88\x01\x00\x02ab\x00\x07" + bytes(130):
            writer.write(bytes([byte]))
            await writer.drain()
        assert await reader.readexactly(4) == b"\x40\x02\x00\x07"
        writer.write(b"\x30\x06\x00\x02abok")

    async def scenario() -> None:
        listener = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = listener.sockets[0].getsockname()[1]
        async with link_of(kind, LinkSettings("127.0.0.1", port, "T1")) as link:
            await link.connect(TIMEOUT_MS)
            message = await link.receive()
            assert (message.topic, len(message.payload)) == ("ab", 130)
            await link.acknowledge(message)
            assert (await asyncio.wait_for(link.receive(), 5)).payload == b"ok"
        listener.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("kind", KINDS)
def test_a_publication_of_1_mib_is_cut_in_bounded_memory_and_the_next_one_is_whole(kind: str) -> None:
    large = b"\x32\x80\x80\x40\x00\x02ab\x00\x07" + bytes([0x55]) * (1024 * 1024 - 6)  # four times the heap on MicroPython

    async def scenario() -> None:
        async with (
            server(CONNACK + large + b"\x32\x08\x00\x02ab\x00\x08ok") as port,
            link_of(kind, LinkSettings("127.0.0.1", port, "T1")) as link,
        ):
            await link.connect(TIMEOUT_MS)
            message = await soon(link.receive())
            assert (message.topic, message.payload) == ("ab", bytes([0x55]) * CUT_PAYLOAD_BYTES)
            assert (await soon(link.receive())).payload == b"ok"

    asyncio.run(scenario())


@pytest.mark.parametrize("kind", KINDS)
def test_a_link_that_disconnects_with_much_unread_does_not_reset_the_connection(kind: str) -> None:
    # A reset may overtake the DISCONNECT packet in the broker, which then publishes the will.
    unread = (b"\x32\xa6\x1f\x00\x02ab\x00\x07" + bytes(4000)) * 300
    end: asyncio.Queue[bytes] = asyncio.Queue()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        writer.write(CONNACK + unread)
        try:
            end.put_nowait(await reader.read())
        except ConnectionResetError:
            end.put_nowait(b"reset")
        writer.close()

    async def scenario() -> None:
        listener = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = listener.sockets[0].getsockname()[1]
        async with link_of(kind, LinkSettings("127.0.0.1", port, "T1")) as link:
            await link.connect(TIMEOUT_MS)
            await soon(link.receive())
            await filled(link)
            await soon(link.disconnect())
            assert await soon(end.get()) == b"\xe0\x00"
        listener.close()

    asyncio.run(scenario())
