"""The engine of the self-test: whatever a phase does, its result comes, in its time, and the others run all the same."""

import asyncio
import errno

from firmware_agent.selftest.checks import device_check
from firmware_agent.selftest.engine import CLEAN_UP_MS, RESTORE_MS, run_phase, run_phases
from firmware_agent.selftest.phases import ABORTED, ERROR, FAIL, PASS, SKIP, TIMEOUT, Measure, Phase
from firmware_agent.selftest.subject import Subject
from hal.device import HEALTH_ABSENT, HEALTH_FAIL, HEALTH_NOT_RUN, HEALTH_SUCCESS, Device, Health
from hal.drivers.system_clock import SystemClock
from hal.errors import (
    E_EXTENDED,
    E_FAILURE,
    E_NOHARDWARE,
    E_OFFLINE,
    E_TIMEOUT,
    EPTR_REC_EMPTY,
    SUCCESS,
    DeviceError,
)
from hal.hal import Hal
from tests.core.parts import Rtc, Time, clock
from tests.core.support import raises

TIMEOUT_MS = 1000
FOREVER_MS = 10**9


class Part(Device):
    """A device whose health check takes the next of `answers`, and stays with the last: (how long, what it gives or raises)."""

    def __init__(self, kind, time, answers, bring_ups=()):
        super().__init__()
        self.kind = kind
        self.time = time
        self.answers = list(answers)
        self.bring_ups = list(bring_ups)  # of each enable: None, what it raises, or how long it takes
        self.shut_down_error = None
        self.brought_up = 0
        self.checks = 0
        self.abandoned = 0
        self.levels = []
        self.open()
        self.claim()

    async def _bring_up(self):
        self.brought_up += 1
        answer = self.bring_ups.pop(0) if self.bring_ups else None
        if isinstance(answer, int):
            await self.time.sleep_ms(answer)
        elif answer is not None:
            raise answer

    def _shut_down(self):
        if self.shut_down_error is not None:
            raise self.shut_down_error

    async def _check_health(self, level):
        self.checks += 1
        self.levels.append(level)
        duration_ms, answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        try:
            await self.time.sleep_ms(duration_ms)
        except asyncio.CancelledError:
            self.abandoned += 1
            raise
        if isinstance(answer, BaseException):
            raise answer
        return answer

    async def check_health(self, level=1):
        """As hal.device has it, but what the check raises comes out: a driver may forget to catch it."""
        if not self.enabled:
            return await Device.check_health(self, level)
        return await self._check_health(level)


class Bench:
    """A terminal with the devices given by kind, its time, and a person where `person` is not None."""

    def __init__(self, person=None, **answers):
        self.time = Time()
        self.hal = Hal("test_board", "hardware-1", clock(self.time), None, None)
        self.subject = Subject(self.hal, person=person)
        self.seen = []  # (when, phase) as results came
        for kind in answers:
            self.add(kind, answers[kind])

    def add(self, kind, answers, bring_ups=(), enable=True):
        device = Part(kind, self.time, answers, bring_ups)
        if enable:
            self.time.run(device.enable())
        setattr(self.hal, kind, device)
        return device

    def health(self, kind, retries=0, level=1, measures=()):
        """Run the device's own check."""
        return self.run_one(Phase(1, kind, kind, level, device_check(kind, level), TIMEOUT_MS, retries, measures))

    def run_one(self, phase):
        return self.time.run(run_phase(self.subject, phase))

    def run(self, phases, *arguments):
        """Run them all; gives their outcomes."""

        def done(result):
            self.seen.append((self.time.now_ms, result.phase))

        return [result.outcome for result in self.time.run(run_phases(self.subject, phases, done, *arguments))]


def phase(id, task, level=1, retries=0, number=1):
    """A phase of the device that its id begins with."""
    return Phase(number, id, id.split(".")[0], level, task, TIMEOUT_MS, retries)


def checks(*kinds):
    return [phase(kind, device_check(kind, 1)) for kind in kinds]


def raising(error):
    async def task(subject):
        raise error

    return task


def giving(health, time=None, duration_ms=0):
    async def task(subject):
        if time is not None:
            await time.sleep_ms(duration_ms)
        return health

    return task


def good(kind="printer", **measurements):
    return Health(HEALTH_SUCCESS, kind, measurements=measurements)


