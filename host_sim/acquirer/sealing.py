"""Opens what terminals sealed for the acquirer (firmware_agent/messages/sealed.py): written apart from it, on the `cryptography` package.

The sealing key is not the signing key. What it opens is personal data: it is used, shown masked, and put into no log.
"""

from __future__ import annotations

from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from firmware_agent.application.applicant import NAME, STATEMENT, TELEPHONE
from firmware_agent.messages.cbor import CborError, decode, encode

FORM = 1
HEAD = 1 + 8 + 64  # form, key id, the sender's key
TAG = 32
BLOCK = 16  # bytes, of AES
FIELDS = {NAME: "name", TELEPHONE: "telephone", STATEMENT: "statement"}
LONGEST = 512  # characters of one of them


class NotOpened(ValueError):
    """code: 'malformed' (length, or form), 'other_key' (sealed for another key), 'bad_point', 'altered' (or moved to another context),
    'contents' (opened, and not what was agreed).
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class SealingKey:
    """The acquirer's private key on P-256, used for nothing but opening."""

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        self._key = key
        self.public_key = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)[1:]

    @staticmethod
    def generated() -> SealingKey:
        return SealingKey(ec.generate_private_key(ec.SECP256R1()))

    @staticmethod
    def loaded(pem: bytes) -> SealingKey:
        """Raises ValueError for what is no private key on P-256."""
        key = load_pem_private_key(pem, None)
        if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
            raise ValueError("not a private key on P-256")
        return SealingKey(key)

    def saved(self) -> bytes:
        """PEM, not encrypted: for a file that nobody else may read."""
        return self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def open(self, sealed: bytes, context: str) -> bytes:
        """What was sealed for this key in this context, the topic of the message that carried it. Raises NotOpened."""
        encrypted_bytes = len(sealed) - HEAD - TAG
        if encrypted_bytes < BLOCK or encrypted_bytes % BLOCK or sealed[0] != FORM:
            raise NotOpened("malformed")
        if sealed[1:9] != sha256(self.public_key).digest()[:8]:
            raise NotOpened("other_key")
        point = sealed[9:HEAD]
        try:
            sender = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x04" + point)
        except ValueError as error:  # not on the curve: it might tell of the private key what is agreed with it
            raise NotOpened("bad_point") from error
        info = encode(["reinstate sealed 1", self.public_key, point, context])
        keys = HKDF(SHA256(), 80, salt=None, info=info).derive(self._key.exchange(ec.ECDH(), sender))
        check = HMAC(keys[32:64], SHA256())
        check.update(sealed[:-TAG])
        try:
            check.verify(sealed[-TAG:])  # takes the same time whatever differs
        except InvalidSignature as error:
            raise NotOpened("altered") from error
        decryptor = Cipher(algorithms.AES(keys[:32]), modes.CBC(keys[64:])).decryptor()
        padded = decryptor.update(sealed[HEAD:-TAG]) + decryptor.finalize()
        unpadder = PKCS7(8 * BLOCK).unpadder()
        try:
            return unpadder.update(padded) + unpadder.finalize()
        except ValueError as error:  # by its owner's key, and made wrongly: nobody who alters it comes here
            raise NotOpened("contents") from error


def applicant(key: SealingKey, sealed: bytes, context: str) -> dict[str, str]:
    """Who applies, by name, telephone, statement as far as told. What a newer terminal tells beside is left out. Raises NotOpened."""
    try:
        told = decode(key.open(sealed, context))
    except CborError as error:
        raise NotOpened("contents") from error
    if not isinstance(told, dict):
        raise NotOpened("contents")
    found = {FIELDS[number]: value for number, value in told.items() if number in FIELDS}
    if not all(isinstance(value, str) and len(value) <= LONGEST for value in found.values()):
        raise NotOpened("contents")
    return found


def masked_applicant(told: dict[str, str]) -> str:
    """For a line that people see: the telephone's last two digits, the name's first character, the statement's length."""
    words = []
    if "name" in told:
        words.append(told["name"][:1] + "*" * 3)
    if "telephone" in told:
        words.append("*" * 6 + told["telephone"][-2:])
    if "statement" in told:
        words.append(f"statement of {len(told['statement'])} characters")
    return ", ".join(words)
