"""The process as the agent's machine: how the start before it ended, how to start anew, and who the machine is.

What is kept in the state folder, beside the agent's own files:

* `running`: the kernel's boot id while the agent runs, gone after an end that was asked for. There with this boot's id, the process was
  killed, or crashed; with another's, or not there, the machine itself has been started since.
* `trace`: where the program was when a signal ended it. SIGABRT is how a service manager ends one that has not fed its watchdog.
"""

import contextlib
import errno
import faulthandler
import fcntl
import hmac
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hal.files import Files
    from hal.watchdog import Watchdog

RUNNING = "running"
TRACE = "trace"
BOOT_ID = "/proc/sys/kernel/random/boot_id"
MACHINE_ID = "/etc/machine-id"
# Names this program to sd_id128_get_machine_app_specific(3): of no use to find the machine's own id by.
APPLICATION_ID = bytes.fromhex("c1d2a96be7844c7fb27a0a4d6f3ce915")
MOST_TRACE_BYTES = 16384
TRACE_LINES = 20  # of what was running, in the log
_ABORTED = "Fatal Python error: Aborted"  # how faulthandler begins after SIGABRT


class Restart(BaseException):  # no error, which the agent would count as a crash
    """The agent asks for its process to end and to be started anew."""


class InUse(Exception):
    """Another process has the state folder."""


class Process:
    """What the agent uses of MicroPython's `machine`. files: the state folder; log: takes one line; boot_id: the kernel's; watchdog: see
    hal.watchdog, None where nobody watches.
    """

    PWRON_RESET = 1
    WDT_RESET = 2
    HARD_RESET = 3

    def __init__(self, files: "Files", log: "Callable[[str], None]", boot_id: str, watchdog: "Watchdog | None") -> None:
        self.watchdog = watchdog
        self._files = files
        self._log = log
        self._boot_id = boot_id
        self._cause = self.PWRON_RESET

    def begin(self) -> None:
        """Look at how the last start ended, and mark this one as running. A medium that takes no mark is the self-test's to find."""
        there = self._names()
        trace = self._read(TRACE, MOST_TRACE_BYTES) if TRACE in there else ""
        if RUNNING in there and self._read(RUNNING, len(self._boot_id)) == self._boot_id:
            self._cause = self.WDT_RESET if trace.startswith(_ABORTED) else self.HARD_RESET
        for line in trace.split("\n")[:TRACE_LINES]:
            if line:
                self._log("ended %s" % line)
        try:
            for name in (RUNNING, TRACE):
                if name in there:
                    self._files.remove(name)
            self._files.append(RUNNING, self._boot_id.encode())
            # Open for as long as the process lives: when a signal has come is too late to open it.
            faulthandler.enable(open(self._files.root + "/" + TRACE, "wb"))  # noqa: SIM115
        except OSError as error:
            self._log("this start could not be marked: %s" % error.strerror)

    def end(self) -> None:
        """This end was asked for."""
        faulthandler.disable()
        there = self._names()
        try:
            for name in (RUNNING, TRACE):
                if name in there:
                    self._files.remove(name)
        except OSError as error:
            self._log("this end could not be marked: %s" % error.strerror)

    def reset_cause(self) -> int:
        return self._cause

    def reset(self) -> None:
        raise Restart

    def _names(self) -> "list[str]":
        """A medium that cannot even be listed holds no mark."""
        try:
            return self._files.names()
        except OSError as error:
            self._log("the state folder could not be listed: %s" % error.strerror)
            return []

    def _read(self, name: str, most_bytes: int) -> str:
        """What cannot be read says nothing."""
        try:
            return str(self._files.read(name, 0, most_bytes), "utf-8", "replace")
        except OSError as error:
            self._log("%s could not be read: %s" % (name, error.strerror))
            return ""

    def unique_id(self) -> bytes:
        """16 bytes that tell this machine from others, and are of no use elsewhere; empty where the machine has no id."""
        return bytes.fromhex(hardware_id())


def hardware_id() -> str:
    """What tells this machine from others, in hexadecimal; '' where the machine has no id."""
    try:
        with open(MACHINE_ID, encoding="ascii") as file:
            return application_id(bytes.fromhex(file.read().strip())).hex()
    except (OSError, ValueError):  # none, or 'uninitialized' (machine-id(5))
        return ""


def application_id(machine_id: bytes) -> bytes:
    """As sd_id128_get_machine_app_specific(3): HMAC-SHA256 of the program's id by the machine's, 16 bytes of it, as a UUID of version 4."""
    made = bytearray(hmac.digest(machine_id, APPLICATION_ID, "sha256")[:16])
    made[6] = made[6] & 0x0F | 0x40
    made[8] = made[8] & 0x3F | 0x80
    return bytes(made)


def boot_id() -> str:
    """Of this boot of the kernel. Raises OSError."""
    with open(BOOT_ID, encoding="ascii") as file:
        return file.read().strip()


@contextlib.contextmanager
def sole_use(state: str) -> "Iterator[None]":
    """Have the state folder alone; it is made where it is not there. The folder itself is locked, as a full or read-only disk allows, too.

    Raises InUse; OSError where it cannot be used.
    """
    os.makedirs(state, mode=0o700, exist_ok=True)
    folder = os.open(state, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                raise InUse(state) from None
            raise
        yield
    finally:
        os.close(folder)
