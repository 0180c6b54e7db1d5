"""An MQTT 3.1.1 client over asyncio streams that never blocks the event loop: the link of terminals on MicroPython.

Three tasks per connection touch the stream, and nobody else: the reader, the writer, and the keeper that pings. So a caller that
is cancelled leaves no half-written packet behind. Numbers in packets: OASIS MQTT 3.1.1, chapters 2 and 3.
"""

import asyncio
import errno

from firmware_agent.compat import tcp
from firmware_agent.links.link import (
    CAUSE_BROKER,
    CAUSE_REFUSED,
    CAUSE_TLS,
    CAUSE_UNREACHABLE,
    CUT_PAYLOAD_BYTES,
    MAX_INCOMING_BYTES,
    MAX_TOPIC_BYTES,
    Inbox,
    LinkError,
    Message,
    check_publication,
    check_topic,
    offline,
    timed_out,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware_agent.links.link import LinkSettings, Will
    from hal.clock import Clock

CONNECT = 0x10
CONNACK = 0x20
PUBLISH = 0x30
PUBACK = 0x40
SUBSCRIBE = 0x82  # with the flags that the standard demands
SUBACK = 0x90
PINGREQ = b"\xc0\x00"
PINGRESP = 0xD0
DISCONNECT = b"\xe0\x00"

DUPLICATE = 0x08
QOS_MASK = 0x06
QOS_1 = 0x02
RETAIN = 0x01

WILL = 0x04  # connect flags
WILL_QOS_1 = 0x08
WILL_RETAIN = 0x20

LONGEST_ANSWER = 3  # remaining length of a SUBACK to one filter
KEPT_BYTES = 2 + MAX_TOPIC_BYTES + 2 + CUT_PAYLOAD_BYTES  # of a publication; what follows is thrown away
LENGTH_BYTES = 4  # of the remaining length, at most
SKIP_BYTES = 512  # read at a time, of what is thrown away
GOODBYE_MS = 1000  # for the broker to read the DISCONNECT packet and close

# CONNACK return codes, MQTT 3.1.1 table 3.1
REFUSALS = {
    1: "protocol version not accepted",
    2: "client identifier rejected",
    3: "server unavailable",
    4: "bad user name or password",
    5: "not authorized",
}


def packet(first: int, *parts: "bytes | bytearray") -> bytearray:
    """A whole packet, so that it leaves in one write: first byte, remaining length, parts."""
    remaining = 0
    for part in parts:
        remaining += len(part)
    out = bytearray([first])
    while remaining > 0x7F:
        out.append(remaining & 0x7F | 0x80)
        remaining >>= 7
    out.append(remaining)
    for part in parts:
        out.extend(part)
    return out


def field(data: bytes) -> bytes:
    """A string or binary field: two bytes of length, then the bytes."""
    return len(data).to_bytes(2, "big") + data


def connect_packet(client_id: str, keepalive_s: int, will: "Will | None") -> bytearray:
    flags = 0
    parts = [field(client_id.encode())]
    if will is not None:
        topic, payload, retain = will
        flags |= WILL | WILL_QOS_1 | (WILL_RETAIN if retain else 0)
        parts += [field(topic.encode()), field(payload)]
    return packet(CONNECT, b"\x00\x04MQTT\x04", bytes([flags]), keepalive_s.to_bytes(2, "big"), *parts)


def parse_connack(first: int, body: bytearray) -> bool:
    """True when the broker kept the session. Raises LinkError E_REFUSED, E_PROTOCOL."""
    if first != CONNACK or len(body) != 2 or body[0] > 1 or body[1] > len(REFUSALS):
        raise _hostile("no CONNACK but packet 0x%02x of %d bytes" % (first, len(body)))
    if body[1]:
        raise LinkError("E_REFUSED", REFUSALS[body[1]])
    return body[0] == 1


def parse_publish(first: int, body: bytearray) -> "tuple[str, bytes, int]":
    """(topic, payload or its first CUT_PAYLOAD_BYTES, packet identifier or 0 at QoS 0). Raises LinkError E_PROTOCOL."""
    qos = first & QOS_MASK
    if qos > QOS_1 or (qos == 0 and first & DUPLICATE):
        raise _hostile("publication with flags 0x%02x" % (first & 0x0F))
    if len(body) < 2:
        raise _hostile("publication without a topic")
    end = 2 + (body[0] << 8 | body[1])
    if not 2 < end <= min(len(body), 2 + MAX_TOPIC_BYTES):
        raise _hostile("topic length %d" % (end - 2))
    try:
        topic = bytes(body[2:end]).decode()
    except UnicodeError:
        topic = ""
    if not topic or "+" in topic or "#" in topic or "\0" in topic:
        raise _hostile("topic that is not UTF-8, or with a forbidden character")
    identifier = 0
    if qos:
        if len(body) < end + 2:
            raise _hostile("publication without an identifier")
        identifier = body[end] << 8 | body[end + 1]
        if identifier == 0:
            raise _hostile("identifier 0")
        end += 2
    return topic, bytes(memoryview(body)[end : end + CUT_PAYLOAD_BYTES]), identifier


def translated(error: Exception) -> LinkError:
    """What a stream raised, as the link's error."""
    if isinstance(error, LinkError):
        return error
    if tcp.is_tls_error(error):
        return LinkError("E_TLS", str(error).strip(), tcp.tls_cause(error))
    if error.args and error.args[0] == errno.ETIMEDOUT:
        return LinkError("E_TIMEOUT", "the network gave up")
    return LinkError("E_OFFLINE", "connection failed: %s" % error)


def _hostile(detail: str) -> LinkError:
    return LinkError("E_PROTOCOL", detail)


class MqttStreamLink:
    """See the contract in firmware_agent.links.link. Opens nothing before connect."""

    def __init__(self, settings: "LinkSettings", clock: "Clock") -> None:
        self._settings = settings
        self._clock = clock
        self._turn = asyncio.Lock()  # one publication or subscription at a time
        self._head = bytearray(2)
        self._identifier = 0
        self._reached = CAUSE_UNREACHABLE  # how far connect has come, as the cause it would fail with
        self._number = 0  # of the connection: an acknowledgement belongs to one
        self._tasks: list[asyncio.Task[None]] = []
        self._stream: tcp.Stream | None = None
        self._error: LinkError | None = LinkError("E_OFFLINE", "not connected")
        self._inbox = Inbox()
        self._outgoing: list[bytes | bytearray] = []
        self._something_to_send = asyncio.Event()
        self._ended = asyncio.Event()
        self._awaited = (0, 0)  # packet type and identifier of the answer that _exchange waits for
        self._answer: int | None = None
        self._answered = asyncio.Event()
        self._heard = False  # since the keeper last looked: did the broker send, did we
        self._said = False
        self._holding = False  # the reader waits for room in the inbox

    @property
    def connected(self) -> bool:
        return self._stream is not None

    async def connect(self, timeout_ms: int, will: "Will | None" = None) -> bool:
        self._close(LinkError("E_OFFLINE", "connecting"))
        error = LinkError("E_OFFLINE", "connect was cancelled")
        kept = None
        try:
            kept = await self._clock.wait_for(self._open(will), timeout_ms)
        except LinkError as failure:
            error = failure
        except OSError:
            error = timed_out(self._reached, timeout_ms)
        finally:
            if kept is None:
                self._close(error)
        if kept is None:
            raise error
        return kept

    async def subscribe(self, topic: str, timeout_ms: int) -> None:
        check_topic(topic)
        granted = await self._exchange(SUBSCRIBE, (field(topic.encode()), b"\x01"), SUBACK, timeout_ms)
        if granted != 1:
            raise LinkError("E_REFUSED", "subscription to " + topic)

    async def publish(self, topic: str, payload: bytes, retain: bool, timeout_ms: int) -> None:
        check_publication(topic, payload)
        await self._exchange(PUBLISH | QOS_1 | (RETAIN if retain else 0), (field(topic.encode()), payload), PUBACK, timeout_ms)

    async def receive(self) -> Message:
        return await self._inbox.take()

    async def acknowledge(self, message: Message) -> None:
        number, identifier = message.token
        if number == self._number and identifier and self.connected:
            self._send(packet(PUBACK, identifier.to_bytes(2, "big")))

    async def disconnect(self) -> None:
        gone = LinkError("E_OFFLINE", "disconnected")
        if self.connected:
            # What is on its way is read and forgotten until the broker closes: a socket that is closed with something unread resets the
            # connection, and the broker may publish the will.
            self._inbox.close(gone)
            self._send(DISCONNECT)
            try:
                await self._clock.wait_for(self._ended.wait(), GOODBYE_MS)
            except OSError:
                pass  # it could not be sent, or the broker is slow
            finally:  # also when whoever waits here is cancelled: a broker that believes in an old connection serves that one
                self._close(gone)

    # One connection: opened by _open, ended by _close, whoever finds the reason first.

    async def _open(self, will: "Will | None") -> bool:
        settings = self._settings
        stream = None
        kept = None
        error = None
        try:
            self._reached = CAUSE_UNREACHABLE
            connection = await tcp.open_socket(self._clock, settings.host, settings.port)
            self._reached = CAUSE_BROKER if settings.tls is None else CAUSE_TLS
            stream = await tcp.open_stream(self._clock, connection, settings.tls)
            await stream.write(connect_packet(settings.client_id, settings.keepalive_s, will))
            self._reached = CAUSE_BROKER
            first, remaining = await self._read_head(stream)
            kept = parse_connack(first, await self._read_body(stream, remaining))
        except tcp.ResolveError:
            error = LinkError("E_RESOLVE", settings.host)
        except (OSError, ValueError, LinkError) as failure:
            error = self._not_opened(failure)
        finally:
            if kept is None and stream is not None:
                stream.close()
        if stream is None or kept is None:
            raise error or LinkError("E_OFFLINE", "not connected")
        self._stream = stream
        self._number += 1
        self._error = None
        self._inbox.open()
        self._outgoing = []
        self._heard = self._said = True
        self._holding = False
        self._ended.clear()
        self._tasks = [asyncio.create_task(work(stream)) for work in (self._read, self._write, self._keep)]
        return kept

    def _not_opened(self, failure: Exception) -> LinkError:
        """What ended _open, as the link's error."""
        if self._reached == CAUSE_UNREACHABLE:
            refused = failure.args and failure.args[0] in (errno.ECONNREFUSED, errno.ECONNRESET)
            return offline(CAUSE_REFUSED if refused else CAUSE_UNREACHABLE)
        error = translated(failure)
        return offline(self._reached) if error.code == "E_OFFLINE" else error

    def _close(self, error: LinkError) -> None:
        """End the connection and tell whoever waits. Nothing to do when it has ended already."""
        stream = self._stream
        if stream is None:
            return
        self._stream = None
        self._error = error
        for task in self._tasks:
            if task is not asyncio.current_task():
                task.cancel()
        self._tasks = []
        stream.close()
        self._inbox.close(error)
        self._answered.set()
        self._ended.set()

    async def _read(self, stream: "tcp.Stream") -> None:
        try:
            while True:
                first, remaining = await self._read_head(stream)
                if first & 0xF0 == PUBLISH:
                    self._holding = True
                    await self._inbox.room()
                    self._heard = True  # the keeper begins anew: until now nothing could be heard
                    self._holding = False
                self._handle(first, await self._read_body(stream, remaining))
        except (OSError, ValueError, LinkError) as error:
            self._close(translated(error))

    async def _write(self, stream: "tcp.Stream") -> None:
        try:
            while True:
                while self._outgoing:
                    await stream.write(self._outgoing.pop(0))
                    self._said = True
                self._something_to_send.clear()
                await self._something_to_send.wait()
        except (OSError, ValueError) as error:
            self._close(translated(error))

    async def _keep(self, stream: "tcp.Stream") -> None:
        """Ping when one side was silent. Three looks per keepalive: sent in time, and a dead connection noticed within it.

        While the reader holds, the pings show a connection that was closed or reset: they cannot be written.
        """
        pinged = False
        while True:
            await self._clock.sleep_ms(self._settings.keepalive_s * 1000 // 3)
            if pinged and not self._heard and not self._holding:
                self._close(LinkError("E_OFFLINE", "no sign of the broker for %d s" % self._settings.keepalive_s))
                return
            pinged = not (self._heard and self._said)
            self._heard = self._said = False
            if pinged:
                self._send(PINGREQ)

    def _send(self, data: "bytes | bytearray") -> None:
        """Hand a packet to the writer."""
        self._outgoing.append(data)
        self._something_to_send.set()

    async def _exchange(self, first: int, parts: "tuple[bytes, bytes]", answer: int, timeout_ms: int) -> int:
        """Send a packet with an identifier and wait for its answer; gives what the answer says. parts: before and after the identifier of
        a publication; a subscription has its identifier first."""
        async with self._turn:
            if self._error is not None:
                raise self._error.fresh()
            self._identifier = self._identifier % 0xFFFF + 1
            identifier = self._identifier.to_bytes(2, "big")
            self._awaited = (answer, self._identifier)
            self._answer = None
            self._answered.clear()
            self._send(packet(first, identifier, *parts) if first == SUBSCRIBE else packet(first, parts[0], identifier, parts[1]))
            try:
                await self._clock.wait_for(self._answered.wait(), timeout_ms)
            except OSError:
                self._close(LinkError("E_TIMEOUT", "no acknowledgement within %d ms" % timeout_ms))
            return self._result()

    def _result(self) -> int:
        """What the answer said, or the error that came instead."""
        if self._answer is not None:
            return self._answer
        if self._error is None:
            raise LinkError("E_OFFLINE", "lost, and connected anew")
        raise self._error.fresh()

    async def _read_head(self, stream: "tcp.Stream") -> "tuple[int, int]":
        """The next packet's first byte and remaining length. Raises LinkError, OSError, ValueError (TLS)."""
        head = self._head
        await self._fill(stream, head)
        first, remaining = head[0], head[1] & 0x7F
        shift = 0
        while head[1] & 0x80:
            shift += 7
            if shift == 7 * LENGTH_BYTES:
                raise _hostile("length without end")
            await self._fill(stream, memoryview(head)[1:])
            remaining |= (head[1] & 0x7F) << shift
        if remaining > (MAX_INCOMING_BYTES if first & 0xF0 == PUBLISH else LONGEST_ANSWER):
            raise _hostile("packet 0x%02x of %d bytes" % (first, remaining))
        return first, remaining

    async def _read_body(self, stream: "tcp.Stream", remaining: int) -> bytearray:
        """What follows the head, at most KEPT_BYTES of it. Raises as _read_head."""
        body = bytearray(min(remaining, KEPT_BYTES))
        await self._fill(stream, body)
        left = remaining - len(body)
        if left:
            scrap = memoryview(bytearray(SKIP_BYTES))
            while left:
                count = min(left, SKIP_BYTES)
                await self._fill(stream, scrap[:count])
                left -= count
        return body

    async def _fill(self, stream: "tcp.Stream", buffer: "bytearray | memoryview") -> None:
        """Read exactly as many bytes as the buffer has. Raises LinkError E_OFFLINE at the end of the stream, OSError, ValueError (TLS)."""
        view = memoryview(buffer)
        done = 0
        while done < len(view):
            length = await stream.readinto(view[done:])
            if length == 0:
                raise LinkError("E_OFFLINE", "closed by the broker")
            self._heard = True
            done += length

    def _handle(self, first: int, body: bytearray) -> None:
        if first & 0xF0 == PUBLISH:
            topic, payload, identifier = parse_publish(first, body)
            self._inbox.put(Message(topic, payload, bool(first & RETAIN), bool(first & DUPLICATE), (self._number, identifier)))
        elif (first == PUBACK and len(body) == 2) or (first == SUBACK and len(body) == 3):
            # Another identifier: the answer to a caller that was cancelled. Nobody waits for it any more.
            if self._awaited == (first, body[0] << 8 | body[1]):
                self._answer = body[2] if first == SUBACK else 0
                self._answered.set()
        elif first != PINGRESP or body:
            raise _hostile("packet 0x%02x of %d bytes" % (first, len(body)))
