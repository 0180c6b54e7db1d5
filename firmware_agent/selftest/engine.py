"""Runs phases: independent devices at the same time, each with its limit, each result handed over as it comes."""

import asyncio
import errno

from firmware_agent.selftest.phases import ERROR, FAIL, FAILED_BEFORE, NOT_ANSWERED, SKIP, TIMEOUT, Result, result_of
from hal.errors import CH_INTERACTIVE, E_FAILURE, E_TIMEOUT, DeviceError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from typing import Any

    from firmware_agent.selftest.phases import Phase
    from firmware_agent.selftest.subject import Subject
    from hal.clock import Clock
    from hal.device import Device
    from hal.hal import Hal

RESTORE_MS = 5000  # for a device to come up again after a phase that went wrong
CLEAN_UP_MS = 1000  # for what was cancelled to come to its end
LATE_TURNS = 20  # of the event loop: what waited for others to give way, and not for its device, ends within them
ATTEMPT_FAILED = (FAIL, TIMEOUT, ERROR)


async def run_phases(
    subject: "Subject",
    phases: "list[Phase]",
    done: "Callable[[Result], None]",
    begun: "Callable[[Phase], None] | None" = None,
    before: "dict[str, Callable[[], Awaitable[None]]] | None" = None,
    alone: "tuple[str, ...]" = (),
) -> "list[Result]":
    """Run the phases; `begun` is called with each phase before it touches anything, `done` with each result as soon as it is there. Gives
    the results in the order of the phases.

    Phases of one device run one after the other; devices run at the same time; then those run that need a person, one after the other. What
    already failed in a device without a person's help is not asked a person about. before: what has to be awaited before a kind of device
    can be judged (joining the network), while the others are tested; it raises nothing. alone: ids of phases that run with no other beside
    them. What `begun` and `done` raise comes out when nothing runs any more.
    """
    preparations = before or {}
    results: dict[str, Result] = {}
    broken: list[str] = []  # kinds

    async def run(phase: "Phase") -> None:
        if phase.kind in broken and phase.level >= CH_INTERACTIVE:
            result = Result(phase.id, phase.kind, SKIP, cause=FAILED_BEFORE)
        else:
            if begun is not None:
                begun(phase)
            result = await run_phase(subject, phase)
        if result.outcome in ATTEMPT_FAILED and phase.level < CH_INTERACTIVE:
            broken.append(phase.kind)
        results[phase.id] = result
        done(result)

    async def run_device(kind: str) -> None:
        if kind in preparations:
            await preparations[kind]()
        for phase in phases:
            if phase.kind == kind and phase.level < CH_INTERACTIVE and phase.id not in alone:
                await run(phase)

    kinds: list[str] = []
    for phase in phases:
        if phase.kind not in kinds:
            kinds.append(phase.kind)
    for error in await asyncio.gather(*[run_device(kind) for kind in kinds], return_exceptions=True):
        if error is not None:
            raise error
    for with_person in (False, True):
        for phase in phases:
            if phase.id not in results and (phase.level >= CH_INTERACTIVE) == with_person:
                await run(phase)
    return [results[phase.id] for phase in phases]


async def run_phase(subject: "Subject", phase: "Phase") -> Result:
    """Run one phase, with its retries, and leave its device as it was found. A phase never raises: what goes wrong with it is its
    result.
    """
    device: Device | None = getattr(subject.hal, phase.kind, None)
    if device is None and is_device(subject.hal, phase.kind):
        return Result(phase.id, phase.kind, SKIP, cause="absent")
    if phase.level == CH_INTERACTIVE and subject.person is None:
        return Result(phase.id, phase.kind, SKIP, cause=NOT_ANSWERED)
    clock = subject.hal.clock
    started_ms = clock.monotonic_ms()
    result = Result(phase.id, phase.kind, ERROR, cause="check_failed")
    for _ in range(1 + phase.retries):
        was_enabled = device is not None and device.enabled
        found = None
        if device is not None and not device.enabled:
            found = await _outcome(clock, _bring_up_again(device), phase.timeout_ms)
        if found is None:
            found = await _outcome(clock, _judge(subject, phase), phase.timeout_ms)
        result = found if isinstance(found, Result) else _result_of_error(phase, found)
        if device is not None and (result is not found or (was_enabled and not device.enabled)):
            await _restore(clock, device)
        if result.outcome not in ATTEMPT_FAILED:
            break
    result.duration_ms = clock.monotonic_ms() - started_ms
    return result


