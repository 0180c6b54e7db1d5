"""What the agent writes, read by other people's code; and what theirs writes, read by the agent's."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import cbor2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_der_private_key
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st
from pycose.algorithms import Es256
from pycose.headers import KID, Algorithm
from pycose.keys.curves import P256 as PYCOSE_P256
from pycose.keys.ec2 import EC2Key
from pycose.messages.cosemessage import CoseMessage
from pycose.messages.sign1message import Sign1Message

from firmware_agent.identity.der import certification_request, ec_private_key, signature_to_der
from firmware_agent.messages.cbor import MAX_DEPTH, CborError, Tag, decode, encode
from firmware_agent.messages.cose import ALG_ES256, ALG_ESP256, CoseError, Envelope, key_id, parse, sign, verify
from hal.drivers.p256 import P256, N
from hal.drivers.p256_openssl import OpensslP256
from host_sim.microcontroller import micropython_binary
from tests.messages.esp256 import Esp256

if TYPE_CHECKING:
    from hal.compat import P256 as Curve

TOPIC = "poi/v1/acquirer/终端-1/report"


class OneKey:
    """As much of a secure element as is asked for here."""

    def __init__(self, curve: Curve, private: bytes) -> None:
        self.curve = curve
        self.private = private
        self.public = curve.public_key(private)

    async def public_key(self, slot: int) -> bytes:
        return self.public

    async def sign(self, slot: int, digest: bytes) -> bytes:
        return self.curve.sign(self.private, digest)

    async def verify(self, public_key: bytes, digest: bytes, signature: bytes) -> bool:
        return self.curve.verify(public_key, digest, signature)


@pytest.fixture(params=[P256, OpensslP256])
def element(request: pytest.FixtureRequest) -> OneKey:
    curve = request.param()
    private = os.urandom(32)
    while not curve.is_private_key(private):
        private = os.urandom(32)
    return OneKey(curve, private)


def signed(element: OneKey, payload: bytes, topic: str = TOPIC) -> bytes:
    return asyncio.run(sign(element, 0, key_id(element.public), payload, topic))  # type: ignore[arg-type]


def is_good(element: OneKey, envelope: Envelope, topic: str = TOPIC) -> bool:
    return asyncio.run(verify(element, envelope, element.public, topic))  # type: ignore[arg-type]


def pycose_key(element: OneKey, private: bool = False) -> EC2Key:
    d = element.private if private else b""
    return EC2Key(crv=PYCOSE_P256, x=element.public[:32], y=element.public[32:], d=d)


def test_pycose_verifies_what_the_agent_signs(element: OneKey) -> None:
    payload = encode({1: "T1", 6: [1, 2, 3]})
    message: Any = CoseMessage.decode(signed(element, payload))
    assert message.cbor_tag == Sign1Message.cbor_tag == 18
    assert message.payload == payload
    assert message.phdr == {Algorithm: Esp256, KID: key_id(element.public)}
    assert message.uhdr == {}
    message.key = pycose_key(element)
    message.external_aad = TOPIC.encode()
    assert message.verify_signature()


def test_pycose_refuses_it_on_another_topic_or_by_another_key(element: OneKey) -> None:
    message: Any = CoseMessage.decode(signed(element, b"payload"))
    message.key = pycose_key(element)
    message.external_aad = TOPIC.encode() + b"x"
    assert not message.verify_signature()
    message.external_aad = b""
    assert not message.verify_signature()
    message.external_aad = TOPIC.encode()
    message.key = pycose_key(OneKey(P256(), bytes(31) + b"\x07"))
    assert not message.verify_signature()


@pytest.mark.parametrize(("algorithm", "number"), [(Es256, ALG_ES256), (Esp256, ALG_ESP256)])
def test_the_agent_verifies_what_pycose_signs(element: OneKey, algorithm: Any, number: int) -> None:
    kid = key_id(element.public)
    message = Sign1Message(phdr={Algorithm: algorithm, KID: kid}, payload=b"payload", external_aad=TOPIC.encode())
    message.key = pycose_key(element, private=True)
    envelope = parse(message.encode())
    assert (envelope.alg, envelope.kid, envelope.payload) == (number, kid, b"payload")
    assert is_good(element, envelope)
    assert not is_good(element, envelope, TOPIC + "/x")


def test_the_agent_refuses_what_pycose_signs_with_an_unprotected_key_id(element: OneKey) -> None:
    message = Sign1Message(phdr={Algorithm: Es256}, uhdr={KID: b"12345678"}, payload=b"payload")
    message.key = pycose_key(element, private=True)
    with pytest.raises(CoseError) as caught:
        parse(message.encode())
    assert caught.value.code == "key_id"


def test_cryptography_verifies_the_certification_request(element: OneKey) -> None:
    der = asyncio.run(certification_request(element, 0, "终端 T-0001"))  # type: ignore[arg-type]
    request = x509.load_der_x509_csr(der)
    assert request.is_signature_valid
    assert request.subject == x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "终端 T-0001")])
    assert isinstance(request.signature_hash_algorithm, SHA256)
    assert not list(request.extensions) and not list(request.attributes)
    key = request.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1)
    numbers = key.public_numbers()
    assert numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big") == element.public
    assert request.public_bytes(Encoding.DER) == der


@pytest.mark.parametrize("length", [1, 2, 20, 21, 63, 64])
def test_requests_of_every_length_are_der(element: OneKey, length: int) -> None:
    for character in ("x", "端"):
        der = asyncio.run(certification_request(element, 0, character * length))  # type: ignore[arg-type]
        assert x509.load_der_x509_csr(der).is_signature_valid


def test_a_request_signed_by_another_key_is_refused_by_cryptography(element: OneKey) -> None:
    other = OneKey(P256(), bytes(31) + b"\x07")
    other.public = element.public
    request = x509.load_der_x509_csr(asyncio.run(certification_request(other, 0, "T1")))  # type: ignore[arg-type]
    assert not request.is_signature_valid


def test_cryptography_loads_the_private_key(element: OneKey) -> None:
    key = load_der_private_key(ec_private_key(element.private, element.public), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1)
    assert key.private_numbers().private_value == int.from_bytes(element.private, "big")


@given(r=st.integers(0, N), s=st.integers(0, N))
def test_cryptography_reads_the_signature(r: int, s: int) -> None:
    assert decode_dss_signature(signature_to_der(r.to_bytes(32, "big") + s.to_bytes(32, "big"))) == (r, s)


@pytest.mark.needs("micropython")
def test_mbed_tls_loads_the_private_key_and_refuses_a_damaged_one(element: OneKey) -> None:
    der = ec_private_key(element.private, element.public)
    key = load_der_private_key(der, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "T1")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now + timedelta(days=1))
    certificate = builder.sign(key, SHA256()).public_bytes(Encoding.DER)
    program = """
