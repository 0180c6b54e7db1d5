"""A signed message as a text, for paper, screen and mail: what a QR code carries in its alphanumeric mode. See docs/signed-text.md.

The text is "RS1:" and, in Base45 (RFC 9285), the CBOR list [acquirer, message]. The topic, which is signed with the message, follows
from the acquirer and from what the message says of itself: whoever has the signer's public key can verify the text, and needs nothing else.
"""

from firmware_agent.messages.cbor import CborError, Tag, decode, encode
from firmware_agent.messages.cose import MAX_LENGTH, CoseError, parse
from firmware_agent.messages.schema import Claims, SchemaError, topic

PREFIX = "RS1:"  # 1: the version of this form
BADGE_PREFIX = "RB1:"  # of a technician's badge, which is signed, and no message
MAX_ACQUIRER = 64  # characters, as of the claim iss
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"  # by value 0..44 (RFC 9285, table 1)
_MAX_TEXT = (MAX_LENGTH + 4 * MAX_ACQUIRER) * 2  # characters, line breaks included


class SignedTextError(ValueError):
    """code: 'empty', 'not_signed_text' (it does not begin as one), 'version' (it is of another form), 'damaged' (it begins as one and does
    not go on as one).
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


def encode_text(acquirer: str, message: bytes) -> str:
    """The text of a signed message, as `cose.sign` made it, of a terminal of that acquirer. Raises ValueError: a name that is none."""
    if not _is_name(acquirer):
        raise ValueError("%r is no name of an acquirer" % acquirer)
    return PREFIX + to_base45(b"\x82" + encode(acquirer) + message)  # 0x82: a list of two


def decode_text(text: str) -> "tuple[str, bytes]":
    """The topic and the signed message, not verified, of a text that people may have copied: see `_readings`.

    Raises SignedTextError with one line that says what is wrong.
    """
    if not text.strip():
        raise SignedTextError("empty", "there is no text")
    if len(text) > _MAX_TEXT:
        raise SignedTextError("not_signed_text", "%d characters are too many for a signed text" % len(text))
    first = None
    for reading in _readings(text):
        try:
            return _decode(reading)
        except SignedTextError as error:
            first = first or error
    raise first or SignedTextError("empty", "there is no text")


def encode_badge(badge: bytes) -> str:
    """A technician's badge, as the acquirer signed it, for a QR code."""
    return BADGE_PREFIX + to_base45(badge)


def decode_badge(text: str) -> bytes:
    """The badge in a text, not verified. Raises SignedTextError."""
    text = text.strip()
    if not text.startswith(BADGE_PREFIX):
        raise SignedTextError("not_signed_text", "a badge as text begins with %s" % BADGE_PREFIX)
    try:
        return from_base45(text[len(BADGE_PREFIX) :])
    except ValueError as error:
        raise SignedTextError("damaged", "the text is damaged or cut off: %s" % error)


def to_base45(data: bytes) -> str:
    """Two bytes become three digits, a last single one two, the lowest digit first (RFC 9285, section 4)."""
    digits = []
    for index in range(0, len(data) - 1, 2):
        rest, low = divmod(data[index] << 8 | data[index + 1], 45)
        digits.append(_DIGITS[low] + _DIGITS[rest % 45] + _DIGITS[rest // 45])
    if len(data) % 2:
        digits.append(_DIGITS[data[-1] % 45] + _DIGITS[data[-1] // 45])
    return "".join(digits)


def from_base45(text: str) -> bytes:
    """Raises ValueError: a character that is no digit, a length or a value that no bytes have."""
    data = bytearray()
    for index in range(0, len(text), 3):
        value = 0
        group = text[index : index + 3]
        for digit in reversed(group):
            place = _DIGITS.find(digit)
            if place < 0:
                raise ValueError("%r at %d is no digit of Base45" % (digit, index + 1))
            value = 45 * value + place
        if len(group) == 1 or value >= 1 << 8 * (len(group) - 1):
            raise ValueError("%r at %d is not Base45" % (group, index + 1))
        data.extend(value.to_bytes(len(group) - 1, "big"))
    return bytes(data)


def _readings(text: str) -> "list[str]":
    """What a text may have been before someone's tools broke it into lines; nearly always the first. A blank is a digit of Base45, so lines
    may have been broken between characters, or at blanks, or been indented.
    """
    lines = text.strip().replace("\r", "\n").replace("\t", "\n").split("\n")
    readings = ["".join(lines)]
    if len(lines) > 1:
        stripped = [line.strip() for line in lines if line.strip()]
        readings.append("".join(stripped))
        readings.append(" ".join(stripped))
    return readings


def _decode(text: str) -> "tuple[str, bytes]":
    if not text.startswith(PREFIX):
        if text.startswith("RS") and text[2:3].isdigit() and ":" in text[:6]:
            raise SignedTextError("version", "a signed text of form %s; this knows RS1 only" % text[: text.index(":")])
        raise SignedTextError("not_signed_text", "a signed text begins with RS1:")
    try:
        acquirer, message = _parts(from_base45(text[len(PREFIX) :]))
        claims = Claims.from_map(decode(parse(message).payload))
    except CborError as error:
        raise SignedTextError("damaged", "the text is damaged or cut off: CBOR, %s" % error)
    except CoseError as error:
        raise SignedTextError("damaged", "the message in the text is damaged: %s" % error)
    except SchemaError as error:
        raise SignedTextError("damaged", "the message in the text is not of this schema: %s" % error)
    except ValueError as error:
        raise SignedTextError("damaged", "the text is damaged or cut off: %s" % error)
    return topic(acquirer, claims.subject, claims.kind.leaf), message


def _parts(data: bytes) -> "tuple[str, bytes]":
    parts = decode(data)
    if not isinstance(parts, list) or len(parts) != 2:
        raise ValueError("not a list of acquirer and message")
    acquirer, message = parts
    if not isinstance(acquirer, str) or not _is_name(acquirer):
        raise ValueError("no name of an acquirer")
    if not isinstance(message, Tag):
        raise ValueError("no signed message")
    return acquirer, encode(message)  # the bytes that were there: CBOR has one form only


def _is_name(acquirer: str) -> bool:
    """Whether it can stand in a topic."""
    return 0 < len(acquirer) <= MAX_ACQUIRER and not any(character in "/+#\x00" for character in acquirer)
