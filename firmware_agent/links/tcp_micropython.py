"""A TCP or TLS connection on MicroPython in which nothing but the look-up of a host name blocks the event loop."""

import asyncio
import errno
import select
import socket
import ssl

from firmware_agent.links.link import CAUSE_AUTHORITY, CAUSE_DATE, CAUSE_NAME

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from firmware_agent.links.link import Tls
    from hal.clock import Clock

IPPROTO_TCP = 6  # IANA protocol number; MicroPython's socket module has no name for it
TCP_NODELAY = 1  # the same on Linux, lwIP and BSD
CONNECT_POLL_MS = 5  # how often an open TCP handshake is looked at
TLS_ENDED = (-0x7280, -0x7880)  # MBEDTLS_ERR_SSL_CONN_EOF, _PEER_CLOSE_NOTIFY: the connection ended, nothing is wrong with TLS
TLS_ERROR_CEILING = -0x1000  # Mbed TLS errors as MicroPython raises them are below; errno and getaddrinfo numbers are above


class ResolveError(Exception):
    """The host has no address, or nobody to ask for it."""


class Stream:
    """One open connection. Built by open_stream."""

    def __init__(self, connection: "Any") -> None:
        self._connection = connection
        self._stream: Any = asyncio.StreamReader(connection)  # on this runtime one class for both directions

    async def readinto(self, view: memoryview) -> int:
        """Wait for bytes; gives how many came, 0 at the end of the stream. Raises OSError, ValueError (TLS)."""
        while True:
            length: int | None = await self._stream.readinto(view)
            if length is not None:
                return length

    async def write(self, data: "bytes | bytearray") -> None:
        """Hand all of `data` to the network. Raises OSError, ValueError (TLS). One caller at a time."""
        self._stream.write(data)
        await self._stream.drain()

    def close(self) -> None:
        """Close at once. No task may be waiting in readinto or write."""
        self._connection.close()


async def open_socket(clock: "Clock", host: str, port: int) -> "Any":
    """A TCP connection. Raises ResolveError, OSError. A cancelled call leaves nothing open."""
    address = None
    try:
        # Blocks while a name is looked up, not for a numeric address: MicroPython has no other way.
        address = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)[0]
    except OSError as error:
        reason = str(error)
    if address is None:
        raise ResolveError(reason)
    connection: Any = socket.socket(address[0], address[1], address[2])
    done = False
    try:
        connection.setblocking(False)
        # Before TLS, for the wrapped socket has no setsockopt. Without it a small packet waits 40 ms for an acknowledgement.
        connection.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
        try:
            connection.connect(address[-1])
        except OSError as error:
            if error.args[0] != errno.EINPROGRESS:
                raise
        await _connected(clock, connection)
        done = True
    finally:
        if not done:
            connection.close()
    return connection


async def open_stream(clock: "Clock", connection: "Any", tls: "Tls | None") -> Stream:
    """A stream over a TCP connection; on this runtime the TLS handshake is made by the first write. Mbed TLS judges certificates by the
    microcontroller's own clock, which the driver keeps at `clock.certificate_s()`.

    Raises OSError, ValueError (TLS: no certificate, no key). Whatever it raises, the connection is closed.
    """
    done = False
    try:
        if tls is not None:
            connection = _context(tls).wrap_socket(connection, server_hostname=tls.server_name, do_handshake_on_connect=False)
            connection.setblocking(False)
        done = True
    finally:
        if not done:
            connection.close()
    return Stream(connection)


async def _connected(clock: "Clock", connection: "Any") -> None:
    """Wait until the TCP handshake is over. Raises OSError, with the number of what ended it."""
    poll = select.poll()
    poll.register(connection, select.POLLOUT)
    events = poll.poll(0)
    while not events:
        await clock.sleep_ms(CONNECT_POLL_MS)
        events = poll.poll(0)
    if events[0][1] & (select.POLLERR | select.POLLHUP):
        # There is no getsockopt for SO_ERROR. The first recv raises it, on Linux as on lwIP (which has ECONNRESET for a refusal, and
        # ECONNABORTED when nobody answered).
        connection.recv(1)
        raise OSError(errno.ECONNABORTED)


def _context(tls: "Tls") -> "Any":
    """A client's context that insists on the server's certificate."""
    context: Any = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=tls.authority_der)
    if tls.certificate_der:
        context.load_cert_chain(tls.certificate_der, tls.private_key_der)
    return context


def is_tls_error(error: Exception) -> bool:
    """True for what Mbed TLS reports: a ValueError with its sentence, or an OSError with its number."""
    if isinstance(error, ValueError):
        return True
    number = error.args[0] if error.args else 0
    return isinstance(number, int) and number < TLS_ERROR_CEILING and number not in TLS_ENDED


def tls_cause(error: Exception) -> str:
    """CAUSE_DATE, CAUSE_NAME or CAUSE_AUTHORITY where the texts of mbedtls_x509_crt_verify_info say so, else ''."""
    text = str(error)
    if "expired" in text or "future" in text:
        return CAUSE_DATE
    if "Common Name" in text:
        return CAUSE_NAME
    if "not correctly signed" in text:
        return CAUSE_AUTHORITY
    return ""
