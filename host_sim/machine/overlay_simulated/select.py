"""What `import select` finds in a MicroPython process whose time is simulated: what it waits for it waits for at the bench.

A look at a TLS socket costs a millisecond, for the runtime sleeps in it. So nobody looks where nothing can have come: nobody else runs
while this process does.
"""

import time  # the one beside this file

import uselect  # type: ignore[import-not-found]
from uselect import POLLERR, POLLHUP, POLLIN, POLLOUT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["POLLERR", "POLLHUP", "POLLIN", "POLLOUT", "poll"]


class poll:  # noqa: N801  as MicroPython has it
    def __init__(self) -> None:
        self._poll: Any = uselect.poll()
        self._has_changed = True  # what is polled, since the last look

    def register(self, stream: "Any", events: int = POLLIN | POLLOUT) -> None:
        self._has_changed = True
        self._poll.register(stream, events)

    def modify(self, stream: "Any", events: int) -> None:
        self._has_changed = True
        self._poll.modify(stream, events)

    def unregister(self, stream: "Any") -> None:
        self._poll.unregister(stream)

    def poll(self, timeout_ms: int = -1) -> "list[tuple[Any, int]]":
        self._has_changed = True
        return self._look() or self.ipoll(timeout_ms)

    def ipoll(self, timeout_ms: int = -1, flags: int = 0) -> "list[tuple[Any, int]]":
        """With 0, which is how asyncio asks as long as a task is ready to run, nothing: it asks again when none is."""
        until_ms = time.ticks_ms() + timeout_ms  # type: ignore[attr-defined]
        looks = self._has_changed
        while timeout_ms:
            ready = self._look() if looks else []
            if ready:
                return ready
            looks = time.wait(timeout_ms)  # type: ignore[attr-defined]
            if timeout_ms > 0:
                timeout_ms = max(0, until_ms - time.ticks_ms())  # type: ignore[attr-defined]
                if not timeout_ms and looks:
                    return self._look()
        return []

    def _look(self) -> "list[tuple[Any, int]]":
        self._has_changed = False
        ready: list[tuple[Any, int]] = self._poll.poll(0)
        return ready
