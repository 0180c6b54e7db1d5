"""A signed message as a text, for paper, screen and mail: what a QR code carries in its alphanumeric mode. See docs/signed-text.md.

The text is "RS1:" and, in Base45 (RFC 9285), the CBOR list [acquirer, message]. The topic, which is signed with the message, follows
from the acquirer and from what the message says of itself: whoever has the signer's public key can verify the text, and needs nothing else.

A text that no code on a small display holds goes in parts: "RP1:<number>/<how many>:<mark>:" and a piece of it. The mark is of the whole.
"""

from hashlib import sha256

from firmware_agent.messages.cbor import CborError, Tag, decode, encode
from firmware_agent.messages.cose import MAX_LENGTH, CoseError, parse
from firmware_agent.messages.schema import Claims, SchemaError, topic

PREFIX = "RS1:"  # 1: the version of this form
PART_PREFIX = "RP1:"  # of a part of such a text
BADGE_PREFIX = "RB1:"  # of a technician's badge, which is signed, and no message
MAX_ACQUIRER = 64  # characters, as of the claim iss
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"  # by value 0..44 (RFC 9285, table 1)
_MARK = 4  # hexadecimal digits of the SHA-256 of the whole text: parts of another one are told apart, and a wrong one is found
_PART_HEAD = len(PART_PREFIX) + len("99/99:") + _MARK + 1  # characters
_MOST_PARTS = 99
_LEAST_PIECE = 20  # characters: below that a display is too small for codes
_MAX_TEXT = (MAX_LENGTH + 4 * MAX_ACQUIRER) * 2  # characters, line breaks included


class SignedTextError(ValueError):
    """code: 'empty', 'not_signed_text' (it does not begin as one), 'version' (it is of another form), 'damaged' (it begins as one and does
    not go on as one), 'incomplete' (a part is missing), 'mixed' (parts of several texts).
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
    if text.strip().startswith(PART_PREFIX):
        return _decode(_joined(text))
    first = None
    for reading in _readings(text):
        try:
            return _decode(reading)
        except SignedTextError as error:
            first = first or error
    raise first or SignedTextError("empty", "there is no text")


def parts_of(text: str, longest: int) -> "list[str]":
    """A signed text in parts of at most `longest` characters; [] where that is too short for any."""
    room = longest - _PART_HEAD
    if room < _LEAST_PIECE:
        return []
    count = (len(text) + room - 1) // room
    if count > _MOST_PARTS:
        return []
    size = (len(text) + count - 1) // count
    mark = _mark_of(text)
    pieces = []
    begin = 0
    for left in range(count, 0, -1):
        end = min(begin + size, len(text)) if left > 1 else len(text)
        while left > 1 and " " in text[end - 1 : end + 1]:  # a blank at an end would be lost where people copy it
            end -= 1
        pieces.append(text[begin:end])
        begin = end
    return ["%s%d/%d:%s:%s" % (PART_PREFIX, number + 1, count, mark, piece) for number, piece in enumerate(pieces)]


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


def _mark_of(text: str) -> str:
    return "".join(["%02X" % byte for byte in sha256(text.encode()).digest()])[:_MARK]


def _joined(text: str) -> str:
    """The text whose parts these are, in any order, each once or more, each with the line breaks that people's tools put into it. Raises
    SignedTextError.
    """
    pieces: dict[int, str] = {}
    count, mark = 0, ""
    for part in _parts_in(text):
        head, its_mark, piece = part.split(":", 2)
        number, its_count = [int(digits) for digits in head.split("/")]
        if not 1 <= number <= its_count <= _MOST_PARTS:
            raise SignedTextError("damaged", "there is no part %s" % head)
        if count and (its_count, its_mark) != (count, mark):
            raise SignedTextError("mixed", "these are parts of different texts: %s and %s" % (mark, its_mark))
        count, mark = its_count, its_mark
        pieces[number] = piece
    missing = [str(number) for number in range(1, count + 1) if number not in pieces]
    if missing:
        raise SignedTextError("incomplete", "part %s of %d is missing; give all of them, in any order" % (", ".join(missing), count))
    whole = "".join([pieces[number] for number in range(1, count + 1)])
    if _mark_of(whole) != mark:
        raise SignedTextError("damaged", "a part is damaged or cut off: together they are not the text %s" % mark)
    return whole


def _parts_in(text: str) -> "list[str]":
    """Each part without its prefix: '1/2:0A1B:...'. What looks like a prefix and has no head behind it is in a piece."""
    found: list[str] = []
    for part in text.strip().split(PART_PREFIX)[1:]:
        part = "".join([line.strip("\r\t") for line in part.strip().split("\n")])
        head = part.split(":", 2)
        numbers = head[0].split("/")
        if len(head) == 3 and len(head[1]) == _MARK and len(numbers) == 2 and all([digits.isdigit() for digits in numbers]):
            found.append(part)
        elif found:
            found[-1] += PART_PREFIX + part
        else:
            raise SignedTextError("damaged", "a part of a signed text begins with RP1:1/2: and a mark of %d digits" % _MARK)
    return found


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
