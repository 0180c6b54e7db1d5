"""Runs the phases of a plan: independent devices at the same time, each with its limit, each result handed over as it comes."""

import asyncio
import errno

from firmware_agent.selftest.phases import ERROR, FAIL, SKIP, TIMEOUT, Phase, Result, result_of
from hal.errors import E_FAILURE, E_TIMEOUT, DeviceError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from hal.device import Device
    from hal.hal import Hal


async def run_plan(
    hal: "Hal",
    plan: "list[Phase]",
    done: "Callable[[Result], None]",
    before: "dict[str, Callable[[], Awaitable[None]]] | None" = None,
) -> "list[Result]":
    """Run the plan; `done` is called with each result as soon as it is there. Gives the results in the plan's order.

    Phases of one device run one after the other; devices run at the same time. before: what has to be awaited before a kind of
    device can be judged (joining the network), while the others are tested; it raises nothing: what failed in it, the check finds.
    """
    preparations = before or {}
    kinds = []
    for phase in plan:
        if phase.kind not in kinds:
            kinds.append(phase.kind)
    results: dict[str, Result] = {}

    async def run_device(kind: str) -> None:
        if kind in preparations:
            await preparations[kind]()
        for phase in plan:
            if phase.kind == kind:
                result = await run_phase(hal, phase)
                results[phase.id] = result
                done(result)

    await asyncio.gather(*[run_device(kind) for kind in kinds])
    return [results[phase.id] for phase in plan]


async def run_phase(hal: "Hal", phase: Phase) -> Result:
    """Run one phase, with its retries. A phase never raises: what goes wrong with it is its result."""
    device = getattr(hal, phase.kind)
    if device is None:
        return Result(phase.id, phase.kind, SKIP, cause="absent")
    clock = hal.clock
    started_ms = clock.monotonic_ms()
    result = Result(phase.id, phase.kind, ERROR, cause="not_run")
    for _ in range(1 + phase.retries):
        try:
            if not device.enabled:
                await clock.wait_for(_bring_up_again(device), phase.timeout_ms)
            health = await clock.wait_for(device.check_health(phase.level), phase.timeout_ms)
            result = result_of(phase, health, clock.monotonic_ms() - started_ms)
        except DeviceError as error:
            result = Result(phase.id, phase.kind, ERROR, error.code, error.extended, "check_failed", error.detail)
        except OSError as error:
            if error.args and error.args[0] == errno.ETIMEDOUT:  # the clock's limit
                result = Result(phase.id, phase.kind, TIMEOUT, E_TIMEOUT, 0, "no_answer")
            else:  # a bus raised what the driver did not expect
                result = Result(phase.id, phase.kind, ERROR, E_FAILURE, 0, "check_failed", str(error))
        if result.outcome not in (FAIL, TIMEOUT, ERROR):
            break
    result.duration_ms = clock.monotonic_ms() - started_ms
    return result


async def _bring_up_again(device: "Device") -> None:
    """A part that failed at bring-up gets another chance; if it fails again, its health says so."""
    try:
        await device.enable()
    except DeviceError:
        return  # kept in the device's bring_up_error, which check_health reports
