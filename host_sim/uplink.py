"""The path between a terminal and its broker: a TCP relay on loopback that can be cut, silenced, slowed and broken."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import ssl
import struct
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import ClassVar

from host_sim.chips.faces import Breakable, Fault
from host_sim.pki import Credential, TestAuthority

HOST = "127.0.0.1"
CHUNK_BYTES = 65536
RESET = struct.pack("ii", 1, 0)  # SO_LINGER on, 0 s: closing sends RST
BACKLOG = 100
FILLERS = 4  # connections that fill a backlog of 0, for sure
SLOW_MS = 1500  # each way
# lossy: of the segments of a connection that carry more than an acknowledgement one in LOST_EVERY is lost, and comes when it is sent again.
# An inquiry of the terminal's makes three of these (itself, its answer, the receipt), so that the loss meets each of them in turn.
LOST_EVERY = 4
SENT_AGAIN_MS = 1200  # RFC 6298: not before 1 s
RESET_AFTER = 120  # such segments
ACKNOWLEDGEMENT_BYTES = 100  # of MQTT in TLS, at most
CONNACK_NOT_AUTHORIZED = b"\x20\x02\x00\x05"  # MQTT 3.1.1, table 3.1

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Uplink(Breakable):
    """up: bytes pass, each chunk `latency_ms` later; cut: connections are reset, new ones too; black hole: what exists is frozen, new
    connections are taken and never served. Frozen connections stay frozen after `restore`, as after a router lost its table.

    Beside these it has faults, as chips have. authority: the broker's, for those that answer in the broker's place. A fault that changes
    who answers ends or freezes the connections there are; when it is switched off, new ones pass again.
    """

    FAULTS: ClassVar[dict[str, Fault]] = {
        "host_unreachable": Fault("nothing answers at the broker's address", "host_unreachable", "network"),
        "port_closed": Fault("the broker's machine answers, and nobody listens on the port", "port_closed", "network"),
        "tls_wrong_name": Fault("the broker shows a certificate for another name", "tls_name", "network"),
        "tls_wrong_authority": Fault("the broker shows a certificate of another authority", "tls_authority", "network"),
        "tls_expired": Fault("the broker's certificate has expired", "certificate_expired", "network"),
        "tls_not_yet_valid": Fault("the broker's certificate is not valid before tomorrow", "certificate_expired", "network"),
        "broker_refuses": Fault("the broker answers that the terminal is not authorized", "broker_refused", "network"),
        "broker_silent": Fault("the broker takes the connection, and never answers", "broker_silent", "network"),
        "acquirer_silent": Fault("the broker works, and the acquirer behind it hangs", "acquirer_silent", "network"),
        "slow": Fault(f"everything takes {SLOW_MS} ms longer, in each direction", "slow", "network"),
        "lossy": Fault("segments are lost and come when they are sent again; now and then a connection is reset", "lossy", "network"),
    }

    _IMPERSONATED = ("tls_wrong_name", "tls_wrong_authority", "tls_expired", "tls_not_yet_valid", "broker_refuses", "broker_silent")

    BREAK_IN_SERVICE: ClassVar[frozenset[str]] = frozenset(FAULTS)

    def __init__(self, target_port: int, authority: TestAuthority | None = None) -> None:
        super().__init__()
        self.target_port = target_port
        self.latency_ms = 0
        self.port = 0
        self.on_acquirer: list[Callable[[bool], None]] = []  # told when the acquirer begins or ceases to hang: True, False
        self._authority = authority
        self._mode = "up"
        self._listener: _Listener | None = None
        self._impostor: _Impostor | None = None
        self._closed: list[socket.socket] = []  # that hold the port while nobody listens
        self._relays: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._ends: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen on a free port. Raises OSError."""
        self._listen()
        assert self._listener is not None
        await self._listener.ready()

    async def stop(self) -> None:
        """Close all connections and stop to listen."""
        self._close()
        if self._impostor is not None:
            self._end(self._impostor.stop())
            self._impostor = None
        self._drop()
        relays = list(self._relays)
        for relay in relays:
            relay.cancel()
        await asyncio.gather(*relays, *self._ends, return_exceptions=True)

    def cut(self) -> None:
        """Reset every connection, and each new one."""
        self._mode = "cut"
        self._drop()

    def black_hole(self) -> None:
        """Let nothing through, in either direction, without a word."""
        self._mode = "black_hole"
        self._freeze()

    def restore(self) -> None:
        """New connections pass again."""
        self._mode = "up"

    @property
    def is_up(self) -> bool:
        """Neither cut nor a black hole; what its faults do is another thing."""
        return self._mode == "up"

    def fault(self, name: str, on: bool = True) -> None:
        """Switch a fault on or off; only while it is started. Raises ValueError with the list of what exists."""
        if name not in self.FAULTS:
            raise ValueError(f"{type(self).__name__} has no fault {name!r}; it has: {', '.join(sorted(self.FAULTS))}")
        if on == self.has(name):
            return
        if name == "acquirer_silent" and not self.on_acquirer:
            raise ValueError("there is no acquirer to hang")
        if name in self._IMPERSONATED and self._authority is None:
            raise ValueError(f"{name} needs the broker's authority")
        (self._faults.add if on else self._faults.discard)(name)
        if name == "acquirer_silent":
            for tell in self.on_acquirer:
                tell(on)
        elif name == "port_closed":
            self._drop()
            self._answer(not on, 0)
        elif name == "host_unreachable":
            self._freeze()
            self._answer(not on, FILLERS)
        elif name in self._IMPERSONATED:
            self._impersonate(name if on else "")

    # Who answers.

    def _answer(self, listens: bool, fillers: int) -> None:
        """Listen on the port, or hold it: without a listener at all, or with one whose queue is full, so that a SYN is never answered."""
        self._close()
        if listens:
            self._listen()
            return
        self._closed = [_bound(self.port)]
        if fillers:
            self._closed[0].listen(0)
            for _ in range(fillers):
                filler = socket.socket()
                filler.setblocking(False)
                filler.connect_ex((HOST, self.port))
                self._closed.append(filler)

    def _listen(self) -> None:
        listening = _bound(self.port)
        listening.listen(BACKLOG)
        self.port = listening.getsockname()[1]
        self._listener = _Listener(listening, self._accept)

    def _close(self) -> None:
        if self._listener is not None:
            self._end(self._listener.stop())
            self._listener = None
        for held in self._closed:
            held.close()
        self._closed = []

    def _impersonate(self, fault: str) -> None:
        """From now on another server takes the connections, in the broker's place; or none, for ''."""
        self._freeze()
        if self._impostor is not None:
            self._end(self._impostor.stop())
            self._impostor = None
        if fault and self._authority is not None:
            self._impostor = _Impostor(fault, self._authority)

    def _end(self, work: Awaitable[None]) -> None:
        """Let something end in its own time; `stop` waits for it."""
        task = asyncio.ensure_future(work)
        self._ends.add(task)
        task.add_done_callback(self._ends.discard)

    def _freeze(self) -> None:
        for relay in self._relays:
            relay.cancel()

    def _drop(self) -> None:
        for writer in self._writers:
            _reset(writer)
        self._writers.clear()

    # Connections.

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        if self._mode == "cut":
            self._drop()
            return
        if self._mode == "black_hole":
            return
        try:
            far_reader, far_writer = await asyncio.open_connection(HOST, self._impostor.port if self._impostor else self.target_port)
        except OSError:  # the broker is down: the terminal sees its connection reset
            self._drop_one(writer)
            return
        self._writers.add(far_writer)
        segments = itertools.count(1)
        for source, sink in ((reader, far_writer), (far_reader, writer)):
            relay = asyncio.create_task(self._relay(source, sink, segments))
            self._relays.add(relay)
            relay.add_done_callback(self._relays.discard)

    async def _relay(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, segments: Iterator[int]) -> None:
        """Pass chunks in their order, each when its time has come. segments: numbers those that carry something, in both directions."""
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
                number = next(segments) if len(chunk) > ACKNOWLEDGEMENT_BYTES else 0
                if self.has("lossy") and number > RESET_AFTER:
                    _reset(sink)
                    raise ConnectionResetError
                await on_the_way.put((loop.time() + self._delay_ms(number) / 1000, chunk))
            await delivery
        except ConnectionError:  # one side was reset: so is the other
            self._drop_one(sink)
        finally:
            delivery.cancel()

    def _delay_ms(self, number: int) -> int:
        """How long a chunk is on its way. number: of its segment, 0 for an acknowledgement."""
        delay_ms = self.latency_ms
        if self.has("slow"):
            delay_ms += SLOW_MS
        if self.has("lossy") and number and number % LOST_EVERY == 0:
            delay_ms += SENT_AGAIN_MS
        return delay_ms

    def _drop_one(self, writer: asyncio.StreamWriter) -> None:
        self._writers.discard(writer)
        writer.transport.abort()


