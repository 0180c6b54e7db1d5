"""A whole self-test run: kept as it comes, told once, and taken into the state."""

from firmware_agent.messages.cbor import encode
from firmware_agent.selftest.phases import ABORTED, ERROR, FAIL, PASS, SKIP, TIMEOUT
from firmware_agent.selftest.plans import FULL, PlanError, phase_named
from firmware_agent.selftest.report import from_list
from firmware_agent.selftest.run import KEY_LAST, KEY_RUN, MAX_KEPT_DETAIL, Run, last_result, self_test
from firmware_agent.state.machine import COMMISSIONING, IN_SERVICE, OUT_OF_ORDER, SUSPENDED, RecoveryStarted, StepDone, Suspended
from firmware_agent.state.reasons import ACTOR_HOST, ACTOR_POI, Reason
from hal.device import HEALTH_FAIL, HEALTH_NOT_RUN, HEALTH_SUCCESS, Health
from hal.errors import E_FAILURE, E_TIMEOUT, DeviceError
from tests.core.parts import NOW_S
from tests.core.selftest_parts import PASS_MS, PHASES, Part, World
from tests.core.support import raises


def test_a_run_in_which_all_passes_reports_and_changes_nothing():
    world = World()
    assert world.run() == []
    ((kind, body),) = world.messages()
    assert kind == "report" and body["plan"] == "full" and body["mode"] == IN_SERVICE
    assert body["element"] is False and "dropped" not in body and "reasons" not in body
    results = [from_list(values) for values in body["results"]]
    assert [result.phase for result in results] == list(PHASES)
    assert [result.outcome for result in results] == [PASS] * 5
    assert results[0].duration_ms == PASS_MS
    assert world.terminal.store.keys(KEY_RUN) == []


def test_each_result_is_shown_as_it_comes():
    world = World()
    world.parts["printer"].duration_ms = 50
    world.run()
    assert [result.phase for result in world.shown][3:] == ["printer", "printer.slip"]
    assert sorted([result.phase for result in world.shown]) == sorted(PHASES)


def test_each_result_is_kept_when_it_is_shown():
    world = World()
    kept = []

    def shown(result):
        kept.append(result.phase in Run(world.terminal, FULL).results)

    phases = [phase_named(id, world.terminal.hal) for id in PHASES]
    world.time.run(self_test(world.subject(), FULL, shown, phases))
    assert kept == [True] * 5


def test_a_phase_is_known_to_have_begun_before_it_touches_anything():
    world = World()
    begun = []

    def look():
        begun.append(Run(world.terminal, FULL).begun.get("printer"))

    world.parts["printer"].found = look
    world.run(("printer",))
    assert begun == [1]


def test_a_report_tells_what_was_found():
    world = World()
    world.person.answer = 0
    world.found(printer="", keypad="key_dead", card_reader=Health(HEALTH_FAIL, "card_reader", "no_answer", E_TIMEOUT, detail="3 tries"))
    (_, body) = world.messages()[0]
    results = [from_list(values) for values in body["results"]]
    assert [(result.phase, result.outcome, result.cause) for result in results] == [
        ("printer", PASS, ""),
        ("keypad", FAIL, "key_dead"),
        ("card_reader", TIMEOUT, "no_answer"),
        ("display", PASS, ""),
        ("printer.slip", ABORTED, "not_answered"),
    ]
    assert results[2].error == "E_TIMEOUT" and results[2].detail == "3 tries"


def test_a_plan_that_there_is_not_is_said_before_anything_runs():
    world = World()
    raises(PlanError, world.time.run, self_test(world.subject(), "weekly", world.shown.append))
    assert world.ran == [] and world.terminal.store.keys(KEY_RUN) == []


def test_the_last_result_of_a_phase_is_kept_across_runs_and_boots():
    world = World()
    assert last_result(world.terminal, "printer") is None
    world.found(printer="cutter_jam")
    world.found("keypad")
    world.boot()
    wall_s, plan, result = last_result(world.terminal, "printer")
    assert (wall_s, plan) == (NOW_S, FULL)
    assert (result.phase, result.kind, result.outcome, result.cause) == ("printer", "printer", FAIL, "cutter_jam")
    world.found("printer")
    assert last_result(world.terminal, "printer")[2].outcome == PASS


def test_everything_of_a_result_is_kept():
    world = World()
    detail = "word " * 40
    world.found("printer", printer=Health(HEALTH_FAIL, "printer", "offline", 114, 203, detail, {"head_c": 31, "paper_mm": -5}))
    result = last_result(world.terminal, "printer")[2]
    assert (result.code, result.extended, result.error, result.duration_ms) == (114, 203, "EPTR_REC_EMPTY", 2 * PASS_MS)
    assert result.measurements == {"head_c": 31, "paper_mm": -5}
    assert result.detail == detail[:MAX_KEPT_DETAIL]  # a driver that talks a lot does not fill the memory


