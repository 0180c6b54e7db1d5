"""The acquirer: verifies what terminals say, keeps it in its registry, and sends signed orders, answers and credentials.

Any number of processes may be this acquirer at the same time, on one registry: none of them knows anything that is not in it. What is to be
sent is written down with what it answers, in one transaction; whichever process comes first signs and sends it. A message of a terminal is
acknowledged to the broker after that transaction.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy.exc import SQLAlchemyError

from firmware_agent import VERSION
from firmware_agent.identity.enrolment import Credentials, EnrolmentError, Request
from firmware_agent.identity.trust import proof_digest
from firmware_agent.links.link import LinkError, Message
from firmware_agent.messages.cbor import encode
from firmware_agent.messages.cose import key_id, parse, sign
from firmware_agent.messages.schema import KINDS, UP, Claims, kind_named, topic
from firmware_agent.records.timeline import MOMENTS, ROLES
from firmware_agent.selftest.report import from_list
from firmware_agent.state.machine import LEVEL_APPEAL, LEVEL_SUPERIOR, REVIEW_APPROVED
from firmware_agent.state.reasons import REASON_KINDS
from hal.drivers.software_key import SoftwareKey
from hal.errors import E_NOEXIST, DeviceError
from host_sim.acquirer.account import Account, Accounts
from host_sim.acquirer.codec import Refused, Verifier
from host_sim.acquirer.registry import ISSUED, REVOKED, Entry, Registry
from host_sim.acquirer.rules import (
    AUDIT_BACK,
    AUDIT_FORKED,
    AUDIT_KEPT,
    DONE,
    IN_FLIGHT,
    LogHead,
    after_audit,
    after_receipt,
    renewal_refusal,
    terminal_of,
    verified,
)
from host_sim.acquirer.sealing import NotOpened, SealingKey, applicant, masked_applicant
from host_sim.firmware import signed_manifest
from host_sim.pki import Credential, TestAuthority

if TYPE_CHECKING:
    from firmware_agent.links.link import Link
    from host_sim.acquirer.activation import Activations

SLOT = 0
SLOTS = (0, 1)  # one signs, one is for the next signing key
ORDER_LIFETIME_S = 24 * 3600
ANSWER_TIMEOUT_MS = 10000
RECONNECT_S = 1
CANCEL_AGAIN_S = 0.2
LOOK_FOR_DUE_S = 1
MOST_REFUSED = 1000  # held in memory: whoever sends forgeries does not fill it
RESEND_S = 5  # a broker may lose a session, and with it what it had acknowledged
APPEALS = {LEVEL_APPEAL: "the reviewer", LEVEL_SUPERIOR: "his superior"}
STORAGE_ROLLED_BACK = "storage_rolled_back"  # the event by which a terminal says that an older copy of its memory was put back
REVIEW_ASKED = "review_asked"  # the event by which a terminal asks where a review stands; detail: number of the application
STORAGE_WORKS = "storage_works"  # the event by which a terminal says that it can keep orders again


@dataclass
class Taken:
    """What was made of one message. kept: it is news; refusal: why what it asks for is not done; told: lines; is_due: something may be
    sent to the terminal now; again: even if it was sent already.
    """

    kept: bool = False
    refusal: str = ""
    told: list[str] = field(default_factory=list)
    is_due: bool = False
    again: bool = False


class Acquirer:
    """name: as in the topics; authority: issues the terminals' certificates; element: holds the signing key in SLOT;
    now_s: Unix seconds; told: called with one line for each thing that was verified or refused; registry: None for one that ends with
    this process; process: its name among those at work on the registry; sealing_key: opens what terminals seal, None: they are given none.
    """

    def __init__(
        self,
        name: str,
        authority: TestAuthority,
        element: SoftwareKey,
        public_key: bytes,
        now_s: Callable[[], int],
        told: Callable[[str], None] = lambda line: None,
        registry: Registry | None = None,
        process: str = "",
        sealing_key: SealingKey | None = None,
    ) -> None:
        self.name = name
        self.sealing_key = sealing_key
        self.public_key = public_key
        self.registry = registry or Registry()
        self.accounts = Accounts(self.registry, name)
        self.process = process
        self.refused: list[tuple[str, str]] = []  # (topic, why)
        self.published = 0
        self.speaks = True  # False: it only listens, for another one speaks in its name
        self.activations: Activations | None = None  # who answers devices that are no terminals yet
        self._authority = authority
        self._element = element
        self._now_s = now_s
        self._told = told
        self._verifier = Verifier()
        self._links: list[Link] = []
        self._changed = asyncio.Condition()
        self._goes_on = asyncio.Event()
        self._goes_on.set()

    def enrol(self, terminal: str, public_key: bytes) -> Account:
        """A terminal whose first key was taken over at the factory."""
        self.registry.enrol(terminal, public_key)
        return self.accounts[terminal]

    def grant(self, request: bytes, terminal: str, broker: tuple[str, int, str], settings: dict[str, str]) -> Credentials:
        """The credentials that answer a terminal's first request, which is enrolled by them. broker: host, port, name in its certificate.

        Raises EnrolmentError for a request that cannot be granted.
        """
        asked = Request.decoded(request)
        try:
            certificate, transport = self._authority.for_new_keys(asked.request, asked.transport_key, terminal)
        except ValueError as error:
            raise EnrolmentError(f"the request cannot be granted: {error}") from error
        self.enrol(terminal, _raw_key(certificate))
        certificates = (certificate.certificate_der, transport.certificate_der, self._authority.certificate_der)
        return Credentials(terminal, self.name, *certificates, [self.public_key], *broker, settings, self.public_sealing_key)

    @property
    def public_sealing_key(self) -> bytes:
        """That terminals seal with, b'' for none."""
        return b"" if self.sealing_key is None else self.sealing_key.public_key

    def applicant(self, terminal: str, application: dict[str, Any]) -> dict[str, str]:
        """Who applies, by the body of an application: name, telephone, statement as far as told; for the reviewer's eyes alone.

        Raises NotOpened.
        """
        sealed = application.get("sealed")
        if sealed is None or self.sealing_key is None:
            return {}
        return applicant(self.sealing_key, sealed, topic(self.name, terminal, "application"))

    def hang(self, on: bool) -> None:
        """It takes no message and sends none, as a process that hangs with its connection open; or it goes on, with what came meanwhile."""
        if on:
            self._goes_on.clear()
        else:
            self._goes_on.set()

    @property
    def verified(self) -> int:
        """How many messages of terminals were verified."""
        return self.registry.count()

    async def firmware_manifest(self, device: Path, version: str = VERSION) -> bytes:
        """The signed list of the files in that folder, for a device whose program they are."""
        slot = await self._slot_of(key_id(self.public_key))
        return await signed_manifest(device, self._element, slot, self.public_key, version)

    # The signing key, over the years.

    async def roll_over(self) -> bytes:
        """Make the next signing key, and have every terminal trust it. What goes to a terminal is signed by it from the receipt for that
        on; one that is not there for weeks goes on with the key that it knows. Gives the next public key.
        """
        slot = SLOTS[1 - SLOTS.index(await self._slot_of(key_id(self.public_key)))]
        public_key = await self._element.generate_key(slot)
        proof = await self._element.sign(slot, proof_digest(self.name, public_key))
        for terminal in self.registry.terminals():
            await self.order(terminal, action="trust_key", key=public_key, proof=proof)
        return public_key

    async def retire_key(self, next_key: bytes, given_up: Collection[str] = ()) -> list[str]:
        """Have every terminal retire the key that has signed so far, and use `next_key` for all that is new, if every one trusts that, but
        for those that are given up.

        Gives the terminals that do not trust it yet: while there are any, nothing is done, for they could judge no message any more.
        """
        kid = key_id(next_key)
        terminals = [terminal for terminal in self.registry.terminals() if terminal not in given_up]
        behind = [terminal for terminal in terminals if self.registry.facts(terminal)["trusts"] != kid]
        if not behind:
            retired, self.public_key = key_id(self.public_key), next_key
            for terminal in terminals:
                await self.order(terminal, action="retire_key", key_id=retired)
        return behind

    async def _slot_of(self, kid: bytes) -> int:
        """Of a signing key. Raises KeyError: it is not there."""
        for slot in SLOTS:
            try:
                if key_id(await self._element.public_key(slot)) == kid:
                    return slot
            except DeviceError as error:
                if error.code != E_NOEXIST:
                    raise
        raise KeyError(kid)

    # The connection.

    async def run(self, link: Link) -> None:
        """Listen to all terminals until cancelled; connects again whenever the link is lost, or the registry does not answer."""
        while True:
            try:
                await self._listen(link)
            except LinkError as error:
                self._told(f"link {error}")
            except SQLAlchemyError as error:  # nothing was acknowledged: the broker delivers it again
                self._told(f"registry {_first_line(error)}")
            await asyncio.sleep(RECONNECT_S)

    async def _listen(self, link: Link) -> None:
        await link.connect(ANSWER_TIMEOUT_MS)
        resender = None
        try:
            for kind in KINDS:
                if kind.direction == UP:
                    await link.subscribe(topic(self.name, "+", kind.leaf), ANSWER_TIMEOUT_MS)
            self._links.append(link)
            await self.look_again()
            resender = asyncio.create_task(self._send_what_is_due())
            while True:
                message = await link.receive()
                await self._goes_on.wait()
                await self.handle(message)
                await link.acknowledge(message)
        finally:
            if resender is not None:
                self._links.remove(link)
                resender.cancel()
            with contextlib.suppress(LinkError):
                await link.disconnect()

    async def look_again(self) -> None:
        """Let whoever waits look: something was verified or refused, by this process or by another one."""
        async with self._changed:
            self._changed.notify_all()

    async def wait_until(self, holds: Callable[[], bool], timeout_s: float) -> None:
        """Until `holds()` after something was verified or refused. Raises TimeoutError."""
        async with self._changed, asyncio.timeout(timeout_s):
            await self._changed.wait_for(holds)

    @property
    def connected(self) -> bool:
        return any(link.connected for link in self._links)

    # What terminals say.

    async def handle(self, message: Message) -> None:
        """Verify one message and keep what it says. Whatever is wrong with it is a line in `refused`, never an exception.

        Raises SQLAlchemyError: nothing of it was kept.
        """
        where = message.topic
        try:
            terminal = terminal_of(self.name, where)
            keys = self.registry.keys(terminal)
            claims = verified(self._verifier, terminal, where, message.payload, keys)
        except KeyError:
            if self.activations is None or where.rpartition("/")[2] != "activation":
                return await self._refuse(where, "unknown_terminal")
            return await self._activate(message, self.activations)
        except Refused as error:
            return await self._refuse(where, error.code)
        kid = next(iter(keys)) if len(keys) == 1 else parse(message.payload).kid
        taken = self._take(terminal, kid, claims, message.payload)
        if message.retained and not taken.kept and not taken.refusal:  # what lies with the broker is told to whoever has just come
            taken.told.append(_verified(terminal, claims))
        for line in taken.told:
            self._told(line)
        await self.look_again()
        if taken.refusal:
            await self._refuse(where, taken.refusal)
        if taken.is_due:
            await self._deliver(terminal, self._now_s() + 1 if taken.again else 0)

    async def _activate(self, message: Message, activations: Activations) -> None:
        """Of a device that is no terminal yet."""
        try:
            await activations.handle(message)
        except Refused as error:
            return await self._refuse(message.topic, error.code)
        await self.look_again()

    def _take(self, terminal: str, kid: bytes, claims: Claims, message: bytes) -> Taken:
        """Keep a message that was verified by the key `kid`, and do what it asks for: all of it one transaction."""
        taken = Taken()
        now_s = self._now_s()
        with self.registry.entry(terminal) as entry:
            standing = entry.key_standing(kid, claims.sequence, now_s)
            if standing == REVOKED:
                taken.refusal = "unknown_key"
                return taken
            if standing == ISSUED:
                entry.use_key(kid, claims.sequence, now_s)
                taken.told.append(f"{terminal}: new key in use, old key revoked")
            if not entry.note(claims, message, now_s, self.process):
                if claims.kind.name == "audit":  # of a terminal with an earlier copy of its memory, which uses sequences again
                    self._audit(entry, claims, taken)
                return taken
            taken.kept = True
            taken.told.append(_verified(terminal, claims))
            name = claims.kind.name
            if name == "state":
                if entry.take_state(claims, message):
                    entry.release()
                    taken.is_due = taken.again = True  # a new connection: what the old one lost
            elif name == "receipt":
                self._account_for(entry, claims, taken)
            elif name == "application":
                self._consider(entry, claims, taken)
            elif name == "inquiry":
                entry.queue("answer", {"nonce": claims.octets("nonce")}, now_s)
                taken.is_due = True
            elif name == "audit":
                self._audit(entry, claims, taken)
            else:
                self._heed(entry, claims, taken)
        return taken

    def _heed(self, entry: Entry, claims: Claims, taken: Taken) -> None:
        """Events that something follows from."""
        names = event_names(claims.kind.name, claims.body)
        if STORAGE_ROLLED_BACK in names:
            entry.alarm(STORAGE_ROLLED_BACK, claims.text("detail"), self._now_s())
            taken.told.append(f"{entry.terminal}: ALARM {STORAGE_ROLLED_BACK}: {claims.text('detail')}")
        if STORAGE_WORKS in names:
            entry.storage_works(claims.sequence)
            taken.is_due = True
        for number in [detail for name, detail in told_events(claims.kind.name, claims.body) if name == REVIEW_ASKED]:
            standing = entry.standing_of(int(number)) if number.isdecimal() else None
            if standing is not None:
                entry.queue("status", standing, self._now_s())
                taken.is_due = True

    def _account_for(self, entry: Entry, claims: Claims, taken: Taken) -> None:
        """A receipt ends the order that is in flight, or says that it has to be sent anew."""
        order = entry.in_flight(claims.octets("of"))
        if order is not None:
            standing = after_receipt(
                claims.text("refusal"),
                expired=self._now_s() >= order.expires,
                sent_anew=order.sent_anew,
                storage_works=entry.facts["works_sequence"] > claims.sequence,
            )
            entry.landed(order, standing)
            taken.is_due = True
            if not claims.text("refusal"):
                if order.kind == "answer":
                    entry.release()  # what a terminal refused that first had to be answered
                elif order.body.get("action") == "trust_key":
                    entry.trusts(key_id(order.body["key"]))
            if standing != DONE:
                taken.told.append(f"{entry.terminal}: {order.kind} {order.id} is to be sent anew")

    def _consider(self, entry: Entry, claims: Claims, taken: Taken) -> None:
        """Certificates for a terminal's new keys: the application was signed by the key that they replace."""
        purpose = claims.text("purpose")
        if purpose == "registration":
            taken.refusal = "" if entry.facts["may_register"] else "registration_not_approved"
        elif purpose == "renewal":
            taken.refusal = renewal_refusal(entry.state)
        else:
            taken.told += self._told_of_applicant(entry.terminal, claims)
            return  # a person reviews it
        if taken.refusal:
            return
        try:
            keys = claims.octets("request"), claims.octets("transport_key")
            certificate, transport = self._authority.for_new_keys(*keys, entry.terminal)
        except ValueError as error:
            taken.refusal = f"request: {error}"
            return
        entry.issue_key(_raw_key(certificate))
        credentials = {"application": claims.number("application"), "certificate": certificate.certificate_der}
        if self.sealing_key is not None:
            credentials["sealing_key"] = self.public_sealing_key
        entry.queue("credentials", credentials | {"transport_certificate": transport.certificate_der}, self._now_s())
        taken.told.append(f"{entry.terminal}: certificates issued for its new keys")
        taken.is_due = True

    def _told_of_applicant(self, terminal: str, claims: Claims) -> list[str]:
        """Masked: these lines are kept in logs."""
        try:
            told = masked_applicant(self.applicant(terminal, claims.body))
        except NotOpened as error:
            told = f"cannot be opened: {error.code}"
        return [f"{terminal}: applicant: {told}"] if told else []

    def _audit(self, entry: Entry, claims: Claims, taken: Taken) -> None:
        """The head of a terminal's evidence log is kept, if it goes on from the last. The terminal is told what is kept: where that is not
        in its log, it finds by that what was altered or cut off.
        """
        head = LogHead(claims.sequence, claims.number("count"), claims.octets("head"))
        known = entry.log_head
        verdict = after_audit(known, head, claims.octets("kept"))
        kept = known
        if verdict == AUDIT_KEPT or kept is None:
            kept = head
            entry.take_log_head(head)
        entry.queue("audited", {"count": kept.count, "head": kept.head}, self._now_s())
        taken.is_due = True
        if known is not None and verdict in (AUDIT_BACK, AUDIT_FORKED) and taken.kept:
            detail = f"{head.count} entries, head {head.head.hex()[:16]}; known were {known.count}, head {known.head.hex()[:16]}"
            entry.alarm(verdict, detail, self._now_s())
            taken.told.append(f"{entry.terminal}: ALARM {verdict}: {detail}")

    async def _refuse(self, where: str, why: str) -> None:
        async with self._changed:
            self.refused.append((where, why))
            del self.refused[:-MOST_REFUSED]
            self._changed.notify_all()
        self._told(f"refused a message on {where}: {why}")

    # What the acquirer says.

    async def order(self, terminal: str, **fields: Any) -> int:
        """Send an order; fields as in the schema. Gives its number. What it unlocks at the terminal is unlocked here, too. Raises KeyError,
        SchemaError.
        """
        if fields.get("action") == "unlock" and self.activations is not None:
            self.activations.codes.forget_tries(terminal=terminal)
        return await self.send("order", terminal, fields, allow_registration=fields.get("action") == "lift")

    async def answer(self, terminal: str, application: int, status: str, remark: str = "") -> int:
        """Tell a terminal where the review of its application stands. Gives the message's number. Raises KeyError, SchemaError."""
        fields: dict[str, Any] = {"application": application, "status": status}
        if remark:
            fields["remark"] = remark
        return await self.send("status", terminal, fields, allow_registration=status == REVIEW_APPROVED)

    async def send(self, kind: str, terminal: str, fields: dict[str, Any], allow_registration: bool = False) -> int:
        """Queue a message, which is signed when its turn has come and sent until the terminal's receipt is here. Gives its number.

        allow_registration: the next application for new keys is granted. Raises KeyError, SchemaError.
        """
        with self.registry.entry(terminal) as entry:
            number = entry.queue(kind, fields, self._now_s())
            if allow_registration:
                entry.allow_registration()
        await self._deliver(terminal)
        return number

    async def _deliver(self, terminal: str, again_if_before: int = 0) -> None:
        """Send the message whose turn it is; one that was sent already, if that was before this time, in Unix seconds. Without a connection
        nothing is signed, and nothing lost: whoever has one looks for it.
        """
        if not (self.speaks and self.connected and self._goes_on.is_set()):
            return
        order = self.registry.next_order(terminal)
        if order is None:
            return
        now_s = self._now_s()
        where, message = topic(self.name, terminal, kind_named(order.kind).leaf), order.message
        if order.standing == IN_FLIGHT:
            mine = order.sent_at < again_if_before and self.registry.send_again(order, now_s)
        else:
            sequence, expires = self.registry.next_sequence(terminal), now_s + ORDER_LIFETIME_S
            where, message = await self.signed(order.kind, terminal, order.body, expires=expires, sequence=sequence)
            mine = self.registry.put_in_flight(order, sequence, expires, message, sha256(message).digest()[:16], now_s)
        if mine:
            with contextlib.suppress(LinkError):
                await self.publish(where, message)

    async def _send_what_is_due(self) -> None:
        """What other processes have queued, or could not send to the end; and once more what has no receipt."""
        while True:
            try:
                before = self._now_s() - RESEND_S
                for terminal in self.registry.due(before):
                    await self._deliver(terminal, before)
            except SQLAlchemyError as error:
                self._told(f"registry {_first_line(error)}")
            await asyncio.sleep(LOOK_FOR_DUE_S)

    async def signed(
        self, kind: str, terminal: str, fields: dict[str, Any], *, expires: int | None = None, sequence: int | None = None
    ) -> tuple[str, bytes]:
        """The topic and the signed message, not sent. expires: Unix seconds, None for ORDER_LIFETIME_S from now; sequence: None for the
        terminal's next; with one, it may be for a device that is no terminal yet.

        Raises KeyError for an unknown terminal, SchemaError.
        """
        if sequence is None:
            sequence = self.registry.next_sequence(terminal)
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
        kid = (self.registry.facts(terminal)["trusts"] if terminal in self.accounts else b"") or key_id(self.public_key)
        return where, await sign(self._element, await self._slot_of(kid), kid, encode(claims.to_map()), where)

    async def publish(self, where: str, message: bytes) -> None:
        """Publish a message as it is. Raises LinkError."""
        link = next((link for link in self._links if link.connected), None)
        if link is None:
            raise LinkError("E_OFFLINE", "the acquirer is not connected")
        await link.publish(where, message, False, ANSWER_TIMEOUT_MS)
        self.published += 1

    async def receipt_of(self, terminal: str, order: int, timeout_s: float) -> dict[str, Any]:
        """Wait for the receipt that ends the order. Raises TimeoutError."""
        account = self.accounts[terminal]
        await self.wait_until(lambda: account.receipt_of(order) is not None, timeout_s)
        receipt = account.receipt_of(order)
        assert receipt is not None
        return receipt


