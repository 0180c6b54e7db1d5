"""A TCP or TLS connection on CPython's asyncio, and the TLS context that both of its links use.

Whether a certificate is valid at this time is judged here, by the terminal's clock: OpenSSL would go by the machine's, which a signed time
does not set.
"""

import asyncio
import os
import socket
import ssl
import tempfile

from firmware_agent.identity.certificate import CertificateError, validity
from firmware_agent.links.link import CAUSE_AUTHORITY, CAUSE_DATE, CAUSE_NAME

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware_agent.links.link import Tls
    from hal.clock import Clock

_NO_CHECK_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME of OpenSSL's x509_vfy.h
# Reasons of a failed verification, X509_V_ERR_* of the same.
_AUTHORITY_CODES = (18, 19, 20, 21)  # DEPTH_ZERO_SELF_SIGNED, SELF_SIGNED_IN_CHAIN, UNABLE_TO_GET_ISSUER_LOCALLY, UNABLE_TO_VERIFY_LEAF
_NAME_CODES = (62, 64)  # HOSTNAME_MISMATCH, IP_ADDRESS_MISMATCH
_SEC1_START = b"\x02\x01\x01"  # ECPrivateKey (RFC 5915) opens with version 1, PrivateKeyInfo (RFC 5208) with version 0


class ResolveError(Exception):
    """The host has no address, or nobody to ask for it."""


class DateError(ValueError):
    """A certificate is not valid at the terminal's time."""


class Stream:
    """One open connection. Built by open_stream."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def readinto(self, view: memoryview) -> int:
        """Wait for bytes; gives how many came, 0 at the end of the stream. Raises OSError."""
        data = await self._reader.read(len(view))
        view[: len(data)] = data
        return len(data)

    async def write(self, data: "bytes | bytearray") -> None:
        """Hand all of `data` to the network. Raises OSError. One caller at a time."""
        self._writer.write(bytes(data))
        await self._writer.drain()

    def close(self) -> None:
        """Close at once, what is not yet sent is dropped."""
        self._writer.transport.abort()


async def open_socket(clock: "Clock", host: str, port: int) -> socket.socket:
    """A TCP connection. Raises ResolveError, OSError."""
    connection = socket.socket()
    done = False
    try:
        connection.setblocking(False)
        # Without it a small packet waits 40 ms for an acknowledgement. asyncio sets it by itself only where the protocol was named.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(connection, (host, port))
        done = True
    except socket.gaierror as error:
        raise ResolveError(str(error)) from error
    finally:
        if not done:
            connection.close()
    return connection


async def open_stream(clock: "Clock", connection: socket.socket, tls: "Tls | None") -> Stream:
    """A stream over a TCP connection, with the TLS handshake made.

    Raises OSError (ssl.SSLError among them), ValueError (TLS: no certificate, no key). Whatever it raises, the connection is closed.
    """
    done = False
    try:
        context = None if tls is None else tls_context(tls)
        reader, writer = await asyncio.open_connection(
            sock=connection, ssl=context, server_hostname=None if tls is None else tls.server_name
        )
        if tls is not None:
            check_dates(clock, tls, writer.get_extra_info("ssl_object"))
        done = True
    finally:
        if not done:
            connection.close()
    # drain returns when the network has it all. Not high=0: asyncio's TLS (3.11) pauses the writer at `high`, then also when it is empty.
    writer.transport.set_write_buffer_limits(high=1, low=0)
    return Stream(reader, writer)


def tls_context(tls: "Tls") -> ssl.SSLContext:
    """A client's context that insists on the server's certificate and name. Raises OSError, ValueError for what is no certificate or key.

    OpenSSL takes a client's key from files only: it lies in one of mode 0600 for the time of the call.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_flags |= _NO_CHECK_TIME  # see check_dates
    context.load_verify_locations(cadata=tls.authority_der)
    if tls.certificate_der:
        label = "EC PRIVATE KEY" if _SEC1_START in tls.private_key_der[:8] else "PRIVATE KEY"
        certificate = ssl.DER_cert_to_PEM_cert(tls.certificate_der)
        key = _pem(label, tls.private_key_der)
        handle, path = tempfile.mkstemp()  # made with mode 0600
        try:
            with os.fdopen(handle, "w") as file:
                file.write(key + certificate)
            context.load_cert_chain(path)
        finally:
            os.remove(path)
    return context


def check_dates(clock: "Clock", tls: "Tls", connection: "ssl.SSLObject | ssl.SSLSocket") -> None:
    """After the handshake, before anything is said: whether server and authority are certified at the terminal's time. Raises DateError."""
    now_s = clock.certificate_s()
    for certificate in (connection.getpeercert(True) or b"", tls.authority_der):
        try:
            not_before_s, not_after_s = validity(certificate)
        except CertificateError as error:
            raise DateError("a certificate's dates cannot be read: %s" % error) from error
        if now_s < not_before_s:
            raise DateError("a certificate is not yet valid")
        if now_s > not_after_s:
            raise DateError("a certificate has expired")


def _pem(label: str, der: bytes) -> str:
    """PEM (RFC 7468) of any DER structure."""
    return ssl.DER_cert_to_PEM_cert(der).replace("CERTIFICATE", label)


def is_tls_error(error: Exception) -> bool:
    """True for what OpenSSL reports, and for certificates and keys that are none."""
    if isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
        return False  # the connection ended, nothing is wrong with TLS
    return isinstance(error, (ssl.SSLError, ValueError))


def tls_cause(error: Exception) -> str:
    """CAUSE_DATE, CAUSE_NAME or CAUSE_AUTHORITY where the verification says so, else ''."""
    if isinstance(error, DateError):
        return CAUSE_DATE
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code in _NAME_CODES:
            return CAUSE_NAME
        if error.verify_code in _AUTHORITY_CODES:
            return CAUSE_AUTHORITY
    return ""
