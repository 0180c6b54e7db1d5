"""Takes a message apart, byte by byte, for people: what each byte is, what it says, and what is wrong with it. Pure.

The strict readers of firmware_agent.messages refuse a message as a whole, and say one word. This one goes on as far as anything can be
made of the bytes, and calls the rest not readable; whether a message is good only `verdict` says, by those readers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from firmware_agent.messages import cose, schema
from firmware_agent.messages.cbor import MAX_DEPTH, MAX_ITEMS, CborError, decode, is_utf8
from firmware_agent.messages.events import EVENTS
from firmware_agent.messages.inbound import RESULT_GOOD
from firmware_agent.orders import ACTIONS
from firmware_agent.records.timeline import MOMENTS, ROLES
from firmware_agent.selftest.diagnosis import CAUSES
from firmware_agent.selftest.phases import OUTCOMES
from firmware_agent.selftest.plans import phase_ids
from firmware_agent.state.reasons import ACTORS, REASON_KINDS
from host_sim.acquirer.codec import Refused, Verifier
from host_sim.wire_words import ACTIVATION_TEXTS, CLAIMS, REFUSAL_TEXTS

VERIFIED = "verified"
NOT_READABLE = "not readable"
MOST_SHOWN = 48  # bytes of a value in hexadecimal


class Part(NamedTuple):
    """at, length: which bytes of the message; depth: how many parts it is inside of; meaning: '' where its name says it all."""

    at: int
    length: int
    name: str
    value: str
    depth: int
    meaning: str


class Verdict(NamedTuple):
    """word: VERIFIED or the refusal's; meaning: in one sentence; signed_by: kid in hexadecimal, '' where none can be read."""

    word: str
    meaning: str
    signed_by: str


def parts(topic: str, message: bytes) -> list[Part]:
    """All bytes of the message, in order, each in one part. Takes any bytes. topic: that it travels on, which is signed with it."""
    inspection = _Inspection(message)
    inspection.document(len(message), 0, _signed_message(topic))
    return inspection.parts


def altered(message: bytes, at: int, bit: int = 0) -> bytes:
    """A copy with one bit the other way round; bit: 0 is the lowest. Raises ValueError with one line: there is no such bit."""
    if not 0 <= at < len(message):
        raise ValueError(f"byte {at} is not in the message; allowed: 0 to {len(message) - 1}" if message else "the message has no bytes")
    if not 0 <= bit <= 7:
        raise ValueError(f"bit {bit} is not in a byte; allowed: 0 to 7")
    copy = bytearray(message)
    copy[at] ^= 1 << bit
    return bytes(copy)


def verdict(topic: str, message: bytes, keys: Mapping[bytes, bytes]) -> Verdict:
    """What message and topic alone decide; whether it is new, and in time, its receiver says.

    keys: that sign on this topic, kid -> public key, x || y. An activation brings its own key, and is judged by that.
    """
    signed_by = ""
    upward = topic.rpartition("/")[2] in [kind.leaf for kind in schema.KINDS if kind.direction == schema.UP]
    try:
        signed_by = cose.parse(message).kid.hex()
        if topic.endswith("/" + schema.kind_named("activation").leaf):
            keys = _brought(message)
        _check_place(topic, Verifier().verify(topic, message, keys))
    except cose.CoseError as error:
        return Verdict(error.code, _sentence(error.code, upward), signed_by)
    except Refused as error:
        code = _moved(topic, message, keys) if error.code == "bad_signature" else error.code
        return Verdict(code, _sentence(code, upward), signed_by)
    return Verdict(VERIFIED, "The signature holds for every byte of it, and for this topic.", signed_by)


def _check_place(topic: str, claims: schema.Claims) -> None:
    """As the terminal's judge does, of all that needs no clock and no memory. Raises Refused."""
    acquirer, terminal, leaf = _place(topic)
    downward = leaf in [kind.leaf for kind in schema.KINDS if kind.direction == schema.DOWN]
    if downward and claims.kind.direction != schema.DOWN:
        raise Refused("wrong_direction")
    if claims.subject != terminal or (claims.kind.direction == schema.DOWN and claims.issuer != acquirer):
        raise Refused("wrong_terminal")
    if topic != schema.topic(acquirer, claims.subject, claims.kind.leaf):
        raise Refused("wrong_topic")
    if claims.kind.direction == schema.DOWN and not (claims.expires and claims.sequence):
        raise Refused("malformed")


