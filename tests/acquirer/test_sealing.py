"""What terminals seal is opened by the acquirer's key and by nothing else; sealed by the agent's code, opened by `cryptography`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_agent.messages.cbor import encode
from firmware_agent.messages.sealed import FORM, MAX_PLAIN, hkdf_sha256, seal
from hal.drivers.p256 import P256
from hal.drivers.p256_openssl import OpensslP256
from hal.hmac import hmac_sha256
from host_sim.acquirer.sealing import HEAD, NotOpened, SealingKey, applicant, masked_applicant
from tests.acquirer.test_acquirer import Scene

VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[2] / "docs" / "sealed-vectors.json").read_text(encoding="utf-8"))
CONTEXT = "poi/v1/acq1/T0000001/application"
KEY = SealingKey.generated()
OPENSSL = OpensslP256()
OWN = P256()


class Element:
    """Of a secure element, what sealing needs. curve: the terminal's own code, or OpenSSL."""

    def __init__(self, private: bytes, curve: P256 | OpensslP256 = OPENSSL) -> None:
        self._private = private
        self._curve = curve

    async def agree(self, public: bytes) -> tuple[bytes, bytes]:
        return self._curve.public_key(self._private), self._curve.agree(self._private, public)


def sealed_by(private: bytes, plain: bytes, context: str = CONTEXT, key: SealingKey = KEY, curve: P256 | OpensslP256 = OPENSSL) -> bytes:
    element: Any = Element(private, curve)
    return asyncio.run(seal(element, key.public_key, plain, context))


PRIVATE = st.integers(1, 2**255).map(lambda number: number.to_bytes(32, "big"))
SEALED = sealed_by((7).to_bytes(32, "big"), encode({1: "Chen Xiao", 2: "+8613800138000"}))


def refusal(sealed: bytes, context: str = CONTEXT, key: SealingKey = KEY) -> str:
    with pytest.raises(NotOpened) as refused:
        key.open(sealed, context)
    return refused.value.code


@pytest.mark.parametrize("case", VECTORS["cases"], ids=lambda case: case["what"])
def test_each_known_answer_is_opened(case: dict[str, str]) -> None:
    private = int(VECTORS["recipient_private"], 16)
    key = SealingKey(ec.derive_private_key(private, ec.SECP256R1()))
    assert key.public_key.hex() == VECTORS["recipient_public"]
    assert key.open(bytes.fromhex(case["sealed"]), case["context"]).hex() == case["plain"]
    assert OPENSSL.agree(bytes.fromhex(case["once_private"]), key.public_key).hex() == case["shared_secret"]


@given(private=PRIVATE, plain=st.binary(max_size=MAX_PLAIN), context=st.text(max_size=80))
@settings(max_examples=60, deadline=None)
def test_what_was_sealed_is_opened_and_longer_by_105_bytes_and_its_padding(private: bytes, plain: bytes, context: str) -> None:
    sealed = sealed_by(private, plain, context)
    assert KEY.open(sealed, context) == plain
    assert len(sealed) == 105 + len(plain) // 16 * 16 + 16
    assert plain not in sealed or len(plain) < 4


@given(private=PRIVATE)
@settings(max_examples=30, deadline=None)
def test_both_curves_agree_on_the_secret(private: bytes) -> None:
    assert OWN.agree(private, KEY.public_key) == OPENSSL.agree(private, KEY.public_key)
    assert KEY.open(sealed_by(private, b"by the terminal's own code", curve=OWN), CONTEXT) == b"by the terminal's own code"


@given(secret=st.binary(max_size=80), salt=st.binary(max_size=80), info=st.binary(max_size=80), length=st.integers(1, 200))
@settings(max_examples=80, deadline=None)
def test_the_keys_are_those_that_others_derive(secret: bytes, salt: bytes, info: bytes, length: int) -> None:
    assert hkdf_sha256(salt, secret, info, length) == HKDF(SHA256(), length, salt or None, info).derive(secret)


