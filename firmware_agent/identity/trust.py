"""Which of the acquirer's keys this terminal trusts, and how they change over the years: by orders that a key trusted already has signed.

A key comes with a proof that the acquirer has it, so that nobody pins a key that he does not hold. It is retired by another one, which so
has shown that it works; and there is always one left.
"""

from hashlib import sha256

from firmware_agent.identity.identity import KEY_IDENTITY
from firmware_agent.messages.cbor import encode
from firmware_agent.messages.cose import key_id
from firmware_agent.selftest.firmware_image import KEY_MANIFEST, manifest_signed_by

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware_agent.identity.identity import Identity
    from firmware_agent.messages.schema import Claims
    from firmware_agent.terminal import Terminal
    from hal.secure_element import SecureElement

MOST_KEYS = 4
CONTEXT = "reinstate trust_key"  # what is signed for a proof is signed for nothing else


class TrustError(Exception):
    """The acquirer's keys stay as they are. The message is for the log."""


def proof_digest(acquirer: str, public_key: bytes) -> bytes:
    """The SHA-256, 32 bytes, that the new key signs: of CBOR [CONTEXT, acquirer, public key 64 bytes x || y]."""
    return sha256(encode([CONTEXT, acquirer, public_key])).digest()


async def take_over(terminal: "Terminal", order: "Claims", signed_by: bytes) -> "tuple[Identity, list[tuple[str, bytes | None]]]":
    """The identity that an order trust_key or retire_key makes, and what to write so that it is in use. signed_by: kid of the key that has
    signed the order. Raises TrustError, DeviceError as the element does.
    """
    element = terminal.hal.secure_element
    changes: list[tuple[str, bytes | None]] = []
    if order.text("action") == "trust_key":
        identity = await trusted(terminal.identity, element, order.octets("key"), order.octets("proof"))
    else:
        identity, gone = retired(terminal.identity, order.octets("key_id"), signed_by)
        # Nothing new is believed that this key signs; but the program that it has vouched for so far is still the same.
        program = terminal.hal.program
        if program is not None:
            digest = await manifest_signed_by(program, element, gone)
            if digest:
                changes.append((KEY_MANIFEST, digest))
    return identity, changes + [(KEY_IDENTITY, identity.encoded())]


async def trusted(identity: "Identity", element: "SecureElement", public_key: bytes, proof: bytes) -> "Identity":
    """The identity that trusts this key, too; one that is trusted already changes nothing. proof: signature by that key, 64 bytes r || s,
    of `proof_digest`. Raises TrustError, DeviceError as the element does.
    """
    if len(public_key) != 64 or not await element.verify(public_key, proof_digest(identity.acquirer, public_key), proof):
        raise TrustError("no proof that the acquirer has the new key")
    if public_key in identity.acquirer_keys:
        return identity
    if len(identity.acquirer_keys) >= MOST_KEYS:
        raise TrustError("%d keys are trusted: one has to be retired first" % MOST_KEYS)
    return identity.changed(acquirer_keys=identity.acquirer_keys + [public_key])


def retired(identity: "Identity", kid: bytes, signed_by: bytes) -> "tuple[Identity, bytes]":
    """The identity that does not trust the key of this kid any more, and that key. signed_by: kid of the key that has signed the order.

    Raises TrustError: no such key, the one that signed, or the last one.
    """
    if kid == signed_by:
        raise TrustError("a key is retired by another one")
    left = [key for key in identity.acquirer_keys if key_id(key) != kid]
    gone = [key for key in identity.acquirer_keys if key_id(key) == kid]
    if not gone:
        raise TrustError("there is no such key")
    if not left:
        raise TrustError("the last key stays")
    return identity.changed(acquirer_keys=left), gone[0]
