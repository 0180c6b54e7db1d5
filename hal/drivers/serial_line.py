"""A serial line with limited waits: what the drivers of parts on a UART share."""

from hal.errors import E_TIMEOUT, DeviceError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from hal.clock import Clock

_POLL_MS = 2
_PART_BYTES = 128  # written at once: where write() blocks on a full buffer (ESP32), for at most 11 ms at 115200 baud
_DRAIN_BYTES = 4096  # more than any receive buffer holds: a line that babbles for ever must not hold the driver


class SerialLine:
    """uart: an object with MicroPython's UART calls, made with timeout=0; kind: the contract of the device on it; held_cause: what it means
    that the line takes no more.
    """

    def __init__(self, uart: "Any", clock: "Clock", kind: str, held_cause: str = "no_answer") -> None:
        self._uart = uart
        self._clock = clock
        self._kind = kind
        self._held_cause = held_cause
        self._one = bytearray(1)

    async def write(self, data: "bytes | bytearray | memoryview", timeout_ms: int) -> None:
        """Put all of `data` on the line, in as many parts as the UART takes. Raises E_TIMEOUT when it takes no more."""
        rest = memoryview(data)
        until_ms = self._clock.monotonic_ms() + timeout_ms
        while len(rest):
            taken = self._uart.write(rest[:_PART_BYTES]) or 0
            rest = rest[taken:]
            if taken:
                if len(rest):
                    await self._clock.sleep_ms(0)  # others have their turn
                continue
            if self._clock.monotonic_ms() >= until_ms:
                raise DeviceError(E_TIMEOUT, self._kind, "the line took no more, %d bytes left" % len(rest), cause=self._held_cause)
            await self._clock.sleep_ms(_POLL_MS)

    async def read_byte(self, until_ms: int) -> int:
        """The next byte received, or -1 when it has not come by `until_ms` of the monotonic clock."""
        while True:
            byte = self.take_byte()
            if byte >= 0:
                return byte
            if self._clock.monotonic_ms() >= until_ms:
                return -1
            await self._clock.sleep_ms(_POLL_MS)

    def take_byte(self) -> int:
        """A byte that has been received already, or -1."""
        return self._one[0] if self._uart.readinto(self._one) else -1

    def drain(self) -> int:
        """Throw away what has been received and not read; gives how many bytes it was, at most 4096."""
        count = 0
        while count < _DRAIN_BYTES and self.take_byte() >= 0:
            count += 1
        return count
