"""Reading back from pixels: what was drawn, and not a character else."""

import functools

import pytest
from PIL import Image

from firmware_agent.screens.font import Font
from firmware_agent.screens.page import TONES, Page
from firmware_agent.screens.page_view import PageView
from firmware_agent.texts import LANGUAGES, load
from host_sim.reading import UNREADABLE, joined, more_of_picture, text_of_picture, text_of_raster
from tools.check_texts import READ_THROUGH
from tools.sample_pages import fullest_pages, samples
from tools.sample_terminal import Scene, WholeFont
from tools.texts import table

TABLES = {language: table(language) for language in LANGUAGES}


class PictureDisplay:
    """A display of level 1 whose pixels are a picture."""

    level = 1
    bring_up_error = None

    def __init__(self, width_px: int = 320, height_px: int = 240) -> None:
        self.width_px = width_px
        self.height_px = height_px
        self.picture = Image.new("RGB", (width_px, height_px), (255, 0, 255))

    def draw_bitmap(self, x_px, y_px, width_px, height_px, bits, ink, paper):
        mask = Image.frombytes("1", (width_px, height_px), bytes(bits))
        strip = Image.new("RGB", mask.size, _rgb(paper))
        strip.paste(_rgb(ink), mask=mask)
        self.picture.paste(strip, (x_px, y_px))


def _rgb(colour: int) -> tuple[int, int, int]:
    return colour >> 16, colour >> 8 & 0xFF, colour & 0xFF


@functools.cache
def whole_font() -> WholeFont:
    return WholeFont()


def read(page: Page, width_px: int = 320, height_px: int = 240) -> list[str]:
    display = PictureDisplay(width_px, height_px)
    PageView(display, whole_font()).draw(page)
    return text_of_picture(display.picture, whole_font())


def squeezed(text: str) -> str:
    """Without blanks: where lines break is for page_view to say."""
    return "".join(text.split())


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_is_read_back_as_it_was_written(language):
    for key, text in TABLES[language].items():
        lines = read(Page(key, "T", [text]))
        assert lines[0] == "T"
        assert squeezed("".join(lines[1:])) == squeezed(text), key


@pytest.mark.parametrize("tone", TONES)
def test_every_tone_is_read(tone):
    page = Page("p", "终端已停用", ["Since: 2026-11-20"], [("1", "继续")], "请稍候", tone)
    assert read(page) == ["终端已停用", "Since: 2026-11-20", "1 继续", "请稍候"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_page_of_the_flows_is_read_back(language):
    for page in [sample.shown for sample in samples(Scene("esp32s3_counter"), load(language)) if isinstance(sample.shown, Page)]:
        if page.name in READ_THROUGH:
            continue  # longer than the display
        lines = read(page)
        assert lines[0] == page.title
        assert lines[len(lines) - bool(page.footer) - len(page.choices) :][: len(page.choices)] == [
            f"{key} {label}" for key, label in page.choices
        ]
        assert not page.footer or lines[-1] == page.footer
        body = lines[1 : len(lines) - bool(page.footer) - len(page.choices)]
        assert squeezed("".join(body)) == squeezed("".join(page.lines)), page.name


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_page_of_the_flows_can_be_read_whole_on_a_small_display(language):
    longest: dict[str, Page] = {}
    for page in fullest_pages(Scene("esp32_mpos"), load(language)):
        if page.name not in longest or len(whole(page)) > len(whole(longest[page.name])):
            longest[page.name] = page
    for page in longest.values():
        assert squeezed(read_scrolled(page)) in (squeezed(whole(page)), squeezed(whole(page) + page.footer)), page.name


def whole(page: Page) -> str:
    """All that a person has to read of it; the footer is a hint."""
    return page.title + "".join(page.lines) + "".join(key + label for key, label in page.choices)


def read_scrolled(page: Page) -> str:
    """What a person reads who scrolls through the page as far as its marks say that there is more."""
    font = Font()
    display = PictureDisplay(128, 64)
    view = PageView(display, font)
    view.draw(page)
    assert not more_of_picture(display.picture, font)[0]
    windows = [text_of_picture(display.picture, font)]
    while more_of_picture(display.picture, font)[1]:
        view.scroll(1)
        windows.append(text_of_picture(display.picture, font))
        assert more_of_picture(display.picture, font)[0]
    font.close()
    return "".join(joined(windows))


def test_a_page_that_is_seen_whole_has_no_marks():
    font = Font()
    for size in ((320, 240), (128, 64)):
        display = PictureDisplay(*size)
        PageView(display, font).draw(Page("p", "T", ["one"], [("1", "Go")]))
        assert more_of_picture(display.picture, font) == (False, False)


def test_windows_are_joined_where_they_overlap():
    assert joined([["a", "b", "c"], ["c", "d", "e"], ["d", "e", "f"]]) == ["a", "b", "c", "d", "e", "f"]
    assert joined([["w", "w", "w"], ["w", "w", "w"], ["w", "w", "x"]]) == ["w", "w", "w", "w", "w", "x"]
    assert joined([["a", "b"], ["c", "d"]]) == ["a", "b", "c", "d"]
    assert joined([]) == []


def test_every_character_of_the_font_is_read_as_itself():
    font = Font()
    characters = font.characters().replace(" ", "")
    for start in range(0, len(characters), 18):
        assert read(Page("p", characters[start : start + 18])) == [characters[start : start + 18]]


def test_pages_are_read_at_every_distance_of_their_lines():
    for count in range(15):
        lines = [f"项 {number}" for number in range(count)]
        assert read(Page("p", "T", lines)) == ["T", *lines]


def test_a_small_display_is_read():
    assert read(Page("p", "自检", ["显示屏", "keypad"], footer="请稍候"), 128, 64) == ["自检", "显示屏", "keypad", "请稍候"]


def test_columns_stay_apart():
    assert read(Page("p", "T", ["打印机\tfail"]))[1].split() == ["打印机", "fail"]


def test_one_wrong_pixel_makes_its_character_unreadable():
    font = Font()
    display = PictureDisplay()
    PageView(display, font).draw(Page("p", "abc"))
    picture = display.picture
    x, y = 8 + 8, 2  # the top left of the 'b'
    picture.putpixel((x, y), _rgb(0xFFFFFF) if picture.getpixel((x, y)) != _rgb(0xFFFFFF) else _rgb(0x0B3C6F))
    assert text_of_picture(picture, font) == ["a" + UNREADABLE + "c"]


def test_noise_and_an_empty_screen_are_no_text():
    font = Font()
    assert text_of_picture(Image.new("RGB", (320, 240), (0, 0, 0)), font) == []
    noise = Image.radial_gradient("L").resize((320, 240))
    assert set("".join(text_of_picture(noise, font))) == {UNREADABLE}


def test_a_raster_of_a_wrong_length_is_refused():
    font = Font()
    with pytest.raises(ValueError, match="384 x 24"):
        text_of_raster(384, 24, bytes(10), font)


def test_two_glyphs_are_never_alike_so_that_reading_is_certain():
    font = Font()
    characters = font.characters()
    rows = {character: font.glyph(character)[1] for character in characters}
    assert len(set(rows.values())) == len(characters)
    narrow = {glyph for glyph in rows.values() if len(glyph) == 16}
    for character, glyph in rows.items():
        if len(glyph) == 32:
            assert not (glyph[0::2] in narrow and glyph[1::2] in narrow), f"{character} looks like two narrow glyphs"
