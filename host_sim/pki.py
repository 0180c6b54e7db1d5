"""Certificates for tests and the desktop: an authority of our own, made when it is needed."""

from __future__ import annotations

import datetime
import ipaddress
import time
from collections.abc import Callable
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

ORGANIZATION = "Reinstate TEST material, trust nothing it signs"
CLOCK_SKEW = datetime.timedelta(hours=1)  # a certificate is valid at once for a clock that is late
CRL_DAYS = 30
ISSUED, REVOKED = "issued", "revoked"  # how a line of an authority's index begins


class Credential:
    """A certificate and, where we made it, its private key."""

    def __init__(self, certificate: x509.Certificate, private_key: ec.EllipticCurvePrivateKey | None) -> None:
        self.certificate = certificate
        self._private_key = private_key

    @property
    def certificate_der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def certificate_pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def private_key_der(self) -> bytes:
        """SEC1 (RFC 5915), which both runtimes read; empty when the key is the terminal's own."""
        return self._private_bytes(serialization.Encoding.DER)

    @property
    def private_key_pem(self) -> bytes:
        return self._private_bytes(serialization.Encoding.PEM)

    def _private_bytes(self, encoding: serialization.Encoding) -> bytes:
        if self._private_key is None:
            return b""
        return self._private_key.private_bytes(encoding, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())


