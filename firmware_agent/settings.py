"""What is set at the installation, by the merchant, and by the acquirer's order `configure`: language, network, the official service line,
the time zone, who is to be called about this terminal, and what the merchant tells his customers.

Each heals by itself: a bad value counts as not set.
"""

from firmware_agent.boot.versions import is_version
from firmware_agent.card_numbers import masked
from firmware_agent.foreign_text import plain_text
from firmware_agent.messages.cbor import CborError, decode, encode
from firmware_agent.payment.limits import SETTINGS as LIMITS
from firmware_agent.payment.limits import is_limit
from firmware_agent.payment.payment_host import SETTINGS as PAYMENT_HOST
from firmware_agent.payment.payment_host import is_merchant_number, may_be
from firmware_agent.shop import MAX_CODE, MERCHANT, MERCHANT_KINDS, is_time, is_ways, promotion_of
from firmware_agent.texts import LANGUAGES
from hal.calendar import day_of
from hal.network import is_numeric

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware_agent.store import Store
    from hal.network import Static

    Changes = list[tuple[str, "bytes | None"]]

PREFIX = "set."
DEFAULTS = {
    "language": "zh-CN",
    "ssid": "",
    "password": "",
    "static_address": "",
    "static_mask": "",
    "static_gateway": "",
    "static_dns": "",
    "service_line": "",
    "utc_offset_min": "480",
    "contact_name": "",
    "contact_phone": "",
    "merchant_kind": MERCHANT,
    "other_ways": "",
    "other_way_code": "",
    "promotion": "",
    "promotion_until": "",
    # What is reminded of (reminders.py): dates as 'YYYY-MM-DD', '' for none.
    "due_licence": "",
    "due_contract": "",
    "due_card": "",
    "due_id": "",
    "due_fee": "",
    "due_data_card": "",
    "maintenance_every_days": "",
    "firmware_required": "",
    "firmware_due": "",
    # The payment host, 'name:port', and as whom the terminal speaks to it.
    "payment_host": "",
    "merchant_number": "",
    "payment_terminal": "",
    # What the acquirer limits: amounts in minor units; '' for no limit.
    "limit_single": "",
    "limit_daily": "",
    "limit_card_changes": "",
}
REMINDED = ("maintenance_every_days", "firmware_required", "firmware_due") + tuple([name for name in DEFAULTS if name.startswith("due_")])
STATIC = ("static_address", "static_mask", "static_gateway", "static_dns")  # all are set, or none: then the network gives them
NETWORK = ("ssid", "password") + STATIC
# The network's settings that the last connection was made with, while others are on trial: the values of NETWORK.
KEY_PROVEN = "network.proven"

WEST_MIN, EAST_MIN = -720, 840  # the zones of the earth: UTC-12 to UTC+14
MAX_SSID_BYTES = 32  # IEEE 802.11-2020, 9.4.2.2
MIN_PASSPHRASE, MAX_PASSPHRASE = 8, 63  # printable ASCII (IEEE 802.11-2020, J.4); 64 are the key itself, in hexadecimal digits
MIN_LINE, MAX_LINE = 3, 20  # characters of a telephone number: 15 digits (ITU-T E.164), and what sets them apart
MAX_NAME = 40  # characters of a person's name
MAX_EVERY_DAYS = 366


class SettingError(ValueError):
    """Says which setting is wrong, and never its value, which may be a secret."""


