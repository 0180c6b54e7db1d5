"""What befalls the microcontroller itself, whatever its chips do: a supply that breaks down, and a program that crashes or hangs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from host_sim.chips.faces import Chip, Fault

if TYPE_CHECKING:
    from host_sim.bench import Bench

LIGHT = ("display", "keypad", "network", "storage", "clock", "secure_element")  # devices that a supply that is weak still carries


class Hang(BaseException):
    """A call that never returns, and no watchdog that ends it. No program can handle it."""


class Mishaps(Chip):
    """The bench tells `used` of each device that the program turns to."""

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench.now_ms)
        self._bench = bench

    def used(self, kind: str) -> None:
        """kind: of the device, as in board.json."""


class Power(Mishaps):
    """The supply of the terminal. What it does to a program is what any power cut does."""

    FAULTS = {
        "brownouts": Fault(
            "the voltage breaks down, and comes back, as soon as anything but display, keys and radio is in use", "brownout", "power"
        ),
        "weak_supply": Fault("the voltage breaks down, and comes back, as soon as the radio starts", "brownout", "power"),
    }

    def used(self, kind: str) -> None:
        if (self.has("brownouts") and kind not in LIGHT) or (self.has("weak_supply") and kind == "network"):
            self._bench.power_cycle()
            self._bench.stop_program("the supply broke down")


class Program(Mishaps):
    """The program on the terminal, with a defect that shows when it turns to anything but display, keys and radio."""

    FAULTS = {
        "crash": Fault("the terminal starts again and again: its program ends with an error", "boot_loop", "firmware"),
        "hang": Fault("the terminal stands still until its watchdog starts it again, and again", "boot_loop", "firmware"),
        "radio_crash": Fault("the program ends with an error each time the radio starts", "boot_loop", "firmware"),
    }

    def used(self, kind: str) -> None:
        if (self.has("crash") and kind not in LIGHT) or (self.has("radio_crash") and kind == "network"):
            raise RuntimeError("a defect of the program")
        if self.has("hang") and kind not in LIGHT:
            self._bench.hang()