def _moved(topic: str, message: bytes, keys: Mapping[bytes, bytes]) -> str:
    """The word for a signature that does not hold here: it may hold on the topic that the message belongs on."""
    try:
        claims = schema.Claims.from_map(decode(cose.parse(message).payload))
        belongs = schema.topic(claims.issuer or _place(topic)[0], claims.subject, claims.kind.leaf)
        Verifier().verify(belongs, message, keys)
    except (cose.CoseError, CborError, schema.SchemaError, Refused):
        return "bad_signature"
    return "wrong_topic" if claims.subject == _place(topic)[1] else "wrong_terminal"


def _place(topic: str) -> tuple[str, str, str]:
    """(acquirer, terminal, leaf), '' for what is not there."""
    levels = [*topic.split("/"), "", "", "", "", ""]
    return levels[2], levels[3], levels[4]


def _brought(message: bytes) -> dict[bytes, bytes]:
    """The key in an activation's request. Raises Refused, CoseError."""
    try:
        claims = schema.Claims.from_map(decode(cose.parse(message).payload))
        key = x509.load_der_x509_csr(claims.octets("request")).public_key()
    except (CborError, schema.SchemaError) as error:
        raise Refused(getattr(error, "code", "malformed") if isinstance(error, schema.SchemaError) else "malformed") from error
    except (ValueError, UnsupportedAlgorithm, x509.InvalidVersion) as error:
        raise Refused("malformed") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise Refused("malformed")
    point = key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)[1:]
    return {cose.key_id(point): point}


def _sentence(code: str, upward: bool) -> str:
    text = _OF_THE_ACQUIRER.get(code) if upward else None
    text = _plain(text or REFUSAL_TEXTS.get(code, "it is refused"))
    return text[0].upper() + text[1:] + "."


_OF_THE_ACQUIRER = {
    "unknown_key": "`kid` names no key by which the acquirer knows this terminal",
    "wrong_terminal": "it is from another terminal",
}


