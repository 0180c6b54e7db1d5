"""What the terminal says to people: texts by key, read one at a time from a file beside this module.

A language is one file, en.txt or zh-CN.txt, in UTF-8. A line of it is a key, a tab, and the text, with '%(name)s' where a value goes and
'\\n' for a line break. The lines are sorted by their bytes, so that a text is found by halving the file; none is kept in memory.
"""

from hal.compat import beside

TYPE_CHECKING = False
if TYPE_CHECKING:
    from io import BufferedReader

LANGUAGES = ("en", "zh-CN")  # IETF language tags (BCP 47)
SUFFIX = ".txt"

_NEAR_BYTES = 256  # a few lines, which are read one after the other
_PART_BYTES = 128  # read at a time: most lines are shorter. MicroPython's own readline reads byte by byte


class Texts:
    """language: one of LANGUAGES. Raises ValueError for any other."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._file = _opened(language)
        self._size = self._file.seek(0, 2)

    def speak(self, language: str) -> None:
        """From now on in that language; whoever holds these texts reads the new ones. Raises ValueError: none of LANGUAGES."""
        if language != self.language:
            file = _opened(language)
            self._file.close()
            self.language, self._file = language, file
            self._size = file.seek(0, 2)

    def close(self) -> None:
        self._file.close()

    def get(self, key: str, **values: object) -> str:
        """The text of `key` with its values filled in: texts.get('suspended.since', since='2026-11-20 09:00').

        Raises KeyError that names the missing key, or the value that the text needs and was not given.
        """
        text = self._text(key)
        if text is None:
            raise KeyError(key)
        return text % values

    def _text(self, key: str) -> "str | None":
        wanted = key.encode() + b"\t"
        low, high = 0, self._size  # the line begins from low on, and not beyond high
        while high - low > _NEAR_BYTES:
            middle = (low + high) // 2
            begins = middle + len(self._line(middle))  # after the end of the line in which that is
            line = self._line(begins)
            if begins < high and line[: len(wanted)] <= wanted:
                low = begins
            else:
                high = middle
        while low <= high:
            line = self._line(low)
            if not line:
                return None
            if line[: len(wanted)] == wanted:
                return str(line[len(wanted) :], "utf-8").rstrip("\n").replace("\\n", "\n")
            low += len(line)
        return None

    def _line(self, begins: int) -> bytes:
        """From there to the end of the line."""
        self._file.seek(begins)
        line = b""
        while True:
            part = self._file.read(_PART_BYTES)
            ends = part.find(b"\n") + 1
            if ends or len(part) < _PART_BYTES:
                return line + (part[:ends] if ends else part)
            line += part


def _opened(language: str) -> "BufferedReader":
    if language not in LANGUAGES:
        raise ValueError("no texts in language " + repr(language))
    return open(beside(__file__, language + SUFFIX), "rb")


def load(language: str) -> Texts:
    """The texts of `language`, one of LANGUAGES. Raises ValueError for any other."""
    return Texts(language)
