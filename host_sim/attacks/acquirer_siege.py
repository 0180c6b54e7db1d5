"""An acquirer under attack: what its registry keeps, whom it hears, and messages of terminals that are good but for one thing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from firmware_agent.messages.cbor import encode
from firmware_agent.messages.schema import Claims, kind_named, topic
from host_sim.acquirer.registry import CURRENT
from host_sim.acquirer.rules import LATEST_ONLY
from host_sim.attacks.siege import ACQUIRER as TARGET
from host_sim.attacks.siege import Attack, AttackError, Hand, Intruder, until, world
from host_sim.world import ACQUIRER, Shop

HONEST, VICTIM, HOSTILE, NOBODY = "T0000011", "T0000012", "T0000013", "T0000099"
DEVICE = "240ac4000099"  # that has no name yet
SEQUENCES = 10**8
TOLD = "activation refused: "
LIMIT_S = 10.0
FACTS = (  # of a terminal, in the registry: all but what counts messages
    "generation",
    "may_register",
    "trusts",
    "online",
    "connection",
    "state_sequence",
    "state",
    "works_sequence",
    "audit_count",
    "audit_head",
)


class AcquirerSiege:
    """An acquirer at work, with three terminals that are played here. honest: obeys the rules, and must go on to be heard; victim: what is
    said in its name is the attack's; hostile: its key is the attacker's.
    """

    target = TARGET
    runtime = "cpython"

    def __init__(self, shop: Shop, told: list[str], folder: Path, hands: dict[str, Hand], clients: dict[str, Intruder]) -> None:
        self.shop = shop
        self.acquirer = shop.acquirer
        self.folder = folder
        self.hands = hands
        self.own_words: list[str] = []  # of an attack that sees itself what becomes of it
        self._told = told
        self._clients = clients  # by the name in the certificate
        self._refused = 0
        self._counts = (0, 0, 0)
        self._orders: dict[int, str] = {}
        self._sequence = 0
        self._mark = 0  # of what the acquirer told
        self._before: dict[str, list[Any]] = {}

    # What is seen.

    def begin(self) -> None:
        self.own_words = []
        self._mark = len(self._told)
        self._refused = len(self.acquirer.refused)
        self._counts = self._counted()
        self._orders = self._open_orders()
        self._before = self._state()

    def _counted(self) -> tuple[int, int, int]:
        """Duplicates, alarms, messages that were kept."""
        registry = self.acquirer.registry
        return sum(registry.facts(name)["duplicates"] for name in registry.terminals()), len(registry.alarms()), registry.count()

    def _state(self) -> dict[str, list[Any]]:
        registry = self.acquirer.registry
        return {
            name: [[registry.facts(name)[fact] for fact in FACTS], registry.keys(name), registry.key_of(name, CURRENT)]
            for name in registry.terminals()
        }

    def _open_orders(self) -> dict[int, str]:
        registry = self.acquirer.registry
        orders = [order for name in registry.terminals() for order in registry.open_orders(name)]
        return {order.id: order.standing for order in orders if order.kind not in LATEST_ONLY}

    def _reasons(self) -> list[str]:
        """What was refused since `begin`; of what was not, what became of it."""
        words = self.own_words + [why.split(":")[0] for _, why in self.acquirer.refused[self._refused :]]
        words += [line.partition(TOLD)[2].removeprefix("the code is ") for line in self._told[self._mark :] if TOLD in line]
        duplicates, alarms, kept = (now - before for now, before in zip(self._counted(), self._counts, strict=True))
        words += ["duplicate"] * duplicates
        words += [alarm.name for alarm in self.acquirer.registry.alarms()[len(self.acquirer.registry.alarms()) - alarms :]]
        return words or ["no_effect"] * kept

    async def verdict(self, attack: Attack[AcquirerSiege]) -> tuple[str, list[str]]:
        """Something comes of everything that the broker lets through; and what comes of nothing was before what comes of the honest."""
        try:
            await until(lambda: len(self._reasons()) >= attack.times, attack.id, LIMIT_S)
        except AttackError:
            return "", self._changed()
        reasons = self._reasons()
        return " ".join(sorted(set(reasons[-1:] if attack.times > 1 else reasons))), self._changed()

    def _changed(self) -> list[str]:
        """Terminals and orders that are not as they were."""
        state, orders = self._state(), self._open_orders()
        changed = [name for name in sorted({*state, *self._before}) if state.get(name) != self._before.get(name)]
        return changed + [f"order {number}" for number, was in self._orders.items() if orders.get(number) != was]

    async def serves(self) -> bool:
        """Whether an honest terminal is heard."""
        kept = self.acquirer.registry.count(HONEST)
        await self.publish(*await self.said(HONEST, "event", {"name": "signed_on"}))
        try:
            await until(lambda: self.acquirer.registry.count(HONEST) > kept, "the honest terminal's message", LIMIT_S)
        except AttackError:
            return False
        return True

    # What is done, and said.

    async def publish(self, where: str, message: bytes, user: str = "") -> None:
        """user: whose certificate the attacker connects with; '': that of the topic's terminal, or he is the broker himself."""
        await self._clients[user or where.split("/")[3]].publish(where, message)

    @property
    def sequence(self) -> int:
        self._sequence += 1
        return SEQUENCES + self._sequence

    def claims(self, name: str, kind: str, body: dict[str, Any], **changes: Any) -> Claims:
        said = {"sequence": 0, "subject": name, "boot_count": 1, "issued_at": self.shop.clock.wall_s(), **changes}
        sequence = said.pop("sequence") or self.sequence
        return Claims(kind_named(kind), said.pop("subject"), sequence, body, **said)

    async def said(
        self, name: str, kind: str, body: dict[str, Any], hand: Hand | None = None, where: str = "", **changes: Any
    ) -> tuple[str, bytes]:
        """(topic, message) of that terminal's; good, but for the changes. where: the topic it is signed for."""
        where = where or topic(ACQUIRER, name, kind_named(kind).leaf)
        return where, await (hand or self.hands[name]).sign(encode(self.claims(name, kind, body, **changes).to_map()), where)

    async def taken(self, message: tuple[str, bytes]) -> None:
        """It is said, and kept, before the attack begins."""
        kept = self.acquirer.registry.count()
        await self.publish(*message)
        await until(lambda: self.acquirer.registry.count() > kept, "a message that is good", LIMIT_S)


@asynccontextmanager
async def siege_of(board: str) -> AsyncIterator[AcquirerSiege]:
    """An acquirer with its broker, and three terminals. Raises AttackError."""
    told: list[str] = []
    async with world(board, "cpython", told.append) as (shop, folder):
        hands = {name: await Hand.new(folder / name) for name in (HONEST, VICTIM, HOSTILE, NOBODY, DEVICE)}
        for name in (HONEST, VICTIM, HOSTILE):
            shop.acquirer.enrol(name, hands[name].public_key)
        async with AsyncExitStack() as begun:
            clients = {
                user: await begun.enter_async_context(Intruder(shop.broker.port, shop.authority, user, f"attacker-{user}"))
                for user in hands
            }
            siege = AcquirerSiege(shop, told, folder, hands, clients)
            if not await siege.serves():
                raise AttackError("the acquirer hears nobody even before it is attacked")
            yield siege
