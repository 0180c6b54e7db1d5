"""The terminal's state machine: each reason of a suspension through its whole recovery, and the gates that no order of events opens."""

from binascii import unhexlify

from firmware_agent.messages.cbor import decode, encode
from firmware_agent.state.machine import (
    COMMISSIONING,
    FUNCTION_TESTS,
    IN_SERVICE,
    LEVEL_APPLICATION,
    OUT_OF_ORDER,
    PROBATION,
    RECOVERING,
    REVIEW_APPROVED,
    REVIEW_MORE_NEEDED,
    REVIEW_RECEIVED,
    REVIEW_REJECTED,
    REVIEW_SENT,
    REVIEW_UNDER_REVIEW,
    SEND_APPLICATION,
    SEND_STATE,
    STEP_APPLICATION,
    STEP_CHECK,
    STEP_CONTACT,
    STEP_LIFT,
    STEP_MATERIALS,
    STEP_REASON,
    STEP_REGISTRATION,
    STEP_REVIEW,
    STEPS,
    SUSPENDED,
    TESTS_AFTER_ORDER,
    Booted,
    FaultCleared,
    FunctionTestPassed,
    Lifted,
    RecoveryPaused,
    RecoveryStarted,
    Registered,
    ReviewAnswered,
    State,
    StepDone,
    Suspended,
    TechnicianConfirmed,
    TimePassed,
    reduce,
)
from firmware_agent.state.reasons import ACTOR_HOST, ACTOR_POI, REASON_KINDS, Reason, reason_kind
from tests.core.parts import NOW_S
from tests.core.state_parts import after, all_passed, at_step, come_to, due, found, in_service, ordered, suspended
from tests.core.support import raises

# As in the domain's table: what is reviewed, and after what new keys are due.
REVIEWED = ("account_issue", "violation", "compliance", "contract_ended", "regulation_change", "dormant", "tamper")
RE_REGISTERED = ("violation", "compliance", "contract_ended", "regulation_change", "dormant", "tamper")
SAID_BY_PAYMENT_HOST = ("account_issue", "violation", "compliance", "contract_ended")
FOUND_BY_TERMINAL = ("hardware_fault", "software_fault", "network_fault", "tamper") + SAID_BY_PAYMENT_HOST
APPEALED = ("violation", "compliance")
MATERIALS = {  # M numbers
    "hardware_fault": (5, 8),
    "account_issue": (1, 2, 3, 7),
    "violation": (1, 2, 3, 4, 6, 7, 9),
    "compliance": (1, 3, 4, 6, 7, 9),
    "contract_ended": (1, 2, 3, 4, 5, 6),
    "regulation_change": (1, 2, 3, 4, 6),
    "dormant": (1, 2, 3, 4, 5, 6),
}

# Records `state` as version 0.1.0 wrote them.
NEW_AT_FIRST = b"8c6d636f6d6d697373696f6e696e67806083657072696e74647363616e6370617983657072696e74647363616e63706179f4006060000080"
REVIEWED_AT_FIRST = (
    b"8c6a7265636f766572696e6781870664484f53541a6b023080006063432d3161786672657669657783657072696e74647363616e63706179"
    b"83657072696e74647363616e63706179f50168726563656976656464736f6f6e000080"
)


def test_a_new_terminal_passes_its_function_tests_before_it_serves():
    state = after(State(), Booted(("print", "pay")))
    assert state.mode == COMMISSIONING and state.status == "WAIT"
    assert state.tests_due == ("print", "pay")
    state = after(state, FunctionTestPassed("pay"))
    assert state.mode == COMMISSIONING
    state = after(state, FunctionTestPassed("print"))
    assert state.mode == IN_SERVICE and state.status == "OPER"


def test_the_twelve_reasons_are_those_of_the_domain():
    assert [kind.number for kind in REASON_KINDS] == list(range(1, 13))
    for kind in REASON_KINDS:
        assert kind.review == (kind.code in REVIEWED), kind.code
        assert kind.registration == (kind.code in RE_REGISTERED), kind.code
        assert kind.found_by_terminal == (kind.code in FOUND_BY_TERMINAL), kind.code
        assert kind.appeal == (kind.code in APPEALED), kind.code
        assert kind.materials == MATERIALS.get(kind.code, ()), kind.code
        assert kind.check == (kind.code not in ("maintenance", "tamper")), kind.code
        assert reason_kind(kind.code) is kind and reason_kind(kind.number) is kind
    raises(KeyError, reason_kind, "no_such_reason")
    raises(KeyError, reason_kind, 13)


