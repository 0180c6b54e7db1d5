"""Receipt printers that speak ESC/POS: the protocol over any line, and the printer on a UART. Contract: hal/printer.py, level 3."""

from hal.device import HEALTH_FAIL, HEALTH_NOT_RUN, HEALTH_SUCCESS, Device, Health
from hal.drivers.serial_line import SerialLine
from hal.errors import (
    CH_INTERNAL,
    E_EXTENDED,
    E_FAILURE,
    E_ILLEGAL,
    E_NOHARDWARE,
    E_OFFLINE,
    EPTR_COVER_OPEN,
    EPTR_REC_EMPTY,
    SUCCESS,
    DeviceError,
)
from hal.printer import PrinterStatus

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    from hal.clock import Clock

    class Line(Protocol):
        """As SerialLine: what does not get through in time raises DeviceError; a read gives -1 when nothing came by then."""

        async def write(self, data: bytes | bytearray | memoryview, timeout_ms: int) -> None: ...
        async def read_byte(self, until_ms: int) -> int: ...


# Epson ESC/POS application programming guide: commands and the bits of the DLE EOT answers.
_INITIALISE = b"\x1b@"
CUT = b"\x1dV\x42\x00"  # GS V 66 0: feed to the cutter and cut
FEED = b"\x1bd"  # ESC d n: lines
_ANSWER_MASK = 0x93  # an answer to DLE EOT is 0xx1xx10: the only bytes from a printer with these bits
_ANSWER_FIXED = 0x12
_QUERIES = (1, 2, 3, 4)  # of DLE EOT: printer, cause of being off-line, error, paper
_XON = 0x11
_XOFF = 0x13

ANSWER_MS = 150  # a real-time answer comes within a few ms of the query; cheap controllers take up to 100 ms
_HOLD_MS = 10000  # how long a printer may hold the line (XOFF, a full buffer) while it prints what it has
_QUIET_MS = 20
_STRIP_ROWS = 24  # rows of a raster strip: 1,152 bytes at 384 dots, which any printer's 4 KB buffer takes
_TEST_LINE = "PRINTER TEST 0123456789\n"
_TEST_FEED_LINES = 3


