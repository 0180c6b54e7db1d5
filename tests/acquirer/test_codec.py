"""The acquirer's fast codec: for every message the verdict of the firmware's strict code, which is the judge here; and the benchmark."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import given, settings
from hypothesis import strategies as st

from bench import messages as bench
from firmware_agent.messages.cbor import CborError, Tag, decode, encode
from firmware_agent.messages.cose import ALG_ESP256, CoseError, key_id, parse, signing_digest
from firmware_agent.messages.schema import CLAIM_MESSAGE, KINDS, MAX_UINT, Claims, SchemaError, kind_named
from hal.drivers.p256_openssl import OpensslP256
from host_sim.acquirer import codec
from host_sim.acquirer.codec import Refused, Signer, Verifier
from tools.build_wire_vectors import BODIES, PUBLIC_KEY, envelope, main, topic

VECTORS = Path(__file__).parents[2] / "docs" / "wire-vectors.json"
MUCH = 65536  # bytes: more than reading a hostile message takes, far less than what one announces
CURVE = OpensslP256()
PRIVATE = ec.derive_private_key(4711, ec.SECP256R1())
SIGNER = Signer(PRIVATE)
KEYS = {key_id(SIGNER.public_key): SIGNER.public_key}
PROTECTED = encode({1: ALG_ESP256, 4: key_id(SIGNER.public_key)})
TOPIC = topic("report")
VERIFIER = Verifier()

Verdict = tuple[str, Any]


def strict(where: str, message: bytes, keys: dict[bytes, bytes]) -> Verdict:
    """By the firmware's code alone, in the order of its judge."""
    try:
        parts = parse(message)
        if parts.kid not in keys:
            return "unknown_key", None
        if not CURVE.verify(keys[parts.kid], signing_digest(parts.protected, parts.payload, where), parts.signature):
            return "bad_signature", None
        return "", told(Claims.from_map(decode(parts.payload)))
    except (CoseError, SchemaError) as error:
        return error.code, None
    except CborError:
        return "malformed", None


def fast(where: str, message: bytes, keys: dict[bytes, bytes]) -> Verdict:
    try:
        return "", told(VERIFIER.verify(where, message, keys))
    except Refused as refused:
        return refused.code, None


def told(claims: Claims) -> str:
    """All that claims say; texts, for True == 1."""
    parts = (claims.kind.name, claims.subject, claims.issuer, claims.issued_at, claims.expires, claims.boot_count, claims.sequence)
    return repr((parts, sorted(claims.body.items()), sorted(claims.unknown.items())))


def alike(message: bytes, where: str = TOPIC, keys: dict[bytes, bytes] = KEYS) -> str:
    """The refusal that both give, '' for a message that both read alike."""
    verdict = strict(where, message, keys)
    assert fast(where, message, keys) == verdict, message.hex()
    return verdict[0]


def signed(payload: bytes, where: str = TOPIC, protected: bytes = PROTECTED) -> bytes:
    """A message around any bytes."""
    context = encode(["Signature1", protected, where.encode(), payload])
    der = PRIVATE.sign(context, ec.ECDSA(SHA256()))
    r, s = decode_dss_signature(der)
    return envelope(encode(protected), b"\xa0", encode(payload), encode(r.to_bytes(32, "big") + s.to_bytes(32, "big")))


def claims_of(kind: str) -> Claims:
    return Claims(kind_named(kind), "T0000001", 14200000007, BODIES[kind], "acq1", 1790000000, 1790086400, 142)


PAYLOADS = {kind.name: encode(claims_of(kind.name).to_map()) for kind in KINDS}


def vectors() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(VECTORS.read_text(encoding="utf-8"))["vectors"]
    return found


# The vectors.


def test_the_vectors_are_current() -> None:
    assert main(["--check"]) == 0


