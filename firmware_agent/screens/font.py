"""The bitmap font: 8 x 16 and 16 x 16 pixel glyphs, read one at a time from a file beside this module.

The file, unifont16.bin (made by tools/build_font.py, licence in unifont16.LICENSE.txt), all numbers big-endian:
    4 bytes         magic 'RUF1'
    2 bytes         N, number of narrow glyphs
    2 bytes         W, number of wide glyphs
    N x 18 bytes    narrow glyphs by rising code point: 2 bytes code point, 16 rows of 1 byte
    W x 34 bytes    wide glyphs by rising code point: 2 bytes code point, 16 rows of 2 bytes
Rows from top to bottom, most significant bit leftmost, 1 = ink.
A glyph is found by binary search in the file: at most 17 reads of 2 bytes and one of its rows, no index in memory.
"""

import struct

from hal.compat import beside

HEIGHT_PX = 16
NARROW_PX = 8
WIDE_PX = 16

DATA_FILE = "unifont16.bin"
MAGIC = b"RUF1"
_HEAD_BYTES = 8
_CACHED_GLYPHS = 64  # about one page; 14 KB of heap with words of 64 bits, half of that on a microcontroller

# A character without glyph is a box: seen, and of the width that its script would have.
_NARROW_BOX = b"\x00\x00\x7e" + b"\x42" * 10 + b"\x7e\x00\x00"
_WIDE_BOX = b"\x00\x00\x7f\xfe" + b"\x40\x02" * 12 + b"\x7f\xfe\x00\x00"

# GB/T 15834: no line begins with these, none ends with those.
_CLOSING = "，。、；：！？）》」』】〉〕”’…％·,.;:!?)]}%"
_OPENING = "（《「『【〈〔“‘￥([{"


