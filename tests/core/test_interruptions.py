"""Interrupted anywhere on the way back, a terminal is where it was before that write, or after it, and goes on to the same end."""

import asyncio

from firmware_agent.messages.schema import Claims, kind_named
from firmware_agent.orders import effect_of
from firmware_agent.selftest.run import interrupted_plans
from firmware_agent.state.machine import (
    COMMISSIONING,
    IN_SERVICE,
    LEVEL_APPEAL,
    MODES,
    OUT_OF_ORDER,
    PROBATION,
    RECOVERING,
    REVIEW_APPROVED,
    REVIEW_MORE_NEEDED,
    REVIEW_REJECTED,
    REVIEW_UNDER_REVIEW,
    STEP_APPLICATION,
    STEP_LIFT,
    STEP_REVIEW,
    STEPS,
    SUSPENDED,
    FaultCleared,
    FunctionTestPassed,
    Lifted,
    RecoveryPaused,
    RecoveryStarted,
    Registered,
    ReviewAnswered,
    StepDone,
    StepTakenBack,
    TechnicianConfirmed,
    TimePassed,
)
from tests.core.parts import NOW_S, Flash, PowerCut
from tests.core.selftest_parts import serving_flash
from tests.core.state_parts import APPLYING, found, ordered
from tests.core.support import raises
from tests.core.terminal_parts import boot

TESTS = [FunctionTestPassed(test) for test in ("print", "scan", "pay")]
WAY_BACK = (
    [ordered("violation")]
    + APPLYING[:3]
    + [StepTakenBack()]
    + APPLYING[2:]
    + [ReviewAnswered(1, REVIEW_UNDER_REVIEW), ReviewAnswered(1, REVIEW_MORE_NEEDED, "page 2 is missing"), StepDone(STEP_APPLICATION)]
    + [ReviewAnswered(2, REVIEW_REJECTED), StepDone(STEP_APPLICATION, LEVEL_APPEAL), ReviewAnswered(3, REVIEW_APPROVED)]
    + [Registered(), RecoveryPaused(), Lifted("violation", 3600)]
    + TESTS
    + [TimePassed(NOW_S + 7200)]
)
TAMPERED = [found("tamper"), TechnicianConfirmed(), Lifted("tamper"), Registered()] + TESTS
FAULTY = [found("hardware_fault", "printer"), RecoveryStarted(), FaultCleared("printer"), FunctionTestPassed("print")]


def told(terminal):
    """What waits in the outbox of it: applications, and the state that was told last."""
    messages = [terminal.outbox.message(key) for key in terminal.outbox.waiting()]
    states = [message.body for message in messages if message.kind.name == "state"]
    applications = [message.body["application"] for message in messages if message.kind.name == "application"]
    return applications, [states[-1]["mode"], states[-1]["step"]] if states else []


def as_it_is(terminal):
    state = terminal.state
    return list(range(1, state.application + 1)), [state.mode, state.step]


