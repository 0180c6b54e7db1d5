"""QR codes: the same modules on both runtimes, the smallest version that fits, strips for paper and screen, and turns for others."""

import asyncio
from binascii import hexlify
from hashlib import sha256

from firmware_agent.screens.qr import ALPHANUMERIC, LEVEL_L, LEVEL_M, QUIET_ZONE, QrCode, most_characters, qr_code, qr_code_in_turns
from tests.core.support import raises

# ISO/IEC 18004, table 7: the most alphanumeric characters and bytes at L and M, for some versions.
CAPACITIES = (
    (1, 25, 17, 20, 14),
    (9, 335, 230, 262, 180),
    (10, 395, 271, 311, 213),
    (15, 758, 520, 600, 412),
    (26, 1990, 1367, 1542, 1059),
    (27, 2132, 1465, 1637, 1125),
    (40, 4296, 2953, 3391, 2331),
)

EXAMPLE = [
    "#######.##.#..#######",
    "#.....#..#..#.#.....#",
    "#.###.#..#....#.###.#",
    "#.###.#.#..#..#.###.#",
    "#.###.#.#.###.#.###.#",
    "#.....#.###.#.#.....#",
    "#######.#.#.#.#######",
    "........##...........",
    "#...#.#####.######..#",
    "#.#.#..####.###..#.#.",
    "....#####.#.##...####",
    ".#.#...###.##..#.....",
    "#######.####..####...",
    "........#####..#..#.#",
    "#######.#.##..#####.#",
    "#.....#...#..##.##..#",
    "#.###.#.##..###..####",
    "#.###.#.....###...###",
    "#.###.#.....##...#...",
    "#.....#..####..#.#..#",
    "#######.#.##..###.###",
]
# Characters, level, mask that is chosen, version, size, digest of the rows.
STORED = (
    (1, LEVEL_L, 0, 1, 21, "1622cc00e116e9ea"),
    (26, LEVEL_M, 1, 2, 25, "356319f026864455"),
    (195, LEVEL_L, 0, 6, 41, "88bff9eb896ef17f"),
    (224, LEVEL_M, 0, 9, 53, "0b61715080d3b3c6"),
    (450, LEVEL_L, 4, 11, 61, "fbcfa3c263d9b68f"),
    (680, LEVEL_L, 2, 15, 77, "b4a7c57b7cfd51bd"),
    (680, LEVEL_M, 4, 17, 85, "39b59ea097cd4755"),
    (1500, LEVEL_L, 7, 23, 109, "89d0ce20adda3d11"),
)
# Bytes, level, mask, digest.
STORED_BYTES = (
    (1, LEVEL_M, 6, "c79f591972a62b07"),
    (300, LEVEL_L, 0, "41b01c9a91fc9ae8"),
    (450, LEVEL_M, 3, "2b3cbf3ab7701eb6"),
)


