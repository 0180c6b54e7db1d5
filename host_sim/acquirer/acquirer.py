"""The acquirer: verifies what terminals say, keeps what it verified, and sends signed orders, answers and credentials."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from firmware_agent.identity.enrolment import Credentials, EnrolmentError, Request
from firmware_agent.links.link import LinkError, Message
from firmware_agent.messages.cbor import CborError, decode, encode
from firmware_agent.messages.cose import CoseError, key_id, parse, sign, verify
from firmware_agent.messages.schema import KINDS, LINK_LOST, UP, Claims, SchemaError, kind_named, topic
from firmware_agent.state.machine import REVIEW_APPROVED
from hal.drivers.software_key import SoftwareKey
from host_sim.firmware import signed_manifest
from host_sim.pki import Credential, TestAuthority

if TYPE_CHECKING:
    from firmware_agent.links.link import Link

SLOT = 0
ORDER_LIFETIME_S = 24 * 3600
ANSWER_TIMEOUT_MS = 10000
RECONNECT_S = 1
CANCEL_AGAIN_S = 0.2
RESEND_S = 5  # a broker may lose a session, and with it what it had acknowledged
SEEN_SEQUENCES = 1024  # how far back duplicates are recognised, per terminal


@dataclass
class Outgoing:
    """A signed message on its way to a terminal. name: what its receipt calls it."""

    kind: str
    where: str
    message: bytes
    name: bytes


class Account:
    """One terminal as the acquirer knows it. Everything but `refused` was verified."""

    def __init__(self, terminal: str, public_key: bytes) -> None:
        self.terminal = terminal
        self.public_key = public_key
        self.next_public_key = b""  # issued, and not yet seen in use
        self.may_register = False  # an approved application, or a lifted suspension, is followed by new keys
        self.sequence = 0  # of the last message to the terminal
        self.outgoing: list[Outgoing] = []  # one at a time, each until its receipt: the terminal's sequence only grows
        self.last_sent: Outgoing | None = None
        self.last_sent_at = 0.0  # by the event loop's clock
        self.state: dict[str, Any] = {}
        self.online = False
        self.reports: list[dict[str, Any]] = []
        self.tests: list[dict[str, Any]] = []
        self.events: list[dict[str, Any]] = []
        self.applications: list[dict[str, Any]] = []
        self.receipts: list[dict[str, Any]] = []
        self.verified = 0
        self.duplicates = 0
        self._seen: list[int] = []
        self._state_sequence = 0

    def receipt_of(self, name: bytes) -> dict[str, Any] | None:
        """The latest receipt for the message of that name."""
        return next((receipt for receipt in reversed(self.receipts) if receipt["of"] == name), None)

    def is_duplicate(self, sequence: int) -> bool:
        """Note a sequence; True when it was there before. The broker delivers at least once."""
        if sequence in self._seen:
            return True
        self._seen.append(sequence)
        del self._seen[:-SEEN_SEQUENCES]
        return False

    def take_state(self, claims: Claims) -> None:
        """A state counts when it is newer than what is known; a last will, when it speaks of the connection that is known."""
        body = claims.body
        if body["link"] == LINK_LOST:
            if body["connection"] == self.state.get("connection"):
                self.online = False
            return
        if claims.sequence > self._state_sequence:
            self._state_sequence = claims.sequence
            self.state = body
            self.online = True


class Acquirer:
    """name: as in the topics; authority: issues the terminals' certificates; element: holds the signing key in SLOT;
    now_s: Unix seconds; told: called with one line for each thing that was verified or refused.
    """

    def __init__(
        self,
        name: str,
        authority: TestAuthority,
        element: SoftwareKey,
        public_key: bytes,
        now_s: Callable[[], int],
        told: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.name = name
        self.public_key = public_key
        self.accounts: dict[str, Account] = {}
        self.refused: list[tuple[str, str]] = []  # (topic, why)
        self.published = 0
        self._authority = authority
        self._element = element
        self._now_s = now_s
        self._told = told
        self._link: Link | None = None
        self._changed = asyncio.Condition()
        self._goes_on = asyncio.Event()
        self._goes_on.set()

    def enrol(self, terminal: str, public_key: bytes) -> Account:
        """A terminal whose first key was taken over at the factory."""
        account = Account(terminal, public_key)
        self.accounts[terminal] = account
        return account

    def grant(self, request: bytes, terminal: str, broker: tuple[str, int, str], settings: dict[str, str]) -> Credentials:
        """The credentials that answer a terminal's first request, which is enrolled by them. broker: host, port, name in its certificate.

        Raises EnrolmentError for a request that cannot be granted.
        """
        asked = Request.decoded(request)
        try:
            certificate = self._authority.client_from_request(asked.request, terminal)
            transport = self._authority.client(terminal, asked.transport_key)
        except ValueError as error:
            raise EnrolmentError(f"the request cannot be granted: {error}") from error
        account = self.accounts.get(terminal) or self.enrol(terminal, b"")
        account.public_key, account.next_public_key = _raw_key(certificate), b""
        certificates = (certificate.certificate_der, transport.certificate_der, self._authority.certificate_der)
        return Credentials(terminal, self.name, *certificates, [self.public_key], *broker, settings)

    def hang(self, on: bool) -> None:
        """It takes no message and sends none, as a process that hangs with its connection open; or it goes on, with what came meanwhile."""
        if on:
            self._goes_on.clear()
        else:
            self._goes_on.set()

    @property
    def verified(self) -> int:
        """How many messages of terminals were verified."""
        return sum(account.verified for account in self.accounts.values())

    async def firmware_manifest(self, device: Path) -> bytes:
        """The signed list of the files in that folder, for a device whose program they are."""
        return await signed_manifest(device, self._element, SLOT, self.public_key)

    # The connection.

    async def run(self, link: Link) -> None:
        """Listen to all terminals until cancelled; connects again whenever the link is lost."""
        while True:
            try:
                await self._listen(link)
            except LinkError as error:
                self._told(f"link {error}")
            await asyncio.sleep(RECONNECT_S)

    async def _listen(self, link: Link) -> None:
        await link.connect(ANSWER_TIMEOUT_MS)
        for kind in KINDS:
            if kind.direction == UP:
                await link.subscribe(topic(self.name, "+", kind.leaf), ANSWER_TIMEOUT_MS)
        async with self._changed:
            self._link = link
            self._changed.notify_all()
        resender = asyncio.create_task(self._resend())
        try:
            while True:
                message = await link.receive()
                await self._goes_on.wait()
                await self.handle(message)
                await link.acknowledge(message)
        finally:
            resender.cancel()
            self._link = None
            with contextlib.suppress(LinkError):
                await link.disconnect()

    async def changed(self) -> None:
        """Until something is verified or refused."""
        async with self._changed:
            await self._changed.wait()

    async def wait_until(self, holds: Callable[[], bool], timeout_s: float) -> None:
        """Until `holds()` after something was verified or refused. Raises TimeoutError."""
        async with self._changed, asyncio.timeout(timeout_s):
            await self._changed.wait_for(holds)

    @property
    def connected(self) -> bool:
        return self._link is not None and self._link.connected

    # What terminals say.

    async def handle(self, message: Message) -> None:
        """Verify one message and keep what it says. Whatever is wrong with it is a line in `refused`, never an exception."""
        where = message.topic
        parts = where.split("/")
        account = self.accounts.get(parts[3]) if len(parts) == 5 else None
        if account is None:
            return await self._refuse(where, "unknown_terminal")
        try:
            envelope = parse(message.payload)
            public_key = {key_id(key): key for key in (account.public_key, account.next_public_key) if key}.get(envelope.kid)
            if public_key is None:
                return await self._refuse(where, "unknown_key")
            if not await verify(self._element, envelope, public_key, where):
                return await self._refuse(where, "bad_signature")
            claims = Claims.from_map(decode(envelope.payload))
        except (CoseError, CborError, SchemaError) as error:
            return await self._refuse(where, error.code)
        if claims.kind.direction != UP or claims.kind.leaf != parts[4] or claims.subject != account.terminal:
            return await self._refuse(where, "wrong_topic")
        if public_key == account.next_public_key:
            # The terminal has proved that it uses its new key: the old one speaks for nobody from now on.
            account.public_key, account.next_public_key = public_key, b""
            account.may_register = False
            self._told(f"{account.terminal}: new key in use, old key revoked")
        if claims.kind.name != "state" and account.is_duplicate(claims.sequence):
            account.duplicates += 1
            return
        connection = account.state.get("connection")
        async with self._changed:
            account.verified += 1
            self._keep(account, claims)
            self._changed.notify_all()
        if claims.kind.name == "application" and claims.text("purpose") == "registration":
            await self._issue(account, claims)
        if claims.kind.name == "inquiry":
            await self._answer_inquiry(account, claims)
        if claims.kind.name == "receipt" and account.outgoing and claims.octets("of") == account.outgoing[0].name:
            account.outgoing.pop(0)
            await self._transmit(account)
        elif account.state.get("connection") != connection:
            await self._transmit(account)  # a new connection: what the old one lost

    def _keep(self, account: Account, claims: Claims) -> None:
        body = claims.body
        name = claims.kind.name
        if name == "state":
            account.take_state(claims)
        elif name != "inquiry":
            kept = {"report": account.reports, "test": account.tests, "event": account.events}
            kept.update({"application": account.applications, "receipt": account.receipts})
            kept[name].append(body)
        self._told(f"{account.terminal}: verified {_summary(name, body)}")

    async def _refuse(self, where: str, why: str) -> None:
        async with self._changed:
            self.refused.append((where, why))
            self._changed.notify_all()
        self._told(f"refused a message on {where}: {why}")

    # What the acquirer says.

    async def order(self, terminal: str, **fields: Any) -> bytes:
        """Sign and send an order; fields as in the schema. Gives the name that its receipt carries."""
        if fields.get("action") == "lift":
            self.accounts[terminal].may_register = True
        return await self.send("order", terminal, fields)

    async def answer(self, terminal: str, application: int, status: str, remark: str = "") -> bytes:
        """Tell a terminal where the review of its application stands."""
        fields: dict[str, Any] = {"application": application, "status": status}
        if remark:
            fields["remark"] = remark
        if status == REVIEW_APPROVED:
            self.accounts[terminal].may_register = True
        return await self.send("status", terminal, fields)

    async def send(self, kind: str, terminal: str, fields: dict[str, Any]) -> bytes:
        """Sign a message and send it until the terminal's receipt is here. Gives the name that the receipt carries."""
        where, message = await self.signed(kind, terminal, fields)
        outgoing = Outgoing(kind, where, message, sha256(message).digest()[:16])
        account = self.accounts[terminal]
        account.outgoing.append(outgoing)
        if account.outgoing[0] is outgoing:
            await self._transmit(account)
        return outgoing.name

    async def _transmit(self, account: Account) -> None:
        """Send the oldest message that has no receipt yet. Without a connection nothing is lost: it is sent again."""
        if account.outgoing and self._goes_on.is_set():
            account.last_sent = account.outgoing[0]
            account.last_sent_at = asyncio.get_running_loop().time()
            with contextlib.suppress(LinkError):
                await self.publish(account.last_sent.where, account.last_sent.message)

    async def _resend(self) -> None:
        while True:
            await asyncio.sleep(1)
            due = asyncio.get_running_loop().time() - RESEND_S
            for account in self.accounts.values():
                # For one that is not online, the broker keeps it, or its next connection has it sent again.
                if account.online and account.last_sent_at <= due:
                    await self._transmit(account)

    async def signed(
        self, kind: str, terminal: str, fields: dict[str, Any], *, expires: int | None = None, sequence: int | None = None
    ) -> tuple[str, bytes]:
        """The topic and the signed message, not sent. expires, sequence: to make one that a terminal must refuse."""
        account = self.accounts[terminal]
        if sequence is None:
            account.sequence += 1
            sequence = account.sequence
        now_s = self._now_s()
        claims = Claims(
            kind_named(kind),
            terminal,
            sequence,
            fields,
            issuer=self.name,
            issued_at=now_s,
            expires=now_s + ORDER_LIFETIME_S if expires is None else expires,
        )
        where = topic(self.name, terminal, claims.kind.leaf)
        return where, await sign(self._element, SLOT, key_id(self.public_key), encode(claims.to_map()), where)

    async def publish(self, where: str, message: bytes) -> None:
        """Publish a message as it is. Raises LinkError."""
        if self._link is None:
            raise LinkError("E_OFFLINE", "the acquirer is not connected")
        await self._link.publish(where, message, False, ANSWER_TIMEOUT_MS)
        self.published += 1

    async def receipt_of(self, terminal: str, name: bytes, timeout_s: float) -> dict[str, Any]:
        """Wait for the terminal's receipt for the message of that name. Raises TimeoutError."""
        account = self.accounts[terminal]
        await self.wait_until(lambda: account.receipt_of(name) is not None, timeout_s)
        receipt = account.receipt_of(name)
        assert receipt is not None
        return receipt

    async def _answer_inquiry(self, account: Account, claims: Claims) -> None:
        """Only the latest inquiry is of interest: an answer to an earlier one that has not been sent yet gives way."""
        account.outgoing[1:] = [outgoing for outgoing in account.outgoing[1:] if outgoing.kind != "answer"]
        await self.send("answer", account.terminal, {"nonce": claims.octets("nonce")})

    async def _issue(self, account: Account, claims: Claims) -> None:
        """Certificates for a terminal's new keys: the application was signed by the key that it replaces."""
        if not account.may_register:
            return await self._refuse(topic(self.name, account.terminal, claims.kind.leaf), "registration_not_approved")
        try:
            certificate = self._authority.client_from_request(claims.octets("request"), account.terminal)
            transport = self._authority.client(account.terminal, claims.octets("transport_key"))
        except ValueError as error:
            return await self._refuse(topic(self.name, account.terminal, claims.kind.leaf), f"request: {error}")
        account.next_public_key = _raw_key(certificate)
        await self.send(
            "credentials",
            account.terminal,
            {
                "application": claims.number("application"),
                "certificate": certificate.certificate_der,
                "transport_certificate": transport.certificate_der,
            },
        )
        self._told(f"{account.terminal}: certificates issued for its new keys")


