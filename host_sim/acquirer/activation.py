"""Activation codes: issued for a terminal's number, typed at a device that has no name yet, and answered by its first credentials.

A device that had the number before is revoked in the same moment. What is kept of a code is a salted, slow hash (scrypt, RFC 7914); a code
is for one number, is used once, expires, and is burnt by wrong tries. Everything is in the acquirer's registry, so that any of its
processes may answer (docs/decisions/0018-activation.md).
"""

from __future__ import annotations

import contextlib
import hmac
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from hashlib import scrypt
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy import BigInteger, Column, Connection, Engine, Integer, LargeBinary, MetaData, String, Table, delete, insert, select, update

from firmware_agent.identity.activation import CODE_DIGITS, check_digit, is_code
from firmware_agent.identity.enrolment import Credentials
from firmware_agent.links.link import LinkError, Message
from firmware_agent.messages.cbor import CborError, decode
from firmware_agent.messages.cose import CoseError, key_id, parse
from firmware_agent.messages.schema import Claims, SchemaError
from host_sim.acquirer.codec import Refused, Verifier
from host_sim.acquirer.database import make_tables
from host_sim.acquirer.rules import terminal_of, verified
from host_sim.acquirer.sealing import NotOpened

if TYPE_CHECKING:
    from host_sim.acquirer.acquirer import Acquirer
    from host_sim.pki import TestAuthority

CODE_LIFETIME_S = 7 * 24 * 3600
NUMBER_DIGITS = 4  # the code's beginning names its row; the seven digits behind it are the secret
TRIES_OF_A_CODE = 5  # wrong ones, and it is burnt: somebody who guesses has hit one in two million
TRIES_OF_A_DEVICE = 10  # wrong ones in WINDOW_S, by its certificate's name
WINDOW_S = 24 * 3600
_SCRYPT = {"n": 2**14, "r": 8, "p": 1, "dklen": 32}  # 16 MiB and some 50 ms for each guess of who has read the registry

OPEN, USED, BURNT, VOID = "open", "used", "burnt", "void"  # void: a later code was issued for the same terminal

_metadata = MetaData()
_codes = Table(
    "activation_codes",
    _metadata,
    Column("number", String(NUMBER_DIGITS), primary_key=True),
    Column("terminal", String(64), nullable=False, index=True),
    Column("salt", LargeBinary(16), nullable=False),
    Column("digest", LargeBinary(32), nullable=False),
    Column("expires", BigInteger, nullable=False),
    Column("standing", String(8), nullable=False),
    Column("wrong", Integer, nullable=False),
    Column("device", String(64), nullable=False),  # used: by this one ...
    Column("kid", LargeBinary(8), nullable=False),  # ... with this key, which may ask again if the answer was lost
)
_devices = Table(
    "activation_devices",
    _metadata,
    Column("device", String(64), primary_key=True),
    Column("sequence", BigInteger, nullable=False),  # of the last activation: the broker delivers at least once
    Column("wrong", Integer, nullable=False),
    Column("since", BigInteger, nullable=False),  # when the first of them came
)
_places = Table(
    "activation_places",
    _metadata,
    Column("device", String(64), primary_key=True),
    Column("terminal", String(64), nullable=False, index=True),  # that it is, or says that it is
)