def test_each_ordered_reason_is_recovered_from_step_by_step():
    for kind in REASON_KINDS:
        if kind.code == "tamper":
            continue
        state = suspended(kind.code)
        assert state.mode == SUSPENDED and state.status == "DACT" and state.step == "", kind.code
        state = after(state, RecoveryStarted())
        assert state.mode == RECOVERING and state.step == STEP_REASON
        state = after(state, StepDone(STEP_REASON))
        assert state.step == STEP_CONTACT and due(state, StepDone(STEP_CONTACT)) == (SEND_STATE,)
        state = after(state, StepDone(STEP_CONTACT))
        if kind.check:
            assert state.step == STEP_CHECK
            state = after(state, StepDone(STEP_CHECK))
        if kind.code in MATERIALS:
            assert state.step == STEP_MATERIALS
            state = after(state, StepDone(STEP_MATERIALS))
        if kind.code in REVIEWED:
            assert state.step == STEP_APPLICATION
            assert due(state, StepDone(STEP_APPLICATION)) == (SEND_APPLICATION, SEND_STATE)
            state = after(state, StepDone(STEP_APPLICATION))
            assert state.step == STEP_REVIEW and state.review == REVIEW_SENT
            for status in (REVIEW_RECEIVED, REVIEW_UNDER_REVIEW):
                state = after(state, ReviewAnswered(1, status, "soon"))
                assert state.step == STEP_REVIEW and state.review == status and state.remark == "soon"
            state = after(state, ReviewAnswered(1, REVIEW_APPROVED))
        if kind.code in RE_REGISTERED:
            assert state.step == STEP_REGISTRATION and state.registration_due
            state = after(state, Registered())
        assert state.step == STEP_LIFT and state.mode == RECOVERING and not state.registration_due
        assert state.tests_due == TESTS_AFTER_ORDER
        state = after(state, Lifted(kind.code))
        assert state.mode == COMMISSIONING and state.status == "WAIT" and state.reasons == () and state.step == ""
        state = all_passed(state)
        assert state.mode == IN_SERVICE and state.status == "OPER", kind.code


def test_what_the_terminal_found_it_lifts_when_its_tests_pass():
    components = ("printer", "scanner", "card_reader", "keypad", "display", "payment")
    for component, test in zip(components, ("print", "scan", "pay", "keys", "screen", "pay")):  # noqa: B905
        state = after(in_service(), found("hardware_fault", component))
        assert state.mode == SUSPENDED and state.status == "OUTD"
        assert state.tests_due == (test,) and not state.registration_due
        assert after(state, FaultCleared("network")).mode == SUSPENDED
        state = after(state, FaultCleared(component))
        assert state.mode == COMMISSIONING and state.tests_due == (test,)
        assert all_passed(state).mode == IN_SERVICE


def test_a_component_without_a_function_test_serves_again_as_soon_as_it_is_mended():
    for code, component in (("hardware_fault", "sounder"), ("software_fault", ""), ("network_fault", "network")):
        state = after(in_service(), found(code, component))
        assert state.mode == SUSPENDED and state.tests_due == ()
        assert after(state, FaultCleared(component)).mode == IN_SERVICE


def test_only_the_acquirer_lifts_what_he_ordered():
    for code in ("hardware_fault", "software_fault", "network_fault", "maintenance"):
        state = suspended(code)
        for event in (FaultCleared(""), FaultCleared("printer"), TechnicianConfirmed(), Registered(), FunctionTestPassed("print")):
            assert [reason.code for reason in after(state, event).reasons] == [code]


def test_the_acquirer_does_not_lift_what_the_terminal_found():
    state = after(in_service(), found("hardware_fault", "printer"))
    assert after(state, Lifted("hardware_fault")).to_list() == state.to_list()


