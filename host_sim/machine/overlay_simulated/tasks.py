"""The tasks of MicroPython's asyncio, in the order of the time that this process goes by; those of the same millisecond as they came.

Keeps to the calls of the built-in module `_asyncio`, which asyncio's core is written to.
"""

from time import ticks_diff, ticks_ms  # type: ignore[attr-defined]  # the one beside this file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any

_RUNNING = True  # state: and nobody waits for it; a TaskQueue of those who do; a function that is told of its end
_FINISHED = (False, None)  # state: with an end that somebody has heard of, or nobody


class TaskQueue:
    def __init__(self) -> None:
        self._tasks: list[Task] = []

    def peek(self) -> "Task | None":
        return self._tasks[0] if self._tasks else None

    def push(self, task: "Task", ticks: "int | None" = None) -> None:
        """ticks: when it is to run; now, unless given."""
        task.data = None
        task.ph_key = ticks_ms() if ticks is None else ticks
        at = len(self._tasks)
        while at and ticks_diff(self._tasks[at - 1].ph_key, task.ph_key) > 0:
            at -= 1
        self._tasks.insert(at, task)

    def pop(self) -> "Task":
        return self._tasks.pop(0)

    def remove(self, task: "Task") -> None:
        self._tasks.remove(task)


class Task:
    """data: the queue in which it waits, the exception that it is to end with, or what it ended with; ph_key: when it is to run."""

    def __init__(self, coro: "Coroutine[Any, Any, Any]", globals: "dict[str, Any] | None" = None) -> None:
        self.coro = coro
        self.data: Any = None
        self.state: Any = _RUNNING
        self.ph_key = 0

    # Whoever awaits it: the first turn joins the queue, the second one takes the end.

    def __iter__(self) -> "Task":
        if self.done():
            self.state = False
        elif self.state is _RUNNING:
            self.state = TaskQueue()
        elif not isinstance(self.state, TaskQueue):
            raise RuntimeError("can't wait")
        return self

    def __next__(self) -> None:
        from asyncio import core  # type: ignore[attr-defined]  # which imports this file

        if self.done():
            raise self.data
        self.state.push(core.cur_task)
        core.cur_task.data = self

    def done(self) -> bool:
        return self.state in _FINISHED

    def cancel(self) -> bool:
        from asyncio import core  # type: ignore[attr-defined]

        if self.done():
            return False
        if self is core.cur_task:
            raise RuntimeError("can't cancel self")
        task = self
        while isinstance(task.data, Task):  # what it waits for is what is cancelled
            task = task.data
        if hasattr(task.data, "remove"):
            task.data.remove(task)
            core._task_queue.push(task)
        elif core.ticks_diff(task.ph_key, core.ticks()) > 0:
            core._task_queue.remove(task)
            core._task_queue.push(task)
        task.data = core.CancelledError
        return True