class NotActivated(Exception):
    """code: one of firmware_agent.identity.activation.REFUSALS."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class TooManyCodes(Exception):
    """All the codes that there can be at once are out."""


class Codes:
    """The codes in a registry's database. engine: as the registry has it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        make_tables(engine, _metadata)

    def issue(self, terminal: str, now_s: int, lifetime_s: int = CODE_LIFETIME_S) -> str:
        """A new code of CODE_DIGITS digits for that terminal's number. Any earlier one for it is worth nothing from now on.

        Raises TooManyCodes.
        """
        with self._engine.begin() as connection:
            connection.execute(delete(_codes).where(_codes.c.expires <= now_s - WINDOW_S))  # until then a person is told that it expired
            connection.execute(update(_codes).where(_codes.c.terminal == terminal).values(standing=VOID))
            taken = set(connection.scalars(select(_codes.c.number)))
            free = [number for number in (f"{value:0{NUMBER_DIGITS}}" for value in range(10**NUMBER_DIGITS)) if number not in taken]
            if not free:
                raise TooManyCodes(f"{len(taken)} codes are out: wait until some have expired")
            number = secrets.choice(free)
            digits = number + f"{secrets.randbelow(10 ** (CODE_DIGITS - NUMBER_DIGITS - 1)):0{CODE_DIGITS - NUMBER_DIGITS - 1}}"
            code = digits + check_digit(digits)
            salt = secrets.token_bytes(16)
            row = {"number": number, "terminal": terminal, "salt": salt, "digest": _digest(code, salt), "expires": now_s + lifetime_s}
            connection.execute(insert(_codes).values(row | {"standing": OPEN, "wrong": 0, "device": "", "kid": b""}))
            return code

    def is_new(self, device: str, sequence: int) -> bool:
        """Whether this activation of the device's was not seen before."""
        with self._engine.begin() as connection:
            last = connection.scalar(select(_devices.c.sequence).where(_devices.c.device == device))
            if last is None:
                connection.execute(insert(_devices).values(device=device, sequence=sequence, wrong=0, since=0))
            elif sequence > last:
                connection.execute(update(_devices).where(_devices.c.device == device).values(sequence=sequence))
            return last is None or sequence > last

    def note_place(self, device: str, terminal: str) -> None:
        """That device is that terminal, or says so: for `forget_tries` alone."""
        with self._engine.begin() as connection:
            connection.execute(delete(_places).where(_places.c.device == device))
            connection.execute(insert(_places).values(device=device, terminal=terminal))

    def forget_tries(self, device: str = "", terminal: str = "") -> bool:
        """A device, or each that is in that terminal's place, may try codes again at once; whether any had been wrong. A burnt code stays
        burnt: another one is issued.
        """
        of_terminal = _devices.c.device.in_(select(_places.c.device).where(_places.c.terminal == terminal))
        condition = _devices.c.device == device if device else of_terminal
        with self._engine.begin() as connection:
            changed = connection.execute(update(_devices).where(condition, _devices.c.wrong > 0).values(wrong=0, since=0))
            return changed.rowcount > 0

    def use(self, code: str, device: str, kid: bytes, now_s: int) -> str:
        """The terminal's number that the code is for; the code is used up by it, save for the same key of the same device, which may have
        missed the answer. A try that is wrong counts against code and device. Raises NotActivated.
        """
        refusal = ""
        with self._engine.begin() as connection:  # what was counted is kept, whatever the answer
            try:
                return self._use(connection, code, device, kid, now_s)
            except NotActivated as error:
                refusal = error.code
        raise NotActivated(refusal)

    def _use(self, connection: Connection, code: str, device: str, kid: bytes, now_s: int) -> str:
        tries = connection.execute(select(_devices).where(_devices.c.device == device)).one_or_none()
        wrong, since = (tries.wrong, tries.since) if tries is not None and now_s < tries.since + WINDOW_S else (0, now_s)
        if wrong >= TRIES_OF_A_DEVICE:
            raise NotActivated("too_many_tries")
        row = connection.execute(select(_codes).where(_codes.c.number == code[:NUMBER_DIGITS]).with_for_update()).one_or_none()
        # A code that does not exist takes as long as one that is wrong.
        is_right = is_code(code) and hmac.compare_digest(_digest(code, row.salt if row else bytes(16)), row.digest if row else b"")
        if row is None or not is_right or row.standing == BURNT:
            values = {"device": device, "wrong": wrong + 1, "since": since}
            if tries is None:
                connection.execute(insert(_devices).values(values | {"sequence": 0}))
            else:
                connection.execute(update(_devices).where(_devices.c.device == device).values(values))
            if row is not None and row.standing == OPEN:
                burnt = row.wrong + 1 >= TRIES_OF_A_CODE
                change = {"wrong": row.wrong + 1, "standing": BURNT if burnt else OPEN}
                connection.execute(update(_codes).where(_codes.c.number == row.number).values(change))
            raise NotActivated("too_many_tries" if row is not None and row.standing == BURNT else "wrong_code")
        if now_s >= row.expires:
            raise NotActivated("expired")
        if row.standing == VOID or (row.standing == USED and (row.device, row.kid) != (device, kid)):
            raise NotActivated("used")
        connection.execute(update(_codes).where(_codes.c.number == row.number).values(standing=USED, device=device, kid=kid))
        connection.execute(update(_devices).where(_devices.c.device == device).values(wrong=0, since=0))
        return str(row.terminal)


@dataclass(frozen=True)
class Place:
    """Where a terminal is sent that was activated. settings: by name, as in firmware_agent.settings."""

    broker_host: str
    broker_port: int
    broker_name: str
    settings: dict[str, str]


