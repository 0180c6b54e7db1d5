"""Bar-code scanner with Honeywell's serial commands: SYN T CR, SYN U CR, and menu commands SYN M CR ... . or !"""

from __future__ import annotations

from collections.abc import Callable

from host_sim.chips.faces import Fault, UartChip

SYN = 0x16
ACK = b"\x06"
ENQ = b"\x05"
LIGHT_MS = 30000  # the trigger times out by itself, as delivered
LONGEST_COMMAND = 256
REVISION = b"REVINF" + b"Product Name: Scan Engine\r\nBoot Revision: 1.02\r\nSoftware Revision: 1.96\r\nSerial Number: 000001"


class SerialScannerChip(UartChip):
    """answers_revision: it knows menu commands, as many that take the trigger do not."""

    FAULTS = {
        "silent": Fault("the scanner says nothing: its cable is off, or it is dead", "no_answer"),
        "garbage": Fault("what it sends arrives as noise: another baud rate", "garbled_answer"),
        "no_light": Fault("the light stays dark: no code is ever read", "no_code"),
        "no_suffix": Fault("the CR after the code has been configured away", "no_suffix"),
    }

    def __init__(self, now_ms: Callable[[], int], answers_revision: bool = True) -> None:
        super().__init__(now_ms)
        self._answers_revision = answers_revision
        self._code: bytes | None = None  # what is held before it
        self.power_up()

    def power_up(self) -> None:
        self._command = bytearray()
        self._light_until_ms = 0

    # Back face.

    def present(self, code: str | bytes) -> None:
        """Hold a code before the scanner: read at once if the light is on, else when it is triggered; once."""
        self._code = code.encode() if isinstance(code, str) else code
        self._read_code()

    def take_away(self) -> None:
        self._code = None

    @property
    def holds_code(self) -> bool:
        """Whether a code is held before it that was not read yet."""
        return self._code is not None

    @property
    def light(self) -> bool:
        return self._triggered and not self.has("no_light")

    # Bus face.

    def receive(self, data: bytes) -> None:
        if self.has("silent"):
            return
        for byte in data:
            self._take(byte)

    def _take(self, byte: int) -> None:
        if byte == SYN:
            self._command = bytearray([byte])  # a new command, whatever came before
        elif self._command:
            self._command.append(byte)
            self._obey(bytes(self._command))

    def _obey(self, command: bytes) -> None:
        if command == b"\x16T\r":
            self._light_until_ms = self.now_ms() + LIGHT_MS
            self._command.clear()
            self._read_code()
        elif command == b"\x16U\r":
            self._light_until_ms = 0
            self._command.clear()
        elif command.startswith(b"\x16M\r") and command[-1:] in (b".", b"!"):
            tag = command[3:-1].upper()
            self._command.clear()
            if self._answers_revision:
                self._put_on_line((REVISION + ACK if tag == b"REVINF" else command[3:-1] + ENQ) + command[-1:])
        elif len(command) > LONGEST_COMMAND or (len(command) == 2 and command[1:] not in (b"T", b"U", b"M")):
            self._command.clear()

    @property
    def _triggered(self) -> bool:
        return self.now_ms() < self._light_until_ms

    def _read_code(self) -> None:
        if self._code is None or not self.light or self.has("silent"):
            return
        code, self._code = self._code, None
        self._light_until_ms = 0  # a good read ends the trigger
        self._put_on_line(code + (b"" if self.has("no_suffix") else b"\r"))

    def _put_on_line(self, data: bytes) -> None:
        if self.has("garbage"):  # each byte sampled at the wrong rate: never a control character or plain text
            data = bytes(0x80 | (byte * 5 & 0x7F) for byte in data)
        self.send(data)