def test_the_check_says_what_to_run_for_vectors_that_are_not_current(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "vectors.json"
    assert main(["--output", str(output), "--check"]) == 1
    assert capsys.readouterr().err == "vectors.json is not current: run python tools/build_wire_vectors.py\n"
    assert main(["--output", str(output)]) == main(["--output", str(output), "--check"]) == 0


def test_each_vector_is_taken_or_refused_as_it_says() -> None:
    keys = {key_id(PUBLIC_KEY): PUBLIC_KEY}
    for vector in vectors():
        assert alike(bytes.fromhex(vector["message"]), vector["topic"], keys) == vector["refusal"], vector["name"]


def test_every_kind_is_among_the_good_vectors() -> None:
    assert {vector["claims"]["kind"] for vector in vectors() if not vector["refusal"]} == {kind.name for kind in KINDS}


def test_the_good_vectors_are_verified_by_other_libraries() -> None:
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x04" + PUBLIC_KEY)
    numbers = {kind.number: kind for kind in KINDS}
    for vector in vectors():
        if vector["refusal"]:
            continue
        tagged = cbor2.loads(bytes.fromhex(vector["message"]))
        protected, _, payload, signature = tagged.value
        der = encode_dss_signature(int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))
        key.verify(der, cbor2.dumps(["Signature1", protected, vector["topic"].encode(), payload]), ec.ECDSA(SHA256()))
        assert tagged.tag == 18 and cbor2.loads(protected)[4] == key_id(PUBLIC_KEY)
        claims, said = cbor2.loads(payload), vector["claims"]
        version, number, sequence, body = claims[CLAIM_MESSAGE]
        assert (version, numbers[number].name, sequence) == (1, said["kind"], said["sequence"])
        assert (claims[2], claims.get(1, ""), claims.get(6, 0)) == (said["subject"], said["issuer"], said["issued_at"])
        assert len(body) == len(said["body"]) + len(said["unknown"])


# Every message: as the strict code.


@pytest.mark.parametrize("kind", [kind.name for kind in KINDS])
def test_a_payload_changed_in_any_byte_is_read_alike(kind: str) -> None:
    payload = PAYLOADS[kind]
    assert alike(signed(payload)) == ""
    refusals = set()
    for place in range(min(len(payload), 160)):
        byte = payload[place]
        for other in {byte ^ 1, byte ^ 0x20, byte ^ 0x80, (byte + 1) & 0xFF, (byte - 1) & 0xFF, 0x18, 0x19, 0x5F, 0xF4, 0xF6} - {byte}:
            refusals.add(alike(signed(payload[:place] + bytes((other,)) + payload[place + 1 :])))
        refusals.add(alike(signed(payload[:place])))
        refusals.add(alike(signed(payload[:place] + payload[place + 1 :])))
        refusals.add(alike(signed(payload[:place] + b"\x00" + payload[place:])))
    assert {"", "malformed", "version"} <= refusals


def test_a_message_changed_in_any_byte_is_refused_alike() -> None:
    message = SIGNER.sign(TOPIC, claims_of("report"))
    assert alike(message) == ""
    refusals = set()
    for place, byte in enumerate(message):
        for other in {byte ^ 1, byte ^ 0x80, (byte + 1) & 0xFF, 0, 0xFF} - {byte}:
            refusals.add(alike(message[:place] + bytes((other,)) + message[place + 1 :]))
        refusals.add(alike(message[:place]))
        refusals.add(alike(message[:place] + message[place + 1 :]))
        refusals.add(alike(message[:place] + b"\x00" + message[place:]))
    assert refusals >= {"malformed", "not_signed", "algorithm", "unknown_key", "bad_signature", "key_id"}
    assert "" not in refusals


NUMBERS = st.one_of(
    st.integers(-(1 << 64), (1 << 64) - 1),
    st.sampled_from([0, 23, 24, 255, 256, 65535, 65536, (1 << 32) - 1, 1 << 32, MAX_UINT, MAX_UINT + 1, (1 << 64) - 1, -1, -24, -25]),
)
LEAVES = st.one_of(NUMBERS, st.binary(max_size=40), st.text(max_size=40), st.booleans(), st.none())
KEYS_OF_MAPS = st.one_of(st.integers(-30, 30), st.text(max_size=3), st.binary(max_size=3))
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=5),
        st.dictionaries(KEYS_OF_MAPS, inner, max_size=4),
        st.builds(Tag, st.integers(0, 300), inner),
    ),
    max_leaves=20,
)


@st.composite
def any_claims(draw: st.DrawFn) -> bytes:
    """A payload that is nearly one: a good one in which values have been exchanged, taken away and added."""
    claims: dict[Any, Any] = decode(PAYLOADS[draw(st.sampled_from([kind.name for kind in KINDS]))])
    message = claims[CLAIM_MESSAGE]
    for _ in range(draw(st.integers(0, 3))):
        part = draw(st.sampled_from([claims, message[3], message, message[3].get(2), message[3].get(1)]))
        if isinstance(part, dict):
            key = draw(st.one_of(st.sampled_from([*claims, *message[3]]), KEYS_OF_MAPS))
            if draw(st.booleans()):
                part.pop(key, None)
            else:
                part[key] = draw(VALUES)
            if not isinstance(claims.get(CLAIM_MESSAGE), list) or len(message) < 4 or not isinstance(message[3], dict):
                break
        elif isinstance(part, list) and part:
            part[draw(st.integers(0, len(part) - 1))] = draw(VALUES)
            if not isinstance(message[3], dict):
                break
    return encode(claims, 40)


