"""Power cuts at any moment of a running terminal: each order is obeyed once, each report arrives, and the state is what was ordered."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from host_sim.terminal import RUNTIMES
from host_sim.world import TERMINAL, Shop
from tests.story.world import run_story, until

ROUNDS = 8
MOST_LINES = 30  # a boot with its self-test and an order says about as many
MOST_WRITES = 60  # and writes to its flash twice as often


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")  # whose task the cut kept from beginning
@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("seed", (1, 2))
def test_orders_survive_power_cuts_at_any_moment(runtime: str, seed: int) -> None:
    random = Random(seed)

    async def story(shop: Shop) -> None:
        storage: Any = shop.terminal.chips["storage"]
        orders = []
        for number in range(ROUNDS):
            action = "lift" if number % 2 else "suspend"
            orders.append(await shop.acquirer.order(TERMINAL, action=action, reason="maintenance"))
            said = len(shop.terminal.lines) + random.randrange(1, MOST_LINES)
            shop.terminal.power_on()
            storage.power_cut(random.randrange(1, MOST_WRITES))
            # The moment is a write, a line of the agent's own log, or the order's receipt, whichever is first. By lines alone power would
            # go where the program waits: in simulated time it does nothing else while time passes.
            await until(
                lambda said=said: not shop.terminal.is_on or len(shop.terminal.lines) >= said or not shop.account.outgoing,
                "a write, a line or the receipt",
            )
            await shop.cut_power()
        shop.terminal.power_on()
        await until(lambda: not shop.account.outgoing, f"all receipts; missing {len(shop.account.outgoing)}")
        await until(lambda: shop.account.state.get("mode") == "commissioning", "the state after the last order")
        for order in orders:
            results = [receipt["result"] for receipt in shop.account.receipts_of(order)]
            assert results.count("SUCC") == 1, results
        assert not shop.acquirer.refused
        assert not any("degraded" in line or "Traceback" in line for line in shop.terminal.lines)

    run_story(story, runtime)
