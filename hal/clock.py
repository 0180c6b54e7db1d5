"""Contract: clock. All waiting and all time of the agent goes through it.

Level 1: `monotonic_ms()` never goes back and never wraps, starts near 0 at boot; `async sleep_ms(duration_ms)`; `async wait_for(awaitable,
  timeout_ms)` gives its result, or cancels it and raises OSError(ETIMEDOUT); `wall_s()` seconds since 1970-01-01 UTC, never below
  the floor; `trust` is TRUST_*; `raise_floor(wall_s)` the last time known from flash; `set_wall(wall_s, is_fresh)` a time from a signed
  source, is_fresh: that it has just answered a question of this terminal, so it is right even below the floor; `is_signed` a signed source
  has given the time since boot; `distrust()` what the clock woke with was only supposed: back to the floor.
  `certificate_s()` is the time by which certificates are judged: the time of day, or what `suppose(wall_s)` has put in its place until a
  signed source gives it; a TLS library with a clock of its own goes by the same. suppose gives True where the next start would wake with
  that time, and is to distrust it.
Waiting works from the start; the time of day is known from bring-up on, and until then is the floor, or 0. It never fails: who counts it
goes on without the part that keeps it over a power cut. A clock that wakes in 1970 has TRUST_NONE: nothing may be judged expired by it.
Health: a part that is to keep the time and did not is 'time_lost'; one that tells another time than has gone by is 'jumped' (measured:
  drift_s); one that stands still is 'stopped'. Without such a part a clock that nobody has set is HEALTH_NOT_RUN with cause 'not_set',
  which is no fault.
"""

from hal.contract import Contract

TRUST_NONE = 0  # the clock is not set
TRUST_FLOOR = 1  # not earlier than a time once known
TRUST_SET = 2  # a battery-backed clock that runs, or set since boot from a signed source

CONTRACT = Contract(
    "clock",
    {
        1: (
            "monotonic_ms",
            "sleep_ms",
            "wait_for",
            "wall_s",
            "trust",
            "raise_floor",
            "set_wall",
            "is_signed",
            "distrust",
            "certificate_s",
            "suppose",
        )
    },
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable
    from typing import Protocol, TypeVar

    T = TypeVar("T")

    class Clock(Protocol):
        level: int
        trust: int
        is_signed: bool

        def monotonic_ms(self) -> int: ...
        async def sleep_ms(self, duration_ms: int) -> None: ...
        async def wait_for(self, awaitable: Awaitable[T], timeout_ms: int) -> T: ...
        def wall_s(self) -> int: ...
        def raise_floor(self, wall_s: int) -> None: ...
        def set_wall(self, wall_s: int, is_fresh: bool = False) -> None: ...
        def distrust(self) -> None: ...
        def certificate_s(self) -> int: ...
        def suppose(self, wall_s: int) -> bool: ...