def test_a_last_result_that_cannot_be_read_is_none():
    world = World()
    good = [NOW_S, FULL, ["printer", "printer", 0, 0, 0, "", "", 5, []], False]
    for record in (b"", b"\xff", encode(5), encode([]), encode(good[:3]), encode([1, "full", [1, 2], False])):
        world.terminal.store.put(KEY_LAST + "printer", record)
        assert last_result(world.terminal, "printer") is None
        assert world.found("printer") == []  # and it is in nobody's way
        assert last_result(world.terminal, "printer")[2].outcome == PASS


def test_a_measurement_that_drifts_makes_its_phase_marginal_in_the_report():
    world = World()
    world.terminal.hal.network = Part("network", world)
    for signal_dbm in range(-50, -80, -3):
        world.terminal.hal.network.found = Health(HEALTH_SUCCESS, "network", measurements={"signal_dbm": signal_dbm})
        diagnoses = world.run(("network",))
    assert diagnoses == [("network", "weak_signal")]
    result = from_list(world.reports()[-1]["results"][0])
    assert (result.outcome, result.cause) == (PASS, "weak_signal") and world.terminal.state.mode == IN_SERVICE
    assert last_result(world.terminal, "network")[2].is_marginal


def test_the_network_is_joined_before_it_is_tested():
    world = World()
    network = Part("network", world)
    joined = []

    async def connect(timeout_ms):
        joined.append(len(world.ran))

    network.is_connected = lambda: False
    network.connect = connect
    world.terminal.hal.network = network
    world.run(("network",))
    assert joined == [0] and world.ran == ["network"]


def test_a_device_that_fails_unexpectedly_while_it_is_tested_is_a_result_like_any_other():
    world = World()

    def found():
        raise DeviceError(E_FAILURE, "printer", "gone", cause="no_answer")

    assert world.found(printer=found) == [("printer", "no_answer")]
    assert world.reasons == [("hardware_fault", "printer", "no_answer")]


# What it means for the state.


def test_a_defect_suspends_once_and_is_told_with_its_report():
    world = World()
    assert world.found(printer="cutter_jam") == [("printer", "cutter_jam")]
    assert [kind for kind, _ in world.messages()] == ["report", "state"]
    assert world.terminal.state.mode == SUSPENDED
    (reason,) = world.terminal.state.reasons
    assert (reason.code, reason.actor, reason.component, reason.note, reason.since) == (
        "hardware_fault",
        ACTOR_POI,
        "printer",
        "cutter_jam",
        NOW_S,
    )
    # Found again, it does not throw the merchant back to the beginning of his recovery.
    world.terminal.apply([RecoveryStarted(), StepDone("reason")])
    world.messages()
    world.found(printer="cutter_jam")
    assert [kind for kind, _ in world.messages()] == ["report"]
    assert world.terminal.state.step == "contact"


def test_a_fault_is_cleared_when_its_phase_passes():
    world = World()
    world.found(printer="cutter_jam", keypad="key_dead")
    assert sorted([component for _, component, _ in world.reasons]) == ["keypad", "printer"]
    world.found("keypad")
    assert [component for _, component, _ in world.reasons] == ["printer"]
    world.found("printer")
    assert world.terminal.state.mode == COMMISSIONING and world.terminal.state.tests_due == ("print",)


def test_what_a_person_found_is_not_cleared_by_what_the_device_says_of_itself():
    world = World()
    world.person.answer = 2
    assert world.found() == [("printer", "not_readable")]
    assert world.reasons == [("hardware_fault", "printer", "not_readable")]
    for _ in range(2):  # power-on, day after day
        world.boot()
        world.found("printer", "keypad", "card_reader", "display")
        assert world.reasons == [("hardware_fault", "printer", "not_readable")]
    world.person.answer = 1
    world.found("printer.slip")
    # The slip was read by a person just now: print need not be shown once more.
    assert world.reasons == [] and world.terminal.state.mode == IN_SERVICE


def test_a_question_that_nobody_answers_or_that_is_not_asked_clears_nothing():
    world = World()
    world.person.answer = 2
    world.found()
    world.person.answer = 0
    world.found()  # nobody answered
    assert world.reasons == [("hardware_fault", "printer", "not_readable")]
    world.found(printer="paper_out")  # and nobody is asked
    assert last_result(world.terminal, "printer.slip")[2].outcome == SKIP
    assert world.reasons == [("hardware_fault", "printer", "not_readable")]
    world.person.answer = 1
    world.found()
    assert world.reasons == []