def paper_out():
    return Health(HEALTH_FAIL, "printer", "paper_out", E_EXTENDED, EPTR_REC_EMPTY, "no paper")


# One phase.


def test_a_device_that_passes():
    result = Bench(printer=[(30, good(head_c=31))]).health("printer")
    assert (result.outcome, result.code, result.cause) == (PASS, SUCCESS, "")
    assert result.duration_ms == 30 and result.measurements == {"head_c": 31}
    assert (result.phase, result.kind) == ("printer", "printer")
    assert not result.is_bad and not result.is_marginal


def test_a_device_that_fails_says_why():
    result = Bench(printer=[(5, paper_out())]).health("printer")
    assert (result.outcome, result.code, result.extended, result.cause) == (FAIL, E_EXTENDED, EPTR_REC_EMPTY, "paper_out")
    assert result.error == "EPTR_REC_EMPTY" and result.detail == "no paper" and result.duration_ms == 5
    assert result.is_bad


def test_a_device_that_fails_for_want_of_an_answer_is_a_timeout():
    result = Bench(printer=[(5, Health(HEALTH_FAIL, "printer", "no_answer", E_TIMEOUT))]).health("printer")
    assert (result.outcome, result.code, result.cause) == (TIMEOUT, E_TIMEOUT, "no_answer")


def test_a_device_that_raises_could_not_be_judged():
    result = Bench(printer=[(5, DeviceError(E_OFFLINE, "printer", "gone"))]).health("printer")
    assert (result.outcome, result.code, result.cause, result.detail) == (ERROR, E_OFFLINE, "check_failed", "gone")


def test_a_device_that_raises_and_names_the_cause_is_judged():
    result = Bench(printer=[(5, DeviceError(E_EXTENDED, "printer", "gone", EPTR_REC_EMPTY, "paper_out"))]).health("printer")
    assert (result.outcome, result.error, result.cause, result.detail) == (FAIL, "EPTR_REC_EMPTY", "paper_out", "gone")


def test_a_bus_that_raises_what_the_driver_did_not_expect():
    result = Bench(printer=[(5, OSError(errno.EIO))]).health("printer")
    assert (result.outcome, result.code, result.cause) == (ERROR, E_FAILURE, "check_failed")
    result = Bench(printer=[(5, OSError(errno.ETIMEDOUT))]).health("printer")  # as I2C says that nobody answers
    assert (result.outcome, result.code, result.cause) == (TIMEOUT, E_TIMEOUT, "no_answer")


class OwnError(Exception):
    """Of a driver that somebody else wrote."""


def test_whatever_a_phase_raises_is_its_own_error_only():
    for error in (ValueError("no"), MemoryError(), KeyError("k"), ZeroDivisionError(), AssertionError(), OwnError("x")):
        bench = Bench(printer=[(5, good())], keypad=[(50, good("keypad"))])
        outcomes = bench.run([phase("printer.bad", raising(error)), phase("printer", device_check("printer", 1))] + checks("keypad"))
        assert outcomes == [ERROR, PASS, PASS], error
        assert bench.seen == [(0, "printer.bad"), (5, "printer"), (50, "keypad")]
    result = bench.run_one(phase("printer.bad", raising(ValueError("n" * 200))))
    assert result.detail.startswith("ValueError nnn") and len(result.detail) == 80


def test_a_phase_that_cancels_itself_is_an_error():
    bench = Bench(printer=[(5, good())])
    assert bench.run([phase("printer.bad", raising(asyncio.CancelledError()))] + checks("printer")) == [ERROR, PASS]


def test_a_phase_that_is_no_coroutine_or_gives_no_health_is_an_error():
    def raises_at_once(subject):
        raise ValueError("no")

    for task in (giving(None), giving("passed"), raises_at_once):
        result = Bench(printer=[(5, good())]).run_one(phase("printer", task))
        assert (result.outcome, result.cause) == (ERROR, "check_failed")


def test_a_measurement_that_no_report_can_carry_is_an_error():
    for value in (31.5, "31", None):
        result = Bench(printer=[(5, good(head_c=value))]).health("printer", measures=(Measure("head_c", "overheated", high=60),))
        assert (result.outcome, result.cause) == (ERROR, "check_failed") and "head_c" in result.detail