class TestAuthority:
    """Issues certificates on P-256. name: the subject's common name; now_s: the time of day by which they begin and end, in seconds since
    1970. It may be ahead of this machine's, which TLS libraries judge by: what is valid at one of the two begins and is not over at both.
    """

    __test__ = False  # not a test, whatever its name makes pytest think

    def __init__(self, name: str = "Reinstate TEST CA", days: int = 30, now_s: Callable[[], float] = time.time) -> None:
        self._now_s = now_s
        self._index: list[str] = []
        self._index_file: Path | None = None
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _subject(name)
        builder = self._builder(self._name, self._key.public_key(), days)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(_key_usage(authority=True), critical=True)
        self._certificate = builder.sign(self._key, hashes.SHA256())

    @classmethod
    def loaded(cls, pem: bytes) -> TestAuthority:
        """The authority that `saved` gave. Raises ValueError."""
        authority = cls.__new__(cls)
        authority._now_s = time.time
        authority._index = []
        authority._index_file = None
        key = serialization.load_pem_private_key(pem, None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError("not a key on an elliptic curve")
        authority._key = key
        authority._certificate = x509.load_pem_x509_certificate(pem)
        authority._name = authority._certificate.subject
        return authority

    def saved(self) -> bytes:
        """Private key and certificate, PEM: for the folder of a trial."""
        key = self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
        return key + self.certificate_pem

    @property
    def certificate_der(self) -> bytes:
        return self._certificate.public_bytes(serialization.Encoding.DER)

    @property
    def certificate_pem(self) -> bytes:
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    # Revocation.

    def keep_index(self, file: Path) -> None:
        """Note what is issued and revoked in that file from now on, one line each, for other processes and the next one."""
        self._index_file = file

    def revoke(self, common_name: str) -> int:
        """All client certificates of that name that were issued so far; gives how many are newly revoked."""
        entries = self._entries()
        gone = {int(words[1]) for words in entries if words[0] == REVOKED}
        serials = [int(words[1]) for words in entries if words[0] == ISSUED and words[2] == common_name and int(words[1]) not in gone]
        for serial in serials:
            self._note(f"{REVOKED} {serial} {int(datetime.datetime.now(datetime.UTC).timestamp())}")
        return len(serials)

    @property
    def crl_pem(self) -> bytes:
        """The list of what is revoked (RFC 5280, 5)."""
        revoked = [words for words in self._entries() if words[0] == REVOKED]
        # Of two lists OpenSSL prefers the later one, to the second: a longer one is always later.
        start = self._certificate.not_valid_before_utc + datetime.timedelta(seconds=len(revoked))
        end = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=CRL_DAYS)
        builder = x509.CertificateRevocationListBuilder().issuer_name(self._name).last_update(start).next_update(end)
        for _, serial, at in revoked:
            moment = datetime.datetime.fromtimestamp(int(at), datetime.UTC)
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder().serial_number(int(serial)).revocation_date(moment).build()
            )
        builder = builder.add_extension(x509.CRLNumber(len(revoked)), critical=False)
        builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def _entries(self) -> list[list[str]]:
        lines = self._index
        if self._index_file is not None:
            lines = self._index_file.read_text(encoding="utf-8").splitlines() if self._index_file.exists() else []
        return [line.split(" ", 2) for line in lines]

    def _note(self, line: str) -> None:
        if self._index_file is None:
            self._index.append(line)
            return
        with self._index_file.open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def server(self, names: tuple[str, ...] = ("localhost", "127.0.0.1"), days: int = 30, from_day: int = 0) -> Credential:
        """A server certificate for host names and addresses, all of them in the subject alternative name.

        days < 0: it expired that many days ago; from_day: it becomes valid in so many days, less than `days`.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(_subject(names[0]), key.public_key(), days, from_day)
        builder = builder.add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        return Credential(self._leaf(builder, ExtendedKeyUsageOID.SERVER_AUTH), key)

    def client(self, common_name: str, public_key: bytes | None = None, days: int = 30) -> Credential:
        """A client certificate. common_name: the terminal number; public_key: 64 bytes x || y, or None for a fresh key.

        Raises ValueError for a public key that is not on P-256.
        """
        if public_key is None:
            key = ec.generate_private_key(ec.SECP256R1())
            return Credential(self._client_certificate(common_name, key.public_key(), days), key)
        point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x04" + public_key)
        return Credential(self._client_certificate(common_name, point, days), None)

    def for_new_keys(self, request_der: bytes, transport_key: bytes, terminal: str) -> tuple[Credential, Credential]:
        """Certificates for a terminal's signing key, by PKCS#10 request, and for its key for TLS, x || y. Raises ValueError."""
        return self.client_from_request(request_der, terminal), self.client(terminal, transport_key)

    def client_from_request(self, request_der: bytes, common_name: str, days: int = 30) -> Credential:
        """A client certificate for the key of a PKCS#10 request; the name is ours to give, not the request's.

        Raises ValueError for a request that does not parse, is not signed by its own key, or is not for P-256.
        """
        request = x509.load_der_x509_csr(request_der)
        key = request.public_key()
        if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
            raise ValueError("the request is not for a P-256 key")
        if not request.is_signature_valid:
            raise ValueError("the request is not signed by its own key")
        return Credential(self._client_certificate(common_name, key, days), None)

    def _client_certificate(self, common_name: str, key: ec.EllipticCurvePublicKey, days: int) -> x509.Certificate:
        certificate = self._leaf(self._builder(_subject(common_name), key, days), ExtendedKeyUsageOID.CLIENT_AUTH)
        self._note(f"{ISSUED} {certificate.serial_number} {common_name}")
        return certificate

    def _leaf(self, builder: x509.CertificateBuilder, usage: x509.ObjectIdentifier) -> x509.Certificate:
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(_key_usage(authority=False), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        return builder.sign(self._key, hashes.SHA256())

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePublicKey, days: int, from_day: int = 0) -> x509.CertificateBuilder:
        now, here = datetime.datetime.fromtimestamp(self._now_s(), datetime.UTC), datetime.datetime.now(datetime.UTC)
        end = (min(now, here) if days < 0 else now) + datetime.timedelta(days=days)
        start = min((now if from_day else min(now, here)) + datetime.timedelta(days=from_day), end) - CLOCK_SKEW
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(self._name).public_key(key)
        builder = builder.serial_number(x509.random_serial_number()).not_valid_before(start).not_valid_after(end)
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        return builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)


def _subject(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANIZATION), x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _key_usage(authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
