"""A terminal that cannot start: crashes, a loop that stands still, brownouts, and files that are not what was installed."""

from __future__ import annotations

import asyncio
import contextlib
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

from firmware_agent.boot.boot_guard import MOST_CRASHES, MOST_POWER_LOSSES, STAGE_GOOD, BootGuard
from firmware_agent.state.reasons import Reason
from hal.files import Files
from host_sim.firmware import Image
from host_sim.machine import machine as op
from host_sim.simulated_time import SimulatedTime
from host_sim.terminal import RUNTIMES, TerminalFailure
from host_sim.world import TERMINAL, Shop
from tests.story.world import run_story, until, world

ROOT = Path(__file__).parents[2]


def count(shop: Shop, head: str) -> int:
    return sum(line.startswith(head) for line in shop.terminal.lines)


def shows(shop: Shop, text: str) -> bool:
    return text in " ".join(shop.terminal.screen())


def press(shop: Shop, key: str) -> None:
    keypad: Any = shop.terminal.bench.chips["keypad"]
    keypad.tap(key)


def reasons(shop: Shop) -> list[tuple[int, str, str]]:
    """Number, component and note of what the last verified state has."""
    told = [Reason.from_told(values) for values in shop.account.state.get("reasons", [])]
    return [(reason.kind.number, reason.component, reason.note) for reason in told]


def is_good(shop: Shop) -> bool:
    """Whether the flash says that this start has done what it is for."""
    _, marks = BootGuard(Files(str(shop.terminal.data)))._last_start()
    return any(mark.stage == STAGE_GOOD for mark in marks)


async def in_service(shop: Shop) -> None:
    await until(lambda: shop.account.state.get("mode") == "in_service", "in service")
    await until(lambda: not shows(shop, "Safe mode"), "another page than that of the safe mode")


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("fault", ["crash", "hang"])
def test_a_program_that_fails_at_each_start_ends_in_safe_mode_and_comes_back_by_one_good_start(runtime: str, fault: str) -> None:
    async def story(shop: Shop) -> None:
        terminal = shop.terminal
        causes: list[int] = []
        restarts = terminal.bench.on_reset

        def on_reset() -> None:
            causes.append(terminal.bench.reset_cause)
            restarts()

        terminal.bench.on_reset = on_reset
        terminal.bench.program.fault(fault)
        terminal.power_on()
        await until(lambda: shows(shop, f"crashed at {MOST_CRASHES} starts"), "the page of the safe mode")
        assert causes == [op.HARD_RESET if fault == "crash" else op.WDT_RESET] * MOST_CRASHES
        assert count(shop, "crash ") == (MOST_CRASHES if fault == "crash" else 0)
        await until(lambda: reasons(shop) == [(3, "firmware", "boot_loop")], "the reason at the acquirer")
        (event,) = shop.account.events
        assert event["name"] == "safe_mode"
        assert ("RuntimeError" if fault == "crash" else "watchdog") in event["detail"] and "devices" in event["detail"]
        printer: Any = terminal.bench.chips["printer"]
        reader: Any = terminal.bench.chips["card_reader"]
        assert reader.apdus == [] and printer.last_slip().items == []

        press(shop, "1")  # a normal start, once: the defect is still there
        await until(lambda: shows(shop, f"crashed at {MOST_CRASHES + 1} starts"), "safe mode again")
        assert len(shop.account.events) == 1  # told once

        terminal.bench.program.fault(fault, False)
        press(shop, "1")
        await in_service(shop)
        assert reasons(shop) == []
        terminal.check()
        await terminal.power_off()
        terminal.power_on()
        await until(lambda: count(shop, "self-test power_on ended") == 2, "a start as any other")

    run_story(story, runtime)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_supply_that_breaks_down_at_each_start_is_told_as_power_and_not_as_a_crash(runtime: str) -> None:
    async def story(shop: Shop) -> None:
        shop.terminal.bench.power.fault("brownouts")
        shop.terminal.power_on()
        await until(lambda: shows(shop, f"power went during {MOST_POWER_LOSSES} starts"), "the page of the safe mode")
        assert count(shop, "crash ") == 0
        await until(lambda: reasons(shop) == [(2, "power", "brownout")], "the reason at the acquirer")
        shop.terminal.bench.power.fault("brownouts", False)
        press(shop, "1")
        await in_service(shop)

    run_story(story, runtime)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_supply_too_weak_for_the_radio_still_shows_the_page_and_its_report_is_not_lost(runtime: str) -> None:
    async def story(shop: Shop) -> None:
        shop.terminal.bench.power.fault("weak_supply")
        shop.terminal.power_on()
        await until(lambda: shows(shop, "Without network"), "a safe mode without the network")
        assert shop.account.state == {}
        await until(lambda: is_good(shop), "the record that the page stands")
        shop.terminal.bench.power.fault("weak_supply", False)
        await shop.terminal.power_off()
        shop.terminal.power_on()
        await until(lambda: reasons(shop) == [(2, "power", "brownout")], "the reason, from the outbox")
        assert [event["name"] for event in shop.account.events] == ["safe_mode"]
        assert shows(shop, "Safe mode") and not shows(shop, "Without network")

    run_story(story, runtime)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_safe_mode_that_crashes_too_does_not_loop_fast(runtime: str) -> None:
    async def story(shop: Shop) -> None:
        shop.terminal.bench.program.fault("radio_crash")
        shop.terminal.power_on()
        await until(lambda: shows(shop, "Without network"), "a safe mode without the network")
        assert count(shop, "pause of 2000 ms") == 1
        assert count(shop, "crash ") == MOST_CRASHES + 1

    run_story(story, runtime)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_clerk_who_pulls_the_plug_in_the_self_test_is_no_crash(runtime: str) -> None:
    async def story(shop: Shop) -> None:
        terminal = shop.terminal
        for number in range(MOST_POWER_LOSSES):
            terminal.power_on()
            await until(lambda n=number: count(shop, "boot ") > n, "the start")
            await terminal.power_off()
            assert not any("self-test power_on ended" in line for line in terminal.lines)
        terminal.power_on()
        await until(lambda: shows(shop, f"power went during {MOST_POWER_LOSSES} starts"), "the page of the safe mode")
        await until(lambda: reasons(shop) == [(2, "power", "brownout")], "the reason at the acquirer")

    run_story(story, runtime)