def _raw_key(certificate: Credential) -> bytes:
    """x || y: an uncompressed point (SEC1) without its first byte."""
    return certificate.certificate.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)[1:]


def _summary(name: str, body: dict[str, Any]) -> str:
    if name == "state":
        return f"state {body['mode']} {body['status']} {body['link']}"
    if name == "report":
        outcomes = ", ".join(f"{result[0]} {result[1]}" for result in body["results"])
        return f"self-test report: {outcomes}"
    if name == "receipt":
        return f"receipt {body['result']}" + (f" ({body['refusal']})" if "refusal" in body else "")
    if name == "application":
        return f"application {body['application']} for {body['purpose']}"
    if name == "inquiry":
        return "inquiry"
    if name == "test":
        return f"function test {body['name']} {body['outcome']}"
    return f"{name} {body}"


@contextlib.asynccontextmanager
async def running(acquirer: Acquirer, link: Link) -> AsyncIterator[asyncio.Task[None]]:
    """The acquirer connected, for the time of a `with` block; gives its task, which ends only by a defect.

    Raises TimeoutError when it cannot connect.
    """
    task = asyncio.create_task(acquirer.run(link))
    try:
        await acquirer.wait_until(lambda: acquirer.connected, ANSWER_TIMEOUT_MS / 1000)
        yield task
    finally:
        while not task.done():  # a wait whose time is over in the same turn takes a cancellation for its own
            task.cancel()
            await asyncio.wait([task], timeout=CANCEL_AGAIN_S)
        if not task.cancelled():
            task.result()
