"""Signed messages: COSE_Sign1 (RFC 9052, section 4.2) with ECDSA on P-256, bound to the MQTT topic they travel on.

A message is tag 18 of [protected header, unprotected header, payload, signature]. The protected header is {1: alg, 4: kid}; nothing that
is not signed is ever used. The topic, in UTF-8, is the external_aad: moved to another topic, a message is no longer signed.
"""

from hashlib import sha256

from firmware_agent.messages.cbor import CborError, Tag, decode, encode, write_head

# IANA COSE algorithms. ESP256 (RFC 9864) says curve and hash; ES256 (RFC 9053), which left the curve open, means the same here.
ALG_ES256 = -7
ALG_ESP256 = -9

MAX_LENGTH = 4096  # of a message, in bytes

_SIGN1 = 18  # RFC 9052, section 2
_HEADER_ALG = 1  # RFC 9052, section 3.1
_HEADER_CRIT = 2
_HEADER_KID = 4
_UNDERSTOOD = (_HEADER_ALG, _HEADER_CRIT, _HEADER_KID)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from hal.secure_element import SecureElement


class CoseError(ValueError):
    """A message that is refused before its signature is looked at.

    code: 'too_long', 'malformed' (not CBOR, or not of this form), 'not_signed' (not a COSE_Sign1), 'algorithm' (neither of the two),
    'key_id' (none, or not bytes), 'header_twice' (in both headers), 'crit' (not protected, empty, not a list of labels, or one is of
    a header that is not there), 'unknown_header_critical' (crit names one that is not understood), 'no_payload' (a detached one),
    'signature_length'. detail: for a technician.
    """

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(code + (": " + detail if detail else ""))
        self.code = code
        self.detail = detail


class Envelope:
    """A message in its parts, not verified yet.

    alg: ALG_*; kid: a hint, by which the receiver picks a key it trusts already; payload; signature: 64 bytes r || s;
    protected: the protected header as it was signed.
    """

    def __init__(self, alg: int, kid: bytes, payload: bytes, signature: bytes, protected: bytes) -> None:
        self.alg = alg
        self.kid = kid
        self.payload = payload
        self.signature = signature
        self.protected = protected


def key_id(public_key: bytes) -> bytes:
    """The first 8 bytes of the SHA-256 of a public key, 64 bytes x || y."""
    return sha256(public_key).digest()[:8]


def parse(message: bytes, max_length: int = MAX_LENGTH) -> Envelope:
    """Take a message of at most `max_length` bytes apart. Raises CoseError for whatever is not as it should be."""
    if len(message) > max_length:
        raise CoseError("too_long", "%d bytes" % len(message))
    signed = _decode(message)
    if not isinstance(signed, Tag) or signed.number != _SIGN1:
        raise CoseError("not_signed")
    if not isinstance(signed.value, list) or len(signed.value) != 4:
        raise CoseError("malformed", "not a list of four")
    protected, unprotected, payload, signature = signed.value
    if not isinstance(protected, bytes) or not isinstance(unprotected, dict):
        raise CoseError("malformed", "headers")
    header = _decode(protected) if protected else {}
    if not isinstance(header, dict):
        raise CoseError("malformed", "protected header")
    for headers in (header, unprotected):
        for label in headers:
            if isinstance(label, bytes):  # RFC 9052, 1.4: a label is an integer or text
                raise CoseError("malformed", "a label is bytes")
    _check_critical(header, unprotected)
    if header.get(_HEADER_ALG) not in (ALG_ES256, ALG_ESP256):
        raise CoseError("algorithm")
    if not isinstance(header.get(_HEADER_KID), bytes):
        raise CoseError("key_id")
    if payload is None:
        raise CoseError("no_payload")
    if not isinstance(payload, bytes) or not isinstance(signature, bytes):
        raise CoseError("malformed", "payload or signature")
    if len(signature) != 64:
        raise CoseError("signature_length", "%d bytes" % len(signature))
    return Envelope(header[_HEADER_ALG], header[_HEADER_KID], payload, signature, protected)


def signing_digest(protected: bytes, payload: bytes, topic: str) -> bytes:
    """The SHA-256, 32 bytes, of what is signed: the Sig_structure ["Signature1", protected, external_aad, payload] (RFC 9052, 4.4)."""
    digest = sha256(b"\x84" + encode("Signature1"))  # 0x84: a list of four
    for part in (protected, topic.encode(), payload):
        head = bytearray()
        write_head(head, 2, len(part))  # 2: bytes
        digest.update(head)
        digest.update(part)
    return digest.digest()


async def sign(element: "SecureElement", slot: int, kid: bytes, payload: bytes, topic: str) -> bytes:
    """The message that carries `payload` on `topic`, signed by the key in `slot` of `element`, with alg ESP256.

    Raises DeviceError as the element does.
    """
    protected = encode({_HEADER_ALG: ALG_ESP256, _HEADER_KID: kid})
    signature = await element.sign(slot, signing_digest(protected, payload, topic))
    return encode(Tag(_SIGN1, [protected, {}, payload, signature]))


async def verify(element: "SecureElement", envelope: Envelope, public_key: bytes, topic: str) -> bool:
    """Whether the envelope was signed by `public_key` (64 bytes x || y) for `topic`. Raises DeviceError as the element does."""
    digest = signing_digest(envelope.protected, envelope.payload, topic)
    return await element.verify(public_key, digest, envelope.signature)


def _decode(data: bytes) -> "Any":
    try:
        return decode(data)
    except CborError as error:
        reason = str(error)
    raise CoseError("malformed", reason)  # out here, for MicroPython knows no chained exceptions and would print a warning


def _check_critical(header: "dict[Any, Any]", unprotected: "dict[Any, Any]") -> None:
    """RFC 9052, 3.1: crit is protected, and each header that it names is there and understood; none may be in both headers."""
    if _HEADER_CRIT in unprotected:
        raise CoseError("crit", "not protected")
    for label in unprotected:
        if label in header:
            raise CoseError("header_twice")
    if _HEADER_CRIT not in header:
        return
    labels = header[_HEADER_CRIT]
    if not isinstance(labels, list) or not labels:
        raise CoseError("crit", "not a list of labels")
    for label in labels:
        if not isinstance(label, (int, str)) or isinstance(label, bool):
            raise CoseError("crit", "not a list of labels")
        if label not in header:
            raise CoseError("crit", "names a header that is not there")
        if label not in _UNDERSTOOD:
            raise CoseError("unknown_header_critical", repr(label)[:40])
