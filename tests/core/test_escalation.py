"""Several reasons at once, what each of them needs, appeals, and steps taken back."""

from firmware_agent.state.machine import (
    COMMISSIONING,
    FUNCTION_TESTS,
    IN_SERVICE,
    LEVEL_APPEAL,
    LEVEL_APPLICATION,
    LEVEL_SUPERIOR,
    LEVELS,
    OUT_OF_ORDER,
    PROBATION,
    RECOVERING,
    REVIEW_APPROVED,
    REVIEW_MORE_NEEDED,
    REVIEW_RECEIVED,
    REVIEW_REJECTED,
    REVIEW_SENT,
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
    STEPS_OF_MERCHANT,
    SUSPENDED,
    TESTS_AFTER_ORDER,
    FaultCleared,
    FunctionTestPassed,
    Lifted,
    RecoveryPaused,
    RecoveryStarted,
    Registered,
    ReviewAnswered,
    StepDone,
    StepTakenBack,
    TimePassed,
    levels_open,
)
from firmware_agent.state.reasons import ACTOR_POI
from tests.core.parts import NOW_S
from tests.core.state_parts import after, all_passed, at_step, come_to, due, found, in_service, onward, ordered, suspended


def steps_of(state):
    """The steps that the merchant is led through, from the suspension on, by himself and by others."""
    state = after(state, RecoveryStarted())
    steps = [state.step]
    while state.step != STEP_LIFT:
        state = onward(state)
        steps.append(state.step)
    return steps


def answered(state, status):
    return after(state, ReviewAnswered(state.application, status, "page 2 is missing"))


def applied(state, level=LEVEL_APPLICATION):
    return after(state, StepDone(STEP_APPLICATION, level))


# What the reasons need.


def test_a_recovery_has_the_steps_that_its_reasons_need_and_no_other():
    few = [STEP_REASON, STEP_CONTACT, STEP_LIFT]
    assert steps_of(suspended("maintenance")) == few
    for code in ("operator_error", "software_fault", "network_fault"):
        assert steps_of(suspended(code)) == [STEP_REASON, STEP_CONTACT, STEP_CHECK, STEP_LIFT], code
    assert steps_of(suspended("hardware_fault")) == [STEP_REASON, STEP_CONTACT, STEP_CHECK, STEP_MATERIALS, STEP_LIFT]
    assert steps_of(suspended("account_issue")) == [step for step in STEPS if step != STEP_REGISTRATION]
    for code in ("violation", "compliance", "contract_ended", "regulation_change", "dormant"):
        assert steps_of(suspended(code)) == list(STEPS), code


def test_several_reasons_are_recovered_from_together_by_all_that_any_of_them_needs():
    assert steps_of(suspended("maintenance", "account_issue")) == [step for step in STEPS if step != STEP_REGISTRATION]
    assert steps_of(suspended("operator_error", "violation")) == list(STEPS)
    assert steps_of(after(suspended("maintenance"), found("hardware_fault", "printer"))) == [
        STEP_REASON,
        STEP_CONTACT,
        STEP_CHECK,
        STEP_MATERIALS,
        STEP_LIFT,
    ]


def test_what_the_terminal_suspects_owes_no_new_keys():
    """The payment host refuses the sign-in: that suspends, and is no order."""
    state = after(in_service(), found("violation", "payment"))
    assert state.mode == SUSPENDED and state.status == "OUTD" and not state.registration_due and state.tests_due == ("pay",)
    assert steps_of(state) == [step for step in STEPS if step != STEP_REGISTRATION]
    assert after(state, Lifted("violation")).mode == SUSPENDED
    assert after(state, ordered("violation")).registration_due
    state = after(state, FaultCleared("payment"))
    assert state.mode == COMMISSIONING and all_passed(state).mode == IN_SERVICE


# A further reason, and the same one again.


def test_a_further_reason_begins_a_recovery_anew_that_has_not_come_to_an_application():
    for step in (STEP_REASON, STEP_CONTACT, STEP_CHECK, STEP_MATERIALS, STEP_APPLICATION):
        for event in (ordered("compliance"), ordered("maintenance"), found("hardware_fault", "printer")):
            state = after(at_step("violation", step), event)
            assert state.mode == SUSPENDED and state.step == "" and state.review == ""
            assert after(state, RecoveryStarted()).step == STEP_REASON


