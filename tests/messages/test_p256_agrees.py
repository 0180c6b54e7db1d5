"""The project's own P-256 and OpenSSL's agree, on random keys and on awkward ones."""

from __future__ import annotations

from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import given, settings
from hypothesis import strategies as st

from hal.compat import p256
from hal.drivers.p256 import GX, P256, N, P
from hal.drivers.p256_openssl import OpensslP256

OWN = P256()
OPENSSL = OpensslP256()

AWKWARD = [1, 2, 3, 1 << 52, (1 << 52) - 1, (1 << 104) + 1, 1 << 255, N - 1, N - 2, N // 2, N // 2 + 1, (1 << 208) * 0xF]
PRIVATE = st.one_of(st.sampled_from(AWKWARD), st.integers(1, N - 1)).map(lambda number: number.to_bytes(32, "big"))
NUMBER = st.one_of(
    st.sampled_from([0, 1, N - 1, N, N + 1, P - 1, P, P + 1, P - N, GX, (1 << 256) - 1]), st.integers(0, (1 << 256) - 1), st.integers(0, 99)
).map(lambda number: number.to_bytes(32, "big"))


@given(private=PRIVATE)
@settings(max_examples=40, deadline=None)
def test_public_keys_agree(private: bytes) -> None:
    assert OWN.public_key(private) == OPENSSL.public_key(private)
    assert OWN.is_public_key(OPENSSL.public_key(private))


@given(private=PRIVATE, digest=NUMBER)
@settings(max_examples=60, deadline=None)
def test_each_verifies_what_the_other_signs(private: bytes, digest: bytes) -> None:
    public = OPENSSL.public_key(private)
    ours, theirs = OWN.sign(private, digest), OPENSSL.sign(private, digest)
    assert OPENSSL.verify(public, digest, ours) and OWN.verify(public, digest, theirs)
    altered = bytes([digest[0] ^ 0x80]) + digest[1:]
    assert not OPENSSL.verify(public, altered, ours) and not OWN.verify(public, altered, theirs)


@given(private=PRIVATE, message=st.binary(max_size=40))
@settings(max_examples=40, deadline=None)
def test_the_nonces_are_those_of_rfc_6979_as_openssl_makes_them(private: bytes, message: bytes) -> None:
    key = ec.derive_private_key(int.from_bytes(private, "big"), ec.SECP256R1())
    r, s = decode_dss_signature(key.sign(message, ec.ECDSA(SHA256(), deterministic_signing=True)))
    assert OWN.sign(private, sha256(message).digest()) == r.to_bytes(32, "big") + s.to_bytes(32, "big")


@given(private=PRIVATE, digest=NUMBER, r=NUMBER, s=NUMBER)
@settings(max_examples=60, deadline=None)
def test_verdicts_on_any_numbers_agree(private: bytes, digest: bytes, r: bytes, s: bytes) -> None:
    public = OPENSSL.public_key(private)
    assert OWN.verify(public, digest, r + s) == OPENSSL.verify(public, digest, r + s)


@given(k=st.integers(1, N - 1), s=st.integers(1, N - 1), private=PRIVATE)
@settings(max_examples=60, deadline=None)
def test_verdicts_on_signatures_made_backwards_agree(k: int, s: int, private: bytes) -> None:
    # From k and s to the digest: meets sums and nonces that signing never would.
    r = int.from_bytes(OPENSSL.public_key(k.to_bytes(32, "big"))[:32], "big") % N
    digest = ((s * k - r * int.from_bytes(private, "big")) % N).to_bytes(32, "big")
    signature = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    public = OPENSSL.public_key(private)
    assert OWN.verify(public, digest, signature) and OPENSSL.verify(public, digest, signature)


@given(x=NUMBER, y=NUMBER)
@settings(max_examples=60, deadline=None)
def test_verdicts_on_points_agree(x: bytes, y: bytes) -> None:
    assert OWN.is_public_key(x + y) == OPENSSL.is_public_key(x + y)


@given(private=PRIVATE, bit=st.integers(0, 511))
@settings(max_examples=40, deadline=None)
def test_a_public_key_with_a_changed_bit_is_none(private: bytes, bit: int) -> None:
    public = bytearray(OPENSSL.public_key(private))
    public[bit >> 3] ^= 1 << (bit & 7)
    assert OWN.is_public_key(bytes(public)) == OPENSSL.is_public_key(bytes(public)) is False


# Made for tests/core/test_p256.py, where each is explained: public key, digest, r, verdict; s is the same in all.
S = "043a718774c572bd8a25adbeb1bfcd5c0256ae11cecf9f9c3f925d0e52beaf89"
EDGES = [
    (
        "2115170bbf1580a837d6a71a24c2005ff0cab82e6944043fb24dbc946347dd93e577daa89a6be555135fbe34cec6074c2f6be2576d1d985f0f159afc263e45ec",
        "f0a289923ed634acec748941a7fab6a057e5d4a5cb29e5e2b6136d639897c74a",
        3,
        True,
    ),
    (
        "6c7b048654c5af6cae8af7f89234c1c324b056003d777891ba8b24f44facaa80159d64582b867b41b29ab9c225373fe3a4f2a5953fbd729ab7333dfb21692475",
        "81db8ebbbbc69c6c6ad4a6aa92b76e0c08af547da236b9e2c9dbe1d8285a8130",
        5,
        True,
    ),
    (
        "90511298f8f4237f72d2570f762054876214af15edb6ee70bea5ed19817bf2b3bf5709a457d67f18376bf12ad60586f50f956a997cb2a88848a710776ef290c7",
        "81db8ebbbbc69c6c6ad4a6aa92b76e0c08af547da236b9e2c9dbe1d8285a8130",
        5 + P - N,
        False,
    ),
]


@pytest.mark.parametrize("curve", [OWN, OPENSSL], ids=["own", "openssl"])
@pytest.mark.parametrize(("public", "digest", "r", "verdict"), EDGES)
def test_both_judge_an_x_near_the_order_alike(curve: P256 | OpensslP256, public: str, digest: str, r: int, verdict: bool) -> None:
    signature = r.to_bytes(32, "big") + bytes.fromhex(S)
    assert curve.verify(bytes.fromhex(public), bytes.fromhex(digest), signature) is verdict


@pytest.mark.parametrize("curve", [OWN, OPENSSL], ids=["own", "openssl"])
def test_both_refuse_the_same_lengths_and_ranges(curve: P256 | OpensslP256) -> None:
    private = (7).to_bytes(32, "big")
    public, digest = curve.public_key(private), bytes(32)
    signature = curve.sign(private, digest)
    assert curve.verify(public, digest, signature)
    for bad in (b"", bytes(32), private[:-1], b"\x00" + private, N.to_bytes(32, "big"), b"\xff" * 32):
        assert not curve.is_private_key(bad)
        with pytest.raises(ValueError):
            curve.public_key(bad)
        with pytest.raises(ValueError):
            curve.sign(bad, digest)
    for bad in (b"", digest[:-1], digest + b"\x00"):
        assert not curve.verify(public, bad, signature)
        with pytest.raises(ValueError):
            curve.sign(private, bad)
    for bad in (b"", public[:-1], b"\x04" + public, bytes(64)):
        assert not curve.is_public_key(bad)
        assert not curve.verify(bad, digest, signature)
    for bad in (b"", signature[:-1], signature + b"\x00", bytes(64), b"\xff" * 64):
        assert not curve.verify(public, digest, bad)


@pytest.mark.parametrize("curve", [OWN, OPENSSL], ids=["own", "openssl"])
def test_each_private_key_signs_for_itself(curve: P256 | OpensslP256) -> None:
    one, other, digest = (7).to_bytes(32, "big"), (8).to_bytes(32, "big"), bytes(32)
    for private in (one, other, one):
        signature = curve.sign(private, digest)
        assert [curve.verify(curve.public_key(key), digest, signature) for key in (one, other)] == [private == one, private == other]


def test_this_runtime_computes_with_openssl() -> None:
    assert isinstance(p256(), OpensslP256)
