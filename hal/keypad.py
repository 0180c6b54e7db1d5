"""Contract: keypad. Keys by the names of XFS4IoT in digits: '0'..'9', 'enter', 'cancel', 'clear', 'up', 'down', 'star', 'hash', 'help'.

Level 1: `keys` (tuple of the names it has); `async read(timeout_ms)` gives the next key pressed, debounced, or None when
  the time is over. A key held down is given once. Keys seen while an earlier one was given are kept, up to 8, the oldest dropped; what is
  pressed and let go while nobody reads may be missed.
  Health (internal): a key that is down for the whole check is stuck ('key_stuck', detail names it).
Level 2: `layout` (tuple of rows, each a tuple of names, as the lines are wired); `down()` gives the names of the keys whose contacts are
  closed right now, as they are: what a matrix shows that nobody pressed is there too; `bounces` the most contact changes beyond its own
  that one press or release has shown since the keypad was enabled.
  Health (internal): a line that is low by itself is shorted ('row_shorted', 'column_shorted', detail names it, counted from 1).
"""

from hal.contract import Contract

CONTRACT = Contract("keypad", {1: ("keys", "read"), 2: ("layout", "down", "bounces")})

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from hal.device import Health

    class Keypad(Protocol):
        level: int
        enabled: bool
        keys: tuple[str, ...]
        layout: tuple[tuple[str, ...], ...]
        bounces: int

        async def read(self, timeout_ms: int) -> str | None: ...
        def down(self) -> tuple[str, ...]: ...
        async def check_health(self, level: int = 1) -> Health: ...
