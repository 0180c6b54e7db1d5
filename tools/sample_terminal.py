"""The terminals on whose pages the samples stand, and the person who walks through their flows."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine, Iterator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from firmware_agent.flows.ui import Ui
from firmware_agent.identity.identity import Identity
from firmware_agent.messages.schema import MAX_NOTICE
from firmware_agent.screens.font import Font
from firmware_agent.screens.page import Page
from firmware_agent.screens.qr import QrCode
from firmware_agent.settings import Settings
from firmware_agent.state.machine import IN_SERVICE, State
from firmware_agent.state.reasons import ACTOR_HOST, ACTOR_POI, Reason
from firmware_agent.store import Store
from firmware_agent.terminal import Terminal
from hal.clock import TRUST_SET
from hal.hal import KINDS, Hal
from host_sim.bench import Bench
from host_sim.boards import board_folders, wiring_of
from host_sim.chips.flash import Flash
from host_sim.platform import in_process_platform
from host_sim.simulated_time import SimulatedTime

if TYPE_CHECKING:
    from firmware_agent.texts import Texts

NOW_S = 1795307700  # 2026-11-22 08:35 in Beijing
SINCE_S = NOW_S - 3 * 86400
UNTIL_S = NOW_S + 5 * 86400
STAND_IN = "esp32s3_counter"  # whose devices a board has that cannot be built in this process; what it does not list is taken away


def boards_with_display() -> list[str]:
    return [board for board, folder in board_folders().items() if "display" in _facts(folder)["parts"]]


def _facts(folder: Path) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads((folder / "board.json").read_text(encoding="utf-8"))
    return facts


class Words(NamedTuple):
    """What people and acquirers write on pages."""

    terminal: str
    case: str
    line: str  # telephone of the acquirer
    phone: str  # telephone of the shop
    name: str
    remark: str
    notice: str
    hardware: str
    crash: str


USUAL = {
    "en": Words(
        "T0000001",
        "C-2026-1107",
        "400-123-4567",
        "138-1234-5678",
        "Wang Fang",
        "The business licence cannot be read.",
        "New merchant fees from 1 December, see our letter.",
        "240ac4000001",
        "ValueError in agent.py:214",
    ),
    "zh-CN": Words(
        "T0000001",
        "C-2026-1107",
        "400-123-4567",
        "138-1234-5678",
        "王芳",
        "营业执照照片不清晰。",
        "12 月 1 日起执行新费率，详见通知函。",
        "240ac4000001",
        "ValueError in agent.py:214",
    ),
}
LONG = Words(
    terminal="12345678",
    case="CASE-2026-00001234",
    line="+86 400-123-4567",
    phone="+86 138-1234-5678",
    name="W" * 32,
    remark="W" * 60,
    notice="W " * (MAX_NOTICE // 2),
    hardware="240ac4000001",
    crash="W" * 40,
)


class Sample(NamedTuple):
    """name: the page's, and after a colon what is special about this one; shown: a page, or the code that takes all of the display."""

    name: str
    shown: Page | QrCode


class WholeFont(Font):
    """The terminal's font with all glyphs that were ever asked for in memory: who measures thousands of pages has room for them."""

    def __init__(self) -> None:
        super().__init__()
        self._glyphs: dict[str, tuple[int, bytes]] = {}

    def glyph(self, character: str) -> tuple[int, bytes]:
        if character not in self._glyphs:
            self._glyphs[character] = super().glyph(character)
        return self._glyphs[character]


