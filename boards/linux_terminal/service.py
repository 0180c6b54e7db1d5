"""What a service manager is told, and where the log goes: systemd's own sockets, spoken to in a few lines.

Sources: sd_notify(3) and sd_watchdog_enabled(3); systemd.exec(5) for JOURNAL_STREAM; https://systemd.io/JOURNAL_NATIVE_PROTOCOL.
"""

import os
import socket
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

JOURNAL = "/run/systemd/journal/socket"
IDENTIFIER = "reinstate-agent"
STDERR = 2
MOST_LINE = 1000  # characters of a line of the log

# Priorities of syslog(3), and the first word of a line that has another than that of what goes by.
CRITICAL, WARNING, INFORMATION = 2, 4, 6
_PRIORITIES = {
    "crash": CRITICAL,
    "bring-up": WARNING,
    "degraded": WARNING,
    "diagnosis": WARNING,
    "display": WARNING,
    "failed": WARNING,
    "network": WARNING,
    "refused": WARNING,
    "safe": WARNING,
}
# What the manager shows as the service's status: the lines that say how the terminal is.
_STATUS = ("boot", "crash", "degraded", "link", "safe", "state")


class Manager:
    """The service manager, by the environment that it gave; none is told anything where there is none.

    It is the Hal's watchdog as well: contract in hal/watchdog.py. limit_ms: 0 where the manager does not watch.
    """

    def __init__(self, environment: "Mapping[str, str]") -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        if self._address.startswith("@"):  # a name that is not in the file system
            self._address = "\0" + self._address[1:]
        self.limit_ms = 0
        limit_us = environment.get("WATCHDOG_USEC", "")
        if self._address and limit_us.isdecimal() and environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid()):
            self.limit_ms = int(limit_us) // 1000

    def start(self) -> None:
        """The agent runs, and feeds from now on."""
        self.tell("READY=1", "WATCHDOG=1")

    def feed(self) -> None:
        self.tell("WATCHDOG=1")

    def tell(self, *words: str) -> None:
        """One message. A manager that cannot be told ends this process when its time is over, and that is what it is for."""
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
            told.setblocking(False)
            try:
                told.sendto("\n".join(words).encode(), self._address)
            except OSError as error:
                print("the service manager cannot be told: %s" % error.strerror, file=sys.stderr, flush=True)


class Log:
    """Takes the agent's lines: to the journal with their fields where this process writes to it, else to stdout. manager: is shown those
    that say how the terminal is.
    """

    def __init__(self, environment: "Mapping[str, str]", manager: Manager, journal: str = JOURNAL) -> None:
        self._manager = manager
        self._journal = journal
        self._to_journal = _is_stream(environment.get("JOURNAL_STREAM", ""), STDERR)

    def __call__(self, line: str) -> None:
        line = "".join([character if character.isprintable() else "?" for character in line[:MOST_LINE]])
        event = line.split(" ")[0].rstrip(":")
        if event in _STATUS:
            self._manager.tell("STATUS=" + line)
        if not self._to_journal or not self._sent(journal_entry(line, event)):
            print(line, flush=True)

    def _sent(self, entry: bytes) -> bool:
        """The journal may be restarting, or have no room: the line then goes the way of a service that knows no journal."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
            told.setblocking(False)
            try:
                told.sendto(entry, self._journal)
            except OSError:
                return False
        return True


def journal_entry(line: str, event: str) -> bytes:
    """The fields of one line without line breaks, as the journal's native protocol has them. event: its first word."""
    fields = {
        "MESSAGE": line,
        "PRIORITY": str(_PRIORITIES.get(event, INFORMATION)),
        "SYSLOG_IDENTIFIER": IDENTIFIER,
        "REINSTATE_EVENT": event,
    }
    if event == "diagnosis":  # component and cause
        for name, value in zip(("REINSTATE_COMPONENT", "REINSTATE_CAUSE"), line.split(" ")[1:3], strict=False):
            fields[name] = value
    return "".join(["%s=%s\n" % field for field in fields.items()]).encode()


def _is_stream(told: str, descriptor: int) -> bool:
    """Whether a descriptor is the stream that the manager tells of, as DEVICE:INODE."""
    status = os.fstat(descriptor)
    return told == "%d:%d" % (status.st_dev, status.st_ino)
