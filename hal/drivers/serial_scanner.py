"""Bar-code scanner with serial trigger commands (Honeywell, Metrologic and compatible). Contract: hal/scanner.py.

Source: Honeywell scanner user guides, chapter "Serial programming commands": SYN T CR switches the trigger on, SYN U CR off;
SYN M CR begins a menu command, which is echoed with ACK, ENQ (unknown) or NAK (value refused) before its last character.
"""

from hal.device import HEALTH_FAIL, HEALTH_NOT_RUN, HEALTH_SUCCESS, Device, Health
from hal.drivers.serial_line import SerialLine
from hal.errors import E_FAILURE, E_ILLEGAL, E_NOHARDWARE, DeviceError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from hal.clock import Clock

_TRIGGER_ON = b"\x16T\r"
_TRIGGER_OFF = b"\x16U\r"
_REVISION = b"\x16M\rREVINF."
_ACK = 0x06
_VERDICTS = (_ACK, 0x05, 0x15)  # or ENQ, NAK
_BREAK = 0x00  # a line held low is received as zeros

LONGEST_CODE = 512  # bytes of UTF-8, by the contract
_LONGEST_REVISION = 512
_WRITE_MS = 100
_ANSWER_MS = 500
_TRIES = 3  # a question that gets no answer at all may have been spoilt on its way
_QUIET_MS = 200  # after which nothing of an earlier answer is on its way
_GAP_MS = 100  # between two bytes of one code: at 9600 baud they come each ms


class SerialScanner(Device):
    """uart: MicroPython's UART calls, timeout=0. The scanner ends each code with CR, or CR LF (its suffix as delivered). answers_revision:
    the board knows that its scanner has the menu command REVINF, so that silence is a failure.
    """

    kind = "scanner"
    part = "serial_scanner"
    level = 1

    def __init__(self, uart: "Any", clock: "Clock", answers_revision: bool = False) -> None:
        super().__init__()
        self._clock = clock
        self._answers_revision = answers_revision
        self._line = SerialLine(uart, clock, self.kind)

    # The contract.

    async def scan(self, timeout_ms: int) -> "str | None":
        """Light on, one code's text, light off; None when none came in timeout_ms (1..600000).

        Raises E_FAILURE for what is no code: text without its CR (cause 'no_suffix'); not UTF-8, or over 512 bytes ('garbled_answer').
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
        return None if code is None else self._text(code)

    def _text(self, code: bytes) -> str:
        try:
            return str(code, "utf-8")
        except UnicodeError:
            raise self._garbled("%d bytes that are not UTF-8" % len(code)) from None

    def _garbled(self, detail: str) -> DeviceError:
        return DeviceError(E_FAILURE, self.kind, detail, cause="garbled_answer")

    async def _read_code(self, until_ms: int) -> "bytes | None":
        code = bytearray()
        while True:
            byte = await self._line.read_byte(until_ms)
            if byte < 0:
                if code:
                    self._text(bytes(code))
                    raise DeviceError(E_FAILURE, self.kind, "%d bytes without a CR" % len(code), cause="no_suffix")
                return None
            if byte == _BREAK:
                continue
            if byte == 0x0D and code:
                return bytes(code)
            if byte in (0x0D, 0x0A) and not code:
                continue  # the LF of the code before
            if len(code) == LONGEST_CODE:
                raise self._garbled("more than %d bytes without a CR" % LONGEST_CODE)
            code.append(byte)
            # A code that has begun is read to its end, even past the time.
            until_ms = max(until_ms, self._clock.monotonic_ms() + _GAP_MS)

    # Life cycle.

    async def _bring_up(self) -> None:
        """A crash may have left the light on. The scanner is not asked for anything: many answer no query."""
        await self._line.write(_TRIGGER_OFF, _WRITE_MS)
        self._line.drain()

    async def _check_health(self, level: int) -> Health:
        """Asks for the software revision: the same verdict twice proves the line. Of a scanner that is not known to have the query any
        verdict does, and silence proves nothing. What was no answer may have been the half of one that came late: asked again when all is
        quiet.
        """
        answer, is_good, answer_ms = await self._ask_twice()
        if answer and not is_good:
            await self._settle()
            answer, is_good, answer_ms = await self._ask_twice()
        if not answer:
            if self._answers_revision:
                return Health(HEALTH_FAIL, self.kind, "no_answer", E_NOHARDWARE, 0, "no answer to REVINF")
            return Health(HEALTH_NOT_RUN, self.kind, "no_answer", detail="no answer to REVINF: may be a scanner without it")
        if not is_good:
            return Health(HEALTH_FAIL, self.kind, "garbled_answer", E_FAILURE, 0, "%d bytes that are no answer to REVINF" % len(answer))
        return Health(HEALTH_SUCCESS, self.kind, measurements={"answer_ms": answer_ms})

    async def _ask_twice(self) -> "tuple[bytes, bool, int]":
        """The first answer, b'' for none; whether it is one, and the second is the same; and how long it took."""
        answer_ms = 0
        answer = b""
        for _ in range(_TRIES):
            start_ms = self._clock.monotonic_ms()
            answer = await self._ask_revision()
            answer_ms = self._clock.monotonic_ms() - start_ms
            if answer or not self._answers_revision:
                break
        verdicts = (_ACK,) if self._answers_revision else _VERDICTS
        is_good = _is_answer(answer, verdicts) and await self._ask_revision() == answer
        return answer, is_good, answer_ms

    async def _settle(self) -> None:
        """Until nothing has come for a while; or for as long as an answer may take, on a line that is never quiet."""
        until_ms = self._clock.monotonic_ms() + _ANSWER_MS
        while await self._line.read_byte(min(until_ms, self._clock.monotonic_ms() + _QUIET_MS)) >= 0:
            if self._clock.monotonic_ms() >= until_ms:
                return

    async def _ask_revision(self) -> bytes:
        """What comes, up to a verdict and the last character of the command, or until the time is over."""
        self._line.drain()
        await self._line.write(_REVISION, _WRITE_MS)
        answer = bytearray()
        until_ms = self._clock.monotonic_ms() + _ANSWER_MS
        while len(answer) < _LONGEST_REVISION and not (answer[-1:] == _REVISION[-1:] and len(answer) > 1 and answer[-2] in _VERDICTS):
            byte = await self._line.read_byte(until_ms)
            if byte < 0:
                break
            if byte != _BREAK:
                answer.append(byte)
        return bytes(answer)


def _is_answer(answer: bytes, verdicts: "tuple[int, ...]") -> bool:
    """Whether it is plain text, one of these verdicts, and the last character of the command."""
    if answer[-1:] != _REVISION[-1:] or len(answer) < 2 or answer[-2] not in verdicts:
        return False
    for byte in answer[:-2]:
        if not (0x20 <= byte < 0x7F or byte in (0x09, 0x0A, 0x0D)):
            return False
    return True