class Scene:
    """A terminal of that board, whose memory is emptied for each page: real state, store, notices and settings, on the board's devices.

    words: what people write on its pages; language: of its pages.
    """

    def __init__(self, board: str) -> None:
        facts = _facts(board_folders()[board])
        self.parts: dict[str, Any] = facts["parts"]
        self.time = SimulatedTime(NOW_S)
        build_as = STAND_IN if facts["runtime"] == "cpython" else board
        module = import_module(f"boards.{build_as}.board")
        self.bench = Bench(module.facts(), self.time, wiring_of(build_as))
        self._flash = Flash()
        self.hal: Hal = module.build(in_process_platform(self.bench, self._flash, self.time))
        for kind in KINDS:
            if kind not in self.parts:
                setattr(self.hal, kind, None)
        self.time.run(self.hal.bring_up())
        self.words = LONG
        self.language = "zh-CN"

    @property
    def width_px(self) -> int:
        width_px: int = self.parts["display"]["width_px"]
        return width_px

    @property
    def height_px(self) -> int:
        height_px: int = self.parts["display"]["height_px"]
        return height_px

    def terminal(self, *reasons: Reason, mode: str = IN_SERVICE, **state: object) -> Terminal:
        """A terminal with an empty memory, as it stands in that state; the clock is right, and it is online."""
        for name in list(self._flash.names()):
            self._flash.remove(name)
        store = Store(self.hal.storage)
        store.open()
        words = self.words
        identity = Identity(words.terminal, "acq1", 0, b"", b"", b"", b"", [], "broker", 8883, "broker", bytes(64))
        terminal = Terminal(self.hal, store, identity, lambda line: None)
        terminal.state = State()
        terminal.state.mode = mode
        terminal.state.reasons = reasons
        for field, value in state.items():
            setattr(terminal.state, field, value)
        terminal.online = True
        self.hal.clock.set_wall(NOW_S, True)
        assert self.hal.clock.trust == TRUST_SET
        settings = Settings(store)
        values = {"language": self.language, "service_line": words.line, "contact_phone": words.phone, "contact_name": words.name}
        for name, value in values.items():
            settings.set(name, value)
        return terminal

    def settings(self, terminal: Terminal) -> Settings:
        return Settings(terminal.store)

    def reason(self, code: str, component: str = "") -> Reason:
        """As whoever imposes it tells it."""
        actor = ACTOR_POI if component else ACTOR_HOST
        until = UNTIL_S if code in ("maintenance", "dormant") or self.words is LONG else 0
        return Reason(code, actor, SINCE_S, until, component, "" if component else self.words.case)


class Walker(Ui):
    """A person who presses these keys, one on each page, and then goes away for so long that nobody waits for him: for pages that a flow
    makes on its way. pages: what he saw.
    """

    LOOK_MS = 5000  # that pass when a flow which waits for something else than a key looks whether he is still there
    MOST_LOOKS = 100
    AWAY_MS = 3600 * 1000

    def __init__(self, scene: Scene, texts: Texts, keys: str) -> None:
        super().__init__(scene.hal, texts, lambda line: None)
        self.pages: list[Page] = []
        self._time = scene.time
        self._keys = keys.split()
        self._looks = 0
        self._has_left = False

    def show(self, page: Page) -> None:
        self.pages.append(page)

    async def ask(self, page: Page, outdated: Callable[[], bool], further_keys: tuple[str, ...] = ()) -> str:
        self.pages.append(page)
        self._looks = 0
        self.key_ms = self.clock.monotonic_ms()
        if self._keys:
            key = self._keys.pop(0)
            known = [choice[0] for choice in page.choices] + list(further_keys)
            assert key in known, f"{page.name} knows the keys {known}, and not {key!r}"
            return key
        assert not self._has_left, f"{page.name} is asked of nobody"
        self._has_left = True
        self._time.advance(self.AWAY_MS)
        return ""

    def has_left(self) -> bool:
        self._looks += 1
        self._time.advance(self.LOOK_MS)
        return self._has_left or self._looks > self.MOST_LOOKS


def walked(
    scene: Scene, texts: Texts, flow: Callable[[Ui, Callable[[], bool]], Coroutine[Any, Any, Any]], keys: str = ""
) -> Iterator[Sample]:
    """The pages of a flow, each once, by its name; another one of the same name has a number. Of a page on which something is typed there
    is only what it is in the end. flow: of the person, and whether he left.
    """
    walker = Walker(scene, texts, keys)
    scene.time.run(flow(walker, walker.has_left))
    pages = walker.pages
    nexts = [(page.name, page.title) for page in pages[1:]] + [("", "")]
    pages = [page for page, after in zip(pages, nexts, strict=True) if page.choices or (page.name, page.title) != after]
    seen: dict[str, list[Page]] = {}
    for page in pages:
        like = seen.setdefault(page.name, [])
        if all(vars(page) != vars(other) for other in like):
            like.append(page)
            yield Sample(page.name if len(like) == 1 else f"{page.name}.{len(like)}", page)
