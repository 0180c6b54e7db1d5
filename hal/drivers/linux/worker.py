"""Calls that block, in a thread of their own, so that a device that hangs never holds up the event loop."""

import asyncio
import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from hal.clock import Clock

    T = TypeVar("T")


class Worker:
    """The blocking calls of one device, one after the other, in one thread that is made at the first call.

    A call that is over its time is given up: its thread ends when the call returns, if ever, its result is dropped, and the next call gets
    a new thread. The threads do not keep the program from ending.
    """

    def __init__(self, name: str, clock: "Clock") -> None:
        self._name = name
        self._clock = clock
        self._loop: asyncio.AbstractEventLoop | None = None  # of the thread

    async def call(self, function: "Callable[[], T]", timeout_ms: int) -> "T":
        """What `function()` gives or raises. Raises OSError(ETIMEDOUT) when the time is over."""
        loop = self._loop
        if loop is None:
            loop = self._loop = asyncio.new_event_loop()
            threading.Thread(target=_serve, args=(loop,), name=self._name, daemon=True).start()

        ended = asyncio.Event()
        given_up = False

        async def called() -> "T":
            if given_up:  # while another call held the thread
                raise asyncio.CancelledError
            try:
                return function()
            finally:
                here.call_soon_threadsafe(ended.set)

        here = asyncio.get_running_loop()
        future = asyncio.run_coroutine_threadsafe(called(), loop)
        try:
            await self._clock.wait_for(ended.wait(), timeout_ms)
        finally:
            if not ended.is_set():  # out of time, or cancelled: nobody waits for it any more
                given_up = True
                future.cancel()
                self.stop()
        return await asyncio.wrap_future(future)

    def stop(self) -> None:
        """Let the thread end; the next call makes a new one."""
        loop, self._loop = self._loop, None
        if loop is not None:
            loop.call_soon_threadsafe(loop.stop)


def _serve(loop: "asyncio.AbstractEventLoop") -> None:
    """The thread. A call that was given up may end after the loop that waited for it."""
    loop.run_forever()
    loop.run_until_complete(asyncio.sleep(0))  # calls that waited behind the one that was given up: they see it, and end
    loop.close()