class _Listener:
    """A server on a socket that listens already, so that a connection made before the server runs only waits."""

    def __init__(self, listening: socket.socket, serve: Serve, context: ssl.SSLContext | None = None) -> None:
        self._listening = listening
        self._server: asyncio.Server | None = None
        self._start = asyncio.ensure_future(self._serve(serve, context))

    async def ready(self) -> None:
        await self._start

    def stop(self) -> Awaitable[None]:
        """Listen no more, from now on; gives what remains to be awaited."""
        self._start.cancel()
        if self._server is not None:
            self._server.close()
        else:
            self._listening.close()
        return self._ended()

    async def _serve(self, serve: Serve, context: ssl.SSLContext | None) -> None:
        # Not both in one: a server that is cancelled while it starts would stay with the event loop, and nobody could close it.
        self._server = await asyncio.start_server(serve, sock=self._listening, ssl=context, start_serving=False)
        await self._server.start_serving()

    async def _ended(self) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await self._start


class _Impostor:
    """A TLS server in the broker's place, with a certificate that a terminal must not trust, or that is good; it never becomes a broker."""

    def __init__(self, fault: str, authority: TestAuthority) -> None:
        self._refuses = fault == "broker_refuses"
        self._writers: set[asyncio.StreamWriter] = set()
        listening = _bound(0)
        listening.listen(BACKLOG)
        self.port: int = listening.getsockname()[1]
        self._listener = _Listener(listening, self._serve, _server_context(_certificate(fault, authority)))

    def stop(self) -> Awaitable[None]:
        """As of a listener."""
        for writer in self._writers:
            writer.transport.abort()
        return self._listener.stop()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        with contextlib.suppress(OSError):
            while await reader.read(CHUNK_BYTES):
                if self._refuses:
                    writer.write(CONNACK_NOT_AUTHORIZED)
                    await writer.drain()
                    break
        if self._refuses:
            writer.close()
        self._writers.discard(writer)


def _certificate(fault: str, authority: TestAuthority) -> Credential:
    if fault == "tls_wrong_name":
        return authority.server(("other.example",))
    if fault == "tls_wrong_authority":
        return TestAuthority("Reinstate TEST CA of somebody else").server()
    if fault == "tls_expired":
        return authority.server(days=-1)
    if fault == "tls_not_yet_valid":
        return authority.server(days=3, from_day=2)
    return authority.server()


def _server_context(credential: Credential) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory(prefix="reinstate-") as folder:  # OpenSSL reads keys from files only
        file = Path(folder) / "server.pem"
        file.touch(mode=0o600)
        file.write_bytes(credential.private_key_pem + credential.certificate_pem)
        context.load_cert_chain(file)
    return context


def _bound(port: int) -> socket.socket:
    """A socket of our own on that port of loopback, on a free one for 0. Raises OSError."""
    held = socket.socket(proto=socket.IPPROTO_TCP)  # named, so that asyncio sets TCP_NODELAY on what is accepted
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.setblocking(False)
    held.bind((HOST, port))
    return held


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with a RST."""
    raw = writer.get_extra_info("socket")
    if raw is not None and raw.fileno() >= 0:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    writer.transport.abort()
