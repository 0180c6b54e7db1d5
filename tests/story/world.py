"""A terminal with its acquirer and broker, for tests that look closer than a scenario does."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

from firmware_agent.links.link import Message
from host_sim.platform import Time
from host_sim.simulated_time import SimulatedTime
from host_sim.waiting import comes
from host_sim.world import Shop, open_shop

BOARD = "esp32s3_counter"
LIMIT_S = 150.0  # of the story's time: longer than three starts that hang until the watchdog ends them, after 30 s each


def run_story(
    story: Callable[[Shop], Coroutine[Any, Any, None]],
    runtime: str,
    broker: str = "embedded",
    *,
    board: str = BOARD,
    time: Time | None = None,
) -> None:
    """What happens to a provisioned terminal that is still off: in simulated time, unless `time` is another."""
    time = time or SimulatedTime()

    async def program() -> None:
        async with world(runtime, broker, board=board, time=time) as shop:
            await story(shop)

    time.run(program())


@contextlib.asynccontextmanager
async def world(runtime: str, broker: str = "embedded", *, board: str = BOARD, time: Time | None = None) -> AsyncIterator[Shop]:
    """A provisioned terminal that is still off, its broker and its acquirer. time: see host_sim.world.Backend."""
    with tempfile.TemporaryDirectory(prefix="reinstate-") as folder:
        async with open_shop(Path(folder), board=board, runtime=runtime, language="en", broker=broker, tell=print, time=time) as shop:
            yield shop


def heard_by(shop: Shop) -> list[Message]:
    """What terminals send to the acquirer from now on; it grows."""
    heard: list[Message] = []
    handle = shop.acquirer.handle

    async def record(message: Message) -> None:
        heard.append(message)
        await handle(message)

    shop.acquirer.handle = record  # type: ignore[method-assign]
    return heard


async def until(holds: Callable[[], bool], what: str) -> None:
    """Wait for it. Raises AssertionError that says what did not come."""
    if not await comes(holds, LIMIT_S):
        raise AssertionError(f"did not come: {what}")
