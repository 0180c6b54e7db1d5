"""Driver: the microcontroller's own watchdog, through machine.WDT."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Longer than anything that may keep the event loop for itself: a P-256 signature 0.7 s, a TLS handshake 2 s, opening a full store 4 s
# (estimates for an ESP32-S3, in software); and, longest, 21 s for a host name that no DNS server knows, for MicroPython has no look-up
# that does not block (hal/resolver.py). A shop whose DNS is down is not to look like a program that hangs.
LIMIT_MS = 30000


class MachineWatchdog:
    """wdt: MicroPython's class machine.WDT."""

    limit_ms = LIMIT_MS

    def __init__(self, wdt: "Any") -> None:
        self._wdt = wdt
        self._running: Any = None

    def start(self) -> None:
        self._running = self._wdt(timeout=self.limit_ms)

    def feed(self) -> None:
        """Does nothing before start."""
        if self._running is not None:
            self._running.feed()
