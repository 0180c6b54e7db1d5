"""DS3231, Maxim's battery-backed clock on I2C (data sheet 19-5170, rev. 10): what a SystemClock takes the time from and gives it to."""

import errno

from hal.clock import CONTRACT
from hal.errors import E_FAILURE, E_ILLEGAL, E_NOHARDWARE, DeviceError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

ADDRESS = 0x68  # of every DS3231 ("Slave Address Byte")

# Registers: data sheet, figure 1 "Timekeeping Registers". 0x07..0x0d are alarms, which nobody here sets.
_SECONDS = 0x00  # then minutes, hours, day, date, month, year
_TIME_LENGTH = 7
_CONTROL = 0x0E
_STATUS = 0x0F
_READ_LENGTH = 0x10
_RESERVED = b"\x80\x80\x80\xf8\xc0\x60\x00"  # bits of the seven that are always 0
_CENTURY = 0x80  # in the month
_TWELVE_HOURS = 0x40  # in the hours
_AFTERNOON = 0x20  # in the hours, when they are of twelve
_RUN_ON_BATTERY = 0x1C  # control as at reset: EOSC 0 (the oscillator runs on the battery), alarms off
_STOPPED = 0x80  # status: OSF, the oscillator has stood still, so the time is worth nothing
_RESERVED_STATUS = 0x70
_NOBODY = 0xFF  # the level of the pull-ups, and no value of any register that is read here
_FIRST_YEAR = 2000  # century 0
_LAST_YEAR = 2199  # century 1

_TRIES = 4  # readings for two that agree; the time may go on once between them


class Ds3231:
    """An RTC with the call of machine.RTC. i2c: MicroPython's calls, up to 400 kHz; address: 7 bits.

    There is no check sum on this bus: a reading counts when the next one says the same, and what was written is read back.
    `lost_power`: whether the last reading found that the oscillator has stood still since the time was set.
    """

    part = "ds3231"
    keeps_time = True  # over a power cut: it has a battery

    def __init__(self, i2c: "Any", address: int = ADDRESS) -> None:
        self._i2c = i2c
        self._address = address
        self._now = bytearray(_READ_LENGTH)
        self._before = bytearray(_READ_LENGTH)
        self.lost_power = False

    def datetime(self, fields: "tuple[int, ...] | None" = None) -> "tuple[int, int, int, int, int, int, int, int] | None":
        """(year, month, day, weekday, hours, minutes, seconds, 0), Monday is 0; or set it, for the years 2000..2199.

        Raises DeviceError E_NOHARDWARE (nobody acknowledges, or nobody speaks), E_FAILURE (readings that differ, or are no time; it does
        not take the time), E_ILLEGAL (another year).
        """
        if fields is None:
            self._read()
            return _decoded(self._now)
        if not _FIRST_YEAR <= fields[0] <= _LAST_YEAR:
            raise DeviceError(E_ILLEGAL, CONTRACT.kind, "the year %d" % fields[0])
        written = _encoded(fields)
        for _ in range(2):  # a second time, should a second have gone by before it was read back
            self._write(_SECONDS, written)
            self._write(_CONTROL, bytes([_RUN_ON_BATTERY]))
            self._write(_STATUS, b"\x00")  # last: cut off before, the time stays lost
            self._read()
            if self._now[:_TIME_LENGTH] == written and not self.lost_power:
                return None
        raise DeviceError(E_FAILURE, CONTRACT.kind, "does not take the time: its oscillator stands still, or the bus is bad")

    def _read(self) -> None:
        """All registers at once, so that time and status belong together; they are in `_now`."""
        self._read_into(self._now)
        for _ in range(1, _TRIES):
            self._now, self._before = self._before, self._now
            self._read_into(self._now)
            if _agree(self._now, self._before):
                if self._now[_SECONDS] == self._now[_STATUS] == _NOBODY:
                    raise DeviceError(E_NOHARDWARE, CONTRACT.kind, "acknowledges, and says nothing")
                self.lost_power = bool(self._now[_STATUS] & _STOPPED)
                return
        raise DeviceError(E_FAILURE, CONTRACT.kind, "no two readings of the time agree")

    def _read_into(self, registers: bytearray) -> None:
        try:
            self._i2c.readfrom_mem_into(self._address, _SECONDS, registers)
        except OSError as error:
            raise self._nobody(error) from None

    def _write(self, register: int, data: bytes) -> None:
        try:
            self._i2c.writeto_mem(self._address, register, data)
        except OSError as error:
            raise self._nobody(error) from None

    def _nobody(self, error: OSError) -> DeviceError:
        what = "the bus is stuck" if error.errno == errno.ETIMEDOUT else "no acknowledge"
        return DeviceError(E_NOHARDWARE, CONTRACT.kind, "%s at 0x%02x (errno %s)" % (what, self._address, error.errno))


def _agree(left: bytearray, right: bytearray) -> bool:
    """Whether two readings show the same time and the same stop flag. A temperature conversion (BSY) may begin between them."""
    for position in range(_TIME_LENGTH):
        if left[position] != right[position]:
            return False
    return (left[_STATUS] ^ right[_STATUS]) & (_STOPPED | _RESERVED_STATUS) == 0


def _decoded(registers: bytearray) -> "tuple[int, int, int, int, int, int, int, int]":
    """Raises E_FAILURE for what is no time: then it was not the chip that spoke."""
    for position in range(_TIME_LENGTH):
        if registers[position] & _RESERVED[position]:
            raise _no_time(registers)
    if registers[_STATUS] & _RESERVED_STATUS:
        raise _no_time(registers)
    hours = registers[2]
    if hours & _TWELVE_HOURS:  # set so by another program: 12 is midnight, or noon
        hour = _number(registers, hours & 0x1F, 1, 12) % 12 + (12 if hours & _AFTERNOON else 0)
    else:
        hour = _number(registers, hours, 0, 23)
    return (
        _FIRST_YEAR + _number(registers, registers[6], 0, 99) + (100 if registers[5] & _CENTURY else 0),
        _number(registers, registers[5] & ~_CENTURY, 1, 12),
        _number(registers, registers[4], 1, 31),
        _number(registers, registers[3], 1, 7) - 1,
        hour,
        _number(registers, registers[1], 0, 59),
        _number(registers, registers[0], 0, 59),
        0,
    )


def _encoded(fields: "tuple[int, ...]") -> bytes:
    year, month, day, weekday, hours, minutes, seconds = fields[:7]
    century = _CENTURY if year >= _FIRST_YEAR + 100 else 0
    return bytes(
        [_bcd(seconds), _bcd(minutes), _bcd(hours), weekday + 1, _bcd(day), _bcd(month) | century, _bcd((year - _FIRST_YEAR) % 100)]
    )


def _bcd(value: int) -> int:
    return value // 10 << 4 | value % 10


def _number(registers: bytearray, bcd: int, lowest: int, highest: int) -> int:
    """The value of one field. Raises E_FAILURE when it is no BCD, or none that the field can have."""
    value = (bcd >> 4) * 10 + (bcd & 0x0F)
    if bcd & 0x0F > 9 or not lowest <= value <= highest:
        raise _no_time(registers)
    return value


def _no_time(registers: bytearray) -> DeviceError:
    shown = " ".join(["%02x" % register for register in registers[:_TIME_LENGTH]])
    return DeviceError(E_FAILURE, CONTRACT.kind, "no time: %s, status %02x" % (shown, registers[_STATUS]))