def test_an_application_is_not_lost_to_a_reason_that_needs_none():
    events = (ordered("maintenance"), ordered("operator_error"), found("hardware_fault", "printer"), found("violation", "payment"))
    for step in (STEP_REVIEW, STEP_REGISTRATION, STEP_LIFT):
        for event in events:
            before = at_step("violation", step)
            state = after(before, event)
            assert state.mode == SUSPENDED and state.step == step and state.review == before.review
            assert len(state.reasons) == 2
            state = after(state, RecoveryStarted())
            assert state.mode == RECOVERING and state.step == step
    state = after(at_step("violation", STEP_REVIEW), ordered("maintenance"))
    state = answered(state, REVIEW_APPROVED)
    assert state.mode == SUSPENDED and state.step == STEP_REGISTRATION
    # The maintenance is over: what was begun is where it was.
    state = after(state, Lifted("maintenance"), RecoveryStarted(), Registered())
    assert state.step == STEP_LIFT and [reason.code for reason in state.reasons] == ["violation"]


def test_an_application_does_not_answer_an_order_that_came_after_it():
    for step in (STEP_REVIEW, STEP_REGISTRATION, STEP_LIFT):
        for event in (ordered("compliance"), ordered("account_issue"), ordered("violation", case="C-2"), found("tamper")):
            before = at_step("violation", step)
            state = after(before, event)
            assert state.step == "" and state.review == "" and state.application == 1
            # The answer to what was applied for before the new reason was known decides nothing.
            assert after(state, ReviewAnswered(1, REVIEW_APPROVED)).to_list() == state.to_list()
            if state.mode != OUT_OF_ORDER:
                again = come_to(STEP_REVIEW, state)
                assert again.application == 2
                assert after(again, ReviewAnswered(1, REVIEW_APPROVED)).step == STEP_REVIEW


def test_the_same_reason_told_again_amends_it_and_disturbs_nobody():
    state = after(in_service(), ordered("maintenance", until=5), ordered("maintenance", until=9, note="longer"))
    (reason,) = state.reasons
    assert reason.until == 9 and reason.note == "longer"
    for step in STEPS:
        before = at_step("violation", step)
        state = after(before, ordered("violation", note="see clause 7"))
        assert state.mode == RECOVERING and state.step == step and state.review == before.review
        assert state.registration_due == before.registration_due and state.reasons[0].note == "see clause 7"
    # By another case number it is another story.
    state = after(at_step("violation", STEP_LIFT), ordered("violation", case="C-2"))
    assert len(state.reasons) == 1 and state.reasons[0].case == "C-2"
    assert state.mode == SUSPENDED and state.step == "" and state.registration_due


def test_a_reason_that_is_amended_keeps_its_place():
    state = after(suspended("violation", "maintenance"), ordered("violation", note="see clause 7"))
    assert [reason.code for reason in state.reasons] == ["violation", "maintenance"]
    state = after(state, ordered("violation", case="C-2"))
    assert [reason.code for reason in state.reasons] == ["maintenance", "violation"]


def test_a_lift_of_one_of_two_leaves_what_the_other_needs():
    for code, other, step in (
        ("violation", "account_issue", STEP_REVIEW),  # the other one is reviewed, too
        ("account_issue", "maintenance", STEP_LIFT),
        ("account_issue", "operator_error", STEP_LIFT),
        ("violation", "maintenance", STEP_REGISTRATION),  # keys are new after a violation, whatever became of it
    ):
        state = after(come_to(STEP_REVIEW, suspended(code, other)), Lifted(code))
        assert state.mode == RECOVERING and state.step == step, (code, other)
        assert [reason.code for reason in state.reasons] == [other]


def test_a_step_that_is_no_longer_needed_is_passed_over():
    for step in (STEP_CHECK, STEP_MATERIALS, STEP_APPLICATION, STEP_REVIEW):
        state = after(come_to(step, suspended("account_issue", "maintenance")), Lifted("account_issue"))
        assert state.step == STEP_LIFT and state.mode == RECOVERING


# Probation.