def test_the_same_reason_from_both_is_lifted_by_both():
    state = after(in_service(), found("hardware_fault", "printer"), ordered("hardware_fault"))
    assert len(state.reasons) == 2 and state.status == "DACT"
    assert after(state, Lifted("hardware_fault")).mode == SUSPENDED
    assert after(state, FaultCleared("printer")).mode == SUSPENDED
    assert after(state, FaultCleared("printer"), Lifted("hardware_fault")).mode == COMMISSIONING


def test_a_lift_of_a_reason_that_does_not_hold_changes_nothing():
    for state in (in_service(), suspended("maintenance"), after(State(), Booted(FUNCTION_TESTS))):
        for code in ("violation", "tamper"):
            new, messages = reduce(state, Lifted(code, 3600), NOW_S)
            assert new.to_list() == state.to_list() and messages == ()


def test_several_reasons_hold_until_each_is_lifted():
    state = suspended("violation", "maintenance", "account_issue")
    assert [reason.code for reason in state.reasons] == ["violation", "maintenance", "account_issue"]
    state = after(state, Registered(), Lifted("violation"))
    assert state.mode == SUSPENDED
    state = after(state, Lifted("account_issue"))
    assert state.mode == SUSPENDED
    assert after(state, Lifted("maintenance")).mode == COMMISSIONING


def test_a_new_reason_during_the_function_tests_comes_before_them():
    state = after(suspended("maintenance"), Lifted("maintenance"), FunctionTestPassed("print"))
    assert state.mode == COMMISSIONING and state.tests_due == ("scan", "pay")
    state = after(state, found("hardware_fault", "printer"))
    assert state.mode == SUSPENDED and state.tests_due == TESTS_AFTER_ORDER
    assert after(state, *[FunctionTestPassed(test) for test in FUNCTION_TESTS]).tests_due == TESTS_AFTER_ORDER
    assert after(state, FaultCleared("printer")).mode == COMMISSIONING


def test_a_lift_before_the_registration_leaves_the_registration_due():
    for step in (STEP_REASON, STEP_APPLICATION, STEP_REVIEW, STEP_REGISTRATION):
        state = after(at_step("violation", step), Lifted("violation"))
        assert state.mode == RECOVERING and state.step == STEP_REGISTRATION and state.reasons == ()
        state = after(state, FunctionTestPassed("print"), RecoveryPaused(), TimePassed(NOW_S))
        assert state.mode == RECOVERING and state.tests_due == TESTS_AFTER_ORDER
        state = after(state, Registered())
        assert state.mode == COMMISSIONING
        assert all_passed(state).mode == IN_SERVICE


def test_an_answer_to_another_application_decides_nothing():
    state = at_step("violation", STEP_REVIEW)
    for number in (0, 2, 99):
        new, messages = reduce(state, ReviewAnswered(number, REVIEW_APPROVED), NOW_S)
        assert new.to_list() == state.to_list() and messages == ()


def test_a_refused_application_can_be_made_again_under_a_new_number():
    for status in (REVIEW_REJECTED, REVIEW_MORE_NEEDED):
        state = after(at_step("contract_ended", STEP_REVIEW), ReviewAnswered(1, status, "licence is missing"))
        assert state.step == STEP_APPLICATION and state.review == status and state.remark == "licence is missing"
        assert after(state, ReviewAnswered(1, REVIEW_APPROVED)).step == STEP_APPLICATION
        state = after(state, StepDone(STEP_APPLICATION))
        assert state.step == STEP_REVIEW and state.application == 2 and state.review == REVIEW_SENT and state.remark == ""
        assert after(state, ReviewAnswered(1, REVIEW_APPROVED)).step == STEP_REVIEW
        assert after(state, ReviewAnswered(2, REVIEW_APPROVED)).step == STEP_REGISTRATION


def test_application_numbers_only_grow_from_one_suspension_to_the_next():
    state = at_step("violation", STEP_LIFT)
    state = after(all_passed(after(state, Lifted("violation"))), ordered("account_issue"))
    assert come_to(STEP_REVIEW, state).application == 2