def test_a_device_that_hangs_is_given_up_at_its_limit():
    bench = Bench(printer=[(FOREVER_MS, good())])
    result = bench.health("printer")
    assert (result.outcome, result.code, result.cause) == (TIMEOUT, E_TIMEOUT, "no_answer")
    assert result.duration_ms == TIMEOUT_MS
    assert bench.hal.printer.abandoned == 1


def stubborn(time, log, ends_ms=None):
    """Takes no notice of its cancellation; comes to its end later, or never."""

    async def task(subject):
        while ends_ms is None or time.now_ms < ends_ms:
            try:
                await time.sleep_ms(100)
            except asyncio.CancelledError:
                log.append(time.now_ms)
                if len(log) > 2:
                    raise  # the test is over
        return good()

    return task


def test_a_phase_that_takes_no_notice_of_its_cancellation_holds_nothing_up():
    bench = Bench(printer=[(5, good())], keypad=[(50, good("keypad"))])
    log = []
    outcomes = bench.run([phase("printer.stubborn", stubborn(bench.time, log))] + checks("printer", "keypad"))
    assert outcomes == [TIMEOUT, PASS, PASS]
    given_up_ms = TIMEOUT_MS + CLEAN_UP_MS
    assert bench.seen == [(50, "keypad"), (given_up_ms, "printer.stubborn"), (given_up_ms + 5, "printer")]
    assert log[0] == TIMEOUT_MS  # it was asked


def test_a_phase_that_ends_after_its_cancellation_is_late_all_the_same():
    bench = Bench(printer=[(5, good())])
    result = bench.run_one(phase("printer.late", stubborn(bench.time, [], ends_ms=TIMEOUT_MS + 300)))
    assert result.outcome == TIMEOUT and result.duration_ms == TIMEOUT_MS + 300


def test_what_a_phase_cleans_up_when_it_is_cut_off_comes_before_its_device_is_brought_up_anew():
    bench = Bench(printer=[(5, good())])
    log = []

    async def task(subject):
        try:
            await bench.time.sleep_ms(FOREVER_MS)
        finally:
            await bench.time.sleep_ms(200)
            log.append(bench.hal.printer.brought_up)

    assert bench.run_one(phase("printer", task)).outcome == TIMEOUT
    assert log == [1] and bench.hal.printer.brought_up == 2


class TickingTime(Time):
    """Goes on with each turn of the event loop, whether or not anybody could do his work in it."""

    async def sleep_ms(self, duration_ms):
        until_ms = self.now_ms + duration_ms
        await asyncio.sleep(0)
        while self.now_ms < until_ms:
            self.now_ms += 1
            await asyncio.sleep(0)


def test_a_phase_that_others_kept_waiting_is_no_timeout():
    """Signing in software, or loading a module, stops everything for a while on a small microcontroller."""
    ticking = TickingTime()
    bench = Bench()
    bench.hal.clock = SystemClock(ticking, Rtc((2026, 11, 22, 6, 0, 0, 0, 0)), ticking.sleep_ms)

    async def blocks(subject):
        ticking.now_ms += 5 * TIMEOUT_MS
        return good()

    async def takes_turns(subject):
        for _ in range(5):
            await asyncio.sleep(0)
        return good("power")

    phases = [phase("certificate", blocks), phase("power", takes_turns)]
    for order in (phases, list(reversed(phases))):
        results = asyncio.run(run_phases(bench.subject, order, bench.seen.append))
        assert [result.outcome for result in results] == [PASS, PASS]


def test_a_device_that_is_absent_is_skipped():
    bench = Bench()
    result = bench.health("scanner")
    assert (result.outcome, result.cause, result.duration_ms) == (SKIP, "absent", 0)
    assert not result.is_bad


def test_components_that_are_not_devices_are_never_absent():
    bench = Bench()
    for kind in ("power", "firmware", "certificate"):
        assert bench.run_one(phase(kind, giving(good(kind)))).outcome == PASS
        result = bench.run_one(phase(kind, giving(None, bench.time, FOREVER_MS)))
        assert result.outcome == TIMEOUT and result.duration_ms == TIMEOUT_MS


def test_no_answer_that_can_be_judged_is_neither_a_pass_nor_a_failure():
    for outcome, cause in ((HEALTH_NOT_RUN, "no_status"), (HEALTH_ABSENT, "not_fitted")):
        bench = Bench(printer=[(5, Health(outcome, "printer", cause))])
        result = bench.health("printer", retries=3)
        assert (result.outcome, result.cause) == (SKIP, cause)
        assert bench.hal.printer.checks == 1  # asked again it would say the same


