"""The two faces of a chip model: the bus face that a driver meets, and the back face for people and tests.

A model speaks its chip's own protocol on the bus face and knows no driver. On the back face it has methods of its own
(`press`, `paper_out`, `insert_card`), the faults that it can show, listed in `FAULTS`, and in `HABITS` the ways of sound parts that a
driver has to live with. Both are switched on by name.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar


@dataclass(frozen=True)
class Fault:
    """A defect. seen: what a person would see; cause: the word by which a good self-test names it (firmware_agent/selftest/diagnosis.py);
    component: what it is to name as broken, where that is not the device whose chip this is.
    """

    seen: str
    cause: str
    component: str = ""


class Breakable:
    """A chip, a wire, the way to the acquirer: what can have faults. FAULTS: name -> Fault, which a self-test has to find; HABITS: name ->
    what a person would see of it, and no self-test may complain of. Where one shows, `self.has("name")` is asked.
    """

    FAULTS: ClassVar[dict[str, Fault]] = {}
    HABITS: ClassVar[dict[str, str]] = {}
    # Faults that do not show, or keep the acquirer's orders away, unless they come about while the terminal is in service.
    BREAK_IN_SERVICE: ClassVar[frozenset[str]] = frozenset()

    def __init__(self) -> None:
        self._faults: set[str] = set()

    def fault(self, name: str, on: bool = True) -> None:
        """Switch a fault or a habit on or off. Raises ValueError with the list of what exists."""
        if name not in self.FAULTS and name not in self.HABITS:
            raise ValueError(f"{type(self).__name__} has no fault {name!r}; it has: {', '.join(sorted([*self.FAULTS, *self.HABITS]))}")
        (self._faults.add if on else self._faults.discard)(name)

    def has(self, name: str) -> bool:
        return name in self._faults


class Chip(Breakable):
    """now_ms: the chip's own sense of time, of the machine or simulated."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        super().__init__()
        self.now_ms = now_ms

    def power_up(self) -> None:
        """What power does to the chip: volatile registers to their reset values."""

    def keep(self, file: Path) -> None:
        """From now on what outlasts the power lies in that file, too; where it is there already, the chip is as it says. In the machine's
        own time only. A chip without such a memory writes none.
        """


class SpiChip(Chip):
    """On an SPI bus. The bench calls `select` as the chip-select pin moves, and `transfer` while it is low."""

    def select(self, low: bool) -> None:
        """Chip select went low (True) or high (False)."""

    def transfer(self, data: bytes) -> bytes:
        """Full duplex: as many bytes out (MISO) as in (MOSI)."""
        raise NotImplementedError


class I2cChip(Chip):
    """On an I2C bus. `absent` raises what a master sees when nobody acknowledges."""

    def write(self, data: bytes) -> None:
        """One write transaction, address acknowledged. Raises OSError(ENODEV) for no acknowledge."""
        raise NotImplementedError

    def read(self, length: int) -> bytes:
        """One read transaction of exactly `length` bytes. Raises OSError(ENODEV) for no acknowledge."""
        raise NotImplementedError

    def held_low(self, duration_us: int) -> None:
        """SDA was low for so long, by an address that is nobody's: some chips wake by it."""

    @staticmethod
    def absent() -> OSError:
        return OSError(errno.ENODEV, "no acknowledge")


class UartChip(Chip):
    """On a serial line. The bench sets `send`, through which the chip puts bytes on the line to the terminal."""

    send: Callable[[bytes], None]

    def receive(self, data: bytes) -> None:
        """Bytes from the terminal."""
        raise NotImplementedError


class PinChip(Chip):
    """On GPIO pins: the bench tells it of each output that changes, and asks it for the level of each input."""

    def pin_driven(self, pin: int, level: int) -> None:
        """The terminal drives an output pin (one that this chip listed) to 0 or 1."""

    def pin_level(self, pin: int) -> int | None:
        """The level that the chip puts on an input pin, or None where it leaves the pin to its pull-up."""
        return None
