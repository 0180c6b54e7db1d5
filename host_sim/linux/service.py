"""What a service manager does for the agent: starts it, hears its notifications, ends it when it stands still, starts it again."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

NOTIFICATION_BYTES = 4096
LOOK_S = 0.1
ABORT_S = 2.0  # TimeoutAbortSec: for it to tell where it stood
RESTART_S = 0.1  # systemd's RestartSec
WRONG_USAGE = 2  # RestartPreventExitStatus: it would only say the same again


class Service:
    """command, environment: of the process; folder: where the socket for its notifications lies; heard: takes each line that it prints.

    ready: it has said so since it was started; restarts: how often it was started again; status: the last that it told of itself.
    """

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], folder: Path, watchdog_s: float, heard: Callable[[str], None]
    ) -> None:
        self._command = command
        self._environment = dict(environment)
        self._socket_path = folder / "notify"
        self._watchdog_s = watchdog_s
        self._heard = heard
        self._fed_s = 0.0
        self.process: asyncio.subprocess.Process | None = None
        self.ready = False
        self.restarts = 0
        self.status = ""

    async def run(self) -> int:
        """Until it ends by itself with exit code 0, or is not to be started again; gives the code. When it is cancelled, it is killed."""
        self._socket_path.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as notifications:
            notifications.bind(str(self._socket_path))
            loop = asyncio.get_running_loop()
            loop.add_reader(notifications, self._notified, notifications)
            try:
                while code := await self._run_once():
                    if code == WRONG_USAGE:
                        return code
                    self.restarts += 1
                    await asyncio.sleep(RESTART_S)
                return 0
            finally:
                loop.remove_reader(notifications)

    async def _run_once(self) -> int:
        self.ready = False
        process = self.process = await asyncio.create_subprocess_exec(
            *self._command,
            env=self._environment | {"NOTIFY_SOCKET": str(self._socket_path), "WATCHDOG_USEC": str(int(self._watchdog_s * 1_000_000))},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        self._fed_s = time.monotonic()
        watch = asyncio.create_task(self._watch(process))
        try:
            assert process.stdout is not None
            while line := await process.stdout.readline():
                self._heard(line.decode(errors="replace").rstrip())
            return await process.wait()
        finally:
            watch.cancel()
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()

    async def _watch(self, process: asyncio.subprocess.Process) -> None:
        """A process that does not say for too long that it is alive is ended, as WatchdogSec does."""
        while True:
            await asyncio.sleep(LOOK_S)
            if self.ready and time.monotonic() - self._fed_s > self._watchdog_s:
                process.send_signal(signal.SIGABRT)
                await asyncio.sleep(ABORT_S)
                process.kill()
                return

    def _notified(self, notifications: socket.socket) -> None:
        for line in notifications.recv(NOTIFICATION_BYTES).decode(errors="replace").splitlines():
            name, _, value = line.partition("=")
            if name == "READY":
                self.ready = True
            elif name == "STATUS":
                self.status = value
            if name in ("READY", "WATCHDOG"):
                self._fed_s = time.monotonic()
