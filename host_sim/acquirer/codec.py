"""Signed messages for an acquirer that has many terminals: the verdicts of firmware_agent.messages, at the speed of the P-256 below it.

What a terminal commonly sends is recognised by its bytes and read in one pass. For everything else, and for the word of every refusal, the
firmware's own strict code is asked (docs/decisions/0016-fast-codec.md). Nothing here knows a terminal, a database or a network.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from functools import lru_cache
from hashlib import sha256
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from firmware_agent.messages.cbor import MAX_DEPTH, MAX_ITEMS, CborError, decode, encode, write_head
from firmware_agent.messages.cose import ALG_ESP256, MAX_LENGTH, CoseError, key_id, parse
from firmware_agent.messages.schema import (
    BOOL,
    BYTES,
    CHOICE,
    CLAIM_BOOT_COUNT,
    CLAIM_EXPIRES,
    CLAIM_ISSUED_AT,
    CLAIM_ISSUER,
    CLAIM_MESSAGE,
    CLAIM_SUBJECT,
    KINDS,
    LIST,
    MAX_BYTES,
    MAX_UINT,
    TEXT,
    UINT,
    VERSION,
    Claims,
    Field,
    Kind,
    SchemaError,
)

KEYS_HELD = 8192  # loaded keys, 2 kB each: loading one takes a tenth as long as verifying with it

# The envelope as it is written: tag 18, a list of four, the protected header {1: -9, 4: kid of 8 bytes}, {}, the payload, the signature.
_ENVELOPE = b"\xd2\x84"
_KID_SIZE = 8
_HEADER = encode({1: ALG_ESP256, 4: bytes(_KID_SIZE)})[:-_KID_SIZE]
_BEFORE_KID = _ENVELOPE + encode(_HEADER + bytes(_KID_SIZE))[:-_KID_SIZE]
_KID_END = len(_BEFORE_KID) + _KID_SIZE
_SIGNATURE_HEAD = b"\x58\x40"
_SIGNATURE_SIZE = 64
_SHORTEST = _KID_END + 1 + 2 + 24 + len(_SIGNATURE_HEAD) + _SIGNATURE_SIZE  # with a payload of 24 bytes, whose head has two
_CONTEXT = b"\x84" + encode("Signature1")  # the Sig_structure's beginning (RFC 9052, 4.4)
# In the payload, before the boot count and before the message's kind; a field's value stands in three maps and lists.
_BOOT_COUNT = encode(CLAIM_BOOT_COUNT)
_MESSAGE = encode(CLAIM_MESSAGE) + b"\x84" + encode(VERSION)
_DEPTH_OF_FIELDS = MAX_DEPTH - 3


class Refused(Exception):
    """code: a word of firmware_agent.messages.inbound.REFUSALS; the message is for the log."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code


class Verifier:
    """Verifies and decodes. Holds the keys that it loaded, at most KEYS_HELD, and nothing of any message."""

    def __init__(self) -> None:
        self._ecdsa = ec.ECDSA(Prehashed(SHA256()))  # hashlib is quicker than the package's own hashing
        self._tables = _tables()
        self._loaded = lru_cache(KEYS_HELD)(_loaded)

    def verify(self, topic: str, message: bytes, keys: Mapping[bytes, bytes]) -> Claims:
        """What a message says that arrived on `topic`, signed for it by one of `keys`: key id -> public key, 64 bytes x || y.

        Whether it belongs on that topic, and whether it is new, is not judged here. Raises Refused.
        """
        usual = _usual_envelope(message)
        if usual:
            kid, start, end = message[len(_BEFORE_KID) : _KID_END], *usual
            payload, signature = message[start:end], message[-_SIGNATURE_SIZE:]
            protected, payload_item = message[len(_ENVELOPE) : _KID_END], message[_KID_END + 1 : end]
            signed = b"".join((_CONTEXT, protected, _bytes_item(topic.encode()), payload_item))
        else:
            try:
                envelope = parse(message)
            except CoseError as error:
                raise Refused(error.code, error.detail) from error
            kid, payload, signature = envelope.kid, envelope.payload, envelope.signature
            signed = encode(["Signature1", envelope.protected, topic.encode(), payload])
        public_key = keys.get(kid)
        if public_key is None:
            raise Refused("unknown_key", kid[:32].hex())
        if not self._holds(public_key, signature, signed):
            raise Refused("bad_signature")
        try:
            return _usual_claims(payload, self._tables)
        except _NOT_READ:
            return _strict_claims(payload)

    def _holds(self, public_key: bytes, signature: bytes, signed: bytes) -> bool:
        key = self._loaded(public_key)
        if key is None:
            return False
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
        try:
            key.verify(encode_dss_signature(r, s), sha256(signed).digest(), self._ecdsa)
        except InvalidSignature:
            return False
        return True


