"""The power-on self-test takes hardly longer than its slowest device: the others are tested meanwhile. On the simulated clock."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

from firmware_agent.selftest.engine import run_phases
from firmware_agent.selftest.phases import PASS, SKIP, Result
from firmware_agent.selftest.plans import POWER_ON, plan_phases
from firmware_agent.selftest.subject import Subject
from hal.hal import Hal
from host_sim.bench import Bench
from host_sim.chips.flash import Flash
from host_sim.platform import in_process_platform
from host_sim.simulated_time import SimulatedTime

BOARDS = ("esp32s3_counter", "esp32_mpos")
MOST = 1.15


@pytest.mark.parametrize("board", BOARDS)
def test_the_power_on_plan_lasts_hardly_longer_than_its_slowest_device(board: str) -> None:
    time = SimulatedTime()
    module: Any = importlib.import_module(f"boards.{board}.board")
    hal: Hal = module.build(in_process_platform(Bench(module.facts(), time), Flash(), time))
    results: list[Result] = []

    async def program() -> int:
        assert await hal.bring_up() == []
        began_ms = time.now_ms()
        await run_phases(Subject(hal), plan_phases(POWER_ON, hal), results.append)
        return time.now_ms() - began_ms

    took_ms = time.run(program())
    of_device: dict[str, int] = {}
    for result in results:
        assert result.outcome in (PASS, SKIP), (result.phase, result.cause, result.detail)
        of_device[result.kind] = of_device.get(result.kind, 0) + result.duration_ms
    slowest_ms = max(of_device.values())
    assert slowest_ms > 100  # something was tested
    assert took_ms <= MOST * slowest_ms, of_device
    print(f"{board}: {took_ms} ms, slowest device {slowest_ms} ms, all one after the other {sum(of_device.values())} ms")
