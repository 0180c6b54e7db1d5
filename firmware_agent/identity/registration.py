"""Re-registration: a new signing key, a new key for TLS, and the certificates that the acquirer gives for them.

The application is signed by the old key, which vouches for the new one; the PKCS#10 inside is signed by the new one. Until the credentials
are here the old identity stays; then all that changes is one write. Cut off at any point, one of the two works.
"""

from firmware_agent.identity.der import certification_request, ec_private_key
from firmware_agent.identity.identity import KEY_IDENTITY, Identity
from firmware_agent.messages.cbor import decode, encode
from hal.errors import E_NOEXIST, DeviceError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware_agent.messages.schema import Claims
    from firmware_agent.terminal import Terminal

KEY_PENDING = "registration"  # [application, slot, transport private key in DER]
KEY_NUMBER = "registrations"
SLOTS = (0, 1)  # one in use, one for the next key


class RegistrationError(Exception):
    """Credentials that do not answer the pending application, or do not carry its keys. The message is for the log."""


def pending(terminal: "Terminal") -> bool:
    """An application for credentials is on its way, or waits for its answer."""
    return terminal.store.get(KEY_PENDING) is not None


async def begin(terminal: "Terminal") -> None:
    """Make new keys and queue the application. Done once: while it is pending, nothing happens.

    A power cut before the write leaves a key in the spare slot that nobody knows of: the next attempt replaces it.
    """
    if pending(terminal):
        return
    element = terminal.hal.secure_element
    slot = SLOTS[1] if terminal.identity.slot == SLOTS[0] else SLOTS[0]
    await element.generate_key(slot)
    transport_private, transport_public = await element.transport_key()
    request = await certification_request(element, slot, terminal.identity.terminal)
    record = terminal.store.get(KEY_NUMBER)
    number = (int(decode(record)) if record is not None else 0) + 1
    terminal.apply(
        [],
        [
            (
                "application",
                {
                    "application": number,
                    "purpose": "registration",
                    "reasons": [reason.told() for reason in terminal.state.reasons],
                    "request": request,
                    "transport_key": transport_public,
                },
            )
        ],
        [
            (KEY_NUMBER, encode(number)),
            (KEY_PENDING, encode([number, slot, ec_private_key(transport_private, transport_public), transport_public])),
        ],
    )


async def renewed(terminal: "Terminal", credentials: "Claims") -> Identity:
    """The identity that these credentials make. Raises RegistrationError; changes nothing."""
    record = terminal.store.get(KEY_PENDING)
    if record is None:
        raise RegistrationError("no application for credentials is pending")
    number, slot, transport_private_key, transport_public = decode(record)
    if credentials.number("application") != number:
        raise RegistrationError("credentials answer application %d, pending is %d" % (credentials.number("application"), number))
    certificate = credentials.octets("certificate")
    transport_certificate = credentials.octets("transport_certificate")
    # The acquirer's signature vouches for the certificates; what is left to see is that they are for the keys made here.
    try:
        public_key = await terminal.hal.secure_element.public_key(slot)
    except DeviceError as error:
        if error.code != E_NOEXIST:
            raise
        raise RegistrationError("the new signing key is no longer there")
    if public_key not in certificate:
        raise RegistrationError("certificate is not for the new signing key")
    if transport_public not in transport_certificate:
        raise RegistrationError("certificate is not for the new transport key")
    old = terminal.identity
    return Identity(
        old.terminal,
        old.acquirer,
        slot,
        certificate,
        transport_certificate,
        transport_private_key,
        old.authority,
        old.acquirer_keys,
        old.broker_host,
        old.broker_port,
        old.broker_name,
    )


def writes(identity: Identity) -> "list[tuple[str, bytes | None]]":
    """What to write so that the renewed identity is the one in use."""
    return [(KEY_IDENTITY, identity.encoded()), (KEY_PENDING, None)]