class Signer:
    """Encodes and signs with one private key on P-256."""

    def __init__(self, private_key: ec.EllipticCurvePrivateKey) -> None:
        point = private_key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        self.public_key = point[1:]  # x || y (SEC 1, 2.3.3: after 04)
        self._private_key = private_key
        self._tables = _tables()
        self._ecdsa = ec.ECDSA(Prehashed(SHA256()))
        self._protected = _bytes_item(_HEADER + key_id(self.public_key))

    def sign(self, topic: str, claims: Claims) -> bytes:
        """The message that says `claims` on `topic`. Raises SchemaError, CborError: they do not keep to the schema."""
        try:
            payload = _bytes_item(_usual_payload(claims, self._tables))
        except _NOT_WRITTEN:
            payload = _bytes_item(encode(claims.to_map()))
        signed = b"".join((_CONTEXT, self._protected, _bytes_item(topic.encode()), payload))
        signature = _raw_signature(self._private_key.sign(sha256(signed).digest(), self._ecdsa))
        return b"".join((_ENVELOPE, self._protected, b"\xa0", payload, _SIGNATURE_HEAD, signature))


def _raw_signature(der: bytes) -> bytes:
    """r || s of an ECDSA-Sig-Value (RFC 3279, 2.2.3) on P-256, as this machine's library has just written it."""
    s_at = 4 + der[3]
    return der[4:s_at][-32:].rjust(32, b"\0") + der[s_at + 2 :][-32:].rjust(32, b"\0")


def _loaded(public_key: bytes) -> ec.EllipticCurvePublicKey | None:
    """None: that is no point on the curve, and nothing was signed by it."""
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x04" + public_key)
    except ValueError:
        return None


def _usual_envelope(message: bytes) -> tuple[int, int] | None:
    """Where the payload begins and ends in an envelope as it is written; None for any other."""
    length = len(message)
    if not _SHORTEST <= length <= MAX_LENGTH or not message.startswith(_BEFORE_KID) or message[_KID_END] != 0xA0:
        return None
    end = length - len(_SIGNATURE_HEAD) - _SIGNATURE_SIZE
    head = message[_KID_END + 1]
    if head == 0x58:
        start = _KID_END + 3
        announced, least = message[start - 1], 24
    elif head == 0x59:
        start = _KID_END + 4
        announced, least = message[start - 2] << 8 | message[start - 1], 0x100
    else:
        return None
    if announced < least or start + announced != end or not message.startswith(_SIGNATURE_HEAD, end):
        return None
    return start, end


def _bytes_item(data: bytes | bytearray) -> bytes:
    length = len(data)
    if length < 24:
        return bytes((0x40 | length,)) + data
    if length < 0x100:
        return bytes((0x58, length)) + data
    item = bytearray()
    write_head(item, 2, length)
    return bytes(item) + data


class _Unusual(Exception):
    """Not as messages are commonly written, though it may be good: to the firmware's own code."""


_NOT_READ = (_Unusual, IndexError, KeyError, UnicodeDecodeError)


