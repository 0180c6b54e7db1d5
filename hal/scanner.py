"""Contract: scanner. Reads one bar or QR code on demand.

Level 1: `async scan(timeout_ms)` switches the light on, gives the code's text (ASCII or UTF-8, at most 512 bytes), or None when the time is
  over, and switches the light off again. Garbage (not UTF-8, too long): DeviceError E_FAILURE, cause 'garbled_answer'; a code without the
  end that the scanner is set to send: cause 'no_suffix'.
"""

from hal.contract import Contract

CONTRACT = Contract("scanner", {1: ("scan",)})

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from hal.device import Health

    class Scanner(Protocol):
        level: int
        enabled: bool

        async def scan(self, timeout_ms: int) -> str | None: ...
        async def check_health(self, level: int = 1) -> Health: ...
