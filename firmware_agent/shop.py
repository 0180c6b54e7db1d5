"""What the merchant tells his customers: other ways to pay, and a message for as long as he likes. As settings; the words are elsewhere."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware_agent.settings import Settings
    from firmware_agent.terminal import Terminal

WAYS = ("cash", "code", "transfer", "other_till")  # 'code': the QR code of another channel, setting other_way_code
# Ready sentences for his customers, and how many numbers each has.
SENTENCES = {"back": 0, "discount": 1, "money_off": 2, "gift": 1, "points": 0}
OWN = "own"  # the merchant's own words follow

MAX_CODE = 200  # characters of a code that a telephone reads from a small display
MAX_PROMOTION = 80
MAX_DAYS = 90
MAX_DIGITS = 6  # of a number in a sentence
DAY_S = 86400

INDIVIDUAL, MERCHANT = "individual", "merchant"
MERCHANT_KINDS = (INDIVIDUAL, MERCHANT)


def kind_of(settings: "Settings") -> str:
    """One of MERCHANT_KINDS."""
    kind = settings.get("merchant_kind")
    return kind if kind in MERCHANT_KINDS else MERCHANT


def is_ways(value: str) -> bool:
    """Whether it is a list of ways: 'cash,transfer'."""
    words = value.split(",")
    return not value or all([words[place] in WAYS and words[place] not in words[:place] for place in range(len(words))])


def ways_of(settings: "Settings") -> "tuple[str, ...]":
    """The other ways to pay, in the order of WAYS; a value that is none counts as not set."""
    value = settings.get("other_ways")
    words = value.split(",") if is_ways(value) else []
    return tuple([way for way in WAYS if way in words])


def code_of(settings: "Settings") -> str:
    """The code of another channel, where customers may pay by it; else ''."""
    return settings.get("other_way_code") if "code" in ways_of(settings) else ""


class Promotion:
    """word: one of SENTENCES, with its numbers; or OWN, with the text."""

    def __init__(self, word: str, numbers: "tuple[str, ...]" = (), text: str = "") -> None:
        self.word = word
        self.numbers = numbers
        self.text = text

    @property
    def value(self) -> str:
        """As the setting has it: 'discount 10', 'own Fresh bread at eight'."""
        return " ".join((self.word,) + (self.numbers if self.word != OWN else (self.text,)))


def promotion_of(value: str) -> "Promotion | None":
    """None for what is none."""
    if value.startswith(OWN + " "):
        return Promotion(OWN, text=value[len(OWN) + 1 :]) if len(value) <= MAX_PROMOTION else None
    words = value.split(" ")
    numbers = tuple(words[1:])
    if SENTENCES.get(words[0]) != len(numbers) or not all([_is_number(number, MAX_DIGITS) for number in numbers]):
        return None
    return Promotion(words[0], numbers)


def is_time(value: str) -> bool:
    """Whether it is Unix seconds, or nothing."""
    return not value or _is_number(value, 11)


def end_of(wall_s: int, days: int) -> str:
    """The setting promotion_until of a message that stands for so many days."""
    return str(wall_s + days * DAY_S)


def promotion_until(terminal: "Terminal", settings: "Settings") -> int:
    """Unix seconds until when a message stands; 0: none does. While the time is not known none does, for it might be over."""
    until = settings.get("promotion_until")
    if not until or not is_time(until) or not 0 < terminal.wall_s < int(until):
        return 0
    return int(until) if promotion_of(settings.get("promotion")) is not None else 0


def promotion_now(terminal: "Terminal", settings: "Settings") -> "Promotion | None":
    return promotion_of(settings.get("promotion")) if promotion_until(terminal, settings) else None


def _is_number(text: str, longest: int) -> bool:
    return 0 < len(text) <= longest and all([character in "0123456789" for character in text])
