"""A siege: one attack after the other on something that runs, what it makes of each, and whether it still serves. And what attackers have.

An attack is written down with the reason for which it has to be refused. It has failed if it was refused for that reason, and nothing
changed by it. After every GROUP attacks a good message has to be obeyed, or the whole group has done harm.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

from firmware_agent.links.link import Tls
from firmware_agent.links.tcp_cpython import tls_context
from firmware_agent.messages.cbor import Tag, encode
from firmware_agent.messages.cose import ALG_ESP256, key_id, signing_digest
from hal.drivers.software_key import SoftwareKey
from host_sim.acquirer.equipment import software_element
from host_sim.pki import TestAuthority
from host_sim.waiting import comes
from host_sim.world import Shop, open_shop

TERMINAL, ACQUIRER = "terminal", "acquirer"  # what is attacked
LANGUAGE = "en"
GROUP = 10
LIMIT_S = 30.0  # for any single thing to happen


class AttackError(Exception):
    """What has to be there for the attacks did not come; the message says what."""


@dataclass(frozen=True)
class Result:
    """id: 'terminal.forged.other_key'; runtime: of what was attacked; expected, reason: why it had to be refused, and why it was, '': it
    was not; changed: what is not as it was before.
    """

    id: str
    target: str
    runtime: str
    expected: str
    reason: str
    changed: Sequence[str] = ()

    @property
    def refused(self) -> bool:
        """For the reason that was expected: refused for another one, it may get through tomorrow."""
        return self.reason == self.expected

    @property
    def failed(self) -> bool:
        """Whether the attack has: that is good."""
        return self.refused and not self.changed

    def __str__(self) -> str:
        told = self.reason or "not refused"
        if not self.refused:
            told += f", expected {self.expected}"
        return f"{self.id} ({self.runtime}): {told}{', CHANGED: ' + ', '.join(self.changed) if self.changed else ''}"


class Siege(Protocol):
    """What is attacked, with all that is around it. runtime: that it runs on."""

    target: str
    runtime: str

    def begin(self) -> None:
        """What is there now, is what an attack must not change; what is refused from now on, is the attack."""

    async def verdict(self, attack: Attack[Any]) -> tuple[str, list[str]]:
        """Why the attack was refused, '' if it was not; what changed by it."""

    async def serves(self) -> bool:
        """Whether a good message is obeyed."""


AnySiege = TypeVar("AnySiege", bound=Siege)


@dataclass(frozen=True)
class Attack(Generic[AnySiege]):
    """id: begins with the target; reason: for which it has to be refused; play: does it; times: messages that are refused, at least;
    obeyed: messages of it that are good, and obeyed: they set what is set already.
    """

    id: str
    reason: str
    play: Callable[[AnySiege], Awaitable[None]]
    times: int = 1
    obeyed: int = 0


async def besiege(siege: AnySiege, attacks: Sequence[Attack[AnySiege]], tell: Callable[[str], None]) -> list[Result]:
    """Play the attacks one after the other. What breaks its group is told of each attack of the group: which one it was, is not known."""
    results: list[Result] = []
    for first in range(0, len(attacks), GROUP):
        group = []
        for attack in attacks[first : first + GROUP]:
            siege.begin()
            try:
                await attack.play(siege)
                reason, changed = await siege.verdict(attack)
            except AttackError as error:
                reason, changed = "", [str(error)]
            group.append(Result(attack.id, siege.target, siege.runtime, attack.reason, reason, changed))
        if not await siege.serves():
            group = [replace(result, changed=[*result.changed, "it serves no more"]) for result in group]
        for result in group:
            tell(str(result))
        results += group
    return results


@contextlib.asynccontextmanager
async def world(board: str, runtime: str, acquirer_told: Callable[[str], None] = lambda line: None) -> AsyncIterator[tuple[Shop, Path]]:
    """Broker, acquirer and a provisioned terminal that is still off; and a folder for what the attacker has."""

    def tell(who: str, what: str) -> None:
        if who == "acquirer":
            acquirer_told(what)

    with tempfile.TemporaryDirectory(prefix="reinstate-") as folder:
        loot = Path(folder) / "attacker"
        loot.mkdir()
        async with open_shop(Path(folder), board=board, runtime=runtime, language=LANGUAGE, tell=tell) as shop:
            yield shop, loot


async def until(holds: Callable[[], bool], what: str, limit_s: float = LIMIT_S, check: Callable[[], None] = lambda: None) -> None:
    """Wait for it; check: see host_sim.waiting. Raises AttackError."""
    if not await comes(holds, limit_s, check):
        raise AttackError(f"did not come: {what}")


# What an attacker has: connections to the broker, and keys.


class Intruder:
    """A connection to the broker with somebody's certificate, on which anything may be said. user: the name in the certificate."""

    def __init__(self, port: int, authority: TestAuthority, user: str, client_id: str) -> None:
        credential = authority.client(user)
        tls = Tls(authority.certificate_der, credential.certificate_der, credential.private_key_der, "localhost")
        self._port = port
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id, protocol=paho.MQTTv311)
        self._client.tls_set_context(tls_context(tls))

    async def __aenter__(self) -> Intruder:
        await asyncio.to_thread(self._client.connect, "localhost", self._port)
        self._client.loop_start()
        await until(self._client.is_connected, "the attacker's connection to the broker")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._client.disconnect()
        await asyncio.to_thread(self._client.loop_stop)

    async def publish(self, where: str, message: bytes, retain: bool = False) -> None:
        """Returns when the broker has acknowledged it. Raises AttackError."""
        info = self._client.publish(where, message, qos=1, retain=retain)
        if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise AttackError(f"the attacker cannot publish: {paho.error_string(info.rc)}")
        await until(info.is_published, "the broker's acknowledgement")


class Hand:
    """Whoever holds a signing key, and signs anything with it. slot: of the key in `element`."""

    def __init__(self, element: SoftwareKey, slot: int, public_key: bytes) -> None:
        self.element = element
        self.slot = slot
        self.public_key = public_key
        self.kid = key_id(public_key)

    @classmethod
    async def new(cls, folder: Path) -> Hand:
        """With a key of its own. folder: does not exist yet."""
        folder.mkdir()
        element = await software_element(folder)
        return cls(element, 0, await element.generate_key(0))

    async def sign(self, payload: bytes, where: str, header: object = None, unprotected: object = None) -> bytes:
        """A message around any bytes, for that topic. header, unprotected: the headers, where they are not as they should be."""
        protected = encode({1: ALG_ESP256, 4: self.kid} if header is None else header)
        signature = await self.element.sign(self.slot, signing_digest(protected, payload, where))
        return sealed_envelope(protected, unprotected or {}, payload, signature)


def sealed_envelope(protected: bytes, unprotected: object, payload: object, signature: object) -> bytes:
    return encode(Tag(18, [protected, unprotected, payload, signature]))
