"""Which suspension this is, why, and where in the evidence log it began: kept in the store until its summary is told, and then for its
number. Pure.
"""

from firmware_agent.messages.cbor import CborError, decode, encode
from firmware_agent.state.machine import IN_SERVICE, PROBATION
from firmware_agent.state.reasons import Reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware_agent.state.machine import State

KEY_SUSPENSION = "suspension"
MOST_REASONS = 16  # that one suspension remembers: all twelve, and some of several devices


class Suspension:
    """number: how many there were, this one included, 0 = none; is_open: its summary is not told yet; first: number of the entry in the
    evidence log with which it began; reasons: all that held in it, in the order in which they came.
    """

    def __init__(self, number: int = 0, is_open: bool = False, first: int = 0, reasons: "tuple[Reason, ...]" = ()) -> None:
        self.number = number
        self.is_open = is_open
        self.first = first
        self.reasons = reasons

    def after(self, state: "State", entry: int) -> "Suspension":
        """As it is with that state, which is told of by the log's entry of that number; itself where it is the same."""
        if not state.reasons:
            return self
        known = self.reasons if self.is_open else ()
        reasons = known
        for reason in state.reasons:
            same = [one for one in reasons if one.same_cause(reason)]
            if same and same[0].to_list() == reason.to_list():
                continue
            if same:  # told again, with another time or case
                reasons = tuple(reason if one is same[0] else one for one in reasons)
            elif len(reasons) < MOST_REASONS:
                reasons = reasons + (reason,)
        if self.is_open:
            return self if reasons is known else Suspension(self.number, True, self.first, reasons)
        return Suspension(self.number + 1, True, entry, reasons)

    def told(self) -> "Suspension":
        """Its summary is told: the next reason begins another one."""
        return Suspension(self.number, False, self.first, self.reasons)

    def encoded(self) -> bytes:
        return encode([self.number, self.is_open, self.first, [reason.to_list() for reason in self.reasons]])

    @staticmethod
    def decoded(record: "bytes | None") -> "Suspension":
        """None there is where there is no record, or none that can be read: a summary is no reason to stop for."""
        try:
            number, is_open, first, reasons = decode(record or b"")
            return Suspension(int(number), bool(is_open), int(first), tuple([Reason.from_list(values) for values in reasons]))
        except (CborError, KeyError, TypeError, ValueError):
            return Suspension()


def is_back(state: "State") -> bool:
    """Whether a terminal in that state takes payments."""
    return state.mode in (IN_SERVICE, PROBATION)
