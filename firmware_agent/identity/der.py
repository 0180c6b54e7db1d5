"""DER (ITU-T X.690), written only: the certification request, a private key for TLS, and signatures as X.509 has them."""

from hashlib import sha256

# Object identifiers, ready encoded (tag, length, content).
_OID_EC_PUBLIC_KEY = b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01"  # 1.2.840.10045.2.1 id-ecPublicKey, RFC 5480
_OID_P256 = b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07"  # 1.2.840.10045.3.1.7 secp256r1, RFC 5480
_OID_ECDSA_SHA256 = b"\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02"  # 1.2.840.10045.4.3.2 ecdsa-with-SHA256, RFC 5758
_OID_COMMON_NAME = b"\x06\x03\x55\x04\x03"  # 2.5.4.3 id-at-commonName, RFC 5280

_INTEGER = 0x02
_BIT_STRING = 0x03
_OCTET_STRING = 0x04
_UTF8_STRING = 0x0C
_SEQUENCE = 0x30
_SET = 0x31
_CONTEXT_0 = 0xA0
_CONTEXT_1 = 0xA1

MAX_COMMON_NAME = 64  # characters: ub-common-name of RFC 5280

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hal.secure_element import SecureElement


async def certification_request(element: "SecureElement", slot: int, common_name: str) -> bytes:
    """A PKCS#10 request (RFC 2986) in DER for the key in `slot`, signed by it; subject CN=`common_name`, 1..64 characters.

    Raises ValueError (the name), DeviceError as the element does (E_NOEXIST: the slot is empty).
    """
    if not 1 <= len(common_name) <= MAX_COMMON_NAME:
        raise ValueError("a common name has 1..%d characters" % MAX_COMMON_NAME)
    public = await element.public_key(slot)
    name = _element(_SEQUENCE, _OID_COMMON_NAME + _element(_UTF8_STRING, common_name.encode()))
    information = _element(
        _SEQUENCE,
        _integer(0)  # version 1
        + _element(_SEQUENCE, _element(_SET, name))
        + _element(_SEQUENCE, _element(_SEQUENCE, _OID_EC_PUBLIC_KEY + _OID_P256) + _bit_string(b"\x04" + public))
        + _element(_CONTEXT_0, b""),  # no attributes
    )
    signature = await element.sign(slot, sha256(information).digest())
    return _element(
        _SEQUENCE,
        information + _element(_SEQUENCE, _OID_ECDSA_SHA256) + _bit_string(signature_to_der(signature)),
    )


def ec_private_key(private: bytes, public: bytes) -> bytes:
    """A P-256 private key (32 bytes, and its public key, 64 bytes x || y) in DER as SEC 1 and RFC 5915 have it, and Mbed TLS loads it.

    Raises ValueError: lengths.
    """
    if len(private) != 32 or len(public) != 64:
        raise ValueError("a private key is 32 bytes, a public key 64")
    return _element(
        _SEQUENCE,
        _integer(1)  # ecPrivkeyVer1
        + _element(_OCTET_STRING, private)
        + _element(_CONTEXT_0, _OID_P256)
        + _element(_CONTEXT_1, _bit_string(b"\x04" + public)),
    )


def signature_to_der(signature: bytes) -> bytes:
    """The Ecdsa-Sig-Value (RFC 3279, 2.2.3) of 64 bytes r || s. Raises ValueError: length."""
    if len(signature) != 64:
        raise ValueError("a signature is 64 bytes")
    r = int.from_bytes(signature[:32], "big")
    s = int.from_bytes(signature[32:], "big")
    return _element(_SEQUENCE, _integer(r) + _integer(s))


def _element(tag: int, content: bytes) -> bytes:
    """Tag, length in the shortest form (X.690, 10.1), content below 64 KiB."""
    length = len(content)
    if length < 0x80:
        head = bytes((tag, length))
    elif length < 0x100:
        head = bytes((tag, 0x81, length))
    else:
        head = bytes((tag, 0x82, length >> 8, length & 0xFF))
    return head + content


def _integer(number: int) -> bytes:
    """A number of 0..2^256-1 in the fewest bytes whose first bit is 0 (X.690, 8.3)."""
    content = number.to_bytes(33, "big")
    start = 0
    while start < 32 and content[start] == 0 and content[start + 1] < 0x80:
        start += 1
    return _element(_INTEGER, content[start:])


def _bit_string(content: bytes) -> bytes:
    """Whole bytes: no unused bits."""
    return _element(_BIT_STRING, b"\x00" + content)
