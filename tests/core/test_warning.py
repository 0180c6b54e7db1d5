"""The page before what cannot be undone, and lines that stand in double size."""

from firmware_agent.flows.warning import warn
from firmware_agent.screens.font import Font
from firmware_agent.screens.page import Page
from firmware_agent.screens.page_view import LARGE_END, LARGE_TOP, lay_out
from tests.core.parts import Time
from tests.core.person import Person


def warned(keys):
    person = Person(keys)
    return Time().run(warn(person, lambda: False, "training.anew")), person.pages[0]


def test_only_who_says_so_goes_on_and_not_who_presses_1_from_page_to_page():
    assert warned("2")[0] is True
    for keys in ("1", "cancel", ""):
        goes_on, page = warned(keys)
        assert goes_on is False and page.lines == ("training.anew", "warn.for_good") and page.tone == "alert"


def test_a_large_line_takes_two_rows_where_there_is_room_and_one_where_there_is_not():
    page = Page("customer", "t", ["This terminal is being repaired.", "Since: 2026"], large=1)
    kinds = [kind for kind, _ in lay_out(page, 320, 240, Font())[1]]
    assert kinds[1:5] == [LARGE_TOP, LARGE_END, LARGE_TOP, LARGE_END]
    small = [kind for kind, _ in lay_out(page, 128, 64, Font())[1]]
    assert LARGE_TOP not in small and LARGE_END not in small
