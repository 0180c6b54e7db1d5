"""The first enrolment: keys are made here and stay here, a request for certificates goes to the acquirer, and credentials come back.

By hand, both are carried as files, and what comes back is believed because a person carried it; over the network it is signed by a key that
the factory put in (activation.py). Either way only a terminal takes it that has no identity yet: from then on the acquirer's keys in it
judge everything else.
"""

from firmware_agent.identity.certificate import PEM, CertificateError, public_key, validity
from firmware_agent.identity.der import certification_request, ec_private_key
from firmware_agent.identity.identity import KEY_IDENTITY, Identity
from firmware_agent.messages.cbor import CborError, decode, encode
from firmware_agent.settings import DEFAULTS, PREFIX, SettingError, refuse_card_number
from hal.errors import E_NOEXIST, DeviceError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from firmware_agent.store import Store
    from hal.hal import Hal

KEY_ENROLMENT = "enrolment"  # [slot, transport private key in DER, transport public key]
REQUEST_FORMAT = 1
CREDENTIALS_FORMAT = 1
SLOT = 0
MOST_BYTES = 8192  # of either file
MOST_ACQUIRER_KEYS = 4


class EnrolmentError(Exception):
    """It cannot be done; the message is for the person who carries the files."""


class Request:
    """hardware_id, board: of the terminal; request: PKCS#10 in DER, signed by the new key; transport_key: 64 bytes, for TLS."""

    def __init__(self, hardware_id: str, board: str, request: bytes, transport_key: bytes) -> None:
        self.hardware_id = hardware_id
        self.board = board
        self.request = request
        self.transport_key = transport_key

    def encoded(self) -> bytes:
        return encode([REQUEST_FORMAT, self.hardware_id, self.board, self.request, self.transport_key])

    @staticmethod
    def decoded(data: bytes) -> "Request":
        """Raises EnrolmentError."""
        fields = _fields(data, REQUEST_FORMAT, (str, str, bytes, bytes), "a request for enrolment")
        return Request(*fields)


class Credentials:
    """What the acquirer gives: the fields of Identity that it decides, and settings by name."""

    def __init__(
        self,
        terminal: str,
        acquirer: str,
        certificate: bytes,
        transport_certificate: bytes,
        authority: bytes,
        acquirer_keys: "list[bytes]",
        broker_host: str,
        broker_port: int,
        broker_name: str,
        settings: "dict[str, str]",
        sealing_key: bytes = b"",
    ) -> None:
        self.terminal = terminal
        self.acquirer = acquirer
        self.certificate = certificate
        self.transport_certificate = transport_certificate
        self.authority = authority
        self.acquirer_keys = acquirer_keys
        self.broker_host = broker_host
        self.broker_port = broker_port
        self.broker_name = broker_name
        self.settings = settings
        self.sealing_key = sealing_key

    _TYPES = (str, str, bytes, bytes, bytes, list, str, int, str, dict, bytes)

    def encoded(self) -> bytes:
        return encode(
            [
                CREDENTIALS_FORMAT,
                self.terminal,
                self.acquirer,
                self.certificate,
                self.transport_certificate,
                self.authority,
                self.acquirer_keys,
                self.broker_host,
                self.broker_port,
                self.broker_name,
                self.settings,
                self.sealing_key,
            ]
        )

    @staticmethod
    def decoded(data: bytes) -> "Credentials":
        """Raises EnrolmentError."""
        # Of old they ended before the sealing key.
        credentials = Credentials(*_fields(data, CREDENTIALS_FORMAT, Credentials._TYPES, "credentials of an acquirer", optional=1))
        keys = credentials.acquirer_keys
        if not 0 < len(keys) <= MOST_ACQUIRER_KEYS or [key for key in keys if not isinstance(key, bytes) or len(key) != 64]:
            raise EnrolmentError("these credentials name no key of the acquirer")
        if len(credentials.sealing_key) not in (0, 64):
            raise EnrolmentError("these credentials name a sealing key that is none")
        for name in credentials.settings:
            if name not in DEFAULTS or not isinstance(credentials.settings[name], str):
                raise EnrolmentError("these credentials have a setting %s; there are: %s" % (name, ", ".join(sorted(DEFAULTS))))
            try:
                refuse_card_number(name, credentials.settings[name])
            except SettingError as error:
                raise EnrolmentError("these credentials: %s" % error)
        return credentials


async def request(hal: "Hal", store: "Store") -> bytes:
    """Make keys, and the request for credentials for them. Asked again, it makes new ones: an earlier request is worth nothing then.

    hal: with secure element brought up. Raises EnrolmentError for a terminal that is enrolled, DeviceError, StoreError.
    """
    if store.get(KEY_IDENTITY) is not None:
        raise EnrolmentError("this terminal is enrolled already: new keys are given by re-registration")
    return (await _with_new_keys(hal, store, SLOT)).encoded()