def text_of(length):
    """All 45 characters, over and over, in another order each time."""
    return "".join([ALPHANUMERIC[(7 * index + index // 45) % 45] for index in range(length)])


def digest(code):
    return hexlify(sha256(code.bits).digest()[:8]).decode()


def modules(code):
    """The rows as texts of # and ."""
    rows = []
    for start in range(0, len(code.bits), code.row_bytes):
        rows.append("".join(["#" if code.bits[start + x // 8] >> 7 - x % 8 & 1 else "." for x in range(code.size)]))
    return rows


def version_of(content, level):
    return QrCode(content, level).version


def test_an_example_is_drawn_module_by_module():
    # As the encoder of tests/screens/test_qr_by_others.py draws it; the content is the example of ISO/IEC 18004, 7.4.4.
    assert modules(qr_code("AC-42", LEVEL_M, mask=4)) == EXAMPLE


def test_both_runtimes_draw_the_same_modules():
    for length, level, mask, version, size, stored in STORED:
        code = qr_code(text_of(length), level)
        assert (code.version, code.size, code.mask) == (version, size, mask)
        assert digest(code) == stored
    for length, level, mask, stored in STORED_BYTES:
        code = qr_code(bytes([(index * index + 7 * index) & 0xFF for index in range(length)]), level)
        assert (code.mask, digest(code)) == (mask, stored)


def test_the_smallest_version_that_holds_it_is_taken():
    for version, *lengths in CAPACITIES:
        longest = [(ALPHANUMERIC[:1] * lengths[0], LEVEL_L), (bytes(lengths[1]), LEVEL_L)]
        longest += [(ALPHANUMERIC[:1] * lengths[2], LEVEL_M), (bytes(lengths[3]), LEVEL_M)]
        for content, level in longest:
            assert version_of(content, level) == version
            if version < 40:
                assert version_of(content + content[:1], level) == version + 1


def test_what_does_not_fit_says_so():
    assert str(raises(ValueError, qr_code, "A" * 4297)) == "4297 characters do not fit a QR code"
    assert str(raises(ValueError, qr_code, bytes(2954))) == "2954 bytes do not fit a QR code"
    assert str(raises(ValueError, qr_code, "A" * 3392, LEVEL_M)) == "3392 characters do not fit a QR code"


def test_a_text_with_any_other_character_is_written_as_bytes_in_utf_8():
    assert digest(qr_code("RS1:a")) == digest(qr_code(b"RS1:a"))
    assert digest(qr_code("\u7ec8\u7aef")) == digest(qr_code("\u7ec8\u7aef".encode()))
    assert digest(qr_code("RS1:A")) != digest(qr_code(b"RS1:A"))


def test_the_padding_right_of_the_last_module_is_light():
    for version in (1, 2, 9):
        code = qr_code("A" * {1: 1, 2: 26, 9: 300}[version])
        assert code.version == version
        last = code.row_bytes - 1
        unused = (1 << -code.size % 8) - 1
        assert [code.bits[y * code.row_bytes + last] & unused for y in range(code.size)] == [0] * code.size


def drawn(code, width, dots, rows=1, quiet_zone=QUIET_ZONE):
    """All strips as one picture: its rows as texts."""
    picture = []
    for height, bits in code.strips(width, dots, rows, quiet_zone):
        width_bytes = len(bits) // height
        assert width_bytes == (width + 7) // 8
        for y in range(height):
            line = "".join(["#" if bits[y * width_bytes + x // 8] >> 7 - x % 8 & 1 else "." for x in range(8 * width_bytes)])
            picture.append(line)
    return picture


def test_strips_show_each_module_in_the_middle_with_its_quiet_zone():
    code = qr_code("REINSTATE")
    for width, dots, rows, quiet_zone in ((384, 4, 1, 4), (384, 3, 6, 4), (100, 3, 100, 4), (29, 1, 2, 4), (58, 2, 7, 1)):
        left = (width - code.size * dots) // 2
        right = (width + 7) // 8 * 8 - left - code.size * dots
        light = "." * ((width + 7) // 8 * 8)
        expected = [light] * quiet_zone * dots
        for row in modules(code):
            line = "." * left + "".join([module * dots for module in row]) + "." * right
            expected += [line] * dots
        expected += [light] * quiet_zone * dots
        assert drawn(code, width, dots, rows, quiet_zone) == expected


def test_a_strip_is_as_high_as_asked_and_the_last_one_as_high_as_what_is_left():
    code = qr_code("REINSTATE")  # 21 modules, 29 with the quiet zone
    assert [height for height, _ in code.strips(384, 4, 6)] == [24, 24, 24, 24, 20]
    assert [height for height, _ in code.strips(384, 4, 29)] == [116]


def test_a_code_that_is_wider_than_the_paper_is_refused():
    code = qr_code("REINSTATE")
    assert str(raises(ValueError, list, code.strips(28, 1))) == "a code of 29 dots does not fit 28"
    raises(ValueError, list, code.strips(384, 0))
    assert len(list(code.strips(29, 1))) == 29


def test_the_most_dots_a_module_that_fit_are_told():
    code = qr_code("REINSTATE")
    assert code.dots_a_module(384) == 384 // 29
    assert code.dots_a_module(128, 64) == 2
    assert code.dots_a_module(320, 240) == 8
    assert code.dots_a_module(28) == 0
    assert code.dots_a_module(21, 21, quiet_zone=0) == 1


class CountingClock:
    """As much of a clock as a code asks for; counts the turns that others get."""

    def __init__(self):
        self.turns = 0

    async def sleep_ms(self, duration_ms):
        assert duration_ms == 0
        self.turns += 1


def test_others_get_their_turn_while_a_code_is_made():
    clock = CountingClock()
    text = text_of(600)
    code = asyncio.run(qr_code_in_turns(clock, text))
    assert digest(code) == digest(qr_code(text))
    assert clock.turns > 80


def test_a_code_that_does_not_fit_says_so_in_turns_too():
    raises(ValueError, asyncio.run, qr_code_in_turns(CountingClock(), "A" * 4297))


def test_the_longest_text_that_fits_so_many_modules_is_told():
    for modules, longest in ((20, 0), (21, 25), (24, 25), (25, 47), (62, 468), (177, 4296), (1000, 4296)):  # table 7
        assert most_characters(modules) == longest
    for modules in range(21, 178, 4):
        for level in (LEVEL_L, LEVEL_M):
            longest = most_characters(modules, level)
            assert QrCode("A" * longest, level).size == modules
            if modules < 177:
                assert QrCode("A" * (longest + 1), level).size == modules + 4