@given(payload=any_claims())
@settings(max_examples=600, deadline=None)
def test_claims_of_any_values_are_read_alike(payload: bytes) -> None:
    alike(signed(payload))


@given(payload=any_claims(), place=st.integers(0), cut=st.integers(0, 4), put=st.binary(max_size=6))
@settings(max_examples=600, deadline=None)
def test_claims_of_altered_bytes_are_read_alike(payload: bytes, place: int, cut: int, put: bytes) -> None:
    place %= len(payload)
    alike(signed(payload[:place] + put + payload[place + cut :]))


@given(payload=st.one_of(st.binary(max_size=120), VALUES.map(lambda value: encode(value, 40))))
@settings(max_examples=300, deadline=None)
def test_any_payload_is_read_alike(payload: bytes) -> None:
    alike(signed(payload))


ITEMS = st.one_of(VALUES, st.sampled_from([{}, PAYLOADS["report"], bytes(64), PROTECTED, encode({1: -7, 4: key_id(SIGNER.public_key)})]))


@given(items=st.lists(ITEMS, min_size=3, max_size=5), tag=st.sampled_from([18, 18, 18, 17]))
@settings(max_examples=300, deadline=None)
def test_any_envelope_is_read_alike(items: list[Any], tag: int) -> None:
    alike(encode(Tag(tag, items), 40))


@given(header=st.dictionaries(st.one_of(st.integers(0, 5), KEYS_OF_MAPS), st.one_of(VALUES, st.just(-9)), max_size=3), whole=st.booleans())
@settings(max_examples=300, deadline=None)
def test_any_protected_header_is_read_alike(header: dict[Any, Any], whole: bool) -> None:
    usual = {1: -9, 4: key_id(SIGNER.public_key)} if whole else {}
    alike(signed(PAYLOADS["report"], protected=encode({**header, **usual}, 40)))


@pytest.mark.parametrize("length", [0, 1, 22, 23, 24, 25, 255, 256, 257, 1023, 1024, 1025, 3900])
def test_a_payload_of_any_length_is_read_alike(length: int) -> None:
    claims = {2: "T", CLAIM_MESSAGE: [1, 3, 1, {1: "x", 40: b""}]}
    overhead = len(encode(claims))
    fields = {1: "x", 40: bytes(max(0, length - overhead))}
    for less in range(3):
        fields[40] = bytes(max(0, length - overhead - less))
        assert alike(signed(encode({2: "T", CLAIM_MESSAGE: [1, 3, 1, fields]}))) == ""
    alike(signed(bytes(length)))
    alike(signed(b"\x80" * length))


def test_how_many_items_and_levels_are_taken_is_alike() -> None:
    refusals = [alike(signed(_events([0] * count))) for count in range(1010, 1016)]
    assert refusals == [""] * 4 + ["malformed"] * 2  # eleven items are around the list's
    nested: list[Any] = []
    refusals = []
    for _ in range(8):
        refusals.append(alike(signed(_events(nested))))
        nested = [nested]
    assert refusals == [""] * 5 + ["malformed"] * 3


def _events(values: list[Any]) -> bytes:
    return encode({2: "T", CLAIM_MESSAGE: [1, 10, 1, {1: values}]}, 40)


# Where a number or a length can stand, in hexadecimal: in a list, in a list in a list, as sequence, as iat, as a field.
PLACES = ["a20261543a0001000084010a01a10181@", "a20261543a0001000084010a01a1018181@", "a20261543a0001000084010a@a10180"]
PLACES += ["a302615406@3a0001000084010a01a10180", "a20261543a0001000084010801a201@024100"]


@pytest.mark.parametrize("width", [1, 2, 4, 8])
def test_a_head_that_is_longer_than_it_has_to_be_is_refused_wherever_it_stands(width: int) -> None:
    information = {1: 24, 2: 25, 4: 26, 8: 27}[width]

    def taken(head: bytes, content: bytes, places: list[str]) -> set[bool]:
        return {alike(signed(bytes.fromhex(place.replace("@", (head + content).hex())))) == "" for place in places}

    for number in (0, 5, 23, 24, 255, 256, 65535, 65536, (1 << 32) - 1, 1 << 32):
        if number < 1 << 8 * width:
            head = bytes((information,)) + number.to_bytes(width, "big")
            assert taken(head, b"", PLACES) == {head == encode(number)}, number
            assert taken(bytes((head[0] | 0x20,)) + head[1:], b"", PLACES[:2]) == {head == encode(number)}, number
    for length in (0, 5, 23, 24, 255, 256, 400):
        if length < 1 << 8 * width:
            head = length.to_bytes(width, "big")
            for major, content in ((0x40, b"x"), (0x60, b"x"), (0x80, b"\x00")):
                shortest = bytes((information,)) + head == encode(length)
                assert taken(bytes((major | information,)) + head, content * length, PLACES[:2]) == {shortest}, (major, length)


