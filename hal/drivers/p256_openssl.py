"""ECDSA on P-256 with SHA-256 digests and ECDH by the `cryptography` package (OpenSSL): the same calls as hal.drivers.p256, for CPython."""

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # the order of the curve: SP 800-186, 3.2.1.3


class OpensslP256:
    """See hal.drivers.p256.P256. Its nonces are OpenSSL's: two signatures over the same digest differ."""

    def __init__(self) -> None:
        self._curve = ec.SECP256R1()
        self._ecdsa = ec.ECDSA(Prehashed(SHA256()))
        self._last: tuple[bytes, ec.EllipticCurvePrivateKey] | None = None  # loading a private key takes longer than signing

    def is_private_key(self, private: bytes) -> bool:
        return len(private) == 32 and 0 < int.from_bytes(private, "big") < N

    def is_public_key(self, public: bytes) -> bool:
        return self._load(public) is not None

    def public_key(self, private: bytes) -> bytes:
        point = self._derive(private).public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return point[1:]  # SEC 1, 2.3.3: 04 || x || y

    def sign(self, private: bytes, digest: bytes) -> bytes:
        key = self._derive(private)
        if len(digest) != 32:
            raise ValueError("a digest is 32 bytes")
        r, s = decode_dss_signature(key.sign(bytes(digest), self._ecdsa))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def verify(self, public: bytes, digest: bytes, signature: bytes) -> bool:
        key = self._load(public)
        if key is None or len(digest) != 32 or len(signature) != 64:
            return False
        r = int.from_bytes(signature[:32], "big")
        s = int.from_bytes(signature[32:], "big")
        try:
            key.verify(encode_dss_signature(r, s), bytes(digest), self._ecdsa)
        except InvalidSignature:
            return False
        return True

    def agree(self, private: bytes, public: bytes) -> bytes:
        key, other = self._derive(private), self._load(public)
        if other is None:
            raise ValueError("a public key is 64 bytes of a point on the curve")
        return key.exchange(ec.ECDH(), other)

    def _derive(self, private: bytes) -> ec.EllipticCurvePrivateKey:
        if not self.is_private_key(private):
            raise ValueError("a private key is 32 bytes of 1..n-1")
        if self._last is None or self._last[0] != private:
            self._last = bytes(private), ec.derive_private_key(int.from_bytes(private, "big"), self._curve)
        return self._last[1]

    def _load(self, public: bytes) -> ec.EllipticCurvePublicKey | None:
        if len(public) != 64:
            return None
        try:
            return ec.EllipticCurvePublicKey.from_encoded_point(self._curve, b"\x04" + bytes(public))
        except ValueError:  # not on the curve, or a coordinate that is not below p
            return None
