"""What a terminal has to know of its own X.509 certificates (RFC 5280): which key they name, and until when they hold. Signatures in them
are not judged here: the TLS library does that of others' certificates, and the acquirer of ours.
"""

from hal.calendar import days_since_1970

_SEQUENCE = 0x30
_VERSION = 0xA0  # [0] EXPLICIT, before the serial number
_BIT_STRING = 0x03
_UTC_TIME = 0x17
_GENERALIZED_TIME = 0x18
_UNCOMPRESSED = 0x04  # SEC 1: x and y follow
_DAY_S = 86400


PEM = b"-----BEGIN"  # RFC 7468: what a file in that form begins with


class CertificateError(ValueError):
    """Not a certificate as our authorities issue them."""


def public_key(certificate: bytes) -> bytes:
    """The P-256 key in a DER certificate, 64 bytes x || y. Raises CertificateError."""
    der = memoryview(certificate)
    start, end = _body_after_issuer(der)
    for _ in range(2):  # validity, subject
        _, _, start = _element(der, start, end)
    start, end = _inside(der, start, end, _SEQUENCE)  # subjectPublicKeyInfo
    _, _, start = _element(der, start, end)  # its algorithm
    start, end = _inside(der, start, end, _BIT_STRING)
    if end - start != 66 or der[start] != 0 or der[start + 1] != _UNCOMPRESSED:
        raise CertificateError("not a public key on P-256")
    return bytes(der[start + 2 : end])


def validity(certificate: bytes) -> "tuple[int, int]":
    """(not before, not after) of a DER certificate, Unix seconds. Raises CertificateError."""
    der = memoryview(certificate)
    start, end = _body_after_issuer(der)
    start, end = _inside(der, start, end, _SEQUENCE)
    not_before, start = _time(der, start, end)
    not_after, _ = _time(der, start, end)
    return not_before, not_after


def issued_s(certificate: bytes) -> int:
    """When a DER certificate was made, Unix seconds: it is later than that; 0 for one that cannot be read."""
    try:
        return validity(certificate)[0]
    except CertificateError:
        return 0


def _body_after_issuer(der: memoryview) -> "tuple[int, int]":
    """Where in the certificate's body the validity begins, and where the body ends."""
    if der[: len(PEM)] == PEM:
        raise CertificateError("PEM, where DER is due")
    start, end = _inside(der, 0, len(der), _SEQUENCE)
    start, end = _inside(der, start, end, _SEQUENCE)
    tag, _, after = _element(der, start, end)
    if tag == _VERSION:
        start = after
    for _ in range(3):  # serial number, signature algorithm, issuer
        _, _, start = _element(der, start, end)
    return start, end


def _element(der: memoryview, start: int, end: int) -> "tuple[int, int, int]":
    """Tag, start of the content and end of the element at `start`. Lengths of up to two bytes (X.690, 8.1.3)."""
    if end - start < 2:
        raise CertificateError("ends too soon")
    length = der[start + 1]
    content = start + 2
    if length > 0x80:
        content += length - 0x80
        if length > 0x82:
            raise CertificateError("too long")
        length = int.from_bytes(bytes(der[start + 2 : content]), "big")
    elif length == 0x80:
        raise CertificateError("length that is not definite")
    if content + length > end:
        raise CertificateError("ends too soon")
    return der[start], content, content + length


def _inside(der: memoryview, start: int, end: int, wanted: int) -> "tuple[int, int]":
    tag, content, after = _element(der, start, end)
    if tag != wanted:
        raise CertificateError("tag 0x%02x where 0x%02x is due" % (tag, wanted))
    return content, after


def _time(der: memoryview, start: int, end: int) -> "tuple[int, int]":
    """Unix seconds of a UTCTime or GeneralizedTime in Zulu (RFC 5280, 4.1.2.5), and where it ends."""
    tag, content, after = _element(der, start, end)
    digits = bytes(der[content:after])
    if tag == _UTC_TIME:
        digits = (b"19" if digits[:1] >= b"5" else b"20") + digits
    elif tag != _GENERALIZED_TIME:
        raise CertificateError("not a time")
    if len(digits) != 15 or digits[14:] != b"Z" or not digits[:14].isdigit():
        raise CertificateError("not a time in UTC")
    year, month, day = int(digits[:4]), int(digits[4:6]), int(digits[6:8])
    hours, minutes, seconds = int(digits[8:10]), int(digits[10:12]), int(digits[12:14])
    if not 1 <= month <= 12 or not 1 <= day <= 31 or hours > 23 or minutes > 59 or seconds > 59:
        raise CertificateError("no such time")
    return days_since_1970(year, month, day) * _DAY_S + hours * 3600 + minutes * 60 + seconds, after
