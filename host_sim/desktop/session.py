"""The terminals of one sitting: shops that come and go, all at one acquirer, and what pages are told of them."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from firmware_agent.texts import LANGUAGES
from host_sim.boards import boards
from host_sim.brokers import BrokerFailure
from host_sim.desktop.hub import Hub
from host_sim.desktop.live_terminal import LiveTerminal
from host_sim.desktop.traffic import Passed, Traffic, WatchedBackend
from host_sim.terminal import TerminalFailure, check_runtime, runtime_of

MOST_TERMINALS = 12
LOOK_AT_ACQUIRER_S = 0.25
BROKER_AGAIN_S = 2.0  # between two tries to start one that has died


class Wrong(Exception):
    """What was asked for does not exist; one line, with what there is."""


class Session:
    """folder: empty; broker: one of BROKERS; defaults: board, runtime and language of a terminal of which no more is said.

    watching: while it runs, a task that ends only by a defect.
    """

    def __init__(self, folder: Path, *, broker: str = "embedded", defaults: dict[str, str]) -> None:
        self.defaults = defaults
        self.hub = Hub(self.snapshot)
        self.terminals: dict[str, LiveTerminal] = {}
        self._folder = folder
        self._backend = WatchedBackend(folder, broker, self._acquirer_said)
        self.traffic = self._backend.traffic = Traffic(self._backend, self._passed)
        self._numbers = itertools.count(1)
        self._folders = itertools.count(1)
        self._stays: dict[str, asyncio.Event] = {}  # set: the terminal goes
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._adding = asyncio.Lock()
        self._acquirer: dict[str, Any] = {"connected": False, "broker": "stopped"}
        self._started_at = int(time.time() * 1000)
        self._is_running = False

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Broker and acquirer, and whatever terminals are added, for as long as it is entered. Raises BrokerFailure."""
        async with self._backend.running():
            self.watching = asyncio.create_task(self._watch())
            try:
                yield
            finally:
                self.watching.cancel()
                self.hub.end()
                await asyncio.gather(*(self._take_down(number) for number in list(self.terminals)))

    # Terminals.

    async def add(self, board: str = "", runtime: str = "", language: str = "") -> LiveTerminal:
        """A terminal as it comes from the installer, switched off; of each that is not said, as by default.

        Raises Wrong; TerminalFailure: this machine cannot have it.
        """
        board, language = board or self.defaults["board"], language or self.defaults["language"]
        if board not in boards():
            raise Wrong(f"no board {board!r}; there are: {', '.join(boards())}")
        if language not in LANGUAGES:
            raise Wrong(f"no language {language!r}; there are: {', '.join(LANGUAGES)}")
        runtime = runtime or (self.defaults["runtime"] if board == self.defaults["board"] else runtime_of(board))
        check_runtime(board, runtime)
        async with self._adding:
            if len(self.terminals) >= MOST_TERMINALS:
                raise TerminalFailure(f"there are {MOST_TERMINALS} terminals already; remove one first")
            return await self._set_up(f"T{next(self._numbers):07}", board, runtime, language)

    async def remove(self, number: str) -> None:
        """Raises KeyError."""
        async with self._adding:
            await self._take_down(number)
        self.hub.tell("gone", {"id": number})

    async def renew(self, number: str) -> LiveTerminal:
        """Another device of the same kind takes the terminal's place, as it comes from the installer. Raises KeyError, TerminalFailure."""
        async with self._adding:
            shop = self.terminals[number].shop
            await self._take_down(number)
            return await self._set_up(number, shop.board, shop.runtime, shop.language)

    async def _set_up(self, number: str, board: str, runtime: str, language: str) -> LiveTerminal:
        folder = self._folder / f"s{next(self._folders)}"
        live = LiveTerminal(self._backend, folder, number=number, board=board, runtime=runtime, language=language, tell_page=self.hub.tell)
        stay = self._stays[number] = asyncio.Event()
        ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        task = self._tasks[number] = asyncio.create_task(self._live(live, stay, ready))
        try:
            await asyncio.shield(ready)
        except (TerminalFailure, OSError) as error:
            await task
            del self._tasks[number], self._stays[number]
            raise TerminalFailure(str(error)) from error
        live.messages = self.traffic.watch(number, live.hardware_ids)
        self.terminals[number] = live
        live.tell_document()
        return live

    async def _live(self, live: LiveTerminal, stay: asyncio.Event, ready: asyncio.Future[None]) -> None:
        """All of a terminal's life, from its beginning to its end, in one task."""
        try:
            async with live.running():
                ready.set_result(None)
                watch, goes = asyncio.create_task(live.watch()), asyncio.create_task(stay.wait())
                await asyncio.wait([watch, goes], return_when=asyncio.FIRST_COMPLETED)
                if watch.done():
                    watch.result()
                watch.cancel()
        except (TerminalFailure, OSError) as error:
            if ready.done():
                raise
            ready.set_exception(error)

    async def _take_down(self, number: str) -> None:
        del self.terminals[number]
        self.traffic.forget(number)
        self._stays.pop(number).set()
        await self._tasks.pop(number)

    # What pages are told.

    def snapshot(self) -> dict[str, Any]:
        return {
            "terminals": [live.document() for live in self.terminals.values()],
            "acquirer": self._acquirer,
            "logs": {number: live.lines for number, live in self.terminals.items()},
            "started_at": self._started_at,
        }

    def _acquirer_said(self, who: str, line: str) -> None:
        """To the terminal that it is about, else to all."""
        about = [live for number, live in self.terminals.items() if line.startswith(f"{number}: ") or f"/{number}/" in line]
        for live in about or list(self.terminals.values()):
            live.log(who, line)

    def _passed(self, terminal: str, passed: Passed) -> None:
        self.hub.tell("message", {"id": terminal, **passed.line()})

    async def _watch(self) -> None:
        """Says how broker and acquirer are; starts a broker again that has died. Ends by whatever defect ends the acquirer, or the watching
        of a terminal: neither ends by itself.
        """
        broker = self._backend.broker
        while True:
            self._backend.check()
            for task in self._tasks.values():
                if task.done():
                    task.result()
            if broker.has_died:
                self._tell_acquirer("died")
                self._acquirer_said("network", "the broker has died; it is started again")
                try:
                    await broker.restart()
                except (BrokerFailure, TimeoutError) as error:
                    self._acquirer_said("network", str(error))
                    await asyncio.sleep(BROKER_AGAIN_S)
            self._tell_acquirer("running" if broker.is_running else "stopped")
            await asyncio.sleep(LOOK_AT_ACQUIRER_S)

    def _tell_acquirer(self, broker: str) -> None:
        acquirer = {"connected": self._backend.acquirer.connected, "broker": broker}
        if acquirer != self._acquirer:
            self._acquirer = acquirer
            self.hub.tell("acquirer", acquirer)