class Activations:
    """acquirer: whose terminals, with a sealing key; place_of: where the terminal of a number is sent; revoked: called when certificates
    were revoked, for the broker to read the new list.
    """

    def __init__(
        self,
        acquirer: Acquirer,
        authority: TestAuthority,
        place_of: Callable[[str], Place],
        now_s: Callable[[], int],
        told: Callable[[str], None],
        revoked: Callable[[], Awaitable[None]],
    ) -> None:
        self.codes = Codes(acquirer.registry.engine)
        self._acquirer = acquirer
        self._authority = authority
        self._place_of = place_of
        self._now_s = now_s
        self._told = told
        self._revoked = revoked
        self._verifier = Verifier()

    async def handle(self, message: Message) -> None:
        """Answer one activation. Raises Refused: it is none, or not signed by the key that it brings; SQLAlchemyError: nothing was done."""
        device = terminal_of(self._acquirer.name, message.topic)
        claims, key = self._verified(device, message)
        if not self.codes.is_new(device, claims.sequence):
            return
        try:
            if self._acquirer.sealing_key is None:
                raise NotOpened("other_key")
            code = self._acquirer.sealing_key.open(claims.octets("sealed"), message.topic).decode("ascii", "replace")
        except NotOpened as error:
            self._told(f"{device}: activation refused: the code is {error.code}")
            return await self._answer(device, "status", {"application": claims.sequence, "status": "not_possible"}, 1)
        present = self._acquirer.registry.terminal_with(claims.octets("former"))
        if present:
            self.codes.note_place(device, present)
        try:
            terminal = self.codes.use(code, device, key_id(key), self._now_s())
        except NotActivated as error:
            self._told(f"{device}: activation refused: {error.code}")
            return await self._answer(device, "status", {"application": claims.sequence, "status": error.code}, 1)
        self.codes.note_place(device, terminal)
        fields = await self._give(terminal, key, claims)
        self._told(f"{device}: activated as {terminal}")
        # In the terminal's own sequence: what went to the device before it is older, and is refused.
        await self._answer(device, "credentials", fields, self._acquirer.registry.next_sequence(terminal))

    def _verified(self, device: str, message: Message) -> tuple[Claims, bytes]:
        """(what it says, the key that has signed it and that it asks a certificate for). Raises Refused."""
        try:
            claims = Claims.from_map(decode(parse(message.payload).payload))
            request = x509.load_der_x509_csr(claims.octets("request"))
            key = request.public_key()
            if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1) or not request.is_signature_valid:
                raise Refused("malformed", "the request for a certificate")
            ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x04" + claims.octets("transport_key"))
        except (CoseError, CborError, SchemaError) as error:
            raise Refused(getattr(error, "code", "malformed")) from error
        except (ValueError, UnsupportedAlgorithm, x509.InvalidVersion) as error:  # whatever a request for a certificate may hold
            raise Refused("malformed", "a key that it asks a certificate for") from error
        point = key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)[1:]
        return verified(self._verifier, device, message.topic, message.payload, {key_id(point): point}), point

    async def _give(self, terminal: str, key: bytes, claims: Claims) -> dict[str, Any]:
        """Enrol the device in the terminal's place, and give the fields of its credentials. Once more for the same device: the same."""
        acquirer = self._acquirer
        former = acquirer.accounts[terminal].public_key if terminal in acquirer.accounts else b""
        if former and former != key and claims.octets("former") == key_id(former):
            acquirer.registry.renew(terminal, key)  # it activates itself anew: it is not to erase itself, and goes on speaking
        else:
            if former and former != key:
                await acquirer.order(terminal, action="replace", key_id=key_id(former))
            acquirer.enrol(terminal, key)
        if former and former != key:
            if self._authority.revoke(terminal):
                await self._revoked()
            self._told(f"{terminal}: the device before is revoked")
        keys = claims.octets("request"), claims.octets("transport_key")
        certificate, transport = self._authority.for_new_keys(*keys, terminal)
        place = self._place_of(terminal)
        granted = Credentials(
            terminal,
            acquirer.name,
            b"",
            b"",
            self._authority.certificate_der,
            [acquirer.public_key],
            place.broker_host,
            place.broker_port,
            place.broker_name,
            place.settings,
            acquirer.public_sealing_key,
        )
        return {
            "application": claims.sequence,
            "certificate": certificate.certificate_der,
            "transport_certificate": transport.certificate_der,
            "grant": granted.encoded(),
        }

    async def _answer(self, device: str, kind: str, fields: dict[str, Any], sequence: int) -> None:
        """Sent once: a device that missed it asks again."""
        where, message = await self._acquirer.signed(kind, device, fields, sequence=sequence)
        with contextlib.suppress(LinkError):
            await self._acquirer.publish(where, message)


def _digest(code: str, salt: bytes) -> bytes:
    return scrypt(code.encode(), salt=salt, n=_SCRYPT["n"], r=_SCRYPT["r"], p=_SCRYPT["p"], dklen=_SCRYPT["dklen"])