def _raw_key(certificate: Credential) -> bytes:
    """x || y: an uncompressed point (SEC1) without its first byte."""
    return certificate.certificate.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)[1:]


def _verified(terminal: str, claims: Claims) -> str:
    return f"{terminal}: verified {summary(claims.kind.name, claims.body)}"


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]


def told_events(kind: str, body: dict[str, Any]) -> list[tuple[str, str]]:
    """Name and detail of the events that a message of that kind tells."""
    if kind == "event":
        return [(body["name"], body.get("detail", ""))]
    if kind == "events":
        lists = [values for values in body["events"] if isinstance(values, list) and values]
        return [(str(values[0]), str(values[1]) if len(values) > 1 else "") for values in lists]
    return []


def event_names(kind: str, body: dict[str, Any]) -> list[str]:
    return [name for name, _ in told_events(kind, body)]


def _outcome(values: object) -> str:
    """One result of a report, as far as it is one."""
    try:
        result = from_list(values)
    except ValueError:
        return str(values)
    return f"{result.phase} {result.outcome}"


def summary(name: str, body: dict[str, Any]) -> str:
    """A message in one line. name: its kind."""
    if name == "state":
        return f"state {body['mode']} {body['status']} {body['link']}"
    if name == "report":
        return f"self-test report: {', '.join(map(_outcome, body['results']))}"
    if name == "receipt":
        return f"receipt {body['result']}" + (f" ({body['refusal']})" if "refusal" in body else "")
    if name == "application":
        return f"application {body['application']} for {body['purpose']}" + _form(body)
    if name == "inquiry":
        return "inquiry"
    if name == "test":
        return f"function test {body['name']} {body['outcome']}"
    if name == "event":
        return f"event {body['name']}" + (f": {body['detail']}" if body.get("detail") else "")
    if name == "events":
        return f"events {', '.join(event_names(name, body))}"
    if name == "audit":
        return f"audit of {body['count']} entries"
    if name == "summary":
        return _summary_of_suspension(body)
    return f"{name} {body}"


