"""The function tests print, scan and pay, each way they can end; and what a self-test's results mean for the state."""

import asyncio
import errno

from firmware_agent.selftest.function_tests import CARD_TIMEOUT_MS, SCAN_TIMEOUT_MS, SELECT_PPSE, pay_test, print_test, scan_test
from firmware_agent.selftest.phases import ERROR, FAIL, PASS, TIMEOUT, Phase
from firmware_agent.selftest.run import self_test
from firmware_agent.state.machine import COMMISSIONING, FUNCTION_TESTS, IN_SERVICE, SUSPENDED, FunctionTestPassed, RecoveryStarted, StepDone
from hal.device import HEALTH_FAIL, HEALTH_SUCCESS, Health
from hal.errors import (
    E_EXTENDED,
    E_FAILURE,
    E_NOHARDWARE,
    E_OFFLINE,
    E_TIMEOUT,
    EPTR_COVER_OPEN,
    EPTR_REC_EMPTY,
    ESC_NO_CARD,
    ESC_READ,
    ESC_TORN,
    DeviceError,
)
from tests.core.parts import Flash, Time
from tests.core.terminal_parts import boot, provisioned


def given(answer):
    if isinstance(answer, Exception):
        raise answer
    return answer


class Slips:
    def __init__(self, answer=0):
        self.answer = answer
        self.printed = []

    async def print_lines(self, lines, title=""):
        self.printed.append((title, lines))
        return given(self.answer)


class Scanner:
    def __init__(self, answer):
        self.answer = answer

    async def scan(self, timeout_ms):
        assert timeout_ms == SCAN_TIMEOUT_MS
        return given(self.answer)


class Reader:
    def __init__(self, found=True, answer=b"\x90\x00", release=None):
        self.found = found
        self.answer = answer
        self.release = release
        self.released = 0
        self.sent = []

    async def find_card(self, timeout_ms):
        assert timeout_ms == CARD_TIMEOUT_MS
        return given(self.found)

    async def exchange(self, apdu, timeout_ms=1000):
        self.sent.append(apdu)
        return given(self.answer)

    async def release_card(self):
        self.released += 1
        given(self.release)


def ended(test, *arguments):
    outcome = asyncio.run(test(*arguments))
    return outcome.outcome, outcome.cause


def extended(kind, number):
    return DeviceError(E_EXTENDED, kind, "", number)


def test_a_slip_that_is_printed_passes():
    slips = Slips()
    assert ended(print_test, slips, "title", ["line"]) == (PASS, "")
    assert slips.printed == [("title", ["line"])]


def test_each_way_in_which_printing_fails():
    for error, outcome, cause in (
        (extended("printer", EPTR_REC_EMPTY), FAIL, "paper_out"),
        (extended("printer", EPTR_COVER_OPEN), FAIL, "cover_open"),
        (DeviceError(E_TIMEOUT, "printer"), TIMEOUT, "no_answer"),
        (DeviceError(E_OFFLINE, "printer"), ERROR, "E_OFFLINE"),
        (DeviceError(E_FAILURE, "printer", "cutter"), ERROR, "E_FAILURE"),
        (extended("printer", 299), ERROR, "E_EXTENDED"),
        (OSError(errno.EIO), ERROR, "E_FAILURE"),
        (OSError(errno.ETIMEDOUT), TIMEOUT, "no_answer"),
    ):
        assert ended(print_test, Slips(error), "", []) == (outcome, cause)


def test_each_way_in_which_scanning_ends():
    outcome = asyncio.run(scan_test(Scanner("6901234567892")))
    assert (outcome.outcome, outcome.cause, outcome.text) == (PASS, "", "6901234567892")
    for answer, word, cause in (
        (None, TIMEOUT, "no_code"),
        (DeviceError(E_FAILURE, "scanner"), ERROR, "E_FAILURE"),
        (DeviceError(E_TIMEOUT, "scanner"), TIMEOUT, "no_answer"),
        (extended("scanner", EPTR_REC_EMPTY), ERROR, "E_EXTENDED"),  # the printer's numbers mean nothing here
        (OSError(errno.EIO), ERROR, "E_FAILURE"),
    ):
        assert ended(scan_test, Scanner(answer)) == (word, cause)


def test_a_payment_card_passes_and_nothing_but_its_environment_is_selected():
    reader = Reader(answer=b"\x6f\x20 a directory \x90\x00")
    assert ended(pay_test, reader) == (PASS, "")
    assert reader.sent == [SELECT_PPSE] and reader.released == 1
    assert SELECT_PPSE == b"\x00\xa4\x04\x00\x0e" + b"2PAY.SYS.DDF01" + b"\x00"


def test_each_way_in_which_a_card_does_not_pay():
    for answer, outcome, cause in (
        (b"\x6a\x82", FAIL, "not_a_payment_card"),
        (b"\x69\x85", FAIL, "card_refused"),
        (b"\x67\x00", FAIL, "card_refused"),
        (b"", FAIL, "card_refused"),
        (extended("card_reader", ESC_TORN), FAIL, "card_torn"),
        (extended("card_reader", ESC_NO_CARD), ERROR, "ESC_NO_CARD"),
        (DeviceError(E_TIMEOUT, "card_reader"), TIMEOUT, "no_answer"),
        (DeviceError(E_NOHARDWARE, "card_reader"), ERROR, "E_NOHARDWARE"),
        (OSError(errno.EIO), ERROR, "E_FAILURE"),
    ):
        reader = Reader(answer=answer)
        assert ended(pay_test, reader) == (outcome, cause), answer
        assert reader.released == 1


