"""What can be checked on the spot, by the reason: a self-test, a restart, the network's first bad layer, the operation log."""

from firmware_agent.flows.recovery.check_flow import check_page, operations_page, plan_again
from firmware_agent.messages.cbor import encode
from firmware_agent.selftest.phases import FAIL, PASS, Result
from firmware_agent.selftest.run import KEY_LAST, _to_keep
from firmware_agent.state.machine import RecoveryStarted, StepDone, Suspended
from firmware_agent.state.reasons import ACTOR_POI, REASON_KINDS, Reason
from tests.core.person import KeyTexts
from tests.core.recovery_parts import Shop
from tests.core.terminal_parts import Switched

TEXTS = KeyTexts()


def found(code, component=""):
    """Suspended for what the terminal found, at the step."""
    shop = Shop()
    shop.terminal.apply([Suspended(Reason(code, ACTOR_POI, component=component)), RecoveryStarted()])
    shop.terminal.apply([StepDone("reason"), StepDone("contact")])
    assert shop.state.step == "check"
    return shop


def keys(page):
    return "".join([key for key, _ in page.choices])


def test_each_reason_says_what_to_check_and_offers_what_can_be_done_here():
    offered = {"hardware_fault": "12", "software_fault": "123", "network_fault": "14", "operator_error": "15"}
    for kind in REASON_KINDS:
        if kind.check:
            page = check_page(TEXTS, Shop(kind.code, step="check").terminal)
            assert keys(page) == offered.get(kind.code, "1"), kind.code
            assert page.lines[0] == "check." + kind.code


def test_several_reasons_are_checked_on_one_page():
    shop = Shop("violation", "operator_error", "network_fault", step="check")
    page = check_page(TEXTS, shop.terminal)
    assert keys(page) == "145" and len([line for line in page.lines if line.startswith("check.")]) == 3


def test_a_broken_device_is_tested_by_itself():
    shop = found("hardware_fault", "printer")
    assert shop.press("2").plan == plan_again(shop.terminal)
    assert shop.state.step == "check", "its result is awaited here"
    assert shop.press("1").names[-1] == "fate"


def test_the_network_is_tested_and_the_first_layer_that_fails_is_named():
    shop = found("network_fault")
    assert shop.press("4").plan == "device.network"
    shop.terminal.hal.network = Switched()
    for outcome, cause, line in (
        (FAIL, "dns_failed", "selftest.cause cause.dns_failed device.network"),
        (PASS, "", "selftest.line device.network outcome.pass"),
    ):
        kept = _to_keep(Result("network.path", "network", outcome, cause=cause))
        shop.terminal.store.put(KEY_LAST + "network.path", encode([0, "device.network", kept, outcome == FAIL]))
        assert line in check_page(TEXTS, shop.terminal).lines


def test_a_restart_is_on_purpose_and_comes_back_to_this_page():
    shop = found("software_fault")
    merchant = shop.press("3")
    assert shop.restarts == [True] and "restart" in merchant.names
    shop.boot()
    assert shop.press().names == ["recovery.check"]


def test_the_operation_log_says_in_words_what_was_done_the_latest_first():
    shop = Shop("operator_error", step="check")
    shop.terminal.send("event", {"name": "sign_on_refused", "detail": "pin"})
    merchant = shop.press("5", "cancel")
    (page,) = [page for page in merchant.pages if page.name == "operations"]
    assert "op.event.sign_on_refused" in page.lines[0] and len(page.lines) > 2
    assert operations_page(TEXTS, shop.terminal, shop.settings).lines == page.lines
    assert shop.state.step == "check"
