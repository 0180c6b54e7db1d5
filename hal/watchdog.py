"""Contract: watchdog. Resets the terminal when the program has not fed it for a while; not a device that is opened, tested or closed.

`start()` sets it running, for good: nothing but a reset stops it; `feed()` puts the reset off by another `limit_ms`.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class Watchdog(Protocol):
        limit_ms: int

        def start(self) -> None: ...
        def feed(self) -> None: ...
