"""What an answer of the payment host says about this terminal and its merchant. Pure.

The answer to a payment may be about the card; the same code in the answer to a sign-in, in which there is no card, is about the terminal or
its merchant. So only a sign-in suspends a terminal, and what it said a sign-in that is accepted takes back (docs/payment.md).
"""

from hal.payment import SALE, SIGN_IN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hal.payment import Answer

COMPONENT = "payment"  # of the reasons that come from here

# What an answer comes to.
NOTHING = "nothing"  # it says nothing about the terminal
ACCEPTED = "accepted"  # the sign-in: whatever the host had said before is over
AGAIN = "again"  # the host wants a sign-in
BUSY = "busy"  # the host has no time now
NETWORK = "network"  # the way to the host, or behind it, is broken
REFUSED = "refused"  # the sign-in, for no reason that is known here
SUSPENDS = "suspends"  # the host knows the merchant or the terminal not, or not any more

_AGAIN = ("77", "99", "A0", "22")
_BUSY = ("90", "96")
_NETWORK = ("91", "92", "98", "68")
_ACCOUNT = ("03", "58", "97")  # merchant unknown, not allowed to the terminal, terminal unknown
_SUB_AGAIN = ("A077", "A177", "A277")
_REASON_OF_SUB = {
    "A003": "account_issue",
    "A103": "account_issue",
    "A203": "account_issue",
    "A058": "account_issue",
    "A097": "account_issue",
    "A258": "contract_ended",
    "A658": "violation",  # the merchant is on the black list
    "A758": "compliance",  # the terminal is
}
ACCOUNT_ISSUE = "account_issue"

# Processing requirements of the header.
_SEND_STATE, _SIGN_IN_AGAIN = 2, 3

CARDS = 3  # that are refused one after the other, before a sign-in is to tell whether it is the cards


class Verdict:
    """what: NOTHING ..., REFUSED, SUSPENDS; reason: code of the reason that then holds; note: what the host said; tell_state: it wants to
    hear how the terminal is.
    """

    def __init__(self, what: str, reason: str = "", note: str = "", tell_state: bool = False) -> None:
        self.what = what
        self.reason = reason
        self.note = note
        self.tell_state = tell_state


class Suspicion:
    """Remembers the cards that were refused one after the other."""

    def __init__(self) -> None:
        self._cards: list[int] = []

    @property
    def cards_refused(self) -> bool:
        """So many different ones that the cause may be here."""
        return len(self._cards) >= CARDS

    def judge(self, answer: "Answer | None") -> Verdict:
        """answer: None where none came."""
        if answer is None:
            return Verdict(NETWORK, note="payment host silent")
        what = self._what(answer)
        reason = ""
        if what == SUSPENDS:
            reason = _REASON_OF_SUB.get(answer.sub_code, ACCOUNT_ISSUE)
        if answer.asked == SALE:
            self._count(answer)
            if self.cards_refused and what == NOTHING:
                what = AGAIN  # the sign-in tells
        elif what == ACCEPTED:
            self._cards = []
        return Verdict(what, reason, "payment host %s" % answer, answer.requirement == _SEND_STATE)

    def _what(self, answer: "Answer") -> str:
        code, is_sign_in = answer.code, answer.asked == SIGN_IN
        if answer.requirement == _SIGN_IN_AGAIN or code in _AGAIN or answer.sub_code in _SUB_AGAIN:
            return AGAIN
        if answer.approved:
            return ACCEPTED if is_sign_in else NOTHING
        if is_sign_in and answer.sub_code in _REASON_OF_SUB:
            return SUSPENDS
        if code in _BUSY:
            return BUSY
        if code in _NETWORK:
            return NETWORK
        if not is_sign_in:
            return NOTHING
        return SUSPENDS if code in _ACCOUNT or self.cards_refused else REFUSED

    def _count(self, answer: "Answer") -> None:
        if answer.code not in _ACCOUNT:
            self._cards = []  # the host let this one through to the card's bank
        elif answer.card and answer.card not in self._cards:
            self._cards.append(answer.card)


# When the terminal signs in again by itself.
FIRST_WAIT_MS = 60 * 1000
LONGEST_WAIT_MS = 60 * 60 * 1000
DAY_MS = 24 * 60 * 60 * 1000


def wait_ms(failures: int) -> int:
    """After so many sign-ins in a row that were not accepted: from a minute, doubled each time, to an hour; a day after one that was."""
    if not failures:
        return DAY_MS
    return min(FIRST_WAIT_MS << min(failures - 1, 6), LONGEST_WAIT_MS)
