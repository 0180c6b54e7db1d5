"""The path between a terminal and its broker: a TCP relay on loopback that can be cut, silenced and slowed."""

from __future__ import annotations

import asyncio
import socket
import struct

HOST = "127.0.0.1"
CHUNK_BYTES = 65536
RESET = struct.pack("ii", 1, 0)  # SO_LINGER on, 0 s: closing sends RST


class Uplink:
    """up: bytes pass, each chunk `latency_ms` later; cut: connections are reset, new ones too; black hole: what exists is frozen, new
    connections are taken and never served. Frozen connections stay frozen after `restore`, as after a router lost its table.
    """

    def __init__(self, target_port: int) -> None:
        self.target_port = target_port
        self.latency_ms = 0
        self.port = 0
        self._mode = "up"
        self._server: asyncio.Server | None = None
        self._relays: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        """Listen on a free port. Raises OSError."""
        self._server = await asyncio.start_server(self._accept, HOST, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close all connections and stop to listen."""
        if self._server is not None:
            self._server.close()
        self._drop()
        relays = list(self._relays)
        for relay in relays:
            relay.cancel()
        await asyncio.gather(*relays, return_exceptions=True)
        if self._server is not None:
            await self._server.wait_closed()
            self._server = None

    def cut(self) -> None:
        """Reset every connection, and each new one."""
        self._mode = "cut"
        self._drop()

    def black_hole(self) -> None:
        """Let nothing through, in either direction, without a word."""
        self._mode = "black_hole"
        for relay in self._relays:
            relay.cancel()

    def restore(self) -> None:
        """New connections pass again."""
        self._mode = "up"

    def _drop(self) -> None:
        for writer in self._writers:
            raw = writer.get_extra_info("socket")
            if raw is not None and raw.fileno() >= 0:
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            writer.transport.abort()
        self._writers.clear()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        if self._mode == "cut":
            self._drop()
            return
        if self._mode == "black_hole":
            return
        try:
            far_reader, far_writer = await asyncio.open_connection(HOST, self.target_port)
        except OSError:  # the broker is down: the terminal sees its connection reset
            self._drop_one(writer)
            return
        self._writers.add(far_writer)
        for source, sink in ((reader, far_writer), (far_reader, writer)):
            relay = asyncio.create_task(self._relay(source, sink))
            self._relays.add(relay)
            relay.add_done_callback(self._relays.discard)

    async def _relay(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        """Pass chunks in their order, each when its time has come."""
        loop = asyncio.get_running_loop()
        on_the_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(maxsize=64)

        async def deliver() -> None:
            while True:
                due, chunk = await on_the_way.get()
                await asyncio.sleep(max(0.0, due - loop.time()))
                if not chunk:
                    sink.close()
                    return
                sink.write(chunk)
                await sink.drain()

        delivery = asyncio.create_task(deliver())
        try:
            chunk = b"?"
            while chunk:
                chunk = await source.read(CHUNK_BYTES)
                await on_the_way.put((loop.time() + self.latency_ms / 1000, chunk))
            await delivery
        except ConnectionError:  # one side was reset: so is the other
            self._drop_one(sink)
        finally:
            delivery.cancel()

    def _drop_one(self, writer: asyncio.StreamWriter) -> None:
        self._writers.discard(writer)
        writer.transport.abort()
