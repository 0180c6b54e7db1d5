"""Which materials an application needs, by the reasons that hold and the kind of merchant: the table of the field, as data."""

from firmware_agent.shop import INDIVIDUAL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from firmware_agent.state.reasons import Reason

# How much a material is needed.
REQUIRED = "required"
IF_ANY = "if_any"
AUTOMATIC = "automatic"  # the terminal has it
NEEDS = (REQUIRED, IF_ANY, AUTOMATIC)

ID_CARD, BANK_CARD, LICENCE, PHOTOGRAPHS, PURCHASE, CONTRACT, TRANSACTIONS, WARRANTY, EXPLANATION, REPORTS = range(1, 11)
MATERIALS = (ID_CARD, BANK_CARD, LICENCE, PHOTOGRAPHS, PURCHASE, CONTRACT, TRANSACTIONS, WARRANTY, EXPLANATION, REPORTS)
_OF_A_MERCHANT = (LICENCE, PHOTOGRAPHS)  # an individual has none
_IF_ANY = (CONTRACT, WARRANTY)
_REPLACEMENT = "hardware_fault"  # whose materials are asked for only when the device is to be replaced: for a repair nobody asks


def needed(reasons: "Iterable[Reason]", merchant_kind: str, replaced: bool = False, appeal: bool = False) -> "list[tuple[int, str]]":
    """(number, need) of each, by number: for several reasons all that one of them asks for. replaced: the device is to be replaced; appeal:
    the application is one, which needs the explanation whatever the reason. The terminal's own reports go with each application.
    """
    numbers = [EXPLANATION] if appeal else []
    for reason in reasons:
        if reason.code != _REPLACEMENT or replaced:
            numbers.extend(reason.kind.materials)
    found = []
    for number in MATERIALS:
        if number == REPORTS:
            found.append((number, AUTOMATIC))
        elif number in numbers and (merchant_kind != INDIVIDUAL or number not in _OF_A_MERCHANT):
            found.append((number, IF_ANY if number in _IF_ANY else REQUIRED))
    return found


def missing(materials: "list[tuple[int, str]]", ticked: "Iterable[int]") -> "list[int]":
    """The required ones that are not ticked."""
    held = list(ticked)
    return [number for number, need in materials if need == REQUIRED and number not in held]


def at_hand(materials: "list[tuple[int, str]]", ticked: "Iterable[int]") -> "list[int]":
    """What an application tells: those that are ticked and asked for, and what the terminal has."""
    held = list(ticked)
    return [number for number, need in materials if need == AUTOMATIC or number in held]


def asks_for_replacement(reasons: "Iterable[Reason]") -> bool:
    """Whether it has to be asked if the device is to be replaced."""
    return any([reason.code == _REPLACEMENT for reason in reasons])
