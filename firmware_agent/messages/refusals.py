"""How refused messages are told of: each by its receipt, but a flood of them by its sum, so that forgeries do not fill the outbox."""

from firmware_agent.messages.pace import Bucket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hal.clock import Clock

# An acquirer has one message in flight, and repeats it with each new connection: it never comes near to this.
RECEIPTS = 8  # at once
RECEIPT_MS = 15000  # and then one in this time
SUM_MS = 60000  # so often what got no receipt is told: a power cut takes no more of the count than that


class Refusals:
    """clock: the terminal's.

    Who can publish on a terminal's topic needs no key to flood it. So messages with the acquirer's own signature have a bucket for
    themselves, and forgeries take none of their receipts away.
    """

    def __init__(self, clock: "Clock") -> None:
        self._clock = clock
        self._receipts = {True: Bucket(clock, RECEIPTS, RECEIPT_MS), False: Bucket(clock, RECEIPTS, RECEIPT_MS)}
        self._counts: dict[str, int] = {}  # refusal -> messages without a receipt
        self._since_ms = 0  # the first of them

    def gets_receipt(self, refusal: str, authentic: bool) -> bool:
        """Whether a message that is refused gets a receipt. It is counted, if it does not."""
        if self._receipts[authentic].take():
            return True
        if not self._counts:
            self._since_ms = self._clock.monotonic_ms()
        self._counts[refusal] = self._counts.get(refusal, 0) + 1
        return False

    def sums(self) -> "list[tuple[str, int]]":
        """(refusal, messages without a receipt), once for each window of SUM_MS; the count begins anew."""
        if not self._counts or self._clock.monotonic_ms() - self._since_ms < SUM_MS:
            return []
        counts = sorted(self._counts.items())
        self._counts = {}
        return counts
