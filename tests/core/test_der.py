"""DER: byte for byte what the standards say; that others can read it is shown in tests/messages."""

import asyncio
from binascii import hexlify, unhexlify
from hashlib import sha256

from firmware_agent.identity.der import certification_request, ec_private_key, signature_to_der
from hal.drivers.p256 import P256
from tests.core.support import raises

# RFC 6979, A.2.5.
PRIVATE = unhexlify("c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721")
PUBLIC = unhexlify(
    "60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb67903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299"
)


class OneKey:
    """As much of a secure element as a certification request asks for; its key is in slot 2."""

    def __init__(self):
        self.curve = P256()

    async def public_key(self, slot):
        assert slot == 2
        return PUBLIC

    async def sign(self, slot, digest):
        assert slot == 2
        return self.curve.sign(PRIVATE, digest)


def request(common_name):
    return asyncio.run(certification_request(OneKey(), 2, common_name))


def test_integers_have_the_fewest_bytes_and_no_sign():
    def pair(r, s):
        return hexlify(signature_to_der(r.to_bytes(32, "big") + s.to_bytes(32, "big")))

    assert pair(0, 1) == b"3006020100020101"
    assert pair(0x7F, 0x80) == b"300702017f02020080"
    assert pair(0xFF, 0x100) == b"3008020200ff02020100"
    top = (1 << 256) - 1
    assert pair(top, 1 << 255) == b"3046022100" + b"ff" * 32 + b"02210080" + b"00" * 31
    assert pair(1 << 254, top >> 1) == b"3044022040" + b"00" * 31 + b"02207f" + b"ff" * 31


def test_the_private_key_is_that_of_rfc_5915():
    expected = "30770201010420" + "%s" + "a00a06082a8648ce3d030107a14403420004" + "%s"
    assert hexlify(ec_private_key(PRIVATE, PUBLIC)).decode() == expected % (PRIVATE.hex(), PUBLIC.hex())


def test_the_request_is_that_of_rfc_2986():
    der = request("T-0001")
    information = (
        "30%02x" % (3 + 19 + 91 + 2)
        + "020100"
        + "3011310f300d06035504030c06542d30303031"
        + "3059301306072a8648ce3d020106082a8648ce3d03010703420004"
        + PUBLIC.hex()
        + "a000"
    )
    body = unhexlify(information)
    signature = signature_to_der(P256().sign(PRIVATE, sha256(body).digest()))
    tail = unhexlify("300a06082a8648ce3d040302") + bytes((3, len(signature) + 1, 0)) + signature
    assert der == b"\x30\x81" + bytes((len(body) + len(tail),)) + body + tail


def test_long_names_take_long_lengths():
    der = request("\u7ec8" * 64)  # 192 bytes of UTF-8
    assert der[0] == 0x30 and der[1] == 0x82
    assert len(der) == 4 + (der[2] << 8) + der[3]
    assert ("\u7ec8" * 64).encode() in der


def test_names_that_no_certificate_may_have_are_refused():
    for name in ("", "x" * 65):
        raises(ValueError, request, name)


def test_wrong_lengths_are_refused():
    raises(ValueError, signature_to_der, bytes(63))
    raises(ValueError, signature_to_der, bytes(72))
    raises(ValueError, ec_private_key, bytes(31), PUBLIC)
    raises(ValueError, ec_private_key, PRIVATE, b"\x04" + PUBLIC)
