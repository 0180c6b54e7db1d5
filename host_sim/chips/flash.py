"""A terminal's flash: what a medium does to whoever uses it, and a small file system on it, in memory, with power cuts at any write."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

from host_sim.chips.faces import Chip, Fault

READ, APPEND, REMOVE = 0, 1, 2  # what is asked of the medium
WRONG_BIT = 0x01  # of a byte, with those faults


class PowerCut(BaseException):
    """The power went: nothing of the running program goes on. Not an Exception, so that no program can handle it."""


class FlashChip(Chip):
    """The medium under a folder of files, which the terminal's own process writes: it is asked before each call (machine/flash.py).

    folder: set by whoever runs a terminal on it; without one, nothing is there to rot. power_goes: the write is admitted after which the
    power is to be cut.
    """

    FAULTS = {
        "full": Fault("there is no room for a single byte more", "full"),
        "worn": Fault("writes fail with EIO; what is there can be read", "not_writable"),
        "weak_cells": Fault("of all that is written, the last byte reads otherwise by one bit", "wrong_data"),
        "rotten": Fault("a byte in the middle of the largest file changes, once, when this is switched on", "damaged"),
        "dead": Fault("every call fails with EIO", "no_answer"),
    }

    def __init__(self, now_ms: Callable[[], int]) -> None:
        super().__init__(now_ms)
        self.folder: Path | None = None
        self.power_goes = False
        self._writes_left = 0

    def power_cut(self, after_write: int = 1) -> None:
        """Have the power cut when that many writes are done, counted from now: 1 is the next."""
        self._writes_left = after_write

    def power_up(self) -> None:
        self.power_goes = False
        self._writes_left = 0

    def fault(self, name: str, on: bool = True) -> None:
        super().fault(name, on)
        if name == "rotten" and on:
            self.rot()

    def rot(self) -> None:
        """See rot_in."""
        if self.folder is not None:
            rot_in(self.folder)

    def admit(self, call: int) -> int:
        """What the medium says to a call (READ, APPEND, REMOVE): the bits that come out wrong in the last byte. Raises OSError."""
        if self.has("dead") or (self.has("worn") and call != READ):
            raise OSError(errno.EIO, "Input/output error")
        if self.has("full") and call == APPEND:
            raise OSError(errno.ENOSPC, "No space left on device")
        if call != READ and self._writes_left:
            self._writes_left -= 1
            self.power_goes = not self._writes_left
        return WRONG_BIT if self.has("weak_cells") and call == APPEND else 0


def rot_in(folder: Path) -> None:
    """Change a byte in the middle of the largest file of a terminal's memory. Switching the fault off does not bring it back."""
    files = sorted((file for file in folder.iterdir() if file.is_file()), key=lambda file: file.stat().st_size)
    if files:
        content = bytearray(files[-1].read_bytes())
        _change(content)
        files[-1].write_bytes(content)


def _change(content: bytearray) -> None:
    if content:
        content[len(content) // 2] ^= WRONG_BIT


class Flash(FlashChip):
    """The calls of hal.files.Files. capacity_bytes: of all files together. `writes` counts the appends and removals that began."""

    def __init__(self, capacity_bytes: int = 1 << 20) -> None:
        super().__init__(lambda: 0)
        self.capacity_bytes = capacity_bytes
        self.files: dict[str, bytearray] = {}
        self.writes = 0
        self._cut_at: int | None = None
        self._keep_bytes = 0
        self._powered = True

    # The back face.

    def power_cut(self, after_write: int = 1, keep_bytes: int = 0) -> None:
        """Cut the power in the after_write-th write from now (1 is the next).

        Of an append the first keep_bytes bytes stay; a remove has happened unless keep_bytes is 0.
        """
        self._cut_at = self.writes + after_write
        self._keep_bytes = keep_bytes

    def power_up(self) -> None:
        self._powered = True
        self._cut_at = None

    def rot(self) -> None:
        if self.files:
            _change(max(self.files.values(), key=len))

    # The calls of hal.files.Files.

    def names(self) -> list[str]:
        self._call(READ)
        return sorted(self.files)

    def size(self, name: str) -> int:
        self._call(READ)
        return len(self._file(name))

    def free_kib(self) -> int:
        self._call(READ)
        return 0 if self.has("full") else (self.capacity_bytes - self._used_bytes()) // 1024

    def read(self, name: str, offset: int, length: int) -> bytes:
        self._call(READ)
        return bytes(self._file(name)[offset : offset + length])

    def append(self, name: str, data: bytes | bytearray | memoryview) -> None:
        wrong_bits = self._call(APPEND)
        if self._used_bytes() + len(data) > self.capacity_bytes:
            raise OSError(errno.ENOSPC, "No space left on device")
        cut = self._begin_write()
        written = bytes(data)[: self._keep_bytes] if cut else bytes(data)
        if written:
            written = written[:-1] + bytes([written[-1] ^ wrong_bits])
        if written or not cut:
            self.files.setdefault(name, bytearray()).extend(written)
        self._end_write(cut)

    def remove(self, name: str) -> None:
        self._call(REMOVE)
        self._file(name)
        cut = self._begin_write()
        if not cut or self._keep_bytes:
            del self.files[name]
        self._end_write(cut)

    def _file(self, name: str) -> bytearray:
        if name not in self.files:
            raise OSError(errno.ENOENT, "No such file or directory")
        return self.files[name]

    def _used_bytes(self) -> int:
        return sum(map(len, self.files.values()))

    def _call(self, call: int) -> int:
        if not self._powered:
            raise PowerCut("there is no power")
        return self.admit(call)

    def _begin_write(self) -> bool:
        """Count a write; whether the power goes in it."""
        self.writes += 1
        return self.writes == self._cut_at

    def _end_write(self, cut: bool) -> None:
        if cut:
            self._powered = False
            raise PowerCut("the power went during a write")
