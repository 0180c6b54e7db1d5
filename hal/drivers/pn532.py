"""PN532, NXP's NFC controller, over I2C or a serial line. Contract: hal/card_reader.py, level 2.

The chip and its transport are two classes. Source of all values: NXP UM0701-02 (PN532 user manual) and the PN532 data sheet.
"""

from hal.device import HEALTH_FAIL, HEALTH_SUCCESS, Device, Health
from hal.drivers.serial_line import SerialLine
from hal.errors import (
    CH_INTERNAL,
    E_EXTENDED,
    E_FAILURE,
    E_ILLEGAL,
    E_NOHARDWARE,
    E_TIMEOUT,
    ESC_NO_CARD,
    ESC_READ,
    ESC_TORN,
    DeviceError,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    from hal.clock import Clock

    class Transport(Protocol):
        async def wake(self) -> None: ...
        async def flush(self) -> None: ...
        async def write(self, frame: bytes) -> None: ...
        async def read(self, parser: "FrameParser", longest: int, timeout_ms: int) -> None: ...


_KIND = "card_reader"

_ACK = b"\x00\x00\xff\x00\xff\x00"
_NACK = b"\x00\x00\xff\xff\x00\x00"

_DIAGNOSE = 0x00
_GET_FIRMWARE_VERSION = 0x02
_SAM_CONFIGURATION = 0x14
_RF_CONFIGURATION = 0x32
_IN_DATA_EXCHANGE = 0x40
_IN_LIST_PASSIVE_TARGET = 0x4A
_IN_RELEASE = 0x52

_ACK_MS = 50  # the chip acknowledges within 15 ms; the rest is the polling's
_ANSWER_MS = 200  # a command that does not wait for a card
_POLL_ANSWER_MS = 500  # one InListPassiveTarget with the retries set below
_POLL_PAUSE_MS = 40
_TRIES = 3
_CARD_TRIES = 0x02  # MxRtyPassiveActivation: give up soon, the driver polls again
_LONGEST_DATA = 264  # of an InDataExchange answer: 262 of data, the status byte and the answer code
_LONGEST_APDU = 261  # a short APDU with Lc and Le (ISO 7816-4)
_OVERHEAD = 11  # of an extended frame: preamble, start code, FF FF, length, LCS, TFI, DCS, postamble
_ISO_14443_4 = 0x20  # in SEL_RES (SAK): the card speaks APDUs

_ECHO = b"reinstate"
_ECHO_TEST = 0x00
_PRESENCE_TEST = 0x06
_ANTENNA_TEST = 0x07
_ANTENNA_LIMITS = 0x0F  # register Andet_control: current limits 5 mA and 150 mA, detection enabled
_ANTENNA_BITS = 0xC0  # of the result: current too low, too high; the other bits repeat the limits

# Low six bits of the status byte -> (code, extended); what is not here is E_FAILURE.
_TIMEOUTS = (0x01, 0x0A)
_CARD_GONE = (0x29, 0x2A, 0x2B)
_UNREADABLE = (0x02, 0x03, 0x04, 0x05, 0x06, 0x0B, 0x13, 0x23)
_NO_TARGET = 0x27


class FrameParser:
    """Takes the bytes from the chip one by one and finds the first frame in them, whatever noise comes before it."""

    WAITING = 0
    ACK = 1
    NACK = 2
    ERROR = 3  # the chip did not know the command
    DATA = 4
    DAMAGED = 5

    def __init__(self) -> None:
        self.data = bytearray(_LONGEST_DATA)  # PD0.., without the TFI
        self.reset()

    def reset(self) -> None:
        self.kind = self.WAITING
        self.length = 0  # of data
        self._state = 0  # 0 looks for the start code, 1 LEN, 2 LCS, 3..5 LENm LENl LCS, 6 TFI, 7 data, 8 DCS
        self._last = 0xFF
        self._expected = 0
        self._sum = 0

    def feed(self, byte: int) -> bool:
        """True once a frame is complete; its `kind` says what it is."""
        state = self._state
        if state == 0:
            if self._last == 0x00 and byte == 0xFF:
                self._state = 1
            self._last = byte
        elif state == 1:
            self._expected = byte
            self._state = 2
        elif state == 2:
            return self._length_read(byte)
        elif state == 3:
            self._expected = byte << 8
            self._state = 4
        elif state == 4:
            self._expected |= byte
            self._state = 5
        elif state == 5:
            if ((self._expected >> 8) + (self._expected & 0xFF) + byte) & 0xFF:
                return self._finish(self.DAMAGED)
            return self._body_follows()
        elif state == 6:
            self._sum = byte
            self._tfi = byte
            self._state = 7 if self._expected > 1 else 8
        elif state == 7:
            self.data[self.length] = byte
            self.length += 1
            self._sum += byte
            if self.length == self._expected - 1:
                self._state = 8
        else:
            if (self._sum + byte) & 0xFF:
                return self._finish(self.DAMAGED)
            if self._tfi == 0x7F:
                return self._finish(self.ERROR)
            return self._finish(self.DATA if self._tfi == 0xD5 else self.DAMAGED)
        return False

    def _length_read(self, check: int) -> bool:
        if self._expected == 0x00 and check == 0xFF:
            return self._finish(self.ACK)
        if self._expected == 0xFF and check == 0x00:
            return self._finish(self.NACK)
        if self._expected == 0xFF and check == 0xFF:
            self._state = 3
            return False
        if (self._expected + check) & 0xFF:
            return self._finish(self.DAMAGED)
        return self._body_follows()

    def _body_follows(self) -> bool:
        if not 0 < self._expected <= len(self.data) + 1:
            return self._finish(self.DAMAGED)
        self._state = 6
        return False

    def _finish(self, kind: int) -> bool:
        self.kind = kind
        return True


def frame(command: int, data: bytes) -> bytes:
    """An information frame to the chip, extended when it has more than 255 bytes: preamble .. postamble."""
    body = bytes([0xD4, command]) + data
    length = len(body)
    if length <= 0xFF:
        head = bytes([length, -length & 0xFF])
    else:
        head = bytes([0xFF, 0xFF, length >> 8, length & 0xFF, -((length >> 8) + (length & 0xFF)) & 0xFF])
    return b"\x00\x00\xff" + head + body + bytes([-sum(body) & 0xFF, 0x00])


def _is_pn532(answer: bytes) -> bool:
    """Whether GetFirmwareVersion was answered by a PN532 (IC 32) with firmware 1.x: IC, Ver, Rev, Support."""
    return len(answer) == 4 and answer[0] == 0x32 and answer[1] == 1


class Pn532OverI2c:
    """i2c: MicroPython's calls; address: 7 bits, 0x24 (36) on every PN532. Each read begins with a ready byte."""

    _POLL_MS = 3
    _WAKE_MS = 5  # from the first START with its address to a chip that acknowledges

    def __init__(self, i2c: "Any", address: int, clock: "Clock") -> None:
        self._i2c = i2c
        self._address = address
        self._clock = clock

    async def wake(self) -> None:
        """Its address wakes a chip in power down, without acknowledging; an ACK frame aborts what an awake one does."""
        for _ in range(_TRIES):
            try:
                self._i2c.writeto(self._address, _ACK)
                break
            except OSError:
                await self._clock.sleep_ms(self._WAKE_MS)
        await self._clock.sleep_ms(self._WAKE_MS)

    async def flush(self) -> None:
        """Nothing to fill: a frame that a crash cut off ended with its transaction. A pending answer is read away."""
        try:
            self._i2c.readfrom(self._address, 1 + _LONGEST_DATA + _OVERHEAD)
        except OSError:
            await self._clock.sleep_ms(self._WAKE_MS)

    async def write(self, frame: bytes) -> None:
        """Raises E_NOHARDWARE when nobody acknowledges the address."""
        try:
            self._i2c.writeto(self._address, frame)
        except OSError as error:
            raise self._nobody(error) from None

    async def read(self, parser: FrameParser, longest: int, timeout_ms: int) -> None:
        """Feed `parser` one frame of at most `longest` bytes. Raises E_TIMEOUT (cause 'garbled_answer' for noise), E_NOHARDWARE."""
        parser.reset()
        cause = ""
        until_ms = self._clock.monotonic_ms() + timeout_ms
        while True:
            try:
                ready = self._i2c.readfrom(self._address, 1)[0]
                if ready == 0x01:
                    answer = self._i2c.readfrom(self._address, 1 + longest)
                    break
            except OSError as error:
                raise self._nobody(error) from None
            if ready not in (0x00, 0xFF):  # not yet, or nobody drives the line
                cause = "garbled_answer"
            if self._clock.monotonic_ms() >= until_ms:
                raise DeviceError(E_TIMEOUT, _KIND, "not ready after %d ms" % timeout_ms, cause=cause)
            await self._clock.sleep_ms(self._POLL_MS)
        for position in range(1, len(answer)):
            if parser.feed(answer[position]):
                return
        parser.kind = parser.DAMAGED

    def _nobody(self, error: OSError) -> DeviceError:
        detail = "no acknowledge at 0x%02x (errno %s)" % (self._address, error.errno)
        return DeviceError(E_NOHARDWARE, _KIND, detail, cause="no_answer")


class Pn532OverUart:
    """uart: MicroPython's calls, timeout=0, 115200 baud (high-speed UART, HSU)."""

    _WAKE = b"\x55\x55" + bytes(14)  # two edges wake the chip; the zeros give it time, and mean nothing to one awake
    _WRITE_MS = 200
    _WAKE_MS = 5

    def __init__(self, uart: "Any", clock: "Clock") -> None:
        self._line = SerialLine(uart, clock, _KIND)
        self._clock = clock

    async def wake(self) -> None:
        """Wakes a chip in power down; to one awake it is noise before a start code, and an ACK that aborts."""
        await self._line.write(self._WAKE + _ACK, self._WRITE_MS)
        await self._clock.sleep_ms(self._WAKE_MS)
        self._line.drain()

    async def flush(self) -> None:
        """Fill up a frame that a crash cut off, whatever length it announced, and throw away what comes of it."""
        for _ in range(17):
            await self._line.write(bytes(16), self._WRITE_MS)
        await self._clock.sleep_ms(self._WAKE_MS)
        self._line.drain()

    async def write(self, frame: bytes) -> None:
        """Raises E_TIMEOUT when the line takes no more."""
        await self._line.write(frame, self._WRITE_MS)

    async def read(self, parser: FrameParser, longest: int, timeout_ms: int) -> None:
        """Feed `parser` one frame. Raises E_TIMEOUT, also for a line that babbles without a start code (cause 'garbled_answer')."""
        parser.reset()
        cause = ""
        until_ms = self._clock.monotonic_ms() + timeout_ms
        while True:
            byte = await self._line.read_byte(until_ms)
            if byte < 0:
                raise DeviceError(E_TIMEOUT, _KIND, "no whole frame after %d ms" % timeout_ms, cause=cause)
            if parser.feed(byte):
                return
            if byte:  # zeros are a line held low
                cause = "garbled_answer"
            if self._clock.monotonic_ms() > until_ms:
                raise DeviceError(E_TIMEOUT, _KIND, "no frame in what comes", cause=cause)


class Pn532(Device):
    """transport: Pn532OverI2c or Pn532OverUart. One command at a time."""

    kind = _KIND
    part = "pn532"
    level = 2

    def __init__(self, transport: "Transport", clock: "Clock") -> None:
        super().__init__()
        self._transport = transport
        self._clock = clock
        self._parser = FrameParser()
        self._card = False  # a card is activated, as target 1
        self._speaks_apdu = False
        self._retries = 0  # frames sent or asked for again since the last check, or bring-up, began

    # The contract.

    async def find_card(self, timeout_ms: int) -> bool:
        """Poll for cards of type A at 106 kbit/s. True: one is there, ready for exchange; False: none came in time.

        Raises E_EXTENDED/ESC_READ for two cards at once; E_TIMEOUT, E_NOHARDWARE, E_FAILURE for a chip that fails.
        """
        self.require_enabled()
        self._card = False
        until_ms = self._clock.monotonic_ms() + timeout_ms
        while True:
            answer = await self._command(_IN_LIST_PASSIVE_TARGET, b"\x02\x00", _POLL_ANSWER_MS)
            found = answer[0] if answer else 0
            if found > 1:
                await self._release()
                raise DeviceError(E_EXTENDED, self.kind, "two cards in the field", ESC_READ, "two_cards")
            if found == 1 and len(answer) >= 5:
                self._card = True
                self._speaks_apdu = bool(answer[4] & _ISO_14443_4)
                return True
            if self._clock.monotonic_ms() >= until_ms:
                return False
            await self._clock.sleep_ms(_POLL_PAUSE_MS)

    async def exchange(self, apdu: bytes, timeout_ms: int = 1000) -> bytes:
        """Send an APDU of 4..261 bytes to the card found; gives its answer, 2..258 bytes, SW1 SW2 last.

        Raises E_EXTENDED with ESC_NO_CARD (none found), ESC_TORN (it has gone), ESC_READ (what came is no answer);
        E_TIMEOUT (the card is there and says nothing); E_FAILURE (the chip); E_ILLEGAL (length of apdu).
        """
        self.require_enabled()
        if not 4 <= len(apdu) <= _LONGEST_APDU:
            raise DeviceError(E_ILLEGAL, self.kind, "APDU of %d bytes" % len(apdu))
        if not self._card:
            raise DeviceError(E_EXTENDED, self.kind, "no card was found", ESC_NO_CARD, "no_card")
        if not self._speaks_apdu:
            raise DeviceError(E_EXTENDED, self.kind, "the card does not speak ISO 14443-4", ESC_READ, "not_a_payment_card")
        until_ms = self._clock.monotonic_ms() + timeout_ms
        answer = b""
        request = b"\x01" + apdu
        while True:
            left_ms = max(1, until_ms - self._clock.monotonic_ms())
            try:
                part = await self._command(_IN_DATA_EXCHANGE, request, left_ms, _LONGEST_DATA)
            except DeviceError as error:
                if error.code == E_TIMEOUT and not error.cause and await self._is_present():  # the chip is well: it waits for the card
                    raise self._silent_card()
                raise
            if not part:
                raise self._garbled("InDataExchange answer without status")
            if part[0] & 0x3F:
                raise await self._exchange_error(part[0] & 0x3F)
            answer += part[1:]
            if not part[0] & 0x40 or len(answer) > 258:
                break
            request = b"\x01"  # more information: an empty request fetches the rest
        if not 2 <= len(answer) <= 258:
            raise DeviceError(E_EXTENDED, self.kind, "card answer of %d bytes" % len(answer), ESC_READ, "card_unreadable")
        return answer

    async def release_card(self) -> None:
        """Deselect the card, if any, and forget it."""
        self.require_enabled()
        await self._release()

    async def firmware_version(self) -> str:
        """'PN532 1.6'. Raises E_FAILURE when what answers is no PN532 with firmware 1.x."""
        self.require_enabled()
        answer = await self._command(_GET_FIRMWARE_VERSION, b"", _ANSWER_MS)
        if not _is_pn532(answer):
            raise DeviceError(E_FAILURE, self.kind, "firmware answer " + answer.hex(), cause="firmware_answer_wrong")
        return "PN532 %d.%d" % (answer[1], answer[2])

    # Life cycle.

    async def _bring_up(self) -> None:
        """From any state: in power down, in the middle of a frame, or with an answer nobody fetched.

        SAMConfiguration comes first: after power-up (low-battery mode) the chip takes no other command.
        """
        self._card = False
        self._retries = 0
        for attempt in range(_TRIES):
            await self._transport.wake()
            try:
                await self._command(_SAM_CONFIGURATION, b"\x01\x14\x01", _ANSWER_MS)  # normal mode, 1 s, IRQ
                break
            except DeviceError:
                if attempt == _TRIES - 1:
                    raise
                await self._transport.flush()
        # Item 5, MaxRetries: ATR as at reset, PSL as at reset, activation few.
        await self._command(_RF_CONFIGURATION, bytes([0x05, 0xFF, 0x01, _CARD_TRIES]), _ANSWER_MS)

    def failed(self, error: DeviceError, cause: str) -> Health:
        """What names no cause itself is the chip that does not answer, in bring-up as later."""
        health = super().failed(error, "no_answer")
        health.measurements["retries"] = self._retries
        return health

    async def _check_health(self, level: int) -> Health:
        """Internal: echo over the line, firmware version. External: the antenna's current as well. Measures how often frames of this check
        had to be sent again.
        """
        self._retries = 0
        start_ms = self._clock.monotonic_ms()
        echo = await self._command(_DIAGNOSE, bytes([_ECHO_TEST]) + _ECHO, _ANSWER_MS)
        echo_ms = self._clock.monotonic_ms() - start_ms
        if echo != bytes([_ECHO_TEST]) + _ECHO:
            return self._fail("echo_wrong", "the echo came back as " + echo.hex())
        answer = await self._command(_GET_FIRMWARE_VERSION, b"", _ANSWER_MS)
        if not _is_pn532(answer):
            return self._fail("firmware_answer_wrong", "firmware answer " + answer.hex() + ", not 3201....")
        if level > CH_INTERNAL:
            answer = await self._command(_DIAGNOSE, bytes([_ANTENNA_TEST, _ANTENNA_LIMITS]), _ANSWER_MS)
            if len(answer) != 1 or answer[0] & _ANTENNA_BITS:
                return self._fail("antenna", "antenna test " + answer.hex() + "; below 5 V supply confirm with a card")
        return Health(HEALTH_SUCCESS, self.kind, measurements={"echo_ms": echo_ms, "retries": self._retries})

    def _fail(self, cause: str, detail: str) -> Health:
        return Health(HEALTH_FAIL, self.kind, cause, E_FAILURE, 0, detail, {"retries": self._retries})

    async def _release(self) -> None:
        self._card = False
        await self._command(_IN_RELEASE, b"\x00", _ANSWER_MS)  # all targets

    async def _exchange_error(self, status: int) -> DeviceError:
        """The error that a status byte of InDataExchange stands for."""
        detail = "InDataExchange status 0x%02x" % status
        if status in _TIMEOUTS and await self._is_present():
            return self._silent_card()
        if status in _TIMEOUTS or status in _CARD_GONE:
            self._card = False
            return DeviceError(E_EXTENDED, self.kind, detail, ESC_TORN, "card_torn")
        if status in _UNREADABLE:
            return DeviceError(E_EXTENDED, self.kind, detail, ESC_READ, "card_unreadable")
        if status == _NO_TARGET:
            self._card = False
            return DeviceError(E_EXTENDED, self.kind, detail, ESC_NO_CARD, "no_card")
        return DeviceError(E_FAILURE, self.kind, detail, cause="check_failed")

    def _silent_card(self) -> DeviceError:
        return DeviceError(E_TIMEOUT, self.kind, "the card is there and does not answer", cause="card_silent")

    def _garbled(self, detail: str) -> DeviceError:
        return DeviceError(E_FAILURE, self.kind, detail, cause="garbled_answer")

    async def _is_present(self) -> bool:
        """Whether the activated card still answers at the protocol's lower layer (Diagnose, presence test)."""
        try:
            return await self._command(_DIAGNOSE, bytes([_PRESENCE_TEST]), _ANSWER_MS) == b"\x00"
        except DeviceError as error:
            if error.code != E_FAILURE:
                raise
            return False  # a chip that does not know the test

    # Commands.

    async def _command(self, command: int, data: bytes, timeout_ms: int, longest_data: int = 64) -> bytes:
        """Send a command; gives what follows the answer's code.

        A command not acknowledged is sent again, an answer that came damaged is asked for again with a NACK.
        Raises E_NOHARDWARE, E_TIMEOUT, and E_FAILURE for answers that stay damaged or belong to no command.
        """
        await self._send(frame(command, data))
        parser = self._parser
        for attempt in range(_TRIES):
            try:
                await self._transport.read(parser, longest_data + _OVERHEAD, timeout_ms)
            except DeviceError:
                await self._abort()
                raise
            if parser.kind == parser.DATA and parser.length and parser.data[0] == command + 1:
                return bytes(parser.data[1 : parser.length])
            if parser.kind == parser.ERROR:
                raise DeviceError(E_FAILURE, self.kind, "command 0x%02x not taken" % command, cause="check_failed")
            if attempt < _TRIES - 1:
                self._retries += 1
                await self._transport.write(_NACK)
        await self._abort()
        raise self._garbled("damaged answers to command 0x%02x" % command)

    async def _send(self, request: bytes) -> None:
        """Until it is acknowledged. A late answer to an earlier command may come first: it is passed over."""
        parser = self._parser
        damaged = False
        for attempt in range(_TRIES):
            if attempt:
                self._retries += 1
            await self._transport.write(request)
            for _ in range(2):
                try:
                    await self._transport.read(parser, len(_ACK), _ACK_MS)
                except DeviceError as error:
                    if error.code != E_TIMEOUT:
                        raise
                    damaged = damaged or error.cause == "garbled_answer"
                    break
                if parser.kind == parser.ACK:
                    return
                damaged = True
        if damaged:
            raise self._garbled("damaged acknowledges")
        raise DeviceError(E_TIMEOUT, self.kind, "no acknowledge frame", cause="no_answer")

    async def _abort(self) -> None:
        """An ACK makes the chip drop the command. That it does not take even that is told by the error on its way."""
        try:
            await self._transport.write(_ACK)
        except DeviceError:
            self._card = False
