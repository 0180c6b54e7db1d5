"""Who may use the technician's functions: whoever knows the PIN of this terminal, or holds a badge that the acquirer signed.

The PIN is kept as a salted, iterated SHA-256 and never as its digits. Whoever reads the flash can try all PINs there are: against that
helps a long PIN, and flash that is encrypted. At the keypad it is the growing delay that protects a short one.

A badge is a contactless card that holds what the acquirer signed, and a key of its own: it signs a random challenge, so that a copy of what
can be read opens nothing. Against somebody who forwards the challenge to the true card by radio it does not help.
"""

from hashlib import sha256

from firmware_agent.card_numbers import masked
from firmware_agent.identity.tries import FREE_TRIES, Tries
from firmware_agent.messages.cbor import CborError, decode, encode
from firmware_agent.messages.cose import CoseError, key_id, parse, verify
from hal.clock import TRUST_NONE
from hal.errors import DeviceError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware_agent.store import Store
    from firmware_agent.terminal import Terminal
    from hal.card_reader import CardReader
    from hal.clock import Clock
    from hal.secure_element import SecureElement

# The PIN.
KEY_PIN = "pin"  # [salt, rounds, digest]
KEY_TRIES = "pin.tries"
MIN_DIGITS, MAX_DIGITS = 4, 8
ROUNDS = 4096
ROUNDS_A_TURN = 128  # before others get their turn

# The badge, on the card. F: an identifier that nobody registered (ISO/IEC 7816-5, category F).
AID = b"\xf0REINSTATE"
TAG_BADGE = b"\x7f\x21"  # of a certificate that a card holds (ISO/IEC 7816-6)
SELECT = b"\x00\xa4\x04\x00" + bytes([len(AID)]) + AID + b"\x00"
GET_BADGE = b"\x00\xca" + TAG_BADGE + b"\x00"  # GET DATA (ISO/IEC 7816-4)
INTERNAL_AUTHENTICATE = b"\x00\x88\x00\x00"  # the same
SW_SUCCESS = b"\x90\x00"
CHALLENGE_BYTES = 32
AUTHENTICATE_MS = 3000  # a card may take a second to sign
EXTERNAL_AAD = "badge"  # what the acquirer signs a badge for: an order is none, and a badge is no order
PROOF = b"reinstate badge\x00"  # what the card puts before the challenge that it signs

# Claims of a badge (CWT: RFC 8392; cnf: RFC 8747; COSE_Key: RFC 9052, 7, and RFC 9053, 7.1.1).
CLAIM_ISSUER = 1
CLAIM_NUMBER = 2  # sub: the technician's number
CLAIM_EXPIRES = 4
CLAIM_CNF = 8
CLAIM_NAME = -65538  # private use: the technician's name
_CNF_KEY = 1
_KEY_TYPE, _KEY_CURVE, _KEY_X, _KEY_Y = 1, -1, -2, -3
_EC2, _P256 = 2, 1
MAX_NAME = 32  # characters; also of a number

KEY_REVOKED = "badges.revoked"  # numbers of badges that the acquirer has revoked
MAX_REVOKED = 64

# Why nobody was signed on.
WAIT = "wait"  # too many wrong PINs: nothing is looked at until the time is over
WRONG_PIN = "wrong_pin"
NO_CARD = "no_card"
CARD_FAILED = "card_failed"  # torn away, two at once, or the reader's trouble
NOT_A_BADGE = "not_a_badge"
DAMAGED = "damaged"  # it says that it is one, and cannot be read
ALTERED = "altered"
OTHER_ACQUIRER = "other_acquirer"
EXPIRED = "expired"
REVOKED = "revoked"
COPIED = "copied"  # the card does not have the badge's key
REFUSALS = (WAIT, WRONG_PIN, NO_CARD, CARD_FAILED, NOT_A_BADGE, DAMAGED, ALTERED, OTHER_ACQUIRER, EXPIRED, REVOKED, COPIED)
SUSPICIOUS = (DAMAGED, ALTERED, OTHER_ACQUIRER, EXPIRED, REVOKED, COPIED)  # the acquirer hears of it


