"""The phases with a person: each page and each answer, nobody there, and whatever keys, cards, codes and slips can do."""

import errno

from firmware_agent.selftest import examination
from firmware_agent.selftest.engine import run_phase
from firmware_agent.selftest.examination import (
    CARD_TIMEOUT_MS,
    COLOURS,
    HOLD_WAIT_MS,
    KEY_WAIT_MS,
    PAGES,
    PATTERN_MS,
    SCAN_TIMEOUT_MS,
    SELECT_PPSE,
    TWO_COLOURS,
)
from firmware_agent.selftest.phases import ABORTED, ERROR, FAIL, PASS, SKIP, TIMEOUT
from firmware_agent.selftest.plans import phase_named
from firmware_agent.selftest.subject import Subject
from hal.device import HEALTH_FAIL, HEALTH_NOT_RUN, HEALTH_SUCCESS, Device, Health
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
from hal.hal import Hal
from tests.core.parts import Time, clock

ROWS = (("1", "2", "3"), ("4", "5", "6"), ("7", "8", "9"))
KEYS = ("1", "2", "3", "4", "5", "6", "7", "8", "9")


def given(answer):
    if isinstance(answer, Exception):
        raise answer
    return answer


class Person:
    """Sees pages, gives `answers` in turn and presses `keys` in turn; does neither when there are none left."""

    def __init__(self, time, answers=(), keys=()):
        self.time = time
        self.answers = list(answers)
        self.keys = list(keys)
        self.pages = []
        self.values = []
        self.colours = []
        self.blind = None  # what the display raises

    def show(self, page, **values):
        assert PAGES[page] == 0
        self.pages.append(page)
        self.values.append(values)

    async def ask(self, page, **values):
        assert PAGES[page] > 0
        self.pages.append(page)
        if not self.answers:
            await self.time.sleep_ms(60000)
            return 0
        return self.answers.pop(0)

    async def key(self, timeout_ms):
        if not self.keys:
            await self.time.sleep_ms(timeout_ms)
            return ""
        await self.time.sleep_ms(1)
        return self.keys.pop(0)

    async def look(self, colour, timeout_ms):
        given(self.blind)
        self.colours.append((colour, timeout_ms))


class Part(Device):
    """A device that is brought up; the tests give it what its contract has."""

    def __init__(self, kind, level=1):
        super().__init__()
        self.kind = kind
        self.level = level
        self.enabled = True

    async def _bring_up(self):
        pass


class Keypad(Part):
    def __init__(self, level=2):
        super().__init__("keypad", level)
        self.keys = KEYS
        self.layout = ROWS
        self.bounces = 0
        self.closed = [()]  # the next of what `down` gives, and then the last
        self.gone = False

    async def _check_health(self, level):
        if self.gone:
            return Health(HEALTH_FAIL, "keypad", "unplugged", E_NOHARDWARE)
        return Health(HEALTH_FAIL, "keypad", "key_stuck", E_FAILURE)  # which the internal check has told already

    def down(self):
        return self.closed.pop(0) if len(self.closed) > 1 else self.closed[0]


class Scanner(Part):
    def __init__(self, answer):
        super().__init__("scanner")
        self.answer = answer

    async def scan(self, timeout_ms):
        assert timeout_ms == SCAN_TIMEOUT_MS
        return given(self.answer)


class Reader(Part):
    def __init__(self, found=True, answer=b"\x90\x00", release=None):
        super().__init__("card_reader")
        self.found = found
        self.answer = answer
        self.release = release  # what releasing the card raises
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


class Sounder(Part):
    def __init__(self, error=None):
        super().__init__("sounder")
        self.error = error
        self.tones = []

    async def tone(self, frequency_hz, duration_ms):
        given(self.error)
        self.tones.append((frequency_hz, duration_ms))


