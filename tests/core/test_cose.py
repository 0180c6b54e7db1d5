"""COSE_Sign1: what is signed is verified, bound to its topic, and everything else is refused with its reason."""

import asyncio
from binascii import unhexlify
from hashlib import sha256

from firmware_agent.messages.cbor import Tag, decode, encode
from firmware_agent.messages.cose import ALG_ES256, ALG_ESP256, CoseError, key_id, parse, sign, signing_digest, verify
from hal.drivers.p256 import P256
from tests.core.support import raises

# RFC 6979, A.2.5.
PRIVATE = unhexlify("c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721")
PUBLIC = unhexlify(
    "60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb67903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299"
)
KID = key_id(PUBLIC)
TOPIC = "poi/v1/acquirer/T1/order"
PAYLOAD = encode({1: "T1", 4: 1700000000, 6: [1, 2, 3]})
PROTECTED = encode({1: ALG_ESP256, 4: KID})
SIGNATURE = bytes(range(64))


class OneKey:
    """As much of a secure element as signing and verifying ask for; its key is in slot 3."""

    def __init__(self):
        self.curve = P256()

    async def sign(self, slot, digest):
        assert slot == 3
        return self.curve.sign(PRIVATE, digest)

    async def verify(self, public_key, digest, signature):
        return self.curve.verify(public_key, digest, signature)


def signed(payload=PAYLOAD, topic=TOPIC):
    return asyncio.run(sign(OneKey(), 3, KID, payload, topic))


def is_good(message, public=PUBLIC, topic=TOPIC):
    return asyncio.run(verify(OneKey(), parse(message), public, topic))


def message(header, unprotected=None, payload=PAYLOAD, signature=SIGNATURE):
    return encode(Tag(18, [encode(header), unprotected or {}, payload, signature]))


def refused(data):
    return raises(CoseError, parse, data).code


def test_a_signed_message_comes_back_whole():
    whole = signed()
    envelope = parse(whole)
    assert envelope.payload == PAYLOAD
    assert envelope.alg == ALG_ESP256
    assert envelope.kid == KID
    assert envelope.protected == PROTECTED
    assert len(envelope.signature) == 64
    assert is_good(whole)
    assert whole[:2] == b"\xd2\x84"  # tag 18, a list of four
    assert decode(whole).value[1] == {}


def test_a_memoryview_is_parsed_as_bytes_are():
    assert parse(memoryview(signed())).payload == PAYLOAD


def test_an_empty_payload_is_a_payload():
    assert is_good(signed(b""))


def test_the_signed_bytes_are_those_of_the_rfc():
    for payload in (b"", PAYLOAD, bytes(300)):
        for topic in ("", TOPIC, "poi/\u6c34/" + "x" * 300):
            whole = encode(["Signature1", PROTECTED, topic.encode(), payload])
            assert signing_digest(PROTECTED, payload, topic) == sha256(whole).digest()


def test_the_key_id_is_the_start_of_the_hash_of_the_key():
    assert KID == sha256(PUBLIC).digest()[:8] and len(KID) == 8


def test_moved_to_another_topic_it_is_not_signed():
    assert not is_good(signed(), topic="poi/v1/acquirer/T2/order")
    assert not is_good(signed(), topic=TOPIC + "/")
    assert not is_good(signed(), topic="")


def test_by_another_key_it_is_not_signed():
    assert not is_good(signed(), public=P256().public_key(bytes(31) + b"\x02"))


def test_no_changed_byte_is_taken():
    whole = signed()
    for index in range(len(whole)):
        altered = bytearray(whole)
        altered[index] ^= 1
        try:
            envelope = parse(bytes(altered))
        except CoseError:
            continue
        if index % 8 == 0:  # verifying takes its time
            assert not asyncio.run(verify(OneKey(), envelope, PUBLIC, TOPIC)), index
        else:
            digest = signing_digest(envelope.protected, envelope.payload, TOPIC)
            assert digest != signing_digest(PROTECTED, PAYLOAD, TOPIC) or envelope.signature != parse(whole).signature, index


def test_no_beginning_is_taken():
    whole = signed()
    for length in range(len(whole)):
        assert refused(whole[:length]) == "malformed"
    assert refused(whole + b"\x00") == "malformed"


def test_es256_is_taken_as_the_same_algorithm():
    protected = encode({1: ALG_ES256, 4: KID})
    signature = P256().sign(PRIVATE, signing_digest(protected, PAYLOAD, TOPIC))
    whole = encode(Tag(18, [protected, {}, PAYLOAD, signature]))
    assert parse(whole).alg == ALG_ES256
    assert is_good(whole)


def test_other_algorithms_are_refused():
    for alg in (-8, -19, -35, -36, -47, 0, 1, 5, 7, 9, "ES256", None, [], b"\x26", True):
        assert refused(message({1: alg, 4: KID})) == "algorithm", alg
    assert refused(message({4: KID})) == "algorithm"
    assert refused(message({})) == "algorithm"
    assert refused(encode(Tag(18, [b"", {}, PAYLOAD, SIGNATURE]))) == "algorithm"


def test_an_algorithm_or_key_id_that_is_not_signed_is_not_used():
    assert refused(message({4: KID}, {1: ALG_ESP256})) == "algorithm"
    assert refused(message({1: ALG_ESP256}, {4: KID})) == "key_id"


