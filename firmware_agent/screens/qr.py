"""QR codes (ISO/IEC 18004, model 2): a short text as modules, and as strips of dots for a printer or a display.

Versions 1..40 at error correction level L or M, in alphanumeric or byte mode. Rows are handled whole, as integers with the leftmost module
in the highest bit: that is what makes it quick enough in plain Python. Everything is done in small steps, so that a terminal goes on
answering its keys while a code is made.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from hal.clock import Clock

LEVEL_L = 1  # as in the format information (table 25): mends 7 % of the codewords
LEVEL_M = 0  # 15 %
QUIET_ZONE = 4  # modules of light around a code (6.3.8)
ALPHANUMERIC = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"  # by value 0..44 (table 5)

_MAX_VERSION = 40
# By version from 1 (table 9): error correction codewords in a block, and blocks.
_CORRECTION = {
    LEVEL_L: (
        b"\x07\x0a\x0f\x14\x1a\x12\x14\x18\x1e\x12\x14\x18\x1a\x1e\x16\x18\x1c\x1e\x1c\x1c"
        b"\x1c\x1c\x1e\x1e\x1a\x1c\x1e\x1e\x1e\x1e\x1e\x1e\x1e\x1e\x1e\x1e\x1e\x1e\x1e\x1e",
        b"\x01\x01\x01\x01\x01\x02\x02\x02\x02\x04\x04\x04\x04\x04\x06\x06\x06\x06\x07\x08"
        b"\x08\x09\x09\x0a\x0c\x0c\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x13\x14\x15\x16\x18\x19",
    ),
    LEVEL_M: (
        b"\x0a\x10\x1a\x12\x18\x10\x12\x16\x16\x1a\x1e\x16\x16\x18\x18\x1c\x1c\x1a\x1a\x1a"
        b"\x1a\x1c\x1c\x1c\x1c\x1c\x1c\x1c\x1c\x1c\x1c\x1c\x1c\x1c\x1c\x1c\x1c\x1c\x1c\x1c",
        b"\x01\x01\x01\x02\x02\x04\x04\x04\x05\x05\x05\x08\x09\x09\x0a\x0a\x0b\x0d\x0e\x10"
        b"\x11\x11\x12\x14\x15\x17\x19\x1a\x1c\x1d\x1f\x21\x23\x25\x26\x28\x2b\x2d\x2f\x31",
    ),
}
_MODE_ALPHANUMERIC = 2  # table 2
_MODE_BYTE = 4
_MASKS = 8
_MASK_PERIOD = 12  # modules after which each mask pattern repeats, both ways
_LINES_A_STEP = 16  # judged under a mask before others get their turn


class QrCode:
    """One code. size: modules a side, without the quiet zone; bits: row by row, each padded to `row_bytes`, most significant bit leftmost,
    1 = dark; version 1..40; level: LEVEL_*; mask 0..7.
    """

    def __init__(self, content: "str | bytes", level: int = LEVEL_L, mask: "int | None" = None) -> None:
        """The frame of a code for `content`, in the smallest version that holds it; `steps` fills it. See `qr_code`."""
        self._alphanumeric = isinstance(content, str) and all(character in ALPHANUMERIC for character in content)
        self._content = content.encode() if isinstance(content, str) else bytes(content)
        self.level = level
        self.mask = mask
        self.version = self._smallest_version()
        self.size = 17 + 4 * self.version
        self.row_bytes = (self.size + 7) // 8
        self.bits = bytearray(self.size * self.row_bytes)

    def steps(self) -> "Iterator[None]":
        """Make the code, once; each step is a few thousand instructions."""
        codewords = yield from self._codewords()
        reserved = bytearray(len(self.bits))  # 1: not for data; the same by rows and by columns, as these patterns are symmetrical
        self._put_patterns(reserved)
        columns = bytearray(self.bits)  # the same modules column by column: so columns are judged as rows are
        yield from self._put_data(codewords, columns, reserved)
        if self.mask is None:
            self.mask = yield from self._best_mask(columns, reserved)
        self._put_format(self.mask, columns)
        for y, row in enumerate(self._masked_lines(self.bits, reserved, self.mask, False)):
            drawn = (row << self.row_bytes * 8 - self.size).to_bytes(self.row_bytes, "big")
            self.bits[y * self.row_bytes : (y + 1) * self.row_bytes] = drawn

    def dots_a_module(self, width: int, height: "int | None" = None, quiet_zone: int = QUIET_ZONE) -> int:
        """The most dots a module with which the code and its quiet zone fit `width` x `height` (None: endless paper); 0 if they do not."""
        side = width if height is None else min(width, height)
        return side // (self.size + 2 * quiet_zone)

    def strips(self, width: int, dots: int, rows: int = 1, quiet_zone: int = QUIET_ZONE) -> "Iterator[tuple[int, memoryview]]":
        """The code in the middle of a picture `width` dots wide, from top to bottom: for each strip its height in dots and its bits.

        dots: a module's side; rows: of modules in a strip, the last may have fewer; bits: as the contracts of printer and display
        have them, 1 = dark, good until the next strip is asked for. Raises ValueError where `width` is too small.
        """
        side = (self.size + 2 * quiet_zone) * dots
        if dots < 1 or side > width:
            raise ValueError("a code of %d dots does not fit %d" % (side, width))
        width_bytes = (width + 7) // 8
        strip = memoryview(bytearray(width_bytes * dots * rows))
        right = width_bytes * 8 - (width - self.size * dots) // 2 - self.size * dots
        dark = (1 << dots) - 1
        used = 0
        for y in range(-quiet_zone, self.size + quiet_zone):
            line = 0
            if 0 <= y < self.size:
                row = self._row(y)
                for position in range(self.size - 1, -1, -1):
                    line = line << dots | (dark if row >> position & 1 else 0)
            drawn = (line << right).to_bytes(width_bytes, "big")
            for _ in range(dots):
                strip[used : used + width_bytes] = drawn
                used += width_bytes
            if used == len(strip) or y == self.size + quiet_zone - 1:
                yield used // width_bytes, strip[:used]
                used = 0

    # What is written: 7.4, data; 7.5, error correction; 7.6, the order of both.

    def _smallest_version(self) -> int:
        bits = 8 * len(self._content)
        if self._alphanumeric:
            bits = len(self._content) // 2 * 11 + len(self._content) % 2 * 6
        for version in range(1, _MAX_VERSION + 1):
            if 4 + self._count_bits(version) + bits <= 8 * _data_codewords(version, self.level):
                return version
        raise ValueError("%d %s do not fit a QR code" % (len(self._content), "characters" if self._alphanumeric else "bytes"))

    def _count_bits(self, version: int) -> int:
        """The length of the character count (table 3)."""
        if self._alphanumeric:
            return _alphanumeric_count_bits(version)
        return 8 if version < 10 else 16

    def _codewords(self) -> "Generator[None, None, bytearray]":
        """Data and error correction, of each block one in turns (7.6)."""
        capacity = _data_codewords(self.version, self.level)
        data = self._data(capacity)
        yield
        lengths, blocks = _CORRECTION[self.level]
        length = lengths[self.version - 1]
        count = blocks[self.version - 1]
        short = capacity // count
        starts = [index * short + max(0, index - (count - capacity % count)) for index in range(count)] + [capacity]
        generator = _Generator(length)
        corrections = []
        for index in range(count):
            corrections.append(generator.remainder(memoryview(data)[starts[index] : starts[index + 1]]))
            yield
        codewords = bytearray()
        for place in range(short + 1):
            for index in range(count):
                if starts[index] + place < starts[index + 1]:
                    codewords.append(data[starts[index] + place])
        for place in range(length):
            for correction in corrections:
                codewords.append(correction[place])
        return codewords

    def _data(self, capacity: int) -> bytearray:
        """Mode, count, content, terminator and padding."""
        data = bytearray()
        content = self._content
        pending = _MODE_ALPHANUMERIC if self._alphanumeric else _MODE_BYTE
        count_bits = self._count_bits(self.version)
        pending = pending << count_bits | len(content)
        bits = 4 + count_bits
        step = 2 if self._alphanumeric else 1
        for index in range(0, len(content), step):
            if not self._alphanumeric:
                pending = pending << 8 | content[index]
                bits += 8
            elif index + 1 < len(content):
                pending = pending << 11 | ALPHANUMERIC.index(chr(content[index])) * 45 + ALPHANUMERIC.index(chr(content[index + 1]))
                bits += 11
            else:
                pending = pending << 6 | ALPHANUMERIC.index(chr(content[index]))
                bits += 6
            while bits >= 8:
                bits -= 8
                data.append(pending >> bits)
                pending &= (1 << bits) - 1
        terminator = min(4, 8 * capacity - 8 * len(data) - bits)
        pending <<= terminator
        bits += terminator
        pending <<= -bits % 8
        for shift in range((bits + 7) // 8 * 8 - 8, -1, -8):
            data.append(pending >> shift & 0xFF)
        padding = 0xEC
        while len(data) < capacity:
            data.append(padding)
            padding ^= 0xEC ^ 0x11
        return data

    # Where it is written: 7.7.

    def _put_patterns(self, reserved: bytearray) -> None:
        """Finder, timing and alignment patterns, version information and the dark module; and what they and the format take."""
        size = self.size
        for x, y in ((0, 0), (size - 7, 0), (0, size - 7)):
            self._put_square(x, y, 7)
        self._reserve(reserved, 0, 0, 9, 9)  # with separators and format information
        self._reserve(reserved, size - 8, 0, 8, 9)
        self._reserve(reserved, 0, size - 8, 9, 8)
        for position in range(8, size - 8, 2):
            self._set(self.bits, position, 6)
            self._set(self.bits, 6, position)
        self._reserve(reserved, 0, 6, size, 1)
        self._reserve(reserved, 6, 0, 1, size)
        centres = _alignment_centres(self.version)
        for x in centres:
            for y in centres:
                if (x > 6 or 6 < y < size - 7) and (y > 6 or x < size - 7):
                    self._put_square(x - 2, y - 2, 5)
                    self._reserve(reserved, x - 2, y - 2, 5, 5)
        self._set(self.bits, 8, size - 8)
        if self.version >= 7:
            information = self.version << 12 | _remainder(self.version << 12, 0x1F25)
            for index in range(18):
                if information >> index & 1:
                    self._set(self.bits, size - 11 + index % 3, index // 3)
                    self._set(self.bits, index // 3, size - 11 + index % 3)
            self._reserve(reserved, size - 11, 0, 3, 6)
            self._reserve(reserved, 0, size - 11, 6, 3)

    def _put_square(self, left: int, top: int, side: int) -> None:
        """A finder (7) or alignment (5) pattern: a dark frame, a light one in it, and a dark middle."""
        for y in range(side):
            for x in range(side):
                ring = min(x, y, side - 1 - x, side - 1 - y)
                if ring != 1:
                    self._set(self.bits, left + x, top + y)

    def _reserve(self, reserved: bytearray, left: int, top: int, width: int, height: int) -> None:
        for y in range(top, top + height):
            for x in range(left, left + width):
                self._set(reserved, x, y)

    def _put_data(self, codewords: bytearray, columns: bytearray, reserved: bytearray) -> "Iterator[None]":
        """In pairs of columns from the right, upwards and downwards in turns (7.7.3)."""
        size = self.size
        row_bytes = self.row_bytes
        bits = self.bits
        end = 8 * len(codewords)
        index = 0
        right = size - 1
        upwards = True
        while right > 0:
            for y in range(size - 1, -1, -1) if upwards else range(size):
                for x in (right, right - 1):
                    at = y * row_bytes + (x >> 3)
                    bit = 0x80 >> (x & 7)
                    if reserved[at] & bit:
                        continue
                    if index < end and codewords[index >> 3] << (index & 7) & 0x80:
                        bits[at] |= bit
                        columns[x * row_bytes + (y >> 3)] |= 0x80 >> (y & 7)
                    index += 1
            upwards = not upwards
            right -= 3 if right == 8 else 2  # the timing pattern's column is left out
            yield

    def _put_format(self, mask: int, columns: bytearray) -> None:
        """Level and mask, twice (7.9.1)."""
        data = self.level << 3 | mask
        information = (data << 10 | _remainder(data << 10, 0x537)) ^ 0x5412
        size = self.size
        for index in range(15):
            near = index if index < 6 else index + 1 if index < 8 else 7 if index == 8 else 14 - index  # 6 is the timing pattern's
            far = size - 1 - index if index < 8 else size - 15 + index
            # Bits 0..7 go down the column 8 and, once more, leftwards on the row 8; bits 8..14 the other way round.
            for along, across in ((near, index < 8), (far, index >= 8)):
                x, y = (8, along) if across else (along, 8)
                for lines, line, place in ((self.bits, y, x), (columns, x, y)):
                    at = line * self.row_bytes + (place >> 3)
                    bit = 0x80 >> (place & 7)
                    lines[at] = lines[at] | bit if information >> index & 1 else lines[at] & ~bit & 0xFF

    # Which mask: 7.8.

    def _best_mask(self, columns: bytearray, reserved: bytearray) -> "Generator[None, None, int]":
        """The mask of least penalty; one that has more than the best so far is not judged to its end."""
        best, least = 0, -1
        for mask in range(_MASKS):
            self._put_format(mask, columns)
            penalty = 0
            for part in self._penalties(mask, columns, reserved):
                yield
                penalty += part
                if 0 <= least <= penalty:
                    break
            else:
                best, least = mask, penalty
        return best

    def _masked_lines(self, lines: bytearray, reserved: bytearray, mask: int, by_columns: bool) -> "Iterator[int]":
        """Each line of `lines`, rows or columns, under a mask."""
        size = self.size
        padding = self.row_bytes * 8 - size
        repeats = size // _MASK_PERIOD + 1
        tile = 0
        for _ in range(repeats):
            tile = tile << _MASK_PERIOD | 1
        patterns = []
        for line in range(_MASK_PERIOD):
            pattern = 0
            for place in range(_MASK_PERIOD):
                flips = _is_flipped(mask, place, line) if by_columns else _is_flipped(mask, line, place)
                pattern = pattern << 1 | (1 if flips else 0)
            patterns.append(pattern * tile >> repeats * _MASK_PERIOD - size)
        for line in range(size):
            start = line * self.row_bytes
            pattern = patterns[line % _MASK_PERIOD]
            pattern ^= pattern & int.from_bytes(reserved[start : start + self.row_bytes], "big") >> padding
            yield int.from_bytes(lines[start : start + self.row_bytes], "big") >> padding ^ pattern

    def _penalties(self, mask: int, columns: bytearray, reserved: bytearray) -> "Iterator[int]":
        """How far the code under `mask` is from what scanners like, in parts that add up (7.8.3.1; the weights are 3, 3, 40 and 10)."""
        size = self.size
        every_pair = (1 << size - 1) - 1
        dark = 0
        for by_columns in (False, True):
            penalty = 0
            before = 0
            alike_before = 0
            for number, line in enumerate(self._masked_lines(columns if by_columns else self.bits, reserved, mask, by_columns)):
                alike = every_pair ^ ((line ^ line >> 1) & every_pair)  # bit n: module n is as module n + 1
                # A run of n >= 5 modules alike costs n - 2: one for each five of them in a row, and two for the run.
                fives = alike & alike >> 1
                fives &= fives >> 2
                if fives:
                    penalty += _ones(fives) + 2 * _ones(fives ^ (fives & fives << 1))
                penalty += 40 * _finder_like(line)
                if not by_columns:
                    dark += _ones(line)
                    penalty += 3 * _ones(alike & alike_before & (every_pair ^ ((line ^ before) & every_pair)))  # squares of 2 x 2 alike
                    before, alike_before = line, alike
                if number % _LINES_A_STEP == _LINES_A_STEP - 1:
                    yield penalty
                    penalty = 0
            yield penalty
        modules = size * size
        yield 10 * (abs(20 * dark - 10 * modules) // modules)  # for each 5 % away from one half

    def _row(self, y: int) -> int:
        """A row, its leftmost module in the highest of `size` bits."""
        return int.from_bytes(self.bits[y * self.row_bytes : (y + 1) * self.row_bytes], "big") >> self.row_bytes * 8 - self.size

    def _set(self, lines: bytearray, x: int, y: int) -> None:
        lines[y * self.row_bytes + (x >> 3)] |= 0x80 >> (x & 7)


def qr_code(content: "str | bytes", level: int = LEVEL_L, mask: "int | None" = None) -> QrCode:
    """The smallest code that holds `content`: alphanumeric mode for a text that has no other characters, else bytes (a text in UTF-8).

    level: LEVEL_L or LEVEL_M; mask: None for the best one. Raises ValueError for what does not fit version 40.
    """
    code = QrCode(content, level, mask)
    for _ in code.steps():
        pass
    return code


async def qr_code_in_turns(clock: "Clock", content: "str | bytes", level: int = LEVEL_L) -> QrCode:
    """As `qr_code`; others get their turn every few milliseconds."""
    code = QrCode(content, level)
    for _ in code.steps():
        await clock.sleep_ms(0)
    return code


def most_characters(modules: int, level: int = LEVEL_L) -> int:
    """How long a text in alphanumeric mode may be whose code has at most so many modules a side; 0: there is no code so small."""
    version = min((modules - 17) // 4, _MAX_VERSION)
    if version < 1:
        return 0
    bits = 8 * _data_codewords(version, level) - 4 - _alphanumeric_count_bits(version)
    return bits // 11 * 2 + (1 if bits % 11 >= 6 else 0)


class _Generator:
    """Divides by the generator polynomial of `length` error correction codewords (7.5.2), over GF(256) modulo x^8 + x^4 + x^3 + x^2 + 1.

    A polynomial is an integer, one byte a coefficient; so a step of the division is a few operations, whatever the length.
    """

    def __init__(self, length: int) -> None:
        self._length = length
        self._ones = int.from_bytes(b"\x01" * length, "big")
        polynomial = 1
        root = 1
        for _ in range(length):
            polynomial = polynomial << 8 ^ self._times(polynomial, root)
            root = root << 1 ^ (0x11D if root & 0x80 else 0)
        polynomial &= (1 << 8 * length) - 1  # the leading 1 goes without saying
        # Its products with each low and each high half of a byte.
        self._low = [self._times(polynomial, factor) for factor in range(16)]
        self._high = [self._times(polynomial, factor << 4) for factor in range(16)]

    def remainder(self, data: memoryview) -> bytes:
        top = 8 * (self._length - 1)
        below = (1 << top) - 1
        remainder = 0
        for byte in data:
            factor = (remainder >> top) ^ byte
            remainder = (remainder & below) << 8 ^ self._low[factor & 15] ^ self._high[factor >> 4]
        return remainder.to_bytes(self._length, "big")

    def _times(self, polynomial: int, factor: int) -> int:
        product = 0
        while factor:
            if factor & 1:
                product ^= polynomial
            carries = polynomial >> 7 & self._ones
            polynomial = (polynomial ^ carries << 7) << 1 ^ carries * 0x1D
            factor >>= 1
        return product


def _alphanumeric_count_bits(version: int) -> int:
    return 9 if version < 10 else 11 if version < 27 else 13


def _data_codewords(version: int, level: int) -> int:
    """How many codewords of a version and level carry data: all modules, less the patterns, less the error correction."""
    modules = (16 * version + 128) * version + 64
    if version >= 2:
        count = version // 7 + 2
        modules -= (25 * count - 10) * count - 55
    if version >= 7:
        modules -= 36
    lengths, blocks = _CORRECTION[level]
    return modules // 8 - lengths[version - 1] * blocks[version - 1]


def _alignment_centres(version: int) -> "list[int]":
    """Rows and columns of the alignment patterns' centres (annex E): even steps from the far edge, the odd rest at the near one."""
    if version == 1:
        return []
    count = version // 7 + 2
    step = 26 if version == 32 else (version * 4 + count * 2 + 1) // (count * 2 - 2) * 2
    last = 10 + 4 * version
    return [6] + [last - step * index for index in range(count - 2, -1, -1)]