def is_device(hal: "Hal", kind: str) -> bool:
    """Whether a kind is one of the Hal's, that a board may lack, and not a component that every terminal has (its firmware, its power)."""
    return hasattr(hal, kind)


async def _judge(subject: "Subject", phase: "Phase") -> Result:
    return result_of(phase, await phase.task(subject))


async def _outcome(clock: "Clock", work: "Coroutine[Any, Any, object]", limit_ms: int) -> object:
    """What the work gives or raises, whatever that is: a self-test outlives the defects of its own phases. When the time is over:
    OSError(ETIMEDOUT); the work is cancelled, and left to itself if it takes no notice.
    """
    tasks: list[asyncio.Task[object]] = []
    found: list[object] = []
    ended = asyncio.Event()

    async def watch() -> None:
        # Made here, so that it is awaited before it runs: MicroPython tells of errors that nobody awaits.
        tasks.append(asyncio.create_task(work))
        found.extend(await asyncio.gather(tasks[0], return_exceptions=True))
        ended.set()

    watcher = asyncio.create_task(watch())
    try:
        if not await _comes(clock, ended, limit_ms):
            for _ in range(LATE_TURNS):
                await clock.sleep_ms(0)
        if found:
            return found[0]
        tasks[0].cancel()
        await _comes(clock, ended, CLEAN_UP_MS)
        return OSError(errno.ETIMEDOUT)
    finally:
        for task in tasks:
            task.cancel()
        watcher.cancel()


async def _comes(clock: "Clock", event: asyncio.Event, limit_ms: int) -> bool:
    try:
        await clock.wait_for(event.wait(), limit_ms)
    except OSError:  # the clock's limit: an event raises nothing
        return False
    return True


async def _restore(clock: "Clock", device: "Device") -> None:
    """A phase that was cut off may have left its device anywhere: bring it up anew. One that stays down keeps its error for its health."""
    await _outcome(clock, _shut_down(device), RESTORE_MS)  # one that cannot even be shut down is brought up all the same
    device.enabled = False
    found = await _outcome(clock, _bring_up_again(device), RESTORE_MS)
    if found is not None and device.bring_up_error is None:
        device.bring_up_error = DeviceError(E_FAILURE, device.kind, "not restored: " + type(found).__name__)


async def _shut_down(device: "Device") -> None:
    device.disable()


async def _bring_up_again(device: "Device") -> None:
    """A part that failed at bring-up gets another chance; if it fails again, its health says so."""
    try:
        if not device.claimed:
            device.open()
            device.claim()
        await device.enable()
    except DeviceError:
        return  # kept in the device's bring_up_error, which check_health reports


def _result_of_error(phase: "Phase", error: object) -> Result:
    """A device that names the cause has been judged; any other error says that it could not be."""
    if isinstance(error, DeviceError):
        outcome = FAIL if error.cause else ERROR
        return Result(phase.id, phase.kind, outcome, error.code, error.extended, error.cause or "check_failed", error.detail)
    if isinstance(error, OSError) and error.args and error.args[0] == errno.ETIMEDOUT:  # the limit, or a bus on which nobody answers
        return Result(phase.id, phase.kind, TIMEOUT, E_TIMEOUT, 0, "no_answer")
    detail = "%s %s" % (type(error).__name__, error)
    return Result(phase.id, phase.kind, ERROR, E_FAILURE, 0, "check_failed", detail[:80])