@given(key=st.binary(min_size=1, max_size=140), message=st.binary(max_size=140))
@settings(max_examples=80, deadline=None)
def test_the_tags_are_those_that_others_compute(key: bytes, message: bytes) -> None:
    other = HMAC(key, SHA256())
    other.update(message)
    assert hmac_sha256(key, message) == other.finalize()


@given(place=st.integers(0, len(SEALED) - 1), change=st.integers(1, 255))
@settings(max_examples=300, deadline=None)
def test_any_altered_byte_is_refused(place: int, change: int) -> None:
    altered = bytearray(SEALED)
    altered[place] ^= change
    assert refusal(bytes(altered)) in ("malformed", "other_key", "bad_point", "altered")


def test_each_byte_counts() -> None:
    for place in range(len(SEALED)):
        altered = bytearray(SEALED)
        altered[place] ^= 1
        expected = "malformed" if place == 0 else "other_key" if place < 9 else "bad_point" if place < HEAD else "altered"
        assert refusal(bytes(altered)) == expected


@given(length=st.integers(0, len(SEALED) - 1), more=st.binary(min_size=1, max_size=40))
@settings(max_examples=100, deadline=None)
def test_what_is_cut_or_lengthened_is_refused(length: int, more: bytes) -> None:
    assert refusal(SEALED[:length]) in ("malformed", "altered")
    assert refusal(SEALED + more) in ("malformed", "altered")


@given(st.binary(max_size=400))
@settings(max_examples=200, deadline=None)
def test_rubbish_is_refused(rubbish: bytes) -> None:
    refusal(rubbish)
    refusal(bytes([FORM]) + SEALED[1:9] + rubbish)
    refusal(SEALED[:HEAD] + rubbish)


def test_in_another_context_or_by_another_key_it_is_not_opened() -> None:
    assert refusal(SEALED, "poi/v1/acq1/T0000002/application") == "altered"
    assert refusal(SEALED, CONTEXT + " ") == "altered"
    assert refusal(SEALED, key=SealingKey.generated()) == "other_key"
    other = SealingKey.generated()
    to_other = bytes([FORM]) + sealed_by((7).to_bytes(32, "big"), b"x", key=other)[1:9]
    assert refusal(to_other + SEALED[9:], key=other) == "altered"


@pytest.mark.parametrize(
    "point",
    [
        bytes(64),
        b"\xff" * 64,
        KEY.public_key[:32] + bytes(32),  # y = 0: of order 2, on another curve
        KEY.public_key[32:] + KEY.public_key[:32],
        bytes(32) + (1).to_bytes(32, "big"),
        (2**256 - 2**224 + 2**192 + 2**96 - 1).to_bytes(32, "big") + KEY.public_key[32:],  # x = p
    ],
    ids=["zeros", "ones", "order-2", "swapped", "x-0", "x-p"],
)
def test_a_key_that_is_no_point_on_the_curve_is_refused_before_it_is_used(point: bytes) -> None:
    assert refusal(SEALED[:9] + point + SEALED[HEAD:]) == "bad_point"


def test_a_point_that_is_on_the_curve_and_not_the_senders_is_refused() -> None:
    assert refusal(SEALED[:9] + KEY.public_key + SEALED[HEAD:]) == "altered"


def sealed_with_padding(padding: bytes) -> bytes:
    """One block by who has the right keys, and pads wrongly."""
    private = (9).to_bytes(32, "big")
    once, secret = OPENSSL.public_key(private), OPENSSL.agree(private, KEY.public_key)
    keys = hkdf_sha256(b"", secret, encode(["reinstate sealed 1", KEY.public_key, once, CONTEXT]), 80)
    encryptor = Cipher(algorithms.AES(keys[:32]), modes.CBC(keys[64:])).encryptor()
    sealed = SEALED[:9] + once + encryptor.update((bytes(16) + padding)[-16:]) + encryptor.finalize()
    return sealed + hmac_sha256(keys[32:64], sealed)


def test_wrong_padding_is_seen_only_by_who_made_it() -> None:
    assert KEY.open(sealed_with_padding(b"\x01"), CONTEXT) == bytes(15)
    for padding in (b"\x00", b"\x11", b"\x01\x02", b"\xff"):
        assert refusal(sealed_with_padding(padding)) == "contents"


