"""Where the acquirer's payment host is, and as whom the terminal speaks to it: what these settings may be. Pure."""

from firmware_agent.card_numbers import masked

MERCHANT_CHARACTERS, TERMINAL_CHARACTERS = 15, 8  # ISO 8583 fields 42 and 41
MAX_HOST = 80
SETTINGS = ("payment_host", "merchant_number", "payment_terminal")

_OF_HOST = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-."
_OF_CARDS = ("34", "37")  # cards whose number has 15 digits begin so


def address_of(value: str) -> "tuple[str, int]":
    """(host, port) of 'host:port'; ('', 0) for what is none."""
    host, _, port = value.partition(":")
    if not 0 < len(host) <= MAX_HOST or not all([character in _OF_HOST for character in host]):
        return "", 0
    if not 0 < len(port) <= 5 or not all([character in "0123456789" for character in port]) or not 0 < int(port) < 65536:
        return "", 0
    return host, int(port)


def may_be(name: str, value: str) -> bool:
    """Whether one of SETTINGS may have that value; empty: none is set."""
    if not value:
        return True
    if name == "payment_host":
        return bool(address_of(value)[0])
    length = MERCHANT_CHARACTERS if name == "merchant_number" else TERMINAL_CHARACTERS
    return len(value) == length and all([character in _OF_HOST for character in value])


def is_merchant_number(value: str) -> bool:
    """Whether it is one, and no card number: of one merchant number in ten the last digit is right for a card by chance, but cards of that
    length have a beginning of their own.
    """
    return may_be("merchant_number", value) and (masked(value) == value or value[:2] not in _OF_CARDS)