class _Field:
    """A field, prepared. most: length of a text or of bytes, 0: it has none; read: from the data and a place, the value and its end."""

    def __init__(self, field: Field) -> None:
        self.name = field.name
        self.required = field.required
        self.words = field.words
        self.most = {TEXT: field.longest, BYTES: MAX_BYTES}.get(field.type, 0)
        self.read = _READERS[field.type]
        self._write = _WRITERS[field.type]

    def to_write(self, number: int) -> tuple[str, bool, int, dict[object, bytes], Callable[[bytearray, Any], None], int]:
        """What writing needs of it at hand: name, required, number, its words with what is written for each, write, most."""
        words: dict[object, bytes] = {word: encode(number) + encode(place) for place, word in enumerate(self.words or ())}
        return self.name, self.required, number, words, self._write, self.most


class _Table:
    """A kind, prepared. required: how many of its fields are."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        fields = sorted(kind.fields, key=lambda field: field.number)
        self.fields = {field.number: _Field(field) for field in fields}
        self.required = sum(field.required for field in kind.fields)
        self.in_order = [self.fields[field.number].to_write(field.number) for field in fields]


def _tables() -> dict[int, _Table]:
    return {kind.number: _Table(kind) for kind in KINDS}


def _strict_claims(payload: bytes) -> Claims:
    try:
        return Claims.from_map(decode(payload))
    except CborError as error:
        raise Refused("malformed", str(error)) from error
    except SchemaError as error:
        raise Refused(error.code, str(error)) from error


def _usual_claims(data: bytes, tables: Mapping[int, _Table]) -> Claims:
    """As _strict_claims, in one pass over the claims in their order; one of _NOT_READ for what is not good, or not common.

    Common are the known claims and fields, and in their values whole numbers, bytes, text, false, true, and lists.
    """
    if len(data) > MAX_ITEMS:  # each takes a byte at least
        raise _Unusual
    claims = data[0] - 0xA0
    at = 1
    issuer, expires, issued_at, boot_count = "", 0, 0, 0
    if data[at] == CLAIM_ISSUER:
        issuer, at = _text(data, at + 1)
        claims -= 1
    if data[at] != CLAIM_SUBJECT:
        raise _Unusual
    subject, at = _text(data, at + 1)
    if data[at] == CLAIM_EXPIRES:
        expires, at = _number(data, at + 1)
        claims -= 1
    if data[at] == CLAIM_ISSUED_AT:
        issued_at, at = _number(data, at + 1)
        claims -= 1
    if data.startswith(_BOOT_COUNT, at):
        boot_count, at = _number(data, at + len(_BOOT_COUNT))
        claims -= 1
    if claims != 2 or not 0 < len(subject) <= 64 or len(issuer) > 64 or not data.startswith(_MESSAGE, at):
        raise _Unusual
    at += len(_MESSAGE)
    table = tables[data[at]]  # a KeyError for a kind above 23, too
    sequence, at = _number(data, at + 1)
    body: dict[str, object] = {}
    fields, missing = table.fields, table.required
    previous = -1
    count = data[at] - 0xA0
    if not 0 <= count < 24:
        raise _Unusual
    at += 1
    for _ in range(count):
        number = data[at]
        if number <= previous:
            raise _Unusual
        previous = number
        field = fields[number]
        value, at = field.read(data, at + 1)
        if field.words:
            value = field.words[value]  # an IndexError for one that only a newer version knows
        elif field.most and len(value) > field.most:
            raise _Unusual
        body[field.name] = value
        missing -= field.required
    if missing or at != len(data):  # what was cut off was read as shorter than it said, and ends behind the end
        raise _Unusual
    return Claims(table.kind, subject, sequence, body, issuer, issued_at, expires, boot_count)


def _text(data: bytes, at: int) -> tuple[str, int]:
    begin = at + 1
    length = data[at] - 0x60
    if 0 <= length < 24:
        end = begin + length
        return data[begin:end].decode(), end
    text, end = _item(data, at, 0)
    if type(text) is not str:
        raise _Unusual
    return text, end


def _number(data: bytes, at: int) -> tuple[int, int]:
    """A whole number, not negative, as far as a claim's may go."""
    head = data[at]
    if head < 24:
        return head, at + 1
    if head > 0x1B:
        raise _Unusual
    width = 1 << (head - 24)
    end = at + 1 + width
    number = int.from_bytes(data[at + 1 : end], "big")
    if not _LEAST[width] <= number <= MAX_UINT:
        raise _Unusual
    return number, end