class Bench:
    def __init__(self, device, answers=(), keys=(), slip=None, checks=None):
        self.time = Time()
        self.hal = Hal("test_board", "hardware-1", clock(self.time), None, None)
        setattr(self.hal, device.kind, device)
        self.person = Person(self.time, answers, keys)
        self.slip = slip  # what printing one raises
        self.checks = checks
        self.printed = 0

    async def _print_sample(self):
        self.printed += 1
        given(self.slip)

    def run(self, phase):
        subject = Subject(self.hal, person=self.person, print_sample=self._print_sample, checks=self.checks)
        return self.time.run(run_phase(subject, phase_named(phase, self.hal)))


def ended(phase, device, answers=(), keys=(), slip=None):
    result = Bench(device, answers, keys, slip).run(phase)
    return result.outcome, result.cause


def extended(kind, number, cause=""):
    return DeviceError(E_EXTENDED, kind, "", number, cause)


# Display.


def test_each_colour_is_shown_and_what_was_seen_decides():
    for answer, outcome, cause in ((1, PASS, ""), (2, FAIL, "lines"), (3, FAIL, "wrong_colours"), (4, FAIL, "dark")):
        for level, colours in ((1, TWO_COLOURS), (2, COLOURS)):
            bench = Bench(Part("display", level), [1, answer])
            result = bench.run("display.patterns")
            assert (result.outcome, result.cause) == (outcome, cause)
            assert bench.person.colours == [(colour, PATTERN_MS) for colour in colours]
            assert bench.person.pages == ["display.begin", "display.seen"]


def test_nobody_before_the_display_is_not_a_broken_display():
    bench = Bench(Part("display", 2))
    result = bench.run("display.patterns")
    assert (result.outcome, result.cause) == (ABORTED, "not_answered")
    assert bench.person.colours == []  # nothing flickers in an empty shop
    assert ended("display.patterns", Part("display", 2), [1]) == (ABORTED, "not_answered")  # he left


def test_a_display_that_cannot_be_written_to():
    for error, outcome, cause in (
        (DeviceError(E_FAILURE, "display"), ERROR, "check_failed"),
        (DeviceError(E_FAILURE, "display", cause="no_answer"), FAIL, "no_answer"),
    ):
        bench = Bench(Part("display"), [1, 1])
        bench.person.blind = error
        result = bench.run("display.patterns")
        assert (result.outcome, result.cause) == (outcome, cause)


# Keypad: each key.


def test_each_key_once_in_any_order_passes():
    for keys in (KEYS, tuple(reversed(KEYS)), ("5", "5", "1") + KEYS):
        bench = Bench(Keypad(), keys=keys)
        result = bench.run("keypad.keys")
        assert (result.outcome, result.cause, result.measurements) == (PASS, "", {"bounces": 0})


def test_the_keys_that_are_left_are_shown():
    bench = Bench(Keypad(), keys=("2", "2", "4"))
    bench.run("keypad.keys")
    assert [values["keys"] for values in bench.person.values] == [
        "1 2 3 4 5 6 7 8 9",
        "1 3 4 5 6 7 8 9",
        "1 3 4 5 6 7 8 9",
        "1 3 5 6 7 8 9",
    ]


def without(*dead):
    return [key for key in KEYS if key not in dead]


def pressed(keys, level=2):
    result = Bench(Keypad(level), keys=keys).run("keypad.keys")
    return result.outcome, result.cause, result.detail


def test_a_key_that_never_comes_is_dead():
    assert pressed(without("5")) == (FAIL, "key_dead", "5")
    assert pressed(without("1", "9")) == (FAIL, "key_dead", "1 9")
    assert pressed(without("1", "2", "4")) == (FAIL, "key_dead", "1 2 4")
    assert pressed(["5"]) == (FAIL, "key_dead", "1 2 3 4 6 7 8 9")


def test_a_keypad_that_was_unplugged_meanwhile_has_no_dead_keys():
    for keys in (["5"], []):
        keypad = Keypad()
        keypad.gone = True
        result = Bench(keypad, keys=keys).run("keypad.keys")
        assert (result.outcome, result.cause) == (FAIL, "unplugged")


