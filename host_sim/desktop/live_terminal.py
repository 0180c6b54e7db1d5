"""One terminal on the desktop: done to it what people do, watched for what it shows, and told in one document."""

from __future__ import annotations

import asyncio
import contextlib
import io
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import zxingcpp
from PIL import Image

from firmware_agent.application.review import DECISIONS
from firmware_agent.screens.font import Font
from host_sim.desktop.account_view import AccountView
from host_sim.desktop.recorder import Reader, Recorder, Sight
from host_sim.desktop.state_folder import KeptTerminal
from host_sim.desktop.traffic import Messages
from host_sim.microcontroller import Microcontroller
from host_sim.reading import UNREADABLE, more_of_picture
from host_sim.scenarios.actions import Actions
from host_sim.scenarios.looking import STILL_S, StepFailed
from host_sim.scenarios.scenario import EXPECTS, Step
from host_sim.terminal import DesktopTerminal, TerminalFailure, text_of_slip
from host_sim.world import SECOND, Backend, Shop

if TYPE_CHECKING:
    from host_sim.chips.escpos_printer import Slip

LOOK_S = 0.04  # 25 times a second
DOCUMENT_LOOKS = 5  # looks between two documents
LOG_LINES = 300  # that a page gets when it opens
DRAWN_S = 0.3  # in which a page is drawn: longer than that nobody waits before he acts
DARK = (24, 26, 28)  # a display without power
WAITING = ("carry_out", "hostile", "review", "broker", "type")  # verbs that wait for something: others may be done meanwhile
TellPage = Callable[[str, dict[str, Any]], None]


