"""The recovery at the counter: its steps in their order, back and on, with what each page says."""

from firmware_agent.state.machine import RECOVERING, SUSPENDED
from tests.core.recovery_parts import Shop

VIOLATION = ("1", "1", "1", "1", "2", "3", "4", "7", "9", "enter", "1", "1", "enter", "1", "1")


def test_a_violation_goes_from_reason_to_review_by_few_keys():
    """At most 40 for a whole recovery, with the function tests and what else follows: this is the greater part of it."""
    shop = Shop("violation")
    merchant = shop.press(*VIOLATION)
    names = ["reason", "contact", "check", "materials", "application", "statement", "application", "confirm_form", "review"]
    assert merchant.names == [name if name in ("statement", "confirm_form") else "recovery." + name for name in names]
    assert shop.state.step == "review" and shop.state.review == "sent"
    # Beside: one key to begin, one for the answer, the function tests (print: two, scan and pay: one each), and the end.
    assert 1 + len(VIOLATION) + 1 + 4 + 1 <= 40
    (body,) = shop.queued("application")
    assert body["purpose"] == "reactivation" and body["materials"] == [1, 2, 3, 4, 7, 9, 10] and "level" not in body


def test_each_reason_has_its_own_page_before_it_is_confirmed():
    shop = Shop("violation", "account_issue")
    merchant = shop.press("1", "cancel", "1", "1")
    reasons = [page for page in merchant.pages if page.name == "recovery.reason"]
    assert [page.lines[0] for page in reasons] == ["recovery.reason.number 2 %d" % number for number in (1, 2, 1, 2)]
    assert "suspended.code S6 violation" in reasons[0].lines and "suspended.code S5 account_issue" in reasons[1].lines
    assert merchant.names[-1] == "recovery.contact"
    assert "recovery.contact.code S5 account_issue" in merchant.pages[-1].lines and "recovery.contact.case C-1" in merchant.pages[-1].lines


def test_cancel_goes_a_step_back_and_from_the_first_one_out():
    shop = Shop("violation")
    for step in ("contact", "check", "materials", "application"):
        shop.press(*(["1"] if step != "application" else ["enter", "2"]))
        assert shop.state.step == step
    for step in ("materials", "check", "contact", "reason"):
        shop.press("cancel")
        assert shop.state.step == step and shop.state.mode == RECOVERING
    shop.press("cancel")
    assert shop.state.mode == SUSPENDED


def test_a_page_that_is_not_answered_changes_nothing():
    for step in ("reason", "contact", "check", "materials", "application", "review", "registration", "lift"):
        shop = Shop("violation")
        state = shop.state.copy()
        state.step = step
        state.application, state.review = 1, "sent"
        shop.terminal.state = state
        before = state.to_list()
        assert shop.press().names == ["recovery." + step]
        assert shop.state.to_list() == before


def test_what_waits_for_the_acquirer_can_be_left():
    shop = Shop("maintenance", step="lift")
    shop.press("cancel")
    assert shop.state.mode == SUSPENDED and shop.state.step == "lift"
