"""Contract: printer. A receipt printer.

Level 1: `columns`; `async print_text(text)` prints ASCII, lines end with \\n; `async feed(lines)`.
Level 2: `width_dots`; `async print_bitmap(width_dots, height_dots, bits)`, bits as in hal.display, 1 = black.
Level 3: `async cut()`; `async status()` gives a PrinterStatus.
Each printing method asks for the status first (level 3) and raises DeviceError: E_EXTENDED with EPTR_COVER_OPEN or EPTR_REC_EMPTY,
E_FAILURE (cutter, head), E_OFFLINE. A printer that does not answer a status query is printed on all the same: no answer is not a fault
that stops printing. Its health then says HEALTH_NOT_RUN with cause 'no_status', for many cheap printers never answer; where the board knows
that this one does, 'no_answer', or 'partial_status' when it answers only some.
"""

from hal.contract import Contract

CONTRACT = Contract("printer", {1: ("columns", "print_text", "feed"), 2: ("width_dots", "print_bitmap"), 3: ("cut", "status")})


class PrinterStatus:
    """Each field True, False, or None where the printer did not say."""

    def __init__(
        self,
        online: "bool | None" = None,
        cover_open: "bool | None" = None,
        paper_out: "bool | None" = None,
        paper_near_end: "bool | None" = None,
        cutter_error: "bool | None" = None,
        overheated: "bool | None" = None,
        unrecoverable: "bool | None" = None,
    ) -> None:
        self.online = online
        self.cover_open = cover_open
        self.paper_out = paper_out
        self.paper_near_end = paper_near_end
        self.cutter_error = cutter_error
        self.overheated = overheated
        self.unrecoverable = unrecoverable


TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from hal.device import Health

    class Printer(Protocol):
        level: int
        enabled: bool
        columns: int
        width_dots: int

        async def print_text(self, text: str) -> None: ...
        async def feed(self, lines: int) -> None: ...
        async def print_bitmap(self, width_dots: int, height_dots: int, bits: "bytes | bytearray | memoryview") -> None: ...
        async def cut(self) -> None: ...
        async def status(self) -> PrinterStatus: ...
        async def check_health(self, level: int = 1) -> Health: ...
