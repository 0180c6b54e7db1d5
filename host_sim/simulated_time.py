"""Time that passes only where everybody waits: a run of a simulated day needs no real waiting, and gives the same each time."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import select
import selectors
import threading
import time as system_time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Executor
from os import urandom
from random import Random
from typing import Any, TypeVar

T = TypeVar("T")

TICKS_PERIOD = 1 << 30  # where MicroPython's ticks_ms wraps
TICKS_HALF = TICKS_PERIOD // 2
STUCK_S = 15.0  # real: who neither waits nor asks for so long hangs, and time goes on without him
FOR_EVER = -1  # as a duration
SEED = 1  # of chance in a run, unless another one is asked for
BY_SEED_BYTES = 4  # of each draw (also in overlay_simulated/os.py): they decide when something happens; what is longer is a key, a salt
EVENTS = {selectors.EVENT_READ: select.POLLIN, selectors.EVENT_WRITE: select.POLLOUT}


class SimulatedTime:
    """The calls of MicroPython's time module that the terminal uses, and an event loop that jumps to the next deadline, for the program
    that `run` runs, and for programs in other processes: its guests.

    Where every task and every guest waits, and no thread that a task waits for is at work, time goes at once to the earliest deadline. So
    a run gives the same each time:

    * One of them runs at a time. While a guest runs, the loop serves what the guest asks, and nothing else.
    * What is sent over a socket of this machine is there for its receiver as soon as the call that sent it returns. So when nobody has
      anything to do, nothing is on its way. A guest is asked to look at its sockets once more after anybody else has done anything.
    * At the same millisecond the loop comes first, then the guests in the order in which they came.
    * Chance comes by the seed, as far as it decides when something happens. Keys and the like stay nobody's to foretell.
    """

    def __init__(self, wall_s: int | None = None, start_ms: int = 0, seed: int = SEED) -> None:
        self._chance = Random(seed)
        self._now_ms = start_ms
        self._wall_s = int(system_time.time()) if wall_s is None else wall_s  # at the start
        self._jobs = 0
        self._guests: list[Guest] = []

    def now_ms(self) -> int:
        """Milliseconds that never wrap."""
        return self._now_ms

    def ticks_ms(self) -> int:
        return self._now_ms % TICKS_PERIOD

    def ticks_diff(self, later: int, earlier: int) -> int:
        return (later - earlier + TICKS_HALF) % TICKS_PERIOD - TICKS_HALF

    def time(self) -> int:
        """Seconds since 1970, UTC."""
        return self._wall_s + self._now_ms // 1000

    async def sleep_ms(self, duration_ms: int) -> None:
        """Only in a program run by `run`."""
        await asyncio.sleep(duration_ms / 1000)

    def advance(self, duration_ms: int) -> None:
        """Let time pass now; what was due in it runs when the running task next waits."""
        self._now_ms += duration_ms

    def run(self, program: Coroutine[Any, Any, T]) -> T:
        """As asyncio.run, in this time, and with its chance, which one run at a time has in a process; other threads have the machine's."""
        here = threading.get_ident()
        os.urandom = lambda length: self.drawn(length) if threading.get_ident() == here else urandom(length)
        try:
            with asyncio.Runner(loop_factory=lambda: _Loop(self)) as runner:
                return runner.run(program)
        finally:
            os.urandom = urandom

    def drawn(self, length: int) -> bytes:
        """What os.urandom gives in a run: BY_SEED_BYTES by the seed, and from there on this machine's."""
        by_seed = self._chance.randbytes(min(length, BY_SEED_BYTES))
        return by_seed + urandom(length - len(by_seed))

    @contextlib.contextmanager
    def guest(self) -> Iterator[Guest]:
        """For a program in another process: from before it starts until after it has ended."""
        guest = Guest(self, self._chance.getrandbits(30))
        self._guests.append(guest)
        try:
            yield guest
        finally:
            self._guests.remove(guest)

    # For the event loop.

    def job(self, more: int) -> None:
        """So many more threads are at work for a task, which no time passes for."""
        self._jobs += more

    @property
    def is_held(self) -> bool:
        """Whether somebody is at work of whom the loop hears by its sockets only."""
        return self._jobs > 0 or any(guest.runs for guest in self._guests)

    def running(self) -> list[Guest]:
        return [guest for guest in self._guests if guest.runs]

    def stir(self) -> None:
        """The loop has done something: it may have been for a guest."""
        for guest in self._guests:
            guest.has_looked = False

    def next_guest(self, before_ms: float) -> Guest | None:
        """Who is to go on now: who has to look again, or whose time comes before that, which it then is."""
        for guest in self._guests:
            if not guest.has_looked and not guest.runs:
                return guest
        first = min(self._guests, key=lambda guest: guest.until_ms, default=None)
        if first is None or first.runs or first.until_ms >= before_ms:
            return None
        self._now_ms = max(self._now_ms, int(first.until_ms))
        return first