class Settings:
    """Reads through to the store; nothing is kept in memory."""

    def __init__(self, store: "Store") -> None:
        self._store = store

    def get(self, name: str) -> str:
        """The value set, or the default. Raises KeyError for a name that is no setting."""
        default = DEFAULTS[name]
        record = self._store.get(PREFIX + name)
        if record is None:
            return default
        try:
            value = decode(record)
        except CborError:
            return default
        return value if isinstance(value, str) else default

    @property
    def language(self) -> str:
        """One of firmware_agent.texts.LANGUAGES."""
        language = self.get("language")
        return language if language in LANGUAGES else DEFAULTS["language"]

    @property
    def utc_offset_min(self) -> int:
        """Minutes east of UTC, for times shown to people."""
        default = int(DEFAULTS["utc_offset_min"])
        try:
            offset_min = int(self.get("utc_offset_min"))
        except ValueError:
            return default
        return offset_min if WEST_MIN <= offset_min <= EAST_MIN else default

    def set(self, name: str, value: str) -> None:
        """Raises KeyError for a name that is no setting, SettingError for a value with a card number in it."""
        DEFAULTS[name]
        refuse_card_number(name, value)
        self._store.put(PREFIX + name, encode(value))

    def changes(self, pairs: "list[object]") -> "Changes":
        """What to write so that the settings are these: pairs of [name, value], all of them or none. A network's are then on trial. Raises
        SettingError.
        """
        values: dict[str, str] = {}
        for pair in pairs:
            if not isinstance(pair, list) or len(pair) != 2 or not isinstance(pair[0], str):
                raise SettingError("not a pair of a name and a value")
            name, value = pair
            if name not in DEFAULTS or name in values:
                raise SettingError("%s is no setting, or given twice" % masked(repr(name))[:40])
            if not isinstance(value, str) or not is_good(name, value):
                raise SettingError("%s has a value that it cannot have" % name)
            refuse_card_number(name, value)
            values[name] = value
        if not values:
            raise SettingError("no settings")
        changes: Changes = [(PREFIX + name, encode(value)) for name, value in values.items()]
        before = self._network_values()
        after = [values.get(name, before[place]) for place, name in enumerate(NETWORK)]
        static = after[len(NETWORK) - len(STATIC) :]
        if any(static) and not fit_together(static):
            raise SettingError("%s do not fit together" % ", ".join(STATIC))
        if not self.on_trial and before != after:
            changes.append((KEY_PROVEN, encode(before)))
        return changes

    # The network, which must not cut the terminal off.

    @property
    def network(self) -> "tuple[str, str, Static | None]":
        """(ssid, password, static), as a network device is configured. Addresses that do not fit together count as not set."""
        values = self._network_values()
        static = values[len(NETWORK) - len(STATIC) :]
        return values[0], values[1], (static[0], static[1], static[2], static[3]) if fit_together(static) else None

    def _network_values(self) -> "list[str]":
        return [self.get(name) for name in NETWORK]

    @property
    def on_trial(self) -> bool:
        """Whether no connection was made yet with the network's settings."""
        return self._store.get(KEY_PROVEN) is not None

    def kept(self) -> "Changes":
        """What to write when the network's settings have proved good."""
        return [(KEY_PROVEN, None)]

    def fallen_back(self) -> "Changes":
        """What to write so that the network's settings are those of before the trial; where these cannot be read, the new ones stay."""
        try:
            before = decode(self._store.get(KEY_PROVEN) or b"")
            changes: Changes = [(PREFIX + name, encode(before[place])) for place, name in enumerate(NETWORK)]
        except (CborError, TypeError, ValueError, IndexError):
            return self.kept()
        return changes + [(KEY_PROVEN, None)]


def refuse_card_number(name: str, value: str) -> None:
    """A setting lies on flash, and a masked one would be another. Raises SettingError."""
    if masked(value) != value and not (name == "merchant_number" and is_merchant_number(value)):
        raise SettingError("%s has a card number in it" % name)


def fit_together(static: "list[str]") -> bool:
    """Whether a network can be like that: address, mask, gateway and DNS server, each set, address and gateway two in one subnet."""
    if not all([is_numeric(value) for value in static]):
        return False
    address, mask, gateway, dns = [_number(value) for value in static]
    hosts = mask ^ 0xFFFFFFFF
    if hosts & (hosts + 1) or not 3 <= hosts < 1 << 24 or not 0 < dns < 0xE0000000:
        return False
    good = [0 < number & hosts < hosts and 0 < number >> 24 < 224 and number >> 24 != 127 for number in (address, gateway)]
    return all(good) and address & mask == gateway & mask and address != gateway


def _number(address: str) -> int:
    number = 0
    for part in address.split("."):
        number = number << 8 | int(part)
    return number


def is_good(name: str, value: str) -> bool:
    """Whether a setting may have that value."""
    if name == "language":
        return value in LANGUAGES
    if name == "ssid":
        return len(value.encode()) <= MAX_SSID_BYTES
    if name == "password":
        if len(value) == MAX_PASSPHRASE + 1:
            return _has_only(value, "0123456789abcdefABCDEF")
        return not value or (MIN_PASSPHRASE <= len(value) <= MAX_PASSPHRASE and all([" " <= character <= "~" for character in value]))
    if name in STATIC:
        return not value or is_numeric(value)
    if name == "contact_name":
        return len(value) <= MAX_NAME and _is_plain(value)
    if name == "merchant_kind":
        return value in MERCHANT_KINDS
    if name == "other_ways":
        return is_ways(value)
    if name == "other_way_code":
        return len(value) <= MAX_CODE and _is_plain(value)
    if name == "promotion":
        return not value or (promotion_of(value) is not None and _is_plain(value))
    if name == "promotion_until":
        return is_time(value)
    if name == "contact_phone" and not value:
        return True
    if name in ("service_line", "contact_phone"):
        return MIN_LINE <= len(value) <= MAX_LINE and _has_only(value, "0123456789+-() ") and value.strip() == value
    if name in PAYMENT_HOST:
        return may_be(name, value)
    if name in LIMITS:
        return is_limit(value)
    if name in REMINDED:
        return not value or _is_good_reminder(name, value)
    digits = value[1:] if value[:1] == "-" else value
    return 0 < len(digits) <= 3 and _has_only(digits, "0123456789") and WEST_MIN <= int(value) <= EAST_MIN


def _is_good_reminder(name: str, value: str) -> bool:
    if name == "firmware_required":
        return is_version(value)
    if name == "maintenance_every_days":
        return len(value) <= 3 and _has_only(value, "0123456789") and 1 <= int(value) <= MAX_EVERY_DAYS
    try:
        return day_of(value) >= 0
    except ValueError:
        return False


def _is_plain(text: str) -> bool:
    try:
        return plain_text(text) == text
    except ValueError:
        return False


def _has_only(text: str, allowed: str) -> bool:
    return all([character in allowed for character in text])
