"""What results mean: every cause with its number, its words and who mends it; what suspends; a bus that failed as a whole."""

from firmware_agent.selftest.diagnosis import (
    ACQUIRER,
    BUS,
    CAUSES,
    CLERK,
    COMPONENTS,
    NETWORK,
    PROVIDER,
    TAMPER,
    TECHNICIAN,
    cause_named,
    diagnose,
    diagnose_all,
)
from firmware_agent.selftest.phases import ABORTED, ERROR, FAIL, PASS, SKIP, TIMEOUT, Result
from firmware_agent.state.reasons import reason_kind
from firmware_agent.texts import LANGUAGES, load
from hal.errors import E_EXTENDED, E_FAILURE, EPTR_REC_EMPTY
from hal.hal import KINDS
from tests.core.support import raises

# As they are on the wire: a number is never given to another cause, and none is taken away.
NUMBERS = {
    1: "no_answer",
    2: "garbled_answer",
    3: "check_failed",
    4: "bring_up",
    5: "absent",
    6: "not_answered",
    7: "failed_before",
    8: "not_survived",
    10: "bus_failed",
    20: "unstable_bus",
    21: "lost_settings",
    22: "self_diagnostic",
    23: "no_read_back",
    24: "lines",
    25: "wrong_colours",
    26: "dark",
    30: "key_stuck",
    31: "key_dead",
    32: "row_open",
    33: "column_open",
    34: "row_shorted",
    35: "column_shorted",
    36: "ghosting",
    37: "bounce",
    40: "paper_out",
    41: "paper_near_end",
    42: "cover_open",
    43: "overheated",
    44: "cutter_jam",
    45: "unrecoverable",
    46: "offline",
    48: "no_status",
    49: "partial_status",
    50: "not_readable",
    60: "echo_wrong",
    61: "firmware_answer_wrong",
    62: "antenna",
    63: "no_card",
    64: "card_unreadable",
    65: "card_torn",
    66: "two_cards",
    67: "not_a_payment_card",
    68: "card_refused",
    69: "card_silent",
    80: "no_code",
    81: "no_suffix",
    90: "self_test_failed",
    91: "key_mismatch",
    92: "key_missing",
    93: "key_damaged",
    94: "locked",
    95: "not_locked",
    96: "random_stuck",
    97: "signature_wrong",
    98: "certificate_ends",
    110: "dead_radio",
    111: "not_configured",
    112: "no_network",
    113: "wrong_password",
    114: "no_address",
    115: "weak_signal",
    116: "dns_failed",
    117: "host_unreachable",
    118: "port_closed",
    119: "tls_name",
    120: "tls_authority",
    121: "tls_failed",
    122: "certificate_expired",
    123: "clock_wrong",
    124: "broker_refused",
    125: "broker_silent",
    126: "acquirer_silent",
    127: "slow",
    128: "lossy",
    129: "no_link",
    140: "full",
    141: "not_writable",
    142: "damaged",
    143: "wrong_data",
    144: "log_damaged",
    150: "time_lost",
    151: "jumped",
    152: "stopped",
    153: "not_set",
    9: "unplugged",
    11: "no_permission",
    12: "service_down",
    99: "wrong_pin",
    160: "file_changed",
    161: "file_missing",
    162: "file_added",
    163: "manifest_wrong",
    164: "no_manifest",
    165: "boot_loop",
    170: "brownout",
    190: "payment_unreachable",
    191: "payment_silent",
    192: "payment_garbled",
    193: "payment_refused",
    194: "payment_busy",
    195: "payment_network",
    196: "payment_out_of_step",
    197: "payment_unfinished",
    198: "payment_journal",
    180: "not_heard",
    181: "no_feedback",
}


def failure(kind, cause, outcome=FAIL, phase=""):
    return Result(phase or kind, kind, outcome, E_FAILURE, cause=cause, detail="detail of " + kind)


def told(results, buses=None):
    """(component, cause) of each diagnosis, in their order."""
    return [(diagnosis.component, diagnosis.cause.code) for diagnosis in diagnose_all(results, buses or {})]


def test_no_cause_that_was_ever_told_has_changed_its_number():
    numbers = {cause.number: cause.code for cause in CAUSES}
    for number, code in NUMBERS.items():
        assert numbers.get(number) == code, (number, code)


def test_a_new_cause_is_written_down_here():
    assert [cause.code for cause in CAUSES if NUMBERS.get(cause.number) != cause.code] == []


