"""What a merchant or technician sets: language, network, the official service line. Each heals by itself: a bad value counts as not set."""

from firmware_agent.messages.cbor import CborError, decode, encode
from firmware_agent.texts import LANGUAGES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware_agent.store import Store

PREFIX = "set."
DEFAULTS = {"language": "zh-CN", "ssid": "", "password": "", "service_line": "", "utc_offset_min": "480"}

WEST_MIN, EAST_MIN = -720, 840  # the zones of the earth: UTC-12 to UTC+14


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
        """Raises KeyError for a name that is no setting."""
        DEFAULTS[name]
        self._store.put(PREFIX + name, encode(value))
