"""Serves one bench to a MicroPython process over a Unix socket: fixed frames, one request and one answer at a time.

Request: operation uint8, unit uint16, argument int32, length of the data uint32, the data. Answer: errno uint16 (0: done), number int32,
length uint32, the data. All little-endian. The
operations in UNANSWERED have no answer. The other end is client.py beside this file.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import struct

from host_sim.bench import MOST_BYTES, Bench
from host_sim.machine.client import ANSWER_FORMAT, REQUEST_FORMAT, SOCKET_VARIABLE, UNANSWERED, UNEXPECTED
from host_sim.machine.machine import TIME_FORMAT, TIME_WAIT, MachineReset
from host_sim.mishaps import Hang
from host_sim.simulated_time import Guest

REQUEST = struct.Struct(REQUEST_FORMAT)
ANSWER = struct.Struct(ANSWER_FORMAT)


class MachineProtocol(asyncio.Protocol):
    """One connection. A frame that no client sends closes it: what follows such a frame cannot be read as frames either."""

    def __init__(self, bench: Bench, connections: set[MachineProtocol], guest: Guest | None) -> None:
        self._bench = bench
        self._guest = guest
        self._connections = connections  # those that are open
        self._received = bytearray()
        self._transport: asyncio.Transport | None = None
        self._halted = False  # a call of this program will never return

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._connections.add(self)
        if self._guest is not None:
            self._guest.connection = transport.get_extra_info("socket").fileno()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._guest is not None:
            self._guest.end()
        self._connections.discard(self)

    def abort(self) -> None:
        """Close at once; nothing that was received is obeyed any more."""
        if self._transport is not None:
            self._transport.abort()
            self._transport = None
            if self._guest is not None:
                self._guest.end()

    def pause_writing(self) -> None:
        """The client does not read its answers: read no more requests until it does."""
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        if self._transport is not None:
            self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        if self._halted:
            return
        received = self._received
        received += data
        at = 0
        while self._transport is not None and len(received) - at >= REQUEST.size:
            operation, unit, argument, length = REQUEST.unpack_from(received, at)
            if length > MOST_BYTES:
                self.abort()
                return
            end = at + REQUEST.size + length
            if len(received) < end:
                break
            if operation == TIME_WAIT and self._guest is not None:
                self._guest.wait(argument, self._go_on)
            else:
                answer = self._answer(operation, unit, argument, bytes(received[at + REQUEST.size : end]))
                if answer is None:
                    self._halted = True
                    return
                if operation not in UNANSWERED:
                    self._transport.write(answer)
            at = end
        del received[:at]

    def _go_on(self, has_news: bool) -> None:
        """The program's wait is over."""
        if self._transport is not None:
            now = struct.pack(TIME_FORMAT, self._bench.time.now_ms(), self._bench.time.time())
            self._transport.write(ANSWER.pack(0, has_news, len(now)) + now)

    def _answer(self, operation: int, unit: int, argument: int, data: bytes) -> bytes | None:
        """None: the call does not return."""
        try:
            number, answer = self._bench.transact(operation, unit, argument, data)
        except OSError as error:
            return ANSWER.pack(error.errno or errno.EIO, 0, 0)
        except RuntimeError:
            return ANSWER.pack(UNEXPECTED, 0, 0)
        except MachineReset:  # whoever runs the program has ended it
            self.abort()
            return None
        except Hang:
            if self._guest is not None:
                self._guest.stand_still()
            return None
        return ANSWER.pack(0, number, len(answer)) + answer


class BenchServer:
    """Listens on a Unix socket at `path`; a MicroPython process finds it by the environment variable ENVIRONMENT. guest: what that
    process is to simulated time; the bench has that time.
    """

    ENVIRONMENT = SOCKET_VARIABLE

    def __init__(self, bench: Bench, path: str, guest: Guest | None = None) -> None:
        self._bench = bench
        self._path = path
        self._guest = guest
        self._server: asyncio.Server | None = None
        self._connections: set[MachineProtocol] = set()

    async def start(self) -> None:
        """Raises OSError, for one when the path is too long for a Unix socket (107 bytes on Linux)."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(lambda: MachineProtocol(self._bench, self._connections, self._guest), self._path)

    async def stop(self) -> None:
        """Close every connection, and remove the socket."""
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        for connection in list(self._connections):
            connection.abort()
        await server.wait_closed()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)
