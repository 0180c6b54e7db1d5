"""A running terminal under attack: what it keeps and says, what befalls it, and messages that are good but for one thing."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from firmware_agent.boot.rollback import KEY_COUNT
from firmware_agent.messages.cbor import encode
from firmware_agent.messages.outbox import PREFIX
from firmware_agent.messages.schema import Claims, kind_named, topic
from firmware_agent.store import Store
from firmware_agent.terminal import KEY_HIGHEST, KEY_WALL
from hal.drivers.file_storage import FileStorage
from hal.files import Files
from host_sim.acquirer.acquirer import SLOT
from host_sim.attacks.siege import LIMIT_S, TERMINAL, Attack, AttackError, Hand, Intruder, until, world
from host_sim.microcontroller import Microcontroller
from host_sim.world import ACQUIRER, SETTINGS, Shop
from host_sim.world import TERMINAL as NAME

MOVES_BY_ITSELF = (PREFIX, "event.", "log")  # the outbox, events that wait, the evidence log: what the terminal has to say of an attack
MOVES_WITH_ORDERS = (KEY_HIGHEST, KEY_WALL, KEY_COUNT)  # with each message that is obeyed
QUIET_S = 0.3  # in which what is under way arrives
SILENCES = 10  # tries
LIFETIME_S = 3600


class TerminalSiege:
    """A terminal that is on, and in service. data: its flash; hand: the acquirer's key; stranger: another one; folder: for copies."""

    target = TERMINAL

    def __init__(self, shop: Shop, data: Path, intruder: Intruder, hand: Hand, stranger: Hand, folder: Path) -> None:
        self.runtime = shop.terminal.runtime
        self.hand = hand
        self.stranger = stranger
        self.shop = shop
        self.acquirer = shop.acquirer
        self._data = data
        self._intruder = intruder
        self._folder = folder
        self._mark = 0  # of the terminal's lines
        self._flash: dict[str, bytes] = {}
        self.knows_no_time = False

    # What is seen.

    @property
    def now_s(self) -> int:
        return self.shop.clock.wall_s()

    @property
    def next_sequence(self) -> int:
        return self.acquirer.registry.next_sequence(NAME)

    @property
    def lines(self) -> list[str]:
        """What the terminal has said since `begin`."""
        return self.shop.terminal.lines[self._mark :]

    def begin(self) -> None:
        self._flash = self.flash()
        self._mark = len(self.shop.terminal.lines)

    def flash(self) -> dict[str, bytes]:
        """What the terminal keeps, but for what moves by itself. It is read from a copy: opening a store may write to it."""
        return {key: value for key, value in self._kept().items() if not key.startswith(MOVES_BY_ITSELF)}

    def _kept(self) -> dict[str, bytes]:
        with tempfile.TemporaryDirectory(dir=self._folder) as copy:
            shutil.copytree(self._data, copy, dirs_exist_ok=True)
            store = Store(FileStorage(Files(copy)))
            store.open()
            return {key: store.get(key) or b"" for key in store.keys()}

    async def heard(self, *beginnings: str, times: int = 1) -> None:
        """Until the terminal has said so many lines that begin so. Raises AttackError, TerminalFailure."""
        await self._until(lambda: sum(line.startswith(beginnings) for line in self.lines) >= times, f"a line {beginnings}")

    async def _until(self, holds: Callable[[], bool], what: str) -> None:
        await until(holds, what, check=self.shop.terminal.check)

    async def verdict(self, attack: Attack[TerminalSiege]) -> tuple[str, list[str]]:
        try:
            await self.heard("refused: ", times=attack.times)
            await self.heard("accepted ", times=attack.obeyed)
        except AttackError:
            pass  # told by what follows
        reasons = [line.split()[1] for line in self.lines if line.startswith("refused: ")]
        accepted = sum(line.startswith("accepted ") for line in self.lines)
        moves = MOVES_WITH_ORDERS if attack.obeyed else ()
        before, after = self._flash, self.flash()
        changed = [key for key in sorted({*before, *after}) if before.get(key) != after.get(key) and key not in moves]
        if accepted != attack.obeyed:
            changed.append(f"{accepted} obeyed")
        if len(reasons) < attack.times:
            return f"{len(reasons)} of {attack.times}" if reasons else "", changed
        return " ".join(sorted(set(reasons))), changed

    async def serves(self) -> bool:
        """The acquirer goes on, and has an order obeyed; then he is silent again."""
        self.acquirer.hang(False)
        try:
            number = await self.acquirer.order(NAME, action="configure", settings=[["service_line", SETTINGS["service_line"]]])
            receipt = await self.acquirer.receipt_of(NAME, number, LIMIT_S)
            await self._silence()
        except (AttackError, TimeoutError):
            return False
        self.knows_no_time = False
        return bool(receipt["result"] == "SUCC")

    async def _silence(self) -> None:
        """The acquirer falls silent when nothing waits on either side; not if an answer of his was just under way."""
        for _ in range(SILENCES):
            await self._until(lambda: not self.shop.account.outgoing and not self._outbox(), "quiet")
            self.acquirer.hang(True)
            await asyncio.sleep(QUIET_S)
            if not self.shop.account.outgoing:
                return
            self.acquirer.hang(False)
        raise AttackError("the acquirer and the terminal never fall silent")

    def _outbox(self) -> list[str]:
        return [key for key in self._kept() if key.startswith(PREFIX)]

    # What is done.

    async def publish(self, where: str, message: bytes, retain: bool = False) -> None:
        await self._intruder.publish(where, message, retain)

    async def reboot(self, without_time: bool = False) -> None:
        """The acquirer does not answer meanwhile. without_time: its clock has lost the time."""
        terminal = self.shop.terminal
        self.shop.uplink.cut()
        await terminal.power_off()
        self.shop.uplink.restore()
        if without_time and "clock" in terminal.breakable and "lost" in terminal.breakable["clock"].FAULTS:
            terminal.breakable["clock"].fault("lost")
        self.knows_no_time = without_time
        self._mark = len(terminal.lines)
        terminal.power_on()
        await self.heard("link online")
        await self.heard("self-test power_on ended")
        await asyncio.sleep(QUIET_S)

    async def reconnect(self) -> None:
        self.shop.uplink.cut()
        await self.heard("link E_")
        self.shop.uplink.restore()
        await self.heard("link online")

    # What is said.

    def where(self, kind: str = "order") -> str:
        return topic(ACQUIRER, NAME, kind_named(kind).leaf)

    def claims(self, kind: str = "order", body: dict[str, Any] | None = None, **changes: Any) -> Claims:
        """Those of a good message, but for the changes."""
        body = body or {"action": "configure", "settings": [["service_line", SETTINGS["service_line"]]]}
        said = {"sequence": self.next_sequence, "issuer": ACQUIRER, "issued_at": self.now_s, "expires": self.now_s + LIFETIME_S, **changes}
        return Claims(kind_named(kind), said.pop("subject", NAME), said.pop("sequence"), body, **said)

    async def signed(self, kind: str = "order", body: dict[str, Any] | None = None, **changes: Any) -> tuple[str, bytes]:
        """(topic, message), signed with the acquirer's key, and good but for the changes."""
        where = self.where(kind)
        return where, await self.hand.sign(encode(self.claims(kind, body, **changes).to_map()), where)


@asynccontextmanager
async def siege_of(board: str, runtime: str) -> AsyncIterator[TerminalSiege]:
    """A terminal that was switched on, tested itself, and is known to its acquirer. Raises AttackError, TerminalFailure."""
    async with world(board, runtime) as (shop, folder):
        if not isinstance(shop.terminal, Microcontroller):
            raise AttackError(f"the flash of board {board} is not looked at: take one with a microcontroller")
        async with Intruder(shop.broker.port, shop.authority, ACQUIRER, "attacker") as intruder:
            hand = Hand(shop.backend.element, SLOT, shop.acquirer.public_key)
            siege = TerminalSiege(shop, shop.terminal.data, intruder, hand, await Hand.new(folder / "stranger"), folder)
            shop.terminal.power_on()
            await siege.heard("self-test power_on ended")
            await siege._until(lambda: bool(shop.account.reports), "the first report")
            if not await siege.serves():
                raise AttackError("the terminal obeys nothing even before it is attacked")
            yield siege
