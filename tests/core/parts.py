"""What the tests of the agent's core stand on: storage in memory that loses its power, time that jumps, keys, and a terminal."""

import asyncio
from hashlib import sha256

from hal.drivers.system_clock import SystemClock
from hal.errors import E_FAILURE, E_NOEXIST, DeviceError

NOW_S = 1795305600  # 2026-11-22 00:00:00 UTC


class PowerCut(Exception):
    """Not an error that anybody may handle: everything stops here."""


class Flash:
    """The five calls of hal.storage in memory. `writes` has the length of each append, and 0 for each removal that was asked for."""

    def __init__(self, files=None):
        self.files = {}
        for name, data in (files or {}).items():
            self.files[name] = bytearray(data)
        self.writes = []
        self.capacity_bytes = None  # of all files together
        self.broken = False  # writes fail, and what is there can be read
        self.keep_of_broken = 0  # bytes of an append that come to stay though it fails
        self._cut_at = None
        self._keep_bytes = 0
        self._powered = True

    def cut(self, write, keep_bytes):
        """The power goes in the write-th write from now (1 is the next); of an append keep_bytes stay, a removal happens unless it is 0."""
        self._cut_at = len(self.writes) + write
        self._keep_bytes = keep_bytes

    def power_up(self):
        self._powered = True
        self._cut_at = None

    def names(self):
        self._require_power()
        return sorted(self.files)

    def size(self, name):
        return len(self._file(name))

    def read(self, name, offset, length):
        return bytes(memoryview(self._file(name))[offset : offset + length])

    def append(self, name, data):
        self._require_power()
        if self.capacity_bytes is not None and sum([len(file) for file in self.files.values()]) + len(data) > self.capacity_bytes:
            raise DeviceError(E_FAILURE, "storage", "full")
        if self.broken:
            if self.keep_of_broken:
                self._add(name, data[: self.keep_of_broken])
            raise DeviceError(E_FAILURE, "storage", "broken")
        self.writes.append(len(data))
        if len(self.writes) == self._cut_at:
            if self._keep_bytes:
                self._add(name, data[: self._keep_bytes])
            self._lose_power()
        self._add(name, data)

    def remove(self, name):
        self._require_power()
        if self.broken:
            raise DeviceError(E_FAILURE, "storage", "broken")
        self.writes.append(0)
        cut = len(self.writes) == self._cut_at
        if name in self.files and not (cut and self._keep_bytes == 0):
            del self.files[name]
        if cut:
            self._lose_power()

    def _add(self, name, data):
        if name not in self.files:
            self.files[name] = bytearray()
        self.files[name].extend(data)

    def _file(self, name):
        self._require_power()
        if name not in self.files:
            raise DeviceError(E_NOEXIST, "storage", name)
        return self.files[name]

    def _require_power(self):
        if not self._powered:
            raise PowerCut()

    def _lose_power(self):
        self._powered = False
        raise PowerCut()


SETTLE_TURNS = 60  # of the event loop, after which everything that could go on has
STUCK_TURNS = 2000


class Time:
    """MicroPython's time module as the clock uses it. Where everything waits, time goes at once to the next deadline."""

    def __init__(self):
        self.now_ms = 0
        self._sleepers = []

    def ticks_ms(self):
        return self.now_ms

    def ticks_diff(self, later, earlier):
        return later - earlier

    async def sleep_ms(self, duration_ms):
        sleeper = (self.now_ms + max(0, duration_ms), asyncio.Event())
        self._sleepers.append(sleeper)
        try:
            await sleeper[1].wait()
        finally:
            if sleeper in self._sleepers:
                self._sleepers.remove(sleeper)

    def run(self, program):
        """As asyncio.run, in this time. What the program leaves running is to be cancelled by it."""
        return asyncio.run(self._run(program))

    async def _run(self, program):
        task = asyncio.create_task(program)
        driver = asyncio.create_task(self._drive(task))
        try:
            return await task
        finally:
            driver.cancel()

    async def _drive(self, program):
        idle_turns = 0
        while True:
            for _ in range(SETTLE_TURNS):
                await asyncio.sleep(0)
            idle_turns += SETTLE_TURNS
            if self._sleepers:
                idle_turns = 0
                self.now_ms = max(self.now_ms, min([deadline for deadline, _ in self._sleepers]))
                for sleeper in list(self._sleepers):
                    if sleeper[0] <= self.now_ms:
                        self._sleepers.remove(sleeper)
                        sleeper[1].set()
            elif idle_turns > STUCK_TURNS:
                program.cancel()  # everything waits, and nothing will ever happen: the test fails instead of hanging
                return


class Rtc:
    def __init__(self, fields):
        self.fields = fields

    def datetime(self, fields=None):
        if fields is not None:
            self.fields = fields
        return self.fields


def clock(time=None, is_set=True):
    """A real clock on `time`, at NOW_S, or not set."""
    time = time or Time()
    rtc = Rtc((2026, 11, 22, 6, 0, 0, 0, 0) if is_set else (2000, 1, 1, 5, 0, 0, 0, 0))
    device = SystemClock(time, rtc, time.sleep_ms)
    device.open()
    device.claim()
    try:
        device.enable().send(None)  # it waits for nothing, so that a clock can be had where a loop runs already
    except StopIteration:
        pass
    return device


class QuickCurve:
    """For tests in which signing is not the point: any 32 bytes are a key, and who knows a public key can sign for it."""

    def is_private_key(self, private):
        return True

    def is_public_key(self, public):
        return True

    def public_key(self, private):
        return sha256(private).digest() * 2

    def sign(self, private, digest):
        return sha256(self.public_key(private) + digest).digest() * 2

    def verify(self, public, digest, signature):
        return signature == sha256(public + digest).digest() * 2

    def agree(self, private, public):
        return sha256(self.public_key(private) + public).digest()


def enabled(device):
    """The device, opened, claimed and enabled."""
    device.open()
    device.claim()
    asyncio.run(device.enable())
    return device
