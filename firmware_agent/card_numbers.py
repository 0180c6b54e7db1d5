"""No card number is kept, shown or sent: what people scan, type or write is masked where it enters the agent."""

SHORTEST, LONGEST = 13, 19  # digits of a card number (ISO/IEC 7812-1: at most 19); shorter ones are telephones and case numbers by far
MASK = "*"

_TOLD = 4  # digits at the end of a card number that may be told (PCI DSS, requirement 3.4)
_SEPARATORS = " -./_\t\r\n\u00a0\u2009\u202f\u3000\uff0d\u2010\u2011\u2012\u2013"
_PART = 3  # digits of each part of a number in parts, but for the last: a date or a time has shorter ones
_TELEPHONE = 15  # digits, after a + (ITU-T E.164)


def masked(text: str) -> str:
    """The text with each card number masked but for its last four digits: 13 to 19 digits with the right check digit (Luhn, ISO/IEC 7812-1
    annex B), in one piece or in parts, in ASCII or full-width digits. One number in ten of that length has such a check digit by chance,
    and is masked too. More than 19 digits in one piece may hold one anywhere. A + begins a telephone number, which stays.
    """
    found: list[tuple[int, int]] = []
    runs = _runs(text)
    for first in range(len(runs)):
        digits = ""
        for last in range(first, len(runs)):
            if last > first and not _goes_on(text, runs[last - 1], runs[last]):
                break
            digits += _digits(text, runs[last])
            if len(digits) > LONGEST and last > first:
                break
            if _is_card_number(digits) and not _is_telephone(text, runs[first], len(digits)):
                found.append((runs[first][0], runs[last][1]))
    if not found:
        return text
    characters = list(text)
    for start, end in found:
        places = [place for place in range(start, end) if _digit(text[place]) >= 0]
        for place in places[:-_TOLD]:
            characters[place] = MASK
    return "".join(characters)


def masked_all(value: object) -> object:
    """What was decoded, with each text in it masked, in lists and maps too."""
    if isinstance(value, str):
        return masked(value)
    if isinstance(value, list):
        return [masked_all(item) for item in value]
    if isinstance(value, dict):
        return {masked_all(key): masked_all(value[key]) for key in value}
    return value


def _runs(text: str) -> "list[tuple[int, int]]":
    """(start, end) of each piece of digits alone."""
    runs: list[tuple[int, int]] = []
    start = -1
    for place in range(len(text) + 1):
        if place < len(text) and _digit(text[place]) >= 0:
            if start < 0:
                start = place
        elif start >= 0:
            runs.append((start, place))
            start = -1
    return runs


def _goes_on(text: str, run: "tuple[int, int]", next_run: "tuple[int, int]") -> bool:
    """Whether the next piece may belong to the same number."""
    gap = text[run[1] : next_run[0]]
    return run[1] - run[0] >= _PART and all(character in _SEPARATORS for character in gap)


def _digit(character: str) -> int:
    """0..9, -1 for what is no digit; full-width ones are what a Chinese keyboard gives."""
    code = ord(character)
    if 0xFF10 <= code <= 0xFF19:
        return code - 0xFF10
    return code - 0x30 if 0x30 <= code <= 0x39 else -1


def _digits(text: str, run: "tuple[int, int]") -> str:
    return "".join([str(_digit(text[place])) for place in range(run[0], run[1])])


def _is_telephone(text: str, run: "tuple[int, int]", digits: int) -> bool:
    return text[: run[0]].endswith("+") and digits <= _TELEPHONE


def _is_card_number(digits: str) -> bool:
    if len(digits) > LONGEST:
        return True
    if len(digits) < SHORTEST or digits == "0" * len(digits):
        return False
    if len(digits) == SHORTEST and digits[0] != "4":
        return False  # of 13 digits there were Visa's alone; article numbers (EAN-13) and telephone numbers are many
    total = 0
    for place in range(len(digits)):
        value = int(digits[-1 - place])
        if place % 2:
            value = value * 2 if value < 5 else value * 2 - 9
        total += value
    return total % 10 == 0
