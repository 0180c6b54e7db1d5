"""Who this terminal is: its names, its keys' places, its certificates, and the acquirer's keys that it trusts. One record in the store."""

from firmware_agent.messages.cbor import CborError, decode, encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from firmware_agent.store import Store

KEY_IDENTITY = "identity"
# Of the same form, put in by the factory: its terminal is the hardware id, and its signing key has no certificate yet.
KEY_FACTORY = "factory"
KEY_REPLACEMENT = "replacement"  # another device takes this one's place: see replacement.py


class IdentityError(Exception):
    """The record is missing or cannot be read: the terminal is not provisioned."""


class Identity:
    """slot: of the signing key in the secure element; certificate, transport_certificate, authority: X.509 in DER;
    transport_private_key: SEC1 in DER, for TLS; acquirer_keys: public keys, 64 bytes each; broker_name: as in the broker's certificate;
    sealing_key: the acquirer's, for what it alone may read (messages/sealed.py), 64 bytes; b'' where it has given none, as of old.
    """

    FIELDS = (
        "terminal",
        "acquirer",
        "slot",
        "certificate",
        "transport_certificate",
        "transport_private_key",
        "authority",
        "acquirer_keys",
        "broker_host",
        "broker_port",
        "broker_name",
        "sealing_key",
    )

    def __init__(
        self,
        terminal: str,
        acquirer: str,
        slot: int,
        certificate: bytes,
        transport_certificate: bytes,
        transport_private_key: bytes,
        authority: bytes,
        acquirer_keys: "list[bytes]",
        broker_host: str,
        broker_port: int,
        broker_name: str,
        sealing_key: bytes = b"",
    ) -> None:
        self.terminal = terminal
        self.acquirer = acquirer
        self.slot = slot
        self.certificate = certificate
        self.transport_certificate = transport_certificate
        self.transport_private_key = transport_private_key
        self.authority = authority
        self.acquirer_keys = acquirer_keys
        self.broker_host = broker_host
        self.broker_port = broker_port
        self.broker_name = broker_name
        self.sealing_key = sealing_key

    def encoded(self) -> bytes:
        return encode([getattr(self, field) for field in self.FIELDS])

    def changed(self, **fields: object) -> "Identity":
        """The same identity, but for these fields."""
        values: list[Any] = [fields.get(field, getattr(self, field)) for field in self.FIELDS]
        return Identity(*values)

    @staticmethod
    def load(store: "Store", key: str = KEY_IDENTITY) -> "Identity":
        """key: KEY_IDENTITY or KEY_FACTORY. Raises IdentityError."""
        record = store.get(key)
        if record is None:
            raise IdentityError("not provisioned: no identity in the store")
        try:
            return Identity(*decode(record))
        except (CborError, TypeError) as error:
            raise IdentityError("identity cannot be read: " + str(error))