def _plain(text: str) -> str:
    """Without the marks of a document: links and code."""
    return re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", text).replace("`", "")


# What a message is made of. A shape says what an item is called and how its value reads; and for what is in it, which shapes that has.


class Shape(NamedTuple):
    """told: (how the value reads, what it means or '') of a number, a text, bytes; inside: by a map's key, items: by a list's place,
    and by what came before it there; document: the bytes are CBOR again; cuts: (name, bytes) of its pieces, the last one takes the rest.
    """

    name: str
    meaning: str = ""
    told: Callable[[Any], tuple[str, str]] | None = None
    inside: Callable[[Any, list[Any]], Shape] | None = None
    items: Callable[[int, list[Any]], Shape] | None = None
    document: Shape | None = None
    cuts: tuple[tuple[str, int], ...] = ()


def _signed_message(topic: str) -> Shape:
    payload = Shape("claims", inside=_claim)
    protected = Shape("header", inside=lambda label, before: _header(label, True))
    unprotected = Shape("unprotected header", "not signed, so nothing in it is used", inside=lambda label, before: _header(label, False))
    items = (
        Shape("protected header", "signed", document=protected),
        unprotected,
        Shape("payload", "signed", document=payload),
        Shape("signature", f"ECDSA over protected header, payload and the topic {topic}", cuts=(("signature r", 32), ("signature s", 32))),
    )
    four = Shape("message", "headers, payload and signature", items=lambda place, before: _of(items, place))
    return Shape("tag", told=_tag, inside=lambda place, before: four)


def _tag(number: Any) -> tuple[str, str]:
    return str(number), "COSE_Sign1: a message with one signature (RFC 9052)" if number == 18 else "not that of a signed message"


def _of(shapes: tuple[Shape, ...], place: int) -> Shape:
    return shapes[place] if place < len(shapes) else Shape(f"item {place + 1}", "there should be no more")


def _header(label: Any, signed: bool) -> Shape:
    if label == 1:
        return Shape("alg", "the algorithm of the signature", _algorithm)
    if label == 2:
        return Shape("crit", "headers that a receiver has to understand", items=lambda place, before: Shape("header"))
    if label == 4:
        return Shape("kid", "names the key that signed: the first 8 bytes of its SHA-256")
    return Shape(f"header {_short(label)}", "ignored" if signed else "")


def _algorithm(number: Any) -> tuple[str, str]:
    names = {cose.ALG_ESP256: "ESP256", cose.ALG_ES256: "ES256"}
    if type(number) is int and number in names:
        return f"{names[number]} ({number})", "ECDSA on P-256 with SHA-256"
    return _short(number), "no algorithm that is accepted"


def _claim(number: Any, before: list[Any]) -> Shape:
    if type(number) is not int or number not in CLAIMS:
        return Shape(f"claim {_short(number)}", "not known, ignored")
    if number == schema.CLAIM_MESSAGE:
        return Shape("message proper", "version, kind, sequence, body", items=_message_proper)
    name, _, _, what = CLAIMS[number]
    return Shape(name, what, _time if number in (schema.CLAIM_EXPIRES, schema.CLAIM_ISSUED_AT) else None)


def _message_proper(place: int, before: list[Any]) -> Shape:
    if place == 0:
        return Shape("version", "of the wire format", lambda value: (_short(value), "" if value == schema.VERSION else "not known"))
    if place == 1:
        return Shape("kind", told=_kind_told)
    if place == 2:
        return Shape("sequence", "grows with each message of this sender")
    kind = _kind(before[1]) if place == 3 else None
    if kind is not None:
        return Shape("body", f"fields of {kind.name}", inside=lambda number, fields: _field(kind, number))
    return Shape("body" if place == 3 else f"item {place + 1}", "of a kind that is not known" if place == 3 else "there should be no more")


def _kind(number: Any) -> schema.Kind | None:
    return next((kind for kind in schema.KINDS if type(number) is int and kind.number == number), None)


def _kind_told(number: Any) -> tuple[str, str]:
    kind = _kind(number)
    return (f"{kind.name} ({number})", _plain(kind.what)) if kind else (_short(number), "not known")


def _field(kind: schema.Kind, number: Any) -> Shape:
    field = next((field for field in kind.fields if type(number) is int and field.number == number), None)
    if field is None:
        critical = type(number) is int and number < 0
        return Shape(f"field {_short(number)}", "not known, and may not be ignored" if critical else "not known, ignored")
    what = _plain(field.what)
    if field.type == schema.CHOICE:
        return Shape(field.name, what, _place_told(field.words))
    if field.type == schema.LIST:
        return Shape(field.name, what, items=_LISTS.get(field.name, lambda place, before: Shape(field.name)))
    if field.name in ("since", "until"):
        return Shape(field.name, what, _time)
    if field.name == "sealed":
        return Shape(field.name, what, cuts=_SEALED)
    if field.name in ("transport_key", "sealing_key", "key"):
        return Shape(field.name, what, cuts=(("x", 32), ("y", 32)))
    told = _WORDS.get((kind.name, field.name))
    return Shape(field.name, what, _word_told(told) if told else None)


_SEALED = (("form", 1), ("id of the sealing key", 8), ("public key that was used once", 64), ("encrypted, and its HMAC", 0))
_EVENTS = {kind.name: kind.what for kind in EVENTS}
_WORDS: dict[tuple[str, str], Mapping[str, str]] = {
    ("event", "name"): _EVENTS,
    ("order", "action"): dict(ACTIONS),
    ("receipt", "refusal"): REFUSAL_TEXTS,
    ("receipt", "result"): {RESULT_GOOD: "accepted"},
    ("status", "status"): ACTIVATION_TEXTS,
}


def _word_told(words: Mapping[str, str]) -> Callable[[Any], tuple[str, str]]:
    return lambda value: (_short(value), _plain(words.get(value, "")) if isinstance(value, str) else "")


def _place_told(words: tuple[str, ...]) -> Callable[[Any], tuple[str, str]]:
    """Of a choice: on the wire its place."""
    return lambda value: (f"{words[value]} ({value})" if type(value) is int and 0 <= value < len(words) else _short(value), "")


def _number_told(words: Mapping[int, str]) -> Callable[[Any], tuple[str, str]]:
    return lambda value: (f"{words[value]} ({value})" if type(value) is int and value in words else _short(value), "")


def _time(value: Any) -> tuple[str, str]:
    if type(value) is not int or not 0 < value <= 253402300799:  # 9999-12-31T23:59:59Z, the last that can be written
        return _short(value), "not known" if value == 0 and type(value) is int else ""
    return datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), ""


def _each(name: str, *items: Shape) -> Callable[[Any, list[Any]], Shape]:
    """A list of lists, with these items."""
    one = Shape(name, items=lambda place, before: _of(items, place))
    return lambda place, before: one


_REASONS = _number_told({kind.number: kind.code for kind in REASON_KINDS})
_PHASES = {number: name for number, (name, _) in phase_ids().items()}
_WHEN = Shape("when", told=_time)
_LISTS: dict[str, Callable[[Any, list[Any]], Shape]] = {
    "reasons": _each(
        "reason",
        Shape("reason", told=_REASONS),
        Shape("actor", "who suspended the terminal", _place_told(ACTORS)),
        Shape("since", told=_time),
        Shape("until", "expected", _time),
        Shape("component"),
        Shape("case", "the acquirer's case number"),
        Shape("note"),
    ),
    "results": _each(
        "result",
        Shape("phase", told=_number_told(_PHASES)),
        Shape("outcome", told=_place_told(OUTCOMES)),
        Shape("duration", "in milliseconds"),
        Shape("cause", told=_number_told({cause.number: cause.code for cause in CAUSES})),
        Shape("error", "UnifiedPOS error number"),
        Shape("detail", "for a technician"),
    ),
    "events": _each("event", Shape("name", told=_word_told(_EVENTS)), Shape("detail"), _WHEN, Shape("how often")),
    "steps": _each("step", Shape("what", told=_place_told(MOMENTS)), _WHEN, Shape("about")),
    "tests": _each("test", Shape("name"), Shape("how often"), Shape("last outcome"), _WHEN),
    "people": _each("person", Shape("role", told=_place_told(ROLES)), Shape("number", "of the badge, or of the person")),
    "settings": _each("setting", Shape("name"), Shape("value")),
    "advice": lambda place, before: Shape("reason", told=_REASONS),
    "materials": lambda place, before: Shape("material"),
    "tests_due": lambda place, before: Shape("test"),
}

# CBOR, item by item.

_UNSIGNED, _NEGATIVE, _BYTES, _TEXT, _ARRAY, _MAP, _TAG, _SIMPLE = range(8)
_WHY = {
    "cut_off": "the message ends here, before this is complete",
    "length": "more is announced than is there",
    "reserved": "no item begins like this",
    "indefinite": "of no definite length, which is not accepted",
    "depth": f"more than {MAX_DEPTH} lists, maps and tags in each other",
    "items": f"more than {MAX_ITEMS} items",
    "key_type": "a list, a map or a tag cannot be a key here",
    "trailing": "bytes after the end",
}
_NOT_SHORTEST = "not in its shortest form, which is refused"


class _Unreadable(Exception):
    """code: a key of _WHY."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class _Inspection:
    """parts: so far; they end where the next one begins, so that none overlap and nothing is left out."""

    def __init__(self, message: bytes) -> None:
        self.parts: list[Part] = []
        self._message = message
        self._at = 0  # what is read next
        self._end = len(message)  # of the document that is being read
        self._told = 0  # where the next part begins
        self._items_left = MAX_ITEMS
        self._faults: list[str] = []  # of the part that comes next

    def document(self, end: int, depth: int, shape: Shape) -> None:
        """One item that fills all up to `end`, or whatever else is there."""
        outer = self._end, self._items_left
        self._end, self._items_left = end, MAX_ITEMS
        try:
            self._item(shape, depth, MAX_DEPTH)
            if self._at < end:
                raise _Unreadable("trailing")
        except _Unreadable as unreadable:
            self._give_up(end, depth, _WHY[unreadable.code])
        self._end, self._items_left = outer

    def _give_up(self, end: int, depth: int, why: str) -> None:
        self._faults = []
        if self._told < end:
            self._at = end
            self._part(NOT_READABLE, _hex(self._message[self._told : end]), depth, why)
        elif self.parts:
            last = self.parts.pop()
            self.parts.append(last._replace(meaning="; ".join(filter(None, (last.meaning, why)))))

    def _part(self, name: str, value: str, depth: int, meaning: str = "") -> None:
        """All that was read and is not told yet."""
        meaning = "; ".join(filter(None, (meaning, *self._faults)))
        self.parts.append(Part(self._told, self._at - self._told, name, value, depth, meaning))
        self._told, self._faults = self._at, []

    def _item(self, shape: Shape, depth: int, levels: int) -> Any:
        """Tell one item; its value where that is not a list, a map or a tag, which have None."""
        self._count()
        major, argument = self._head()
        if major not in (_ARRAY, _MAP, _TAG):
            return self._plain_item(major, argument, shape, depth)
        if levels == 0:
            raise _Unreadable("depth")
        inside = (shape.items if major == _ARRAY else shape.inside) or (lambda key, before: Shape(_name_of(key)))
        if major == _TAG:
            value, meaning = shape.told(argument) if shape.told else (f"tag {argument}", "")
            self._part(shape.name, value, depth, meaning or shape.meaning)
            self._item(inside(0, []), depth, levels - 1)
            return None
        self._part(shape.name, f"{'list' if major == _ARRAY else 'map'} of {argument}", depth, shape.meaning)
        before: list[Any] = []
        last_key = b""
        for place in range(argument):
            key: Any = place
            if major == _MAP:
                begin = self._at
                key = self._key()
                encoded = self._message[begin : self._at]
                if encoded <= last_key:
                    self._faults.append("the key is there twice" if encoded == last_key else "the keys are not sorted, which is refused")
                last_key = encoded
            before.append(self._item(inside(key, before), depth + 1, levels - 1))
        return None

    def _plain_item(self, major: int, argument: int, shape: Shape, depth: int) -> Any:
        value: Any = argument if major == _UNSIGNED else -1 - argument
        if major == _SIMPLE:
            value = {20: False, 21: True, 22: None}.get(argument)
            if argument not in (20, 21, 22):
                self._faults.append("a value of a type that is not accepted")
                value = _hex(self._message[self._at - 1 : self._at]) if argument < 25 else "floating point"
        if major == _BYTES:
            return self._bytes(argument, shape, depth)
        if major == _TEXT:
            octets = self._take(argument)
            if not is_utf8(octets):
                self._faults.append("not UTF-8")
            value = octets.decode(errors="backslashreplace")
        text, meaning = shape.told(value) if shape.told else (_short(value), "")
        self._part(shape.name, text, depth, meaning or shape.meaning)
        return value

    def _bytes(self, length: int, shape: Shape, depth: int) -> Any:
        if shape.document is not None or shape.cuts:
            end = min(self._at + length, self._end)
            cut_off = self._at + length > self._end
            if cut_off:
                self._faults.append(f"{end - self._at} of them are there")
            self._part(shape.name, f"{length} bytes", depth, shape.meaning)
            if shape.document is not None:
                self.document(end, depth + 1, shape.document)
            for name, size in shape.cuts:
                is_last = name == shape.cuts[-1][0]
                self._at = end if is_last else min(self._at + size, end)
                if self._at > self._told:
                    if is_last and size and self._at - self._told != size:
                        self._faults.append(f"{self._at - self._told} bytes instead of {size}")
                    self._part(name, _hex(self._message[self._told : self._at]), depth + 1)
            if cut_off:
                raise _Unreadable("cut_off")
            return None
        value = self._take(length)
        text, meaning = shape.told(value) if shape.told else (_hex(value), "")
        self._part(shape.name, text, depth, meaning or shape.meaning)
        return value

    def _key(self) -> Any:
        """Read, and told with what stands under it."""
        self._count()
        major, argument = self._head()
        if major > _TEXT:
            raise _Unreadable("key_type")
        if major == _BYTES:
            return self._take(argument)
        if major == _TEXT:
            return self._take(argument).decode(errors="backslashreplace")
        return argument if major == _UNSIGNED else -1 - argument

    def _count(self) -> None:
        if self._items_left == 0:
            raise _Unreadable("items")
        self._items_left -= 1

    def _head(self) -> tuple[int, int]:
        """Major type and argument, in whatever form they are written; of a simple value its number, or 25 to 27 for floating point."""
        if self._at >= self._end:
            raise _Unreadable("cut_off")
        major, information = divmod(self._message[self._at], 32)
        if information > 27:
            raise _Unreadable("indefinite" if information == 31 else "reserved")
        width = 0 if information < 24 else 1 << (information - 24)
        if width > self._end - self._at - 1:
            raise _Unreadable("cut_off")
        argument = int.from_bytes(self._message[self._at + 1 : self._at + 1 + width], "big") if width else information
        self._at += 1 + width
        if major == _SIMPLE:
            return major, information
        if width and (argument < 24 or (width > 1 and argument >> (4 * width) == 0)):
            self._faults.append(_NOT_SHORTEST)
        return major, argument

    def _take(self, length: int) -> bytes:
        if length > self._end - self._at:
            raise _Unreadable("length")
        self._at += length
        return self._message[self._at - length : self._at]


def _name_of(key: Any) -> str:
    return f"item {key + 1}" if type(key) is int else _short(key)


def _short(value: Any) -> str:
    """A value for people: text with what nobody would see as escapes, bytes in hexadecimal."""
    if isinstance(value, bytes):
        return _hex(value)
    if value is None or isinstance(value, bool):
        return {None: "null", False: "false", True: "true"}[value]
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in str(value))


def _hex(data: bytes) -> str:
    if len(data) <= MOST_SHOWN:
        return data.hex()
    return f"{data[:MOST_SHOWN].hex()}… ({len(data)} bytes)"
