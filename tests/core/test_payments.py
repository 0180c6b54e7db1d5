"""What the agent does with the payment application: signs in, suspends by what the host says and lifts it, settles, watches limits."""

from firmware_agent.payment.suspicion import DAY_MS
from firmware_agent.selftest.plans import phase_named
from firmware_agent.selftest.run import self_test
from firmware_agent.selftest.subject import Subject
from firmware_agent.state.machine import COMMISSIONING, IN_SERVICE, STEP_LIFT, SUSPENDED, Suspended
from firmware_agent.state.reasons import ACTOR_HOST, Reason
from hal.device import HEALTH_FAIL, HEALTH_NOT_RUN, HEALTH_SUCCESS
from hal.payment import ECHO, REVERSAL, SALE, SIGN_IN, Answer, Totals
from tests.core.payment_parts import Shop, silent

REFUSED = ("03", "", 0)
BUSY = ("96", "", 0)
ACCOUNT = ("account_issue", "POI", "payment", "payment host 0810 03")


def checked(shop):
    health = shop.time.run(shop.payments.check())
    return health.outcome, health.cause


def tried(shop):
    health = shop.time.run(shop.payments.test())
    return health.outcome, health.cause


def test_it_signs_in_after_a_start_and_a_day_later():
    shop = Shop()
    shop.round()
    shop.round()
    assert shop.host.asked == [SIGN_IN]
    shop.time.now_ms += DAY_MS - 1000
    shop.round()
    assert shop.host.asked == [SIGN_IN]
    shop.time.now_ms += 1000
    shop.round()
    assert shop.host.asked == [SIGN_IN, SIGN_IN]


def test_a_refused_sign_in_suspends_and_is_told_and_one_that_is_accepted_lifts_it():
    shop = Shop()
    shop.host.answers[SIGN_IN] = REFUSED
    shop.round()
    assert shop.terminal.state.mode == SUSPENDED and shop.reasons == [ACCOUNT]
    assert shop.states()[-1] == SUSPENDED
    assert not shop.terminal.state.registration_due  # that is the acquirer's to order
    shop.time.now_ms += 60000
    shop.round()
    assert shop.host.asked == [SIGN_IN, SIGN_IN] and shop.reasons == [ACCOUNT]
    del shop.host.answers[SIGN_IN]
    shop.time.now_ms += 120000
    shop.round()
    assert shop.reasons == []
    assert shop.terminal.state.mode == COMMISSIONING and shop.terminal.state.tests_due == ("pay",)


def test_a_host_that_changes_its_mind_leaves_one_reason():
    shop = Shop()
    shop.host.answers[SIGN_IN] = REFUSED
    shop.round()
    shop.host.answers[SIGN_IN] = ("03", "A258", 0)
    assert checked(shop) == (HEALTH_FAIL, "payment_refused")
    assert shop.reasons == [("contract_ended", "POI", "payment", "payment host 0810 03 A258")]


def test_what_the_acquirer_ordered_no_sign_in_lifts_and_none_is_tried():
    shop = Shop()
    shop.terminal.apply([Suspended(Reason("account_issue", ACTOR_HOST))])
    shop.round()
    assert shop.host.asked == []
    assert checked(shop) == (HEALTH_SUCCESS, "")  # when a self-test asks for it
    assert [reason[1] for reason in shop.reasons] == [ACTOR_HOST]


def test_a_self_test_in_which_the_application_is_sound_does_not_lift_what_the_host_said():
    shop = Shop()
    shop.host.answers[SIGN_IN] = REFUSED
    shop.round()
    shop.host.check_health = None
    checks = {"payment.sign_in": shop.payments.check}
    subject = Subject(shop.terminal.hal, shop.terminal, checks=checks)

    async def sound(level=1):
        from hal.device import Health

        return Health(HEALTH_SUCCESS, "payment")

    shop.host.check_health = sound
    phases = [phase_named(id, shop.terminal.hal) for id in ("payment", "payment.sign_in")]
    diagnoses = shop.time.run(self_test(subject, "daily", lambda result: None, phases))
    assert [(each.component, each.cause.code) for each in diagnoses] == [("payment", "payment_refused")]
    assert shop.reasons == [ACCOUNT]
    del shop.host.answers[SIGN_IN]
    shop.time.run(self_test(subject, "daily", lambda result: None, phases))
    assert shop.reasons == []


def test_when_all_is_done_that_the_merchant_can_do_it_tries_every_minute():
    shop = Shop()
    shop.host.answers[SIGN_IN] = REFUSED
    for _ in range(12):
        shop.round()
        shop.time.now_ms += 3600000
    asked = len(shop.host.asked)
    shop.time.now_ms -= 3540000
    shop.round()
    assert len(shop.host.asked) == asked
    shop.terminal.state.step = STEP_LIFT
    shop.round()
    assert len(shop.host.asked) == asked + 1


def test_a_host_that_wants_a_sign_in_gets_one_more_at_once_and_then_it_waits():
    for first in (("77", "", 0), ("A0", "", 0), ("00", "", 3)):
        shop = Shop()
        shop.host.next = [first]
        shop.round()
        assert shop.host.asked == [SIGN_IN, SIGN_IN] and shop.terminal.state.mode == IN_SERVICE
        shop.time.now_ms += 3600000
        shop.round()
        assert shop.host.asked == [SIGN_IN, SIGN_IN]
    shop = Shop()
    shop.host.answers[SIGN_IN] = ("99", "", 0)
    assert checked(shop) == (HEALTH_FAIL, "payment_out_of_step")
    assert shop.host.asked == [SIGN_IN, SIGN_IN] and shop.terminal.state.mode == IN_SERVICE


