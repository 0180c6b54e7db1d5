"""The path between terminal and broker passes bytes, and fails in the ways of networks."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import pytest

from host_sim.pki import TestAuthority
from host_sim.uplink import ACKNOWLEDGEMENT_BYTES, RESET_AFTER, SENT_AGAIN_MS, Uplink


@contextlib.asynccontextmanager
async def echo_through_uplink(authority: TestAuthority | None = None) -> AsyncIterator[Uplink]:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    uplink = Uplink(server.sockets[0].getsockname()[1], authority)
    await uplink.start()
    try:
        yield uplink
    finally:
        await uplink.stop()
        server.close()


async def echoed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, data: bytes) -> bytes:
    writer.write(data)
    return await asyncio.wait_for(reader.readexactly(len(data)), 5)


def test_bytes_pass_in_both_directions_and_the_end_too() -> None:
    async def scenario() -> None:
        async with echo_through_uplink() as uplink:
            reader, writer = await asyncio.open_connection("127.0.0.1", uplink.port)
            data = bytes(range(256)) * 2000
            assert await echoed(reader, writer, data) == data
            writer.write_eof()
            assert await asyncio.wait_for(reader.read(), 5) == b""
            writer.close()

    asyncio.run(scenario())


def test_a_cut_resets_what_is_open_and_what_comes_until_it_is_restored() -> None:
    async def scenario() -> None:
        async with echo_through_uplink() as uplink:
            reader, writer = await asyncio.open_connection("127.0.0.1", uplink.port)
            await echoed(reader, writer, b"1")
            uplink.cut()
            with pytest.raises(ConnectionResetError):
                await asyncio.wait_for(reader.readexactly(1), 5)
            writer.close()
            with pytest.raises((ConnectionResetError, BrokenPipeError, asyncio.IncompleteReadError)):
                await echoed(*await asyncio.open_connection("127.0.0.1", uplink.port), b"2")
            uplink.restore()
            assert await echoed(*await asyncio.open_connection("127.0.0.1", uplink.port), b"3") == b"3"

    asyncio.run(scenario())


def test_a_black_hole_is_silent_for_what_is_open_and_what_comes() -> None:
    async def scenario() -> None:
        async with echo_through_uplink() as uplink:
            old = await asyncio.open_connection("127.0.0.1", uplink.port)
            await echoed(*old, b"1")
            uplink.black_hole()
            new = await asyncio.open_connection("127.0.0.1", uplink.port)
            for reader, writer in (old, new):
                writer.write(b"2")
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(reader.read(1), 0.1)
            uplink.restore()
            assert await echoed(*await asyncio.open_connection("127.0.0.1", uplink.port), b"3") == b"3"

    asyncio.run(scenario())


def test_latency_delays_each_way_and_keeps_the_order() -> None:
    async def scenario() -> None:
        async with echo_through_uplink() as uplink:
            uplink.latency_ms = 50
            reader, writer = await asyncio.open_connection("127.0.0.1", uplink.port)
            begun = time.monotonic()
            assert await echoed(reader, writer, b"1") == b"1"
            assert time.monotonic() - begun >= 0.1
            data = bytes(range(256)) * 500
            assert await echoed(reader, writer, data) == data

    asyncio.run(scenario())


def test_a_target_that_is_down_resets_the_connection() -> None:
    async def scenario() -> None:
        uplink = Uplink(1)
        await uplink.start()
        reader, writer = await asyncio.open_connection("127.0.0.1", uplink.port)
        with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
            await echoed(reader, writer, b"1")
        await uplink.stop()

    asyncio.run(scenario())


def test_a_lost_segment_comes_when_it_is_sent_again_and_in_its_order() -> None:
    async def scenario() -> None:
        async with echo_through_uplink() as uplink:
            uplink.fault("lossy")
            reader, writer = await asyncio.open_connection("127.0.0.1", uplink.port)
            took_s = []
            for number in range(6):
                begun = time.monotonic()
                data = bytes([number]) * (ACKNOWLEDGEMENT_BYTES + 1)
                assert await echoed(reader, writer, data) == data
                took_s.append(time.monotonic() - begun)
            # Of each pair of segments, there and back, the fourth, eighth and twelfth were lost.
            assert [took >= SENT_AGAIN_MS / 1000 for took in took_s] == [False, True] * 3

    asyncio.run(scenario())


def test_a_lossy_connection_is_reset_in_the_end_and_the_next_one_works() -> None:
    async def scenario() -> None:
        async with echo_through_uplink() as uplink:
            reader, writer = await asyncio.open_connection("127.0.0.1", uplink.port)
            data = bytes(ACKNOWLEDGEMENT_BYTES + 1)
            for _ in range(RESET_AFTER // 2):
                assert await echoed(reader, writer, data) == data
            uplink.fault("lossy")
            with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
                await echoed(reader, writer, data)
            assert await echoed(*await asyncio.open_connection("127.0.0.1", uplink.port), b"1") == b"1"

    asyncio.run(scenario())


@pytest.mark.parametrize("fault", ["port_closed", "host_unreachable", "broker_silent", "tls_expired"])
def test_a_fault_that_is_switched_off_is_gone_and_so_is_one_that_was_switched_on_twice(fault: str) -> None:
    async def scenario() -> None:
        async with echo_through_uplink(TestAuthority()) as uplink:
            for _ in range(2):
                uplink.fault(fault)
                uplink.fault(fault)
                assert uplink.has(fault)
                uplink.fault(fault, False)
                assert await echoed(*await asyncio.open_connection("127.0.0.1", uplink.port), b"1") == b"1"

    asyncio.run(scenario())


def test_a_fault_that_does_not_exist_or_cannot_be_made_is_refused_and_is_not_on() -> None:
    async def scenario() -> None:
        async with echo_through_uplink() as uplink:
            with pytest.raises(ValueError, match="port_closed"):
                uplink.fault("gremlins")
            for fault in ("tls_expired", "acquirer_silent"):
                with pytest.raises(ValueError, match="acquirer|authority"):
                    uplink.fault(fault)
                assert not uplink.has(fault)
            assert await echoed(*await asyncio.open_connection("127.0.0.1", uplink.port), b"1") == b"1"

    asyncio.run(scenario())


def test_it_stops_with_any_fault_on() -> None:
    async def scenario() -> None:
        for fault in Uplink.FAULTS:
            uplink = Uplink(1, TestAuthority())
            uplink.on_acquirer.append(lambda hangs: None)
            await uplink.start()
            uplink.fault(fault)
            await asyncio.wait_for(uplink.stop(), 5)

    asyncio.run(scenario())
