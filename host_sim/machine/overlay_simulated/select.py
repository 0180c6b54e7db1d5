"""What `import select` finds in a MicroPython process whose time is simulated: it polls, and what it waits for it waits for at the bench."""

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
        self.register = self._poll.register
        self.modify = self._poll.modify
        self.unregister = self._poll.unregister

    def poll(self, timeout_ms: int = -1) -> "Any":
        self._wait(timeout_ms)
        return self._poll.poll(0)

    def ipoll(self, timeout_ms: int = -1, flags: int = 0) -> "Any":
        self._wait(timeout_ms)
        return self._poll.ipoll(0, flags)

    def _wait(self, timeout_ms: int) -> None:
        until_ms = time.ticks_ms() + timeout_ms  # type: ignore[attr-defined]
        while timeout_ms and not self._poll.poll(0):
            time.wait(timeout_ms)  # type: ignore[attr-defined]
            if timeout_ms > 0:
                timeout_ms = max(0, until_ms - time.ticks_ms())  # type: ignore[attr-defined]
