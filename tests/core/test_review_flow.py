"""Following a review: its page, an answer when it comes, what is asked by itself and what the merchant is reminded of."""

from firmware_agent.application.review import AGAIN_S, KEY_ASKED, last_answer, unseen_answer, watch
from firmware_agent.flows.recovery.review_flow import answer_flow
from firmware_agent.messages.schema import Claims, kind_named
from firmware_agent.orders import effect_of
from tests.core.parts import NOW_S
from tests.core.person import Slips
from tests.core.recovery_parts import Merchant, Shop


def applied(*codes):
    shop = Shop(*(codes or ("violation",)), step="application")
    shop.press("4", "1", "enter", "1", "1")
    assert shop.state.step == "review"
    return shop


def answer(shop, status, remark="", at=NOW_S + 60, application=1):
    """As the agent takes it."""
    claims = Claims(kind_named("status"), "T0000001", 2, {"application": application, "status": status, "remark": remark}, issued_at=at)
    effect = shop.time.run(effect_of(shop.terminal, claims))
    shop.terminal.apply(effect.events, effect.messages, effect.changes)


def asked(shop):
    return [body["detail"] for body in shop.queued("event") if body["name"] == "review_asked"]


def test_the_page_says_where_it_stands_since_when_and_what_is_missing():
    shop = applied()
    lines = shop.press().pages[0].lines
    assert "recovery.review.status review.sent" in lines and "form.level level.0" in lines and "recovery.review.number 1\t" in lines
    assert lines[-1].startswith("materials.missing material.1list.andmaterial.2")
    answer(shop, "under_review", "two days")
    shop.boot()
    lines = shop.press().pages[0].lines
    for line in (
        "recovery.review.status review.under_review",
        "recovery.review.number 1\t2026-11-22 08:01",
        "recovery.review.remark two days",
    ):
        assert line in lines, line
    assert unseen_answer(shop.terminal) is None, "it decides nothing"


def test_the_merchant_can_ask_at_any_time_and_is_told_whether_it_went():
    shop = applied()
    merchant = shop.press("1")
    assert asked(shop) == ["1"] and merchant.pages[1].lines[-1] == "recovery.review.asked"
    shop = applied()
    shop.terminal.online = False
    assert shop.press("1").pages[1].lines[-1] == "recovery.review.asked_later"


def test_the_terminal_asks_by_itself_once_a_day_while_it_is_online():
    shop = applied()
    watch(shop.terminal)
    assert asked(shop) == [], "it was only just sent"
    for day in (1, 2):
        shop.time.now_ms += 1000 * AGAIN_S
        shop.terminal.online = False
        watch(shop.terminal)
        assert len(asked(shop)) == day - 1
        shop.terminal.online = True
        watch(shop.terminal)
        watch(shop.terminal)
        assert len(asked(shop)) == day
    assert shop.terminal.store.get(KEY_ASKED) is not None


def test_without_the_time_of_day_nothing_is_due():
    shop = applied()
    shop.terminal.hal.clock.trust = 0
    watch(shop.terminal)
    assert asked(shop) == []


def test_a_decision_has_a_page_until_it_is_seen_over_power_cuts_too():
    for status in ("approved", "rejected", "more_needed"):
        shop = applied()
        answer(shop, status, "see letter")
        shop.boot()
        found = unseen_answer(shop.terminal)
        assert found is not None and found.status == status
        merchant = show(shop, found)
        assert merchant.pages[0].lines[0] == "answer." + status and "recovery.review.remark see letter" in merchant.pages[0].lines
        assert unseen_answer(shop.terminal) is not None, "nobody has read it"
        show(shop, found, "1")
        shop.boot()
        assert unseen_answer(shop.terminal) is None


def show(shop, found, *keys):
    merchant = Merchant(shop.terminal, shop.time, keys, shop.slips)
    shop.time.run(answer_flow(shop.terminal, merchant, shop.settings, found, lambda: not merchant.keys))
    return merchant


def test_an_answer_can_be_printed():
    shop = applied()
    shop.slips = Slips()
    answer(shop, "rejected", "see letter")
    show(shop, unseen_answer(shop.terminal), "2", "1")
    assert "answer.title" in shop.slips.lines and "recovery.review.remark see letter" in shop.slips.lines
    assert "recovery.review.status review.rejected" in shop.slips.lines and "recovery.review.number 1\t2026-11-22 08:01" in shop.slips.lines


def test_an_answer_that_is_only_repeated_is_new_by_its_date_alone():
    shop = applied()
    answer(shop, "more_needed", "licence")
    show(shop, unseen_answer(shop.terminal), "1")
    answer(shop, "more_needed", "licence", at=NOW_S + 3600)
    assert unseen_answer(shop.terminal) is None and last_answer(shop.terminal).at == NOW_S + 3600
    answer(shop, "approved", application=9)
    assert last_answer(shop.terminal).status == "more_needed" and shop.state.step == "application"


def test_who_has_to_hand_in_more_is_reminded_once_a_day_of_what_is_missing():
    shop = applied("dormant")
    answer(shop, "more_needed", "licence")
    lines = show(shop, unseen_answer(shop.terminal), "1").pages[0].lines
    assert any(["material.3" in line and line.startswith("materials.missing ") for line in lines])
    seen = shop.terminal.changes_seen
    watch(shop.terminal)
    assert unseen_answer(shop.terminal) is None
    shop.time.now_ms += 1000 * AGAIN_S
    watch(shop.terminal)
    assert unseen_answer(shop.terminal) is not None and shop.terminal.changes_seen == seen + 1


def test_a_new_application_forgets_the_answer_to_the_one_before():
    shop = applied()
    answer(shop, "rejected")
    shop.press("1", "1")
    assert shop.state.application == 2 and last_answer(shop.terminal) is None
