"""Contract: card reader. Finds one card and carries APDUs to it. No card number is ever read.

Level 1: `async find_card(timeout_ms)` gives True when one card is in the field, False when the time is over, and raises E_EXTENDED
  with ESC_READ for two cards at once; `async exchange(apdu, timeout_ms)` gives the answer, data and SW1 SW2 (ISO 7816-4), 2..258 bytes;
  raises E_EXTENDED with ESC_TORN when the card has gone, ESC_NO_CARD when none was found, E_TIMEOUT; `async release_card()`.
  The error's cause tells reader and card apart: 'two_cards', 'card_torn', 'card_silent', 'not_a_payment_card' are the card's, with a sound
  reader; 'card_unreadable', 'no_card', 'no_answer', 'garbled_answer' are not.
Level 2: `async firmware_version()` gives a short text ('PN532 1.6').
"""

from hal.contract import Contract

CONTRACT = Contract("card_reader", {1: ("find_card", "exchange", "release_card"), 2: ("firmware_version",)})

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from hal.device import Health

    class CardReader(Protocol):
        level: int
        enabled: bool

        async def find_card(self, timeout_ms: int) -> bool: ...
        async def exchange(self, apdu: bytes, timeout_ms: int = 1000) -> bytes: ...
        async def release_card(self) -> None: ...
        async def firmware_version(self) -> str: ...
        async def check_health(self, level: int = 1) -> Health: ...