def test_each_way_in_which_no_card_is_found():
    for found, outcome, cause in (
        (False, TIMEOUT, "no_card"),
        (extended("card_reader", ESC_READ), FAIL, "two_cards"),
        (DeviceError(E_TIMEOUT, "card_reader"), TIMEOUT, "no_answer"),
    ):
        reader = Reader(found=found)
        assert ended(pay_test, reader) == (outcome, cause)
        assert reader.sent == []


def test_what_went_wrong_first_is_the_cause():
    """A reader that cannot release a card that is gone does not hide that it was torn away."""
    reader = Reader(answer=extended("card_reader", ESC_TORN), release=DeviceError(E_TIMEOUT, "card_reader"))
    assert ended(pay_test, reader) == (FAIL, "card_torn")
    reader = Reader(release=DeviceError(E_FAILURE, "card_reader"))
    assert ended(pay_test, reader) == (ERROR, "E_FAILURE")


# A whole self-test run, into the state.


class Part:
    """A device whose checks give the next of `answers`."""

    enabled = True

    def __init__(self, kind):
        self.kind = kind
        self.answers = []

    async def check_health(self, level=1):
        cause = self.answers.pop(0)
        return Health(HEALTH_FAIL if cause else HEALTH_SUCCESS, self.kind, cause, E_FAILURE if cause else 0)


PLAN = [Phase("printer", "printer", 1, 1000, 0), Phase("printer.ink", "printer", 2, 1000, 0), Phase("keypad", "keypad", 1, 1000, 0)]


def serving():
    flash = Flash()
    provisioned(flash)
    terminal = boot(flash)
    terminal.hal.printer = Part("printer")
    terminal.hal.keypad = Part("keypad")
    terminal.apply([FunctionTestPassed(test) for test in FUNCTION_TESTS])
    assert terminal.state.mode == IN_SERVICE
    return terminal


def run_with(terminal, *causes):
    """Run PLAN; causes: of each phase, '' for a pass. Gives the bodies that were queued by it."""
    before = len(terminal.outbox.waiting())
    terminal.hal.printer.answers = list(causes[:2])
    terminal.hal.keypad.answers = list(causes[2:])
    shown = []
    Time().run(self_test(terminal, "full", PLAN, shown.append))
    assert sorted([result.phase for result in shown]) == ["keypad", "printer", "printer.ink"]
    return [terminal.outbox.message(key) for key in terminal.outbox.waiting()[before:]]


def test_a_run_in_which_all_passes_reports_and_changes_nothing():
    terminal = serving()
    (report,) = run_with(terminal, "", "", "")
    assert report.kind.name == "report" and report.body["plan"] == "full" and report.body["mode"] == IN_SERVICE
    assert [result[:2] for result in report.body["results"]] == [["printer", PASS], ["printer.ink", PASS], ["keypad", PASS]]
    assert report.body["element"] is False and report.body["board"] == "test_board" and report.body["dropped"] == 0
    assert terminal.store.keys("test.") == ["test.keypad", "test.printer", "test.printer.ink"]


def test_a_defect_suspends_once_and_is_told_with_its_report():
    terminal = serving()
    report, state = run_with(terminal, "head_open", "", "")
    assert (report.kind.name, state.kind.name) == ("report", "state")
    assert terminal.state.mode == SUSPENDED
    (reason,) = terminal.state.reasons
    assert (reason.code, reason.actor, reason.component, reason.note) == ("hardware_fault", "POI", "printer", "head_open")
    # Found again, it does not throw the merchant back to the beginning of his recovery.
    terminal.apply([RecoveryStarted(), StepDone("reason")])
    assert [message.kind.name for message in run_with(terminal, "head_open", "", "")] == ["report"]
    assert terminal.state.step == "contact"


def test_a_fault_is_cleared_when_all_that_was_tested_of_its_device_passes():
    terminal = serving()
    run_with(terminal, "head_open", "", "stuck")
    assert [reason.component for reason in terminal.state.reasons] == ["printer", "keypad"]
    run_with(terminal, "", "head_hot", "")  # one of two phases still fails
    assert [reason.component for reason in terminal.state.reasons] == ["printer"]
    run_with(terminal, "", "paper_out", "")  # and what cannot be tested for want of paper is not mended
    assert [reason.component for reason in terminal.state.reasons] == ["printer"]
    run_with(terminal, "", "", "")
    assert terminal.state.mode == COMMISSIONING and terminal.state.tests_due == ("print",)


def test_what_a_clerk_mends_suspends_nothing():
    terminal = serving()
    for cause in ("paper_out", "cover_open", "key_stuck"):
        run_with(terminal, cause, "", cause)
        assert terminal.state.mode == IN_SERVICE
