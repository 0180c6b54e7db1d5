"""A self-test on the screen: each device as its results come, what it came to, and what is to be run again."""

from firmware_agent.flows.selftest_flow import selftest_flow
from firmware_agent.flows.selftest_pages import degraded_page
from firmware_agent.selftest.phases import FAIL, PASS, Result
from firmware_agent.selftest.plans import FULL, phase_named
from hal.device import HEALTH_SUCCESS, Health
from tests.core.selftest_parts import PHASES, World


class Texts:
    """Keys and values instead of words, which would take a fifth of the heap here."""

    def get(self, key, **values):
        if key == "cause.ink_dried":
            raise KeyError(key)
        if "done" in values:
            return "%d/%d" % (values["done"], values["count"])
        return "\t".join([values[name] for name in ("device", "outcome", "cause") if name in values]) or key


class Ui:
    slips = None

    def __init__(self):
        self.texts = Texts()
        self.pages = []

    def show(self, page):
        self.pages.append(page)


def flow(world, ids=PHASES):
    ui = Ui()
    phases = [phase_named(id, world.terminal.hal) for id in ids]
    page, again = world.time.run(selftest_flow(world.subject(), ui, FULL, phases))
    return ui, page, [phase.id for phase in again]


def test_each_result_is_on_the_screen_as_it_comes():
    world = World()
    ui, page, again = flow(world)
    assert again == [] and page.tone == "good" and not page.choices
    assert len(ui.pages) == 1 + len(PHASES)
    devices = ("device.printer", "device.keypad", "device.card_reader", "device.display")
    assert list(ui.pages[0].lines) == [device + "\toutcome.running" for device in devices]
    assert list(ui.pages[-1].lines) == [device + "\toutcome.pass" for device in devices]
    assert [ui.pages[0].title, ui.pages[-1].title] == ["0/%d" % len(PHASES), "%d/%d" % (len(PHASES), len(PHASES))]


def test_of_devices_that_all_work_only_what_was_left_out_is_listed():
    world = World()
    page = flow(world)[1]
    assert list(page.lines) == ["selftest.all_passed"]


def test_a_terminal_without_memory_says_how_far_its_test_is_and_then_what_is_broken():
    plan = [phase_named(id, World().terminal.hal) for id in ("printer", "keypad")]
    texts = Texts()
    results = {"printer": Result("printer", "printer", FAIL, cause="cutter_jam")}
    assert list(degraded_page(texts, "w", plan, results).lines) == ["w", "1/2", "device.printer\toutcome.fail"]
    results["keypad"] = Result("keypad", "keypad", PASS)
    assert list(degraded_page(texts, "w", plan, results).lines) == ["w", "device.printer\toutcome.fail"]
    results["printer"] = results["keypad"]
    assert list(degraded_page(texts, "w", plan, results).lines) == ["w", "selftest.all_passed"]


def test_what_did_not_pass_and_what_was_left_out_for_it_is_run_again():
    world = World()
    world.parts["printer"].found = "cutter_jam"
    world.parts["keypad"].found = Health(HEALTH_SUCCESS, "keypad", "bounce")
    _, page, again = flow(world)
    assert again == ["printer", "keypad", "printer.slip"]
    assert page.tone == "alert" and len(page.choices) == 2
    assert list(page.lines[:2]) == ["device.printer\tcause.cutter_jam", "device.keypad\tcause.bounce"]


def test_all_devices_of_a_bus_that_failed_are_run_again():
    world = World()
    world.terminal.hal.buses = {"i2c": ["keypad", "card_reader"]}
    world.parts["keypad"].found = world.parts["card_reader"].found = "no_answer"
    assert flow(world)[2] == ["keypad", "card_reader"]


def test_a_cause_without_words_is_shown_as_it_is():
    world = World()
    world.parts["printer"].found = "ink_dried"
    assert flow(world, ("printer",))[1].lines[0] == "device.printer\tink_dried"