def _remainder(value: int, divisor: int) -> int:
    """Of polynomials over GF(2): the BCH codes of format and version."""
    width = _width(divisor)
    while _width(value) >= width:
        value ^= divisor << _width(value) - width
    return value


def _width(value: int) -> int:
    return len(bin(value)) - 2


def _is_flipped(mask: int, row: int, column: int) -> bool:
    """Whether a mask flips the module there (table 10)."""
    if mask == 0:
        return (row + column) % 2 == 0
    if mask == 1:
        return row % 2 == 0
    if mask == 2:
        return column % 3 == 0
    if mask == 3:
        return (row + column) % 3 == 0
    if mask == 4:
        return (row // 2 + column // 3) % 2 == 0
    product = row * column
    if mask == 5:
        return product % 2 + product % 3 == 0
    if mask == 6:
        return (product % 2 + product % 3) % 2 == 0
    return ((row + column) % 2 + product % 3) % 2 == 0


def _finder_like(line: int) -> int:
    """How often dark and light follow each other as 1:1:3:1:1, with four light modules before or after; outside of the code it is light."""
    line <<= 4
    found = line & line >> 2 & line >> 3 & line >> 4 & line >> 6
    found ^= found & (line >> 1 | line >> 5)
    if not found:
        return 0
    near_dark = line | line >> 1
    near_dark |= near_dark >> 2  # bit n: one of the modules n .. n + 3 is dark
    return _ones(found ^ (found & near_dark >> 7)) + _ones(found ^ (found & near_dark << 4))


def _ones(value: int) -> int:
    return bin(value).count("1")