def test_a_key_id_must_be_bytes():
    for kid in ("text", 5, None, [KID]):
        assert refused(message({1: ALG_ESP256, 4: kid})) == "key_id"


def test_too_long_a_message_is_refused_before_it_is_read():
    assert refused(b"\xff" * 4097) == "too_long"
    assert refused(b"\xff" * 4096) == "malformed"
    whole = signed()
    assert raises(CoseError, parse, whole, len(whole) - 1).code == "too_long"
    assert parse(whole, len(whole)).payload == PAYLOAD


def test_what_is_no_cose_sign1_is_not_signed():
    parts = [PROTECTED, {}, PAYLOAD, SIGNATURE]
    assert refused(encode(parts)) == "not_signed"
    for number in (0, 17, 19, 61, 96, 98):  # 17 MAC0, 96 encrypted, 98 several signatures
        assert refused(encode(Tag(number, parts))) == "not_signed"
    assert refused(encode(Tag(18, Tag(18, parts)))) == "malformed"
    assert refused(PAYLOAD) == "not_signed"
    assert refused(b"\xf6") == "not_signed"


def test_other_forms_are_malformed():
    for parts in (
        None,
        [],
        {},
        [PROTECTED, {}, PAYLOAD],
        [PROTECTED, {}, PAYLOAD, SIGNATURE, b""],
        [{1: ALG_ESP256, 4: KID}, {}, PAYLOAD, SIGNATURE],
        ["", {}, PAYLOAD, SIGNATURE],
        [PROTECTED, [], PAYLOAD, SIGNATURE],
        [PROTECTED, None, PAYLOAD, SIGNATURE],
        [PROTECTED, b"", PAYLOAD, SIGNATURE],
        [PROTECTED, {}, "text", SIGNATURE],
        [PROTECTED, {}, 1, SIGNATURE],
        [PROTECTED, {}, PAYLOAD, "s" * 64],
        [PROTECTED, {}, PAYLOAD, None],
        [encode([]), {}, PAYLOAD, SIGNATURE],
        [encode(1), {}, PAYLOAD, SIGNATURE],
        [PROTECTED + b"\x00", {}, PAYLOAD, SIGNATURE],
        [b"\xbf\x01\x28\xff", {}, PAYLOAD, SIGNATURE],
        [b"\xa2\x04\x41a\x01\x28", {}, PAYLOAD, SIGNATURE],
        [b"\xa2\x01\x28\x01\x28", {}, PAYLOAD, SIGNATURE],
        [encode({1: ALG_ESP256, 4: KID, b"label": 0}), {}, PAYLOAD, SIGNATURE],
        [PROTECTED, {b"label": 0}, PAYLOAD, SIGNATURE],
    ):
        assert refused(encode(Tag(18, parts))) == "malformed", parts


def test_a_detached_payload_is_refused():
    assert refused(encode(Tag(18, [PROTECTED, {}, None, SIGNATURE]))) == "no_payload"


def test_a_signature_of_another_length_is_refused():
    for length in (0, 63, 65, 70, 72, 96):
        assert refused(message({1: ALG_ESP256, 4: KID}, None, PAYLOAD, bytes(length))) == "signature_length"


def test_unknown_headers_that_are_not_critical_are_let_be():
    header = {1: ALG_ESP256, 4: KID, 3: 60, "x": [1]}
    assert parse(message(header, {5: b"iv", "note": None})).kid == KID


def test_unknown_critical_headers_are_refused():
    assert refused(message({1: ALG_ESP256, 4: KID, 2: [99], 99: 1})) == "unknown_header_critical"
    assert refused(message({1: ALG_ESP256, 4: KID, 2: [1, "x"], "x": 1})) == "unknown_header_critical"
    assert refused(message({1: ALG_ESP256, 4: KID, 2: [3], 3: 60})) == "unknown_header_critical"


def test_understood_critical_headers_are_taken():
    assert parse(message({1: ALG_ESP256, 4: KID, 2: [1, 4]})).kid == KID


def test_a_misused_crit_is_refused():
    for crit in ([], None, 1, "x", {}, [b"x"], [None], [[1]], [True]):
        assert refused(message({1: ALG_ESP256, 4: KID, 2: crit})) == "crit", crit
    assert refused(message({1: ALG_ESP256, 4: KID, 2: [99]})) == "crit"  # names what is not there
    assert refused(message({1: ALG_ESP256, 4: KID, 2: [99]}, {99: 1})) == "crit"  # or is there but not signed
    assert refused(message({1: ALG_ESP256, 4: KID}, {2: [4]})) == "crit"


def test_a_header_may_not_come_twice():
    assert refused(message({1: ALG_ESP256, 4: KID}, {1: ALG_ES256})) == "header_twice"
    assert refused(message({1: ALG_ESP256, 4: KID}, {4: KID})) == "header_twice"
    assert refused(message({1: ALG_ESP256, 4: KID, "x": 1}, {"x": 1})) == "header_twice"


def test_a_refusal_says_what_and_where():
    error = raises(CoseError, parse, b"\xd2\x84\x5f")
    assert error.code == "malformed" and error.detail == "length at byte 1"
    assert str(error) == "malformed: length at byte 1"
