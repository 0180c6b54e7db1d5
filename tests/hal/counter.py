"""A counter terminal on a bench in simulated time: its devices built by the unmodified board."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

from boards.esp32s3_counter import board
from hal.hal import Hal
from host_sim.bench import Bench
from host_sim.chips.flash import Flash
from host_sim.platform import in_process_platform
from host_sim.simulated_time import SimulatedTime

T = TypeVar("T")


class Counter:
    def __init__(self) -> None:
        self.time = SimulatedTime()
        self.bench = Bench(board.facts(), self.time)
        self.flash = Flash()
        self.bench.chips["storage"] = self.flash

    def hal(self) -> Hal:
        """The devices, not brought up: a program that has just started."""
        return board.build(in_process_platform(self.bench, self.flash, self.time))

    def run(self, program: Coroutine[Any, Any, T]) -> T:
        return self.time.run(program)


async def enabled(device: Any) -> Any:
    """The device, brought up."""
    device.open()
    device.claim()
    await device.enable()
    return device
