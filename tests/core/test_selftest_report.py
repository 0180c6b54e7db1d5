"""Results as a report carries them: short, whole, and read again by a version that does not know them all."""

from firmware_agent.messages.cbor import decode, encode
from firmware_agent.selftest.diagnosis import CAUSES
from firmware_agent.selftest.phases import FAIL, OUTCOMES, PASS, SKIP, TIMEOUT, Phase, Result
from firmware_agent.selftest.plans import phase_ids
from firmware_agent.selftest.report import MAX_DETAIL, from_list, to_list
from hal.errors import E_EXTENDED, E_FAILURE, E_TIMEOUT, EPTR_REC_EMPTY, ESC_TORN, SUCCESS
from tests.core.support import raises

PRINTER = 10
IDS = phase_ids()


def phase(number=PRINTER):
    id, kind = IDS[number]
    return Phase(number, id, kind, 1, None, 1000)


def told(outcome, code=SUCCESS, extended=0, cause="", detail="", duration_ms=0, number=PRINTER):
    id, kind = IDS[number]
    return to_list(Result(id, kind, outcome, code, extended, cause, detail, duration_ms), phase(number))


def test_what_says_nothing_is_left_out():
    assert told(PASS, duration_ms=31) == [PRINTER, 0, 31]
    assert told(PASS) == [PRINTER, 0]
    assert told(SKIP, cause="no_status") == [PRINTER, 5, 0, 48]
    assert told(TIMEOUT, E_TIMEOUT, 0, "no_answer", "", 3000) == [PRINTER, 3, 3000, 1, E_TIMEOUT]
    assert told(FAIL, E_EXTENDED, EPTR_REC_EMPTY, "paper_out", "no paper", 12) == [PRINTER, 1, 12, 40, EPTR_REC_EMPTY, "no paper"]
    assert told(FAIL, detail="late") == [PRINTER, 1, 0, 0, 0, "late"]


def test_the_place_of_an_outcome_is_its_number_for_ever():
    assert OUTCOMES == ("pass", "fail", "error", "timeout", "aborted", "skip")


def test_the_detail_of_a_pass_is_not_told():
    assert told(PASS, detail="6901234567892", duration_ms=5) == [PRINTER, 0, 5]
    assert told(SKIP, cause="no_status", detail="it never answers") == [PRINTER, 5, 0, 48]


def test_a_long_detail_is_cut():
    assert told(FAIL, detail="x" * 100)[5] == "x" * MAX_DETAIL


def test_a_cause_that_has_no_number_goes_into_the_detail():
    assert told(FAIL, E_FAILURE, 0, "ink_dried", "nozzle 3", 1) == [PRINTER, 1, 1, 0, E_FAILURE, "ink_dried nozzle 3"]
    assert told(PASS, cause="ink_low") == [PRINTER, 0, 0, 0, 0, "ink_low"]


def same(result, again):
    for name in ("phase", "kind", "outcome", "code", "extended", "cause", "detail", "duration_ms", "error"):
        assert getattr(result, name) == getattr(again, name), name


def test_what_was_told_is_read_again_as_it_was():
    for number, (id, kind) in IDS.items():
        for outcome in OUTCOMES:
            for code, extended, cause, detail in (
                (SUCCESS, 0, "", ""),
                (E_TIMEOUT, 0, "no_answer", "after 3 s" if outcome not in (PASS, SKIP) else ""),
                (E_EXTENDED, ESC_TORN, "card_torn", ""),
            ):
                result = Result(id, kind, outcome, code, extended, cause, detail, 31)
                same(result, from_list(decode(encode(to_list(result, phase(number))))))


def test_each_cause_is_read_again_as_it_was():
    for cause in CAUSES:
        result = Result("printer", "printer", FAIL, E_FAILURE, 0, cause.code)
        same(result, from_list(to_list(result, phase())))


def test_extended_errors_keep_their_names():
    for number, extended, name in ((PRINTER, EPTR_REC_EMPTY, "EPTR_REC_EMPTY"), (36, ESC_TORN, "ESC_TORN")):
        assert from_list(told(FAIL, E_EXTENDED, extended, "check_failed", number=number)).error == name
    assert from_list(told(FAIL, E_TIMEOUT, 0, "no_answer")).error == "E_TIMEOUT"


def test_a_phase_and_a_cause_of_a_newer_version_keep_their_numbers_as_names():
    result = from_list([9999, 1, 12, 8888, E_FAILURE])
    assert (result.phase, result.kind, result.cause, result.outcome) == ("9999", "", "8888", FAIL)
    assert result.error == "E_FAILURE"


def test_what_is_no_result_is_said():
    for values in (
        None,
        5,
        "text",
        {},
        [],
        [PRINTER],
        [PRINTER, 6],
        [PRINTER, -1],
        [-1, 0],
        [PRINTER, 0, -5],
        [PRINTER, 1, 0, -1],
        [PRINTER, 1, 0, 1, -1],
        ["printer", 0],
        [PRINTER, "fail"],
        [PRINTER, None],
        [PRINTER, True],
        [PRINTER, 1, 0, "no_answer"],
        [PRINTER, 1, 0, 1, None],
        [PRINTER, 1, 0, 1, 111, 5],
        [PRINTER, 1, 0, 1, 111, b"bytes"],
        [PRINTER, 1, 0, 1, 111, "", 0],
        [[PRINTER], 0],
    ):
        raises(ValueError, from_list, values)


def test_a_whole_run_fits_into_one_message_with_room_to_spare():
    worst = [told(FAIL, E_EXTENDED, EPTR_REC_EMPTY, "paper_out", "x" * 100, 300000, number) for number in IDS]
    assert len(encode(worst)) < 2048
    good = [told(PASS, duration_ms=1234, number=number) for number in IDS]
    assert len(encode(good)) < 256