def _flag(data: bytes, at: int) -> tuple[bool, int]:
    return _FLAGS[data[at]], at + 1


def _octets(data: bytes, at: int) -> tuple[bytes, int]:
    octets, end = _item(data, at, 0)
    if type(octets) is not bytes:
        raise _Unusual
    return octets, end


def _list_of_any(data: bytes, at: int) -> tuple[list[Any], int]:
    count = data[at] - 0x80
    if 0 <= count < 24:
        return _list(data, at + 1, count, _DEPTH_OF_FIELDS - 1)
    if not 24 <= count < 32:
        raise _Unusual
    return _item(data, at, _DEPTH_OF_FIELDS)


_READERS: dict[str, Callable[[bytes, int], tuple[Any, int]]] = {
    UINT: _number,
    CHOICE: _number,
    TEXT: _text,
    BYTES: _octets,
    BOOL: _flag,
    LIST: _list_of_any,
}
_FLAGS = {0xF4: False, 0xF5: True}
_LEAST = {1: 24, 2: 1 << 8, 4: 1 << 16, 8: 1 << 32}  # by width in bytes: what is less goes into half of it


def _item(data: bytes, at: int, depth: int) -> tuple[Any, int]:
    """The item that begins at `at`, and where it ends. A count that cannot be met ends at the end of the data, by an IndexError."""
    head = data[at]
    at += 1
    argument = head & 0x1F
    if argument >= 24:
        if argument > 27:
            raise _Unusual
        width = 1 << (argument - 24)
        argument = int.from_bytes(data[at : at + width], "big")
        if argument < _LEAST[width]:
            raise _Unusual
        at += width
    if head < 0x20:
        return argument, at
    if head < 0x40:
        return -1 - argument, at
    if head < 0x60:
        return data[at : at + argument], at + argument
    if head < 0x80:
        return data[at : at + argument].decode(), at + argument
    if head < 0xA0 and depth:
        return _list(data, at, argument, depth - 1)
    if head == 0xF5:
        return True, at
    if head == 0xF4:
        return False, at
    raise _Unusual


def _list(data: bytes, at: int, count: int, depth: int) -> tuple[list[Any], int]:
    """As _item, which is spelled out here for what a report is full of: small numbers, short texts and short lists."""
    items: list[Any] = []
    append = items.append
    for _ in range(count):
        head = data[at]
        if head < 24:
            append(head)
            at += 1
        elif head == 0x19:
            number = data[at + 1] << 8 | data[at + 2]
            if number < 0x100:
                raise _Unusual
            append(number)
            at += 3
        elif head == 0x18:
            number = data[at + 1]
            if number < 24:
                raise _Unusual
            append(number)
            at += 2
        elif 0x80 <= head < 0x98 and depth:
            inner, at = _list(data, at + 1, head - 0x80, depth - 1)
            append(inner)
        elif head == 0x1A:
            begin = at + 1
            at += 5
            number = int.from_bytes(data[begin:at], "big")
            if number < 0x10000:
                raise _Unusual
            append(number)
        elif 0x60 <= head < 0x78:
            begin = at + 1
            at = begin + head - 0x60
            append(data[begin:at].decode())
        else:
            other, at = _item(data, at, depth)
            append(other)
    return items, at


