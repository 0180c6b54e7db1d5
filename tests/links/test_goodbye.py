"""A client that is ended while it takes its leave closes its connection all the same."""

from __future__ import annotations

import asyncio

import pytest

from firmware_agent.links.link import LinkSettings
from firmware_agent.links.mqtt_stream import MqttStreamLink
from host_sim.acquirer.equipment import started_clock

LIMIT_S = 20.0
CONNACK = b"\x20\x02\x00\x00"
DISCONNECT = b"\xe0\x00"


def test_a_goodbye_that_is_cancelled_closes_the_connection() -> None:
    async def program() -> None:
        said_goodbye, closed = asyncio.Event(), asyncio.Event()

        async def broker(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            """One that takes the connection, and does not close it when the client says that it goes."""
            await reader.read(1000)
            writer.write(CONNACK)
            while data := await reader.read(1000):
                if DISCONNECT in data:
                    said_goodbye.set()
            closed.set()
            writer.close()

        server = await asyncio.start_server(broker, "127.0.0.1", 0)
        async with server, asyncio.timeout(LIMIT_S):
            port = server.sockets[0].getsockname()[1]
            link = MqttStreamLink(LinkSettings("127.0.0.1", port, "T0000001", 30, None), await started_clock())
            await link.connect(5000)
            leaving = asyncio.create_task(link.disconnect())
            await said_goodbye.wait()
            leaving.cancel()
            with pytest.raises(asyncio.CancelledError):
                await leaving
            await closed.wait()

    asyncio.run(program())
