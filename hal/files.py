"""A folder of flat files on the platform's file system: the calls that storage is built on."""

import os

from hal.compat import sync


class Files:
    """root: an existing folder. Errors are OSError, as the platform raises them."""

    def __init__(self, root: str) -> None:
        self.root = root

    def names(self) -> "list[str]":
        return sorted(os.listdir(self.root))

    def size(self, name: str) -> int:
        return os.stat(self.root + "/" + name)[6]

    def read(self, name: str, offset: int, length: int) -> bytes:
        with open(self.root + "/" + name, "rb") as file:
            file.seek(offset)
            return file.read(length)

    def append(self, name: str, data: "bytes | bytearray | memoryview") -> None:
        """Add at the end, and wait until it is durable."""
        with open(self.root + "/" + name, "ab") as file:
            file.write(data)
            sync(file)

    def remove(self, name: str) -> None:
        os.remove(self.root + "/" + name)
