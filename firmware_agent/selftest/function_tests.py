"""Function tests: print, scan and pay, as the merchant uses them. Tasks: they do the work and know no words."""

import errno

from firmware_agent.selftest.phases import ERROR, FAIL, PASS, TIMEOUT
from hal.errors import E_EXTENDED, E_FAILURE, E_TIMEOUT, EPTR_COVER_OPEN, EPTR_REC_EMPTY, ESC_READ, ESC_TORN, DeviceError, error_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware_agent.screens.slip import SlipPrinter
    from hal.card_reader import CardReader
    from hal.scanner import Scanner

SCAN_TIMEOUT_MS = 30000
CARD_TIMEOUT_MS = 30000

# SELECT of the proximity payment environment '2PAY.SYS.DDF01' (EMV Contactless Book B), with Le: some cards answer 6700 without it.
# Nothing is read behind it: no application is selected, and no record that could hold a card number is touched.
SELECT_PPSE = b"\x00\xa4\x04\x00\x0e2PAY.SYS.DDF01\x00"
SW_SUCCESS = b"\x90\x00"
SW_NOT_FOUND = b"\x6a\x82"

CAUSE_OF_PRINTER = {EPTR_COVER_OPEN: "cover_open", EPTR_REC_EMPTY: "paper_out"}
CAUSE_OF_READER = {ESC_READ: "two_cards", ESC_TORN: "card_torn"}


class Outcome:
    """outcome: of firmware_agent.selftest.phases; cause: one word when it did not pass; text: what was read, for the screen."""

    def __init__(self, outcome: str, cause: str = "", text: str = "") -> None:
        self.outcome = outcome
        self.cause = cause
        self.text = text


async def print_test(slips: "SlipPrinter", title: str, lines: "list[str]") -> Outcome:
    """Print a slip. Whether it can be read, only a person can say."""
    try:
        await slips.print_lines(lines, title)
    except (DeviceError, OSError) as error:
        return _failed(error, CAUSE_OF_PRINTER)
    return Outcome(PASS)


async def scan_test(scanner: "Scanner") -> Outcome:
    """Read any one code."""
    try:
        code = await scanner.scan(SCAN_TIMEOUT_MS)
    except (DeviceError, OSError) as error:
        return _failed(error, {})
    if code is None:
        return Outcome(TIMEOUT, "no_code")
    return Outcome(PASS, text=code)


async def pay_test(reader: "CardReader") -> Outcome:
    """Find a card and select its payment environment. No money moves, and no card number is read."""
    try:
        if not await reader.find_card(CARD_TIMEOUT_MS):
            return Outcome(TIMEOUT, "no_card")
        answer = await _select(reader)
    except (DeviceError, OSError) as error:
        return _failed(error, CAUSE_OF_READER)
    if answer[-2:] == SW_SUCCESS:
        return Outcome(PASS)
    # The reader works, for the card answered; but this card cannot show that it pays.
    return Outcome(FAIL, "not_a_payment_card" if answer[-2:] == SW_NOT_FOUND else "card_refused")


async def _select(reader: "CardReader") -> bytes:
    """The card's answer; the card is released whatever happens, and what went wrong first is what is raised."""
    answered = False
    try:
        answer = await reader.exchange(SELECT_PPSE)
        answered = True
    finally:
        try:
            await reader.release_card()
        except DeviceError:
            if answered:
                raise
    return answer


def _failed(error: "DeviceError | OSError", causes: "dict[int, str]") -> Outcome:
    if not isinstance(error, DeviceError):  # a bus raised what the driver did not expect
        if error.args and error.args[0] == errno.ETIMEDOUT:
            return Outcome(TIMEOUT, "no_answer")
        return Outcome(ERROR, error_name(E_FAILURE))
    if error.code == E_TIMEOUT:
        return Outcome(TIMEOUT, "no_answer")
    if error.code == E_EXTENDED and error.extended in causes:
        return Outcome(FAIL, causes[error.extended])
    return Outcome(ERROR, error.name)
