"""One start of a terminal: counted before anything big is imported, and ended by a reset, never by a frozen screen."""

import sys

from firmware_agent.boot.boot_guard import BY_POWER, BY_RESET, BY_WATCHDOG, BootGuard
from firmware_agent.boot.slots import DATA_FOLDER
from hal.files import Files
from hal.platform import Platform

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any

    from firmware_agent.agent import Agent
    from firmware_agent.links.link import Link, LinkSettings
    from hal.clock import Clock
    from hal.hal import Hal

# Bytes given out after which garbage is collected, though there is room: else what lives lies scattered all over the heap, and of half a
# heap that is free no part is large enough (for the table of MicroPython's strings, say, which doubles in one piece).
GARBAGE_BYTES = 65536


def run(machine: "Any", network: "Any", build: "Callable[[Platform], Hal]", spare: str = "") -> None:
    """What a microcontroller's main.py does. machine, network: MicroPython's modules; build: imports the board, and builds it; spare: the
    folder for a newer program (slots.py), '' where there is none. An older main.py calls this, too: it stays as it is.
    """
    import asyncio
    import errno
    import gc
    import os
    import time

    from hal.resolver import resolve

    gc.threshold(GARBAGE_BYTES)  # type: ignore[attr-defined]  # MicroPython's
    try:
        os.mkdir(DATA_FOLDER)
    except OSError as error:
        if error.args[0] != errno.EEXIST:
            raise
    sleep_ms = asyncio.sleep_ms  # type: ignore[attr-defined]  # MicroPython's
    files, program = Files(DATA_FOLDER), Files(program_root())
    platform = Platform(machine, network, time, sleep_ms, files, resolve, program, Files(spare) if spare else None)

    def link() -> "Callable[[LinkSettings, Clock], Link]":
        from firmware_agent.links.mqtt_stream import MqttStreamLink

        return MqttStreamLink

    asyncio.run(start(platform, build, link, print))


async def start(
    platform: Platform,
    build: "Callable[[Platform], Hal]",
    link: "Callable[[], Callable[[LinkSettings, Clock], Link]]",
    log: "Callable[[str], None]",
    guard: "BootGuard | None" = None,
    made: "Callable[[Agent], None]" = lambda agent: None,
) -> None:
    """Start the agent, for as long as it runs. platform.machine: has reset() and reset_cause(); build, link: import what is big only when
    they are called; guard: of platform.files, for who has more to tell it; made: is handed the agent before it runs.
    """
    machine = platform.machine
    guard = guard or BootGuard(platform.files)
    guard.count(_why(machine))
    if not guard.counted:
        log("this start could not be counted")
    if guard.pause_ms:
        log("pause of %d ms" % guard.pause_ms)
        await platform.sleep_ms(guard.pause_ms)
    with _LastWords(guard, machine.reset, log):
        from firmware_agent.agent import Agent

        agent = Agent(build(platform), link(), log, guard, machine.reset)
        made(agent)
        await agent.run()
        raise RuntimeError("the agent ended")


def program_root() -> str:
    """The folder that holds the packages of this program."""
    path = __file__.rsplit("/", 2)[0] if __file__.count("/") > 1 else ""
    return path or ("/" if __file__.startswith("/") else ".")


def _why(machine: "Any") -> int:
    cause = machine.reset_cause()
    if cause == machine.PWRON_RESET:
        return BY_POWER
    return BY_WATCHDOG if cause == machine.WDT_RESET else BY_RESET


class _LastWords:
    """Whatever exception ends what runs in it: one line, a record, a reset. Who stops the program from outside is not held up."""

    def __init__(self, guard: BootGuard, reset: "Callable[[], None]", log: "Callable[[str], None]") -> None:
        self._guard = guard
        self._reset = reset
        self._log = log

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: "type[BaseException] | None", error: "BaseException | None", traceback: "TracebackType | None") -> None:
        if isinstance(error, Exception):
            what = "%s %s" % (type(error).__name__, place_of(error))
            self._log("crash " + what)
            self._guard.crashed(what)
            self._reset()


def place_of(error: BaseException) -> str:
    """Where it was raised, as file:line: never its text, which may hold anything."""
    path, line = "?", "?"
    if hasattr(sys, "print_exception"):  # MicroPython, which has no traceback to look at
        import io

        told = io.StringIO()
        sys.print_exception(error, told)
        for text in told.getvalue().split("\n"):
            if text.startswith('  File "'):
                path = text.split('"')[1]
                line = text.split("line ", 1)[1].split(",")[0] if "line " in text else "?"
    traceback = getattr(error, "__traceback__", None)
    while traceback is not None:
        path = traceback.tb_frame.f_code.co_filename
        line = str(traceback.tb_lineno)
        traceback = traceback.tb_next
    return path.rsplit("/", 1)[-1] + ":" + line
