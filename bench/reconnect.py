"""How hard a fleet hits its broker when that comes back: couriers of this agent on simulated time, and a broker that only counts.

    python bench/reconnect.py [--terminals N] [--queued N] [--json]

Each of the terminals is online; the broker goes away for the time of the row, each terminal queues --queued messages meanwhile, and the
broker is back. Counted from then until everything has arrived: connections and messages in each second. Mean: over the seconds from the
first to the last of them. Nothing but the terminals' own timing shapes the curves: this broker has no limit, and the network no delay.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from firmware_agent.links.link import LinkError, Message  # noqa: E402
from firmware_agent.messages.courier import Courier  # noqa: E402
from firmware_agent.terminal import Terminal  # noqa: E402
from host_sim.simulated_time import SimulatedTime  # noqa: E402
from tests.core.parts import Flash  # noqa: E402
from tests.core.terminal_parts import boot, provisioned  # noqa: E402

OUTAGES_S = (2, 60, 3600)
ONLINE_S = 90  # before the outage: a good connection
LIMIT_S = 900  # in which everything has to have arrived
EVERYDAY = {"name": "print", "outcome": "pass"}


class Broker:
    """up: whether it answers; connections, messages: in each second since `counted_from_ms`."""

    def __init__(self, time: SimulatedTime) -> None:
        self.time = time
        self.up = True
        self.links: set[CountedLink] = set()
        self.counted_from_ms = 0
        self.connections: Counter[int] = Counter()
        self.messages: Counter[int] = Counter()

    def count(self, counter: Counter[int]) -> None:
        counter[(self.time.now_ms() - self.counted_from_ms) // 1000] += 1

    def go(self) -> None:
        self.up = False
        for link in list(self.links):
            link.lose()

    def come_back(self) -> None:
        self.up = True
        self.counted_from_ms = self.time.now_ms()
        self.connections.clear()
        self.messages.clear()


class CountedLink:
    """As much of the contract in firmware_agent.links.link as a courier needs."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._lost = asyncio.Event()
        self.connected = False

    def lose(self) -> None:
        self.connected = False
        self._lost.set()
        self._broker.links.discard(self)

    async def connect(self, timeout_ms: int, will: object = None) -> bool:
        if not self._broker.up:
            raise LinkError("E_OFFLINE", "nobody listens", "refused")
        self._broker.count(self._broker.connections)
        self._broker.links.add(self)
        self.connected = True
        return True

    async def subscribe(self, topic: str, timeout_ms: int) -> None:
        self._require()

    async def publish(self, topic: str, payload: bytes, retain: bool, timeout_ms: int) -> None:
        self._require()
        self._broker.count(self._broker.messages)

    async def receive(self) -> Message:
        await self._lost.wait()
        raise LinkError("E_OFFLINE", "lost")

    async def acknowledge(self, message: Message) -> None:
        self._require()

    async def disconnect(self) -> None:
        self.lose()

    def _require(self) -> None:
        if not self.connected:
            raise LinkError("E_OFFLINE", "lost")


def terminal_of(time: SimulatedTime, dice: random.Random) -> Terminal:
    """A terminal with nothing queued, whose draws are its own."""

    async def draw(length: int) -> bytes:
        return dice.randbytes(length)

    flash = Flash()
    provisioned(flash)
    terminal: Terminal = boot(flash, time)
    terminal.hal.secure_element.random = draw  # type: ignore[method-assign]
    for key in terminal.outbox.waiting():
        terminal.outbox.remove(key)
    return terminal


def outage(outage_s: int, terminals: int, queued: int) -> dict[str, Any]:
    """What the broker counted after one outage."""
    time = SimulatedTime()
    broker = Broker(time)
    fleet = [terminal_of(time, random.Random(number)) for number in range(terminals)]
    for terminal in fleet:
        asyncio.run(terminal.hal.secure_element.generate_key(0))

    async def make_link() -> CountedLink:
        return CountedLink(broker)

    async def arrived(message: Message) -> None:
        raise AssertionError("this broker sends nothing")

    async def play() -> int:
        couriers = [asyncio.create_task(Courier(terminal, make_link, arrived).run()) for terminal in fleet]
        await time.sleep_ms(ONLINE_S * 1000)
        broker.go()
        for terminal in fleet:
            for _ in range(queued):
                terminal.send("test", EVERYDAY)
        await time.sleep_ms(outage_s * 1000)
        broker.come_back()
        while any(not terminal.online or terminal.outbox.waiting() for terminal in fleet):
            await time.sleep_ms(1000)
            assert time.now_ms() - broker.counted_from_ms < LIMIT_S * 1000, "not everything has arrived"
        for courier in couriers:
            courier.cancel()
        await asyncio.gather(*couriers, return_exceptions=True)
        return (time.now_ms() - broker.counted_from_ms) // 1000

    taken_s = time.run(play())
    return {
        "outage_s": outage_s,
        "taken_s": taken_s,
        "connections": shape(broker.connections),
        "messages": shape(broker.messages),
    }


def shape(counter: Counter[int]) -> dict[str, float]:
    """total; peak and mean in a second; ratio: peak by mean."""
    total = sum(counter.values())
    mean = total / (max(counter) - min(counter) + 1)
    peak = max(counter.values())
    return {"total": total, "peak_per_s": peak, "mean_per_s": round(mean, 1), "ratio": round(peak / mean, 2)}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="How hard a fleet hits its broker when that comes back, on simulated time.")
    parser.add_argument("--terminals", type=int, default=200, help="in the fleet (default: %(default)s)")
    parser.add_argument("--queued", type=int, default=8, help="messages that each queues during the outage (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args(arguments)
    rows = [outage(outage_s, options.terminals, options.queued) for outage_s in OUTAGES_S]
    if options.json:
        print(json.dumps({"terminals": options.terminals, "queued": options.queued, "outages": rows}, indent=2))
        return 0
    print(f"{options.terminals} terminals, {options.queued} messages each queued during the outage")
    print("outage   all there after   connections/s peak  mean  ratio   messages/s peak  mean  ratio")
    for row in rows:
        connections, messages = row["connections"], row["messages"]
        print(
            f"{row['outage_s']:5} s {row['taken_s']:15} s"
            f" {connections['peak_per_s']:20} {connections['mean_per_s']:5} {connections['ratio']:6}"
            f" {messages['peak_per_s']:17} {messages['mean_per_s']:5} {messages['ratio']:6}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
