"""`reinstate-agent run`: the agent as a service, with the desk at which the other commands find it."""

import asyncio
import os
import signal

from boards.linux_terminal.command import AGAIN, GOOD, devices_of, end_tasks, platform_of, shut_down, wrong
from boards.linux_terminal.configuration import load
from boards.linux_terminal.desk import Desk, DeskError
from boards.linux_terminal.process import Process, Restart, sole_use
from boards.linux_terminal.records import record_of
from boards.linux_terminal.selftest import test_by_agent, told
from boards.linux_terminal.service import Log, Manager
from firmware_agent.boot.boot_guard import BootGuard
from firmware_agent.start import place_of, start
from hal.errors import DeviceError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from typing import Any

    from boards.linux_terminal.configuration import Configuration
    from boards.linux_terminal.desk import Answer, Question
    from firmware_agent.agent import Agent
    from firmware_agent.links.link import Link, LinkSettings
    from hal.clock import Clock

GOODBYE_MS = 3000  # for the broker to take what is to be told before an end
LOOK_MS = 100


def run(options: "argparse.Namespace") -> int:
    """Run the agent until it is told to end (SIGTERM, SIGINT), under the eyes of the service manager where there is one."""
    configuration = load(options.config)
    manager = Manager(os.environ)
    log = Log(os.environ, manager)
    try:
        with sole_use(configuration.state):
            return asyncio.run(_Service(configuration, manager, log).run())
    except OSError as error:  # nothing is begun yet: the state folder, the socket's place
        return wrong("%s: %s" % (error.filename or configuration.socket, error.strerror))


class _Service:
    """The agent with what is beside it: the signals that end it, the desk at which it is asked for a self-test."""

    def __init__(self, configuration: "Configuration", manager: Manager, log: Log) -> None:
        self._manager = manager
        self._log = log
        self._platform = platform_of(configuration, log, manager)
        self._hal = devices_of(configuration, self._platform)
        self._guard = BootGuard(self._platform.files)
        self._agent: Agent | None = None
        self._factory = configuration.factory
        self._desk = Desk(configuration.socket, self._answer, log)

    async def run(self) -> int:
        """Raises OSError where the desk cannot be opened."""
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        loop.set_exception_handler(lambda _, context: self._log("failed %s" % _unseen(context)))
        await self._desk.open()
        machine: Process = self._platform.machine
        machine.begin()
        if self._factory:
            from boards.linux_terminal import factory

            await factory.take(self._factory, self._platform.files, self._hal.hardware_id, self._log)
        agent = asyncio.create_task(start(self._platform, lambda platform: self._hal, _link, self._log, self._guard, self._made))
        stopped = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait((agent, stopped), return_when=asyncio.FIRST_COMPLETED)
            self._manager.tell("STOPPING=1")
            if not agent.done():
                self._guard.restarting(normally=False)
                await self._say_goodbye()
        finally:
            self._desk.close()
            await end_tasks(self._log)
            shut_down(self._hal, self._log)
        if stop.is_set():
            machine.end()
            return GOOD
        if not isinstance(agent.exception(), Restart):
            agent.result()  # raises what is none of the agent's errors
        return AGAIN

    def _made(self, agent: "Agent") -> None:
        self._agent = agent
        if not self._manager.limit_ms:
            self._manager.start()  # as the watchdog it is started by the agent

    async def _say_goodbye(self) -> None:
        """Tell the acquirer what else the last will would tell: an end in order publishes none."""
        from firmware_agent.messages.schema import LINK_LOST
        from firmware_agent.store import StoreError

        terminal = self._agent.terminal if self._agent is not None else None
        if terminal is None or not terminal.online:
            return
        try:
            terminal.send("state", terminal.state_body(link=LINK_LOST))
        except StoreError as error:
            self._log("failed %s" % error)
            return
        until_ms = self._hal.clock.monotonic_ms() + GOODBYE_MS
        while terminal.online and terminal.outbox.waiting() and self._hal.clock.monotonic_ms() < until_ms:
            await self._hal.clock.sleep_ms(LOOK_MS)

    async def _answer(self, question: "Question") -> "Answer":
        from firmware_agent.selftest.plans import PlanError

        try:
            if "export" in question:
                return {"record": await self._record(str(question["export"]))}
            return told(await test_by_agent(self._wait_for_agent, self._hal, question))
        except (PlanError, DeskError, DeviceError) as error:
            return {"refused": str(error)}

    async def _record(self, what: str) -> str:
        agent = await self._wait_for_agent()
        if agent.terminal is None:
            raise DeskError("the terminal has no identity, or no memory: there is no record to sign")
        return await record_of(agent.terminal, what)

    async def _wait_for_agent(self) -> "Agent":
        """Until it has come as far as to serve somebody."""
        while self._agent is None or self._agent.counter is None:
            await self._hal.clock.sleep_ms(LOOK_MS)
        return self._agent


def _link() -> "Callable[[LinkSettings, Clock], Link]":
    from firmware_agent.links.mqtt_paho import MqttPahoLink

    return MqttPahoLink


def _unseen(context: "dict[str, Any]") -> str:
    """What went wrong where nobody waited for it: its kind and place, never its text, which may hold anything."""
    error = context.get("exception")
    return "%s %s" % (type(error).__name__, place_of(error)) if error is not None else str(context["message"])