def test_ten_short_but_good_uptimes_set_nothing_off() -> None:
    async def story(shop: Shop) -> None:
        for number in range(10):
            shop.terminal.power_on()
            await until(lambda n=number: count(shop, "self-test power_on ended") > n, "the end of the self-test")
            await until(lambda: shows(shop, "In service"), "the idle page")
            await shop.terminal.power_off()
        assert count(shop, "safe mode") == 0

    run_story(story, "cpython")


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_in_safe_mode_no_device_is_touched_until_a_person_asks(runtime: str) -> None:
    async def story(shop: Shop) -> None:
        terminal = shop.terminal
        terminal.bench.program.fault("crash")
        terminal.power_on()
        await until(lambda: shows(shop, "Safe mode"), "the page of the safe mode")
        terminal.bench.program.fault("crash", False)
        scanner: Any = terminal.bench.chips["scanner"]
        scanner.fault("silent")
        assert count(shop, "self-test ") == 0
        press(shop, "2")
        await until(lambda: count(shop, "self-test network ") == 1, "the last device")
        await until(lambda: shows(shop, "Start normally"), "the page of the safe mode")
        assert shows(shop, "Scanner")
        names = [line.split()[1] for line in terminal.lines if line.startswith("self-test ")]
        assert {"printer", "card_reader", "scanner", "network"} <= set(names)
        assert any(line.startswith("self-test card_reader pass") for line in terminal.lines)
        assert any(line.startswith("self-test network pass") for line in terminal.lines)

    run_story(story, runtime)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_device_that_hangs_while_a_person_tests_it_is_named_at_the_next_start(runtime: str) -> None:
    async def story(shop: Shop) -> None:
        shop.terminal.bench.program.fault("hang")
        shop.terminal.power_on()
        await until(lambda: shows(shop, "Safe mode"), "the page of the safe mode")
        press(shop, "2")
        await until(lambda: shows(shop, "watchdog testing printer"), "the device that hangs")
        assert count(shop, "pause ") == 0

    run_story(story, runtime)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_the_acquirers_orders_are_heard_in_safe_mode(runtime: str) -> None:
    async def story(shop: Shop) -> None:
        shop.terminal.bench.program.fault("crash")
        shop.terminal.power_on()
        await until(lambda: shop.account.state.get("mode") == "suspended", "the state")
        name = await shop.acquirer.order(TERMINAL, action="suspend", reason="maintenance")
        receipt = await shop.acquirer.receipt_of(TERMINAL, name, 40.0)
        assert receipt["result"] == "SUCC"
        await until(lambda: len(reasons(shop)) == 2, "both reasons")

    run_story(story, runtime)


