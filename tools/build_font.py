"""Writes firmware_agent/screens/unifont16.bin: the glyphs of GNU Unifont that the terminal's texts use, and common Chinese characters.

    python tools/build_font.py [--unifont FILE] [--check]

The format is described at the head of firmware_agent/screens/font.py. `unifont.hex` comes with the Debian package `unifont`.
"""

from __future__ import annotations

import argparse
import struct
import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from firmware_agent.screens.font import DATA_FILE, MAGIC  # noqa: E402
from firmware_agent.screens.page_view import MORE_ABOVE, MORE_BELOW  # noqa: E402
from firmware_agent.texts import LANGUAGES  # noqa: E402
from tools.texts import table as texts_of  # noqa: E402

UNIFONT_HEX = Path("/usr/share/unifont/unifont.hex")
FONT_FILE = ROOT / "firmware_agent" / "screens" / DATA_FILE

# Beside ASCII and the texts: what values filled in from outside are likely to bring (dates, amounts, quoted remarks), and the marks of
# a page that scrolls.
SYMBOLS = "…—·“”‘’￥，。、；：！？（）《》【】％年月日时分秒元" + MORE_ABOVE + MORE_BELOW

# The 3,755 characters in common use (GB/T 2312-1980, level 1) are in its rows 16 to 55, of which the last has 89.
COMMON_ROWS, COLUMNS, LAST_COLUMNS = range(16, 56), range(1, 95), range(1, 90)


def common_characters() -> set[str]:
    """What notices and remarks of the acquirer are written with."""
    cells = [(row, column) for row in COMMON_ROWS for column in (LAST_COLUMNS if row == COMMON_ROWS[-1] else COLUMNS)]
    return {bytes((0xA0 + row, 0xA0 + column)).decode("gb2312") for row, column in cells}


def characters_in_use() -> set[str]:
    """Every character that a glyph is needed for."""
    used = {chr(code) for code in range(0x20, 0x7F)}
    used.update(SYMBOLS)
    used.update(common_characters())
    for table in map(texts_of, LANGUAGES):
        for text in table.values():
            used.update(text)
    return {character for character in used if character >= " "}  # '\t' and '\n' are layout, not glyphs


def glyphs(unifont_hex: Iterable[str], characters: set[str]) -> dict[int, bytes]:
    """Code point -> 16 rows of 1 or 2 bytes. `unifont_hex`: lines 'XXXX:' and 32 or 64 hexadecimal digits.

    Raises ValueError for a character beyond U+FFFF, or one that the font lacks.
    """
    wanted = {ord(character) for character in characters}
    found = {}
    for line in unifont_hex:
        code, _, rows = line.strip().partition(":")
        if int(code, 16) in wanted:
            found[int(code, 16)] = bytes.fromhex(rows)
    missing = sorted(wanted - set(found))
    if missing or max(wanted) > 0xFFFF:
        raise ValueError("no glyph for " + " ".join(f"U+{code:04X} {chr(code)}" for code in missing or [max(wanted)]))
    return found


def font_data(found: dict[int, bytes]) -> bytes:
    """The bytes of the font file: see firmware_agent/screens/font.py."""
    narrow = sorted(code for code in found if len(found[code]) == 16)
    wide = sorted(code for code in found if len(found[code]) == 32)
    head = MAGIC + struct.pack(">HH", len(narrow), len(wide))
    return head + b"".join(struct.pack(">H", code) + found[code] for code in narrow + wide)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Write the terminal's bitmap font from GNU Unifont.")
    parser.add_argument("--unifont", type=Path, default=UNIFONT_HEX, help="unifont.hex (default: %(default)s)")
    parser.add_argument("--output", type=Path, default=FONT_FILE, help="the font file (default: %(default)s)")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the font file is not current")
    options = parser.parse_args(arguments)
    try:
        with open(options.unifont, encoding="ascii") as source:
            data = font_data(glyphs(source, characters_in_use()))
    except (OSError, ValueError) as error:
        print(f"build_font: {error}", file=sys.stderr)
        return 2
    if not options.check:
        options.output.write_bytes(data)
    elif not options.output.is_file() or options.output.read_bytes() != data:
        print(f"{options.output.name} is not current: run python tools/build_font.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
