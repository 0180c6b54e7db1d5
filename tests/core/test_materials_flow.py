"""The materials at the counter: ticked by their numbers, kept over power cuts, handed out as a list, and missing ones named."""

from firmware_agent.application.draft import MATERIALS, PREFIX, Draft
from firmware_agent.state.machine import FaultCleared, Lifted, RecoveryStarted, StepDone, Suspended
from firmware_agent.state.reasons import ACTOR_HOST, ACTOR_POI, Reason
from tests.core.person import Slips
from tests.core.recovery_parts import Shop


def ticked(shop):
    return Draft(shop.terminal).items(MATERIALS)


def marks(page):
    """Number -> whether it is ticked."""
    lines = [line.split() for line in page.lines]
    return {words[-1]: words[1] == "list.ticked" for words in lines if words[0] == "materials.line"}


def test_what_is_ticked_is_kept_over_a_power_cut_and_is_ticked_off_again_by_its_key():
    shop = Shop("violation", step="materials")
    shop.press("1", "9")
    shop.boot()
    merchant = shop.press("1", "7")
    assert marks(merchant.pages[0]) == {"1": True, "2": False, "3": False, "4": False, "6": False, "7": False, "9": True, "10": True}
    assert ticked(shop) == [9, 7]
    assert merchant.pages[-1].stays, "or a small display would jump at each key"


def test_an_individual_is_asked_for_no_licence():
    shop = Shop("violation", step="materials")
    shop.settings.set("merchant_kind", "individual")
    assert sorted(marks(shop.press().pages[0])) == ["1", "10", "2", "6", "7", "9"]


def test_who_goes_on_without_a_material_is_told_which_one_and_the_log_has_it():
    shop = Shop("account_issue", step="materials")
    merchant = shop.press("1", "2", "enter", "1", "3", "enter", "2")
    lacking = [page for page in merchant.pages if page.name == "materials.lacking"]
    assert lacking[0].lines[0] == "materials.missing material.3list.andmaterial.7"
    assert lacking[1].lines[0] == "materials.missing material.7"
    assert shop.state.step == "application"
    from firmware_agent.records.evidence import entries

    facts = [fact for entry in entries(shop.terminal.store) for fact in entry.facts]
    assert ["materials", [1, 2, 3], [7]] in facts


def test_a_repair_needs_no_papers_and_a_replacement_does():
    shop = Shop()
    shop.terminal.apply([Suspended(Reason("hardware_fault", ACTOR_POI, component="printer")), RecoveryStarted()])
    for step in ("reason", "contact", "check"):
        shop.terminal.apply([StepDone(step)])
    assert shop.press("1").names == ["fate", "recovery.lift"] and shop.state.step == "lift"
    shop = Shop()
    shop.terminal.apply([Suspended(Reason("hardware_fault", ACTOR_POI, component="printer")), RecoveryStarted()])
    for step in ("reason", "contact", "check"):
        shop.terminal.apply([StepDone(step)])
    shop.press("2")
    shop.boot()
    merchant = shop.press("5", "cancel", "2", "enter")
    assert merchant.names == ["recovery.materials", "fate", "recovery.materials", "recovery.lift"]
    assert sorted(marks(merchant.pages[0])) == ["10", "5", "8"] and ticked(shop) == [5]


def test_without_a_printer_the_reference_is_a_code_on_the_display():
    shop = Shop("violation", step="materials")
    screen = Screen()
    shop.terminal.hal.display = screen
    shop.press("0", "1")
    assert screen.drawn and ticked(shop) == [1]


def test_the_list_is_printed_with_its_reference():
    shop = Shop("dormant", step="materials")
    shop.slips = Slips()
    merchant = shop.press("1", "0")
    assert merchant.pages[-1].choices[0][1] == "materials.choice.print"
    printed = shop.slips.lines
    assert printed[0] == "materials.slip" and "slip.terminal T0000001" in printed and "materials.reference acq1/T0000001/1" in printed
    assert "materials.line list.ticked material.1 1" in printed and "materials.line list.open material.if_any material.6 6" in printed
    assert shop.slips.codes == 1


def test_the_draft_is_forgotten_with_the_last_reason_and_not_before():
    shop = Shop("violation", step="materials")
    shop.press("1", "9")
    shop.terminal.apply([Suspended(Reason("account_issue", ACTOR_HOST))])
    assert ticked(shop) == [1, 9], "what lies ready still lies ready"
    shop.terminal.apply([Lifted("violation")])
    assert ticked(shop) == [1, 9]
    shop.terminal.apply([Lifted("account_issue")])
    assert shop.terminal.store.keys(PREFIX) == []
    shop.terminal.apply([FaultCleared("printer")])


class Screen:
    """A small display on which a code can be drawn."""

    width_px, height_px, enabled = 128, 64, True

    def __init__(self):
        self.drawn = 0

    def fill(self, colour):
        pass

    def draw_bitmap(self, x_px, y_px, width_px, height_px, bits, ink, paper):
        self.drawn += 1
