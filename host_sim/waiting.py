"""Waits for what is to come: the one loop of all that looks until something holds, in whatever time its event loop has."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

LOOK_S = 0.02


async def comes(holds: Callable[[], bool], limit_s: float, check: Callable[[], None] = lambda: None) -> bool:
    """Look until it holds, for at most so long: whether it does. check: done before each further look; what it raises ends the wait."""
    loop = asyncio.get_running_loop()
    end_s = loop.time() + limit_s
    while not holds():
        check()
        if loop.time() >= end_s:
            return False
        await asyncio.sleep(LOOK_S)
    return True