def test_an_order_in_a_probation_ends_it_and_it_begins_anew_afterwards():
    state = all_passed(after(suspended("maintenance"), Lifted("maintenance", 3600)))
    assert state.mode == PROBATION
    for event in (ordered("account_issue"), found("hardware_fault", "printer")):
        again = after(state, event)
        assert again.mode == SUSPENDED and again.probation_until == 0 and again.probation_s == 3600
        assert after(again, TimePassed(NOW_S + 7200)).to_list() == again.to_list()
        again = after(again, Lifted("account_issue"), FaultCleared("printer"))
        assert again.mode == COMMISSIONING
        again = after(again, *[FunctionTestPassed(test) for test in again.tests_due], wall_s=NOW_S + 9000)
        assert again.mode == PROBATION and again.probation_until == NOW_S + 9000 + 3600
    longer = all_passed(after(state, ordered("account_issue"), Lifted("account_issue", 7200)))
    assert longer.mode == PROBATION and longer.probation_s == 7200


# Appeals.


def test_an_appeal_is_open_only_against_a_refusal():
    state = at_step("violation", STEP_APPLICATION)
    assert levels_open(state) == (LEVEL_APPLICATION,)
    for level in (LEVEL_APPEAL, LEVEL_SUPERIOR, 3, -1):
        assert applied(state, level).to_list() == state.to_list()
        assert due(state, StepDone(STEP_APPLICATION, level)) == ()
    state = applied(state)
    for status in (REVIEW_SENT, REVIEW_RECEIVED, REVIEW_APPROVED):
        assert levels_open(answered(state, status)) == (LEVEL_APPLICATION,)
    state = answered(state, REVIEW_REJECTED)
    assert levels_open(state) == (LEVEL_APPLICATION, LEVEL_APPEAL)
    assert applied(state, LEVEL_SUPERIOR).to_list() == state.to_list()
    assert due(state, StepDone(STEP_APPLICATION, LEVEL_APPEAL)) == (SEND_APPLICATION, SEND_STATE)
    state = applied(state, LEVEL_APPEAL)
    assert state.level == LEVEL_APPEAL and state.application == 2 and state.review == REVIEW_SENT and state.remark == ""


def test_an_appeal_goes_up_one_level_at_a_time_and_ends_at_the_superior():
    for code in ("violation", "compliance"):
        state = answered(at_step(code, STEP_REVIEW), REVIEW_REJECTED)
        for level in (LEVEL_APPEAL, LEVEL_SUPERIOR):
            assert levels_open(state) == (LEVEL_APPLICATION, level)
            state = answered(applied(state, level), REVIEW_REJECTED)
            assert state.step == STEP_APPLICATION and state.level == level
        assert levels_open(state) == (LEVEL_APPLICATION,)
        # Begun again from below, the way up is open again.
        state = answered(applied(state), REVIEW_REJECTED)
        assert levels_open(state) == (LEVEL_APPLICATION, LEVEL_APPEAL) and state.application == 4


def test_an_appeal_that_is_granted_leads_on_as_an_application_does():
    for level in (LEVEL_APPEAL, LEVEL_SUPERIOR):
        state = answered(at_step("violation", STEP_REVIEW), REVIEW_REJECTED)
        for step_up in LEVELS[1 : level + 1]:
            state = applied(state, step_up)
            state = answered(state, REVIEW_APPROVED if step_up == level else REVIEW_REJECTED)
        assert state.step == STEP_REGISTRATION
        state = all_passed(after(state, Registered(), Lifted("violation")))
        assert state.mode == IN_SERVICE and state.level == LEVEL_APPLICATION


def test_only_reasons_that_may_be_appealed_open_a_level():
    for code in ("account_issue", "contract_ended", "regulation_change", "dormant"):
        state = answered(at_step(code, STEP_REVIEW), REVIEW_REJECTED)
        assert levels_open(state) == (LEVEL_APPLICATION,)
        assert applied(state, LEVEL_APPEAL).to_list() == state.to_list()
        assert applied(state).application == 2
    # One of several is enough, for as long as it holds.
    state = answered(come_to(STEP_REVIEW, suspended("account_issue", "violation")), REVIEW_REJECTED)
    assert levels_open(state) == (LEVEL_APPLICATION, LEVEL_APPEAL)
    assert levels_open(after(state, Lifted("violation"))) == (LEVEL_APPLICATION,)


