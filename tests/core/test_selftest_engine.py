"""The engine of the self-test: whatever a device does, its result comes, in its time, and the other devices are tested all the same."""

import asyncio
import errno

from firmware_agent.selftest.engine import run_phase, run_plan
from firmware_agent.selftest.phases import ERROR, FAIL, PASS, SKIP, TIMEOUT, Phase, power_on_plan
from hal.device import HEALTH_ABSENT, HEALTH_FAIL, HEALTH_NOT_RUN, HEALTH_SUCCESS, Device, Health
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
from tests.core.parts import Time, clock

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
        self.checks = 0
        self.abandoned = 0
        self.levels = []
        self.open()
        self.claim()

    async def _bring_up(self):
        answer = self.bring_ups.pop(0) if self.bring_ups else None
        if isinstance(answer, int):
            await self.time.sleep_ms(answer)
        elif answer is not None:
            raise answer

    async def _check_health(self, level):
        self.checks += 1
        self.levels.append(level)
        duration_ms, answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        try:
            await self.time.sleep_ms(duration_ms)
        except asyncio.CancelledError:
            self.abandoned += 1
            raise
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def check_health(self, level=1):
        """As hal.device has it, but what the check raises comes out: a driver may forget to catch it."""
        if not self.enabled:
            return await Device.check_health(self, level)
        return await self._check_health(level)


class Bench:
    """A terminal with the devices given by kind, and its time."""

    def __init__(self, **answers):
        self.time = Time()
        self.hal = Hal("test_board", "hardware-1", clock(self.time), None, None)
        for kind in answers:
            self.add(kind, answers[kind])

    def add(self, kind, answers, bring_ups=(), enable=True):
        device = Part(kind, self.time, answers, bring_ups)
        if enable:
            self.time.run(device.enable())
        setattr(self.hal, kind, device)
        return device

    def phase(self, kind, retries=0, level=1):
        return self.time.run(run_phase(self.hal, Phase(kind, kind, level, TIMEOUT_MS, retries)))


def good(kind="printer", **measurements):
    return Health(HEALTH_SUCCESS, kind, measurements=measurements)


def paper_out():
    return Health(HEALTH_FAIL, "printer", "paper_out", E_EXTENDED, EPTR_REC_EMPTY, "no paper")


def test_a_device_that_passes():
    result = Bench(printer=[(30, good(head_c=31))]).phase("printer")
    assert (result.outcome, result.code, result.cause) == (PASS, SUCCESS, "")
    assert result.duration_ms == 30 and result.measurements == {"head_c": 31}
    assert result.to_list() == ["printer", PASS, 0, "", 30]
    assert not result.suspends


def test_a_device_that_fails_says_why():
    result = Bench(printer=[(5, paper_out())]).phase("printer")
    assert (result.outcome, result.code, result.extended, result.cause) == (FAIL, E_EXTENDED, EPTR_REC_EMPTY, "paper_out")
    assert result.error == "EPTR_REC_EMPTY" and result.detail == "no paper"
    assert result.to_list() == ["printer", FAIL, EPTR_REC_EMPTY, "paper_out", 5]
    assert not result.suspends  # a clerk mends that


def test_a_device_that_raises():
    result = Bench(printer=[(5, DeviceError(E_OFFLINE, "printer", "gone"))]).phase("printer")
    assert (result.outcome, result.code, result.cause, result.detail) == (ERROR, E_OFFLINE, "check_failed", "gone")
    assert not result.suspends


def test_a_bus_that_raises_what_the_driver_did_not_expect():
    result = Bench(printer=[(5, OSError(errno.EIO))]).phase("printer")
    assert (result.outcome, result.code, result.cause) == (ERROR, E_FAILURE, "check_failed")
    result = Bench(printer=[(5, OSError(errno.ETIMEDOUT))]).phase("printer")  # as I2C says that nobody answers
    assert (result.outcome, result.code, result.cause) == (TIMEOUT, E_TIMEOUT, "no_answer")


def test_a_device_that_hangs_is_given_up_at_its_limit():
    bench = Bench(printer=[(FOREVER_MS, good())])
    result = bench.phase("printer")
    assert (result.outcome, result.code, result.cause) == (TIMEOUT, E_TIMEOUT, "no_answer")
    assert result.duration_ms == TIMEOUT_MS and result.suspends
    assert bench.hal.printer.abandoned == 1


def test_a_device_that_is_absent_is_skipped():
    result = Bench().phase("scanner")
    assert (result.outcome, result.cause, result.duration_ms) == (SKIP, "absent", 0)
    assert not result.suspends


def test_no_answer_that_can_be_judged_is_neither_a_pass_nor_a_failure():
    for outcome, cause in ((HEALTH_NOT_RUN, "no_status"), (HEALTH_ABSENT, "not_fitted")):
        bench = Bench(printer=[(5, Health(outcome, "printer", cause))])
        result = bench.phase("printer", retries=3)
        assert (result.outcome, result.cause) == (SKIP, cause)
        assert bench.hal.printer.checks == 1  # asked again it would say the same


