"""A folder of flat files on the platform's file system: the calls that storage is built on."""

import os

from hal.compat import sync


class Files:
    """root: an existing folder. A name may be a path below it. Errors are OSError, as the platform raises them."""

    def __init__(self, root: str) -> None:
        self.root = root

    def names(self, folder: str = "") -> "list[str]":
        """Of files and folders; folder: below the root, where it is not the root itself."""
        return sorted(os.listdir(self.root + "/" + folder if folder else self.root))

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

    def is_folder(self, name: str) -> bool:
        return os.stat(self.root + "/" + name)[0] & 0xF000 == 0x4000  # S_IFMT, S_IFDIR

    def read_into(self, name: str, offset: int, buffer: "bytearray | memoryview") -> int:
        """As much as the buffer takes: how many bytes were read, 0 at the end of the file."""
        with open(self.root + "/" + name, "rb") as file:
            file.seek(offset)
            return file.readinto(buffer)

    def free_kib(self) -> int:
        """Room that is left, in KiB; -1 where the platform does not tell."""
        if not hasattr(os, "statvfs"):
            return -1
        status = os.statvfs(self.root)
        return status[1] * status[4] // 1024  # f_frsize, f_bavail

    def remove(self, name: str) -> None:
        os.remove(self.root + "/" + name)
