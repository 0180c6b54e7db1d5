"""The menu: what is offered where, that a key opens its flow, and who gives way to what."""

from firmware_agent import VERSION
from firmware_agent.flows.menu.menu import MENU, SESSION_MS, TECHNICIAN, VIEWED_MS, Entry, load, menu, menu_page
from firmware_agent.flows.menu.technician_flow import session
from firmware_agent.identity.technician import Technician
from firmware_agent.screens.font import Font
from firmware_agent.screens.page_view import BODY, CHOICE, TITLE, lay_out
from firmware_agent.state.machine import Suspended
from firmware_agent.state.reasons import ACTOR_HOST, Reason
from firmware_agent.texts import LANGUAGES
from firmware_agent.texts import load as load_texts
from tests.core.menu_parts import Place
from tests.core.terminal_parts import TERMINAL


def keys_of(page):
    return "".join([key for key, _ in page.choices])


def test_what_a_terminal_lacks_is_not_offered():
    place = Place()
    person = place.visit(menu, "menu:cancel")
    assert keys_of(person.pages[0]) == "13456789"  # without a PIN and a card reader nobody can sign on
    place.terminal.hal.network = None
    assert keys_of(place.visit(menu, "menu:cancel").pages[0]) == "1456789"
    place.terminal.apply([Suspended(Reason("tamper", ACTOR_HOST, 0))])
    assert "6" not in keys_of(place.visit(menu, "menu:cancel").pages[0])  # nobody practises on what was tampered with


def test_a_key_opens_its_flow_and_back_is_the_menu_again():
    place = Place()
    person = place.visit(menu, "menu:3", "network:cancel", "menu:1", "note:cancel", "menu:cancel")
    assert person.names == ["menu", "network", "menu", "note", "menu"]


def test_whoever_only_looks_gives_way_after_a_minute_and_who_is_signed_on_after_ten():
    place = Place()
    begun_ms = place.time.now_ms
    assert place.visit(menu, "menu:3").names == ["menu", "network"]
    assert VIEWED_MS <= place.time.now_ms - begun_ms < VIEWED_MS + 3000

    async def signed_on(visit):
        visit.who = Technician("T-1", "Chen")
        await session(visit)
        assert visit.who is None

    begun_ms = place.time.now_ms
    person = place.visit(signed_on)
    assert SESSION_MS <= place.time.now_ms - begun_ms < SESSION_MS + 3000
    assert keys_of(person.pages[0]) == "1249"
    assert place.visit(signed_on, "technician:9").names == ["technician"]


def test_a_flow_is_loaded_by_its_name():
    entry = Entry("1", "menu.choice.1", "results_flow.results_flow")
    from firmware_agent.flows.menu.results_flow import results_flow

    assert load(entry) is results_flow
    assert [entry.key for entry in MENU][:2] == ["1", "2"] and TECHNICIAN[-1].flow == ""


def test_on_a_display_of_four_rows_the_first_entry_is_seen_at_once():
    place = Place()
    font = Font()
    for language in LANGUAGES:
        texts = load_texts(language)
        page = menu_page(texts, place.terminal, [entry for entry in MENU if entry.key != "2"])
        _, rows = lay_out(page, 128, 64, font)
        assert [kind for kind, _ in rows[:4]] == [TITLE, BODY, CHOICE, CHOICE], (language, rows[:4])
        assert TERMINAL in rows[1][1] and VERSION in rows[1][1]
        texts.close()
