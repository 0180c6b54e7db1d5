"""Contract: link. One connection of a terminal to its broker: MQTT 3.1.1, quality of service 1 in both directions.

`async connect(timeout_ms, will=None)` opens the connection and the session. The session outlives the connection (CleanSession 0): gives
  True when the broker had kept it, False when it is new and every topic must be subscribed to again. will: (topic, payload, retain),
  published by the broker when the connection ends without `disconnect`. A link may be connected again after it was lost.
`async subscribe(topic, timeout_ms)` asks for a topic or filter. E_REFUSED: the broker does not allow it.
`async publish(topic, payload, retain, timeout_ms)` returns when the broker has acknowledged. A broker of MQTT 3.1.1 has no way to refuse a
  publication: one outside its access list is acknowledged and dropped. Sending again after an error may deliver twice.
`async receive()` waits, without limit, for the next Message, and raises when the link is lost. One caller at a time. To be called while
  subscribe and publish wait, too: see below.
`async acknowledge(message)` tells the broker that the message is in safe keeping; to be called after what was done with it is on flash.
  Until then the broker delivers it again after each new connection. A message of an earlier connection: nothing is sent.
`async disconnect()` ends the connection in order: no will is published. Messages not yet received are forgotten, the broker has them.
`connected` is True from a successful connect until the link is lost or disconnected.

Every method raises LinkError only. After E_REFUSED from subscribe or publish the link is as it was; after any other LinkError it is
down, and the next step is connect. In particular a broker that does not answer within timeout_ms has its connection closed.
What comes in is bounded, and nothing that a broker may keep for a terminal keeps that terminal from connecting: at quality of service 1
what closes the link comes again at the next connection, and would close that one too. So the link is closed only for what no broker
sends that keeps the standard and the settings of ours:
* A payload larger than MAX_PAYLOAD_BYTES is received cut to CUT_PAYLOAD_BYTES, one more, so that whoever judges it sees that it is too
  large, answers, and acknowledges it. The rest is read and thrown away. Beyond MAX_INCOMING_BYTES (the packet's remaining length) it is
  E_PROTOCOL: our brokers let no publication through that is a sixteenth of it.
* A topic longer than MAX_TOPIC_BYTES is E_PROTOCOL: a filter of that length cannot be subscribed to, and the brokers' access lists have
  no topic of that length.
* Messages wait for `receive` as long as there is room for one more of the largest size within WAITING_MESSAGES and WAITING_BYTES. Then the
  link reads no further publication, and the broker waits in turn (the flow control of TCP). It goes on by itself when `receive` has made
  room. Meanwhile the answers that come behind that publication wait too, so subscribe and publish end in E_TIMEOUT if nobody receives.
  Pings are still sent: the broker keeps the link, and a connection that was closed or reset is noticed by the second one. That the path
  is silent cannot be told from our not reading: it is noticed within the keepalive after there is room, or by the next publish.
"""

import asyncio

MAX_PAYLOAD_BYTES = 4096  # in both directions; our messages are under 1,000 bytes
CUT_PAYLOAD_BYTES = MAX_PAYLOAD_BYTES + 1  # what is left of a larger one that comes in
MAX_INCOMING_BYTES = 1 << 20  # remaining length of a publication; about 100 s on a line of 80 kbit/s
MAX_TOPIC_BYTES = 256
WAITING_MESSAGES = 20  # what mosquitto sends before an acknowledgement (max_inflight_messages)
WAITING_BYTES = 16384

# Causes of a LinkError. Those of E_TLS, where the runtime tells:
CAUSE_DATE = "date"  # a certificate is not valid at the terminal's time
CAUSE_NAME = "name"  # it is another server's
CAUSE_AUTHORITY = "authority"  # it is of another issuer
# Those of E_OFFLINE and E_TIMEOUT while the connection is made: how far it came.
CAUSE_UNREACHABLE = "unreachable"  # no way to the host, or it does not answer
CAUSE_REFUSED = "refused"  # the host answers, and nobody listens on that port
CAUSE_TLS = "tls"  # TCP is there; the TLS handshake ended, or was never answered
CAUSE_BROKER = "broker"  # TLS is there; the broker hung up, or never answered CONNECT

_ENDED = {
    CAUSE_UNREACHABLE: "there is no way to the host",
    CAUSE_REFUSED: "nobody listens on that port",
    CAUSE_TLS: "closed in the TLS handshake",
    CAUSE_BROKER: "closed before the broker answered, as for a certificate that it refuses",
}

CODES = ("E_OFFLINE", "E_TIMEOUT", "E_REFUSED", "E_TLS", "E_RESOLVE", "E_PROTOCOL")

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    Will = tuple[str, bytes, bool]

    class Link(Protocol):
        @property
        def connected(self) -> bool: ...
        async def connect(self, timeout_ms: int, will: "Will | None" = None) -> bool: ...
        async def subscribe(self, topic: str, timeout_ms: int) -> None: ...
        async def publish(self, topic: str, payload: bytes, retain: bool, timeout_ms: int) -> None: ...
        async def receive(self) -> "Message": ...
        async def acknowledge(self, message: "Message") -> None: ...
        async def disconnect(self) -> None: ...