def test_a_row_of_which_no_key_comes_is_open():
    for number, row in enumerate(ROWS):
        assert pressed(without(*row)) == (FAIL, "row_open", "row %d" % (number + 1))


def test_a_column_of_which_no_key_comes_is_open():
    for number in range(3):
        column = [row[number] for row in ROWS]
        assert pressed(without(*column)) == (FAIL, "column_open", "column %d" % (number + 1))


def test_a_keypad_that_does_not_tell_its_lines_has_dead_keys_only():
    assert pressed(without("1", "2", "3"), level=1) == (FAIL, "key_dead", "1 2 3")
    result = Bench(Keypad(1), keys=KEYS).run("keypad.keys")
    assert (result.outcome, result.measurements) == (PASS, {})


def test_nobody_at_the_keypad_is_not_a_broken_keypad():
    result = Bench(Keypad()).run("keypad.keys")
    assert (result.outcome, result.cause, result.duration_ms) == (ABORTED, "not_answered", KEY_WAIT_MS)


def test_a_keypad_that_bounces():
    for bounces, outcome, cause in ((2, PASS, ""), (3, PASS, "bounce"), (4, PASS, "bounce"), (5, FAIL, "bounce")):
        keypad = Keypad()
        keypad.bounces = bounces
        result = Bench(keypad, keys=KEYS).run("keypad.keys")
        assert (result.outcome, result.cause, result.measurements) == (outcome, cause, {"bounces": bounces})


# Keypad: three keys together.


def held(*closed):
    keypad = Keypad()
    keypad.closed = list(closed)
    bench = Bench(keypad, keys=["1", "2", "4"])
    result = bench.run("keypad.together")
    return result, bench


def test_three_keys_that_show_no_fourth_pass():
    result, bench = held((), ("1",), ("1", "4"), ("1", "2", "4"), ("1", "4"), ())
    assert (result.outcome, result.cause) == (PASS, "")
    assert bench.person.pages == ["keypad.hold", "keypad.release"]
    assert bench.person.values[0] == {"keys": "1 2 4"}


def test_a_fourth_key_that_nobody_holds_is_a_ghost():
    result, bench = held(("1", "2", "4", "5"), ())
    assert (result.outcome, result.cause, result.detail) == (FAIL, "ghosting", "5 shows too")
    assert bench.person.pages == ["keypad.hold", "keypad.release"]


def test_the_keys_that_were_held_answer_no_later_question():
    _, bench = held(("1", "2", "4"), ())
    assert bench.person.keys == []


def test_keys_that_nobody_holds_together_are_no_fault():
    for closed in ((), ("1",), ("1", "2")):
        result, bench = held(closed)
        assert (result.outcome, result.cause) == (ABORTED, "not_answered")
        assert HOLD_WAIT_MS <= result.duration_ms < HOLD_WAIT_MS + 100


def test_keys_that_are_never_let_go_do_not_hold_up_the_test():
    result, _ = held(("1", "2", "4"))
    assert result.outcome == PASS and result.duration_ms < 2 * HOLD_WAIT_MS + 100


def test_a_keypad_that_does_not_tell_what_is_down_is_not_judged():
    result = Bench(Keypad(1)).run("keypad.together")
    assert (result.outcome, result.cause) == (SKIP, "absent")


# Printer.


def test_a_slip_decides_by_what_the_person_reads():
    for answers, outcome, cause in (([1], PASS, ""), ([2], FAIL, "not_readable"), ([], ABORTED, "not_answered")):
        bench = Bench(Part("printer"), answers)
        result = bench.run("printer.slip")
        assert (result.outcome, result.cause) == (outcome, cause)
        assert bench.printed == 1 and bench.person.pages == ["printer.running", "printer.seen"]


