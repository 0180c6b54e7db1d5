"""The link of Linux terminals: paho-mqtt 2.x behind the contract in firmware_agent.links.link.

paho works in one thread per connection, which ends with it. What it meets is handed to the event loop, where all state lives.
paho pings by the machine's own time, not by hal.clock. It puts a publication together before it hands it over: one that is too large
is held, up to MAX_INCOMING_BYTES and what one look at the socket gives, until its last byte has come.
"""

import asyncio
import socket
import ssl
import struct
import threading

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

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
from firmware_agent.links.tcp_cpython import check_dates, is_tls_error, tls_cause, tls_context

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from firmware_agent.links.link import LinkSettings, Tls, Will
    from hal.clock import Clock

GOODBYE_MS = 1000  # for the broker to read the DISCONNECT packet and close
HOLD_S = 0.05  # how long the thread waits for room in the inbox before it looks whether there is something to send

# What ends paho's loop, as the link's error; anything else is a lost connection.
_ENDINGS = {
    MQTTErrorCode.MQTT_ERR_PROTOCOL: ("E_PROTOCOL", "the broker sent what is not MQTT"),
    MQTTErrorCode.MQTT_ERR_KEEPALIVE: ("E_OFFLINE", "no sign of the broker"),
}


class MqttPahoLink:
    """See the contract in firmware_agent.links.link. Opens nothing before connect."""

    def __init__(self, settings: "LinkSettings", clock: "Clock") -> None:
        self._settings = settings
        self.clock = clock
        self._turn = asyncio.Lock()  # one publication or subscription at a time
        self._client: _Client | None = None
        self._connected = False
        self._error: LinkError = LinkError("E_OFFLINE", "not connected")
        self._inbox = Inbox()
        self._kept = False
        self._awaited = 0  # paho's message identifier of the answer that _exchange waits for
        self._answer: int | None = None
        self._answered = asyncio.Event()

    @property
    def connected(self) -> bool:
        return self._connected

    async def connect(self, timeout_ms: int, will: "Will | None" = None) -> bool:
        self._close(LinkError("E_OFFLINE", "connecting"))
        settings = self._settings
        try:
            context = None if settings.tls is None else tls_context(settings.tls)
        except (OSError, ValueError) as failure:
            raise LinkError("E_TLS", str(failure)) from failure
        self._answered.clear()
        self._client = client = _Client(self, settings, context, timeout_ms, will)
        try:
            client.connect_async(settings.host, settings.port, max(1, settings.keepalive_s // 2))  # paho notices within twice as long
            client.loop_start()
            await self.clock.wait_for(self._answered.wait(), timeout_ms)
        except OSError as failure:
            self._close(timed_out(client.reached, timeout_ms))
            raise self._error from failure
        finally:
            if not self._connected:
                self._close(LinkError("E_OFFLINE", "connect was cancelled"))
        if not self._connected:
            raise self._error.fresh()
        return self._kept

    async def subscribe(self, topic: str, timeout_ms: int) -> None:
        check_topic(topic)
        granted = await self._exchange(lambda client: client.subscribe(topic, qos=1), timeout_ms)
        if granted != 1:
            raise LinkError("E_REFUSED", "subscription to " + topic)

    async def publish(self, topic: str, payload: bytes, retain: bool, timeout_ms: int) -> None:
        check_publication(topic, payload)

        def send(client: "_Client") -> "tuple[MQTTErrorCode, int | None]":
            info = client.publish(topic, payload, qos=1, retain=retain)
            return info.rc, info.mid

        await self._exchange(send, timeout_ms)

    async def receive(self) -> Message:
        message = await self._inbox.take()
        self._let_read()
        return message

    async def acknowledge(self, message: Message) -> None:
        client: _Client
        client, identifier = message.token
        if client is self._client and identifier:
            client.ack(identifier, 1)

    async def disconnect(self) -> None:
        client = self._client
        if client is not None and self._connected:
            client.leave()
            try:
                await self.clock.wait_for(client.ended.wait(), GOODBYE_MS)
            except OSError:
                pass  # it could not be sent, or the broker is slow
        self._close(LinkError("E_OFFLINE", "disconnected"))

    async def _exchange(self, send: "Any", timeout_ms: int) -> int:
        """Let `send(client)` give (error code, identifier), and wait for the answer to it; gives what the answer says."""
        async with self._turn:
            client = self._client
            if client is None or not self._connected:
                raise self._error.fresh()
            self._answer = None
            self._answered.clear()
            try:
                code, identifier = send(client)
            except ValueError as failure:
                raise LinkError("E_REFUSED", str(failure)) from failure
            self._awaited = identifier or 0
            try:
                if code == MQTTErrorCode.MQTT_ERR_SUCCESS:
                    await self.clock.wait_for(self._answered.wait(), timeout_ms)
                else:
                    self._close(LinkError("E_OFFLINE", "paho: " + paho.error_string(code)))
            except OSError:
                self._close(LinkError("E_TIMEOUT", "no acknowledgement within %d ms" % timeout_ms))
            return self._result()

    def _result(self) -> int:
        """What the answer said, or the error that came instead."""
        if self._answer is not None:
            return self._answer
        raise self._error.fresh()

    def _close(self, error: LinkError) -> None:
        """End the connection and tell whoever waits. Nothing to do when it has ended already."""
        client, self._client = self._client, None
        if client is None:
            return
        self._connected = False
        self._error = error
        client.abandon()
        self._inbox.close(error)
        self._answered.set()

    def _let_read(self) -> None:
        """The thread may read the next publication, if there is room for it."""
        if self._client is not None and self._inbox.has_room:
            self._client.room.set()

    # Called in the event loop, with what the thread of `client` met.

    def opened(self, client: "_Client", kept: bool) -> None:
        if client is self._client:
            self._connected = True
            self._kept = kept
            self._inbox.open()
            self._answered.set()

    def arrived(self, client: "_Client", message: Message) -> None:
        if client is self._client:
            self._inbox.put(message)
            self._let_read()

    def answered(self, client: "_Client", identifier: int, answer: int) -> None:
        if client is self._client and identifier == self._awaited:
            self._answer = answer
            self._answered.set()

    def ended(self, client: "_Client", error: LinkError) -> None:
        client.ended.set()
        if client is self._client:
            self._close(error)


class _Client(paho.Client):
    """One connection. Everything below `adopt` runs in paho's thread, and tells the link through the event loop.

    room: cleared by the thread with each publication it hands over, set by the event loop when the next one has room.
    """

    def __init__(
        self, link: MqttPahoLink, settings: "LinkSettings", context: "ssl.SSLContext | None", timeout_ms: int, will: "Will | None"
    ) -> None:
        super().__init__(
            CallbackAPIVersion.VERSION2,
            settings.client_id,
            clean_session=False,
            protocol=paho.MQTTv311,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        self.ended = asyncio.Event()
        self.room = threading.Event()
        self.room.set()
        self._link = link
        self.clock = link.clock
        self._events = asyncio.get_running_loop()
        self._abandoned = False
        self._leaving = False
        self._open_socket: socket.socket | None = None
        self._tls_alert: str = ""
        self.reached = CAUSE_UNREACHABLE  # how far it has come, as the cause it would fail with
        self.connect_timeout = timeout_ms / 1000
        if settings.tls is not None and context is not None:
            self.tls_set_context(_NamedServer(self, context, settings.tls))  # type: ignore[arg-type]
        if will is not None:
            topic, payload, retain = will
            self.will_set(topic, payload, qos=1, retain=retain)
        self.on_socket_open = self._on_open
        self.on_socket_close = self._on_close
        self.on_connect = self._on_connected
        self.on_message = self._on_arrived
        self.on_publish = self._on_published
        self.on_subscribe = self._on_subscribed
        self.on_log = self._on_logged

    def leave(self) -> None:
        """End the connection in order; `ended` is set when it has."""
        self._leaving = True
        self.disconnect()

    def abandon(self) -> None:
        """Tear the connection, in whatever state the thread is, so that it ends; without a DISCONNECT, so that a will is published."""
        self._abandoned = True
        self.manual_ack_set(False)
        if self._open_socket is not None:
            _shut(self._open_socket)

    def adopt(self, connection: socket.socket) -> None:
        """A new socket of this connection."""
        self._open_socket = connection
        if self._abandoned:
            raise ConnectionAbortedError("abandoned")

    def loop_forever(self, timeout: float = 1.0, retry_first_connection: bool = False) -> MQTTErrorCode:
        """What paho's thread runs: connect and serve, once."""
        code = MQTTErrorCode.MQTT_ERR_UNKNOWN
        try:
            code = super().loop_forever(timeout, retry_first_connection=False)
            if self._tls_alert:
                error = LinkError("E_TLS", self._tls_alert)
            elif self.reached and code not in _ENDINGS:
                error = offline(self.reached)
            else:
                error = LinkError(*_ENDINGS.get(code, ("E_OFFLINE", "closed by the broker")))
        except (OSError, ValueError, IndexError, struct.error) as failure:
            error = self._translated(failure)
        if self._open_socket is not None:
            self._open_socket.close()  # paho leaves it open after an exception
        self._tell(self._link.ended, self, error)
        return code

    def loop_read(self, max_packets: int = 1) -> MQTTErrorCode:
        """What paho's loop calls when the socket has something. While the inbox is full it stays there."""
        if self._holds():
            self.room.wait(HOLD_S)
            return MQTTErrorCode.MQTT_ERR_SUCCESS
        code = super().loop_read(max_packets)
        if self._in_packet["remaining_length"] > MAX_INCOMING_BYTES:
            return MQTTErrorCode.MQTT_ERR_PROTOCOL
        return code

    def loop_misc(self) -> MQTTErrorCode:
        """What paho's loop calls at each turn, to ping and to miss the answer. While the inbox is full the answer cannot be heard."""
        if self._holds():
            self._ping_t = 0.0
        return super().loop_misc()

    def _holds(self) -> bool:
        return not (self.room.is_set() or self._leaving or self._abandoned)

    def _tell(self, report: "Any", *arguments: "Any") -> None:
        try:
            self._events.call_soon_threadsafe(report, *arguments)
        except RuntimeError:
            self._abandoned = True  # the event loop is closed: nobody is left to tell

    def _on_open(self, client: "Any", userdata: "Any", connection: "Any") -> None:
        self.reached = CAUSE_BROKER
        self.adopt(connection)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _on_close(self, client: "Any", userdata: "Any", connection: "Any") -> None:
        if self._leaving:
            _drain(connection)

    def _on_connected(self, client: "Any", userdata: "Any", flags: "Any", reason: "Any", properties: "Any") -> None:
        if reason.is_failure:
            self._tell(self._link.ended, self, LinkError("E_REFUSED", str(reason)))
        else:
            self.reached = ""
            self._tell(self._link.opened, self, flags.session_present)

    def _on_arrived(self, client: "Any", userdata: "Any", message: "Any") -> None:
        topic_bytes = len(message.topic.encode())
        if topic_bytes > MAX_TOPIC_BYTES or topic_bytes + len(message.payload) > MAX_INCOMING_BYTES:
            error = LinkError("E_PROTOCOL", "topic of %d bytes, payload of %d" % (topic_bytes, len(message.payload)))
            self._tell(self._link.ended, self, error)
            return
        identifier = message.mid if message.qos else 0
        payload = message.payload[:CUT_PAYLOAD_BYTES]
        self.room.clear()
        self._tell(self._link.arrived, self, Message(message.topic, payload, message.retain, message.dup, (self, identifier)))

    def _on_published(self, client: "Any", userdata: "Any", identifier: int, reason: "Any", properties: "Any") -> None:
        self._tell(self._link.answered, self, identifier, 0)

    def _on_subscribed(self, client: "Any", userdata: "Any", identifier: int, reasons: "Any", properties: "Any") -> None:
        self._tell(self._link.answered, self, identifier, reasons[0].value)

    def _on_logged(self, client: "Any", userdata: "Any", level: int, text: str) -> None:
        if "[SSL" in text:  # with TLS 1.3 a refused certificate shows at the first read, and paho tells of it here only
            self._tls_alert = text

    def _translated(self, error: Exception) -> LinkError:
        """What ended the loop, as the link's error."""
        if isinstance(error, socket.gaierror):
            return LinkError("E_RESOLVE", str(error))
        if self.reached == CAUSE_UNREACHABLE and isinstance(error, OSError):
            return offline(CAUSE_REFUSED if isinstance(error, ConnectionRefusedError) else CAUSE_UNREACHABLE)
        if isinstance(error, TimeoutError):
            return timed_out(self.reached, int(self.connect_timeout * 1000))
        if not self.reached and not isinstance(error, OSError):
            return LinkError("E_PROTOCOL", "the broker sent what is not MQTT: %s" % error)
        if is_tls_error(error):
            return LinkError("E_TLS", str(error), tls_cause(error))
        if isinstance(error, OSError):
            return offline(self.reached) if self.reached else LinkError("E_OFFLINE", "connection failed: %s" % error)
        return LinkError("E_PROTOCOL", "the broker sent what is not MQTT: %s" % error)


class _DatedSocket(ssl.SSLSocket):
    """Ends a handshake with a server that is not certified at the terminal's time. tls, clock: to be set before the handshake."""

    tls: "Tls"
    clock: "Clock"

    def do_handshake(self, block: bool = False) -> None:
        super().do_handshake(block)
        check_dates(self.clock, self.tls, self)


class _NamedServer:
    """Stands where paho wants an SSLContext, so that the certificate is held to the name it must have, not to where it is reached; and to
    the terminal's time.
    """

    check_hostname = True

    def __init__(self, client: _Client, context: ssl.SSLContext, tls: "Tls") -> None:
        self._client = client
        self._context = context
        self._tls = tls
        context.sslsocket_class = _DatedSocket

    def wrap_socket(self, connection: socket.socket, server_hostname: str, do_handshake_on_connect: bool) -> ssl.SSLSocket:
        self._client.reached = CAUSE_TLS
        wrapped = self._context.wrap_socket(connection, server_hostname=self._tls.server_name, do_handshake_on_connect=False)
        assert isinstance(wrapped, _DatedSocket)
        wrapped.tls = self._tls
        wrapped.clock = self._client.clock
        self._client.adopt(wrapped)
        return wrapped


def _shut(connection: socket.socket) -> None:
    try:
        socket.socket.shutdown(connection, socket.SHUT_RDWR)  # of TCP, not of TLS: it wakes the thread
    except OSError:
        pass  # it was closed already


def _drain(connection: socket.socket) -> None:
    """Read, below TLS, and forget until the broker closes: a socket that is closed with something unread resets the connection, and the
    broker may publish the will. Ends at the latest when the connection is abandoned."""
    try:
        socket.socket.shutdown(connection, socket.SHUT_WR)
        connection.settimeout(GOODBYE_MS / 1000)
        while socket.socket.recv(connection, 65536):
            pass
    except OSError:
        pass  # it was closed, or the broker is slow
