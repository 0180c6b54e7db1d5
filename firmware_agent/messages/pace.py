"""A bucket of tokens that fills again by and by: a burst passes, a flood does not."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hal.clock import Clock


class Bucket:
    """clock: brought up or not; burst: tokens in a full bucket, which it is at first; refill_ms: in which one token comes back."""

    def __init__(self, clock: "Clock", burst: int, refill_ms: int) -> None:
        self._clock = clock
        self._full_ms = burst * refill_ms
        self._refill_ms = refill_ms
        self._level_ms = self._full_ms  # tokens, in the time that they take to come
        self._looked_ms = clock.monotonic_ms()

    def take(self) -> bool:
        """Take one token; False where there is none."""
        self._fill()
        if self._level_ms < self._refill_ms:
            return False
        self._level_ms -= self._refill_ms
        return True

    def spill(self, left: int) -> None:
        """Leave at most so many tokens."""
        self._fill()
        self._level_ms = min(self._level_ms, left * self._refill_ms)

    def _fill(self) -> None:
        now_ms = self._clock.monotonic_ms()
        self._level_ms = min(self._full_ms, self._level_ms + now_ms - self._looked_ms)
        self._looked_ms = now_ms
