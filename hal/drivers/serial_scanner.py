"""Bar-code scanner with serial trigger commands (Honeywell, Metrologic and compatible). Contract: hal/scanner.py.

Source: Honeywell scanner user guides, chapter "Serial programming commands": SYN T CR switches the trigger on, SYN U CR off;
SYN M CR begins a menu command, which is echoed with ACK, ENQ (unknown) or NAK (value refused) before its last character.
"""

from hal.device import HEALTH_FAIL, HEALTH_NOT_RUN, HEALTH_SUCCESS, Device, Health
from hal.drivers.serial_line import SerialLine
from hal.errors import E_FAILURE, E_ILLEGAL, DeviceError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from hal.clock import Clock

_TRIGGER_ON = b"\x16T\r"
_TRIGGER_OFF = b"\x16U\r"
_REVISION = b"\x16M\rREVINF."
_VERDICTS = (0x06, 0x05, 0x15)  # ACK, ENQ, NAK

LONGEST_CODE = 512  # bytes of UTF-8, by the contract
_LONGEST_REVISION = 512
_WRITE_MS = 100
_ANSWER_MS = 500
_GAP_MS = 100  # between two bytes of one code: at 9600 baud they come each ms


class SerialScanner(Device):
    """uart: MicroPython's UART calls, timeout=0. The scanner ends each code with CR, or CR LF (its suffix as delivered)."""

    kind = "scanner"
    part = "serial_scanner"
    level = 1

    def __init__(self, uart: "Any", clock: "Clock") -> None:
        super().__init__()
        self._clock = clock
        self._line = SerialLine(uart, clock, self.kind)

    # The contract.

    async def scan(self, timeout_ms: int) -> "str | None":
        """Light on, one code's text, light off; None when none came in timeout_ms (1..600000).

        Raises E_FAILURE for what is no code: not UTF-8, over 512 bytes, or without its CR.
        """
        self.require_enabled()
        if not 1 <= timeout_ms <= 600000:
            raise DeviceError(E_ILLEGAL, self.kind, "scan for %d ms" % timeout_ms)
        self._line.drain()  # a code that nobody asked for
        await self._line.write(_TRIGGER_ON, _WRITE_MS)
        try:
            code = await self._read_code(self._clock.monotonic_ms() + timeout_ms)
        finally:
            await self._line.write(_TRIGGER_OFF, _WRITE_MS)
        if code is None:
            return None
        try:
            return str(code, "utf-8")
        except UnicodeError:
            raise DeviceError(E_FAILURE, self.kind, "%d bytes that are not UTF-8" % len(code)) from None

    async def _read_code(self, until_ms: int) -> "bytes | None":
        code = bytearray()
        while True:
            byte = await self._line.read_byte(until_ms)
            if byte < 0:
                if code:
                    raise DeviceError(E_FAILURE, self.kind, "%d bytes without a CR" % len(code))
                return None
            if byte == 0x0D and code:
                return bytes(code)
            if byte in (0x0D, 0x0A) and not code:
                continue  # the LF of the code before
            if len(code) == LONGEST_CODE:
                raise DeviceError(E_FAILURE, self.kind, "more than %d bytes without a CR" % LONGEST_CODE)
            code.append(byte)
            # A code that has begun is read to its end, even past the time.
            until_ms = max(until_ms, self._clock.monotonic_ms() + _GAP_MS)

    # Life cycle.

    async def _bring_up(self) -> None:
        """A crash may have left the light on. The scanner is not asked for anything: many answer no query."""
        await self._line.write(_TRIGGER_OFF, _WRITE_MS)
        self._line.drain()

    async def _check_health(self, level: int) -> Health:
        """Asks for the software revision: any verdict proves the line, silence proves nothing."""
        self._line.drain()
        start_ms = self._clock.monotonic_ms()
        await self._line.write(_REVISION, _WRITE_MS)
        received = 0
        until_ms = start_ms + _ANSWER_MS
        while received < _LONGEST_REVISION:
            byte = await self._line.read_byte(until_ms)
            if byte < 0:
                break
            received += 1
            if byte in _VERDICTS:
                answer_ms = self._clock.monotonic_ms() - start_ms
                return Health(HEALTH_SUCCESS, self.kind, measurements={"answer_ms": answer_ms})
        if received:
            return Health(
                HEALTH_FAIL, self.kind, "garbled_answer", E_FAILURE, 0, "%d bytes without a verdict" % received
            )
        return Health(HEALTH_NOT_RUN, self.kind, "no_answer", detail="no answer to REVINF: may be a scanner without it")
