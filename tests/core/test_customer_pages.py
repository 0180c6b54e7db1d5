"""What customers are told while no payments are taken, and what the merchant tells them afterwards."""

from firmware_agent.flows.customer_pages import customer_flow, family_of, promotion_lines, since_until
from firmware_agent.flows.handout import print_slip
from firmware_agent.flows.selftest_flow import sample_slip
from firmware_agent.flows.status_pages import idle_page, out_of_order_page, probation_page, restored_page, suspended_page
from firmware_agent.settings import Settings
from firmware_agent.state.machine import COMMISSIONING, IN_SERVICE, OUT_OF_ORDER, PROBATION, RECOVERING, SUSPENDED, State
from firmware_agent.state.reasons import ACTOR_HOST, ACTOR_POI, REASON_KINDS, Reason
from hal.errors import E_EXTENDED, DeviceError
from hal.payment import Totals
from tests.core.parts import NOW_S, Flash, Time
from tests.core.person import KeyTexts, Person, Slips
from tests.core.recovery_parts import Shop
from tests.core.terminal_parts import boot, provisioned


def terminal_in(mode, *reasons):
    flash = Flash()
    provisioned(flash)
    time = Time()
    terminal = boot(flash, time)
    terminal.time = time
    terminal.state = State()
    terminal.state.mode, terminal.state.reasons = mode, reasons
    return terminal, Settings(terminal.store)


def never():
    return False


def seen(terminal, settings, keys="", slips=None):
    person = Person(keys, slips)
    terminal.time.run(customer_flow(terminal, person, settings, never))
    return person


def test_no_customer_reads_what_the_merchant_is_suspended_for():
    told = {}
    for kind in REASON_KINDS:
        state = State()
        state.mode, state.reasons = SUSPENDED, (Reason(kind.code, ACTOR_HOST),)
        told[kind.code] = family_of(state)
    assert told["maintenance"] == "maintenance" and told["network_fault"] == "network"
    assert told["hardware_fault"] == told["software_fault"] == "technical"
    others = [kind.code for kind in REASON_KINDS[4:]]
    assert {told[code] for code in others} == {"unavailable"}
    state.reasons = (Reason("maintenance", ACTOR_HOST), Reason("violation", ACTOR_HOST))
    assert family_of(state) == "unavailable"
    state.mode = COMMISSIONING
    assert family_of(state) == "testing"
    state.mode, state.reasons = RECOVERING, ()
    assert family_of(state) == "unavailable"


def test_it_began_with_the_first_reason_and_ends_with_the_last():
    state = State()
    assert since_until(state) == (0, 0)
    state.reasons = (Reason("maintenance", ACTOR_HOST, 500, 900), Reason("dormant", ACTOR_HOST, 300, 1000))
    assert since_until(state) == (300, 1000)
    state.reasons += (Reason("violation", ACTOR_HOST, 700, 0),)
    assert since_until(state) == (300, 0)


def test_the_page_stays_until_a_key_and_says_since_until_and_how_else_to_pay():
    terminal, settings = terminal_in(SUSPENDED, Reason("maintenance", ACTOR_HOST, NOW_S - 3600, NOW_S + 3600))
    settings.set("other_ways", "transfer,cash")
    person = seen(terminal, settings, "enter")
    assert person.names == ["customer"] and person.pages[0].large == 1 and person.pages[0].choices == ()
    assert person.pages[0].lines == (
        "customer.because_maintenance",
        "customer.since 2026-11-22 07:00",
        "customer.until 2026-11-22 09:00",
        "customer.ways way.cashlist.andway.transfer",
        "customer.thanks",
    )
    terminal.state.reasons = (Reason("violation", ACTOR_HOST),)
    settings.set("other_ways", "")
    lines = seen(terminal, settings, "cancel").pages[0].lines
    assert lines == ("customer.because_unavailable", "customer.until_unknown", "customer.no_ways", "customer.thanks")


def test_an_expected_time_that_has_passed_is_not_promised():
    terminal, settings = terminal_in(SUSPENDED, Reason("maintenance", ACTOR_HOST, 0, NOW_S - 1))
    assert "customer.until_unknown" in seen(terminal, settings, "0").pages[0].lines


def test_a_slip_says_the_same_and_carries_the_code_to_pay_by():
    terminal, settings = terminal_in(SUSPENDED, Reason("network_fault", ACTOR_POI, NOW_S))
    slips = Slips()
    person = seen(terminal, settings, "1 cancel", slips)
    assert person.names == ["customer", "note", "customer"]
    assert slips.lines == ["customer.title"] + list(person.pages[0].lines) and slips.codes == 0
    settings.set("other_ways", "code")
    settings.set("other_way_code", "https://pay.example/17")
    slips = Slips()
    seen(terminal, settings, "1 cancel", slips)
    assert slips.lines[-1] == "customer.scan" and slips.codes == 1


