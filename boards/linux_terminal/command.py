"""What the commands of `reinstate-agent` have in common: how they end, and how they come by the terminal, its devices and its memory."""

import asyncio
import contextlib
import os
import sys
import time

from boards.linux_terminal.configuration import load
from boards.linux_terminal.process import Process, boot_id, sole_use
from firmware_agent.start import program_root
from hal.drivers.linux.linux_clock import sleep_ms
from hal.errors import DeviceError
from hal.files import Files
from hal.platform import Platform
from hal.resolver import resolve

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from typing import TypeVar

    from boards.linux_terminal.configuration import Configuration
    from boards.linux_terminal.service import Manager
    from firmware_agent.store import Store
    from firmware_agent.terminal import Terminal
    from hal.hal import Hal

    T = TypeVar("T")

GOOD, FAILED, WRONG_USAGE, AGAIN = 0, 1, 2, 75  # exit codes: main.py tells what they mean
ENDING_S = 5.0  # for all tasks to come to their end
CANCEL_S = 0.2


class Refused(Exception):
    """What was asked for cannot be done; the message is for the person at the shell."""


def wrong(what: str) -> int:
    print("reinstate-agent: " + what, file=sys.stderr)
    return WRONG_USAGE


def to_stderr(line: str) -> None:
    print(line, file=sys.stderr)


def platform_of(configuration: "Configuration", log: "Callable[[str], None]", manager: "Manager | None" = None) -> Platform:
    """manager: the service manager that watches, where one may."""
    files = Files(configuration.state)
    watchdog = manager if manager is not None and manager.limit_ms else None
    machine = Process(files, log, boot_id(), watchdog)
    return Platform(machine, None, time, sleep_ms, files, resolve, Files(program_root()))


def devices_of(configuration: "Configuration", platform: Platform) -> "Hal":
    """The devices, not yet brought up. Raises ConfigurationError."""
    from boards.linux_terminal import board

    return board.build(configuration)(platform)


def shut_down(hal: "Hal", log: "Callable[[str], None]") -> None:
    """Leave the devices as they were found: a text terminal echoes again, a keypad's keys go where they went."""
    for device in hal.devices():
        try:
            device.close()
        except DeviceError as error:
            log("failed %s" % error)


async def end_tasks(log: "Callable[[str], None]") -> None:
    """Cancel all others until they are done: on Python 3.11 one may swallow a cancellation that comes with the end of what it waits for."""
    until_s = time.monotonic() + ENDING_S
    while left := asyncio.all_tasks() - {asyncio.current_task()}:
        if time.monotonic() >= until_s:
            log("failed to end %d tasks" % len(left))
            return
        for task in left:
            task.cancel()
        await asyncio.wait(left, timeout=CANCEL_S)


async def terminal_at(hal: "Hal", store: "Store", log: "Callable[[str], None]") -> "Terminal":
    """The terminal, where no agent runs; it counts as a start of its own, or what it says would have the sequences of the one before.

    Raises IdentityError, StoreError, DeviceError.
    """
    from firmware_agent.boot.rollback import Rollback
    from firmware_agent.identity.identity import Identity
    from firmware_agent.terminal import Terminal

    identity = Identity.load(store)
    await Rollback(store, hal.secure_element, log).count_boot()
    return Terminal(hal, store, identity, log)


async def with_store(config: str, work: "Callable[[Hal, Store], Awaitable[T]]") -> "T":
    """What `work` gives, with memory and secure element in use and nobody beside. Raises Refused."""
    from firmware_agent.identity.enrolment import EnrolmentError
    from firmware_agent.identity.identity import IdentityError
    from firmware_agent.store import Store, StoreError

    configuration = load(config)
    try:
        with sole_use(configuration.state):
            hal = devices_of(configuration, platform_of(configuration, to_stderr))
            try:
                for error in await hal.bring_up(("clock", "storage", "secure_element")):
                    raise Refused(str(error))
                store = Store(hal.storage)
                store.open()
                return await work(hal, store)
            except (EnrolmentError, IdentityError, DeviceError, StoreError) as error:
                raise Refused(str(error)) from error
            finally:
                shut_down(hal, to_stderr)
    except OSError as error:
        raise Refused("%s: %s" % (error.filename or configuration.state, error.strerror)) from error


def with_store_as_owner(config: str, work: "Callable[[Hal, Store], Awaitable[T]]") -> "T":
    """As `with_store`, by the agent's user. Raises Refused."""
    state = load(config).state
    try:
        with _as_owner(state):
            return asyncio.run(with_store(config, work))
    except FileNotFoundError as error:
        raise Refused("%s: %s" % (state, error.strerror)) from error


@contextlib.contextmanager
def _as_owner(state: str) -> "Iterator[None]":
    """Where root does what needs the agent's memory: as the agent's user, who could not write what root leaves there. Raises OSError."""
    status = os.stat(state)
    group = os.getegid()
    if os.geteuid() or not status.st_uid:
        yield
        return
    os.setegid(status.st_gid)
    os.seteuid(status.st_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
