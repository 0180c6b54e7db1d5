"""What is set at the installation, and by the acquirer's order `configure`: language, network, the official service line, the time
zone, and who is to be called about this terminal.

Each heals by itself: a bad value counts as not set.
"""

from firmware_agent.card_numbers import masked
from firmware_agent.foreign_text import plain_text
from firmware_agent.messages.cbor import CborError, decode, encode
from firmware_agent.texts import LANGUAGES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware_agent.store import Store

    Changes = list[tuple[str, "bytes | None"]]

PREFIX = "set."
DEFAULTS = {
    "language": "zh-CN",
    "ssid": "",
    "password": "",
    "service_line": "",
    "utc_offset_min": "480",
    "contact_name": "",
    "contact_phone": "",
}
# The network's settings that the last connection was made with, while others are on trial: [ssid, password].
KEY_PROVEN = "network.proven"

WEST_MIN, EAST_MIN = -720, 840  # the zones of the earth: UTC-12 to UTC+14
MAX_SSID_BYTES = 32  # IEEE 802.11-2020, 9.4.2.2
MIN_PASSPHRASE, MAX_PASSPHRASE = 8, 63  # printable ASCII (IEEE 802.11-2020, J.4); 64 are the key itself, in hexadecimal digits
MIN_LINE, MAX_LINE = 3, 20  # characters of a telephone number: 15 digits (ITU-T E.164), and what sets them apart
MAX_NAME = 40  # characters of a person's name


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
            if not isinstance(value, str) or not _is_good(name, value):
                raise SettingError("%s has a value that it cannot have" % name)
            refuse_card_number(name, value)
            values[name] = value
        if not values:
            raise SettingError("no settings")
        changes: Changes = [(PREFIX + name, encode(value)) for name, value in values.items()]
        before = self.network
        if not self.on_trial and before != (values.get("ssid", before[0]), values.get("password", before[1])):
            changes.append((KEY_PROVEN, encode(list(before))))
        return changes

    # The network, which must not cut the terminal off.

    @property
    def network(self) -> "tuple[str, str]":
        """(ssid, password)"""
        return self.get("ssid"), self.get("password")

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
            ssid, password = decode(self._store.get(KEY_PROVEN) or b"")
        except (CborError, TypeError, ValueError):
            return self.kept()
        return [(PREFIX + "ssid", encode(ssid)), (PREFIX + "password", encode(password)), (KEY_PROVEN, None)]


def refuse_card_number(name: str, value: str) -> None:
    """A setting lies on flash, and a masked one would be another. Raises SettingError."""
    if masked(value) != value:
        raise SettingError("%s has a card number in it" % name)


def _is_good(name: str, value: str) -> bool:
    """Whether a setting may have that value."""
    if name == "language":
        return value in LANGUAGES
    if name == "ssid":
        return len(value.encode()) <= MAX_SSID_BYTES
    if name == "password":
        if len(value) == MAX_PASSPHRASE + 1:
            return _has_only(value, "0123456789abcdefABCDEF")
        return not value or (MIN_PASSPHRASE <= len(value) <= MAX_PASSPHRASE and all([" " <= character <= "~" for character in value]))
    if name == "contact_name":
        return len(value) <= MAX_NAME and _is_plain(value)
    if name == "contact_phone" and not value:
        return True
    if name in ("service_line", "contact_phone"):
        return MIN_LINE <= len(value) <= MAX_LINE and _has_only(value, "0123456789+-() ") and value.strip() == value
    digits = value[1:] if value[:1] == "-" else value
    return 0 < len(digits) <= 3 and _has_only(digits, "0123456789") and WEST_MIN <= int(value) <= EAST_MIN


def _is_plain(text: str) -> bool:
    try:
        return plain_text(text) == text
    except ValueError:
        return False


def _has_only(text: str, allowed: str) -> bool:
    return all([character in allowed for character in text])