def test_each_cause_has_a_number_and_a_code_of_its_own():
    assert len({cause.number for cause in CAUSES}) == len(CAUSES)
    assert len({cause.code for cause in CAUSES}) == len(CAUSES)
    for cause in CAUSES:
        assert cause.number > 0
        assert cause.code == cause.code.lower() and " " not in cause.code
        assert cause_named(cause.code) is cause and cause_named(cause.number) is cause
    raises(KeyError, cause_named, "no_such_cause")
    raises(KeyError, cause_named, 9999)


def test_each_cause_has_words_and_a_next_step_in_each_language():
    for language in LANGUAGES:
        texts = load(language)
        for cause in CAUSES:
            assert texts.get("cause." + cause.code)
            assert texts.get("next." + cause.step)


def test_each_component_has_a_name_in_each_language():
    for language in LANGUAGES:
        texts = load(language)
        for component in KINDS + COMPONENTS:
            assert texts.get("device." + component)


def test_each_cause_names_who_mends_it_and_a_reason_and_component_that_exist():
    for cause in CAUSES:
        assert cause.mends in (CLERK, TECHNICIAN, PROVIDER, ACQUIRER)
        assert cause.component == "" or cause.component in KINDS + COMPONENTS
        if cause.suggests:
            assert reason_kind(cause.suggests).found_by_terminal, cause.code


def test_a_cause_that_suspends_has_a_step_that_says_what_to_do():
    for cause in CAUSES:
        assert cause.step != "none" or not cause.suspends, cause.code


# One result.


def test_what_passed_and_what_was_not_run_is_no_diagnosis():
    assert diagnose(Result("printer", "printer", PASS)) is None
    assert diagnose(Result("printer", "printer", SKIP, cause="no_status")) is None
    assert diagnose(Result("printer", "printer", SKIP)) is None


def test_a_failure_names_component_cause_and_error():
    result = Result("printer", "printer", FAIL, E_EXTENDED, EPTR_REC_EMPTY, "paper_out")
    diagnosis = diagnose(result)
    assert (diagnosis.component, diagnosis.cause.code, diagnosis.error) == ("printer", "paper_out", "EPTR_REC_EMPTY")
    assert diagnosis.result is result and not diagnosis.is_marginal


def test_what_is_broken_may_not_be_what_was_tested():
    assert diagnose(failure("card_reader", "card_torn")).component == "card"
    assert diagnose(failure("network", "clock_wrong")).component == "clock"
    assert diagnose(failure("network", "broker_refused")).component == "network"


def test_what_passed_and_is_marginal_is_told_and_never_suspends():
    for cause in CAUSES:
        diagnosis = diagnose(Result("printer", "printer", PASS, cause=cause.code))
        assert diagnosis.is_marginal and not diagnosis.suspends


def test_a_word_that_no_table_knows_is_told_as_it_is_and_takes_no_number():
    diagnosis = diagnose(failure("printer", "ink_dried"))
    assert (diagnosis.component, diagnosis.cause.code, diagnosis.cause.number) == ("printer", "ink_dried", 0)
    assert diagnosis.cause.mends == TECHNICIAN and diagnosis.suspends


def test_what_a_clerk_mends_never_suspends():
    codes = [cause.code for cause in CAUSES if cause.mends == CLERK]
    for code in ("paper_out", "cover_open", "key_stuck", "overheated", "no_card", "no_code"):
        assert code in codes
    for code in codes:
        for outcome in (FAIL, TIMEOUT):
            assert not diagnose(failure("printer", code, outcome)).suspends


def test_nothing_about_the_network_suspends():
    codes = [cause.code for cause in CAUSES if cause.suggests == NETWORK]
    assert len(codes) > 15
    for code in codes:
        assert not diagnose(failure("network", code)).suspends


def test_a_broken_device_suspends_only_when_it_was_judged():
    for outcome, suspends in ((FAIL, True), (TIMEOUT, True), (ERROR, False), (ABORTED, False)):
        assert diagnose(failure("printer", "cutter_jam", outcome)).suspends == suspends


def test_keys_and_files_that_are_not_those_put_there_are_a_tamper():
    for code in ("key_mismatch", "key_missing", "key_damaged", "file_changed", "file_missing", "file_added", "manifest_wrong"):
        diagnosis = diagnose(failure("firmware", code))
        assert diagnosis.suspends and diagnosis.cause.suggests == TAMPER


