"""Contract: payment. The payment application: it signs the terminal in at the acquirer's payment host, says whether that answers, and knows
what it began there and has not finished. Real payments are its own; of a card it tells nothing but that it was another one.

Level 1: `configure(host, port, merchant, terminal)` names the host (a name or an IPv4 address), the merchant number (15 characters) and the
  terminal number there (8); an empty one: not configured, as `is_configured` tells. `async sign_in(timeout_ms)`, `async echo(timeout_ms)`
  and `async test_sale(timeout_ms)` give the host's Answer, and raise DeviceError where there is none, cause 'payment_unreachable'
  (nothing was sent), 'payment_silent' or 'payment_garbled', or the network device's own; timeout_ms: of each exchange with the host. A
  test sale is one in the terminal's test mode, without any card, that is reversed at once: `settled` in its answer says whether the host
  has confirmed that. It is written down before it is sent (cause 'payment_journal': it could not be, and was not sent), and its end when
  it has one: a power cut forgets none. `unfinished()` lists those without an end, oldest first, what is under way not counted; `async
  settle(reference, timeout_ms)` has one reversed, and gives the answer to that (E_NOEXIST: there is none of that reference). `totals()`
  is what the host last said of today, else None. `heard()` gives the answers since the last call that nobody here had asked for: to
  payments, and to sign-ins of the application's own.
Health: internal: nothing leaves the terminal; 'not_configured' is HEALTH_NOT_RUN; measured: unfinished. External: an echo; any answer of
the host's proves the way.
"""

from hal.contract import Contract

CONTRACT = Contract(
    "payment",
    {1: ("configure", "is_configured", "sign_in", "echo", "test_sale", "unfinished", "settle", "totals", "heard")},
)

# What was asked, by its message type (ISO 8583 MTI).
SIGN_IN = "0800"
ECHO = "0820"
SALE = "0200"
REVERSAL = "0400"

APPROVED = ("00", "10", "11", "16", "A2", "A4", "A5", "A6")  # codes that mean yes


class Answer:
    """asked: SIGN_IN, ECHO, SALE or REVERSAL; code: response code (ISO 8583 field 39); sub_code: why, in the acquirer's own code, or '';
    requirement: what the host wants done (processing requirement in the header), 0 for nothing; card: of a payment, a number that is
    another for another card, 0 for none; settled: of a test sale or a reversal, nothing of it is left at the host.
    """

    def __init__(self, asked: str, code: str, sub_code: str = "", requirement: int = 0, card: int = 0, settled: bool = False) -> None:
        self.asked = asked
        self.code = code
        self.sub_code = sub_code
        self.requirement = requirement
        self.card = card
        self.settled = settled

    @property
    def approved(self) -> bool:
        return self.code in APPROVED

    @property
    def message_type(self) -> str:
        """Of the answer: '0810' to a sign-in."""
        return "%04d" % (int(self.asked) + 10)

    def __str__(self) -> str:
        """For a technician: '0810 03 A258'."""
        return ("%s %s %s" % (self.message_type, self.code, self.sub_code)).strip()


class Unfinished:
    """A transaction that was begun and has no end. reference: its number here; amount: in minor units; since: Unix seconds, or 0."""

    def __init__(self, reference: str, amount: int, since: int) -> None:
        self.reference = reference
        self.amount = amount
        self.since = since


class Totals:
    """Of today, as the host counts: largest payment, sum of payments, both in minor units, and changes of the settlement card."""

    def __init__(self, single: int, daily: int, card_changes: int) -> None:
        self.single = single
        self.daily = daily
        self.card_changes = card_changes


TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from hal.device import Health

    class Payment(Protocol):
        level: int
        enabled: bool

        @property
        def is_configured(self) -> bool: ...
        def configure(self, host: str, port: int, merchant: str, terminal: str) -> None: ...
        async def sign_in(self, timeout_ms: int) -> Answer: ...
        async def echo(self, timeout_ms: int) -> Answer: ...
        async def test_sale(self, timeout_ms: int) -> Answer: ...
        def unfinished(self) -> list[Unfinished]: ...
        async def settle(self, reference: str, timeout_ms: int) -> Answer: ...
        def totals(self) -> Totals | None: ...
        def heard(self) -> list[Answer]: ...
        async def check_health(self, level: int = 1) -> Health: ...