def test_safe_mode_stands_without_a_memory() -> None:
    async def story(shop: Shop) -> None:
        for segment in shop.terminal.data.glob("store.*"):
            segment.write_bytes(bytes(100))
            segment.rename(segment.with_name("store.00000007"))
        shop.terminal.bench.program.fault("crash")
        shop.terminal.power_on()
        await until(lambda: shows(shop, "安全模式"), "the page, in the default language")
        shop.terminal.bench.program.fault("crash", False)
        press(shop, "1")
        await until(lambda: shows(shop, "存储器出错"), "the warning of a normal start")

    run_story(story, "cpython")


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_program_that_stands_still_is_reset_by_the_watchdog(runtime: str) -> None:
    """The limit is made so short that feeding it once a second is too late."""

    async def story(shop: Shop) -> None:
        bench = shop.terminal.bench
        shop.terminal.power_on()
        await until(lambda: count(shop, "self-test power_on ended") == 1, "the end of the self-test")
        await until(lambda: is_good(shop), "the record that the start is good")
        bench.transact(op.WDT_OPEN, 0, 200, b"")
        await until(lambda: count(shop, "boot ") == 2, "the next start")
        assert bench.reset_cause == op.WDT_RESET
        await until(lambda: count(shop, "self-test power_on ended") == 2, "the end of its self-test")
        shop.terminal.check()

    run_story(story, runtime)


def test_a_crash_that_no_fault_was_to_cause_fails_the_run() -> None:
    async def story(shop: Shop) -> None:
        shop.terminal.board = type("Broken", (), {"build": staticmethod(lambda platform: 1 // 0)})
        shop.terminal.power_on()
        await until(lambda: count(shop, "crash ZeroDivisionError") > 0, "the crash")
        with pytest.raises(TerminalFailure, match="ZeroDivisionError"):
            shop.terminal.check()

    run_story(story, "cpython")


def test_a_hang_without_a_watchdog_is_the_end_and_is_told() -> None:
    async def story(shop: Shop) -> None:
        build = shop.terminal.board.build

        def without_watchdog(platform: Any) -> Any:
            hal = build(platform)
            hal.watchdog = None
            return hal

        shop.terminal.board = type("Unwatched", (), {"build": staticmethod(without_watchdog)})
        shop.terminal.bench.program.fault("hang")
        shop.terminal.power_on()
        with pytest.raises(TerminalFailure, match="no watchdog"):
            while True:
                await asyncio.sleep(0.02)
                shop.terminal.check()

    run_story(story, "cpython")


@pytest.mark.parametrize(
    ("fault", "runtime"), list(zip(sorted(Image.FAULTS), cycle(RUNTIMES), strict=False))
)  # the core suite has each on both
def test_a_file_that_is_not_what_was_installed_is_found(runtime: str, fault: str) -> None:
    async def story(shop: Shop) -> None:
        image = shop.terminal.image
        before = {path: path.read_bytes() for path in ROOT.glob("*/__init__.py")}
        image.fault(fault)
        shop.terminal.power_on()
        await until(lambda: count(shop, "self-test firmware ") == 1, "the check of the image")
        line = next(line for line in shop.terminal.lines if line.startswith("self-test firmware "))
        assert line.split()[2:4] == ["fail", Image.FAULTS[fault].cause]
        assert {path: path.read_bytes() for path in ROOT.glob("*/__init__.py")} == before
        await until(lambda: count(shop, "self-test power_on ended") == 1, "the end of the self-test")
        await shop.terminal.power_off()
        image.fault(fault, False)
        shop.terminal.power_on()
        await until(lambda: count(shop, "self-test firmware pass") == 1, "a sound image")

    run_story(story, runtime)


def test_two_programs_in_one_process_do_not_end_each_other() -> None:
    time = SimulatedTime()

    async def both() -> None:
        async with world("cpython", time=time) as left, world("cpython", time=time) as right:
            for shop in (left, right):
                shop.terminal.power_on()
            await until(lambda: count(left, "self-test power_on ended") == 1, "the first")
            left.terminal.bench.watchdog_reset()
            left.terminal.bench.on_reset()
            await until(lambda: count(left, "self-test power_on ended") == 2, "the first again")
            await until(lambda: count(right, "self-test power_on ended") == 1, "the other")
            assert count(right, "boot ") == 1
            with contextlib.suppress(TerminalFailure):
                right.terminal.check()

    time.run(both())