class LinkError(Exception):
    """The link could not do what it was asked.

    code: E_OFFLINE (not reached, closed, lost), E_TIMEOUT (no answer in time), E_REFUSED (the broker said no),
    E_TLS (certificate or handshake), E_RESOLVE (no address for the host name), E_PROTOCOL (what the broker sent is not MQTT, or too much).
    detail: a short sentence for a technician, never a secret. cause: CAUSE_*, '' where nothing more is known. From connect, E_OFFLINE has
    one always, and E_TIMEOUT has CAUSE_TLS or CAUSE_BROKER: a host that does not answer at all is E_OFFLINE.
    """

    def __init__(self, code: str, detail: str, cause: str = "") -> None:
        super().__init__(code + (" " + cause if cause else "") + ": " + detail)
        self.code = code
        self.detail = detail
        self.cause = cause

    def fresh(self) -> "LinkError":
        """The same error to raise once more."""
        return LinkError(self.code, self.detail, self.cause)


def offline(cause: str) -> LinkError:
    """E_OFFLINE of a connection that ended while it was made."""
    return LinkError("E_OFFLINE", _ENDED[cause], cause)


def timed_out(cause: str, timeout_ms: int) -> LinkError:
    """The time for connect is over. cause: how far it came."""
    if cause == CAUSE_UNREACHABLE:
        return LinkError("E_OFFLINE", "the host does not answer within %d ms" % timeout_ms, cause)
    return LinkError("E_TIMEOUT", "no answer %s within %d ms" % ("in TLS" if cause == CAUSE_TLS else "to CONNECT", timeout_ms), cause)


class Tls:
    """authority_der: the certificate that must have issued the broker's; certificate_der, private_key_der: the terminal's own (the key as
    PKCS#8 or SEC1), empty for none; server_name: what the broker's certificate must name, apart from where it is reached. All DER.
    """

    def __init__(self, authority_der: bytes, certificate_der: bytes, private_key_der: bytes, server_name: str) -> None:
        self.authority_der = authority_der
        self.certificate_der = certificate_der
        self.private_key_der = private_key_der
        self.server_name = server_name


class LinkSettings:
    """host: a numeric address; a name only where there is no network device to resolve it (decision 0009); client_id: 1..64 characters;
    keepalive_s: 2..65535, within which a dead connection is noticed; tls: None for plain TCP.
    """

    def __init__(self, host: str, port: int, client_id: str, keepalive_s: int = 30, tls: "Tls | None" = None) -> None:
        self.host = host
        self.port = port
        self.client_id = client_id
        self.keepalive_s = keepalive_s
        self.tls = tls


class Message:
    """payload: at most CUT_PAYLOAD_BYTES, of which one that long is the start of a larger one; retained: it lay with the broker before we
    asked; duplicate: it was sent before; token: the link's own.
    """

    def __init__(self, topic: str, payload: bytes, retained: bool, duplicate: bool, token: "Any") -> None:
        self.topic = topic
        self.payload = payload
        self.retained = retained
        self.duplicate = duplicate
        self.token = token


class Inbox:
    """The messages that came and were not yet received; and the end of the link, told to whoever waits."""

    def __init__(self) -> None:
        self._messages: list[Message] = []
        self._bytes = 0
        self._error: LinkError | None = LinkError("E_OFFLINE", "not connected")
        self._came = asyncio.Event()
        self._left = asyncio.Event()

    @property
    def has_room(self) -> bool:
        """Whether one more message fits, of whatever size."""
        return len(self._messages) < WAITING_MESSAGES and self._bytes + CUT_PAYLOAD_BYTES <= WAITING_BYTES

    def open(self) -> None:
        self._error = None

    def close(self, error: LinkError) -> None:
        """Forget what waits and what is still put, for it will not be acknowledged any more, and raise `error` in take."""
        self._messages = []
        self._bytes = 0
        self._error = error
        self._came.set()
        self._left.set()

    async def room(self) -> None:
        """Wait until there is room."""
        while not self.has_room:
            self._left.clear()
            await self._left.wait()

    def put(self, message: Message) -> None:
        """For a message that has room."""
        if self._error is None:
            self._messages.append(message)
            self._bytes += len(message.payload)
            self._came.set()

    async def take(self) -> Message:
        """Wait for the oldest message. Raises LinkError when the link has ended."""
        while not self._messages:
            if self._error is not None:
                raise self._error.fresh()
            self._came.clear()
            await self._came.wait()
        message = self._messages.pop(0)
        self._bytes -= len(message.payload)
        self._left.set()
        return message


def check_topic(topic: str) -> None:
    """Raises LinkError E_REFUSED for a topic or filter that exceeds the contract."""
    length = len(topic.encode())
    if not 0 < length <= MAX_TOPIC_BYTES:
        raise LinkError("E_REFUSED", "topic of %d bytes, 1..%d" % (length, MAX_TOPIC_BYTES))


def check_publication(topic: str, payload: bytes) -> None:
    """Raises LinkError E_REFUSED for a publication that exceeds the contract."""
    check_topic(topic)
    if "+" in topic or "#" in topic:
        raise LinkError("E_REFUSED", "publication to a filter")
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise LinkError("E_REFUSED", "payload of %d bytes, at most %d" % (len(payload), MAX_PAYLOAD_BYTES))
