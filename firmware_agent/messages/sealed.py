"""Encrypts for the acquirer what a broker must not read: personal data in a message that every broker on the way may see.

A key pair that is used once agrees with the acquirer's sealing key by ECDH on P-256 (SP 800-56A); HKDF-SHA256 (RFC 5869) makes the keys for
AES-256-CBC and HMAC-SHA256 from it. Encrypted first, then authenticated. Why so: docs/decisions/0017-personal-data.md. Opened by the
acquirer only; who sent it is proved by the signature of the message that carries it.

    sealed = form 1 byte | key id 8 | public key that was used once 64 | encrypted, n * 16 | HMAC 32, over all before it
"""

from firmware_agent.compat import aes_cbc
from firmware_agent.messages.cbor import encode
from firmware_agent.messages.cose import key_id
from hal.hmac import hmac_sha256

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hal.secure_element import SecureElement

FORM = 1
LABEL = "reinstate sealed 1"  # of the form: another form has other keys
MAX_PLAIN = 1024  # bytes

_BLOCK = 16  # bytes, of AES


class SealError(ValueError):
    """code: 'no_sealing_key' (the acquirer has given none), 'too_long'. What was to be sealed is not told."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


async def seal(element: "SecureElement", recipient: bytes, plain: bytes, context: str) -> bytes:
    """105 bytes and the padded text, which only the owner of `recipient` (a public key, 64 bytes x || y) can open, and only in `context`:
    the MQTT topic of the message that carries it. plain: at most MAX_PLAIN bytes; its length to the next 16 is not hidden.

    Raises SealError; DeviceError as the element does, E_ILLEGAL for a key that is no point on the curve.
    """
    if len(plain) > MAX_PLAIN:
        raise SealError("too_long")
    if len(recipient) != 64:
        raise SealError("no_sealing_key")
    once, secret = await element.agree(recipient)
    keys = hkdf_sha256(b"", secret, encode([LABEL, recipient, once, context]), 80)
    padding = _BLOCK - len(plain) % _BLOCK  # PKCS #7 (RFC 5652, 6.3): 1..16 bytes, each the number of them
    sealed = bytes((FORM,)) + key_id(recipient) + once + aes_cbc(keys[:32], keys[64:], plain + bytes((padding,)) * padding)
    return sealed + hmac_sha256(keys[32:64], sealed)


def hkdf_sha256(salt: bytes, secret: bytes, info: bytes, length: int) -> bytes:
    """`length` bytes of keys (at most 8160) from a secret; other info, other keys (RFC 5869). salt: b'' counts as 32 zeros, as there."""
    key = hmac_sha256(salt, secret)
    block = b""
    keys = b""
    while len(keys) < length:
        block = hmac_sha256(key, block + info + bytes((len(keys) // 32 + 1,)))
        keys += block
    return keys[:length]
