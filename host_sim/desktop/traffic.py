"""The messages between terminals and their acquirer, as they pass at the acquirer's own connection, and what became of each."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from firmware_agent.links.link import LinkError, LinkSettings, Tls
from firmware_agent.links.mqtt_paho import MqttPahoLink
from firmware_agent.messages.cbor import CborError, decode
from firmware_agent.messages.cose import CoseError, key_id, parse
from firmware_agent.messages.schema import DOWN, UP, Claims, SchemaError
from host_sim.desktop import inspector
from host_sim.desktop.inspector import VERIFIED
from host_sim.verify import jsonable
from host_sim.wire_words import REFUSAL_TEXTS
from host_sim.world import ACQUIRER, Backend

if TYPE_CHECKING:
    from firmware_agent.links.link import Link, Message, Will

MOST_KEPT = 500  # messages of a terminal
SENT = "sent"  # the verdict on a message down until its receipt is here
ANSWER_S = 15.0  # in which whoever gets an altered message says why he refuses it
ANSWER_MS = 5000


class NoAnswer(Exception):
    """In one line: nobody said what became of an altered message."""


@dataclass
class Passed:
    """A message that passed. at_ms: since the start; verdict: VERIFIED, SENT, or the word by which it was refused; receipts: for it, of
    which the first one decides; what was sent twice may have two of them.
    """

    number: int
    at_ms: int
    direction: str
    topic: str
    message: bytes
    claims: Claims | None
    verdict: str
    meaning: str
    signed_by: str
    is_judged: bool = False  # by whom it is for
    receipts: list[dict[str, Any]] = field(default_factory=list)

    @property
    def kind(self) -> str:
        """Where it cannot be read, as its topic says."""
        return self.claims.kind.name if self.claims is not None else self.topic.rpartition("/")[2]

    def line(self) -> dict[str, Any]:
        facts = {name: getattr(self, name) for name in ("number", "direction", "topic", "kind", "verdict")}
        return facts | {"at": self.at_ms, "bytes": len(self.message)}

    def document(self) -> dict[str, Any]:
        """With all its parts, which take every byte into one of them."""
        parts = [part._asdict() for part in inspector.parts(self.topic, self.message)]
        meaning = self.meaning if self.verdict in (VERIFIED, SENT) else REFUSAL_TEXTS.get(self.verdict, self.meaning)
        more = {"hex": self.message.hex(), "meaning": meaning, "signed_by": self.signed_by, "parts": parts}
        receipts = jsonable(self.receipts)
        return self.line() | more | {"receipt": receipts[0] if receipts else None, "receipts": receipts}


class Messages:
    """Of one terminal, the oldest first."""

    def __init__(self) -> None:
        self._kept: deque[Passed] = deque(maxlen=MOST_KEPT)
        self._numbered = 0

    def __iter__(self) -> Iterator[Passed]:
        return iter(self._kept)

    def number(self) -> int:
        """Of the next one."""
        self._numbered += 1
        return self._numbered

    def add(self, passed: Passed) -> None:
        self._kept.append(passed)

    def numbered(self, number: int) -> Passed:
        """Raises KeyError: there is none any more, or not yet."""
        for passed in self._kept:
            if passed.number == number:
                return passed
        raise KeyError(number)

    def judged(self, message: bytes, after: int) -> Passed | None:
        """The message with these bytes that came after that number, once whom it is for has judged it."""
        return next((passed for passed in self._kept if passed.number > after and passed.is_judged and passed.message == message), None)

    def under_way(self, message: bytes) -> Passed | None:
        """The good message with these bytes that is on its way to the terminal: it has no receipt yet."""
        return next((passed for passed in self._kept if passed.verdict == SENT and passed.message == message), None)

    def named(self, name: bytes) -> Passed | None:
        """Of those that went to the terminal, what a receipt is for that names it so: the first that has none yet, else the last."""
        found = [passed for passed in self._kept if passed.direction == DOWN and sha256(passed.message).digest()[: len(name)] == name]
        return next((passed for passed in found if not passed.receipts), found[-1] if found else None)

    @property
    def last_number(self) -> int:
        return self._numbered


class Traffic:
    """told: called with the terminal's number and the message when one has passed, and again when its verdict is known."""

    def __init__(self, backend: Backend, told: Callable[[str, Passed], None]) -> None:
        self.terminals: dict[str, Messages] = {}
        self._names: dict[str, Callable[[], Collection[str]]] = {}
        self._backend = backend
        self._told = told
        self._began = time.monotonic()
        self._changed = asyncio.Condition()

    def watch(self, terminal: str, hardware_ids: Callable[[], Collection[str]]) -> Messages:
        """Keep what a terminal sends and gets from now on; hardware_ids: by which its devices are called in topics before they have its
        number.
        """
        messages = self.terminals[terminal] = Messages()
        self._names[terminal] = hardware_ids
        return messages

    def forget(self, terminal: str) -> None:
        del self.terminals[terminal], self._names[terminal]

    def _owner(self, level: str) -> str:
        """The terminal that is called so in topics, '' for none."""
        if level in self.terminals:
            return level
        return next((terminal for terminal, names in self._names.items() if level in names()), "")

    # What passes.

    def up(self, topic: str, message: bytes) -> tuple[str, Passed] | None:
        """It came; None: of nobody who is watched."""
        registry = self._backend.acquirer.registry
        level = _level(topic)
        keys = registry.keys(level) if level in self._backend.acquirer.accounts else {}
        return self._passed(UP, topic, message, keys)

    def down(self, topic: str, message: bytes) -> tuple[str, Passed] | None:
        """It goes. What has no receipt yet is sent again by the acquirer, and is still the same message."""
        terminal = self._owner(_level(topic))
        again = self.terminals[terminal].under_way(message) if terminal else None
        if again is not None:
            return terminal, again
        public_key = self._backend.acquirer.public_key
        return self._passed(DOWN, topic, message, {key_id(public_key): public_key})

    def judged(self, terminal: str, passed: Passed, refusal: str) -> None:
        """The acquirer has taken a message up, or has refused it. The terminal may have been removed since it came."""
        if terminal not in self.terminals:
            return
        passed.verdict, passed.is_judged = refusal or VERIFIED, True
        self._told(terminal, passed)
        if not refusal and passed.kind == "receipt" and passed.claims is not None:
            self._receipt(terminal, passed.claims)

    async def look_again(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    def _passed(self, direction: str, topic: str, message: bytes, keys: Mapping[bytes, bytes]) -> tuple[str, Passed] | None:
        terminal = self._owner(_level(topic))
        if not terminal:
            return None
        verdict = inspector.verdict(topic, message, keys)
        if direction == DOWN and verdict.word == VERIFIED:
            verdict = verdict._replace(word=SENT)  # that it is good its receipt says
        messages = self.terminals[terminal]
        at_ms = int((time.monotonic() - self._began) * 1000)
        passed = Passed(messages.number(), at_ms, direction, topic, message, _claims(message), *verdict)
        messages.add(passed)
        self._told(terminal, passed)
        return terminal, passed

    def _receipt(self, terminal: str, receipt: Claims) -> None:
        """The first receipt for a message is the verdict on it; one that comes later, for the same message sent twice, is listed."""
        passed = self.terminals[terminal].named(receipt.octets("of"))
        if passed is None:
            return
        if not passed.receipts:
            passed.verdict, passed.is_judged = receipt.text("refusal") or VERIFIED, True
        passed.receipts.append(receipt.body)
        self._told(terminal, passed)

    # An altered copy.

    async def send_altered(self, terminal: str, number: int, at: int, bit: int) -> Passed:
        """Send a copy with one bit turned where the message went; what became of it. A copy of what went up is sent in the terminal's name,
        by somebody who has a certificate for its connection, and not its key.

        Raises KeyError: there is no such message; ValueError: no such bit; NoAnswer.
        """
        messages = self.terminals[terminal]
        original, before = messages.numbered(number), messages.last_number
        copy = inspector.altered(original.message, at, bit)
        try:
            if original.direction == DOWN:
                await self._backend.acquirer.publish(original.topic, copy)
            else:
                await self._publish_as(_level(original.topic), original.topic, copy)
            async with self._changed, asyncio.timeout(ANSWER_S):
                await self._changed.wait_for(lambda: messages.judged(copy, before) is not None)
        except LinkError as error:
            raise NoAnswer(f"it could not be sent: {error}") from error
        except TimeoutError:
            who = "the terminal is off, or out of reach" if original.direction == DOWN else "the acquirer hangs, or the broker is not there"
            raise NoAnswer(f"nobody refused it within {ANSWER_S:.0f} s: {who}") from None
        passed = messages.judged(copy, before)
        assert passed is not None
        return passed

    async def _publish_as(self, name: str, topic: str, message: bytes) -> None:
        backend = self._backend
        credential = backend.authority.client(name)
        tls = Tls(backend.authority.certificate_der, credential.certificate_der, credential.private_key_der, "localhost")
        link = MqttPahoLink(LinkSettings("127.0.0.1", backend.broker.port, f"intruder-{name}", 30, tls), backend.clock)
        await link.connect(ANSWER_MS)
        try:
            await link.publish(topic, message, False, ANSWER_MS)
        finally:
            await link.disconnect()


class WatchedBackend(Backend):
    """Whose acquirer's connection is looked at. traffic: set before it runs."""

    traffic: Traffic

    def _link(self) -> Link:
        return _WatchedLink(super()._link(), self)


class _WatchedLink:
    """The acquirer's link, with a look at each message. A message up was judged when it is acknowledged."""

    def __init__(self, link: Link, backend: WatchedBackend) -> None:
        self._link = link
        self._backend = backend
        self._came: tuple[str, Passed] | None = None
        self._refused: tuple[str, str] | None = None  # the last one before it came

    @property
    def connected(self) -> bool:
        return self._link.connected

    async def connect(self, timeout_ms: int, will: Will | None = None) -> bool:
        return await self._link.connect(timeout_ms, will)

    async def subscribe(self, topic: str, timeout_ms: int) -> None:
        await self._link.subscribe(topic, timeout_ms)

    async def publish(self, topic: str, payload: bytes, retain: bool, timeout_ms: int) -> None:
        self._backend.traffic.down(topic, payload)
        await self._link.publish(topic, payload, retain, timeout_ms)

    async def receive(self) -> Message:
        message = await self._link.receive()
        self._refused = self._last_refused()
        self._came = self._backend.traffic.up(message.topic, message.payload)
        return message

    async def acknowledge(self, message: Message) -> None:
        if self._came is not None:
            last = self._last_refused()
            refusal = last[1] if last is not None and last is not self._refused and last[0] == message.topic else ""
            self._backend.traffic.judged(*self._came, refusal)
            await self._backend.traffic.look_again()
        await self._link.acknowledge(message)

    async def disconnect(self) -> None:
        await self._link.disconnect()

    def _last_refused(self) -> tuple[str, str] | None:
        return self._backend.acquirer.refused[-1] if self._backend.acquirer.refused else None


def _level(topic: str) -> str:
    """Whom it is of, or for."""
    levels = topic.split("/")
    return levels[3] if len(levels) == 5 and levels[2] == ACQUIRER else ""


def _claims(message: bytes) -> Claims | None:
    try:
        return Claims.from_map(decode(parse(message).payload))
    except (CoseError, CborError, SchemaError):
        return None