def test_each_way_in_which_printing_fails():
    for error, outcome, cause in (
        (extended("printer", EPTR_REC_EMPTY, "paper_out"), FAIL, "paper_out"),
        (extended("printer", EPTR_COVER_OPEN, "cover_open"), FAIL, "cover_open"),
        (DeviceError(E_FAILURE, "printer", cause="cutter_jam"), FAIL, "cutter_jam"),
        (DeviceError(E_TIMEOUT, "printer"), TIMEOUT, "no_answer"),
        (DeviceError(E_OFFLINE, "printer"), FAIL, "check_failed"),
        (OSError(errno.EIO), ERROR, "check_failed"),
        (OSError(errno.ETIMEDOUT), TIMEOUT, "no_answer"),
    ):
        bench = Bench(Part("printer"), [1], slip=error)
        result = bench.run("printer.slip")
        assert (result.outcome, result.cause) == (outcome, cause), error
        assert bench.person.pages == ["printer.running"]  # nobody is asked about a slip that was not printed
    assert Bench(Part("printer"), slip=extended("printer", EPTR_REC_EMPTY, "paper_out")).run("printer.slip").error == "EPTR_REC_EMPTY"


# Scanner.


def test_each_way_in_which_scanning_ends():
    result = Bench(Scanner("6901234567892")).run("scanner.code")
    assert (result.outcome, result.cause, result.detail) == (PASS, "", "6901234567892")
    for answer, outcome, cause in (
        (None, TIMEOUT, "no_code"),
        (DeviceError(E_FAILURE, "scanner", cause="garbled_answer"), FAIL, "garbled_answer"),
        (DeviceError(E_FAILURE, "scanner", cause="no_suffix"), FAIL, "no_suffix"),
        (DeviceError(E_TIMEOUT, "scanner"), TIMEOUT, "no_answer"),
        (DeviceError(E_FAILURE, "scanner"), FAIL, "check_failed"),
        (OSError(errno.EIO), ERROR, "check_failed"),
    ):
        assert ended("scanner.code", Scanner(answer)) == (outcome, cause)


# Card reader.


def test_a_payment_card_passes_and_nothing_but_its_environment_is_selected():
    reader = Reader(answer=b"\x6f\x20 a directory \x90\x00")
    assert ended("card_reader.card", reader) == (PASS, "")
    assert reader.sent == [SELECT_PPSE] and reader.released == 1
    assert SELECT_PPSE == b"\x00\xa4\x04\x00\x0e" + b"2PAY.SYS.DDF01" + b"\x00"


def test_what_a_card_answers_is_kept_nowhere():
    result = Bench(Reader(answer=b"\x6f\x20 a directory \x90\x00")).run("card_reader.card")
    assert (result.detail, result.measurements) == ("", {})


def test_each_way_in_which_a_card_does_not_pay():
    for answer, outcome, cause in (
        (b"\x6a\x82", FAIL, "not_a_payment_card"),
        (b"\x69\x85", FAIL, "card_refused"),
        (b"\x67\x00", FAIL, "card_refused"),
        (b"", FAIL, "card_refused"),
        (extended("card_reader", ESC_TORN, "card_torn"), FAIL, "card_torn"),
        (extended("card_reader", ESC_READ, "card_unreadable"), FAIL, "card_unreadable"),
        (extended("card_reader", ESC_NO_CARD, "no_card"), FAIL, "no_card"),
        (DeviceError(E_TIMEOUT, "card_reader", cause="card_silent"), TIMEOUT, "card_silent"),
        (DeviceError(E_TIMEOUT, "card_reader"), TIMEOUT, "no_answer"),
        (DeviceError(E_NOHARDWARE, "card_reader"), FAIL, "check_failed"),
        (OSError(errno.EIO), ERROR, "check_failed"),
    ):
        reader = Reader(answer=answer)
        assert ended("card_reader.card", reader) == (outcome, cause), answer
        assert reader.released == 1
    assert Bench(Reader(answer=b"\x69\x85")).run("card_reader.card").detail == "6985"