def test_a_host_that_is_busy_or_silent_does_not_suspend_and_is_asked_again():
    for answer, cause in ((BUSY, "payment_busy"), (("91", "", 0), "payment_network"), (("05", "", 0), "payment_refused")):
        shop = Shop()
        shop.host.answers[SIGN_IN] = answer
        assert checked(shop) == (HEALTH_FAIL, cause)
        assert shop.reasons == []
        shop.time.now_ms += 60000
        shop.round()
        assert len(shop.host.asked) == 2


def test_an_echo_tells_whether_a_silent_host_is_there():
    shop = Shop()
    shop.host.answers[SIGN_IN] = silent()
    assert checked(shop) == (HEALTH_FAIL, "payment_silent")
    assert shop.host.asked == [SIGN_IN, ECHO]
    shop.host.answers[ECHO] = silent("payment_unreachable")
    assert checked(shop) == (HEALTH_FAIL, "payment_unreachable")
    assert shop.reasons == []


def test_a_host_that_wants_to_know_is_told_the_state_once_an_hour():
    shop = Shop()
    shop.host.answers[SIGN_IN] = ("00", "", 2)
    before = len(shop.states())
    for _ in range(2):
        checked(shop)
    assert len(shop.states()) == before + 1
    shop.time.now_ms += 3600000
    checked(shop)
    assert len(shop.states()) == before + 2


def test_three_refused_cards_make_it_sign_in():
    shop = Shop()
    shop.round()
    shop.host.unasked = [Answer(SALE, "03", card=card) for card in (1, 2, 3)]
    shop.host.answers[SIGN_IN] = ("05", "", 0)
    shop.round()
    assert shop.host.asked == [SIGN_IN, SIGN_IN]
    assert shop.reasons == [("account_issue", "POI", "payment", "payment host 0810 05")]


def test_a_store_that_refuses_changes_no_state_and_the_next_answer_does():
    shop = Shop()
    shop.host.answers[SIGN_IN] = REFUSED
    shop.flash.broken = True
    checked(shop)
    assert shop.reasons == [] and shop.terminal.state.mode == IN_SERVICE
    shop.flash.broken = False
    checked(shop)
    assert shop.reasons == [ACCOUNT]


def test_the_pay_test_signs_in_asks_for_an_echo_and_reverses_a_sale():
    shop = Shop()
    assert tried(shop) == (HEALTH_SUCCESS, "")
    assert shop.host.asked == [SIGN_IN, ECHO, SALE]
    shop.host.settles = False
    assert tried(shop) == (HEALTH_FAIL, "payment_unfinished")
    shop.host.answers[SALE] = silent()
    assert tried(shop) == (HEALTH_FAIL, "payment_silent")
    shop.host.answers[SALE] = REFUSED
    assert tried(shop) == (HEALTH_FAIL, "payment_refused")
    assert shop.reasons == []  # a refused sale alone says nothing
    shop.host.answers[ECHO] = BUSY
    assert tried(shop) == (HEALTH_FAIL, "payment_busy")
    shop.host.is_configured = False
    assert tried(shop) == (HEALTH_NOT_RUN, "not_configured")


def test_what_is_unfinished_is_settled_at_once_and_then_every_minute_and_told():
    shop = Shop()
    shop.host.begun = ["000003", "000004"]
    shop.host.answers[REVERSAL] = silent()
    shop.round()
    assert shop.host.begun == ["000003", "000004"] and shop.events("transactions_settled") == []
    del shop.host.answers[REVERSAL]
    shop.time.now_ms += 59000
    shop.round()
    assert shop.host.begun == ["000003", "000004"]
    shop.time.now_ms += 1000
    shop.round()
    assert shop.host.begun == []
    assert shop.events("transactions_settled") == ["2: 000003 000004"]
    assert Shop(shop.flash).events("transactions_settled") == ["2: 000003 000004"]


def test_a_suspended_terminal_settles_too():
    shop = Shop()
    shop.terminal.apply([Suspended(Reason("violation", ACTOR_HOST))])
    shop.host.begun = ["000003"]
    shop.round()
    assert shop.host.begun == [] and len(shop.events("transactions_settled")) == 1


def test_a_limit_that_is_near_is_told_once_a_day_each():
    shop = Shop()
    shop.settings.set("limit_daily", "1000000")
    shop.settings.set("limit_single", "500000")
    shop.round()
    seen = shop.terminal.changes_seen
    shop.host.told = Totals(100, 850000, 0)
    shop.round()
    shop.host.told = Totals(100, 870000, 0)
    shop.round()
    assert shop.events("limit_near") == ["daily 85 %"]
    assert shop.terminal.changes_seen == seen + 2  # the idle page is drawn anew
    shop.host.told = Totals(450000, 990000, 0)
    shop.round()
    assert shop.events("limit_near") == ["daily 85 %", "single 90 %"]
    shop = Shop(shop.flash)
    shop.host.told = Totals(450000, 990000, 0)
    shop.round()
    assert len(shop.events("limit_near")) == 2
    shop.host.told = None
    shop.round()
    shop.time.now_ms += DAY_MS
    shop.host.told = Totals(0, 820000, 0)
    shop.round()
    assert shop.events("limit_near")[2:] == ["daily 82 %"]


def test_the_payment_host_is_that_of_the_settings_as_they_are_now():
    shop = Shop()
    assert shop.host.configured == ("", 0, "", "")
    for name, value in (("payment_host", "pay:8583"), ("merchant_number", "898310148160001"), ("payment_terminal", "10000001")):
        shop.settings.set(name, value)
    assert shop.payments.configure()
    assert shop.host.configured == ("pay", 8583, "898310148160001", "10000001")
