"""The wires between the terminal and its chips: I2C, SPI and serial lines, and how each can go wrong."""

from __future__ import annotations

import errno
from collections.abc import Callable
from random import Random

from host_sim.chips.faces import Breakable, Fault, I2cChip, SpiChip, UartChip

FLIPPED_BIT_EVERY = 16  # bytes, on average, between two bit errors of a line that has the fault flipped_bits
QUIET_BYTES = (8, 24)  # of a serial wire between two of them; on other buses each transaction has one at least


class Bus(Breakable):
    """FAULTS: name -> what goes wrong on the wire, and what that is to a device on it. `pins` are those of the board's wiring; None where a
    line is not wired.
    """

    def __init__(self, pins: tuple[int | None, ...], random: Random) -> None:
        super().__init__()
        self.pins = pins
        self._random = random

    def open(self, rate: int) -> None:
        """The terminal set the bus up, at `rate` Hz or baud."""

    def power_up(self) -> None:
        """The terminal's side of the bus lost its power."""

    def _through(self, data: bytes) -> bytes:
        """What arrives of `data` at the other end of a noisy wire."""
        if not data:
            return data
        if self.has("garbage"):
            return self._random.randbytes(len(data))
        if self.has("flipped_bits"):
            noisy = bytearray(data)
            for _ in range(1 + len(data) // FLIPPED_BIT_EVERY):
                noisy[self._random.randrange(len(noisy))] ^= 1 << self._random.randrange(8)
            return bytes(noisy)
        return data


class I2cBus(Bus):
    FAULTS = {
        "no_acknowledge": Fault("no chip acknowledges its address", "no_answer"),
        "stuck_line": Fault("SDA is held low: every transaction times out", "no_answer"),
        "flipped_bits": Fault("single bits arrive wrong in both directions", "garbled_answer"),
        "silence": Fault("writes are acknowledged and lost; reads give 0xff, the pull-ups' level", "no_answer"),
        "garbage": Fault("random bytes in both directions", "garbled_answer"),
    }

    def __init__(self, pins: tuple[int | None, ...], random: Random) -> None:
        super().__init__(pins, random)
        self.chips: dict[int, I2cChip] = {}  # by 7-bit address
        self.rate_hz = 0

    def open(self, rate: int) -> None:
        self.rate_hz = rate

    def _chip(self, address: int) -> I2cChip:
        if self.has("stuck_line"):
            raise OSError(errno.ETIMEDOUT, "bus is stuck")
        chip = self.chips.get(address)
        if chip is None or self.has("no_acknowledge"):
            raise OSError(errno.ENODEV, "no acknowledge")
        return chip

    def write(self, address: int, data: bytes) -> int:
        if address == 0 and self.rate_hz and not self.has("stuck_line") and not self.has("silence"):
            for other in self.chips.values():
                other.held_low(8 * 1_000_000 // self.rate_hz)  # seven bits of address and the write bit, all of them 0
        chip = self._chip(address)
        if not self.has("silence"):
            chip.write(self._through(data))
        return len(data)

    def read(self, address: int, length: int) -> bytes:
        chip = self._chip(address)
        if self.has("silence"):
            return b"\xff" * length
        return self._through(chip.read(length))

    def scan(self) -> bytes:
        """The addresses that acknowledge; 0x08..0x77 as MicroPython's scan asks."""
        if self.has("stuck_line"):
            return bytes(range(0x08, 0x78))  # a low SDA looks like an acknowledge at every address
        return bytes([] if self.has("no_acknowledge") else sorted(self.chips))


class SpiBus(Bus):
    FAULTS = {
        "stuck_line": Fault("MOSI and MISO are held low", "no_answer"),
        "flipped_bits": Fault("single bits arrive wrong in both directions", "unstable_bus"),
        "silence": Fault("an open circuit: nothing arrives; reads give 0xff", "no_answer"),
        "garbage": Fault("random bytes in both directions", "unstable_bus"),
    }

    def __init__(self, pins: tuple[int | None, ...], random: Random) -> None:
        super().__init__(pins, random)
        self.selected: list[SpiChip] = []  # those whose chip select is low
        self.rate_hz = 0

    def open(self, rate: int) -> None:
        self.rate_hz = rate

    def power_up(self) -> None:
        self.selected.clear()

    def select(self, chip: SpiChip, level: int) -> None:
        """The level of one chip's select line changed."""
        if (chip in self.selected) == (level == 0):
            return
        if level == 0:
            self.selected.append(chip)
        else:
            self.selected.remove(chip)
        chip.select(level == 0)

    def transfer(self, data: bytes) -> bytes:
        idle = b"\xff" * len(data)
        if self.has("silence"):
            return idle
        sent = bytes(len(data)) if self.has("stuck_line") else self._through(data)
        received = idle
        for chip in self.selected:
            answer = chip.transfer(sent)
            received = bytes(left & right for left, right in zip(received, answer, strict=True)) if received is not idle else answer
        if self.pins[2] is None:  # no MISO
            return idle
        return bytes(len(data)) if self.has("stuck_line") else self._through(received)


class UartLine(Bus):
    FAULTS = {
        "stuck_line": Fault("both lines are held low: a break condition, which is read as zero bytes", "no_answer"),
        "flipped_bits": Fault("single bits arrive wrong in both directions", "garbled_answer"),
        "silence": Fault("nothing arrives in either direction", "no_answer"),
        "garbage": Fault("random bytes in both directions, to the terminal also while the chip is silent", "garbled_answer"),
    }

    def __init__(self, pins: tuple[int | None, ...], random: Random, baud: int) -> None:
        super().__init__(pins, random)
        self.chip: UartChip | None = None
        self._baud_of_chip = baud
        self._baud = baud
        self._buffer = bytearray()
        self._quiet = [random.randint(*QUIET_BYTES) for _ in range(2)]  # bytes on each wire until the next bit error
        self.buffer_limit = 0  # bytes; 0 until the terminal opens the line: what arrives before is lost

    def open(self, rate: int) -> None:
        self._baud = rate

    def power_up(self) -> None:
        self._buffer.clear()
        self.buffer_limit = 0

    def _on_the_line(self, data: bytes, wire: int) -> bytes:
        """What arrives of `data` at the other end. wire: 0 to the chip, 1 to the terminal."""
        if self.has("silence"):
            return b""
        if self.has("stuck_line"):
            return bytes(len(data))
        if self._baud != self._baud_of_chip:
            return self._random.randbytes(len(data))
        return self._with_flips(data, wire) if self.has("flipped_bits") else self._through(data)

    def _with_flips(self, data: bytes, wire: int) -> bytes:
        noisy = bytearray(data)
        while self._quiet[wire] < len(noisy):
            noisy[self._quiet[wire]] ^= 1 << self._random.randrange(8)
            self._quiet[wire] += self._random.randint(*QUIET_BYTES)
        self._quiet[wire] -= len(noisy)
        return bytes(noisy)

    def write(self, data: bytes) -> int:
        if self.has("garbage"):
            self._into_buffer(self._random.randbytes(len(data)))
        arrived = self._on_the_line(data, 0)
        if self.chip is not None and arrived:
            self.chip.receive(arrived)
        return len(data)

    def from_chip(self, data: bytes) -> None:
        """The chip sends."""
        self._into_buffer(self._on_the_line(data, 1))

    def _into_buffer(self, data: bytes) -> None:
        """What does not fit into the receive buffer is lost, as on the ESP32."""
        self._buffer += data[: max(0, self.buffer_limit - len(self._buffer))]

    def waiting(self) -> int:
        return len(self._buffer)

    def read(self, most: int) -> bytes:
        data = bytes(self._buffer[:most])
        del self._buffer[: len(data)]
        return data


class Pins:
    """The GPIO pins of the microcontroller, and what hangs on them.

    listeners are told the level of a line that the terminal drives; sources give the level that a chip puts on a line, or None.
    A line that nobody drives is pulled up, as the modules on these boards do. An open-drain output drives a line low or not at all, and is
    read as the line is.
    """

    def __init__(self) -> None:
        self.listeners: dict[int, Callable[[int], None]] = {}
        self.sources: dict[int, Callable[[], int | None]] = {}
        self._output: dict[int, bool] = {}
        self._open_drain: set[int] = set()
        self._latch: dict[int, int] = {}
        self._pull_down: set[int] = set()
        self._told: dict[int, int] = {}

    def power_up(self) -> None:
        """Every pin is an input again; who listens sees it float up."""
        self._output.clear()
        self._open_drain.clear()
        self._latch.clear()
        self._pull_down.clear()
        self._told.clear()
        for number in self.listeners:
            self._tell(number)

    def configure(self, number: int, output: bool, pull_down: bool, open_drain: bool = False) -> None:
        """open_drain: of an output."""
        self._output[number] = output
        (self._open_drain.add if open_drain else self._open_drain.discard)(number)
        (self._pull_down.add if pull_down else self._pull_down.discard)(number)
        self._tell(number)

    def write(self, number: int, level: int) -> None:
        self._latch[number] = level
        self._tell(number)

    def read(self, number: int) -> int:
        if self._output.get(number):
            latch = self._latch.get(number, 0)
            if not latch or number not in self._open_drain:
                return latch
        source = self.sources.get(number)
        level = source() if source is not None else None
        if level is not None:
            return level
        return 0 if number in self._pull_down else 1

    def _tell(self, number: int) -> None:
        listener = self.listeners.get(number)
        if listener is None:
            return
        level = self._latch.get(number, 0) if self._output.get(number) else 1
        if self._told.get(number) != level:
            self._told[number] = level
            listener(level)