class Technician:
    """Who is signed on. number, name: the badge's; '' for a PIN, which does not say whose it is. expires: of the badge, Unix seconds."""

    def __init__(self, number: str = "", name: str = "", expires: int = 0) -> None:
        self.number = number
        self.name = name
        self.expires = expires

    @property
    def has_badge(self) -> bool:
        return bool(self.number)


class BadgeError(ValueError):
    """code: one of REFUSALS."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(code + (": " + detail if detail else ""))
        self.code = code
        self.detail = detail


# The PIN.


async def set_pin(store: "Store", element: "SecureElement", clock: "Clock", digits: str) -> None:
    """Keep a new PIN. Raises ValueError for what is not 4 to 8 digits; DeviceError, StoreError."""
    if not (MIN_DIGITS <= len(digits) <= MAX_DIGITS and all(digit in "0123456789" for digit in digits)):
        raise ValueError("a PIN has %d to %d digits" % (MIN_DIGITS, MAX_DIGITS))
    salt = await element.random(16)
    record = encode([salt, ROUNDS, await _stretched(clock, salt, ROUNDS, digits)])
    store.put_all([(KEY_PIN, record), (KEY_TRIES, None)])


def has_pin(store: "Store") -> bool:
    return _pin_record(store) is not None


def wait_ms(terminal: "Terminal") -> int:
    """How long no PIN is looked at."""
    return _tries(terminal).wait_ms()


async def sign_on_by_pin(terminal: "Terminal", digits: str) -> "tuple[str, Technician | None]":
    """('', who) for the right PIN, else (one of REFUSALS, None). The try is counted, durably, before it is compared: a power cut that comes
    with the answer gains nothing. Raises StoreError, DeviceError.
    """
    store = terminal.store
    clock = terminal.hal.clock
    record = _pin_record(store)
    if record is None or wait_ms(terminal):
        return WAIT, None
    tries = _tries(terminal)
    failures = tries.failures + 1
    store.put_all([tries.failed(failures)])
    salt, rounds, digest = record
    if not _same(await _stretched(clock, salt, rounds, digits), digest):
        # The delay counts from the answer, not from the question.
        terminal.log("sign-on refused: %s, %d in a row" % (WRONG_PIN, failures))
        told: list[tuple[str, dict[str, object]]] = []
        if failures > FREE_TRIES:
            told.append(("event", {"name": "sign_on_refused", "detail": "PIN, %d in a row" % failures}))
        terminal.apply([], told, [tries.failed(failures)])
        return WRONG_PIN, None
    terminal.apply([], [("event", {"name": "signed_on", "detail": "PIN"})], [tries.forgotten()])
    terminal.log("signed on by PIN")
    return "", Technician()


def _pin_record(store: "Store") -> "tuple[bytes, int, bytes] | None":
    """None where no PIN is set, or what is there is none."""
    record = store.get(KEY_PIN)
    if record is None:
        return None
    try:
        salt, rounds, digest = decode(record)
    except (CborError, TypeError, ValueError):
        return None
    if not isinstance(salt, bytes) or not isinstance(digest, bytes) or not isinstance(rounds, int) or rounds < 1:
        return None
    return salt, rounds, digest


def _tries(terminal: "Terminal") -> Tries:
    return Tries(terminal.store, KEY_TRIES, terminal.hal.clock, terminal.boot_count)


async def _stretched(clock: "Clock", salt: bytes, rounds: int, digits: str) -> bytes:
    """32 bytes. Others get their turn in between."""
    secret = salt + digits.encode()
    digest = sha256(secret).digest()
    for number in range(1, rounds):
        digest = sha256(digest + secret).digest()
        if number % ROUNDS_A_TURN == 0:
            await clock.sleep_ms(0)
    return digest


def _same(one: bytes, other: bytes) -> bool:
    """Takes as long whatever differs."""
    difference = len(one) ^ len(other)
    for ours, theirs in zip(one, other):  # noqa: B905  MicroPython's zip has no strict
        difference |= ours ^ theirs
    return difference == 0


# The badge.


async def sign_on_by_badge(terminal: "Terminal", reader: "CardReader") -> "tuple[str, Technician | None]":
    """('', who) for a good badge, else (one of REFUSALS, None). There is a card in the field already: `find_card` said so. Raises
    StoreError, and DeviceError of the secure element.
    """
    try:
        technician = await check_badge(terminal, reader)
    except BadgeError as error:
        terminal.log("sign-on refused: %s %s" % (error.code, error.detail))
        if error.code in SUSPICIOUS:
            terminal.send("event", {"name": "sign_on_refused", "detail": "badge, " + error.code})
        return error.code, None
    terminal.send("event", {"name": "signed_on", "detail": "badge " + technician.number})
    terminal.log("signed on by badge %s" % technician.number)
    return "", technician


async def check_badge(terminal: "Terminal", reader: "CardReader") -> Technician:
    """Whose badge is in the field. What takes time to judge is judged when the card may go. Raises BadgeError; DeviceError of the secure
    element.
    """
    challenge = await terminal.hal.secure_element.random(CHALLENGE_BYTES)
    badge, proof = await _read_badge(reader, challenge)
    return await judge_badge(terminal, badge, challenge, proof)


async def judge_badge(terminal: "Terminal", badge: bytes, challenge: bytes = b"", proof: "bytes | None" = None) -> Technician:
    """Whose badge it is. badge: as the acquirer signed it; proof: what the card made of the challenge, 64 bytes r || s; None where there is
    no card, as of a badge that is shown as a code: that may be a copy. Raises BadgeError; DeviceError of the secure element.
    """
    identity = terminal.identity
    element = terminal.hal.secure_element
    try:
        envelope = parse(badge)
    except CoseError as error:
        raise BadgeError(DAMAGED, str(error))
    keys = [key for key in identity.acquirer_keys if key_id(key) == envelope.kid]
    if not keys:
        raise BadgeError(OTHER_ACQUIRER, "key " + envelope.kid.hex()[:16])
    if not await verify(element, envelope, keys[0], EXTERNAL_AAD):
        raise BadgeError(ALTERED)
    issuer, number, name, expires, public_key = _badge_claims(envelope.payload)
    if issuer != identity.acquirer:
        raise BadgeError(OTHER_ACQUIRER)
    if proof is not None and not await element.verify(public_key, sha256(PROOF + challenge).digest(), proof):
        raise BadgeError(COPIED, "badge " + number)
    try:
        is_revoked = number in revoked_badges(terminal.store)
    except ValueError as error:  # nobody is let in on a guess
        raise BadgeError(REVOKED, str(error))
    if is_revoked:
        raise BadgeError(REVOKED, "badge " + number)
    clock = terminal.hal.clock
    # As with orders: what has expired by a clock that knows only a floor has expired.
    if clock.trust != TRUST_NONE and clock.wall_s() >= expires:
        raise BadgeError(EXPIRED, "badge " + number)
    return Technician(number, name, expires)


def badge_payload(acquirer: str, number: str, name: str, expires: int, public_key: bytes) -> bytes:
    """What the acquirer signs. expires: Unix seconds; public_key: of the card, 64 bytes x || y."""
    key = {_KEY_TYPE: _EC2, _KEY_CURVE: _P256, _KEY_X: public_key[:32], _KEY_Y: public_key[32:]}
    return encode({CLAIM_ISSUER: acquirer, CLAIM_NUMBER: number, CLAIM_EXPIRES: expires, CLAIM_CNF: {_CNF_KEY: key}, CLAIM_NAME: name})


def _badge_claims(payload: bytes) -> "tuple[str, str, str, int, bytes]":
    """(issuer, number, name, expires, public key). Raises BadgeError: authentic, and not of this form all the same."""
    try:
        claims = decode(payload)
        confirmation = claims[CLAIM_CNF] if isinstance(claims, dict) else None
        key = confirmation[_CNF_KEY] if isinstance(confirmation, dict) else None
        if not isinstance(key, dict):
            raise KeyError("no key")
        issuer, number, name = claims[CLAIM_ISSUER], claims[CLAIM_NUMBER], claims[CLAIM_NAME]
        expires = claims[CLAIM_EXPIRES]
        x, y = key[_KEY_X], key[_KEY_Y]
    except (CborError, KeyError) as error:
        raise BadgeError(DAMAGED, "claims: %r" % error)
    is_point = all(isinstance(part, bytes) and len(part) == 32 for part in (x, y))
    if (key.get(_KEY_TYPE), key.get(_KEY_CURVE)) != (_EC2, _P256) or not is_point:
        raise BadgeError(DAMAGED, "its key is not on P-256")
    if not isinstance(expires, int) or not all(isinstance(text, str) and 0 < len(text) <= MAX_NAME for text in (issuer, number, name)):
        raise BadgeError(DAMAGED, "claims")
    return issuer, masked(number), masked(name), expires, x + y


async def _read_badge(reader: "CardReader", challenge: bytes) -> "tuple[bytes, bytes]":
    """(badge, proof) from the card in the field, which may go then. Raises BadgeError."""
    try:
        await _ask(reader, SELECT, NOT_A_BADGE)
        badge = await _ask(reader, GET_BADGE, DAMAGED)
        proof = await _ask(reader, INTERNAL_AUTHENTICATE + bytes([len(challenge)]) + challenge + b"\x00", DAMAGED, AUTHENTICATE_MS)
    except DeviceError as error:
        raise BadgeError(_refusal_of(error), error.cause or error.name)
    finally:
        try:
            await reader.release_card()
        except DeviceError:
            pass  # the card may have gone by itself, which is as good
    return badge, proof


async def _ask(reader: "CardReader", apdu: bytes, refusal: str, timeout_ms: int = 1000) -> bytes:
    """What the card answers, without its status word. Raises BadgeError with `refusal` for any other status; DeviceError."""
    answer = await reader.exchange(apdu, timeout_ms)
    if answer[-2:] != SW_SUCCESS:
        raise BadgeError(refusal, "status " + answer[-2:].hex())
    return answer[:-2]


def _refusal_of(error: DeviceError) -> str:
    """A card that is no smart card, or says nothing, is none of ours; anything else is trouble on the way."""
    if error.cause in ("not_a_payment_card", "card_silent"):
        return NOT_A_BADGE
    return NO_CARD if error.cause == "no_card" else CARD_FAILED


# Revocation.


def revoked_badges(store: "Store") -> "list[str]":
    """The numbers of the badges that open nothing more. Raises ValueError where the list cannot be read."""
    record = store.get(KEY_REVOKED)
    numbers = decode(record) if record is not None else []
    if not isinstance(numbers, list):
        raise ValueError("no list of revoked badges")
    return numbers


def revocation(store: "Store", number: str) -> "tuple[str, bytes]":
    """What to write to the store so that the badge of that number opens nothing more. Raises KeyError: that is no number, or the list is
    full or cannot be read, for none of those revoked before may be forgotten.
    """
    try:
        numbers = revoked_badges(store)
    except ValueError as error:
        raise KeyError("badge: %s" % error)
    if not number or len(number) > MAX_NAME or (number not in numbers and len(numbers) >= MAX_REVOKED):
        raise KeyError("badge")
    return KEY_REVOKED, encode(numbers if number in numbers else numbers + [number])