# What is common is quick, and the rest is not dear.


def test_what_terminals_send_is_not_given_to_the_strict_code(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*arguments: object) -> None:
        raise AssertionError("the slow way")

    wanted = [vector for vector in vectors() if vector["name"] in [f"kind {kind.name}" for kind in KINDS]]
    assert len(wanted) == len(KINDS)
    for name in ("parse", "decode"):
        monkeypatch.setattr(codec, name, never)
    for vector in wanted:
        claims = Verifier().verify(vector["topic"], bytes.fromhex(vector["message"]), {key_id(PUBLIC_KEY): PUBLIC_KEY})
        assert claims.kind.name == vector["claims"]["kind"]
    monkeypatch.setattr(codec, "encode", never)
    for kind in KINDS:
        SIGNER.sign(TOPIC, claims_of(kind.name))


HOSTILE = ["5a00100000", "5b0000000100000000", "5bffffffffffffffff", "7a00100000", "7bffffffffffffffff", "9a00100000"]
HOSTILE += ["9b0000000100000000", "9bffffffffffffffff", "ba00100000", "bb0000000100000000", "bbffffffffffffffff"]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_what_is_announced_and_not_there_is_not_allocated(hostile: str) -> None:
    head = bytes.fromhex(hostile)
    events = _events([])
    payloads = [head, head + bytes(500), b"\xa5\x02" + head, events[:-1] + head, events[:-1] + head + bytes(900)]
    payloads.append(events[:-1] + b"\x82\x81\x81" + head)
    messages = [signed(payload) for payload in payloads] + [head, b"\xd2\x84" + head + bytes(200)]
    for message in messages:
        alike(message)
        tracemalloc.start()
        try:
            assert fast(TOPIC, message, KEYS)[0] == "malformed"
            assert tracemalloc.get_traced_memory()[1] < MUCH
        finally:
            tracemalloc.stop()


# Keys.


def test_only_the_key_that_the_message_names_verifies_it() -> None:
    message = SIGNER.sign(TOPIC, claims_of("report"))
    other = Signer(ec.derive_private_key(12, ec.SECP256R1())).public_key
    kid = key_id(SIGNER.public_key)
    assert alike(message, keys={}) == "unknown_key"
    assert alike(message, keys={key_id(other): other}) == "unknown_key"
    assert alike(message, keys={key_id(other): other, **KEYS}) == ""
    assert alike(message, keys={kid: other}) == "bad_signature"
    for no_key in (b"", bytes(64), b"\xff" * 64, SIGNER.public_key[:63], b"\x04" + SIGNER.public_key):
        assert alike(message, keys={kid: no_key}) == "bad_signature"
    assert alike(message) == ""


def test_a_message_on_another_topic_is_not_signed() -> None:
    message = SIGNER.sign(TOPIC, claims_of("report"))
    for where in ("", topic("state"), topic("report", "T0000002"), "poi/水/" + "x" * 300):
        assert alike(message, where) == "bad_signature"
        assert alike(SIGNER.sign(where, claims_of("report")), where) == ""


def test_a_refusal_tells_its_word_and_nothing_of_the_key() -> None:
    with pytest.raises(Refused) as refused:
        VERIFIER.verify(TOPIC, signed(b"\xff"), KEYS)
    assert refused.value.code == "malformed" and "malformed" in str(refused.value)


# Signing.


@pytest.mark.parametrize("kind", [kind.name for kind in KINDS])
def test_what_is_signed_is_byte_for_byte_what_a_terminal_would_write(kind: str) -> None:
    claims = claims_of(kind)
    message = SIGNER.sign(TOPIC, claims)
    parts = parse(message)
    assert parts.payload == encode(claims.to_map())
    assert message == encode(Tag(18, [PROTECTED, {}, parts.payload, parts.signature]))
    assert strict(TOPIC, message, KEYS) == ("", told(claims))