async def waiting_request(hal: "Hal", store: "Store", slot: int = SLOT) -> Request:
    """The request for the keys that were made before in that slot and wait for their certificates; for new ones where there are none. So
    whoever asks again after a power cut asks with the same keys. Raises DeviceError, StoreError.
    """
    record = store.get(KEY_ENROLMENT)
    made_in, _, transport_public = decode(record) if record is not None else (None, None, b"")
    if made_in == slot:
        try:
            return Request(
                hal.hardware_id, hal.board, await certification_request(hal.secure_element, slot, hal.hardware_id), transport_public
            )
        except DeviceError as error:
            if error.code != E_NOEXIST:
                raise
    return await _with_new_keys(hal, store, slot)


async def _with_new_keys(hal: "Hal", store: "Store", slot: int) -> Request:
    element = hal.secure_element
    await element.generate_key(slot)
    transport_private, transport_public = await element.transport_key()
    asked = Request(hal.hardware_id, hal.board, await certification_request(element, slot, hal.hardware_id), transport_public)
    store.put(KEY_ENROLMENT, encode([slot, ec_private_key(transport_private, transport_public), transport_public]))
    return asked


async def enrol(hal: "Hal", store: "Store", data: bytes) -> Identity:
    """Take the acquirer's credentials out of a file. As `take`."""
    credentials = Credentials.decoded(data)
    try:
        validity(credentials.authority)  # its key may be of any kind: the TLS library's to read
    except CertificateError as error:
        raise EnrolmentError("the certificate of the authority cannot be read: %s" % error)
    return await take(hal, store, credentials)


async def take(
    hal: "Hal",
    store: "Store",
    credentials: Credentials,
    further: "list[tuple[str, bytes | None]] | None" = None,
    present: "Identity | None" = None,
) -> Identity:
    """Take the acquirer's credentials: from the write of the identity on the terminal is theirs. Cut off before it, nothing has changed.
    further: changes to the store for the same write; present: the identity that this terminal has, and that the new one takes the place of.

    Raises EnrolmentError for credentials that do not fit this terminal's keys, DeviceError, StoreError.
    """
    if store.get(KEY_IDENTITY) is not None and present is None:
        raise EnrolmentError("this terminal is enrolled already")
    record = store.get(KEY_ENROLMENT)
    if record is None:
        raise EnrolmentError("this terminal has not asked for credentials")
    slot, transport_private_key, transport_public = decode(record)
    if present is not None and (present.slot == slot or present.terminal != credentials.terminal):
        raise EnrolmentError("these credentials do not go on from this terminal's identity")
    for certificate, key, what in (
        (credentials.certificate, await hal.secure_element.public_key(slot), "signing key"),
        (credentials.transport_certificate, transport_public, "key for TLS"),
    ):
        try:
            certified = public_key(certificate)
        except CertificateError as error:
            raise EnrolmentError("the certificate for this terminal's %s cannot be read: %s" % (what, error))
        if certified != key:
            raise EnrolmentError("these credentials are not for this terminal's %s: was it asked for again since?" % what)
    identity = Identity(
        credentials.terminal,
        credentials.acquirer,
        slot,
        credentials.certificate,
        credentials.transport_certificate,
        transport_private_key,
        credentials.authority,
        credentials.acquirer_keys,
        credentials.broker_host,
        credentials.broker_port,
        credentials.broker_name,
        credentials.sealing_key,
    )
    changes = list(further or [])
    changes.extend([(PREFIX + name, encode(value)) for name, value in sorted(credentials.settings.items())])
    store.put_all(changes + [(KEY_IDENTITY, identity.encoded()), (KEY_ENROLMENT, None)])
    return identity


def _fields(data: bytes, form: int, types: "tuple[type, ...]", what: str, optional: int = 0) -> "list[Any]":
    """The fields behind the form's number, of which the last `optional` may be absent. Raises EnrolmentError."""
    fields = None
    if data[: len(PEM)] == PEM:
        raise EnrolmentError("PEM, where %s is due: carry the file as it was written" % what)
    if len(data) <= MOST_BYTES:
        try:
            fields = decode(data)
        except CborError:
            pass  # said below, as for any other file that it is not
    if not isinstance(fields, list) or not 0 <= len(types) + 1 - len(fields) <= optional or fields[0] != form:
        raise EnrolmentError("this is not %s" % what)
    for value, kind in zip(fields[1:], types):
        if not isinstance(value, kind):
            raise EnrolmentError("this is not %s" % what)
    return fields[1:]