def test_each_way_in_which_no_card_is_found():
    for found, outcome, cause in (
        (False, TIMEOUT, "no_card"),
        (extended("card_reader", ESC_READ, "two_cards"), FAIL, "two_cards"),
        (DeviceError(E_FAILURE, "card_reader", cause="garbled_answer"), FAIL, "garbled_answer"),
        (DeviceError(E_TIMEOUT, "card_reader"), TIMEOUT, "no_answer"),
    ):
        reader = Reader(found=found)
        assert ended("card_reader.card", reader) == (outcome, cause)
        assert reader.sent == []


def test_what_went_wrong_first_is_the_cause():
    """A reader that cannot release a card that is gone does not hide that it was torn away."""
    torn = extended("card_reader", ESC_TORN, "card_torn")
    reader = Reader(answer=torn, release=DeviceError(E_TIMEOUT, "card_reader"))
    assert ended("card_reader.card", reader) == (FAIL, "card_torn")
    reader = Reader(release=DeviceError(E_FAILURE, "card_reader"))
    assert ended("card_reader.card", reader) == (FAIL, "check_failed")


# Sounder.


def test_a_tone_decides_by_whether_it_was_heard():
    for answers, outcome, cause, tones in (
        ([1, 1], PASS, "", 1),
        ([1, 2], FAIL, "not_heard", 1),
        ([1], ABORTED, "not_answered", 1),
        ([], ABORTED, "not_answered", 0),  # an empty shop is not woken
    ):
        sounder = Sounder()
        bench = Bench(sounder, answers)
        result = bench.run("sounder.tone")
        assert (result.outcome, result.cause) == (outcome, cause)
        assert len(sounder.tones) == tones
        assert bench.person.pages == ["sounder.begin", "sounder.heard"][: 1 + tones]


def test_a_sounder_that_cannot_be_driven():
    assert ended("sounder.tone", Sounder(DeviceError(E_FAILURE, "sounder")), [1, 1]) == (ERROR, "check_failed")
    assert ended("sounder.tone", Sounder(DeviceError(E_FAILURE, "sounder", cause="no_answer")), [1, 1]) == (FAIL, "no_answer")


def paid(found, card=b"\x90\x00"):
    """(outcome, cause) of the pay test with a payment application of which this was found; and the pages shown."""

    async def test():
        return found

    reader = Reader()
    reader.answer = card
    bench = Bench(reader, checks={examination.PAYMENT_TEST: test})
    result = bench.run("card_reader.card")
    return (result.outcome, result.cause), bench.person.pages


def test_a_payment_is_tried_once_the_card_was_read():
    assert paid(Health(HEALTH_SUCCESS, "payment")) == ((PASS, ""), ["card_reader.hold", "payment.running"])
    refused = Health(HEALTH_FAIL, "payment", "payment_refused", E_FAILURE)
    assert paid(refused)[0] == (FAIL, "payment_refused")
    assert paid(refused, b"\x6a\x82") == ((FAIL, "not_a_payment_card"), ["card_reader.hold"])
    assert paid(Health(HEALTH_NOT_RUN, "payment", "not_configured"))[0] == (PASS, "")  # then the card alone is the test


def test_each_page_has_a_phase_that_shows_it():
    """What PAGES has and no test above sees would be dead."""
    seen = set()
    for device, phase, answers, keys in (
        (Part("display"), "display.patterns", [1, 1], ()),
        (Keypad(), "keypad.keys", (), KEYS),
        (Part("printer"), "printer.slip", [1], ()),
        (Scanner("1"), "scanner.code", (), ()),
        (Reader(), "card_reader.card", (), ()),
        (Sounder(), "sounder.tone", [1, 1], ()),
    ):
        bench = Bench(device, answers, keys)
        bench.run(phase)
        seen.update(bench.person.pages)
    seen.update(held(("1", "2", "4"), ())[1].person.pages)
    seen.update(paid(Health(HEALTH_SUCCESS, "payment"))[1])
    assert seen == set(examination.PAGES)