def test_a_question_that_nobody_answered_was_begun_and_given_up():
    bench = Bench(object(), printer=[(5, good())])
    result = bench.run_one(phase("printer.slip", giving(Health(HEALTH_NOT_RUN, "printer", "not_answered")), 3, retries=2))
    assert (result.outcome, result.cause) == (ABORTED, "not_answered")


def test_where_there_is_no_person_nobody_is_asked():
    async def task(subject):
        raise AssertionError("asked")

    result = Bench(printer=[(5, good())]).run_one(phase("printer.slip", task, 3))
    assert (result.outcome, result.cause) == (SKIP, "not_answered")


def test_a_failure_is_looked_at_again():
    for first in ((5, paper_out()), (5, OSError(errno.EIO)), (5, DeviceError(E_OFFLINE, "printer")), (FOREVER_MS, None)):
        bench = Bench(printer=[first, (5, good())])
        result = bench.health("printer", retries=1)
        assert result.outcome == PASS and bench.hal.printer.checks == 2
        assert result.duration_ms == min(first[0], TIMEOUT_MS) + 5  # all attempts together


def test_a_failure_that_stays_is_looked_at_as_often_as_declared():
    for retries in (0, 1, 3):
        bench = Bench(printer=[(5, paper_out())])
        assert bench.health("printer", retries).outcome == FAIL
        assert bench.hal.printer.checks == 1 + retries


def test_the_last_attempt_counts():
    bench = Bench(printer=[(FOREVER_MS, None), (5, paper_out())])
    assert bench.health("printer", retries=1).outcome == FAIL


def test_the_level_is_handed_on():
    bench = Bench(printer=[(5, good())])
    bench.health("printer", level=2)
    assert bench.hal.printer.levels == [2]


# Limits and marginal bands.


def measured(value, *limits):
    """Outcome and cause of a good health with this value."""
    result = Bench(printer=[(5, good(head_c=value))]).health("printer", measures=(Measure("head_c", "overheated", *limits),))
    assert result.measurements == {"head_c": value}
    assert result.is_marginal == (result.outcome == PASS and result.cause != "")
    return result.outcome, result.cause


def test_a_measurement_outside_of_its_limits_fails():
    for value in (-1, 61):
        assert measured(value, 0, 60) == (FAIL, "overheated")
    for value in (0, 1, 60):
        assert measured(value, 0, 60) == (PASS, "")
    result = Bench(printer=[(5, good(head_c=70))]).health("printer", measures=(Measure("head_c", "overheated", high=60),))
    assert result.error == "E_FAILURE" and result.is_bad


def test_a_measurement_near_its_limits_passes_and_says_so():
    for value, outcome, cause in (
        (-1, FAIL, "overheated"),
        (0, PASS, "overheated"),
        (9, PASS, "overheated"),
        (10, PASS, ""),
        (50, PASS, ""),
        (51, PASS, "overheated"),
        (60, PASS, "overheated"),
        (61, FAIL, "overheated"),
    ):
        assert measured(value, 0, 60, 10, 50) == (outcome, cause), value


def test_a_limit_that_is_none_is_no_limit():
    assert measured(-(10**12), None, 60) == (PASS, "")
    assert measured(10**12, 0) == (PASS, "")
    assert measured(51, None, None, None, 50) == (PASS, "overheated")  # told, and never a failure
    assert measured(9, None, None, 10) == (PASS, "overheated")


def two_measures(**measurements):
    measures = (Measure("head_c", "overheated", high=60, marginal_high=50), Measure("retries", "garbled_answer", high=3, marginal_high=0))
    result = Bench(printer=[(5, good(**measurements))]).health("printer", measures=measures)
    return result.outcome, result.cause


def test_a_failure_counts_more_than_what_is_marginal():
    assert two_measures(head_c=55, retries=9) == (FAIL, "garbled_answer")
    assert two_measures(head_c=70, retries=1) == (FAIL, "overheated")
    assert two_measures(head_c=70, retries=9) == (FAIL, "overheated")
    assert two_measures(head_c=55, retries=1) == (PASS, "overheated")


def test_what_was_not_measured_is_not_judged():
    assert two_measures(retries=1) == (PASS, "garbled_answer")
    assert two_measures() == (PASS, "")


