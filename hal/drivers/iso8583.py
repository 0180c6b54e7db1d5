"""ISO 8583 messages in the form of Chinese POS terminals: TPDU, a header of 6 bytes, message type, bitmap and fields, numbers in BCD.

Pure: bytes in, a Message out, and the other way round. The length of 2 bytes before each message belongs to whoever carries it.
"""

TPDU = "6000030000"  # 60, destination 0003, source 0000: as acquirers give it; in an answer the two are exchanged
APPLICATION = "60"  # class of the application: magnetic stripe
SOFTWARE = "31"  # version of the specification: 2010
SUB_VERSION = "000000"
HEADER_BYTES = 11  # TPDU and header
MOST_BYTES = 1024

_N, _A, _B = "n", "a", "b"  # digits in BCD, text, bytes
# Field -> (form, its length or the most there may be, digits of the length before it; 0: always of that length). Of bytes, the length is in
# bytes; of digits, in digits, an odd number of them filled up with 0 on the right.
FORMS = {
    2: (_N, 19, 2),
    3: (_N, 6, 0),
    4: (_N, 12, 0),
    11: (_N, 6, 0),
    12: (_N, 6, 0),
    13: (_N, 4, 0),
    14: (_N, 4, 0),
    15: (_N, 4, 0),
    22: (_N, 3, 0),
    23: (_N, 3, 0),
    25: (_N, 2, 0),
    26: (_N, 2, 0),
    32: (_N, 11, 2),
    35: (_N, 37, 2),
    36: (_N, 104, 3),
    37: (_A, 12, 0),
    38: (_A, 6, 0),
    39: (_A, 2, 0),
    41: (_A, 8, 0),
    42: (_A, 15, 0),
    44: (_A, 25, 2),
    48: (_N, 322, 3),
    49: (_A, 3, 0),
    52: (_B, 8, 0),
    53: (_N, 16, 0),
    54: (_A, 20, 3),
    55: (_B, 255, 3),
    58: (_A, 100, 3),
    60: (_N, 17, 3),
    61: (_N, 29, 3),
    62: (_B, 512, 3),
    63: (_A, 163, 3),
    64: (_B, 8, 0),
}
OF_A_CARD = (2, 14, 23, 35, 36, 52, 55)  # never sent from here, and dropped where they come
_DIGITS = "0123456789"
_TRACK = "0123456789D"  # tracks have a separator


class Iso8583Error(ValueError):
    """No message of this form; the text names the field, never its value."""


class Message:
    """mti: four digits; fields: number -> digits, text or bytes; is_test: the header's terminal status; requirement: the header's
    processing requirement, 0..9; tpdu: ten digits.
    """

    def __init__(self, mti: str, fields: "dict[int, str | bytes]", is_test: bool = False, requirement: int = 0, tpdu: str = TPDU) -> None:
        self.mti = mti
        self.fields = fields
        self.is_test = is_test
        self.requirement = requirement
        self.tpdu = tpdu

    def text(self, field: int) -> str:
        """'' where the field is not there."""
        value = self.fields.get(field, "")
        return value if isinstance(value, str) else ""


def encode(message: Message) -> bytes:
    """The message without its length. Raises Iso8583Error for what its form cannot carry, and for anything of a card."""
    if len(message.tpdu) != 10 or len(message.mti) != 4 or not 0 <= message.requirement <= 9:
        raise Iso8583Error("TPDU, message type or requirement of another length")
    encoded = bytearray(_bcd(message.tpdu, "TPDU"))
    status = "1" if message.is_test else "0"
    encoded.extend(_bcd(APPLICATION + SOFTWARE + status + "%d" % message.requirement + SUB_VERSION, "header"))
    encoded.extend(_bcd(message.mti, "message type"))
    bitmap = bytearray(8)
    fields = bytearray()
    for number in sorted(message.fields):
        if number not in FORMS or number in OF_A_CARD:
            raise Iso8583Error("field %d is not sent" % number)
        bitmap[(number - 1) // 8] |= 0x80 >> ((number - 1) % 8)
        fields.extend(_field(number, message.fields[number]))
    encoded.extend(bitmap)
    encoded.extend(fields)
    return bytes(encoded)


def decode(data: bytes) -> Message:
    """Raises Iso8583Error for anything but one whole message."""
    if not HEADER_BYTES + 2 + 8 <= len(data) <= MOST_BYTES:
        raise Iso8583Error("%d bytes" % len(data))
    head = data[: HEADER_BYTES + 2].hex()
    tpdu, header, mti = head[:10], head[10:22], head[22:26]
    if not _is_of(tpdu + header + mti, _DIGITS):
        raise Iso8583Error("a header that is no BCD")
    bitmap = data[HEADER_BYTES + 2 : HEADER_BYTES + 10]
    if bitmap[0] & 0x80:
        raise Iso8583Error("fields above 64")
    place = HEADER_BYTES + 10
    fields: dict[int, str | bytes] = {}
    for number in range(2, 65):
        if bitmap[(number - 1) // 8] & (0x80 >> ((number - 1) % 8)):
            value, place = _read(number, data, place)
            if number not in OF_A_CARD:
                fields[number] = value
    if place != len(data):
        raise Iso8583Error("%d bytes behind the last field" % (len(data) - place))
    return Message(mti, fields, header[4] == "1", int(header[5]), tpdu)


def _field(number: int, value: "str | bytes") -> bytes:
    form, most, length_digits = FORMS[number]
    if len(value) > most or (not length_digits and len(value) != most) or isinstance(value, str) == (form == _B):
        raise Iso8583Error("field %d has not its form" % number)
    length = _bcd(("%%0%dd" % (length_digits + length_digits % 2)) % len(value), "length") if length_digits else b""
    if isinstance(value, bytes):
        return length + value
    if form == _N:
        return length + _bcd(value, "field %d" % number)
    if not all([" " <= character <= "~" for character in value]):
        raise Iso8583Error("field %d is no plain text" % number)
    return length + value.encode()


def _read(number: int, data: bytes, place: int) -> "tuple[str | bytes, int]":
    """The value, and where the next field begins."""
    if number not in FORMS:
        raise Iso8583Error("field %d is not known" % number)
    form, length, length_digits = FORMS[number]
    if length_digits:
        digits = data[place : place + (length_digits + 1) // 2].hex()
        place += (length_digits + 1) // 2
        if not digits or not _is_of(digits, _DIGITS) or int(digits) > length:
            raise Iso8583Error("field %d has a wrong length" % number)
        length = int(digits)
    size = (length + 1) // 2 if form == _N else length
    value = data[place : place + size]
    if len(value) != size:
        raise Iso8583Error("field %d is cut off" % number)
    place += size
    if form == _B:
        return value, place
    if form == _A:
        # Acquirers write Chinese here, in a code that not every runtime reads: for a technician's log a mark in its place will do.
        return "".join([chr(byte) if 0x20 <= byte < 0x7F else "?" for byte in value]), place
    written = value.hex()
    if not _is_of(written.upper(), _TRACK if number in (35, 36) else _DIGITS):
        raise Iso8583Error("field %d is no BCD" % number)
    return written[:length], place


def _bcd(digits: str, what: str) -> bytes:
    if not _is_of(digits, _DIGITS):
        raise Iso8583Error(what + " is not of digits")
    return bytes.fromhex(digits + "0" * (len(digits) % 2))


def _is_of(text: str, characters: str) -> bool:
    return all([character in characters for character in text])