# Many results.


def test_the_worst_comes_first_and_what_is_as_bad_keeps_its_order():
    results = [
        failure("sounder", "check_failed", ERROR),
        Result("network", "network", PASS, cause="weak_signal"),
        failure("printer", "paper_out"),
        failure("keypad", "key_dead"),
        failure("secure_element", "key_missing"),
        failure("keypad", "key_stuck"),
        failure("card_reader", "antenna"),
        Result("clock", "clock", PASS),
    ]
    assert told(results) == [
        ("secure_element", "key_missing"),
        ("keypad", "key_dead"),
        ("card_reader", "antenna"),
        ("printer", "paper_out"),
        ("keypad", "key_stuck"),
        ("network", "weak_signal"),
        ("sounder", "check_failed"),
    ]


def test_what_two_phases_say_of_one_component_is_told_once():
    results = [failure("printer", "no_answer"), failure("printer", "no_answer", TIMEOUT, "printer.print"), failure("keypad", "no_answer")]
    assert told(results) == [("printer", "no_answer"), ("keypad", "no_answer")]
    results[1].cause = "cutter_jam"
    assert told(results) == [("printer", "no_answer"), ("printer", "cutter_jam"), ("keypad", "no_answer")]


def test_devices_that_share_a_bus_and_all_fall_silent_are_one_broken_bus():
    buses = {"i2c": ["secure_element", "card_reader"]}
    pairs = (("no_answer", "no_answer"), ("no_answer", "garbled_answer"), ("bring_up", "no_answer"), ("garbled_answer", "garbled_answer"))
    for first, second in pairs:
        results = [failure("secure_element", first), failure("keypad", "key_dead"), failure("card_reader", second, TIMEOUT)]
        assert sorted(told(results, buses)) == [(BUS, "bus_failed"), ("keypad", "key_dead")]
    (bus,) = diagnose_all([results[0], results[2]], buses)
    assert bus.result.detail == "i2c" and bus.suspends
    assert results[0].detail == "detail of secure_element" and results[0].cause == "garbled_answer"  # the results stay as they were


def test_a_bus_on_which_one_device_answers_is_sound():
    buses = {"i2c": ["secure_element", "card_reader"]}
    for other in (
        Result("card_reader", "card_reader", PASS),
        Result("card_reader", "card_reader", SKIP, cause="absent"),
        failure("card_reader", "antenna"),
        Result("card_reader", "card_reader", PASS, cause="garbled_answer"),  # now and then, and it works
    ):
        found = told([failure("secure_element", "no_answer"), other], buses)
        assert ("secure_element", "no_answer") in found and (BUS, "bus_failed") not in found
    assert told([failure("secure_element", "no_answer")], buses) == [("secure_element", "no_answer")]  # the other was not tested


def test_two_phases_of_one_device_are_not_two_devices_of_its_bus():
    buses = {"i2c": ["secure_element", "card_reader"]}
    results = [failure("card_reader", "no_answer"), failure("card_reader", "garbled_answer", phase="card_reader.antenna")]
    assert (BUS, "bus_failed") not in told(results, buses)


def test_a_device_that_has_its_wires_for_itself_is_no_bus():
    assert told([failure("printer", "no_answer")], {"uart": ["printer"]}) == [("printer", "no_answer")]


def test_two_buses_may_fail_and_one_of_two():
    buses = {"i2c": ["secure_element", "card_reader"], "spi": ["display", "storage"]}
    all_four = [failure(kind, "no_answer") for kind in ("secure_element", "card_reader", "display", "storage")]
    assert [diagnosis.result.detail for diagnosis in diagnose_all(all_four[:2], buses)] == ["i2c"]
    assert sorted(told(all_four[:3], buses)) == [(BUS, "bus_failed"), ("display", "no_answer")]
    assert len(diagnose_all(all_four, buses)) == 1  # one component, told once


def test_other_defects_of_devices_on_a_broken_bus_stay():
    buses = {"i2c": ["secure_element", "card_reader"]}
    results = [failure("secure_element", "no_answer"), failure("card_reader", "no_answer"), failure("card_reader", "antenna")]
    assert sorted(told(results, buses)) == [(BUS, "bus_failed"), ("card_reader", "antenna")]


def test_nothing_broken_is_nothing_to_tell():
    assert told([]) == [] and told([Result("printer", "printer", PASS)], {"uart": ["printer", "scanner"]}) == []