def _usual_payload(claims: Claims, tables: Mapping[int, _Table]) -> bytearray:
    """As encode(claims.to_map()), in one pass; one of _NOT_WRITTEN for what is not good, or not common: see _usual_claims."""
    table = tables[claims.kind.number]
    if table.kind is not claims.kind or claims.unknown:
        raise _Unusual
    out = bytearray((0xA2,))
    if claims.issuer:
        out[0] += 1
        out.append(CLAIM_ISSUER)
        _write_text(out, claims.issuer)
    out.append(CLAIM_SUBJECT)
    _write_text(out, claims.subject)
    if claims.expires:
        out[0] += 1
        out.append(CLAIM_EXPIRES)
        _write_number(out, claims.expires)
    if claims.issued_at:
        out[0] += 1
        out.append(CLAIM_ISSUED_AT)
        _write_number(out, claims.issued_at)
    if claims.boot_count:
        out[0] += 1
        out += _BOOT_COUNT
        _write_number(out, claims.boot_count)
    out += _MESSAGE
    _write_number(out, claims.kind.number)
    _write_number(out, claims.sequence)
    body = claims.body
    _write_head(out, 0xA0, len(body))
    missing, written = table.required, 0
    for name, required, number, words, write, most in table.in_order:
        if name not in body:
            continue
        value = body[name]
        if words:
            out += words[value]
        else:
            out.append(number)
            write(out, value)
            if most and len(value) > most:  # type: ignore[arg-type]  # a text or bytes, else it had not been written
                raise _Unusual
        missing -= required
        written += 1
    if missing or written != len(body):
        raise _Unusual
    return out


_NOT_WRITTEN = (_Unusual, KeyError, TypeError, ValueError)


def _write_number(out: bytearray, number: Any) -> None:
    if type(number) is not int or not 0 <= number <= MAX_UINT:
        raise _Unusual
    _write_head(out, 0x00, number)


def _write_text(out: bytearray, text: Any) -> None:
    if type(text) is not str:
        raise _Unusual
    data = text.encode()
    length = len(data)
    if length < 24:
        out.append(0x60 | length)
    else:
        _write_head(out, 0x60, length)
    out += data


def _write_octets(out: bytearray, octets: Any) -> None:
    if type(octets) is not bytes:
        raise _Unusual
    _write_head(out, 0x40, len(octets))
    out += octets


def _write_flag(out: bytearray, flag: Any) -> None:
    if type(flag) is not bool:
        raise _Unusual
    out.append(0xF5 if flag else 0xF4)


def _write_list(out: bytearray, items: Any, depth: int = _DEPTH_OF_FIELDS) -> None:
    """Spelled out, as in reading, for what a report is full of: small numbers, short texts and short lists."""
    if type(items) is not list or not depth:
        raise _Unusual
    length = len(items)
    if length < 24:
        out.append(0x80 | length)
    else:
        _write_head(out, 0x80, length)
    for item in items:
        kind = type(item)
        if kind is int:
            if 0 <= item < _NUMBERS_AT_HAND:
                out += _NUMBERS[item]
            elif item >= 0:
                _write_head(out, 0x00, item)
            else:
                _write_head(out, 0x20, -1 - item)
        elif kind is list:
            _write_list(out, item, depth - 1)
        elif kind is str:
            _write_text(out, item)
        elif kind is bytes:
            _write_octets(out, item)
        else:
            _write_flag(out, item)


_WRITERS: dict[str, Callable[[bytearray, Any], None]] = {
    UINT: _write_number,
    CHOICE: _write_number,
    TEXT: _write_text,
    BYTES: _write_octets,
    BOOL: _write_flag,
    LIST: _write_list,
}


def _write_head(out: bytearray, major: int, argument: int) -> None:
    """major: in its place, the upper three bits of the first byte. Raises CborError for a number of more than 64 bits."""
    if argument < 24:
        out.append(major | argument)
    elif argument < 0x100:
        out += bytes((major | 24, argument))
    elif argument < 0x10000:
        out += _HEAD_OF_TWO(major | 25, argument)
    elif argument < 0x100000000:
        out += _HEAD_OF_FOUR(major | 26, argument)
    else:
        write_head(out, major >> 5, argument)


_NUMBERS_AT_HAND = 2048  # durations in ms, error and phase numbers
_NUMBERS = [encode(number) for number in range(_NUMBERS_AT_HAND)]
_HEAD_OF_TWO = struct.Struct(">BH").pack
_HEAD_OF_FOUR = struct.Struct(">BI").pack
