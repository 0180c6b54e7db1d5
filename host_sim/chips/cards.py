"""Contactless cards of type A for the field of a card reader. None of them holds a card number."""

from __future__ import annotations

from hashlib import sha256

from hal.drivers.p256_openssl import OpensslP256

PPSE = b"2PAY.SYS.DDF01"  # EMV contactless, Book B: the name of the Proximity Payment System Environment
BADGE_AID = b"\xf0REINSTATE"  # ISO/IEC 7816-5, category F: registered with nobody
BADGE_PROOF = b"reinstate badge\x00"  # signed with the challenge, so that the key signs nothing else
TEST_AID = bytes.fromhex("A0000000049999")  # a registered provider's id with an unused extension

OK = b"\x90\x00"
WRONG_LENGTH = b"\x67\x00"
NOT_FOUND = b"\x6a\x82"
UNKNOWN_INS = b"\x6d\x00"
UNKNOWN_CLASS = b"\x6e\x00"


def tlv(tag: str, value: bytes) -> bytes:
    """A BER-TLV object with a value of at most 127 bytes."""
    assert len(value) < 128
    return bytes.fromhex(tag) + bytes([len(value)]) + value


class Card:
    """What a reader sees on activation (ISO 14443-3 and -4), and the answers to APDUs.

    A card that gives None to an APDU keeps silent, but still answers the reader's presence check.
    """

    sens_res = b"\x00\x04"
    sel_res = 0x20  # speaks ISO 14443-4
    ats = bytes.fromhex("067577810280")  # TL first

    def __init__(self, uid: bytes = b"\x08\x12\x34\x56") -> None:
        self.uid = uid  # first byte 08: a random number, as payment cards send

    def transceive(self, apdu: bytes) -> bytes | None:
        raise NotImplementedError


class PaymentCard(Card):
    """Answers SELECT PPSE with a File Control Information that lists one test application, and has no records at all."""

    def fci(self) -> bytes:
        application = tlv("61", tlv("4F", TEST_AID) + tlv("50", b"TEST CARD") + tlv("87", b"\x01"))
        return tlv("6F", tlv("84", PPSE) + tlv("A5", tlv("BF0C", application)))

    def transceive(self, apdu: bytes) -> bytes | None:
        if len(apdu) < 4:
            return WRONG_LENGTH
        if apdu[0] != 0x00:
            return UNKNOWN_CLASS
        if apdu[1] != 0xA4:
            return UNKNOWN_INS
        name_length = apdu[4] if len(apdu) > 4 else 0
        if len(apdu) not in (5 + name_length, 6 + name_length):
            return WRONG_LENGTH
        return self.select(apdu[5 : 5 + name_length], has_le=len(apdu) == 6 + name_length)

    def select(self, name: bytes, has_le: bool) -> bytes:
        return self.fci() + OK if name == PPSE else NOT_FOUND


class NoPpseCard(PaymentCard):
    """A card with other applications: no payment environment."""

    def select(self, name: bytes, has_le: bool) -> bytes:
        return NOT_FOUND


class StrictLeCard(PaymentCard):
    """Refuses a SELECT without Le, as some contactless cards do."""

    def select(self, name: bytes, has_le: bool) -> bytes:
        return super().select(name, has_le) if has_le else WRONG_LENGTH


class RefusingCard(PaymentCard):
    """Takes no SELECT, whatever its length."""

    def select(self, name: bytes, has_le: bool) -> bytes:
        return WRONG_LENGTH


class MuteCard(Card):
    """Activates, and never answers an APDU."""

    def transceive(self, apdu: bytes) -> bytes | None:
        return None


class TransitCard(Card):
    """A memory card (MIFARE Classic): does not speak ISO 14443-4."""

    sel_res = 0x08
    ats = b""

    def transceive(self, apdu: bytes) -> bytes | None:
        return None


class BadgeCard(PaymentCard):
    """A technician's badge: gives what the acquirer signed, and signs a challenge with a key that never leaves it.

    badge: a COSE_Sign1; private_key: 32 bytes; of a copy it is another one than the badge names.
    """

    def __init__(self, badge: bytes, private_key: bytes) -> None:
        super().__init__()
        self._badge = badge
        self._private_key = private_key
        self._selected = False

    def transceive(self, apdu: bytes) -> bytes | None:
        if self._selected and apdu[:4] == b"\x00\xca\x7f\x21":
            return self._badge + OK
        if self._selected and apdu[:4] == b"\x00\x88\x00\x00":
            length = apdu[4] if len(apdu) > 4 else 0
            if not length or len(apdu) not in (5 + length, 6 + length):
                return WRONG_LENGTH
            return OpensslP256().sign(self._private_key, sha256(BADGE_PROOF + apdu[5 : 5 + length]).digest()) + OK
        return super().transceive(apdu)

    def select(self, name: bytes, has_le: bool) -> bytes:
        self._selected = name == BADGE_AID
        return OK if self._selected else NOT_FOUND
