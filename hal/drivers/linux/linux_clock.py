"""Driver: monotonic time from the kernel, and the time of day from the machine's clock as far as that deserves to be believed.

Who is right is as docs/decisions/0008-clock.md has it, with the machine's own clock in the place of the RTC:

* It is believed if it is synchronised over the network, or if a real-time clock with a battery has set it. A terminal that is synchronised
  only after its start believes it from then on.
* A signed time is not written to it, for which it would take root: how far the machine's clock is off is kept until the program ends.
* When the machine's clock moves otherwise than time goes by, somebody has set it: `jumped`. That the network sets it right is no jump.
* The real-time clock itself is looked at, too: whether its battery has kept the time, and whether it runs.

Certificates are judged by this clock, and not by the machine's (firmware_agent/links/tcp_cpython.py).
"""

import asyncio
import calendar
import ctypes
import errno
import os
import time

from hal.clock import CONTRACT
from hal.drivers.system_clock import _FIRST_S, _LOOK_MS, _LOOKS, SystemClock
from hal.errors import E_NOHARDWARE, DeviceError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

RTC_FOLDER = "/sys/class/rtc"  # Documentation/ABI/testing/sysfs-class-rtc
TIMESYNC_FILE = "/run/systemd/timesync/synchronized"  # there once systemd-timesyncd has set the clock (systemd-timesyncd.service(8))
_STA_UNSYNC = 0x0040  # <linux/timex.h>


async def sleep_ms(duration_ms: int) -> None:
    await asyncio.sleep(duration_ms / 1000)


def kernel_status() -> int:
    """The status bits of the kernel's clock, STA_ of <linux/timex.h>. Raises OSError where a sandbox keeps them from the program."""
    answer = _Timex()
    if ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(answer)) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return int(answer.status)


class _Timex(ctypes.Structure):
    """struct timex of adjtimex(2) as far as it is read; modes 0 changes nothing, which anybody may."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 256),
    )


class Machine:
    """What the kernel tells of time. rtc_folder, timesync_file, status: where it tells it."""

    def __init__(
        self, rtc_folder: str = RTC_FOLDER, timesync_file: str = TIMESYNC_FILE, status: "Callable[[], int]" = kernel_status
    ) -> None:
        self._rtc_folder = rtc_folder
        self._timesync_file = timesync_file
        self._status = status

    def ticks_ms(self) -> int:
        """Goes on while the machine sleeps, and never wraps."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000000

    def ticks_diff(self, later: int, earlier: int) -> int:
        return later - earlier

    def wall_s(self) -> int:
        return int(time.time())

    def is_synchronised(self) -> bool:
        """Over the network, and since boot."""
        try:
            if not self._status() & _STA_UNSYNC:
                return True
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.EACCES, errno.ENOSYS):
                raise DeviceError(E_NOHARDWARE, CONTRACT.kind, "the kernel does not tell of its clock: %s" % error.strerror) from error
        return os.path.exists(self._timesync_file)

    def rtc_s(self) -> "int | None":
        """What the real-time clock that has set the machine's shows, in seconds since 1970; 0 for no time at all; None where there is none.

        Raises DeviceError E_NOHARDWARE when it does not answer.
        """
        try:
            names = os.listdir(self._rtc_folder)
        except FileNotFoundError:
            return None
        for name in sorted(names):
            folder = "%s/%s/" % (self._rtc_folder, name)
            try:
                if _read(folder + "hctosys") == "1":
                    return int(_read(folder + "since_epoch"))
            except OSError as error:
                if error.errno == errno.EINVAL:  # the registers hold no time
                    return 0
                raise DeviceError(E_NOHARDWARE, CONTRACT.kind, "%s does not answer: %s" % (name, error.strerror)) from error
        return None


class _TimeOfDay:
    """The machine's time of day with the call of machine.RTC; setting it keeps how far it is off."""

    part = "linux_clock"

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._off_s = 0

    @property
    def lost_power(self) -> bool:
        """Whether nobody who knows the time has set the machine's clock."""
        rtc_s = self._machine.rtc_s()
        return not self._machine.is_synchronised() and (rtc_s is None or rtc_s < _FIRST_S)

    def datetime(self, fields: "tuple[int, ...] | None" = None) -> "tuple[int, ...] | None":
        if fields is None:
            now = time.gmtime(self._machine.wall_s() + self._off_s)
            return (now.tm_year, now.tm_mon, now.tm_mday, now.tm_wday, now.tm_hour, now.tm_min, now.tm_sec, 0)
        year, month, day, _, hours, minutes, seconds, _ = fields
        self._off_s = calendar.timegm((year, month, day, hours, minutes, seconds)) - self._machine.wall_s()
        return None


class LinuxClock(SystemClock):
    """machine: what tells of time; sleep_ms: how to wait."""

    part = _TimeOfDay.part

    def __init__(self, machine: "Machine | None" = None, sleep_ms: "Callable[[int], Awaitable[None]]" = sleep_ms) -> None:
        self._machine = machine or Machine()
        super().__init__(self._machine, _TimeOfDay(self._machine), sleep_ms)
        self._tls_rtc = None
        self._was_synchronised = False

    def _judge(self) -> None:
        is_synchronised = self._machine.is_synchronised()
        if is_synchronised and not self._was_synchronised:
            self._is_read = self._agrees = False  # the network has set it: another clock, of which nothing is known yet
        self._was_synchronised = is_synchronised
        rtc_s = self._machine.rtc_s()
        self._keeps_time = rtc_s is not None
        if rtc_s is not None and rtc_s < _FIRST_S:
            self._found = "time_lost"  # though the network may have set it right since
        super()._judge()

    async def _rtc_runs(self) -> bool:
        """The real-time clock's own seconds: the machine's clock has read it once, and goes by the ticks."""
        begun_s = self._machine.rtc_s()
        for _ in range(_LOOKS):
            await self.sleep_ms(_LOOK_MS)
            if self._machine.rtc_s() != begun_s:
                return True
        return False


def _read(path: str) -> str:
    with open(path) as file:
        return file.read().strip()