def test_a_failure_is_looked_at_again():
    for first in ((5, paper_out()), (5, OSError(errno.EIO)), (5, DeviceError(E_OFFLINE, "printer")), (FOREVER_MS, None)):
        bench = Bench(printer=[first, (5, good())])
        result = bench.phase("printer", retries=1)
        assert result.outcome == PASS and bench.hal.printer.checks == 2
        assert result.duration_ms == min(first[0], TIMEOUT_MS) + 5  # all attempts together


def test_a_failure_that_stays_is_looked_at_as_often_as_declared():
    for retries in (0, 1, 3):
        bench = Bench(printer=[(5, paper_out())])
        assert bench.phase("printer", retries).outcome == FAIL
        assert bench.hal.printer.checks == 1 + retries


def test_the_last_attempt_counts():
    bench = Bench(printer=[(FOREVER_MS, None), (5, paper_out())])
    assert bench.phase("printer", retries=1).outcome == FAIL


def test_the_level_is_handed_on():
    bench = Bench(printer=[(5, good())])
    bench.phase("printer", level=2)
    assert bench.hal.printer.levels == [2]


def test_a_part_that_failed_at_bring_up_gets_another_chance():
    bench = Bench()
    bench.add("printer", [(5, good())], [None], enable=False)
    assert bench.phase("printer").outcome == PASS
    assert bench.hal.printer.enabled


def test_a_part_that_cannot_be_brought_up_says_what_it_met():
    bench = Bench()
    bench.add("printer", [(5, good())], [DeviceError(E_NOHARDWARE, "printer", "no answer on the bus")] * 2, enable=False)
    result = bench.phase("printer", retries=1)
    assert (result.outcome, result.code, result.cause) == (FAIL, E_NOHARDWARE, "bring_up")
    assert result.detail == "no answer on the bus" and result.suspends


def test_a_bring_up_that_hangs_is_given_up_at_its_limit():
    bench = Bench()
    bench.add("printer", [(5, good())], [FOREVER_MS], enable=False)
    result = bench.phase("printer")
    assert result.outcome == TIMEOUT and result.duration_ms == TIMEOUT_MS


def plan(*kinds):
    return [Phase(kind, kind, 1, TIMEOUT_MS, 0) for kind in kinds]


def test_devices_are_tested_at_the_same_time_and_results_come_as_they_are_there():
    bench = Bench(display=[(300, good("display"))], keypad=[(100, good("keypad"))], printer=[(FOREVER_MS, None)], scanner=[(200, good())])
    seen = []
    results = bench.time.run(
        run_plan(bench.hal, plan("display", "keypad", "printer", "scanner"), lambda result: seen.append((bench.time.now_ms, result.phase)))
    )
    assert seen == [(100, "keypad"), (200, "scanner"), (300, "display"), (1000, "printer")]
    assert [result.phase for result in results] == ["display", "keypad", "printer", "scanner"]
    assert [result.outcome for result in results] == [PASS, PASS, TIMEOUT, PASS]


def test_phases_of_one_device_run_one_after_the_other():
    bench = Bench(printer=[(100, good()), (100, paper_out())])
    seen = []
    two = [Phase("printer.internal", "printer", 1, TIMEOUT_MS, 0), Phase("printer.external", "printer", 2, TIMEOUT_MS, 0)]
    results = bench.time.run(run_plan(bench.hal, two, lambda result: seen.append((bench.time.now_ms, result.phase))))
    assert seen == [(100, "printer.internal"), (200, "printer.external")]
    assert [result.outcome for result in results] == [PASS, FAIL] and bench.hal.printer.levels == [1, 2]


def test_only_its_device_waits_for_a_preparation():
    bench = Bench(keypad=[(100, good("keypad"))], network=[(10, good("network"))])
    seen = []

    async def join():
        await bench.time.sleep_ms(700)
        seen.append((bench.time.now_ms, "joined"))

    bench.time.run(
        run_plan(
            bench.hal,
            plan("network", "keypad"),
            lambda result: seen.append((bench.time.now_ms, result.phase)),
            {"network": join, "scanner": join},
        )
    )
    assert seen == [(100, "keypad"), (700, "joined"), (710, "network")]


def test_a_lost_network_suspends_nothing():
    result = Bench(network=[(5, Health(HEALTH_FAIL, "network", "no_link", E_OFFLINE))]).phase("network")
    assert result.outcome == FAIL and not result.suspends


def test_the_power_on_plan_tests_what_is_there_and_prints_nothing():
    bench = Bench(display=[(5, good())], printer=[(5, good())])
    phases = power_on_plan(bench.hal)
    assert [phase.kind for phase in phases] == ["display", "printer"]
    assert all([phase.level == 1 and phase.timeout_ms > 0 for phase in phases])