def led(events):
    """Let the power go in the write of each event, at its beginning, in its middle and at its end: each time the terminal wakes before the
    event or after it, with the messages that belong there, and goes on. Gives the states that it woke in.
    """
    files = files_of(serving_flash())
    woken = []
    for event in events:
        whole = Flash(files)
        terminal = boot(whole)
        before = terminal.state.to_list()
        whole.writes.clear()
        terminal.apply([event])
        (length,) = whole.writes
        after = terminal.state.to_list()
        for keep_bytes in (0, 1, length // 2, length - 1, length):
            flash = Flash(files)
            terminal = boot(flash)
            flash.cut(1, keep_bytes)
            raises(PowerCut, terminal.apply, [event])
            flash.power_up()
            terminal = boot(flash)
            assert terminal.state.to_list() == (after if keep_bytes == length else before)
            if terminal.state.mode != IN_SERVICE:
                assert told(terminal) == as_it_is(terminal)
            if keep_bytes < length:
                terminal.apply([event])
                assert terminal.state.to_list() == after
        files = files_of(whole)
        woken.append(terminal.state)
    return woken


def files_of(flash):
    return {name: bytes(data) for name, data in flash.files.items()}


def test_at_each_event_of_a_whole_recovery_the_power_may_go():
    woken = led(WAY_BACK)
    assert {state.step for state in woken} >= set(STEPS)
    assert [state.mode for state in woken[-5:]] == [COMMISSIONING, COMMISSIONING, COMMISSIONING, PROBATION, IN_SERVICE]


def test_at_each_consent_to_lift_a_tamper_the_power_may_go():
    woken = led(TAMPERED)
    assert [state.mode for state in woken] == [OUT_OF_ORDER, OUT_OF_ORDER, RECOVERING] + [COMMISSIONING] * 3 + [IN_SERVICE]
    assert [len(state.tamper_consents) for state in woken[:3]] == [0, 1, 0]


def test_while_the_terminal_lifts_what_it_found_the_power_may_go():
    assert [state.mode for state in led(FAULTY)] == [SUSPENDED, RECOVERING, COMMISSIONING, IN_SERVICE]


def woken_after(*events):
    """What a terminal to which this has happened wakes as."""
    flash = serving_flash()
    boot(flash).apply(list(events))
    return boot(flash)


def test_in_each_mode_a_terminal_wakes_as_what_it_was():
    ways = {
        IN_SERVICE: [],
        SUSPENDED: [ordered("maintenance")],
        RECOVERING: [ordered("violation")] + APPLYING,
        COMMISSIONING: [ordered("maintenance"), Lifted("maintenance")],
        PROBATION: [ordered("maintenance"), Lifted("maintenance", 3600)] + TESTS,
        OUT_OF_ORDER: [found("tamper")],
    }
    assert set(ways) == set(MODES)
    for mode, events in ways.items():
        assert woken_after(*events).state.mode == mode


def test_a_function_test_that_was_passed_stays_passed_and_one_that_was_under_way_is_due():
    state = woken_after(ordered("maintenance"), Lifted("maintenance"), FunctionTestPassed("print")).state
    assert state.mode == COMMISSIONING and state.tests_due == ("scan", "pay")


def test_an_answer_that_was_awaited_is_taken_after_the_restart():
    terminal = woken_after(ordered("violation"), *APPLYING)
    assert terminal.state.step == STEP_REVIEW
    terminal.apply([ReviewAnswered(1, REVIEW_APPROVED), Registered()])
    assert terminal.state.step == STEP_LIFT


def test_a_probation_lasts_until_the_same_time():
    terminal = woken_after(ordered("maintenance"), Lifted("maintenance", 3600), *TESTS)
    until = terminal.state.probation_until
    assert until == NOW_S + 3600
    terminal.apply([TimePassed(until - 1)])
    assert terminal.state.mode == PROBATION
    terminal.apply([TimePassed(until)])
    assert terminal.state.mode == IN_SERVICE


def test_a_self_test_that_was_ordered_and_not_begun_is_not_made_up_for():
    flash = serving_flash()
    terminal = boot(flash)
    order = Claims(kind_named("order"), "T0000001", 1, {"action": "self_test", "plan": "full"}, issuer="acq1", issued_at=NOW_S)
    effect = asyncio.run(effect_of(terminal, order))
    terminal.apply(effect.events, effect.messages, effect.changes)
    assert effect.self_test == "full"
    assert interrupted_plans(boot(flash)) == []


def test_the_sum_of_what_was_refused_in_the_last_minute_is_not_told():
    flash = serving_flash()
    terminal = boot(flash)
    while terminal.refusals.gets_receipt("bad_signature", False):
        pass
    again = boot(flash)
    assert again.refusals.sums() == []
    assert again.refusals.gets_receipt("bad_signature", False)
