"""One terminal on the desktop, whatever it is made of: switched on and off, watched, and read as a person reads it."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firmware_agent.screens.font import Font
from firmware_agent.selftest.firmware_image import MANIFEST_NAME
from hal.hal import Hal
from host_sim.chips.escpos_printer import Raster, Slip, TextLine
from host_sim.chips.faces import Breakable
from host_sim.platform import RealTime, Time
from host_sim.provision import factory, provision
from host_sim.reading import text_of_picture, text_of_raster

if TYPE_CHECKING:
    from host_sim.acquirer.acquirer import Acquirer
    from host_sim.pki import TestAuthority

RUNTIMES = ("micropython", "cpython")


class TerminalFailure(Exception):
    """The agent could not be started, or ended by itself; the message holds the end of what it said."""


class DesktopTerminal:
    """board: id, see host_sim.boards; folder: empty, or one that a terminal of this board used before; log: each line of the agent's;
    time: of all that it is made of, the machine's own unless given.

    facts: of the board; chips: the models by the kind of the device, each with its own back face; buses: the wires by the board's names;
    breakable: all that can be broken, by the name of the device or the component; lines: what the agent said so far; device: the folder of
    its program; data: of its storage.
    """

    RUNTIMES: tuple[str, ...] = ()  # that this kind of terminal runs
    HAS_SIMULATED_TIME = False  # whether this kind can be in any time but the machine's own
    WHY_NOT_KEPT = ""  # of this kind nothing is left when the desktop's program ends: why
    data: Path

    def __init__(self, board: str, runtime: str, folder: Path, log: Callable[[str], None], time: Time | None = None) -> None:
        self.check_runtime(board, runtime)
        self.time = time or RealTime()
        if not self.HAS_SIMULATED_TIME and not isinstance(self.time, RealTime):
            raise TerminalFailure(f"board {board} has no simulated time")
        self.board = importlib.import_module(f"boards.{board}.board")
        self.facts: dict[str, Any] = self.board.facts()
        self.runtime = runtime
        self.chips: Mapping[str, Any] = {}
        self.buses: Mapping[str, Breakable] = {}
        self.breakable: Mapping[str, Breakable] = {}
        self.lines: list[str] = []
        self.on_power_lost: Callable[[bool], None] = lambda goes: None  # without `power_off`: True, and False when the agent has ended
        self.folder = folder
        self.device = folder / "device"
        self._log = log
        self._font = Font()
        self._task: asyncio.Task[None] | None = None
        self._failure: TerminalFailure | None = None

    @classmethod
    def check_runtime(cls, board: str, runtime: str) -> None:
        """Raises TerminalFailure where this kind of terminal, or this machine, has no such runtime."""
        if runtime not in cls.RUNTIMES:
            raise TerminalFailure(f"board {board} has no runtime {runtime!r}; it has: {', '.join(cls.RUNTIMES)}")

    async def set_up(self) -> None:
        """Make everything there that the terminal has when it is switched on. Raises TerminalFailure."""

    def keep(self) -> None:
        """From now on all of it that outlasts a power cut lies in its folder, and is what lies there already."""

    async def take_down(self) -> None:
        """Power off, and nothing of it goes on."""
        await self.power_off()

    def hal(self) -> Hal:
        """The board's devices, built in this process on this terminal's hardware and flash."""
        raise NotImplementedError

    async def provision(
        self, terminal: str, acquirer: Acquirer, authority: TestAuthority, broker_port: int, settings: dict[str, str], pin: str
    ) -> None:
        """As it leaves the installer: see host_sim.provision. Raises TerminalFailure."""
        await provision(self.hal(), terminal, acquirer, authority, broker_port, settings, pin)

    async def leave_factory(self, acquirer: Acquirer, authority: TestAuthority, broker_port: int, settings: dict[str, str]) -> None:
        """A device that is nobody's yet: see host_sim.provision."""
        await factory(self.hal(), acquirer, authority, broker_port, settings)

    def seal(self, manifest: bytes) -> None:
        """Put the signed list of the program's files beside them."""
        (self.device / MANIFEST_NAME).write_bytes(manifest)

    # Power.

    def power_on(self) -> None:
        """Power to the hardware, and the agent starts. Raises TerminalFailure when there is no runtime."""
        self._failure = None
        self._task = asyncio.create_task(self._run())

    async def power_off(self) -> None:
        """Cut the power: what was not on flash is gone."""
        task, self._task = self._task, None
        if task is None:
            return
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    @property
    def is_on(self) -> bool:
        return self._task is not None

    def check(self) -> None:
        """Raises what ended the agent, if it has ended, and a crash that no fault was to cause: neither comes by itself."""
        if self._failure is not None:
            raise self._failure
        if self._task is not None and self._task.done():
            task, self._task = self._task, None
            task.result()
            raise TerminalFailure("the agent ended by itself; its last lines:\n" + "\n".join(self.lines[-8:]))

    async def _run(self) -> None:
        """Start after start, for as long as there is power."""
        raise NotImplementedError

    def crash_is_expected(self) -> bool:
        """Whether a fault is on that makes the program crash."""
        return False

    def _heard(self, line: str) -> None:
        self.lines.append(line)
        if line.startswith("crash ") and not self.crash_is_expected():
            self._failure = TerminalFailure(f"the program ended with an error: {line}")
        self._log(line)

    # What a person sees.

    def screen(self) -> list[str]:
        """The text that stands on the display, read from its pixels."""
        return text_of_picture(self.chips["display"].picture(), self._font)

    def slip(self) -> list[str]:
        """The text on the slip that was cut last, or hangs out of the printer."""
        return text_of_slip(self.chips["printer"].last_slip(), self._font)


