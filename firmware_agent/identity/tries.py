"""Wrong tries at a secret that people type: counted in the store before the secret is looked at, and followed by a delay that grows.

The delay counts by monotonic time of this boot alone, so that setting the clock shortens nothing, nor does not setting it; a restart begins
it anew.
"""

from firmware_agent.messages.cbor import CborError, decode, encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware_agent.store import Store
    from hal.clock import Clock

KEY_ACTIVATION = "activation.tries"  # here, so that who only forgets them need not load what makes them

FREE_TRIES = 2  # failures that cost no time: with the third the delays begin
FIRST_DELAY_MS = 30000  # doubled by each further failure
LONGEST_DELAY_MS = 3600000


class Tries:
    """key: of the record in the store, [failures in a row, boot count and time since that boot in ms of the last one]."""

    def __init__(self, store: "Store", key: str, clock: "Clock", boot_count: int) -> None:
        self._store = store
        self._key = key
        self._clock = clock
        self._boot_count = boot_count

    @property
    def failures(self) -> int:
        """In a row."""
        return self._record()[0]

    def wait_ms(self) -> int:
        """How long no secret is looked at."""
        failures, boot_count, failed_ms = self._record()
        if failures <= FREE_TRIES:
            return 0
        delay_ms = min(FIRST_DELAY_MS << min(failures - FREE_TRIES - 1, 16), LONGEST_DELAY_MS)
        if boot_count != self._boot_count:
            failed_ms = 0
        return max(0, failed_ms + delay_ms - self._clock.monotonic_ms())

    def failed(self, failures: int) -> "tuple[str, bytes | None]":
        """What to write so that there were so many failures, the last one now."""
        return self._key, encode([failures, self._boot_count, self._clock.monotonic_ms()])

    def forgotten(self) -> "tuple[str, bytes | None]":
        """What to write when the secret was right."""
        return self._key, None

    def _record(self) -> "tuple[int, int, int]":
        """A record that cannot be read counts as the longest delay."""
        record = self._store.get(self._key)
        if record is None:
            return 0, 0, 0
        try:
            failures, boot_count, failed_ms = decode(record)
            if all(isinstance(number, int) for number in (failures, boot_count, failed_ms)):
                return failures, boot_count, failed_ms
        except (CborError, TypeError, ValueError):
            pass  # as below
        return FREE_TRIES + 8, 0, 0