import tls
from binascii import unhexlify
tls.SSLContext(tls.PROTOCOL_TLS_CLIENT).load_cert_chain(unhexlify('%s'), unhexlify('%s'))
"""
    damaged = der[:7] + bytes(32) + der[39:]  # the private key is 0
    for private, text in ((der, ""), (der[:-1], "ValueError: invalid key"), (damaged, "ValueError: invalid key")):
        source = program % (certificate.hex(), private.hex())
        run = subprocess.run([micropython_binary(), "-c", source], capture_output=True, text=True, timeout=20, check=False)
        said = (run.stdout + run.stderr).strip()
        assert (run.returncode == 0) == (text == "") and said.endswith(text) and (text or not said), said


# What this CBOR can carry, to a depth within its bounds.
KEYS = st.one_of(st.integers(-(1 << 64), (1 << 64) - 1), st.text(max_size=8), st.binary(max_size=8))
LEAVES = st.one_of(st.none(), st.booleans(), KEYS)
VALUES = st.recursive(LEAVES, lambda inner: st.one_of(st.lists(inner, max_size=5), st.dictionaries(KEYS, inner, max_size=5)), max_leaves=20)


def depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max((depth(inner) for inner in value.values()), default=0)
    return 1 + max((depth(inner) for inner in value), default=0) if isinstance(value, list) else 0


@given(value=VALUES.filter(lambda value: depth(value) <= MAX_DEPTH))
def test_cbor2_reads_what_is_written_and_the_agent_reads_it_back(value: Any) -> None:
    code = encode(value)
    assert cbor2.loads(code) == value
    assert decode(code) == value


def cbor2_in_the_order_of_rfc_8949(value: Any) -> bytes:
    """cbor2 with canonical=True sorts as RFC 7049 did, shorter keys first: so the maps are put in order before it."""

    def ordered(inner: Any) -> Any:
        if isinstance(inner, dict):
            return {key: ordered(inner[key]) for key in sorted(inner, key=cbor2.dumps)}
        return [ordered(one) for one in inner] if isinstance(inner, list) else inner

    return cbor2.dumps(ordered(value))


@given(value=VALUES.filter(lambda value: depth(value) <= MAX_DEPTH))
def test_cbor2_writes_the_same_bytes(value: Any) -> None:
    assert encode(value) == cbor2_in_the_order_of_rfc_8949(value)


@given(number=st.integers(6, (1 << 64) - 1), value=KEYS)
def test_cbor2_reads_tags_the_same(number: int, value: Any) -> None:
    # Tags that cbor2 has no meaning of its own for come back as tags.
    code = encode(Tag(number, value))
    assert code == cbor2.dumps(cbor2.CBORTag(number, value))
    assert decode(code) == Tag(number, value)


def only(error: type[Exception], call: Callable[[bytes], object], data: bytes) -> object | None:
    try:
        return call(data)
    except error:
        return None


@given(data=st.binary(max_size=200))
def test_decode_raises_nothing_but_cbor_error(data: bytes) -> None:
    value = only(CborError, lambda data: [decode(data)], data)
    if value is not None:
        assert encode(value)[1:] == data  # what is taken is in its one form


@given(value=VALUES.filter(lambda value: depth(value) <= MAX_DEPTH), position=st.integers(0), flip=st.integers(1, 255))
def test_a_changed_byte_is_refused_or_another_value(value: Any, position: int, flip: int) -> None:
    code = bytearray(encode(value))
    code[position % len(code)] ^= flip
    taken = only(CborError, lambda data: [decode(data)], bytes(code))
    if taken is not None:
        assert encode(taken)[1:] == code


PARTS = st.one_of(VALUES, st.binary(max_size=70), st.just(encode({1: -9, 4: b"12345678"})), st.just({}), st.just(bytes(64)))


@given(data=st.binary(max_size=200))
def test_parse_raises_nothing_but_cose_error(data: bytes) -> None:
    only(CoseError, parse, data)
    only(CoseError, parse, b"\xd2\x84" + data)


@given(parts=st.lists(PARTS, min_size=3, max_size=5), number=st.sampled_from([18, 18, 18, 17]))
def test_parse_of_what_looks_like_a_message_raises_nothing_but_cose_error(parts: list[Any], number: int) -> None:
    envelope = only(CoseError, parse, cbor2.dumps(cbor2.CBORTag(number, parts)))
    if envelope is not None:
        assert number == 18 and len(parts) == 4


@given(
    header=st.dictionaries(st.one_of(st.integers(-3, 6), st.just("x"), KEYS), VALUES, max_size=5),
    unprotected=st.dictionaries(KEYS, LEAVES, max_size=5),
)
def test_parse_of_any_headers_raises_nothing_but_cose_error(header: dict[Any, Any], unprotected: dict[Any, Any]) -> None:
    protected = cbor2_in_the_order_of_rfc_8949({1: -9, 4: b"12345678", **header})
    message = cbor2.dumps(cbor2.CBORTag(18, [protected, unprotected, b"", bytes(64)]))
    envelope = only(CoseError, parse, message)
    if isinstance(envelope, Envelope):
        assert envelope.alg in (ALG_ES256, ALG_ESP256) and 2 not in unprotected


def test_a_message_is_as_small_as_it_can_be(element: OneKey) -> None:
    payload = bytes(100)
    # 2 tag and list, 2 + 13 protected header, 1 unprotected, 2 + 100 payload, 2 + 64 signature.
    assert len(signed(element, payload)) == 2 + 14 + 1 + 2 + 100 + 2 + 64
    assert sha256(element.public).digest()[:8] in signed(element, payload)
