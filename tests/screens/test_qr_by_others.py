"""QR codes and the code of others: a scanner reads what is drawn, another encoder draws the same; and the mask is that of least penalty."""

from __future__ import annotations

import functools
import random

import pytest
import qrcodegen
import zxingcpp
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from firmware_agent.screens.qr import ALPHANUMERIC, LEVEL_L, LEVEL_M, QUIET_ZONE, QrCode, qr_code

LEVELS = {LEVEL_L: qrcodegen.QrCode.Ecc.LOW, LEVEL_M: qrcodegen.QrCode.Ecc.MEDIUM}
NAMES = {LEVEL_L: "L", LEVEL_M: "M"}
Content = str | bytes


def picture(code: QrCode, width: int, dots: int, rows: int = 1, quiet_zone: int = QUIET_ZONE) -> Image.Image:
    """What the strips put on paper: black on white."""
    raster = b""
    height = 0
    for strip_height, bits in code.strips(width, dots, rows, quiet_zone):
        height += strip_height
        raster += bits
    inverted = bytes(0xFF ^ byte for byte in raster)
    return Image.frombytes("1", ((width + 7) // 8 * 8, height), inverted).convert("L")


def scanned(image: Image.Image) -> zxingcpp.Barcode:
    (barcode,) = zxingcpp.read_barcodes(image, formats=zxingcpp.BarcodeFormat.QRCode)
    assert barcode.valid
    return barcode


def assert_reads_as(barcode: zxingcpp.Barcode, content: Content) -> None:
    assert barcode.bytes == (content.encode() if isinstance(content, str) else content)


def matrix(code: QrCode) -> list[list[bool]]:
    return [[bool(code.bits[y * code.row_bytes + x // 8] >> 7 - x % 8 & 1) for x in range(code.size)] for y in range(code.size)]


def by_another_encoder(content: Content, level: int, mask: int) -> list[list[bool]]:
    segment = qrcodegen.QrSegment.make_alphanumeric(content) if isinstance(content, str) else qrcodegen.QrSegment.make_bytes(content)
    code = qrcodegen.QrCode.encode_segments([segment], LEVELS[level], mask=mask, boostecl=False)
    return [[code.get_module(x, y) for x in range(code.get_size())] for y in range(code.get_size())]


def content_of(length: int, alphanumeric: bool, seed: int) -> Content:
    source = random.Random(seed)
    return "".join(source.choices(ALPHANUMERIC, k=length)) if alphanumeric else source.randbytes(length)


@functools.cache
def longest(version: int, level: int, alphanumeric: bool) -> int:
    """The most characters or bytes of a version."""
    low, high = 1, 4296 if alphanumeric else 2953
    while low < high:
        middle = (low + high + 1) // 2
        try:
            fits = QrCode("A" * middle if alphanumeric else bytes(middle), level).version <= version
        except ValueError:
            fits = False
        low, high = (middle, high) if fits else (low, middle - 1)
    return low


@pytest.mark.parametrize("alphanumeric", [True, False], ids=["alphanumeric", "bytes"])
@pytest.mark.parametrize("level", LEVELS, ids=NAMES.values())
@pytest.mark.parametrize("version", range(1, 41))
def test_each_version_full_and_with_one_free_is_read_and_is_drawn_alike_by_another_encoder(
    version: int, level: int, alphanumeric: bool
) -> None:
    full = longest(version, level, alphanumeric)
    # With no terminator, a short one, a whole one; for large versions, which take long, only the first.
    for length in (full, full - 1, full - 2) if version <= 10 else (full,):
        mask = (version + length) % 8
        content = content_of(length, alphanumeric, version)
        code = qr_code(content, level, mask)
        assert (code.version, code.mask) == (version, mask)
        assert matrix(code) == by_another_encoder(content, level, mask)
        if length:
            barcode = scanned(picture(code, 1000, 3))
            assert_reads_as(barcode, content)
            assert barcode.ec_level == NAMES[level]


@pytest.mark.parametrize("alphanumeric", [True, False], ids=["alphanumeric", "bytes"])
@pytest.mark.parametrize("level", LEVELS, ids=NAMES.values())
def test_each_length_up_to_one_that_fills_version_5_is_read_and_drawn_alike(level: int, alphanumeric: bool) -> None:
    for length in range(1, longest(5, level, alphanumeric) + 1):
        content = content_of(length, alphanumeric, length)
        code = qr_code(content, level)
        assert code.mask is not None
        assert_reads_as(scanned(picture(code, 256, 3)), content)
        assert matrix(code) == by_another_encoder(content, level, code.mask)


@settings(deadline=None, max_examples=50)
@given(length=st.integers(1, 700), alphanumeric=st.booleans(), level=st.sampled_from([LEVEL_L, LEVEL_M]), mask=st.integers(0, 7))
def test_any_content_under_any_mask_is_drawn_alike(length: int, alphanumeric: bool, level: int, mask: int) -> None:
    content = content_of(length, alphanumeric, length)
    assert matrix(qr_code(content, level, mask)) == by_another_encoder(content, level, mask)


@settings(deadline=None, max_examples=50)
@given(text=st.text(max_size=200), level=st.sampled_from([LEVEL_L, LEVEL_M]))
@example(text="", level=LEVEL_L)
@example(text="终端自检 T0000001", level=LEVEL_M)
def test_any_text_is_read_back(text: str, level: int) -> None:
    code = qr_code(text, level)
    if text:
        assert_reads_as(scanned(picture(code, 400, 4)), text)
    else:
        assert code.version == 1


def penalty(rows: list[list[bool]]) -> int:
    """ISO/IEC 18004, 7.8.3.1, as it is written there, module by module."""
    size = len(rows)
    total = 0
    for lines in (rows, [list(column) for column in zip(*rows, strict=True)]):
        for line in lines:
            run = 1
            for place in range(1, size + 1):
                if place < size and line[place] == line[place - 1]:
                    run += 1
                else:
                    total += 3 + run - 5 if run >= 5 else 0
                    run = 1
            text = "0000" + "".join("1" if module else "0" for module in line) + "0000"
            for start in range(len(text) - 10):
                total += 40 * (text[start : start + 11] in ("10111010000", "00001011101"))
    for y in range(size - 1):
        for x in range(size - 1):
            total += 3 * (rows[y][x] == rows[y][x + 1] == rows[y + 1][x] == rows[y + 1][x + 1])
    dark = sum(map(sum, rows))
    return total + 10 * (abs(100 * dark - 50 * size * size) // (5 * size * size))


@pytest.mark.parametrize("length", [1, 20, 60, 150, 310, 465])
@pytest.mark.parametrize("alphanumeric", [True, False], ids=["alphanumeric", "bytes"])
def test_the_mask_is_the_one_of_least_penalty(length: int, alphanumeric: bool) -> None:
    for content in (content_of(length, alphanumeric, length), "A" * length if alphanumeric else bytes(length)):
        penalties = [penalty(matrix(qr_code(content, LEVEL_L, mask))) for mask in range(8)]
        assert qr_code(content, LEVEL_L).mask == penalties.index(min(penalties))


def test_a_worn_code_is_still_read() -> None:
    """Level L mends 7 % of the codewords: a code on receipt paper loses a corner of its data and a few dots."""
    content = str(content_of(450, True, 1))
    image = picture(qr_code(content), 384, 4, 6)
    image.paste(0, (200, 260, 216, 276))
    for x in range(120, 300, 37):
        image.paste(255, (x, 150, x + 4, 154))
    assert_reads_as(scanned(image), content)


@pytest.mark.parametrize(
    ("width", "height", "version"),
    [(384, None, 25), (128, 64, 9), (320, 240, 15)],
    ids=["paper of 58 mm", "display 128 x 64", "display 320 x 240"],
)
def test_a_code_is_read_from_paper_and_displays_at_the_most_dots_that_fit(width: int, height: int | None, version: int) -> None:
    content = str(content_of(longest(version, LEVEL_L, True), True, version))
    code = qr_code(content)
    dots = code.dots_a_module(width, height)
    image = picture(code, width, dots)
    assert image.width == width and (height is None or image.height <= height)
    if dots < 2:  # a scanner's camera takes several pixels of a module
        image = image.resize((image.width * 4, image.height * 4), Image.Resampling.NEAREST)
    assert_reads_as(scanned(image), content)
