"""The bitmap font: glyphs by binary search in the file, a box for what is missing, and lines that break where readers expect it."""

import os
from binascii import unhexlify

from firmware_agent.screens.font import Font
from tests.core.support import raises

DAMAGED = "font_for_a_test.bin"


def test_ascii_glyphs_are_eight_and_chinese_ones_sixteen_pixels_wide():
    font = Font()
    width, rows = font.glyph("A")
    assert (width, len(rows)) == (8, 16)
    width, rows = font.glyph("停")
    assert (width, len(rows)) == (16, 32)
    assert font.width_px("A停") == 24
    font.close()


def test_a_glyph_has_the_pixels_of_unifont():
    font = Font()
    # unifont.hex: 0041:0000000018242442427E424242420000
    assert font.glyph("A")[1] == b"\x00\x00\x00\x00\x18\x24\x24\x42\x42\x7e\x42\x42\x42\x42\x00\x00"
    # unifont.hex: 505C:1080104017FC200023F8620863F8A0002FFE280223F820402040204021402080
    assert font.glyph("停")[1] == unhexlify("1080104017FC200023F8620863F8A0002FFE280223F820402040204021402080")
    font.close()


def test_every_character_of_the_font_is_found_and_drawn():
    font = Font()
    characters = font.characters()
    assert len(characters) > 300
    for character in characters:
        assert font.has(character), character
        assert character == " " or any(font.glyph(character)[1]), character
    font.close()


def test_a_missing_glyph_is_a_visible_box_of_its_scripts_width():
    font = Font()
    for character, width in (("\u00e9", 8), ("\u9f98", 16), ("\U0001f600", 16), ("\x07", 8)):
        assert not font.has(character)
        assert font.glyph(character)[0] == width
        assert len(font.glyph(character)[1]) == 2 * width
        assert any(font.glyph(character)[1])
    font.close()


def test_the_cache_is_bounded_and_gives_the_same_glyphs():
    font = Font()
    fresh = Font()
    characters = font.characters()
    for character in characters + characters[:80] + characters[:80]:
        font.glyph(character)
    assert len(font._cache) == len(font._cached) == 64
    for character in characters[:20]:
        assert font.glyph(character) == fresh.glyph(character)
    font.close()
    fresh.close()


def test_english_breaks_at_spaces():
    font = Font()
    assert font.wrap("Please call the acquirer", 8 * 11) == ["Please call", "the", "acquirer"]
    assert font.wrap("a  b", 16) == ["a", "b"]
    font.close()


def test_a_word_too_long_for_a_line_is_cut():
    font = Font()
    assert font.wrap("no regulation_change now", 8 * 10) == ["no", "regulation", "_change", "now"]
    font.close()


def test_chinese_breaks_anywhere_but_before_closing_punctuation():
    font = Font()
    assert font.wrap("请勿断电请", 64) == ["请勿断电", "请"]
    assert font.wrap("请勿断电。", 64) == ["请勿断", "电。"]
    font.close()


def test_a_word_that_is_cut_leaves_no_punctuation_alone_on_the_next_line():
    font = Font()
    assert font.wrap("10.10.10-rc10，当前", 112) == ["10.10.10-rc1", "0，当前"]
    assert font.wrap("x" * 14 + ".", 112) == ["x" * 13, "x."]
    assert font.wrap("." * 15, 112) == ["." * 14, "."]


def test_chinese_does_not_break_after_opening_punctuation():
    font = Font()
    assert font.wrap("注册失（败）", 64) == ["注册失", "（败）"]
    font.close()


def test_chinese_and_english_break_between_each_other():
    font = Font()
    assert font.wrap("终端号T1000", 56) == ["终端号", "T1000"]
    font.close()


def test_new_lines_and_empty_texts_are_kept():
    font = Font()
    assert font.wrap("", 80) == [""]
    assert font.wrap("a\n\nb", 80) == ["a", "", "b"]
    assert font.wrap("  a", 80) == ["  a"]
    font.close()


def test_no_line_is_wider_than_asked_and_no_character_is_lost():
    font = Font()
    text = "TLS：请检查“网络”连接（link），如无法恢复……请联系 400-123-4567。OK"
    for width in range(16, 400, 8):
        lines = font.wrap(text, width)
        assert max([font.width_px(line) for line in lines]) <= width, (width, lines)
        assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    font.close()


def test_a_width_that_holds_no_glyph_is_refused():
    font = Font()
    raises(ValueError, font.wrap, "终端", 15)
    font.close()


def test_what_is_too_long_is_cut_with_an_ellipsis():
    font = Font()
    assert font.cut("Terminal", 64) == "Terminal"
    assert font.cut("Terminal suspended", 80) == "Terminal…"
    assert font.cut("终端已停用", 72) == "终端已停…"
    font.close()


def _refused(data):
    with open(DAMAGED, "wb") as file:
        file.write(data)
    try:
        raises(ValueError, Font, DAMAGED)
    finally:
        os.remove(DAMAGED)


def test_a_damaged_font_file_is_refused():
    _refused(b"")
    _refused(b"RUF1\x00")
    _refused(b"NONE\x00\x00\x00\x00")
    _refused(b"RUF1\x00\x01\x00\x00" + bytes(17))


def test_a_missing_font_file_is_an_os_error():
    raises(OSError, Font, "no_such_font.bin")
