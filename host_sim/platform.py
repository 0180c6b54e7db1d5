"""A platform over a bench, for a board that runs in this process."""

from __future__ import annotations

import asyncio
import time as system_time
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from hal.files import Files
from hal.platform import Platform
from host_sim.chips.flash import Flash
from host_sim.machine.machine import NET_RESOLVE, Machine
from host_sim.machine.network import Network
from host_sim.simulated_time import SEED, TICKS_HALF, TICKS_PERIOD, SimulatedTime

if TYPE_CHECKING:
    from host_sim.machine.machine import Port

T = TypeVar("T")


class RealTime:
    """The calls of MicroPython's time module that the terminal uses, on the machine's own clock."""

    def __init__(self) -> None:
        self._skipped_ms = 0

    def now_ms(self) -> int:
        """Milliseconds that never wrap."""
        return system_time.monotonic_ns() // 1_000_000 + self._skipped_ms

    def ticks_ms(self) -> int:
        return self.now_ms() % TICKS_PERIOD

    def ticks_diff(self, later: int, earlier: int) -> int:
        return (later - earlier + TICKS_HALF) % TICKS_PERIOD - TICKS_HALF

    def time(self) -> int:
        return int(system_time.time())

    async def sleep_ms(self, duration_ms: int) -> None:
        await asyncio.sleep(duration_ms / 1000)

    def advance(self, duration_ms: int) -> None:
        """Skip what nobody wants to sit through: for whoever asks this object it has passed."""
        self._skipped_ms += duration_ms

    def run(self, program: Coroutine[Any, Any, T]) -> T:
        return asyncio.run(program)


Time = RealTime | SimulatedTime
TIMES = ("simulated", "real")


def time_of_name(name: str, seed: int = SEED) -> Time:
    """name: one of TIMES; seed: of chance in simulated time."""
    return SimulatedTime(seed=seed) if name == "simulated" else RealTime()


def in_process_platform(
    bench: Port,
    files: Files | Flash,
    time: Time | None = None,
    sleep_ms: Callable[[int], Awaitable[None]] | None = None,
    program: Files | None = None,
    spare: Files | None = None,
) -> Platform:
    """What a board's build() is handed. bench: one, or a way to one; time: a SimulatedTime (the bench's, too), or the
    machine's own; sleep_ms: how to wait in that time, unless `time` has a sleep_ms of its own; program: what is on the device, or this
    source tree; spare: the folder for a newer one.
    """
    time = time or RealTime()
    return Platform(
        machine=Machine(bench),
        network=Network(bench),
        time=time,
        sleep_ms=sleep_ms or time.sleep_ms,
        files=files,  # type: ignore[arg-type]  # Flash keeps to the calls of Files
        resolve=lambda host: bench.transact(NET_RESOLVE, 0, 0, host.encode())[1].decode(),
        program=program or Files(str(Path(__file__).parent.parent)),
        spare=spare,
    )