def test_a_device_may_say_itself_that_it_is_marginal():
    result = Bench(printer=[(5, Health(HEALTH_SUCCESS, "printer", "paper_near_end"))]).health("printer")
    assert (result.outcome, result.cause) == (PASS, "paper_near_end") and result.is_marginal


def test_a_failure_keeps_its_cause_and_its_measurements():
    health = Health(HEALTH_FAIL, "printer", "paper_out", E_FAILURE, measurements={"head_c": 99})
    result = Bench(printer=[(5, health)]).health("printer", measures=(Measure("head_c", "overheated", high=60),))
    assert (result.outcome, result.cause, result.measurements) == (FAIL, "paper_out", {"head_c": 99})


# The device is left as it was found.


def test_a_part_that_failed_at_bring_up_gets_another_chance():
    bench = Bench()
    bench.add("printer", [(5, good())], [None], enable=False)
    assert bench.health("printer").outcome == PASS
    assert bench.hal.printer.enabled


def test_a_part_that_was_never_opened_is_brought_up():
    bench = Bench()
    bench.add("printer", [(5, good())], enable=False).close()
    assert bench.health("printer").outcome == PASS
    assert bench.hal.printer.enabled and bench.hal.printer.claimed


def test_a_part_that_cannot_be_brought_up_says_what_it_met():
    bench = Bench()
    bench.add("printer", [(5, good())], [DeviceError(E_NOHARDWARE, "printer", "no answer on the bus")] * 2, enable=False)
    result = bench.health("printer", retries=1)
    assert (result.outcome, result.code, result.cause) == (FAIL, E_NOHARDWARE, "bring_up")
    assert result.detail == "no answer on the bus" and bench.hal.printer.brought_up == 2


def test_a_bring_up_that_hangs_is_given_up_at_its_limit():
    bench = Bench()
    bench.add("printer", [(5, good())], [FOREVER_MS], enable=False)
    result = bench.health("printer")
    assert result.outcome == TIMEOUT and result.duration_ms == TIMEOUT_MS
    assert bench.hal.printer.enabled  # it came up when it was tried once more


def test_a_device_is_brought_up_anew_after_a_phase_that_was_cut_off_or_broke_down():
    for answer in ((FOREVER_MS, None), (5, ValueError("no")), (5, OSError(errno.EIO)), (5, DeviceError(E_OFFLINE, "printer"))):
        bench = Bench(printer=[answer])
        bench.health("printer")
        assert bench.hal.printer.brought_up == 2 and bench.hal.printer.enabled


def test_a_device_is_left_alone_after_a_phase_that_came_to_its_end():
    """Even where it says that there was no answer: who disables a network loses his connection."""
    for health in (good(), paper_out(), Health(HEALTH_FAIL, "printer", "no_answer", E_TIMEOUT), Health(HEALTH_NOT_RUN, "printer", "x")):
        bench = Bench(printer=[(5, health)])
        bench.health("printer")
        assert bench.hal.printer.brought_up == 1 and bench.hal.printer.enabled


def test_a_phase_that_leaves_its_device_disabled_or_closed_has_it_brought_up_anew():
    for leave in ("disable", "release", "close"):
        bench = Bench(printer=[(5, good())])

        async def task(subject, leave=leave):
            getattr(subject.hal.printer, leave)()
            return good()

        assert bench.run_one(phase("printer", task)).outcome == PASS
        assert bench.hal.printer.enabled and bench.hal.printer.claimed


def test_a_device_that_cannot_be_shut_down_is_brought_up_anew_all_the_same():
    for error in (DeviceError(E_FAILURE, "printer"), ValueError("no")):
        bench = Bench(printer=[(FOREVER_MS, None)])
        bench.hal.printer.shut_down_error = error
        bench.health("printer")
        assert bench.hal.printer.brought_up == 2 and bench.hal.printer.enabled


def test_a_device_that_can_neither_be_shut_down_nor_brought_up_counts_as_down():
    bench = Bench(printer=[(FOREVER_MS, None), (5, good())])
    bench.hal.printer.shut_down_error = ValueError("no")
    bench.hal.printer.bring_ups = [DeviceError(E_NOHARDWARE, "printer", "dead")] * 2
    assert bench.health("printer").outcome == TIMEOUT
    assert not bench.hal.printer.enabled
    result = bench.health("printer")
    assert (result.outcome, result.cause, result.detail) == (FAIL, "bring_up", "dead")