class Guest:
    """A program in another process, which waits by asking here. It runs until it does.

    connection: the file number of the socket by which it asks, None where there is none (any more); seed: of its own chance.
    """

    def __init__(self, time: SimulatedTime, seed: int = SEED) -> None:
        self.seed = seed
        self._time = time
        self._resume: Callable[[bool], None] | None = None
        self.connection: int | None = None
        self.until_ms: float = math.inf
        self.has_looked = True  # at its sockets, since anybody else has done anything
        self.is_stuck = False  # it has neither waited nor asked for long: nobody waits for it

    @property
    def runs(self) -> bool:
        return self._resume is None and not self.is_stuck

    def wait(self, duration_ms: int, resume: Callable[[bool], None]) -> None:
        """It has nothing to do for so long, or FOR_EVER. resume: called once, when that is over, or something may have come: True."""
        self.until_ms = math.inf if duration_ms == FOR_EVER else self._time.now_ms() + duration_ms
        self._resume = resume
        self.is_stuck = False

    def stand_still(self) -> None:
        """It will never go on."""
        self.wait(FOR_EVER, lambda has_news: self.stand_still())

    def go_on(self) -> None:
        resume, self._resume = self._resume, None
        assert resume is not None
        has_news = not self.has_looked
        self.until_ms = math.inf
        self.has_looked = True
        resume(has_news)

    def end(self) -> None:
        """It is being ended: that takes no time."""
        self._resume = None
        self.connection = None


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self, time: SimulatedTime) -> None:
        self._simulated = time
        super().__init__(_Selector(time))

    def time(self) -> float:
        return self._simulated.now_ms() / 1000

    def run_in_executor(self, executor: Executor | None, func: Callable[..., T], *args: Any) -> asyncio.Future[T]:  # type: ignore[override]
        job = super().run_in_executor(executor, func, *args)
        self._simulated.job(1)
        job.add_done_callback(lambda _: self._simulated.job(-1))
        return job


class _Selector(selectors.DefaultSelector):
    """Where the loop would wait until its next deadline, the deadline comes instead; but first whoever has something to do."""

    def __init__(self, time: SimulatedTime) -> None:
        super().__init__()
        self._simulated = time
        self._polled: dict[int, int] = {}  # by the poll object, file number -> events
        self._poll = select.poll()
        self._own = -1  # by which threads and signals wake the loop: the loop registers it before all others

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        key = super().register(fileobj, events, data)
        if self._own < 0:
            self._own = key.fd
        return key

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        time = self._simulated
        is_busy = timeout is not None and timeout <= 0
        if is_busy:
            time.stir()
        while True:
            running = time.running()
            if running and (files := self._joined(running)):
                asked = self._asked(files, 0 if is_busy else STUCK_S)
                if asked or is_busy:
                    return asked
                for guest in running:
                    guest.is_stuck = True
            ready = super().select(0)
            if not ready and time.is_held and not is_busy:
                ready = super().select(None)
            if ready or is_busy:
                time.stir()
                return ready
            due_ms = math.inf if timeout is None else time.now_ms() + max(1, math.ceil(timeout * 1000 - 1e-3))
            next_guest = time.next_guest(due_ms)
            if next_guest is not None:
                next_guest.go_on()
                continue
            time.stir()
            if due_ms == math.inf:  # nobody waits for a time
                return super().select(None)
            time.advance(int(due_ms) - time.now_ms())
            return []

    def _joined(self, guests: list[Guest]) -> dict[int, selectors.SelectorKey]:
        """Where all of these guests ask, and what wakes the loop itself; nowhere, while one of them has no connection."""
        keys = {self._own: self.get_key(self._own)}
        for guest in guests:
            key = None if guest.connection is None else self.get_map().get(guest.connection)
            if key is None:
                return {}
            keys[key.fd] = key
        return keys

    def _asked(self, keys: dict[int, selectors.SelectorKey], limit_s: float) -> list[tuple[selectors.SelectorKey, int]]:
        """What there is to read from these."""
        files = {file: sum(of_poll for of_loop, of_poll in EVENTS.items() if key.events & of_loop) for file, key in keys.items()}
        if files != self._polled:  # making it anew each time would cost as much as what is asked
            self._polled = files
            self._poll = select.poll()
            for file, events in files.items():
                self._poll.register(file, events)
        ready = []
        for file, events in self._poll.poll(limit_s * 1000):
            told = sum(of_loop for of_loop, of_poll in EVENTS.items() if events & (of_poll | select.POLLERR | select.POLLHUP))
            ready.append((keys[file], told & keys[file].events))
        return ready
