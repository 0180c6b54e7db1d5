"""Time that passes only where a program waits for it: tests and long runs in one process need no real waiting."""

from __future__ import annotations

import asyncio
import math
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

TICKS_PERIOD = 1 << 30  # where MicroPython's ticks_ms wraps
TICKS_HALF = TICKS_PERIOD // 2


class SimulatedTime:
    """The calls of MicroPython's time module that the terminal uses, and an event loop that jumps to the next deadline.

    Run the program with `run`. Where every task waits, time goes at once to the earliest deadline, so that a run gives the same
    each time. It is for programs in one process: while one waits for a socket or a thread, its deadlines still come at once.
    """

    def __init__(self, wall_s: int = 0, start_ms: int = 0) -> None:
        self._now_ms = start_ms
        self._wall_s = wall_s  # at the start

    def now_ms(self) -> int:
        """Milliseconds that never wrap: for a Bench."""
        return self._now_ms

    def ticks_ms(self) -> int:
        return self._now_ms % TICKS_PERIOD

    def ticks_diff(self, later: int, earlier: int) -> int:
        return (later - earlier + TICKS_HALF) % TICKS_PERIOD - TICKS_HALF

    def time(self) -> int:
        return self._wall_s + self._now_ms // 1000

    async def sleep_ms(self, duration_ms: int) -> None:
        """Only in a program run by `run`."""
        await asyncio.sleep(duration_ms / 1000)

    def advance(self, duration_ms: int) -> None:
        """Let time pass now; what was due in it runs when the running task next waits."""
        self._now_ms += duration_ms

    def run(self, program: Coroutine[Any, Any, T]) -> T:
        """As asyncio.run, in this time."""
        with asyncio.Runner(loop_factory=lambda: _Loop(self)) as runner:
            return runner.run(program)


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self, time: SimulatedTime) -> None:
        self._simulated = time
        super().__init__(_Selector(time))

    def time(self) -> float:
        return self._simulated.now_ms() / 1000


class _Selector(selectors.DefaultSelector):
    """Where the loop would wait until its next deadline, the deadline comes instead."""

    def __init__(self, time: SimulatedTime) -> None:
        super().__init__()
        self._simulated = time

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        ready = super().select(0)
        if not ready:
            self._simulated.advance(max(1, math.ceil(timeout * 1000 - 1e-3)))
        return ready
