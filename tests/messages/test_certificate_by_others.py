"""Key and days of certificates as `cryptography` makes them, and as it reads them."""

from __future__ import annotations

import datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_agent.identity.certificate import CertificateError, public_key, validity
from host_sim.pki import TestAuthority

SIGNER = ec.generate_private_key(ec.SECP256R1())
SECONDS = st.datetimes(datetime.datetime(1950, 1, 2), datetime.datetime(9999, 12, 30)).map(lambda time: time.replace(microsecond=0))


def certificate(
    key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey,
    not_before: datetime.datetime = datetime.datetime(2026, 11, 22),
    not_after: datetime.datetime = datetime.datetime(2027, 11, 22),
    name: str = "T0000001",
    serial_number: int = 1,
) -> bytes:
    """Not before, not after: naive, in UTC."""
    builder = x509.CertificateBuilder(
        issuer_name=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]),
        subject_name=x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, name), x509.NameAttribute(NameOID.COMMON_NAME, name)]),
        public_key=key,
        serial_number=serial_number,
        not_valid_before=not_before,
        not_valid_after=not_after,
        extensions=[x509.Extension(x509.ExtensionOID.BASIC_CONSTRAINTS, True, x509.BasicConstraints(False, None))],
    )
    return builder.sign(SIGNER, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def unix_s(time: datetime.datetime) -> int:
    return int(time.replace(tzinfo=datetime.UTC).timestamp())


def point(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)[1:]


def test_what_the_authority_issues_is_read_as_it_reads_it() -> None:
    authority = TestAuthority()
    for credential in (authority.client("T0000001"), authority.server()):
        theirs = credential.certificate
        key = theirs.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        assert public_key(credential.certificate_der) == point(key)
        not_before, not_after = theirs.not_valid_before_utc, theirs.not_valid_after_utc
        assert validity(credential.certificate_der) == (int(not_before.timestamp()), int(not_after.timestamp()))


def test_the_key_that_was_vouched_for_is_the_key_that_is_read() -> None:
    key = point(ec.generate_private_key(ec.SECP256R1()).public_key())
    assert public_key(TestAuthority().client("T0000001", key).certificate_der) == key


@settings(max_examples=150, deadline=None)
@given(SECONDS, SECONDS, st.text(min_size=1, max_size=16), st.integers(1, 2**159 - 1))
def test_any_days_names_and_numbers_are_read(one: datetime.datetime, other: datetime.datetime, name: str, serial_number: int) -> None:
    not_before, not_after = sorted((one, other))
    der = certificate(SIGNER.public_key(), not_before, not_after, name, serial_number)
    assert validity(der) == (unix_s(not_before), unix_s(not_after))
    assert public_key(der) == point(SIGNER.public_key())


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP384R1()).public_key(),
        rsa.generate_private_key(65537, 2048).public_key(),
        ed25519.Ed25519PrivateKey.generate().public_key(),
    ],
    ids=["p384", "rsa", "ed25519"],
)
def test_a_key_of_another_kind_is_refused_and_its_days_are_read(
    key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey,
) -> None:
    der = certificate(key)
    assert validity(der)[1] == unix_s(datetime.datetime(2027, 11, 22))
    with pytest.raises(CertificateError):
        public_key(der)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 299), st.integers(0, 255)), min_size=1, max_size=4))
def test_damaged_bytes_are_refused_or_read_and_never_anything_else(damage: list[tuple[int, int]]) -> None:
    der = bytearray(certificate(SIGNER.public_key()))  # of 300 bytes and more
    for place, value in damage:
        der[place] = value
    for read in (public_key, validity):
        try:
            read(bytes(der))
        except CertificateError:
            continue


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_refused_or_read_and_never_anything_else(der: bytes) -> None:
    for read in (public_key, validity):
        try:
            read(der)
        except CertificateError:
            continue
