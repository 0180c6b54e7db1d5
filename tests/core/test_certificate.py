"""What is read of a certificate: its key and its days; whatever else the bytes are, they are said to be no certificate."""

from binascii import unhexlify

from firmware_agent.identity.certificate import CertificateError, public_key, validity
from tests.core.certificates import certificate as made
from tests.core.certificates import der
from tests.core.support import raises

# Made by other software: serial number 0x1234, issuer CN=CA, subject CN=T0000001, the key of RFC 6979 (A.2.5).
CERTIFICATE = unhexlify(
    "3082010d3081b4a00302010202021234300a06082a8648ce3d040302300d310b300906035504030c024341301e170d3236313132323030303030305a"
    "170d3238303232393233353935395a30133111300f06035504030c0854303030303030313059301306072a8648ce3d020106082a8648ce3d03010703"
    "42000460fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb67903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177"
    "a3c294d4462299300a06082a8648ce3d0403020348003045022100e46db13f0ec3d019ba315d5972249773a3ce5097efc6409bf67d277c98b8e6aa02"
    "200777435d99787ea85750abdb5c2e2f49e0a251fd0b78650f16630a22d2c6d2b7"
)
KEY = unhexlify(
    "60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb67903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299"
)
NOT_BEFORE_S = 1795305600  # 2026-11-22 00:00:00
NOT_AFTER_S = 1835481599  # 2028-02-29 23:59:59


def certificate(not_before=None, not_after=None, version=True, point=b"\x00\x04" + KEY):
    return made(not_before or der(0x17, b"261122000000Z"), not_after or der(0x17, b"280229235959Z"), version, point)


def refused(data):
    raises(CertificateError, public_key, data)
    raises(CertificateError, validity, data)


def ends_s(tag, text):
    return validity(certificate(not_after=der(tag, text)))[1]


def test_key_and_days_of_a_certificate_made_by_other_software():
    assert public_key(CERTIFICATE) == KEY
    assert validity(CERTIFICATE) == (NOT_BEFORE_S, NOT_AFTER_S)


def test_it_may_come_in_any_kind_of_bytes():
    for kind in (bytearray, memoryview):
        assert public_key(kind(CERTIFICATE)) == KEY and validity(kind(CERTIFICATE)) == (NOT_BEFORE_S, NOT_AFTER_S)


def test_pem_is_named():
    for function in (public_key, validity):
        assert "PEM" in str(raises(CertificateError, function, b"-----BEGIN CERTIFICATE-----\nMIIB\n"))


def test_the_first_version_has_no_version_number():
    for version in (True, False):
        data = certificate(version=version)
        assert public_key(data) == KEY and validity(data) == (NOT_BEFORE_S, NOT_AFTER_S)


def test_both_forms_of_a_time_are_read():
    for tag, text, wall_s in (
        (0x17, b"700101000000Z", 0),
        (0x17, b"500101000000Z", -631152000),  # RFC 5280: 50 is 1950 ...
        (0x17, b"491231235959Z", 2524607999),  # ... and 49 is 2049
        (0x17, b"000229120000Z", 951825600),
        (0x18, b"20500101000000Z", 2524608000),
        (0x18, b"21000301000000Z", 4107542400),
        (0x18, b"99991231235959Z", 253402300799),  # no end (RFC 5280, 4.1.2.5)
        (0x18, b"19700101000000Z", 0),
    ):
        assert ends_s(tag, text) == wall_s, text


def test_a_time_that_is_none_is_refused():
    for tag, text in (
        (0x17, b""),
        (0x17, b"261122000000"),
        (0x17, b"261122000000+0100"),
        (0x17, b"2611220000Z"),
        (0x17, b"26112200000aZ"),
        (0x17, b"261322000000Z"),
        (0x17, b"260022000000Z"),
        (0x17, b"261100000000Z"),
        (0x17, b"261132000000Z"),
        (0x17, b"261122240000Z"),
        (0x17, b"261122006000Z"),
        (0x17, b"261122000060Z"),
        (0x17, b"-61122000000Z"),
        (0x17, b"20261122000000Z"),
        (0x18, b"261122000000Z"),
        (0x18, b"20261122000000.5Z"),
        (0x16, b"261122000000Z"),
    ):
        for data in (certificate(not_before=der(tag, text)), certificate(not_after=der(tag, text))):
            raises(CertificateError, validity, data)
            assert public_key(data) == KEY


def test_a_key_on_another_curve_or_of_another_form_is_refused():
    for point in (
        b"",
        b"\x00",
        b"\x00\x04" + KEY + b"\x00",
        b"\x00\x04" + KEY[:-1],
        b"\x00\x02" + KEY[:32],  # compressed
        b"\x00\x04" + KEY + KEY[:32],  # P-384
        b"\x01\x04" + KEY,
        b"\x00\x05" + KEY,
        b"\x00" + bytes(200),  # RSA
    ):
        raises(CertificateError, public_key, certificate(point=point))
        assert validity(certificate(point=point)) == (NOT_BEFORE_S, NOT_AFTER_S)


def test_what_is_no_certificate_is_refused():
    for data in (
        b"",
        b"0",
        b"certificate",
        b"\x30\x00",
        b"\x30\x80",
        b"\x30\x81",
        b"\x30\x82\x01",
        b"\x30\x83\x00\x00\x00",
        b"\x30\x84\xff\xff\xff\xff",
        b"\x30\xff",
        b"-----BEGIN CERTIFICATE-----",
        bytes(300),
        b"\xff" * 300,
        b"\x30" * 300,
    ):
        refused(data)


def test_a_certificate_that_ends_anywhere_is_refused():
    for length in range(len(CERTIFICATE)):
        refused(CERTIFICATE[:length])


def read(data):
    """Whether it was read; any error but CertificateError comes out."""
    good = 0
    for reading in (public_key, validity):
        try:
            reading(data)
            good += 1
        except CertificateError:
            pass
    return good == 2


def test_no_byte_that_is_wrong_leads_to_another_error():
    changed = bytearray(CERTIFICATE)
    outcomes = set()
    for at in range(len(CERTIFICATE)):
        for value in (0x00, 0x01, 0x7F, 0x80, 0x81, 0x82, 0x83, 0xFF, CERTIFICATE[at] ^ 0x01, CERTIFICATE[at] ^ 0x20):
            changed[at] = value
            outcomes.add(read(changed))
        changed[at] = CERTIFICATE[at]
    assert outcomes == {True, False}


def test_no_byte_that_is_missing_or_too_many_leads_to_another_error():
    for at in range(len(CERTIFICATE)):
        read(CERTIFICATE[:at] + CERTIFICATE[at + 1 :])
        read(CERTIFICATE[:at] + b"\x30" + CERTIFICATE[at:])
        read(CERTIFICATE[:at] + b"\x82" + CERTIFICATE[at:])