def test_a_device_that_does_not_come_up_again_says_so_in_its_next_phase():
    for again in (DeviceError(E_NOHARDWARE, "printer", "dead"), ValueError("dead"), FOREVER_MS):
        bench = Bench(printer=[(5, ValueError("no")), (5, good())])
        bench.hal.printer.bring_ups = [again, again]
        log = []

        async def task(subject, log=log):
            log.append(subject.hal.printer.enabled)
            return await subject.hal.printer.check_health()

        outcomes = bench.run([phase("printer", device_check("printer", 1)), phase("printer.second", task)])
        assert outcomes[0] == ERROR and outcomes[1] in (FAIL, ERROR, TIMEOUT)
        assert bench.hal.printer.bring_ups == []
        assert bench.time.now_ms < 2 * (RESTORE_MS + TIMEOUT_MS)


# Many phases.


def test_devices_are_tested_at_the_same_time_and_results_come_as_they_are_there():
    bench = Bench(display=[(300, good("display"))], keypad=[(100, good("keypad"))], printer=[(FOREVER_MS, None)], scanner=[(200, good())])
    outcomes = bench.run(checks("display", "keypad", "printer", "scanner"))
    assert bench.seen == [(100, "keypad"), (200, "scanner"), (300, "display"), (1000, "printer")]
    assert outcomes == [PASS, PASS, TIMEOUT, PASS]


def test_phases_of_one_device_run_one_after_the_other_in_their_order():
    bench = Bench(printer=[(100, good()), (100, paper_out())])
    two = [phase("printer.internal", device_check("printer", 1)), phase("printer.external", device_check("printer", 2), 2)]
    assert bench.run(two) == [PASS, FAIL]
    assert bench.seen == [(100, "printer.internal"), (200, "printer.external")]
    assert bench.hal.printer.levels == [1, 2]


def test_no_phases_have_no_results():
    assert Bench().run([]) == []


def test_a_phase_is_announced_before_it_touches_anything():
    log = []
    bench = Bench(printer=[(100, good()), (100, good())], keypad=[(50, good("keypad"))])

    def task_of(id):
        async def task(subject):
            log.append("runs " + id)
            return good()

        return task

    ids = ["printer", "printer.more", "power"]
    bench.run([phase(id, task_of(id)) for id in ids], lambda phase: log.append("begins " + phase.id))
    for id in ids:
        assert log.index("begins " + id) < log.index("runs " + id)
    assert log.index("runs printer") < log.index("begins printer.more")  # not long before, either
    assert len(log) == 6


def test_a_bring_up_is_touched_by_nobody_before_its_phase_is_announced():
    bench = Bench()
    printer = bench.add("printer", [(5, good())], enable=False)
    log = []
    bench.run(checks("printer"), lambda phase: log.append(printer.brought_up))
    assert log == [0] and printer.brought_up == 1


def test_phases_with_a_person_come_last_one_at_a_time_and_in_their_order():
    bench = Bench(object(), display=[(300, good("display"))], printer=[(100, good())], keypad=[(100, good("keypad"))])
    running = []

    def asks(kind, duration_ms):
        async def task(subject):
            running.append(kind)
            assert running == [kind]
            await bench.time.sleep_ms(duration_ms)
            running.remove(kind)
            return good(kind)

        return task

    phases = [phase("keypad.keys", asks("keypad", 50), 3), phase("display.patterns", asks("display", 70), 3)]
    phases = phases + checks("display", "printer", "keypad") + [phase("printer.slip", asks("printer", 10), 3)]
    assert bench.run(phases) == [PASS] * 6
    assert bench.seen[2:] == [(300, "display"), (350, "keypad.keys"), (420, "display.patterns"), (430, "printer.slip")]


def test_nobody_is_asked_about_a_device_that_failed_without_him():
    asked = []

    async def asks(subject):
        asked.append(1)
        return good()

    for answer in ((5, paper_out()), (FOREVER_MS, None), (5, ValueError("no"))):
        bench = Bench(object(), printer=[answer], keypad=[(5, good("keypad"))])
        phases = checks("printer", "keypad") + [phase("printer.slip", asks, 3), phase("keypad.keys", asks, 3)]
        results = []
        begun = []
        bench.time.run(run_phases(bench.subject, phases, results.append, begun.append))
        (slip,) = [result for result in results if result.phase == "printer.slip"]
        assert (slip.outcome, slip.cause) == (SKIP, "failed_before")
        assert "printer.slip" not in [phase.id for phase in begun]
    assert len(asked) == 3  # of the keypad