def test_a_slip_that_was_not_printed_is_said_on_the_page():
    terminal, settings = terminal_in(OUT_OF_ORDER, Reason("tamper", ACTOR_POI))
    person = seen(terminal, settings, "1 cancel", Slips(DeviceError(E_EXTENDED, "printer", "", 0, "paper_out")))
    assert person.pages[-1].lines[-1] == "slip.failed cause.paper_out"
    assert any(["slip" in line for line in terminal.lines])


def test_every_page_that_takes_no_payments_has_the_key():
    terminal, settings = terminal_in(SUSPENDED, Reason("violation", ACTOR_HOST))
    for page in (suspended_page(KeyTexts(), terminal, settings), out_of_order_page(KeyTexts(), terminal, settings)):
        assert ("0", "customer.show") in page.choices


def test_customers_are_shown_it_from_the_pages_of_the_recovery_too():
    assert Shop("violation").press("0", "cancel").names == ["recovery.reason", "customer", "recovery.reason"]


# Back in service.


def promoted(value, until, mode=IN_SERVICE):
    terminal, settings = terminal_in(mode)
    settings.set("promotion", value)
    settings.set("promotion_until", until)
    return terminal, settings


def test_the_merchants_message_stands_while_payments_are_taken_and_until_its_time_is_over():
    texts = KeyTexts()
    terminal, settings = promoted("money_off 100 10", str(NOW_S + 60))
    assert promotion_lines(texts, terminal, settings) == ["promotion.money_off 100 10"]
    assert "promotion.money_off 100 10" in idle_page(texts, terminal, settings).lines
    assert sample_slip(texts, terminal, settings)[-1] == "promotion.money_off 100 10"
    terminal.state.mode = PROBATION
    assert promotion_lines(texts, terminal, settings)
    terminal.state.mode = SUSPENDED
    assert promotion_lines(texts, terminal, settings) == []
    terminal.state.mode = IN_SERVICE
    terminal.hal.clock.set_wall(NOW_S + 60)
    assert promotion_lines(texts, terminal, settings) == []


def test_own_words_stand_as_they_are_and_a_message_that_is_none_does_not():
    terminal, settings = promoted("own Fresh bread at eight", str(NOW_S + 60))
    assert promotion_lines(KeyTexts(), terminal, settings) == ["Fresh bread at eight"]
    for value, until in (("sale", str(NOW_S + 60)), ("back", ""), ("back", "soon"), ("", str(NOW_S + 60))):
        terminal, settings = promoted(value, until)
        assert promotion_lines(KeyTexts(), terminal, settings) == []


def test_the_restored_page_says_what_was_verified_what_is_watched_and_offers_training():
    terminal, settings = terminal_in(PROBATION)
    terminal.state.tests_able, terminal.state.probation_until = ("print", "pay"), NOW_S + 3600
    page = restored_page(KeyTexts(), terminal, settings)
    assert page.lines[1:] == ("restored.verified test.printlist.andtest.pay", "restored.watched 2026-11-22 09:00")
    assert ("2", "restored.choice.2") in page.choices
    terminal.state.mode = IN_SERVICE
    assert restored_page(KeyTexts(), terminal, settings).lines[-1] == "restored.daily"


class Payment:
    def __init__(self, totals):
        self._totals = totals

    def totals(self):
        return self._totals


def test_where_the_payment_host_tells_todays_payments_they_are_shown():
    terminal, settings = terminal_in(IN_SERVICE)
    terminal.hal.payment = Payment(None)
    assert not any([line.startswith("restored.payments") for line in restored_page(KeyTexts(), terminal, settings).lines])
    terminal.hal.payment = Payment(Totals(1000, 1250, 0))
    assert restored_page(KeyTexts(), terminal, settings).lines[-1] == "restored.payments 12.50"
    assert probation_page(KeyTexts(), terminal, settings, [0, 0, 0, 0]).lines[-1] == "restored.payments 12.50"


def test_the_summary_of_a_probation_lists_what_there_was():
    terminal, settings = terminal_in(IN_SERVICE)
    settings.set("service_line", "95516")
    page = probation_page(KeyTexts(), terminal, settings, [2, 0, 1, 0])
    assert page.lines == ("probation.self_test 2", "probation.restart 1", "probation.told 95516")
    page = probation_page(KeyTexts(), terminal, settings, [0, 0, 0, 0])
    assert page.lines == ("probation.good",) and page.tone == "good"


def test_a_promotion_is_printed_as_a_slip():
    terminal, settings = promoted("back", str(NOW_S + 60))
    slips = Slips()
    note = terminal.time.run(print_slip(terminal, Person("", slips), "promotion.back", []))
    assert note == "" and slips.lines == ["promotion.back"]
