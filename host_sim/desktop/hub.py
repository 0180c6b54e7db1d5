"""Tells every open page what happens, as server-sent events; one that comes, or that was too slow, gets the whole state first."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

MOST_WAITING = 2000  # events for one page; a page that is further behind begins again with the whole state
KEEP_ALIVE_S = 15.0  # in which a page hears something, so that both ends notice a connection that is dead

Snapshot = Callable[[], dict[str, Any]]


class Hub:
    """snapshot: the whole state, as a page that opens needs it."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._number = 0
        self._pages: set[_Page] = set()
        self._ended = False

    def tell(self, name: str, data: dict[str, Any]) -> None:
        """To every page. To be called in the event loop; never waits."""
        if not self._pages:
            return
        self._number += 1
        text = _event(self._number, name, data)
        for page in self._pages:
            page.put(text)

    def end(self) -> None:
        """No more events: every page's stream ends."""
        self._ended = True
        for page in self._pages:
            page.wake()

    async def events(self) -> AsyncIterator[str]:
        """For one page, until it goes or the hub ends: the whole state, and then each event."""
        page = _Page()
        self._pages.add(page)
        try:
            while not self._ended:
                came = await page.comes(KEEP_ALIVE_S)
                if page.is_behind:
                    page.begin()
                    yield _event(self._number, "snapshot", self._snapshot())
                else:
                    yield page.take() if came else ": still here\n\n"
        finally:
            self._pages.discard(page)


class _Page:
    def __init__(self) -> None:
        self.is_behind = True
        self._waiting: list[str] = []
        self._woken = asyncio.Event()

    def begin(self) -> None:
        """It is told the whole state now: what waited is in that."""
        self.is_behind = False
        self._waiting.clear()

    def put(self, text: str) -> None:
        if len(self._waiting) >= MOST_WAITING:
            self.is_behind = True
        else:
            self._waiting.append(text)
        self._woken.set()

    def wake(self) -> None:
        self._woken.set()

    async def comes(self, limit_s: float) -> bool:
        """Whether there is something for it, within the limit."""
        if not self._waiting and not self.is_behind:
            self._woken.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(limit_s):
                    await self._woken.wait()
        return bool(self._waiting)

    def take(self) -> str:
        """All that waits."""
        text = "".join(self._waiting)
        self._waiting.clear()
        return text


def _event(number: int, name: str, data: dict[str, Any]) -> str:
    return f"id: {number}\nevent: {name}\ndata: {json.dumps(data, ensure_ascii=False, separators=(',', ':'))}\n\n"