class Font:
    """path: the font file, or None for the one beside this module.

    Raises OSError where there is none, ValueError for one that is damaged.
    """

    def __init__(self, path: "str | None" = None) -> None:
        self.path = path or beside(__file__, DATA_FILE)
        self._file = open(self.path, "rb")
        head = self._file.read(_HEAD_BYTES)
        if len(head) != _HEAD_BYTES or head[:4] != MAGIC:
            self._file.close()
            raise ValueError("not a font file")
        self._narrow_count, self._wide_count = struct.unpack(">HH", head[4:])
        size = _HEAD_BYTES + 18 * self._narrow_count + 34 * self._wide_count
        if self._file.seek(0, 2) != size:
            self._file.close()
            raise ValueError("font file is not %d bytes long" % size)
        self._cache: dict[str, tuple[int, bytes]] = {}
        self._cached: list[str] = []  # the characters in the cache, oldest first from _oldest on
        self._oldest = 0

    def close(self) -> None:
        self._file.close()

    def glyph(self, character: str) -> "tuple[int, bytes]":
        """(8, 16 bytes) or (16, 32 bytes): width in pixels, and 16 rows from the top. A box where the font has none."""
        entry = self._cache.get(character)
        if entry is None:
            entry = self._look_up(ord(character)) or _box(character)
            if len(self._cached) < _CACHED_GLYPHS:
                self._cached.append(character)
            else:
                del self._cache[self._cached[self._oldest]]
                self._cached[self._oldest] = character
                self._oldest = (self._oldest + 1) % _CACHED_GLYPHS
            self._cache[character] = entry
        return entry

    def has(self, character: str) -> bool:
        """True where the font has a glyph of its own for `character`."""
        return self._look_up(ord(character)) is not None

    def characters(self) -> str:
        """All characters of the font, narrow ones first, each by rising code point."""
        found = []
        for index in range(self._narrow_count + self._wide_count):
            found.append(chr(self._code_at(index)))
        return "".join(found)

    def width_px(self, text: str) -> int:
        """The width of `text` on one line."""
        width = 0
        for character in text:
            width += self.glyph(character)[0]
        return width

    def cut(self, text: str, width_px: int) -> str:
        """`text` if it fits, else as much of it as fits with an ellipsis at its end."""
        return text if self.width_px(text) <= width_px else self.with_ellipsis(text, width_px)

    def with_ellipsis(self, text: str, width_px: int) -> str:
        """As much of `text` as fits in front of an ellipsis, and the ellipsis."""
        fitting, _ = self._split(text, width_px - self.width_px("…"))
        return fitting.rstrip(" ") + "…"

    def wrap(self, text: str, width_px: int) -> "list[str]":
        """The lines of `text`, none wider than width_px (at least 16); '\\n' begins a new line, '' gives one empty line.

        English breaks at spaces, Chinese between any two characters but before closing and after opening punctuation;
        what is too long for a line of its own is cut. Raises ValueError for a width that does not hold one wide glyph.
        """
        if width_px < WIDE_PX:
            raise ValueError("lines of %d px hold no glyph" % width_px)
        lines: list[str] = []
        for paragraph in text.split("\n"):
            line = ""
            used_px = 0
            fresh = True  # at the start of the paragraph, where spaces are kept
            for piece in _pieces(paragraph):
                if piece == " " and not line and not fresh:
                    continue
                piece_px = self.width_px(piece)
                if used_px + piece_px > width_px:
                    if line:
                        lines.append(line.rstrip(" "))
                        line = ""
                        used_px = 0
                    fresh = False
                    if piece == " ":
                        continue
                    while piece_px > width_px:
                        fitting, piece = self._split(piece, width_px)
                        if piece[0] in _CLOSING and len(fitting) > 1 and fitting[-1] not in _CLOSING:
                            fitting, piece = fitting[:-1], fitting[-1] + piece
                        lines.append(fitting)
                        piece_px = self.width_px(piece)
                line += piece
                used_px += piece_px
            lines.append(line.rstrip(" "))
        return lines

    def _split(self, text: str, width_px: int) -> "tuple[str, str]":
        """The longest beginning of `text` that fits, and the rest: one character or more where width_px is 16 or more."""
        used_px = 0
        for index, character in enumerate(text):
            used_px += self.glyph(character)[0]
            if used_px > width_px:
                return text[:index], text[index:]
        return text, ""

    def _look_up(self, code: int) -> "tuple[int, bytes] | None":
        for first, count, width_px in (
            (0, self._narrow_count, NARROW_PX),
            (self._narrow_count, self._wide_count, WIDE_PX),
        ):
            low = first
            high = first + count
            while low < high:
                middle = (low + high) // 2
                found = self._code_at(middle)  # leaves the file at the glyph's rows
                if found == code:
                    return width_px, self._file.read(HEIGHT_PX * width_px // 8)
                if found < code:
                    low = middle + 1
                else:
                    high = middle
        return None

    def _code_at(self, index: int) -> int:
        wide_before = max(0, index - self._narrow_count)
        self._file.seek(_HEAD_BYTES + 18 * (index - wide_before) + 34 * wide_before)
        return int.from_bytes(self._file.read(2), "big")


def _is_wide(character: str) -> bool:
    return character >= "\u2e80"  # CJK radicals, punctuation, ideographs and full-width forms


def _box(character: str) -> "tuple[int, bytes]":
    return (WIDE_PX, _WIDE_BOX) if _is_wide(character) else (NARROW_PX, _NARROW_BOX)


def _pieces(paragraph: str) -> "list[str]":
    """Cut where a line may break: each space alone, words, single Chinese characters with their punctuation."""
    pieces = []
    start = 0
    for index in range(1, len(paragraph)):
        before = paragraph[index - 1]
        after = paragraph[index]
        if before == " " or after == " ":
            may_break = True
        elif after in _CLOSING or before in _OPENING:
            may_break = False
        else:
            may_break = _is_wide(before) or _is_wide(after)
        if may_break:
            pieces.append(paragraph[start:index])
            start = index
    if start < len(paragraph):
        pieces.append(paragraph[start:])
    return pieces


def doubled(byte: int) -> "tuple[int, int]":
    """Each bit twice: 8 pixels become two bytes."""
    bits = 0
    for position in range(8):
        if byte & (1 << position):
            bits |= 3 << 2 * position
    return bits >> 8, bits & 0xFF
