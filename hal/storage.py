"""Contract: storage. Flat files of bytes that grow at the end; what the power-safe store is built on.

Level 1: `names()` lists the files; `size(name)` bytes; `read(name, offset, length)` gives at most length bytes; `append(name, data)` adds
  at the end, making the file where it is not, and is durable when it returns; `remove(name)` (no error when it is not there).
A power cut in the middle of `append` leaves any prefix of `data`. Nothing is ever written in place. Names are [a-z0-9._-], at most 32
characters. Raises DeviceError: E_NOEXIST (read, size), E_FAILURE (the medium is full or broken).
Health (internal): 'full', 'not_writable', 'wrong_data' (reads otherwise than it was written), 'no_answer' (every call fails); measures
`free_kib` where the platform can tell. What rots in files at rest only their owner can find.
"""

from hal.contract import Contract

CONTRACT = Contract("storage", {1: ("names", "size", "read", "append", "remove")})

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from hal.device import Health

    class Storage(Protocol):
        level: int

        def names(self) -> list[str]: ...
        def size(self, name: str) -> int: ...
        def read(self, name: str, offset: int, length: int) -> bytes: ...
        def append(self, name: str, data: "bytes | bytearray | memoryview") -> None: ...
        def remove(self, name: str) -> None: ...
        async def check_health(self, level: int = 1) -> Health: ...