def test_a_device_that_was_skipped_is_asked_about():
    bench = Bench(object(), printer=[(5, Health(HEALTH_NOT_RUN, "printer", "no_status"))])
    assert bench.run(checks("printer") + [phase("printer.slip", giving(good()), 3)]) == [SKIP, PASS]


def test_what_fails_with_a_person_stops_no_other_question():
    bench = Bench(object(), keypad=[(5, good("keypad"))])
    failing = giving(Health(HEALTH_FAIL, "keypad", "key_dead", E_FAILURE))
    assert bench.run([phase("keypad.keys", failing, 3), phase("keypad.together", giving(good("keypad")), 3)]) == [FAIL, PASS]


def test_a_suspect_runs_alone_after_the_others_and_before_any_question():
    bench = Bench(object(), printer=[(100, good())], keypad=[(200, good("keypad"))], display=[(50, good("display"))])
    phases = [phase("display.patterns", giving(good("display"), bench.time, 10), 3)] + checks("printer", "keypad", "display")
    assert bench.run(phases, None, None, ("printer", "display")) == [PASS] * 4
    assert bench.seen == [(200, "keypad"), (300, "printer"), (350, "display"), (360, "display.patterns")]


def test_a_suspect_that_fails_keeps_its_device_from_the_person():
    bench = Bench(object(), printer=[(5, paper_out())])
    phases = [phase("printer.slip", giving(good()), 3)] + checks("printer")
    assert bench.run(phases, None, None, ("printer",)) == [SKIP, FAIL]


def test_only_its_device_waits_for_a_preparation():
    bench = Bench(keypad=[(100, good("keypad"))], network=[(10, good("network"))])

    async def join():
        await bench.time.sleep_ms(700)
        bench.seen.append((bench.time.now_ms, "joined"))

    bench.run(checks("network", "keypad"), None, {"network": join, "scanner": join})
    assert bench.seen == [(100, "keypad"), (700, "joined"), (710, "network")]


def test_a_suspect_waits_for_the_preparation_of_its_device_too():
    bench = Bench(network=[(10, good("network"))])

    async def join():
        await bench.time.sleep_ms(700)

    bench.run(checks("network"), None, {"network": join}, ("network",))
    assert bench.seen == [(710, "network")]


class Refused(Exception):
    pass


def test_a_memory_that_refuses_a_result_is_said_when_nothing_runs_any_more():
    bench = Bench(printer=[(5, good())], keypad=[(50, good("keypad"))], display=[(FOREVER_MS, None)])
    asked = []

    async def asks(subject):
        asked.append(1)
        return good()

    def refuse(result):
        if result.phase == "printer":
            raise Refused()
        bench.seen.append((bench.time.now_ms, result.phase))

    phases = checks("printer", "keypad", "display") + [phase("printer.second", giving(good())), phase("keypad.keys", asks, 3)]
    raises(Refused, bench.time.run, run_phases(bench.subject, phases, refuse))
    assert bench.seen == [(50, "keypad"), (TIMEOUT_MS, "display")] and asked == []


def test_a_memory_that_refuses_a_beginning_keeps_the_phase_from_running():
    bench = Bench(printer=[(5, good())])

    def refuse(phase):
        raise Refused()

    raises(Refused, bench.time.run, run_phases(bench.subject, checks("printer"), bench.seen.append, refuse))
    assert bench.hal.printer.checks == 0 and bench.seen == []


def test_who_cancels_a_run_cancels_its_phases():
    bench = Bench(printer=[(FOREVER_MS, None)], keypad=[(FOREVER_MS, None)])

    async def program():
        run = asyncio.create_task(run_phases(bench.subject, checks("printer", "keypad"), bench.seen.append))
        await bench.time.sleep_ms(100)
        run.cancel()
        try:
            await run
        except asyncio.CancelledError:
            bench.seen.append("cancelled")
        await bench.time.sleep_ms(0)

    bench.time.run(program())
    assert bench.seen == ["cancelled"]
    assert (bench.hal.printer.abandoned, bench.hal.keypad.abandoned) == (1, 1)
