"""Contract: sounder. Makes a tone that a person hears.

Level 1: `async tone(frequency_hz, duration_ms)` sounds 100..10000 Hz for 1..5000 ms, returns when it is over, and leaves it silent whatever
  happens (E_ILLEGAL outside of these).
Whether it was heard only a person can tell: the internal health check says HEALTH_NOT_RUN with cause 'no_feedback', unless the part has
some.
"""

from hal.contract import Contract

CONTRACT = Contract("sounder", {1: ("tone",)})

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from hal.device import Health

    class Sounder(Protocol):
        level: int
        enabled: bool

        async def tone(self, frequency_hz: int, duration_ms: int) -> None: ...
        async def check_health(self, level: int = 1) -> Health: ...