class EscposDevice(Device):
    """width_dots: of the print head, a multiple of 8; columns: of font A; answers_status: the board knows that its printer answers
    DLE EOT 1..4, so that silence is a failure; cut: the command that ends a slip; answer_ms: how long an answer may take; late_ms: how
    long, of a printer that has left no query unanswered: an answer that comes later than that is taken for the next one.
    """

    kind = "printer"
    level = 3

    def __init__(
        self,
        line: "Line",
        width_dots: int,
        columns: int,
        clock: "Clock",
        answers_status: bool = False,
        cut: bytes = CUT,
        answer_ms: int = ANSWER_MS,
        late_ms: int = ANSWER_MS,
    ) -> None:
        super().__init__()
        self.width_dots = width_dots
        self.columns = columns
        self._line = line
        self._clock = clock
        self._answers_status = answers_status
        self._cut = cut
        self._answer_ms = answer_ms
        self._late_ms = late_ms
        self._answers_all = True
        self._held = False  # the printer has sent XOFF and not yet XON
        self._answered: tuple[int, ...] = _QUERIES  # the queries that the last round got answers to: the others only cost time
        self._answers: dict[int, int] = {}  # of the last round: query -> answer
        self._garbled = False  # bytes came in it that no printer sends
        self._round_ms = 0  # how long it took

    # The contract.

    async def print_text(self, text: str) -> None:
        """Print ASCII; lines end with \\n. What is not printable ASCII becomes '?', so that no text can be a command.

        Raises DeviceError as the contract says, E_TIMEOUT when the printer takes no more.
        """
        await self._require_ready()
        await self._send(bytes(_printable(character) for character in text))

    async def feed(self, lines: int) -> None:
        """Feed 0..255 lines. Raises E_ILLEGAL outside of that, and as print_text."""
        if not 0 <= lines <= 255:
            raise DeviceError(E_ILLEGAL, self.kind, "feed of %d lines" % lines)
        await self._require_ready()
        await self._send(FEED + bytes([lines]))

    async def print_bitmap(self, width_dots: int, height_dots: int, bits: "bytes | bytearray | memoryview") -> None:
        """Print a bitmap, bits as in hal.display, as GS v 0 raster in strips of 24 rows.

        Raises E_ILLEGAL when it is wider than the head or `bits` has another length than it says, and as print_text.
        """
        row_bytes = (width_dots + 7) // 8
        if not 0 < width_dots <= self.width_dots or height_dots <= 0 or len(bits) != row_bytes * height_dots:
            raise DeviceError(E_ILLEGAL, self.kind, "bitmap %dx%d in %d bytes" % (width_dots, height_dots, len(bits)))
        await self._require_ready()
        view = memoryview(bits)
        for top in range(0, height_dots, _STRIP_ROWS):
            rows = min(_STRIP_ROWS, height_dots - top)
            strip = view[top * row_bytes : (top + rows) * row_bytes]
            await self._send(b"\x1dv0\x00" + bytes([row_bytes & 0xFF, row_bytes >> 8, rows, 0]))
            await self._send(strip)

    async def cut(self) -> None:
        """Feed to the cutter and cut. Raises as print_text."""
        await self._require_ready()
        await self._send(self._cut)

    async def status(self) -> PrinterStatus:
        """Ask with DLE EOT 1..4. All None when the printer answers nothing, or what it answers is garbled."""
        self.require_enabled()
        return await self._ask_status(_QUERIES)

    # Life cycle.

    async def _bring_up(self) -> None:
        """A printer may wait for the rest of a strip that a crash cut off: zeros fill it, and mean nothing elsewhere."""
        await self._receive_waiting()
        self._held = False
        self._answered = _QUERIES
        row = bytes(self.width_dots // 8)
        for _ in range(_STRIP_ROWS):
            await self._line.write(row, _HOLD_MS)
        await self._line.write(_INITIALISE, _HOLD_MS)

    async def _check_health(self, level: int) -> Health:
        """Internal: the status alone. External: prints a short line, and looks again."""
        before = await self._judge()
        if level == CH_INTERNAL or before.outcome == HEALTH_FAIL:
            return before
        await self._send(_TEST_LINE.encode() + FEED + bytes([_TEST_FEED_LINES]))
        after = await self._judge()
        if before.outcome == HEALTH_SUCCESS and not self._answered and not self._garbled:
            return Health(HEALTH_FAIL, self.kind, "no_answer", E_NOHARDWARE, 0, "stopped answering when it was to print")
        return after

    # Status.

    async def _require_ready(self) -> None:
        """Raises DeviceError for what stops printing. No answer stops nothing."""
        self.require_enabled()
        code, extended, cause, detail = _fault(await self._ask_status(self._answered))
        if code != SUCCESS:
            raise DeviceError(code, self.kind, detail, extended, cause)

    async def _ask_status(self, queries: "tuple[int, ...]") -> PrinterStatus:
        start_ms = self._clock.monotonic_ms()
        self._garbled = False
        self._answers_all = bool(self._answered)
        answers: dict[int, int] = {}
        self._answers = answers
        for number in queries:
            answer = await self._ask(number)
            if answer >= 0:
                answers[number] = answer
        self._round_ms = self._clock.monotonic_ms() - start_ms
        if self._garbled:
            return PrinterStatus()  # among noise, a byte that fits may be noise too
        self._answered = tuple([number for number in queries if number in answers])
        printer, cause, error, paper = [answers.get(number) for number in _QUERIES]
        status = PrinterStatus()
        if printer is not None:
            status.online = not printer & 0x08
        if cause is not None:
            status.cover_open = bool(cause & 0x04)
            status.paper_out = bool(cause & 0x20)
        if error is not None:
            status.cutter_error = bool(error & 0x08)
            status.unrecoverable = bool(error & 0x20)
            status.overheated = bool(error & 0x40)
        if paper is not None:
            status.paper_near_end = bool(paper & 0x0C)
            status.paper_out = bool(paper & 0x60) or bool(status.paper_out)
        return status

    async def _ask(self, number: int) -> int:
        """The answer to DLE EOT `number`; -1 when none came in time. Skips all that is no such answer."""
        await self._receive_waiting()
        limit_ms = self._late_ms if self._answers_all else self._answer_ms
        await self._line.write(bytes([0x10, 0x04, number]), limit_ms)
        until_ms = self._clock.monotonic_ms() + limit_ms
        while True:
            byte = await self._line.read_byte(until_ms)
            if byte < 0 or byte & _ANSWER_MASK == _ANSWER_FIXED:
                self._answers_all = byte >= 0
                return byte
            self._note(byte)

    async def _judge(self) -> Health:
        """The health by the status, which has to be the same twice: a printer that answers now this and now that is heard through noise."""
        status, same, answered = await self._ask_twice()
        if (self._garbled or not same) and self._late_ms > self._answer_ms:
            # An answer that was later than any should be has been taken for the next one, and all behind it, too.
            await self._settle()
            status, same, answered = await self._ask_twice()
        measurements = {"status_ms": self._round_ms, "status_answers": len(self._answered)}
        if self._garbled or not same:
            what = "bytes that no printer sends" if self._garbled else "never the same answers twice"
            detail = what + ": check baud rate and cable"
            return Health(HEALTH_FAIL, self.kind, "garbled_answer", E_FAILURE, 0, detail, measurements)
        if not answered:
            if self._answers_status:
                return Health(HEALTH_FAIL, self.kind, "no_answer", E_NOHARDWARE, 0, "no answer to DLE EOT 1..4", measurements)
            return Health(HEALTH_NOT_RUN, self.kind, "no_status", detail="no answer to DLE EOT 1..4")
        if status.paper_near_end is not None:
            measurements["paper_near_end"] = int(status.paper_near_end)
        code, extended, cause, detail = _fault(status)
        if code == SUCCESS and self._answers_status and len(answered) < len(_QUERIES):
            code, cause = E_FAILURE, "partial_status"
            detail = "answers only DLE EOT " + " ".join([str(number) for number in answered])
        outcome = HEALTH_SUCCESS if code == SUCCESS else HEALTH_FAIL
        return Health(outcome, self.kind, cause, code, extended, detail, measurements)

    async def _ask_twice(self) -> "tuple[PrinterStatus, bool, tuple[int, ...]]":
        """The status, whether it was the same twice, and the queries that got answers before the last round."""
        status = await self._ask_status(_QUERIES)
        same = False
        answered = self._answered
        for _ in range(2):  # the second time for a status that has just changed
            before, answered = self._answers, self._answered
            if self._garbled:
                break
            status = await self._ask_status(_QUERIES)
            same = self._answers == before
            if same or self._answered != answered:
                break
        return status, same, answered

    async def _settle(self) -> None:
        """Until nothing has come for as long as an answer may take; or twice that, for a printer that is never quiet."""
        until_ms = self._clock.monotonic_ms() + 2 * self._late_ms
        while self._clock.monotonic_ms() < until_ms:
            byte = await self._line.read_byte(min(until_ms, self._clock.monotonic_ms() + self._late_ms))
            if byte < 0:
                return
            self._note(byte)

    # The line.

    async def _send(self, data: "bytes | bytearray | memoryview") -> None:
        """Write, holding while the printer holds. Raises E_TIMEOUT when it holds for longer than a receipt takes."""
        await self._receive_waiting()
        until_ms = self._clock.monotonic_ms() + _HOLD_MS
        while self._held:
            byte = await self._line.read_byte(until_ms)
            if byte < 0:
                self._held = False  # an XON may have been lost: the next call tries again
                detail = "the printer has held the line (XOFF) for %d ms" % _HOLD_MS
                raise DeviceError(E_OFFLINE, self.kind, detail, cause="offline")
            self._note(byte)
        await self._line.write(data, _HOLD_MS)
        if _holds_query(data):
            # Printers obey DLE EOT inside raster data too: the answer must not be taken for one to the next query.
            await self._clock.sleep_ms(_QUIET_MS)
            await self._receive_waiting()

    async def _receive_waiting(self) -> None:
        """Look through what came unasked: XON and XOFF count, answers and automatic status do not."""
        garbled = self._garbled
        for _ in range(4096):
            byte = await self._line.read_byte(0)  # what has come already, and no more
            if byte < 0:
                break
            self._note(byte)
        self._garbled = garbled

    def _note(self, byte: int) -> None:
        """A byte that is no answer: flow control, automatic status (0xx1xx00, 0xx0xxxx), or noise."""
        if byte == _XOFF:
            self._held = True
        elif byte == _XON:
            self._held = False
        elif byte & 0x80 or byte & 0x11 == 0x11:
            self._garbled = True


class EscposPrinter(EscposDevice):
    """uart: MicroPython's UART calls, timeout=0; the others as EscposDevice has them."""

    part = "escpos"

    def __init__(self, uart: "Any", width_dots: int, columns: int, clock: "Clock", answers_status: bool = False) -> None:
        line = SerialLine(uart, clock, self.kind, "offline")  # only printing waits for the printer, a query never does
        super().__init__(line, width_dots, columns, clock, answers_status)


def _printable(character: str) -> int:
    code = ord(character)
    return code if 0x20 <= code < 0x7F or code == 0x0A else 0x3F


def _holds_query(data: "bytes | bytearray | memoryview") -> bool:
    return bytes(data).find(b"\x10\x04") >= 0


def _fault(status: PrinterStatus) -> "tuple[int, int, str, str]":
    """(code, extended, cause, detail) of what stops printing; with SUCCESS, cause may still be 'paper_near_end'."""
    if status.cover_open:
        return E_EXTENDED, EPTR_COVER_OPEN, "cover_open", "cover open"
    if status.paper_out:
        return E_EXTENDED, EPTR_REC_EMPTY, "paper_out", "paper out"
    if status.cutter_error:
        return E_FAILURE, 0, "cutter_jam", "cutter jammed"
    if status.overheated:
        return E_FAILURE, 0, "overheated", "print head overheated"
    if status.unrecoverable:
        return E_FAILURE, 0, "unrecoverable", "unrecoverable error, printer needs service"
    if status.online is False:
        return E_OFFLINE, 0, "offline", "off-line, the printer does not say why"
    if status.paper_near_end:
        return SUCCESS, 0, "paper_near_end", "paper near its end"
    return SUCCESS, 0, "", ""