def test_a_recovery_that_was_left_goes_on_where_it_was():
    for step in STEPS:
        state = after(at_step("violation", step), RecoveryPaused())
        assert state.mode == SUSPENDED and state.step == step
        assert after(state, StepDone(step)).step == step
        state = after(state, Booted(FUNCTION_TESTS), RecoveryStarted())
        assert state.mode == RECOVERING and state.step == step


def test_an_answer_that_comes_while_the_recovery_is_left_counts():
    state = after(at_step("violation", STEP_REVIEW), RecoveryPaused(), ReviewAnswered(1, REVIEW_APPROVED))
    assert state.mode == SUSPENDED and state.step == STEP_REGISTRATION


def test_only_the_step_at_which_the_merchant_is_can_be_done():
    state = at_step("violation", STEP_CONTACT)
    for step in [step for step in STEPS if step != STEP_CONTACT] + ["no_such_step"]:
        assert after(state, StepDone(step)).to_list() == state.to_list()
    for step in (STEP_REVIEW, STEP_REGISTRATION, STEP_LIFT):  # these are done by others
        state = at_step("violation", step)
        assert after(state, StepDone(step)).to_list() == state.to_list()


def test_a_tamper_is_lifted_by_the_technician_and_the_acquirer_together():
    consents = (TechnicianConfirmed(), Lifted("tamper"))
    for event in (found("tamper"), ordered("tamper")):
        for first, second in (consents, (consents[1], consents[0])):
            state = after(in_service(), event)
            assert state.mode == OUT_OF_ORDER and state.status == "OUTD" and state.registration_due
            for other in (RecoveryStarted(), FaultCleared(""), Registered(), FunctionTestPassed("pay"), Lifted("violation")):
                assert after(state, other).mode == OUT_OF_ORDER
            state = after(state, first, first)
            assert state.mode == OUT_OF_ORDER
            state = after(state, second)
            assert state.mode == RECOVERING and state.step == STEP_REGISTRATION and state.reasons == ()
            state = after(state, Registered())
            assert state.mode == COMMISSIONING and state.tests_due == TESTS_AFTER_ORDER
            assert all_passed(state).mode == IN_SERVICE


def test_a_tamper_found_in_a_device_owes_the_test_of_that_device_too():
    for component, tests in (
        ("keypad", ("print", "scan", "pay", "keys")),
        ("display", ("print", "scan", "pay", "screen")),
        ("printer", TESTS_AFTER_ORDER),
    ):
        state = after(in_service(), found("tamper", component))
        assert state.mode == OUT_OF_ORDER and state.tests_due == tests and state.registration_due
    assert after(in_service(("pay", "keys")), found("tamper", "keypad")).tests_due == ("pay", "keys")


def test_a_second_tamper_makes_the_consents_to_the_first_void():
    for consent, other in ((TechnicianConfirmed(), Lifted("tamper")), (Lifted("tamper"), TechnicianConfirmed())):
        state = after(in_service(), found("tamper"), consent, found("tamper"), other)
        assert state.mode == OUT_OF_ORDER


def test_consents_given_before_a_tamper_count_for_nothing():
    assert after(in_service(), TechnicianConfirmed()).to_list() == in_service().to_list()
    state = after(in_service(), TechnicianConfirmed(), Lifted("tamper"), found("tamper"), TechnicianConfirmed())
    assert state.mode == OUT_OF_ORDER


def test_a_tamper_leaves_the_other_reasons_and_comes_before_them():
    state = after(at_step("violation", STEP_REVIEW), found("tamper"), ordered("maintenance"))
    assert state.mode == OUT_OF_ORDER and state.step == ""
    state = after(state, TechnicianConfirmed(), Lifted("tamper"))
    assert state.mode == SUSPENDED and [reason.code for reason in state.reasons] == ["violation", "maintenance"]


def test_a_probation_lasts_its_time_by_a_trusted_clock():
    state = after(suspended("maintenance"), Lifted("maintenance", 3600))
    assert state.mode == COMMISSIONING
    state = all_passed(state)
    assert state.mode == PROBATION and state.status == "OPER" and state.probation_until == NOW_S + 3600
    state = after(state, TimePassed(NOW_S + 3599), Booted(FUNCTION_TESTS))
    assert state.mode == PROBATION
    state = after(state, TimePassed(NOW_S + 3600))
    assert state.mode == IN_SERVICE and state.probation_s == 0 and state.probation_until == 0