class LiveTerminal:
    """A shop with one terminal. folder: empty, unless `kept` tells what lies there; tell_page: takes the name and the data of each event.

    id: its number; messages: those that passed; actions: what can be done to it; on_done: called after each. running: off, and provisioned.
    """

    def __init__(
        self,
        backend: Backend,
        folder: Path,
        *,
        number: str,
        board: str,
        runtime: str,
        language: str,
        tell_page: TellPage,
        kept: KeptTerminal | None = None,
    ) -> None:
        self.id = number
        self.messages = Messages()
        shop = kept.shop if kept is not None else None
        self.shop = Shop(backend, folder, board=board, runtime=runtime, language=language, name=number, tell=self.log, kept=shop)
        self.actions = Actions(self.shop)
        self.on_done: Callable[[], None] = lambda: None
        self._kept = kept
        self._tell_page = tell_page
        self._began = time.monotonic()
        self._lines: deque[dict[str, Any]] = deque(maxlen=LOG_LINES)
        self._reader = Reader(language)
        self._recorder = Recorder(board, runtime, self._reader)
        self._font = Font()
        self._turn = asyncio.Lock()
        self._failure = ""
        self._card = self._code = ""
        self._frame = self._drawn = 0
        self._still_since = 0.0
        self._was_on = False
        self._paper = (0, 0)
        self._hz = 0
        self._told: dict[str, Any] = {}
        self._mode, self._mode_since = "", 0.0

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """For as long as it is entered. Raises TerminalFailure, OSError: it cannot be set up."""
        async with self.shop.running():
            self._view = AccountView(self.shop.acquirer, self.id, None if self._kept is None else self._kept.since)
            if self._kept is not None:
                self.actions.code, self.actions.notices, self.actions.decided = self._kept.code, self._kept.notices, self._kept.decided
                self._view.decided = {int(number): status for number, status in self._kept.decisions.items()}
            yield
        self._font.close()

    @property
    def kept(self) -> KeptTerminal:
        """As it is now; only while it runs."""
        shop, actions = self.shop, self.actions
        decisions = {str(number): status for number, status in self._view.decided.items()}
        facts = (shop.folder.name, shop.board, shop.runtime, shop.language, self._view.since, shop.kept)
        return KeptTerminal(*facts, actions.code, actions.notices, actions.decided, decisions)

    @property
    def terminal(self) -> DesktopTerminal:
        return self.shop.terminal

    def hardware_ids(self) -> tuple[str, ...]:
        """By which its devices are called on topics before they have a number."""
        return tuple(device.bench.unique_id.hex() for device in self.shop.devices.values() if isinstance(device, Microcontroller))

    # What is done to it.

    async def do(self, step: Step) -> None:
        """Carry out a step, and write it down. Raises StepFailed, TerminalFailure: it could not be done."""
        if step.verb.startswith(EXPECTS):
            raise StepFailed(f"{step.verb} is for scenario files: it does nothing")
        try:
            if step.verb in WAITING:
                await self._do(step)
            else:
                async with self._turn:  # two keys are pressed in the order in which they came
                    await self._do(step)
        finally:
            self.on_done()

    async def _do(self, step: Step) -> None:
        begun = time.monotonic()
        sight = await self._sight(draws=step.verb != "let_go")
        await self.actions.do(step)
        if step.verb == "card":
            self._card = str(step.argument)
        elif step.verb == "code":
            self._code = str(step.argument)
        elif step.verb == "review":
            assert isinstance(step.argument, dict)
            if step.argument["status"] in DECISIONS:
                self._view.decided[self.actions.decided] = step.argument["status"]
        elif step.verb == "boot":
            self._failure = ""
        elif step.verb == "factory_new":
            self._failure = ""
            self._view = AccountView(self.shop.acquirer, self.id)
        elif step.verb in ("fault", "device"):
            self._frame += 1  # what is broken shows at once, whether anything is drawn or not
            self._tell_display()
        self._recorder.did(step.verb, step.argument, sight, begun)

    async def _sight(self, draws: bool = True) -> Sight | None:
        """What a person sees who is about to act; None while it is off. draws: what is being drawn is waited for."""
        if not self.terminal.is_on:
            return None
        display = self.terminal.chips["display"]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAWN_S):
                while draws and (time.monotonic() - self._still_since < STILL_S or display.frames_changed != self._drawn):
                    await asyncio.sleep(LOOK_S / 2)
        picture = display.picture()
        sight = self._reader.sight(self.terminal.screen(), not more_of_picture(picture, self._font)[0])
        return sight._replace(mode=self._mode, since=self._mode_since)

    async def recording(self) -> str:
        """The scenario of what was done."""
        return self._recorder.scenario(await self._sight())

    # What it shows.

    def display(self) -> bytes:
        """As PNG, pixel by pixel."""
        picture: Image.Image = self.terminal.chips["display"].picture()
        return _png(picture if self.terminal.is_on else Image.new("RGB", picture.size, DARK))

    def screen(self) -> dict[str, Any]:
        """Its text, and which page that is: '' where it is none, or where `pages` is several that cannot be told apart by their texts."""
        lines = self.terminal.screen() if self.terminal.is_on else []
        pages = self._reader.pages(lines)
        return {"lines": lines, "page": pages[0] if len(pages) == 1 else "", "pages": pages}

    @property
    def slips(self) -> list[Slip]:
        """The last one may hang out of the printer still."""
        printer = self.terminal.chips.get("printer")
        if printer is None:
            return []
        return [*printer.cut_slips, *([printer.slip()] if printer.slip().items else [])]

    def slip_picture(self, number: int) -> bytes:
        """As PNG, a pixel for each dot. Raises IndexError."""
        return _png(self.slips[number].picture())

    def slip_text(self, number: int) -> dict[str, Any]:
        """What can be read on it: pictures are no text. Raises IndexError."""
        slip = self.slips[number]
        codes = zxingcpp.read_barcodes(slip.picture().convert("L"), formats=zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode))
        return {"codes": [code.text for code in codes], "text": [line for line in text_of_slip(slip, self._font) if UNREADABLE not in line]}

    # Watching it.

    async def watch(self) -> None:
        """Tell the pages what changes, for ever."""
        looks = 0
        while True:
            self._check()
            self._look()
            if looks % DOCUMENT_LOOKS == 0:
                self.tell_document()
            looks += 1
            await asyncio.sleep(LOOK_S)

    def _check(self) -> None:
        """A program that has ended is told once; what of it still runs is stopped."""
        try:
            self.terminal.check()
        except TerminalFailure as error:
            if not self._failure:
                self._failure = str(error)
                self.log("terminal", self._failure)
                self._stopping = asyncio.create_task(self.shop.cut_power())

    def _look(self) -> None:
        chips, is_on = self.terminal.chips, self.terminal.is_on
        drawn = chips["display"].frames_changed
        if (drawn, is_on) != (self._drawn, self._was_on):
            self._drawn, self._was_on = drawn, is_on
            self._still_since = time.monotonic()
            self._frame += 1
            self._tell_display()
        slips = self.slips
        paper = (len(slips), slips[-1].height_dots if slips else 0)
        if paper != self._paper:
            self._paper = paper
            self._tell_page("paper", {"id": self.id, "slips": paper[0], "lines": paper[1]})
        hz = chips["sounder"].sounding if "sounder" in chips and is_on else 0
        if hz != self._hz:
            self._hz = hz
            self._tell_page("sound", {"id": self.id, "hz": hz})

    def _tell_display(self) -> None:
        self._tell_page("display", {"id": self.id, "frame": self._frame})

    def tell_document(self) -> None:
        """If anything of it has changed but what has events of its own."""
        document = self.document()
        told = {name: value for name, value in document.items() if name not in ("frame", "slips", "lines", "hz")}
        if told != self._told:
            self._told = told
            if document["account"]["mode"] != self._mode:
                self._mode, self._mode_since = document["account"]["mode"], time.monotonic()
            self._tell_page("terminal", document)

    def log(self, who: str, line: str) -> None:
        entry = {"at": int((time.monotonic() - self._began) * 1000), "who": who, "line": line}
        self._lines.append(entry)
        self._tell_page("log", {"id": self.id, **entry})

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Of the log, the last ones."""
        return list(self._lines)

    def document(self) -> dict[str, Any]:
        """All that a page shows of it, but pictures and log."""
        shop, chips = self.shop, self.terminal.chips
        cards = getattr(chips.get("card_reader"), "cards", ())
        notices = [passed for passed in self.messages if passed.kind == "notice" and passed.claims is not None]
        account = self._view.document(shop.account)
        account["notices"] = [
            {"at": passed.claims.issued_at, "verdict": passed.verdict, **passed.claims.body} for passed in notices if passed.claims
        ]
        return {
            "id": self.id,
            "name": self.id,
            "board": shop.board,
            "runtime": shop.runtime,
            "language": shop.language,
            "device": SECOND if self.terminal is shop.devices.get(SECOND) else "first",
            "on": self.terminal.is_on,
            "failure": self._failure,
            "frame": self._frame,
            "slips": self._paper[0],
            "lines": self._paper[1],
            "hz": self._hz,
            "devices": list(self.terminal.facts["parts"]),
            "faults": self._faults(),
            "card": self._card if cards else "",
            "code": self._code if getattr(chips.get("scanner"), "holds_code", False) else "",
            "uplink": {"up": shop.uplink.is_up, "latency_ms": shop.uplink.latency_ms},
            "steps": self._recorder.actions,
            "account": account,
            "activation_code": self.actions.code,
        }

    def _faults(self) -> list[dict[str, Any]]:
        faults = []
        for device, thing in self.shop.breakable.items():
            for name, fault in thing.FAULTS.items():
                facts = {"device": device, "name": name, "seen": fault.seen, "cause": fault.cause}
                faults.append(facts | {"habit": False, "on": thing.has(name)})
            for name, seen in thing.HABITS.items():
                faults.append({"device": device, "name": name, "seen": seen, "cause": "", "habit": True, "on": thing.has(name)})
        return faults


def _png(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG", compress_level=1)
    return file.getvalue()
