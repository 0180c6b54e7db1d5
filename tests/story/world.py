"""A terminal with its acquirer and broker, for tests that look closer than a scenario does."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from firmware_agent.links.link import Message
from host_sim.platform import Time
from host_sim.world import Shop, open_shop

LOOK_S = 0.02
LIMIT_S = 90.0  # a machine that is busy takes its time


@contextlib.asynccontextmanager
async def world(runtime: str, broker: str = "embedded", language: str = "en", time: Time | None = None) -> AsyncIterator[Shop]:
    """A provisioned terminal that is still off, its broker and its acquirer. time: see host_sim.world.Backend."""
    board = "esp32s3_counter"
    with tempfile.TemporaryDirectory(prefix="reinstate-") as folder:
        async with open_shop(Path(folder), board=board, runtime=runtime, language=language, broker=broker, tell=print, time=time) as shop:
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
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LIMIT_S):
            while not holds():
                await asyncio.sleep(LOOK_S)
            return
    raise AssertionError(f"did not come: {what}")
