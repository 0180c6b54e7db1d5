"""New keys for this terminal, and the certificates that the acquirer gives for them: after a suspension, by his wish, and in time.

The application is signed by the old key, which vouches for the new one; the PKCS#10 inside is signed by the new one. Until the credentials
are here the old identity stays; then all that changes is one write. Cut off at any point, one of the two works. What has no answer is asked
again once a day, for the same keys: so an answer to any of these is the right one.
"""

from firmware_agent.identity.certificate import CertificateError, public_key, validity
from firmware_agent.identity.der import certification_request, ec_private_key
from firmware_agent.identity.identity import KEY_IDENTITY, Identity
from firmware_agent.messages.cbor import CborError, decode, encode
from firmware_agent.state.machine import RECOVERING, STEP_REGISTRATION
from hal.clock import TRUST_SET
from hal.errors import E_NOEXIST, DeviceError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware_agent.messages.schema import Claims
    from firmware_agent.store import Store
    from firmware_agent.terminal import Terminal

KEY_PENDING = "registration"  # [application, purpose, slot, transport private key in DER, transport public key, when it was asked]
KEY_NUMBER = "registrations"
KEY_ORDERED = "renewal"  # is there while the acquirer's order for new keys waits to be begun
SLOTS = (0, 1)  # one in use, one for the next key
# Purposes of an application for credentials.
REGISTRATION = "registration"  # a step of the recovery: granted to who may recover
RENEWAL = "renewal"  # in service, too: granted to a terminal in good standing
ASK_AGAIN_S = 86400


class RegistrationError(Exception):
    """Credentials that do not answer the pending application, or do not carry its keys. The message is for the log."""


class Pending:
    """An application for credentials that has no answer yet. number: of the application; slot: of the new signing key; asked_s: Unix
    seconds when it was queued last, 0 where the clock was not set.
    """

    def __init__(self, number: int, purpose: str, slot: int, transport_private_key: bytes, transport_public: bytes, asked_s: int) -> None:
        self.number = number
        self.purpose = purpose
        self.slot = slot
        self.transport_private_key = transport_private_key
        self.transport_public = transport_public
        self.asked_s = asked_s

    def encoded(self) -> bytes:
        return encode([self.number, self.purpose, self.slot, self.transport_private_key, self.transport_public, self.asked_s])

    @staticmethod
    def load(store: "Store") -> "Pending | None":
        """None where there is none; one that cannot be read is an older version's, and is applied for anew."""
        record = store.get(KEY_PENDING)
        try:
            return Pending(*decode(record)) if record is not None else None
        except (CborError, TypeError):
            return None


class Renewals:
    """Sees to it that new keys are applied for when they are due. There is one to a terminal."""

    def __init__(self, terminal: "Terminal") -> None:
        self._terminal = terminal
        self._identity: Identity | None = None  # whose certificates were read
        self._renew_at_s = 0

    async def look(self) -> None:
        """To be called often, where the store can be written. Begins what is due, and asks again for what has no answer.

        Raises DeviceError as the element does, StoreError.
        """
        terminal = self._terminal
        pending = Pending.load(terminal.store)
        purpose = self._due(pending)
        if purpose:
            await begin(terminal, purpose)
        elif pending is not None and terminal.online and terminal.wall_s:
            # An application that still waits in the outbox is not lost, so only who is online asks again.
            if not 0 <= terminal.wall_s - pending.asked_s < ASK_AGAIN_S:
                await _ask_again(terminal, pending)

    def _due(self, pending: "Pending | None") -> str:
        """The purpose for which new keys are to be made now; '' for none."""
        terminal = self._terminal
        if terminal.state.mode == RECOVERING and terminal.state.step == STEP_REGISTRATION:
            # Keys that were made for a renewal may be older than the suspension: they do not answer it.
            return REGISTRATION if pending is None or pending.purpose != REGISTRATION else ""
        if terminal.store.get(KEY_ORDERED) is not None:
            return RENEWAL
        # Online, so that the acquirer has heard how the terminal stands before he is asked.
        if pending is not None or not terminal.online or terminal.hal.clock.trust != TRUST_SET:
            return ""
        if self._identity is not terminal.identity:
            self._identity = terminal.identity
            self._renew_at_s = renew_at_s(terminal.identity)
        return RENEWAL if 0 < self._renew_at_s <= terminal.wall_s else ""


def renew_at_s(identity: Identity) -> int:
    """When a third of its life is left to the first of the two certificates to end, Unix seconds; 0 where one cannot be read, which the
    self-test tells.
    """
    first_s = 0
    for certificate in (identity.certificate, identity.transport_certificate):
        try:
            not_before_s, not_after_s = validity(certificate)
        except CertificateError:
            return 0
        at_s = not_after_s - (not_after_s - not_before_s) // 3
        first_s = min(first_s or at_s, at_s)
    return first_s