@given(values=st.lists(VALUES, max_size=6), unknown=st.dictionaries(st.integers(20, 300), VALUES, max_size=3))
@settings(max_examples=300, deadline=None)
def test_any_values_are_written_alike_or_refused_alike(values: list[Any], unknown: dict[int, Any]) -> None:
    claims = Claims(kind_named("events"), "T", 5, {"events": values})
    claims.unknown = unknown
    try:
        payload = encode(claims.to_map())
    except CborError as error:
        with pytest.raises(CborError) as refused:
            SIGNER.sign(TOPIC, claims)
        assert refused.value.code == error.code
    else:
        assert parse(SIGNER.sign(TOPIC, claims)).payload == payload


NO_CBOR: list[object] = [1.5, 1 << 64, -(1 << 64) - 1, "\ud800", {True: 1}, {(): 1}, [[[[[[[[]]]]]]]], range]


@pytest.mark.parametrize("value", NO_CBOR, ids=repr)
def test_what_is_no_cbor_of_ours_is_not_signed(value: object) -> None:
    claims = Claims(kind_named("events"), "T", 5, {"events": [value]})
    with pytest.raises(CborError) as strictly:
        encode(claims.to_map())
    with pytest.raises(CborError) as refused:
        SIGNER.sign(TOPIC, claims)
    assert refused.value.code == strictly.value.code


NO_BODIES: list[tuple[str, dict[str, object]]] = [
    ("events", {}),
    ("events", {"events": 1}),
    ("events", {"events": (1, 2)}),
    ("events", {"events": [], "other": 1}),
    ("order", {"action": "a" * 33}),
    ("order", {"action": "suspend", "until": -1}),
    ("order", {"action": "suspend", "until": MAX_UINT + 1}),
    ("order", {"action": "suspend", "until": True}),
    ("order", {"action": b"suspend"}),
    ("audit", {"count": 1, "head": bytes(2049)}),
    ("audit", {"count": 1, "head": "head"}),
    ("audit", {"count": 1, "head": bytearray(2)}),
    ("notice", {"notice": 1, "about": "nothing", "text": ""}),
    ("report", {**BODIES["report"], "element": 1}),
]


@pytest.mark.parametrize(("kind", "body"), NO_BODIES)
def test_a_body_that_does_not_keep_to_the_schema_is_not_signed(kind: str, body: dict[str, object]) -> None:
    with pytest.raises(SchemaError):
        SIGNER.sign(TOPIC, Claims(kind_named(kind), "T", 5, body))


# The benchmark.


def test_a_signed_report_fits_into_214_bytes() -> None:
    claims = bench.report()
    found = bench.forms(PRIVATE, claims, bench.report_in_words())
    assert strict(TOPIC, found["reinstate"].message, KEYS) == ("", told(claims))
    assert [result[1] for result in claims.items("results")] == [0, 0, 1, 0, 0, 0]  # type: ignore[index]  # lists of six devices, one failed
    assert len(claims.items("reasons")) == 2 and claims.boot_count == 142 and claims.sequence // 10**8 == 142
    sizes = bench.sizes(found)
    assert sizes["reinstate"] <= 214
    assert sizes["reinstate"] < min(sizes["jws"], sizes["cose_string_keys"], sizes["sparkplug"], sizes["sparkplug_aliases"])
    assert sum(bench.costs().values()) == sizes["reinstate"]


@pytest.mark.parametrize(("claims", "words"), [(bench.report(), bench.report_in_words()), (bench.order(), bench.order_in_words())])
def test_every_form_of_the_benchmark_is_verified_and_says_the_same(claims: Claims, words: dict[str, Any]) -> None:
    found = bench.forms(PRIVATE, claims, words)
    assert found["pyjwt"].verify() == found["cwt_string_keys"].verify() == words
    assert found["cwt"].verify() == claims.to_map()
    assert strict(topic(claims.kind.leaf), found["reinstate"].message, KEYS) == ("", told(claims))
    found["raw"].verify()
    for name, form in found.items():
        assert form.sign(), name


def test_the_benchmark_gives_its_figures(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["--json", "--rounds", "2", "--calls", "2"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert {"reinstate", "jws", "cose_string_keys", "sparkplug"} <= set(document["bytes"])
    for work in ("verify_report", "sign_order", "sign_report"):
        assert set(document[f"{work}_per_s"]) == {"reinstate", "raw", "cwt", "pyjwt"}
        assert all(rate > 0 for rate in document[f"{work}_per_s"].values())
        assert set(document[f"{work}_ratio_to"]) == {"raw", "cwt", "pyjwt"}
    assert bench.main(["--rounds", "1", "--calls", "1"]) == 0
    table = capsys.readouterr().out
    assert "reinstate" in table and "verify and decode" in table