def _form(body: dict[str, Any]) -> str:
    """Of an application what its merchant decided: to whom it goes, and what lies ready."""
    level = f" to {APPEALS.get(body['level'], '#' + str(body['level']))}" if "level" in body else ""
    materials = " ".join(f"M{number}" for number in body.get("materials", ()) if isinstance(number, int))
    return level + (f", at hand: {materials}" if materials else "")


def _summary_of_suspension(body: dict[str, Any]) -> str:
    """What is shown of a summary: causes, time to recovery, what was done. Of a newer terminal what is not known stands as it came."""
    reasons = [_word({kind.number: kind.code for kind in REASON_KINDS}, values) for values in body["reasons"]]
    steps = [_word(dict(enumerate(MOMENTS)), values) for values in body["steps"]]
    tests = [" ".join(str(value) for value in values[2:3] + values[:1]) for values in body["tests"] if isinstance(values, list)]
    people = [f"{_word(dict(enumerate(ROLES)), values)} {values[-1]}" for values in body["people"] if isinstance(values, list) and values]
    took = f"after {body['duration_s']} s" if "duration_s" in body else "after an unknown time"
    told = [f"summary of suspension {body['number']}: {', '.join(reasons)}; {'back ' + took if body['back'] else 'goes on'}"]
    told += [f"{name} {', '.join(words)}" for name, words in (("steps", steps), ("tests", tests), ("people", people)) if words]
    return "; ".join(told) + ("" if body["whole"] else "; the log has gaps")


def _word(words: dict[int, str], values: object) -> str:
    """Of a list that begins with the number of a word."""
    number = values[0] if isinstance(values, list) and values else values
    return words.get(number, f"#{number}") if isinstance(number, int) else f"{number!r}"[:40]


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
        await ended(task)


async def ended(task: asyncio.Task[None]) -> None:
    """Cancel a task, and wait until it has ended. Raises what it ended by, if not by that."""
    while not task.done():  # a wait whose time is over in the same turn takes a cancellation for its own
        task.cancel()
        await asyncio.wait([task], timeout=CANCEL_AGAIN_S)
    if not task.cancelled():
        task.result()