def spare_slot(identity: Identity) -> int:
    """For the next signing key."""
    return SLOTS[1] if identity.slot == SLOTS[0] else SLOTS[0]


async def begin(terminal: "Terminal", purpose: str = REGISTRATION) -> None:
    """Make new keys and queue the application for them, in the place of one that is pending.

    A power cut before the write leaves a key in the spare slot that nobody knows of: the next attempt replaces it. Raises DeviceError,
    StoreError.
    """
    if terminal.store.get(KEY_PENDING) is not None:
        # Given up before its key goes: its credentials may arrive at this very moment.
        terminal.store.put_all([(KEY_PENDING, None)] + ([ordered(0)] if purpose == RENEWAL else []))
    element = terminal.hal.secure_element
    slot = spare_slot(terminal.identity)
    await element.generate_key(slot)
    transport_private, transport_public = await element.transport_key()
    record = terminal.store.get(KEY_NUMBER)
    number = (int(decode(record)) if record is not None else 0) + 1
    key = ec_private_key(transport_private, transport_public)
    pending = Pending(number, purpose, slot, key, transport_public, terminal.wall_s)
    await _queue(terminal, pending, [(KEY_NUMBER, encode(number)), (KEY_ORDERED, None)])


async def _ask_again(terminal: "Terminal", pending: Pending) -> None:
    pending.asked_s = terminal.wall_s
    try:
        await _queue(terminal, pending, [])
    except DeviceError as error:
        if error.code != E_NOEXIST:
            raise
        await begin(terminal, pending.purpose)  # the new signing key is no longer there


async def _queue(terminal: "Terminal", pending: Pending, changes: "list[tuple[str, bytes | None]]") -> None:
    body: dict[str, object] = {
        "application": pending.number,
        "purpose": pending.purpose,
        "reasons": [reason.told() for reason in terminal.state.reasons],
        "request": await certification_request(terminal.hal.secure_element, pending.slot, terminal.identity.terminal),
        "transport_key": pending.transport_public,
    }
    terminal.apply([], [("application", body)], changes + [(KEY_PENDING, pending.encoded())])


async def renewed(terminal: "Terminal", credentials: "Claims") -> "tuple[Identity, str]":
    """The identity that these credentials make, and the purpose for which they were asked. Changes nothing.

    Raises RegistrationError, DeviceError as the element does.
    """
    record = terminal.store.get(KEY_PENDING)
    pending = Pending.load(terminal.store)
    if pending is None:
        raise RegistrationError("no application for credentials is pending")
    if credentials.number("application") != pending.number:
        raise RegistrationError("credentials answer application %d, pending is %d" % (credentials.number("application"), pending.number))
    try:
        signing_key = await terminal.hal.secure_element.public_key(pending.slot)
    except DeviceError as error:
        if error.code != E_NOEXIST:
            raise
        raise RegistrationError("the new signing key is no longer there")
    if terminal.store.get(KEY_PENDING) != record:
        raise RegistrationError("the application was given up meanwhile")
    # The acquirer's signature vouches for the certificates; what is left to see is that they are for the keys made here, and of use now.
    now_s = max(terminal.wall_s, credentials.issued_at)
    for name, key in (("certificate", signing_key), ("transport_certificate", pending.transport_public)):
        certificate = credentials.octets(name)
        try:
            certified = public_key(certificate)
            not_before_s, not_after_s = validity(certificate)
        except CertificateError as error:
            raise RegistrationError("%s: %s" % (name, error))
        if certified != key:
            raise RegistrationError(name + " is not for the new key")
        if now_s and not not_before_s <= now_s < not_after_s:
            raise RegistrationError(name + " is not valid now")
    sealing_key = credentials.octets("sealing_key") or terminal.identity.sealing_key
    if len(sealing_key) not in (0, 64):
        raise RegistrationError("the sealing key is none")
    identity = terminal.identity.changed(
        slot=pending.slot,
        certificate=credentials.octets("certificate"),
        transport_certificate=credentials.octets("transport_certificate"),
        transport_private_key=pending.transport_private_key,
        sealing_key=sealing_key,
    )
    return identity, pending.purpose


def writes(identity: Identity) -> "list[tuple[str, bytes | None]]":
    """What to write so that the renewed identity is the one in use."""
    return [(KEY_IDENTITY, identity.encoded()), (KEY_PENDING, None)]


def ordered(sequence: int) -> "tuple[str, bytes | None]":
    """What to write so that new keys are applied for, whatever the power does. sequence: of the acquirer's order, 0 for none."""
    return (KEY_ORDERED, encode(sequence))
