"""The test authority issues what both TLS libraries accept, and nothing that could pass for real."""

from __future__ import annotations

import datetime

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from host_sim.pki import Credential, TestAuthority


def request(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "what the terminal would like")])
    return x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def raw(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)[1:]


def common_name(credential: Credential) -> str:
    return str(credential.certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


def test_every_certificate_says_that_it_is_test_material() -> None:
    authority = TestAuthority()
    certificates = [x509.load_der_x509_certificate(authority.certificate_der), authority.server().certificate]
    certificates.append(authority.client("T1").certificate)
    for certificate in certificates:
        assert "TEST" in certificate.subject.rfc4514_string()
        assert "Reinstate TEST CA" in certificate.issuer.rfc4514_string()


def test_a_server_certificate_names_its_hosts_and_addresses() -> None:
    names = TestAuthority().server().certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]


def test_a_client_certificate_is_for_the_given_key_and_for_clients_only() -> None:
    authority = TestAuthority()
    key = ec.generate_private_key(ec.SECP256R1())
    credential = authority.client("T1", raw(key))
    credential.certificate.verify_directly_issued_by(x509.load_der_x509_certificate(authority.certificate_der))
    assert credential.certificate.public_key() == key.public_key()
    assert credential.private_key_der == b""
    assert common_name(credential) == "T1"
    usage = credential.certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]


def test_a_fresh_client_key_fits_its_certificate() -> None:
    credential = TestAuthority().client("T1")
    key = serialization.load_der_private_key(credential.private_key_der, None)
    assert key.public_key() == credential.certificate.public_key()


def test_a_point_that_is_not_on_the_curve_is_refused() -> None:
    with pytest.raises(ValueError):
        TestAuthority().client("T1", bytes(63) + b"\x01")


def test_a_request_gets_its_key_and_our_name() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    credential = TestAuthority().client_from_request(request(key), "T7")
    assert credential.certificate.public_key() == key.public_key()
    assert common_name(credential) == "T7"


def test_a_request_that_was_changed_is_refused() -> None:
    changed = bytearray(request(ec.generate_private_key(ec.SECP256R1())))
    changed[changed.index(b"what")] ^= 1
    with pytest.raises(ValueError, match="not signed by its own key"):
        TestAuthority().client_from_request(bytes(changed), "T1")


def test_a_request_for_another_kind_of_key_is_refused() -> None:
    for key in (rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP384R1())):
        with pytest.raises(ValueError, match="P-256"):
            TestAuthority().client_from_request(request(key), "T1")


def test_a_certificate_of_another_authority_does_not_verify() -> None:
    other = x509.load_der_x509_certificate(TestAuthority().certificate_der)
    with pytest.raises(InvalidSignature):
        TestAuthority().client("T1").certificate.verify_directly_issued_by(other)


def test_validity_is_counted_in_days_from_now() -> None:
    now = datetime.datetime.now(datetime.UTC)
    certificate = TestAuthority().client("T1", days=3).certificate
    assert certificate.not_valid_before_utc < now
    assert abs(certificate.not_valid_after_utc - now - datetime.timedelta(days=3)) < datetime.timedelta(minutes=1)
    expired = TestAuthority().server(days=-1).certificate
    assert expired.not_valid_before_utc < expired.not_valid_after_utc < now