def facts_of(board: str) -> dict[str, Any]:
    facts: dict[str, Any] = importlib.import_module(f"boards.{board}.board").facts()
    return facts


def runtime_of(board: str) -> str:
    """What a board is made for."""
    runtime: str = facts_of(board)["runtime"]
    return runtime


def runtimes_of(board: str) -> tuple[str, ...]:
    """That it can be run on."""
    return _kind_of(board).RUNTIMES


def _kind_of(board: str) -> type[DesktopTerminal]:
    if runtime_of(board) == "micropython":
        from host_sim.microcontroller import Microcontroller

        return Microcontroller
    from host_sim.linux.machine import LinuxMachine

    return LinuxMachine


def check_runtime(board: str, runtime: str) -> None:
    """Raises TerminalFailure where this board, or this machine, has no such runtime."""
    _kind_of(board).check_runtime(board, runtime)


def has_simulated_time(board: str) -> bool:
    """Whether a terminal of that board can be in any time but the machine's own."""
    return _kind_of(board).HAS_SIMULATED_TIME


def why_not_kept(board: str) -> str:
    """Why a terminal of that board is not there any more when the desktop's program is started again; '' where it is."""
    return _kind_of(board).WHY_NOT_KEPT


def desktop_terminal(board: str, runtime: str, folder: Path, log: Callable[[str], None], time: Time | None = None) -> DesktopTerminal:
    """A terminal of that board: arguments as of DesktopTerminal. Raises TerminalFailure for a runtime that the board does not have."""
    return _kind_of(board)(board, runtime, folder, log, time)


def text_of_slip(slip: Slip, font: Font) -> list[str]:
    """The lines of a slip in their order, whether they were printed as text or as raster."""
    lines: list[str] = []
    strips: Raster | None = None
    for item in [*slip.items, None]:
        if isinstance(item, Raster) and strips is not None and item.width_dots == strips.width_dots:
            strips.bits += item.bits
            continue
        if strips is not None:
            lines += text_of_raster(strips.width_dots, strips.height_dots, bytes(strips.bits), font)
            strips = None
        if isinstance(item, Raster):
            strips = Raster(item.width_dots, bytearray(item.bits), item.align)
        elif isinstance(item, TextLine) and item.text.strip():
            lines.append(item.text.strip())
    return lines