def test_who_applies_is_read_and_told_masked() -> None:
    told = applicant(KEY, SEALED, CONTEXT)
    assert told == {"name": "Chen Xiao", "telephone": "+8613800138000"}
    line = masked_applicant(told)
    assert line == "C***, ******00" and "Chen" not in line and "138" not in line
    assert masked_applicant({"statement": "It was a mistake."}) == "statement of 17 characters"
    assert masked_applicant({}) == ""


@pytest.mark.parametrize("plain", [b"", b"\xff", encode("text"), encode({1: 7}), encode({2: "8" * 513}), encode({1: b"bytes"})])
def test_contents_that_are_not_as_agreed_are_refused(plain: bytes) -> None:
    with pytest.raises(NotOpened) as refused:
        applicant(KEY, sealed_by((7).to_bytes(32, "big"), plain), CONTEXT)
    assert refused.value.code == "contents"


def test_what_a_newer_terminal_tells_beside_is_left_out() -> None:
    assert applicant(KEY, sealed_by((7).to_bytes(32, "big"), encode({1: "Chen", 9: "new"})), CONTEXT) == {"name": "Chen"}


def test_the_key_is_kept_in_a_file_and_another_curves_is_none() -> None:
    again = SealingKey.loaded(KEY.saved())
    assert again.public_key == KEY.public_key and again.open(SEALED, CONTEXT) == KEY.open(SEALED, CONTEXT)
    other = ec.generate_private_key(ec.SECP384R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for pem in (other, b"", b"none"):
        with pytest.raises(ValueError):
            SealingKey.loaded(pem)


# The acquirer with such a key.

TOPIC = "poi/v1/acq/T1/application"


def in_scene(folder: Path, scenario: Callable[[Scene], Awaitable[None]]) -> None:
    async def program() -> None:
        scene = Scene(folder)
        await scene.begin()
        scene.acquirer.sealing_key = KEY
        await scenario(scene)

    asyncio.run(program())


def applied(sealed: bytes) -> dict[str, Any]:
    return {"application": 1, "purpose": "reactivation", "reasons": [], "sealed": sealed}


async def sealed_on(where: str) -> bytes:
    element: Any = Element((7).to_bytes(32, "big"))
    return await seal(element, KEY.public_key, encode({1: "Chen Xiao", 2: "+8613800138000"}), where)


def test_the_acquirer_opens_an_application_and_tells_of_it_masked(tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        await scene.says("application", applied(await sealed_on(TOPIC)), 7)
        assert "T1: applicant: C***, ******00" in scene.told
        assert not any("Chen" in line or "13800138000" in line for line in scene.told)
        (kept,) = scene.account.applications
        assert scene.acquirer.applicant("T1", kept) == {"name": "Chen Xiao", "telephone": "+8613800138000"}

    in_scene(tmp_path, scenario)


def test_what_was_sealed_for_another_terminal_is_told_as_such_and_the_application_counts(tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        await scene.says("application", applied(await sealed_on("poi/v1/acq/T2/application")), 7)
        assert "T1: applicant: cannot be opened: altered" in scene.told
        assert len(scene.account.applications) == 1

    in_scene(tmp_path, scenario)


def test_an_application_without_a_contact_and_an_acquirer_without_a_key_go_well(tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        without = applied(b"")
        del without["sealed"]
        await scene.says("application", without, 7)
        scene.acquirer.sealing_key = None
        await scene.says("application", applied(await sealed_on(TOPIC)), 8)
        assert not any("applicant" in line for line in scene.told)
        assert scene.acquirer.applicant("T1", scene.account.applications[1]) == {} and scene.acquirer.public_sealing_key == b""

    in_scene(tmp_path, scenario)


def test_new_credentials_bring_the_sealing_key(tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        await scene.key.generate_key(1)
        await scene.acquirer.order("T1", action="lift", reason="violation")  # after which it may register
        await scene.says("application", await scene.application("registration"), 7)
        (queued,) = [order for order in scene.account.outgoing if order.kind == "credentials"]
        assert queued.body["sealing_key"] == KEY.public_key

    in_scene(tmp_path, scenario)
