"""Model of a small file system on flash: the calls of hal.files.Files, in memory, with power cuts at any write."""

from __future__ import annotations

import errno

from host_sim.chips.faces import Chip


class PowerCut(BaseException):
    """The power went: nothing of the running program goes on. Not an Exception, so that no program can handle it."""


class Flash(Chip):
    """capacity_bytes: of all files together. `writes` counts the appends and removals that the medium began."""

    FAULTS = {
        "full": "there is no room for a single byte more",
        "worn": "writes fail with EIO; what is there can be read",
        "dead": "every call fails with EIO",
    }

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

    # The calls of hal.files.Files.

    def names(self) -> list[str]:
        self._require_power()
        return sorted(self.files)

    def size(self, name: str) -> int:
        self._require_power()
        return len(self._file(name))

    def read(self, name: str, offset: int, length: int) -> bytes:
        self._require_power()
        return bytes(self._file(name)[offset : offset + length])

    def append(self, name: str, data: bytes | bytearray | memoryview) -> None:
        self._require_power()
        if self.has("full") or sum(map(len, self.files.values())) + len(data) > self.capacity_bytes:
            raise OSError(errno.ENOSPC, "No space left on device")
        cut = self._begin_write()
        written = bytes(data)[: self._keep_bytes] if cut else bytes(data)
        if written or not cut:
            self.files.setdefault(name, bytearray()).extend(written)
        self._end_write(cut)

    def remove(self, name: str) -> None:
        self._require_power()
        self._file(name)
        cut = self._begin_write()
        if not cut or self._keep_bytes:
            del self.files[name]
        self._end_write(cut)

    def _file(self, name: str) -> bytearray:
        if name not in self.files:
            raise OSError(errno.ENOENT, "No such file or directory")
        return self.files[name]

    def _require_power(self) -> None:
        if not self._powered:
            raise PowerCut("there is no power")
        if self.has("dead"):
            raise OSError(errno.EIO, "Input/output error")

    def _begin_write(self) -> bool:
        """Count a write; whether the power goes in it."""
        if self.has("worn"):
            raise OSError(errno.EIO, "Input/output error")
        self.writes += 1
        return self.writes == self._cut_at

    def _end_write(self, cut: bool) -> None:
        if cut:
            self._powered = False
            raise PowerCut("the power went during a write")
