"""Sealing, against published and own vectors: what the acquirer alone may read, and what the terminal refuses to seal with."""

import asyncio
import json
from binascii import hexlify, unhexlify

from firmware_agent.application.applicant import sealed_applicant
from firmware_agent.compat import aes_cbc
from firmware_agent.identity.identity import KEY_IDENTITY, Identity
from firmware_agent.identity.registration import Pending, RegistrationError, begin, renewed
from firmware_agent.messages.cbor import decode, encode
from firmware_agent.messages.schema import Claims, kind_named
from firmware_agent.messages.sealed import MAX_PLAIN, SealError, hkdf_sha256, seal
from firmware_agent.settings import Settings
from firmware_agent.state.machine import Suspended
from firmware_agent.state.reasons import ACTOR_HOST, Reason
from hal.compat import beside, p256
from hal.drivers.p256 import GX, GY, P256, B, N, P
from hal.drivers.software_key import SoftwareKey
from hal.errors import E_ILLEGAL, DeviceError
from hal.hmac import hmac_sha256
from tests.core.certificates import certificate_for
from tests.core.parts import Flash, enabled
from tests.core.state_parts import APPLYING
from tests.core.support import raises
from tests.core.terminal_parts import boot, identity, provisioned

APPLICATION = "poi/v1/acq1/T0000001/application"
KEY = unhexlify("c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721")  # RFC 6979, A.2.5


def octets(*numbers):
    return b"".join([number.to_bytes(32, "big") for number in numbers])


def vectors():
    with open(beside(__file__, "../../docs/sealed-vectors.json")) as file:
        return json.load(file)


class Element:
    """Of the contract, what sealing needs: agrees by the one key that it was made with."""

    def __init__(self, private):
        self._private = private
        self._curve = p256()

    async def agree(self, public):
        return self._curve.public_key(self._private), self._curve.agree(self._private, public)


# The pieces.


