"""Writes docs/wire-vectors.json: good messages and bad ones, for whoever implements the wire format in another language.

    python tools/build_wire_vectors.py [--check]

One vector a line. All are signed by deterministic nonces (RFC 6979), so that the file is the same each time.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from firmware_agent.messages import cbor, cose, schema  # noqa: E402
from firmware_agent.messages.cbor import Tag, decode, encode  # noqa: E402
from firmware_agent.messages.inbound import AHEAD_S  # noqa: E402
from hal.drivers.p256 import P256  # noqa: E402
from tools.build_wire_format import EXAMPLE_PRIVATE_KEY, diagnostic  # noqa: E402

OUTPUT = ROOT / "docs" / "wire-vectors.json"
ACQUIRER, TERMINAL = "acq1", "T0000001"
HIGHEST = 4  # accepted by the terminal before
PUBLIC_KEY = P256().public_key(EXAMPLE_PRIVATE_KEY)
KID = cose.key_id(PUBLIC_KEY)
STRANGER = bytes(31) + b"\x02"  # a private key that nobody trusts
PROTECTED = encode({1: cose.ALG_ESP256, 4: KID})
ISSUED_AT = 1790000000
EXPIRES = 1790086400
ABOUT = (
    "Test vectors of docs/wire-format.md. 'public_key' is trusted, x || y; its private key is that of RFC 6979, A.2.5. 'refusal' is what "
    "envelope, signature and schema alone make of a message that arrived on 'topic': '' is good. 'receipt', where the topic is one to a "
    "terminal, is the refusal in the answer of T0000001 of acq1, which has accepted sequence 4 before and by whose clock it is 'wall_s': "
    "'' for SUCC. 'claims' is what a good message says; bytes stand as {'hex': ...}; 'payload' is the same in diagnostic notation "
    "(RFC 8949, 8)."
)


def vectors() -> list[dict[str, Any]]:
    """All of them, in order; each name once."""
    return [*_good(), *_bad_cbor(), *_bad_envelopes(), *_bad_signatures(), *_bad_payloads(), *_misplaced()]


def topic(leaf: str, terminal: str = TERMINAL, acquirer: str = ACQUIRER) -> str:
    return schema.topic(acquirer, terminal, leaf)


def signed(
    payload: bytes, where: str, protected: bytes = PROTECTED, unprotected: bytes = b"\xa0", private: bytes = EXAMPLE_PRIVATE_KEY
) -> bytes:
    """A message around any bytes: nothing in it is checked."""
    signature = P256().sign(private, cose.signing_digest(protected, payload, where))
    return envelope(encode(protected), unprotected, encode(payload), encode(signature))


def envelope(*items: bytes) -> bytes:
    return b"\xd2" + bytes((0x80 + len(items),)) + b"".join(items)


def _order(sequence: int = 5, **body: Any) -> schema.Claims:
    body = body or {"action": "lift", "reason": "violation"}
    return schema.Claims(schema.kind_named("order"), TERMINAL, sequence, body, ACQUIRER, ISSUED_AT, EXPIRES)


def _claims(kind: str, sequence: int, body: dict[str, object]) -> schema.Claims:
    """As the terminal says it, or the acquirer."""
    if schema.kind_named(kind).direction == schema.UP:
        return schema.Claims(schema.kind_named(kind), TERMINAL, sequence, body, issued_at=ISSUED_AT, boot_count=sequence // 10**8)
    return schema.Claims(schema.kind_named(kind), TERMINAL, sequence, body, ACQUIRER, ISSUED_AT, EXPIRES)


def _vector(name: str, what: str, where: str, message: bytes, refusal: str = "", receipt: str | None = None) -> dict[str, Any]:
    """receipt: None: as refusal."""
    found: dict[str, Any] = {"name": name, "what": what, "topic": where, "message": message.hex(), "refusal": refusal}
    if where.rsplit("/", 1)[1] in [kind.leaf for kind in schema.KINDS if kind.direction == schema.DOWN]:
        found["receipt"] = refusal if receipt is None else receipt
    if not refusal:
        payload = decode(cose.parse(message).payload)
        claims = schema.Claims.from_map(payload)
        found["claims"] = {
            "kind": claims.kind.name,
            "subject": claims.subject,
            "issuer": claims.issuer,
            "issued_at": claims.issued_at,
            "expires": claims.expires,
            "boot_count": claims.boot_count,
            "sequence": claims.sequence,
            "body": in_json(claims.body),
            "unknown": in_json(claims.unknown),
        }
        found["payload"] = diagnostic(payload)
    return found


def in_json(value: Any) -> Any:
    """As JSON can say it: numbers of fields as texts, bytes as {'hex': ...}."""
    if isinstance(value, bytes):
        return {"hex": value.hex()}
    if isinstance(value, list):
        return [in_json(item) for item in value]
    if isinstance(value, dict):
        return {str(key): in_json(item) for key, item in value.items()}
    return value


BODIES: dict[str, dict[str, object]] = {
    "state": {
        "mode": "suspended",
        "status": "DACT",
        "link": "online",
        "connection": 14200000001,
        "reasons": [[6, 0, ISSUED_AT, 0, "", "C-2026-1107"]],
        "tests_due": ["print", "scan"],
        "firmware": "0.1.0",
        "board": "esp32s3_counter",
    },
    "report": {
        "plan": "daily",
        "results": [[8, 0, 18], [9, 0, 4], [10, 1, 31, 40, 203, "no paper"], [11, 0, 98], [12, 0, 52], [14, 0, 1204]],
        "mode": "suspended",
        "firmware": "0.1.0",
        "reasons": [[2, 1, ISSUED_AT - 5, 0, "printer"]],
        "element": True,
        "dropped": 3,
    },
    "event": {"name": "storage_refuses", "detail": "E_FAILURE"},
    "test": {"name": "print", "outcome": "fail", "cause": "paper_out"},
    "application": {
        "application": 2,
        "purpose": "registration",
        "reasons": [[6, 0]],
        "request": bytes(range(256)),
        "transport_key": PUBLIC_KEY,
    },
    "receipt": {"of": sha256(b"a message").digest()[:16], "result": "ACCD", "refusal": "replayed", "sequence": 4, "highest": 4},
    "inquiry": {"nonce": bytes(range(8))},
    "audit": {"count": 70000, "head": sha256(b"a log").digest()},
    "activation": {"board": "esp32_mpos", "request": b"\x30\x00", "transport_key": PUBLIC_KEY, "sealed": b"\x01\x02\x03", "element": False},
    "events": {"events": [["key_stuck", "5", ISSUED_AT, 2], ["restarted", "", 0, 1]]},
    "summary": {
        "number": 2,
        "reasons": [[6, 0, ISSUED_AT - 86400, 0, "", "C-2026-1107"]],
        "since": ISSUED_AT - 86400,
        "until": ISSUED_AT,
        "duration_s": 86400,
        "steps": [[0, ISSUED_AT - 86400, 6], [1, ISSUED_AT - 7200], [10], [17, ISSUED_AT]],
        "tests": [["print", 2, "pass", ISSUED_AT - 60]],
        "people": [[0, "T-0042"], [1, "7"]],
        "advice": [6],
        "whole": True,
        "back": True,
    },
    "order": {"action": "suspend", "reason": "violation", "until": EXPIRES, "case": "C-2026-1107", "note": "频繁变更结算卡"},
    "status": {"application": 2, "status": "approved", "remark": "documents complete"},
    "credentials": {"application": 2, "certificate": b"\x30\x82" + bytes(300), "transport_certificate": b"\x30\x00"},
    "answer": {"nonce": bytes(range(8))},
    "notice": {"notice": 9, "about": "maintenance", "text": "Sunday 02:00 to 04:00", "since": ISSUED_AT, "until": EXPIRES},
    "audited": {"count": 70000, "head": sha256(b"a log").digest()},
}


def _good() -> Iterator[dict[str, Any]]:
    for kind in schema.KINDS:
        claims = _claims(kind.name, 14200000007 if kind.direction == schema.UP else 5, BODIES[kind.name])
        where = topic(kind.leaf)
        yield _vector(f"kind {kind.name}", kind.what, where, signed(encode(claims.to_map()), where))

    order, where = _order().to_map(), topic("order")

    def headed(name: str, what: str, header: dict[Any, Any], unprotected: bytes = b"\xa0") -> dict[str, Any]:
        return _vector(name, what, where, signed(encode(order), where, encode(header), unprotected))

    def saying(name: str, what: str, kind: str, changes: dict[int, object]) -> dict[str, Any]:
        fields = {**schema.encode_body(schema.kind_named(kind), BODIES[kind]), **changes}
        return _vector(name, what, topic(kind), signed(_with_body(fields, kind), topic(kind)))

    esp256 = cose.ALG_ESP256
    yield headed("alg -7", "ES256 means the same as ESP256", {1: cose.ALG_ES256, 4: KID})
    yield headed("unprotected ignored", "what is not signed is ignored", {1: esp256, 4: KID}, encode({33: b"x"}))
    yield headed("header ignored", "a header that is not understood, and not critical", {1: esp256, 4: KID, "x": 1})
    yield headed("crit understood", "crit names what every receiver understands", {1: esp256, 2: [1, 4], 4: KID})
    later = {**order, 7: b"cti", -70000: [1]}
    yield _vector("claim ignored", "a claim that is not listed is ignored", where, signed(encode(later), where))
    yield saying("field kept", "fields of a later version", "order", {77: {1: "later"}, 300: None})
    yield saying("choice kept", "a choice of a later version is told as its number", "notice", {2: 40})
    numbers = [0, 23, 24, 255, 256, 65535, 65536, 0xFFFFFFFF, 1 << 32, (1 << 64) - 1, -1, -24, -25, -256, -257, -(1 << 64)]
    yield saying("heads", "numbers at the ends of each length of head", "events", {1: numbers})
    yield saying("deepest", "eight levels", "events", {1: _nested(cbor.MAX_DEPTH - 3)})
    yield saying("most items", "1024 items", "events", {1: [0] * _ITEMS_LEFT})
    text = "é水\U0001f4a7" + "x" * (schema.MAX_REMARK - 3)
    yield saying("longest text", "characters count, not bytes", "status", {3: text})
    message = order[schema.CLAIM_MESSAGE]
    assert isinstance(message, list)
    greatest = {**order, schema.CLAIM_MESSAGE: [1, 16, schema.MAX_UINT, message[3]], schema.CLAIM_EXPIRES: schema.MAX_UINT}
    yield _vector("greatest sequence", "48 bits", where, signed(encode(greatest), where))
    name = "T" * 64
    bare = {2: name, schema.CLAIM_MESSAGE: [1, 7, 0, {1: b""}]}
    yield _vector("bare", "what need not be there is not", topic("inquiry", name), signed(encode(bare), topic("inquiry", name)))
    yield _vector("longest", "4096 bytes", where, _of_length(cose.MAX_LENGTH))


def _fields(kind: str) -> dict[int, object]:
    return schema.encode_body(schema.kind_named(kind), BODIES[kind])


def _with_body(fields: object, kind: str = "order") -> bytes:
    """A payload with any body."""
    claims = _claims(kind, 14200000007 if schema.kind_named(kind).direction == schema.UP else 5, BODIES[kind]).to_map()
    claims[schema.CLAIM_MESSAGE] = [schema.VERSION, schema.kind_named(kind).number, 5, fields]
    return encode(claims, 20)


def _nested(depth: int) -> list[Any]:
    return [] if depth == 1 else [_nested(depth - 1)]


# Of 1024: the map of four claims with their keys, the list of four, the body with one field and its key, the field's list itself.
_ITEMS_LEFT = cbor.MAX_ITEMS - (1 + 2 * 4 + 4 + 2)


def _of_length(length: int) -> bytes:
    """A good order, filled with a field that nobody knows."""
    where = topic("order")
    for filling in range(length):
        message = signed(_with_body({**_fields("order"), 99: bytes(length - 300 + filling)}), where)
        if len(message) == length:
            return message
    raise AssertionError("no filling makes that length")


def _bad_cbor() -> Iterator[dict[str, Any]]:
    """In the envelope, which is read first, and in the payload, which is signed: either has one form only."""
    where = topic("order")
    good = signed(encode(_order().to_map()), where)
    payload = decode(good).value[2]
    head, content, signature = encode(PROTECTED), encode(payload), encode(decode(good).value[3])
    tail = content + signature
    length = bytes((len(payload),))

    def bad(name: str, what: str, message: bytes) -> dict[str, Any]:
        return _vector(f"envelope: {name}", what, where, message, "malformed")

    yield bad("nothing", "no bytes at all", b"")
    yield bad("cut off", "the last byte is missing", good[:-1])
    yield bad("trailing byte", "a byte after the end", good + b"\x00")
    yield bad("long tag", "the tag in two bytes", b"\xd8\x12" + good[1:])
    yield bad("long list", "the length of the list in a byte of its own", b"\xd2\x98\x04" + good[2:])
    yield bad("endless list", "a list of indefinite length", b"\xd2\x9f" + good[2:] + b"\xff")
    yield bad("endless payload", "bytes of indefinite length", envelope(head, b"\xa0", b"\x5f" + content + b"\xff", signature))
    yield bad("long payload head", "a length below 256 in two bytes", envelope(head, b"\xa0", b"\x59\x00" + length + payload, signature))
    yield bad("huge bytes", "2^63 bytes are announced", envelope(head, b"\xa0") + b"\x5b\x80" + bytes(7) + payload)
    yield bad("huge list", "2^32 items are announced", b"\xd2\x9b\x00\x00\x00\x01" + bytes(4) + good[2:])
    yield bad("huge map", "2^63 pairs are announced", b"\xd2\x84" + head + b"\xbb\x80" + bytes(7) + tail)
    yield bad("reserved head", "additional information 28", b"\xd2\x9c" + good[2:])
    yield bad("break", "an end of nothing", b"\xff")
    yield bad("three items", "a list of three", envelope(head, b"\xa0", content))
    yield bad("five items", "a list of five", envelope(head, b"\xa0", tail, b"\xf6"))
    yield bad("no list", "a map under the tag", b"\xd2\xa0")
    yield bad("protected not bytes", "the protected header as a map", envelope(PROTECTED, b"\xa0", content, signature))
    yield bad("unprotected not a map", "a list", envelope(head, b"\x80", content, signature))
    yield bad("payload is text", "text, not bytes", envelope(head, b"\xa0", encode("payload"), signature))
    yield bad("signature is null", "null, not bytes", envelope(head, b"\xa0", content, b"\xf6"))
    labelled = encode({1: cose.ALG_ESP256, 4: KID, b"x": 1})
    yield bad("header label bytes", "a label is a number or text", envelope(encode(labelled), b"\xa0", content, signature))
    yield bad("header unsorted", "4 before 1", signed(payload, where, b"\xa2" + encode(4) + encode(KID) + encode(1) + encode(-9)))
    yield bad("header label twice", "alg twice", signed(payload, where, b"\xa3\x01\x28\x01\x28\x04" + encode(KID)))
    yield bad("header not a map", "a list in the protected header", signed(payload, where, encode([1, -9])))
    yield bad("too deep", "nine levels", envelope(head, b"\xa1\x18\x21" + b"\x81" * 6 + b"\x80", content, signature))

    def changed(old: bytes, new: bytes) -> bytes:
        assert payload.count(old) == 1, (payload, old)
        return bytes(payload.replace(old, new))

    def unsound(name: str, what: str, claims: bytes) -> dict[str, Any]:
        return _vector(f"payload: {name}", what, where, signed(claims, where), "malformed")

    yield unsound("nothing", "no bytes at all", b"")
    yield unsound("trailing byte", "a byte after the end", payload + b"\x00")
    yield unsound("cut off", "the last byte is missing", payload[:-1])
    yield unsound("long number", "7 in two bytes", changed(b"\x10\x05", b"\x10\x18\x05"))
    yield unsound("long number of 4", "a number below 65536 in four bytes", changed(b"\x10\x05", b"\x10\x1a\x00\x00\xff\xff"))
    yield unsound("long number of 8", "a number below 2^32 in eight bytes", changed(b"\x10\x05", b"\x10\x1b" + bytes(4) + b"\xff" * 4))
    yield unsound("long text head", "a length below 24 in a byte of its own", changed(b"\x68T0000001", b"\x78\x08T0000001"))
    yield unsound("endless text", "text of indefinite length", changed(b"\x68T0000001", b"\x7f\x68T0000001\xff"))
    yield unsound("endless map", "a map of indefinite length", b"\xbf" + payload[1:] + b"\xff")
    yield unsound("unsorted claims", "2 before 1", changed(b"\x01\x64acq1\x02\x68T0000001", b"\x02\x68T0000001\x01\x64acq1"))
    yield unsound("claim twice", "sub twice", b"\xa6" + changed(b"\x02\x68T0000001", b"\x02\x68T0000001" * 2)[1:])
    yield unsound("unsorted fields", "2 before 1", changed(b"\x01\x64lift\x02\x69violation", b"\x02\x69violation\x01\x64lift"))
    yield unsound("field twice", "action twice", changed(b"\x01\x64lift\x02\x69violation", b"\x01\x64lift\x01\x64lift"))
    yield unsound("float", "the sequence as 5.0", changed(b"\x10\x05", b"\x10\xf9\x45\x00"))
    yield unsound("float of 8", "the sequence as 5.0, in eight bytes", changed(b"\x10\x05", b"\x10\xfb\x40\x14" + bytes(6)))
    yield unsound("undefined", "a simple value that is none of false, true, null", changed(b"\x10\x05", b"\x10\xf7"))
    yield unsound("bignum", "the sequence under tag 2", changed(b"\x10\x05", b"\x10\xc2\x41\x05"))
    yield unsound("bad text", "not UTF-8: a byte alone", changed(b"\x64lift", b"\x64lif\x80"))
    yield unsound("overlong text", "not UTF-8: an overlong form", changed(b"\x64lift", b"\x64li\xc0\xaf"))
    yield unsound("surrogate", "not UTF-8: half of a pair", changed(b"\x64lift", b"\x64l\xed\xa0\x80"))
    yield unsound("map in a key", "a map as a claim's number", b"\xa6\xa0\x00" + payload[1:])
    yield unsound("huge list", "2^32 items are announced", changed(b"\x84\x01\x10", b"\x9b" + bytes(3) + b"\x01" + bytes(4) + b"\x01\x10"))
    yield unsound("huge text", "2^63 bytes are announced", changed(b"\x68T0000001", b"\x7b\x80" + bytes(7) + b"T0000001"))
    events = topic("events")
    deep = _with_body({1: _nested(cbor.MAX_DEPTH - 2)}, "events")
    yield _vector("payload: too deep", "nine levels", events, signed(deep, events), "malformed")
    many = _with_body({1: [0] * (_ITEMS_LEFT + 1)}, "events")
    yield _vector("payload: too many items", "1025 items", events, signed(many, events), "malformed")


def _bad_envelopes() -> Iterator[dict[str, Any]]:
    where = topic("order")
    payload = encode(_order().to_map())
    good = signed(payload, where)
    parts = decode(good).value

    def of(*values: Any, number: int = 18) -> bytes:
        return encode(Tag(number, list(values)))

    def headed(header: dict[Any, Any], unprotected: dict[Any, Any] | None = None) -> bytes:
        return signed(payload, where, encode(header), encode(unprotected or {}))

    esp256 = cose.ALG_ESP256
    yield _vector("too long", "4097 bytes", where, _of_length(cose.MAX_LENGTH + 1), "too_long")
    yield _vector("no tag", "COSE_Sign1 without its tag", where, good[1:], "not_signed")
    yield _vector("other tag", "tag 98, COSE_Sign", where, of(*parts, number=98), "not_signed")
    yield _vector("unsigned payload", "the payload alone", where, payload, "not_signed")
    yield _vector("text", "no CBOR but a text", where, b'{"action":"lift"}', "malformed")
    yield _vector("other algorithm", "EdDSA", where, headed({1: -8, 4: KID}), "algorithm")
    yield _vector("symmetric algorithm", "HMAC 256/256", where, headed({1: 5, 4: KID}), "algorithm")
    yield _vector("no algorithm", "kid only", where, headed({4: KID}), "algorithm")
    yield _vector("no header", "an empty protected header", where, signed(payload, where, b""), "algorithm")
    yield _vector("alg unprotected", "alg where it is not signed", where, headed({4: KID}, {1: esp256}), "algorithm")
    yield _vector("alg as text", "its name", where, headed({1: "ESP256", 4: KID}), "algorithm")
    yield _vector("kid missing", "alg only", where, headed({1: esp256}), "key_id")
    yield _vector("kid unprotected", "kid where it is not signed", where, headed({1: esp256}, {4: KID}), "key_id")
    yield _vector("kid as text", "not bytes", where, headed({1: esp256, 4: "kid"}), "key_id")
    yield _vector("alg in both", "in both headers", where, headed({1: esp256, 4: KID}, {1: esp256}), "header_twice")
    yield _vector("crit unprotected", "crit where it is not signed", where, headed({1: esp256, 4: KID}, {2: [1]}), "crit")
    yield _vector("crit empty", "names nothing", where, headed({1: esp256, 2: [], 4: KID}), "crit")
    yield _vector("crit no list", "a number", where, headed({1: esp256, 2: 1, 4: KID}), "crit")
    yield _vector("crit of bytes", "bytes are no label", where, headed({1: esp256, 2: [b"x"], 4: KID}), "crit")
    yield _vector("crit names nothing", "a header that is not there", where, headed({1: esp256, 2: [33], 4: KID}), "crit")
    not_understood = headed({1: esp256, 2: [33], 4: KID, 33: 1})
    yield _vector("crit unknown", "a header that is not understood", where, not_understood, "unknown_header_critical")
    yield _vector("detached payload", "null in its place", where, of(parts[0], {}, None, parts[3]), "no_payload")
    yield _vector("signature short", "63 bytes", where, of(*parts[:3], parts[3][:63]), "signature_length")
    yield _vector("signature long", "65 bytes", where, of(*parts[:3], parts[3] + b"\x00"), "signature_length")
    yield _vector("signature empty", "no bytes", where, of(*parts[:3], b""), "signature_length")


def _bad_signatures() -> Iterator[dict[str, Any]]:
    where = topic("order")
    payload = encode(_order().to_map())
    parts = decode(signed(payload, where)).value
    signature = parts[3]

    def of(value: bytes) -> bytes:
        return encode(Tag(18, [*parts[:3], value]))

    stranger = encode({1: cose.ALG_ESP256, 4: cose.key_id(P256().public_key(STRANGER))})
    strange = signed(payload, where, stranger, private=STRANGER)
    yield _vector("unknown key", "signed by nobody that is trusted", where, strange, "unknown_key")
    yield _vector("kid cut", "seven bytes of a trusted key's id", where, signed(payload, where, encode({1: -9, 4: KID[:7]})), "unknown_key")
    borrowed = signed(payload, where, private=STRANGER)
    yield _vector("borrowed kid", "a trusted key's id, another key's signature", where, borrowed, "bad_signature")
    yield _vector("signature bit", "one bit of s", where, of(signature[:63] + bytes((signature[63] ^ 1,))), "bad_signature")
    yield _vector("signature zero", "r and s are 0", where, of(bytes(64)), "bad_signature")
    yield _vector("signature s zero", "s is 0", where, of(signature[:32] + bytes(32)), "bad_signature")
    yield _vector("signature greatest", "r and s are 2^256 - 1", where, of(b"\xff" * 64), "bad_signature")
    yield _vector("signature exchanged", "s, r", where, of(signature[32:] + signature[:32]), "bad_signature")
    suspend = encode(_order(action="suspend", reason="violation").to_map())
    altered = encode(Tag(18, [parts[0], {}, suspend, signature]))
    yield _vector("payload altered", "another action under the old signature", where, altered, "bad_signature")
    es256 = encode({1: cose.ALG_ES256, 4: KID})
    yield _vector("header altered", "alg -7 in the place of -9", where, encode(Tag(18, [es256, {}, payload, signature])), "bad_signature")
    bare = P256().sign(EXAMPLE_PRIVATE_KEY, cose.signing_digest(PROTECTED, payload, ""))
    yield _vector("topic not signed", "external_aad is empty", where, of(bare), "bad_signature")


def _bad_payloads() -> Iterator[dict[str, Any]]:
    where = topic("order")
    order = _order().to_map()
    message = order[schema.CLAIM_MESSAGE]
    assert isinstance(message, list)

    def bad(name: str, what: str, claims: object, refusal: str = "malformed") -> dict[str, Any]:
        return _vector(name, what, where, signed(encode(claims), where), refusal)

    def proper(name: str, what: str, values: object, refusal: str = "malformed") -> dict[str, Any]:
        return bad(name, what, {**order, schema.CLAIM_MESSAGE: values}, refusal)

    def body(name: str, what: str, fields: object, refusal: str = "malformed") -> dict[str, Any]:
        return proper(name, what, [1, 16, 5, fields], refusal)

    yield bad("payload a list", "not a map of claims", [1, 2])
    yield bad("no message", "without the claim -65537", {1: ACQUIRER, 2: TERMINAL})
    yield bad("no sub", "of nobody", {key: value for key, value in order.items() if key != 2})
    yield bad("sub empty", "an empty name", {**order, 2: ""})
    yield bad("sub too long", "65 characters", {**order, 2: "T" * 65})
    yield bad("sub a number", "not a text", {**order, 2: 1})
    yield bad("iss too long", "65 characters", {**order, 1: "a" * 65})
    yield bad("iss bytes", "not a text", {**order, 1: b"acq1"})
    yield bad("iat negative", "before 1970", {**order, 6: -1})
    yield bad("exp too great", "2^48", {**order, 4: 1 << 48})
    yield bad("bootcount text", "not a number", {**order, 267: "1"})
    yield proper("message empty", "an empty list", [])
    yield proper("message a map", "not a list", {1: 1})
    yield proper("message short", "three items", message[:3])
    yield proper("message long", "five items", [*message, 0])
    yield proper("version 2", "of a later version", [2, *message[1:]], "version")
    yield proper("version later form", "of a later version in another form", ["2"], "version")
    yield proper("version true", "true is no number", [True, *message[1:]], "version")
    yield proper("unknown kind", "99", [1, 99, 5, message[3]], "unknown_kind")
    yield proper("kind by name", "not its number", [1, "order", 5, message[3]])
    yield proper("sequence negative", "-5", [1, 16, -5, message[3]])
    yield proper("sequence too great", "2^48", [1, 16, 1 << 48, message[3]])
    yield proper("sequence false", "false is no number", [1, 16, False, message[3]])
    yield body("body a list", "not a map", ["lift"])
    yield body("body empty", "the action is missing", {})
    yield body("field mistyped", "the action is a number", {1: 5})
    yield body("field bytes", "the action in bytes", {1: b"lift"})
    yield body("field true", "true is no number", {1: "suspend", 3: True})
    yield body("field negative", "a time before 1970", {1: "suspend", 3: -1})
    yield body("text too long", "an action of 33 characters", {1: "a" * 33})
    yield body("bytes too long", "2049 bytes", {1: "trust_key", 12: bytes(2049)})
    yield body("list a map", "settings as a map", {1: "configure", 11: {1: 2}})
    yield body("field of text", "a field's number as a text", {1: "lift", "x": 1})
    yield body("critical field", "a negative number that is not known", {**message[3], -1: 1}, "critical_field")
    report = _fields("report")

    def reporting(name: str, what: str, fields: dict[int, object]) -> dict[str, Any]:
        return _vector(name, what, topic("report"), signed(_with_body(fields, "report"), topic("report")), "malformed")

    yield reporting("choice as text", "the mode as a word", {**report, 3: "suspended"})
    yield reporting("bool as number", "1 for true", {**report, 6: 1})
    yield reporting("no results", "a required field is missing", {number: value for number, value in report.items() if number != 2})


def _misplaced() -> Iterator[dict[str, Any]]:
    """Good in themselves, or where they belong."""
    where = topic("order")
    good = signed(encode(_order().to_map()), where)
    other = topic("order", "T0000002")
    yield _vector("moved to another leaf", "signed for .../order", topic("status"), good, "bad_signature", "wrong_topic")
    claims = _order().to_map()
    theirs = encode({**claims, 2: "T0000002"})
    stray, mistaken = signed(theirs, other), signed(theirs, where)
    yield _vector("moved from another terminal", "signed for T0000002's topic", where, stray, "bad_signature", "wrong_terminal")
    yield _vector("another terminal's", "signed for this topic, but for T0000002", where, mistaken, "", "wrong_terminal")
    foreign = signed(encode({**claims, 1: "acq2"}), where)
    yield _vector("another acquirer's", "signed for this topic, but from acq2", where, foreign, "", "wrong_terminal")
    answer = encode(_claims("answer", 5, BODIES["answer"]).to_map())
    yield _vector("another leaf's", "an answer, signed for .../order", where, signed(answer, where), "", "wrong_topic")
    upward = encode({**_claims("inquiry", 5, BODIES["inquiry"]).to_map(), 1: ACQUIRER, 4: EXPIRES})
    yield _vector("upward", "an inquiry came down", where, signed(upward, where), "", "wrong_direction")
    yield _vector("replayed", "sequence 4 was there before", where, signed(encode(_order(HIGHEST).to_map()), where), "", "replayed")
    for name, what, claim, at_s, refusal in (
        ("expired", "it has expired in this second", schema.CLAIM_EXPIRES, ISSUED_AT, "expired"),
        ("not yet expired", "it expires in a second", schema.CLAIM_EXPIRES, ISSUED_AT + 1, ""),
        ("from the future", "more than 10 minutes ahead", schema.CLAIM_ISSUED_AT, ISSUED_AT + AHEAD_S + 1, "from_the_future"),
        ("a clock ahead", "10 minutes ahead", schema.CLAIM_ISSUED_AT, ISSUED_AT + AHEAD_S, ""),
    ):
        yield _vector(name, what, where, signed(encode({**claims, claim: at_s}), where), "", refusal)
    endless = {key: value for key, value in claims.items() if key != schema.CLAIM_EXPIRES}
    yield _vector("no exp", "an order needs an end", where, signed(encode(endless), where), "", "malformed")
    yield _vector("sequence 0", "a sequence down starts above 0", where, signed(encode(_order(0).to_map()), where), "", "malformed")


def document() -> str:
    """The whole of docs/wire-vectors.json."""
    whose = {"acquirer": ACQUIRER, "terminal": TERMINAL, "highest": HIGHEST, "wall_s": ISSUED_AT}
    head = {"about": ABOUT, "public_key": PUBLIC_KEY.hex(), **whose}
    lines = [json.dumps(vector, ensure_ascii=False) for vector in vectors()]
    opening = ",\n".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in head.items())
    return "{\n" + opening + ',\n"vectors": [\n' + ",\n".join(lines) + "\n]\n}\n"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Write docs/wire-vectors.json: messages that are good, and messages that are not.")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="the file (default: %(default)s)")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the file is not current")
    options = parser.parse_args(arguments)
    text = document()
    if not options.check:
        options.output.write_text(text, encoding="utf-8")
    elif not options.output.is_file() or options.output.read_text(encoding="utf-8") != text:
        print(f"{options.output.name} is not current: run python tools/build_wire_vectors.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
