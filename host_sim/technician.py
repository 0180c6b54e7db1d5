"""A person before a desktop terminal, who does what the self-test asks for and answers truthfully by what can be seen, heard and read."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Coroutine, Mapping
from random import Random
from typing import Any

from PIL import Image

from firmware_agent.texts import load
from host_sim.chips.cards import PaymentCard
from host_sim.terminal import DesktopTerminal

CODE = "6901234567892"  # on what lies at hand to be scanned
FIRST, LAST, YES, NO = "enter", "cancel", "enter", "cancel"
LINES, WRONG_COLOURS = "2", "3"  # answers to exam.display.seen
REACTION_MS = (20, 120)  # a quick person: what matters is that it is never the same
STILL_MS = 60  # a picture that has not changed for so long is looked at
LOOKS = 40
PATIENT_LOOKS = 12  # at a picture that stands still half drawn, or has a stripe
PATIENCE_S = 2.0  # after which a person presses again
PRESSES = 5
DARK = 60  # brightest channel of a display that shows nothing
SAME = 48  # difference of a channel that a person does not see as another colour


class Technician:
    """Hears of each page by the terminal's log, as someone who has the guide at hand: a dark display keeps nobody from going on.

    terminal: whose chips' back faces are seen and touched; language: of its screens; random: how quick, and in which order.
    """

    def __init__(self, terminal: DesktopTerminal, language: str, random: Random) -> None:
        self._terminal = terminal
        self._texts = load(language)
        self._random = random
        self._tasks: set[asyncio.Task[None]] = set()
        self._seen: list[tuple[int, Image.Image]] = []  # colour that was to be shown, and the picture
        self._shown = 0  # colours
        self._keys_begun = False
        self._heard = 0  # lines of the log
        self._tones = 0

    def heard(self, line: str) -> None:
        """A line of the terminal's log."""
        self._heard += 1
        if line.startswith("self-test keypad.keys "):
            self._keys_begun = False
        shows = re.match(r"shows (?:exam\.)?(\S+) ?(\S*)", line)
        if shows is None:
            return
        page = shows[1].replace(".", "_")
        if page == "colour":
            self._do(self._look_at(int(shows[2], 16)))
        elif hasattr(self, "_on_" + page):
            self._do(getattr(self, "_on_" + page)())

    async def leave(self) -> None:
        """Whatever is still being done is left undone."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _do(self, action: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(action)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    @property
    def _chips(self) -> Mapping[str, Any]:
        return self._terminal.chips

    async def _react(self) -> None:
        await asyncio.sleep(self._random.uniform(*REACTION_MS) / 1000)

    async def _press(self, key: str) -> None:
        await self._react()
        self._chips["keypad"].tap(key)

    async def _answer(self, key: str) -> None:
        """Press a key until the terminal goes on: what is pressed while a program is busy may be missed."""
        heard = self._heard
        for _ in range(PRESSES):
            await self._press(key)
            await asyncio.sleep(PATIENCE_S)
            if self._heard != heard:
                return

    # The display.

    async def _on_display_begin(self) -> None:
        self._seen.clear()
        await self._answer(FIRST)

    async def _look_at(self, colour: int) -> None:
        """Wait until the picture stands still, remember it, and go on. A colour that was gone before it was looked at was not seen."""
        display = self._chips["display"]
        shown = self._shown = self._shown + 1
        changed = -1
        still = 0
        for _ in range(LOOKS):
            still = still + 1 if changed == display.frames_changed else 0
            # A picture of one colour is whole; of any other a person waits whether it goes on being drawn.
            if still and (still == PATIENT_LOOKS or _is_plain(display.picture().convert("RGB"))):
                break
            changed = display.frames_changed
            await asyncio.sleep(STILL_MS / 1000)
        if shown == self._shown:
            self._seen.append((colour, display.picture().convert("RGB")))
            await self._press("down")

    async def _on_display_seen(self) -> None:
        self._shown += 1
        await self._answer(self._verdict())

    def _verdict(self) -> str:
        extremes = [[_span(channel) for channel in picture.split()] for _, picture in self._seen]
        if all(channel[1] < DARK for picture in extremes for channel in picture):
            return LAST
        if not all(_is_plain(picture) for _, picture in self._seen):
            return LINES
        for (colour, _), picture in zip(self._seen, extremes, strict=True):
            wanted = (colour >> 16, colour >> 8 & 0xFF, colour & 0xFF)
            if any((channel[0] > 127) != (want > 127) for channel, want in zip(picture, wanted, strict=True)):
                return WRONG_COLOURS
        return FIRST

    # The keypad.

    async def _on_keypad_keys(self) -> None:
        """The page comes again after each key: its keys are pressed in any order, and those that may have been missed once more."""
        if self._keys_begun:
            return
        self._keys_begun = True
        keypad = self._chips["keypad"]
        keys = list(keypad.keys)
        for _ in range(2):
            self._random.shuffle(keys)
            for key in keys:
                if not self._keys_begun:
                    return
                await self._press(key)
            while not keypad.idle:
                await self._react()
            await asyncio.sleep(PATIENCE_S)

    async def _on_keypad_hold(self) -> None:
        keypad = self._chips["keypad"]
        rows = self._terminal.facts["parts"]["keypad"]["keys"]
        while not keypad.idle:  # fingers are still busy with the keys before
            await self._react()
        for key in (rows[0][0], rows[0][1], rows[1][0]):
            await self._react()
            keypad.press(key)

    async def _on_keypad_release(self) -> None:
        keypad = self._chips["keypad"]
        for key in keypad.keys:
            keypad.release(key)

    # Paper, codes, cards and tones.

    async def _on_printer_seen(self) -> None:
        wanted = "".join(self._texts.get("slip.no_value").split())
        await self._answer(YES if wanted in "".join("".join(self._terminal.slip()).split()) else NO)

    async def _on_scanner_hold(self) -> None:
        await self._react()
        self._chips["scanner"].present(CODE)

    async def _on_card_reader_hold(self) -> None:
        await self._react()
        reader = self._chips["card_reader"]
        reader.remove_card()
        reader.insert_card(PaymentCard())

    async def _on_sounder_begin(self) -> None:
        self._tones = len(self._chips["sounder"].heard)
        await self._answer(FIRST)

    async def _on_sounder_heard(self) -> None:
        await self._answer(YES if len(self._chips["sounder"].heard) > self._tones else NO)


def _is_plain(picture: Image.Image) -> bool:
    """Whether a person sees one colour."""
    return all(brightest - darkest <= SAME for darkest, brightest in (_span(channel) for channel in picture.split()))


def _span(channel: Image.Image) -> tuple[int, int]:
    """The darkest and the brightest value of a channel."""
    values = [value for value, count in enumerate(channel.histogram()) if count]
    return values[0], values[-1]