def test_hmac_gives_what_rfc_4231_says():
    for key, message, tag in (
        (b"\x0b" * 20, b"Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
        (b"Jefe", b"what do ya want for nothing?", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
        (b"\xaa" * 20, b"\xdd" * 50, "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"),
        (bytes(range(1, 26)), b"\xcd" * 50, "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"),
        (
            b"\xaa" * 131,
            b"Test Using Larger Than Block-Size Key - Hash Key First",
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
        ),
        (
            b"\xaa" * 131,
            b"This is a test using a larger than block-size key and a larger than block-size data. The key needs to be hashed before"
            b" being used by the HMAC algorithm.",
            "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
        ),
    ):
        assert hmac_sha256(key, message) == unhexlify(tag)


def test_a_key_as_long_as_the_block_is_taken_as_it_is():
    # One byte more is hashed first: the two differ, and neither is cut short.
    assert hmac_sha256(bytes(64), b"m") == hmac_sha256(b"", b"m")
    assert hmac_sha256(bytes(65), b"m") != hmac_sha256(bytes(64), b"m")


def test_hkdf_gives_what_rfc_5869_says():
    for secret, salt, info, length, keys in (
        (
            b"\x0b" * 22,
            bytes(range(13)),
            bytes(range(0xF0, 0xFA)),
            42,
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
        ),
        (
            bytes(range(0x50)),
            bytes(range(0x60, 0xB0)),
            bytes(range(0xB0, 0x100)),
            82,
            "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09"
            "da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87",
        ),
        (b"\x0b" * 22, b"", b"", 42, "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"),
    ):
        assert hkdf_sha256(salt, secret, info, length) == unhexlify(keys)


def test_aes_gives_what_sp_800_38a_says():
    key = unhexlify("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4")
    plain = unhexlify(
        "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
    )
    assert aes_cbc(key, bytes(range(16)), plain) == unhexlify(
        "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d39f23369a9d9bacfa530e26304231461b2eb05e2c39be9fcda6c19078c6a9d1b"
    )


def test_agreement_gives_what_the_nist_vectors_say():
    # NIST CAVP, KAS ECC CDH primitive, P-256, COUNT = 0.
    public = unhexlify(
        "700c48f77f56584c5cc632ca65640db91b6bacce3a4df6b42ce7cc838833d287db71e509e3fd9b060ddb20ba5c51dcc5948d46fbf640dfe0441782cab85fa4ac"
    )
    private = unhexlify("7d7dc5f71eb29ddaf80d6214632eeae03d9058af1fb6d22ed80badb62bc1a534")
    secret = unhexlify("46fc62106420ff012e54a434fbdd2d25ccc5852060561e68040dd7778997bd7b")
    for curve in (P256(), p256()):
        assert curve.agree(private, public) == secret


def test_both_sides_agree_from_their_own_key():
    curve = P256()
    for number in (1, 2, 3, N - 1, N - 2, 1 << 255):
        other = octets(number)
        assert curve.agree(KEY, curve.public_key(other)) == curve.agree(other, curve.public_key(KEY))
    assert curve.agree(octets(1), octets(GX, GY)) == octets(GX) == curve.agree(octets(N - 1), octets(GX, GY))


def test_no_point_off_the_curve_is_agreed_with():
    on_another = octets(GX, (GY + 1) % P)
    order_2 = octets(GX, 0)  # on a curve with the same a and another b, where it has order 2: it would tell whether a key is even
    beside_zero = octets(0, 0)
    above_p = octets(P, 0x66485C780E2F83D72433BD5D84A06BB6541C2AF31DAE871728BF856A174F93F4)  # x = 0 again, plus p
    b_for_order_2 = -(GX * GX * GX - 3 * GX) % P
    assert b_for_order_2 != B
    for curve in (P256(), p256()):
        for point in (on_another, order_2, beside_zero, above_p, b"\xff" * 64, bytes(63), bytes(65), b"", b"\x04" + octets(GX, GY)):
            raises(ValueError, curve.agree, KEY, point)
        for private in (bytes(32), octets(N), b"\xff" * 32, KEY[1:], b"\x00" + KEY, b""):
            raises(ValueError, curve.agree, private, octets(GX, GY))


def test_an_element_agrees_by_a_key_that_is_new_each_time():
    curve = p256()
    element = enabled(SoftwareKey(Flash(), curve))
    one, secret = asyncio.run(element.agree(curve.public_key(KEY)))
    assert len(one) == 64 and secret == curve.agree(KEY, one)
    assert asyncio.run(element.agree(curve.public_key(KEY)))[0] != one
    assert raises(DeviceError, asyncio.run, element.agree(bytes(64))).code == E_ILLEGAL


# The whole.


def test_each_known_answer_is_given():
    told = vectors()
    recipient = unhexlify(told["recipient_public"])
    assert len(told["cases"]) >= 5
    for case in told["cases"]:
        element = Element(unhexlify(case["once_private"]))
        sealed = asyncio.run(seal(element, recipient, unhexlify(case["plain"]), case["context"]))
        assert hexlify(sealed).decode() == case["sealed"], case["what"]


def test_what_is_sealed_has_the_length_that_the_page_tells():
    recipient = p256().public_key(KEY)
    for length, sealed_length in ((0, 121), (15, 121), (16, 137), (100, 217), (MAX_PLAIN, 1145)):
        sealed = asyncio.run(seal(Element(KEY), recipient, bytes(length), APPLICATION))
        assert len(sealed) == sealed_length
        assert sealed[0] == 1


def test_another_context_or_recipient_gives_other_bytes_throughout():
    curve = p256()
    recipient, other = curve.public_key(KEY), curve.public_key(octets(7))
    sealed = asyncio.run(seal(Element(KEY), recipient, bytes(64), APPLICATION))
    for again in (
        asyncio.run(seal(Element(KEY), recipient, bytes(64), APPLICATION + "s")),
        asyncio.run(seal(Element(KEY), other, bytes(64), APPLICATION)),
    ):
        blocks = [sealed[place : place + 16] != again[place : place + 16] for place in range(73, len(sealed) - 15, 16)]
        assert all(blocks) and len(blocks) >= 6


def test_nothing_is_sealed_without_a_key_or_beyond_the_limit():
    recipient = p256().public_key(KEY)
    assert raises(SealError, asyncio.run, seal(Element(KEY), b"", b"secret", APPLICATION)).code == "no_sealing_key"
    assert raises(SealError, asyncio.run, seal(Element(KEY), recipient[:63], b"secret", APPLICATION)).code == "no_sealing_key"
    error = raises(SealError, asyncio.run, seal(Element(KEY), recipient, b"secret" * 171, APPLICATION))
    assert error.code == "too_long" and "secret" not in str(error)
    element = enabled(SoftwareKey(Flash(), p256()))
    assert raises(DeviceError, asyncio.run, seal(element, bytes(64), b"secret", APPLICATION)).code == E_ILLEGAL


# Who applies.


def terminal_with(sealing_key):
    flash = Flash()
    provisioned(flash)
    terminal = boot(flash, curve=p256())
    terminal.identity = terminal.identity.changed(sealing_key=sealing_key)
    settings = Settings(terminal.store)
    settings.set("contact_name", "Chen Xiao")
    settings.set("contact_phone", "+8613800138000")
    return terminal, settings


def contact(settings):
    return settings.get("contact_name"), settings.get("contact_phone")


def applied(terminal, sealed):
    """The body of the application, as it waits on flash, and the bytes of its entry."""
    terminal.apply([Suspended(Reason("violation", ACTOR_HOST))])
    terminal.apply(APPLYING[:-1])
    terminal.apply(APPLYING[-1:], application={"sealed": sealed} if sealed else None)
    for key in terminal.outbox.waiting():
        message = terminal.outbox.message(key)
        if message.kind.name == "application":
            return message.body, terminal.store.get(key)
    raise AssertionError("no application waits")


def test_who_applies_waits_sealed_already():
    terminal, settings = terminal_with(p256().public_key(KEY))
    sealed = asyncio.run(sealed_applicant(terminal, *contact(settings)))
    assert len(sealed) == 105 + 32
    body, entry = applied(terminal, sealed)
    assert body["sealed"] == sealed and body["purpose"] == "reactivation"
    assert b"Chen" not in entry and b"13800138000" not in entry


def test_an_application_goes_without_a_contact_rather_than_in_the_clear_or_not_at_all():
    for key, why in ((b"", "no_sealing_key"), (bytes(64), "E_ILLEGAL")):
        terminal, settings = terminal_with(key)
        assert asyncio.run(sealed_applicant(terminal, *contact(settings))) == b""
        assert why in terminal.lines[-1] and "Chen" not in terminal.lines[-1] and "138" not in terminal.lines[-1]
        body, entry = applied(terminal, b"")
        assert "sealed" not in body and b"Chen" not in entry


def test_who_is_not_known_is_not_told():
    terminal, settings = terminal_with(p256().public_key(KEY))
    settings.set("contact_name", "")
    settings.set("contact_phone", "")
    assert asyncio.run(sealed_applicant(terminal, *contact(settings))) == b""


def test_an_identity_of_old_loads_without_a_sealing_key():
    flash = Flash()
    provisioned(flash)
    terminal = boot(flash)
    record = decode(terminal.store.get(KEY_IDENTITY))
    place = Identity.FIELDS.index("sealing_key")
    terminal.store.put(KEY_IDENTITY, encode(record[:place]))
    old = Identity.load(terminal.store)
    assert (old.sealing_key, old.terminal, old.broker_name) == (b"", "T0000001", "localhost")
    whole = identity().changed(sealing_key=bytes(range(64)))
    terminal.store.put(KEY_IDENTITY, whole.encoded())
    assert Identity.load(terminal.store).sealing_key == bytes(range(64))


def test_credentials_bring_a_new_sealing_key_and_without_one_the_old_stays():
    flash = Flash()
    provisioned(flash)
    terminal = boot(flash)
    old, new = bytes(range(64)), bytes(range(64, 128))
    terminal.identity = terminal.identity.changed(sealing_key=old)
    asyncio.run(begin(terminal))
    pending = Pending.load(terminal.store)
    body = {
        "application": pending.number,
        "certificate": certificate_for(asyncio.run(terminal.hal.secure_element.public_key(pending.slot))),
        "transport_certificate": certificate_for(pending.transport_public),
    }
    for given, kept in ((None, old), (new, new)):
        if given is not None:
            body["sealing_key"] = given
        identity_now, _ = asyncio.run(renewed(terminal, Claims(kind_named("credentials"), "T0000001", 9, body, "acq1")))
        assert identity_now.sealing_key == kept
    body["sealing_key"] = new[:63]
    raises(RegistrationError, asyncio.run, renewed(terminal, Claims(kind_named("credentials"), "T0000001", 9, body, "acq1")))