def test_two_defects_of_one_device_have_both_to_be_mended():
    world = World()
    world.person.answer = 2
    world.found("printer.slip")
    world.found("printer", printer="cutter_jam")
    assert len(world.reasons) == 1
    world.found("printer")
    assert len(world.reasons) == 1
    world.person.answer = 1
    world.found("printer.slip", printer="cutter_jam")
    assert world.reasons == []
    world.found("printer", printer="cutter_jam")
    assert world.reasons == [("hardware_fault", "printer", "cutter_jam")]
    world.found("printer.slip", printer="cutter_jam")  # the slip is readable, and the cutter jams
    assert world.reasons == [("hardware_fault", "printer", "cutter_jam")]


def test_what_decides_nothing_clears_nothing():
    world = World()
    world.found(printer="cutter_jam")
    for found in (
        Health(HEALTH_NOT_RUN, "printer", "no_status"),
        Health(HEALTH_NOT_RUN, "printer", "not_answered"),
        lambda: 1 // 0,
        "paper_out",  # what cannot be tested for want of paper is not mended
    ):
        world.found("printer", "keypad", printer=found)
        assert [component for _, component, _ in world.reasons] == ["printer"], found


def test_a_pass_that_is_marginal_clears_and_never_suspends():
    world = World()
    assert world.found(printer=Health(HEALTH_SUCCESS, "printer", "cutter_jam")) == [("printer", "cutter_jam")]
    assert world.terminal.state.mode == IN_SERVICE
    world.found(printer="cutter_jam")
    world.found(printer=Health(HEALTH_SUCCESS, "printer", "paper_near_end"))
    assert world.reasons == []


def test_what_a_clerk_mends_suspends_nothing():
    world = World()
    for cause in ("paper_out", "cover_open", "overheated"):
        assert world.found(printer=cause, keypad="key_stuck") == [("printer", cause), ("keypad", "key_stuck")]
        assert world.terminal.state.mode == IN_SERVICE


def test_a_test_that_could_not_be_made_suspends_nothing():
    world = World()
    assert world.found(printer=lambda: 1 // 0) == [("printer", "check_failed")]
    assert last_result(world.terminal, "printer")[2].outcome == ERROR and world.terminal.state.mode == IN_SERVICE


def test_a_lost_network_suspends_nothing():
    world = World()
    world.terminal.hal.network = Part("network", world)
    for cause in ("no_network", "wrong_password", "dns_failed", "broker_refused", "acquirer_silent", "no_link", "clock_wrong"):
        world.terminal.hal.network.found = cause
        assert [code for _, code in world.run(("network",))] == [cause]
        assert world.terminal.state.mode == IN_SERVICE


def test_keys_that_are_not_those_certified_put_the_terminal_out_of_order_for_good():
    world = World()
    element = world.terminal.hal.secure_element
    assert world.run(("secure_element.keys",)) == [("secure_element", "key_missing")]
    assert world.terminal.state.mode == OUT_OF_ORDER and world.reasons == [("tamper", "secure_element", "key_missing")]
    world.time.run(element.generate_key(0))
    assert world.run(("secure_element.keys",)) == [("secure_element", "key_mismatch")]  # the certificate is no certificate
    assert world.terminal.state.mode == OUT_OF_ORDER
    world.run(("secure_element",))  # a sound element makes nothing good
    assert world.terminal.state.mode == OUT_OF_ORDER


def test_what_the_acquirer_ordered_is_not_cleared_by_a_test():
    world = World()
    world.terminal.apply([Suspended(Reason("hardware_fault", ACTOR_HOST, component="printer"))])
    world.found()
    assert [reason.actor for reason in world.terminal.state.reasons] == [ACTOR_HOST]


def test_a_bus_that_failed_is_one_reason_and_is_cleared_when_all_on_it_are_sound():
    world = World()
    world.terminal.hal.buses = {"i2c": ["keypad", "card_reader"]}
    assert world.found(keypad="no_answer", card_reader="garbled_answer") == [("bus", "bus_failed")]
    assert world.reasons == [("hardware_fault", "bus", "bus_failed")]
    world.found("keypad")  # one of them alone
    assert [component for _, component, _ in world.reasons] == ["bus"]
    world.found(card_reader="no_answer")  # now it is that device
    assert sorted([component for _, component, _ in world.reasons]) == ["bus", "card_reader"]
    world.found()
    assert world.reasons == []


def test_a_device_that_another_version_of_the_board_had_is_in_nobodys_way():
    world = World()
    world.found(keypad="key_dead")
    world.boot()
    world.terminal.hal.keypad = None
    assert world.run(("printer", "card_reader")) == []
    assert [component for _, component, _ in world.reasons] == ["keypad"]  # and nobody claims that it is mended