def test_a_probation_without_a_clock_begins_when_the_time_is_known():
    state = after(suspended("maintenance"), Lifted("maintenance", 3600))
    state = after(state, *[FunctionTestPassed(test) for test in FUNCTION_TESTS], wall_s=0)
    assert state.mode == PROBATION and state.probation_until == 0
    state = after(state, TimePassed(NOW_S))
    assert state.mode == PROBATION and state.probation_until == NOW_S + 3600
    assert after(state, TimePassed(NOW_S + 3600)).mode == IN_SERVICE


def test_the_longest_of_several_probations_counts():
    state = suspended("maintenance", "account_issue")
    state = all_passed(after(state, Lifted("maintenance", 7200), Lifted("account_issue", 60)))
    assert state.mode == PROBATION and state.probation_until == NOW_S + 7200


def test_what_the_terminal_finds_does_not_end_a_probation_that_was_ordered():
    state = all_passed(after(suspended("maintenance"), Lifted("maintenance", 3600)))
    state = after(state, found("hardware_fault", "printer"))
    assert state.mode == SUSPENDED
    later_s = NOW_S + 1800
    state = after(state, FaultCleared("printer"), FunctionTestPassed("print"), wall_s=later_s)
    assert state.mode == PROBATION and state.probation_until == later_s + 3600


def test_a_function_test_that_the_devices_do_not_allow_is_not_asked_for():
    state = after(suspended("maintenance"), Booted(("print",)), Lifted("maintenance"))
    assert state.tests_able == ("print",) and state.tests_due == ("print",)
    assert after(state, FunctionTestPassed("print")).mode == IN_SERVICE


def test_each_change_makes_a_state_message_due_and_nothing_else_does():
    state = suspended("violation")
    assert due(state, RecoveryStarted()) == (SEND_STATE,)
    for event in (RecoveryPaused(), Booted(FUNCTION_TESTS), TimePassed(NOW_S), StepDone(STEP_REASON), FunctionTestPassed("pay")):
        assert due(state, event) == ()


def test_the_gate_holds_whatever_the_order_of_events():
    """Each order of the three things that are outstanding, with everything that happens besides in between."""
    noise = (Booted(FUNCTION_TESTS), TimePassed(NOW_S), RecoveryStarted(), RecoveryPaused(), FaultCleared(""), TechnicianConfirmed())
    tests = [FunctionTestPassed(test) for test in FUNCTION_TESTS]
    parts = ([Lifted("violation", 60)], [Registered()], tests)
    for first, second, third in ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)):
        state = suspended("violation")
        for event in parts[first] + parts[second] + parts[third]:
            state = after(state, event, *noise)
            if state.reasons or state.registration_due or state.tests_due:
                assert state.mode not in (IN_SERVICE, PROBATION)
        # Tests that were passed while a reason held or new keys were due do not count.
        assert (state.mode == PROBATION) == (third == 2), (first, second, third)


def stored(state, **changes):
    values = state.to_list()
    for field, value in changes.items():
        values[State.FIELDS.index(field)] = value
    return values


def test_a_state_comes_back_from_the_store_as_it_was():
    for state in (
        State(),
        in_service(),
        at_step("violation", STEP_REVIEW),
        after(in_service(), found("tamper"), TechnicianConfirmed()),
        all_passed(after(suspended("maintenance"), Lifted("maintenance", 3600))),
        after(in_service(), Suspended(Reason("compliance", ACTOR_HOST, 1, 2, case="C-1", note="\u5ba1\u6838"))),
    ):
        assert State.from_list(decode(encode(state.to_list()))).to_list() == state.to_list()