def test_what_an_appeal_still_needs_goes_to_who_asked_for_it():
    state = answered(at_step("violation", STEP_REVIEW), REVIEW_MORE_NEEDED)
    assert levels_open(state) == (LEVEL_APPLICATION,)
    state = answered(applied(answered(applied(state), REVIEW_REJECTED), LEVEL_APPEAL), REVIEW_MORE_NEEDED)
    assert levels_open(state) == (LEVEL_APPLICATION, LEVEL_APPEAL)
    assert applied(state, LEVEL_SUPERIOR).to_list() == state.to_list()
    state = applied(state, LEVEL_APPEAL)
    assert state.step == STEP_REVIEW and state.level == LEVEL_APPEAL


def test_an_order_that_begins_a_new_story_begins_at_the_first_level():
    state = applied(answered(at_step("violation", STEP_REVIEW), REVIEW_REJECTED), LEVEL_APPEAL)
    state = after(state, ordered("compliance"))
    assert state.level == LEVEL_APPLICATION and state.review == ""
    state = after(applied(answered(at_step("violation", STEP_REVIEW), REVIEW_REJECTED), LEVEL_APPEAL), found("hardware_fault", "printer"))
    assert state.level == LEVEL_APPEAL and state.step == STEP_REVIEW


# Steps taken back.


def test_each_step_of_the_merchant_leads_back_to_the_one_before_that_the_reasons_need():
    state = at_step("violation", STEP_APPLICATION)
    for step in (STEP_MATERIALS, STEP_CHECK, STEP_CONTACT, STEP_REASON):
        assert due(state, StepTakenBack()) == (SEND_STATE,)
        state = after(state, StepTakenBack())
        assert state.mode == RECOVERING and state.step == step
    assert due(state, StepTakenBack()) == ()
    assert after(after(suspended("account_issue", "maintenance"), RecoveryStarted()), StepTakenBack()).step == STEP_REASON
    state = after(at_step("violation", STEP_APPLICATION), found("hardware_fault", "printer"), RecoveryStarted())
    for step in STEPS_OF_MERCHANT[: STEPS_OF_MERCHANT.index(STEP_CHECK)]:
        state = after(state, StepDone(step))
    assert after(state, StepTakenBack(), StepTakenBack(), StepDone(STEP_REASON)).step == STEP_CONTACT


def test_what_others_do_is_not_taken_back():
    for step in (STEP_REVIEW, STEP_REGISTRATION, STEP_LIFT):
        state = at_step("violation", step)
        assert after(state, StepTakenBack()).to_list() == state.to_list()
    for state in (in_service(), suspended("violation"), after(at_step("violation", STEP_CONTACT), RecoveryPaused())):
        assert after(state, StepTakenBack()).to_list() == state.to_list()


def test_who_goes_back_after_a_refusal_finds_it_again_and_may_still_appeal():
    state = answered(at_step("violation", STEP_REVIEW), REVIEW_REJECTED)
    state = after(state, StepTakenBack(), StepTakenBack())
    assert state.step == STEP_CHECK and state.review == REVIEW_REJECTED and state.remark == "page 2 is missing"
    state = after(state, StepDone(STEP_CHECK), StepDone(STEP_MATERIALS))
    assert state.step == STEP_APPLICATION and levels_open(state) == (LEVEL_APPLICATION, LEVEL_APPEAL)
    assert applied(state, LEVEL_APPEAL).application == 2


def test_function_tests_after_an_order_are_those_of_the_shop_and_of_what_was_broken():
    state = after(in_service(), ordered("maintenance"))
    assert state.tests_due == TESTS_AFTER_ORDER
    state = after(state, found("hardware_fault", "keypad"), found("hardware_fault", "display"))
    assert state.tests_due == FUNCTION_TESTS
    state = after(state, FaultCleared("keypad"), FaultCleared("display"), Lifted("maintenance"))
    assert state.mode == COMMISSIONING and state.tests_due == FUNCTION_TESTS
    assert all_passed(state).mode == IN_SERVICE


def test_found_by_the_terminal_itself_is_told_as_such():
    state = after(in_service(), found("violation", "payment"), ordered("violation"))
    assert [(reason.actor, reason.component) for reason in state.reasons] == [(ACTOR_POI, "payment"), ("HOST", "")]
    assert after(state, Lifted("violation")).reasons[0].actor == ACTOR_POI
