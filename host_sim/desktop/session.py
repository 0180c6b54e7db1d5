"""The terminals of one sitting: shops that come and go, all at one acquirer, and what pages are told of them."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Coroutine
from typing import Any

from firmware_agent.texts import LANGUAGES
from host_sim.boards import boards
from host_sim.brokers import BrokerFailure
from host_sim.desktop.command import SimulatorError
from host_sim.desktop.hub import Hub
from host_sim.desktop.live_terminal import LiveTerminal
from host_sim.desktop.state_folder import Kept, KeptTerminal, StateFolder
from host_sim.desktop.traffic import Passed, Traffic, WatchedBackend
from host_sim.terminal import TerminalFailure, check_runtime, runtime_of, why_not_kept

MOST_TERMINALS = 12
LOOK_AT_ACQUIRER_S = 0.25
BROKER_AGAIN_S = 2.0  # between two tries to start one that has died


class Wrong(Exception):
    """What was asked for does not exist; one line, with what there is."""


class Session:
    """state: where it lies, and goes on from; broker: one of BROKERS; defaults: board, runtime and language of a terminal of which no more
    is said. Raises SimulatorError: what lies there is damaged.

    watching: while it runs, a task that ends only by a defect.
    """

    def __init__(self, state: StateFolder, *, broker: str = "embedded", defaults: dict[str, str]) -> None:
        self.defaults = defaults
        self.hub = Hub(self.snapshot)
        self.terminals: dict[str, LiveTerminal] = {}
        self._state = state
        try:
            self._backend = WatchedBackend(state.folder, broker, self._acquirer_said, is_kept=True)
        except ValueError as error:
            raise SimulatorError(f"{state.folder}: a key cannot be read ({error}); it is left as it is: name another folder") from error
        self.traffic = self._backend.traffic = Traffic(self._backend, self._passed)
        self._next_number = state.kept.next_number
        self._stays: dict[str, asyncio.Event] = {}  # set: the terminal goes
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._adding = asyncio.Lock()
        self._acquirer: dict[str, Any] = {"connected": False, "broker": "stopped"}
        self._started_at = int(time.time() * 1000)
        self._is_running = False
        self._ends = asyncio.Event()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Broker and acquirer, the terminals of the last time, and whatever is added, for as long as it is entered. Raises BrokerFailure,
        RegistryError; TerminalFailure: a terminal of the last time cannot be had. What is kept stays as it is then.
        """
        async with self._backend.running():
            self.watching = asyncio.create_task(self._watch())
            try:
                for number, kept in self._state.kept.terminals.items():
                    if not why_not_kept(kept.board):
                        await self._go_on(number, kept)
                self._is_running = True
                self._keep()
                yield
            finally:
                self._is_running = False
                self.watching.cancel()
                self.end()
                await asyncio.gather(*(self._take_down(number) for number in list(self.terminals)))

    # The last time, and the next.

    def resumed(self) -> list[str]:
        """What is to be said of the last time, a line each."""
        kept = self._state.kept.terminals
        lost = {number: why_not_kept(terminal.board) for number, terminal in kept.items()}
        told = [f"{number} is not there any more: {why}" for number, why in lost.items() if why]
        there = [number for number, why in lost.items() if not why]
        if there:
            told.append(f"goes on with {', '.join(there)}, switched off, as after a power cut")
            if not self._backend.broker.KEEPS_SESSIONS:
                told.append("the embedded broker has forgotten its sessions: acquirer and terminals send again what had no receipt")
        return told

    async def _go_on(self, number: str, kept: KeptTerminal) -> None:
        try:
            check_runtime(kept.board, kept.runtime)
            await self._set_up(number, kept.board, kept.runtime, kept.language, kept)
        except (TerminalFailure, ImportError, KeyError) as error:
            raise TerminalFailure(f"{number} in {self._state.folder} cannot go on: {error}") from error

    def _keep(self) -> None:
        """Write down what there is."""
        if self._is_running:
            self._state.write(Kept(self._next_number, {number: live.kept for number, live in self.terminals.items()}))

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
            number = f"T{self._next_number:07}"
            self._next_number += 1
            live = await self._set_up(number, board, runtime, language)
            self._keep()
            return live

    async def remove(self, number: str) -> None:
        """Raises KeyError."""
        async with self._adding:
            await self._take_down(number)
            self._keep()
        self.hub.tell("gone", {"id": number})

    async def renew(self, number: str) -> LiveTerminal:
        """Another device of the same kind takes the terminal's place, as it comes from the installer. Raises KeyError, TerminalFailure."""
        async with self._adding:
            shop = self.terminals[number].shop
            await self._take_down(number)
            live = await self._set_up(number, shop.board, shop.runtime, shop.language)
            self._keep()
            return live

    async def _set_up(self, number: str, board: str, runtime: str, language: str, kept: KeptTerminal | None = None) -> LiveTerminal:
        folder = self._state.new_folder() if kept is None else self._state.folder / kept.folder
        kind = {"number": number, "board": board, "runtime": runtime, "language": language}
        live = LiveTerminal(self._backend, folder, **kind, tell_page=self.hub.tell, kept=kept)
        live.on_done = self._keep
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

    def end(self) -> None:
        """Whatever waits for something to happen waits no longer."""
        self._ends.set()
        self.hub.end()

    async def unless_it_ends(self, work: Coroutine[Any, Any, None]) -> None:
        """Do it to its end, or to that of the session. Raises TerminalFailure: that was earlier."""
        doing, ends = asyncio.create_task(work), asyncio.create_task(self._ends.wait())
        await asyncio.wait([doing, ends], return_when=asyncio.FIRST_COMPLETED)
        ends.cancel()
        if not doing.done():
            doing.cancel()
            await asyncio.wait([doing])
            raise TerminalFailure("the simulator ends")
        doing.result()

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