def test_a_state_that_the_first_release_stored_is_read_and_goes_on():
    reviewed = State.from_list(decode(unhexlify(REVIEWED_AT_FIRST)))
    assert reviewed.mode == RECOVERING and reviewed.step == STEP_REVIEW and reviewed.level == LEVEL_APPLICATION
    assert [reason.case for reason in reviewed.reasons] == ["C-1"] and reviewed.tests_due == TESTS_AFTER_ORDER
    state = after(reviewed, Booted(FUNCTION_TESTS), ReviewAnswered(1, REVIEW_APPROVED), Registered(), Lifted("violation"))
    assert state.mode == COMMISSIONING and state.tests_due == TESTS_AFTER_ORDER
    assert all_passed(state).mode == IN_SERVICE
    new = State.from_list(decode(unhexlify(NEW_AT_FIRST)))
    assert new.to_list()[:12] == stored(State(), tests_able=list(TESTS_AFTER_ORDER))[:12]


def test_a_state_that_cannot_be_is_refused():
    serving = in_service()
    reason = Reason("violation", ACTOR_HOST).to_list()
    tamper = Reason("tamper", ACTOR_POI).to_list()
    for values in (
        stored(serving, reasons=[reason]),
        stored(serving, registration_due=True),
        stored(serving, tests_due=["print"]),
        stored(serving, mode=PROBATION),
        stored(serving, mode=PROBATION, probation_s=60, reasons=[reason]),
        stored(serving, mode=SUSPENDED),
        stored(serving, mode=RECOVERING),
        stored(serving, mode=RECOVERING, step=STEP_LIFT),
        stored(serving, mode=RECOVERING, reasons=[reason]),
        stored(serving, mode=COMMISSIONING),
        stored(serving, mode=COMMISSIONING, tests_due=["print"], reasons=[reason]),
        stored(serving, mode=COMMISSIONING, tests_due=["print"], registration_due=True),
        stored(serving, mode=OUT_OF_ORDER),
        stored(serving, mode=SUSPENDED, reasons=[tamper]),
        stored(serving, mode="no_such_mode"),
        stored(serving, step="no_such_step"),
        stored(serving, review="no_such_status"),
        stored(serving, tests_able=["dance"]),
        stored(suspended("maintenance"), tests_able=["print"]),
        stored(serving, tamper_consents=["MERCHANT"]),
        stored(serving, application=-1),
        stored(suspended("maintenance"), reasons=[["x"] + reason[1:]]),
        stored(suspended("maintenance"), reasons=[[13] + reason[1:]]),
        stored(suspended("maintenance"), reasons=[[6, "MERCHANT"] + reason[2:]]),
        stored(suspended("maintenance"), reasons=[reason[:-1]]),
        stored(suspended("maintenance"), reasons=[7]),
        stored(serving, application="1"),
        stored(serving, probation_until=None),
        stored(serving, registration_due=0),
        stored(serving, remark=b"bytes"),
        stored(serving, level=1),
        stored(serving, level=1, application=1),
        stored(at_step("violation", STEP_REVIEW), level=3),
        stored(at_step("violation", STEP_REVIEW), level=-1),
        stored(at_step("violation", STEP_REVIEW), level=False),
        stored(at_step("violation", STEP_REVIEW), application=0),
        serving.to_list()[:11],
        serving.to_list() + [0],
    ):
        raises((ValueError, KeyError, TypeError), State.from_list, values)


def test_a_reason_is_told_in_few_values_and_understood_again():
    for reason in (
        Reason("violation", ACTOR_HOST, 7, 9, case="C-1"),
        Reason("hardware_fault", ACTOR_POI, 7, component="printer", note="cutter_jam"),
        Reason("tamper", ACTOR_POI),
        Reason("maintenance", ACTOR_HOST),
    ):
        assert Reason.from_told(reason.told()).to_list() == reason.to_list()
    assert Reason("maintenance", ACTOR_HOST).told() == [1]
    assert Reason("violation", ACTOR_HOST, 7, note="his own words").told() == [6, 0, 7]
    wrong = (None, [], "6", [6, 2], [6, 0, -1], [6, 0, 7, -1], [6, 0, 7, 0, 0], [6, 0, "7"], ["violation"], [6, 0, 7, 9, "", "", "", ""])
    for values in wrong:
        raises(ValueError, Reason.from_told, values)
    raises(KeyError, Reason.from_told, [99])
