"""How a person looks at a shop's terminal: waits for what is to come, reads the display and scrolls it, reads the slip."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

from firmware_agent.screens.font import Font
from firmware_agent.texts import load as load_texts
from host_sim.reading import UNREADABLE, joined, more_of_picture
from host_sim.waiting import LOOK_S, comes
from host_sim.world import Shop

STEP_TIMEOUT_S = 60.0  # longer than any single wait of the agent's: a card is awaited for 30 s
SCROLL_S = 2.0  # in which a page that is asked has moved
STILL_S = 0.08  # longer than drawing one row takes
TITLE_ROWS = (1, 2, 3)  # that a title may take
PICTURE = "(a picture)"


class StepFailed(Exception):
    """What was to be done cannot be, or what was expected did not come; the message says what was there instead."""


class Onlooker:
    """Before the terminal that a shop has in hand."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self._texts = load_texts(shop.language)
        self._font = Font()

    async def until(self, holds: Callable[[], bool], otherwise: Callable[[], str]) -> None:
        """Wait until it holds, or the agent ends, or STEP_TIMEOUT_S is over: StepFailed with what was there instead."""
        if not await comes(holds, STEP_TIMEOUT_S, self._shop.check):
            raise StepFailed(otherwise())

    async def until_mode(self, mode: str) -> None:
        """The state that the acquirer has verified is in that mode."""
        account = self._shop.account
        await self.until(lambda: account.state.get("mode") == mode, lambda: f"the verified state is {account.state.get('mode')}")

    def text(self, key: str) -> str:
        """In the terminal's language. Raises StepFailed: there is none, or it needs values."""
        try:
            return self._texts.get(key)
        except KeyError as error:
            raise StepFailed(f"no text {key!r}, or one that needs values ({error})") from error

    async def until_page(self, name: str) -> list[str]:
        """The page of that name is on the display: its title stands at the top. Gives its lines. Raises StepFailed."""
        wanted = squeezed(self.text(name + ".title"))
        return await self._until_shown(
            name + ".title", lambda lines: wanted in [squeezed("".join(lines[:rows])) for rows in TITLE_ROWS], False
        )

    async def until_text(self, key: str) -> list[str]:
        """The text is on the display; gives its lines. A page longer than the display is read on. Raises StepFailed."""
        wanted = squeezed(self.text(key))
        return await self._until_shown(key, lambda lines: wanted in squeezed("".join(lines)), True)

    async def _until_shown(self, key: str, shows: Callable[[list[str]], bool], reads_on: bool) -> list[str]:
        """Of a page longer than the display a person looks at the top, and with `reads_on` goes on if that may help."""
        lines: list[str] = []
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STEP_TIMEOUT_S):
                while not shows(lines):
                    self._shop.check()
                    await asyncio.sleep(LOOK_S)
                    lines = await self._read(shows, reads_on)
        if not shows(lines):
            raise StepFailed(f"the display does not show {self.text(key)!r} but {lines}")
        await self.until_drawn()
        return lines if any(self._more()) else self._shop.terminal.screen()

    async def until_drawn(self) -> None:
        """Until the display has stood still for a while: a page is drawn row by row."""
        drawn = -1
        while drawn != self._display.frames_changed:
            drawn = self._display.frames_changed
            await asyncio.sleep(STILL_S)

    def slip(self) -> list[str]:
        """The lines of the slip; what is no text is told as one picture."""
        lines: list[str] = []
        for line in self._shop.terminal.slip() if "printer" in self._shop.terminal.chips else []:
            if UNREADABLE not in line:
                lines.append(line)
            elif lines[-1:] != [PICTURE]:
                lines.append(PICTURE)
        return lines

    @property
    def _display(self) -> Any:
        return self._shop.terminal.chips["display"]

    async def _read(self, shows: Callable[[list[str]], bool], reads_on: bool) -> list[str]:
        """The lines of a page from its top; `reads_on`: until they show it, or the page ends."""
        while self._more()[0] and await self._scrolled("up"):
            pass
        windows = [self._shop.terminal.screen()]
        while reads_on and not shows(joined(windows)):
            if not self._more()[1] or not await self._scrolled("down"):
                break
            windows.append(self._shop.terminal.screen())
        return joined(windows)

    def _more(self) -> tuple[bool, bool]:
        """Whether the page goes on above and below what is seen."""
        return more_of_picture(self._display.picture(), self._font)

    async def _scrolled(self, key: str) -> bool:
        """A person taps the key, and looks whether the page moves: on a page that only waits, it does not."""
        keypad: Any = self._shop.terminal.chips["keypad"]
        drawn = self._display.frames_changed
        keypad.tap(key)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SCROLL_S):
                while self._display.frames_changed == drawn:
                    await asyncio.sleep(LOOK_S)
                await self.until_drawn()
                return True
        return False


def squeezed(text: str) -> str:
    """Without blanks: where a text was wrapped does not matter."""
    return "".join(text.split())
