"""The limits that the acquirer has set to payments, and how near today's totals are. Pure."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware_agent.settings import Settings
    from firmware_agent.terminal import Terminal
    from hal.payment import Totals

# Settings, each with what it limits: the largest payment, the sum of a day, both in minor units, changes of the settlement card in a day.
SETTINGS = ("limit_single", "limit_daily", "limit_card_changes")
NAMES = ("single", "daily", "card_changes")
FROM_PERCENT = 80
MAX_DIGITS = 12  # of an amount (ISO 8583 field 4)


def is_limit(value: str) -> bool:
    """Whether a setting may have that value; empty: no limit."""
    return len(value) <= MAX_DIGITS and all([character in "0123456789" for character in value]) and (not value or int(value) > 0)


def limits_of(settings: "Settings") -> "tuple[int, ...]":
    """In the order of NAMES; 0: none is set."""
    values = [settings.get(name) for name in SETTINGS]
    return tuple([int(value) if value and is_limit(value) else 0 for value in values])


def warnings(limits: "tuple[int, ...]", totals: "Totals | None") -> "list[tuple[str, int]]":
    """(name, percent of the limit) of each that is nearly reached, or is; the nearest first."""
    if totals is None:
        return []
    used = (totals.single, totals.daily, totals.card_changes)
    near: list[tuple[int, int]] = []  # percent, place
    for place in range(len(NAMES)):
        if limits[place] and used[place] * 100 >= limits[place] * FROM_PERCENT:
            near.append((used[place] * 100 // limits[place], -place))
    return [(NAMES[-place], percent) for percent, place in sorted(near, reverse=True)]


def warnings_now(terminal: "Terminal", settings: "Settings") -> "list[tuple[str, int]]":
    """Those of this terminal, by what the payment host last said of today."""
    payment = terminal.hal.payment
    limits = limits_of(settings)
    if payment is None or not any(limits):
        return []
    return warnings(limits, payment.totals())
