"""Secure element in software on a Linux machine: keys in files that nobody but the agent's user may read.

The files are those of hal.drivers.software_key, of mode 0600, in a folder of mode 0700 that is there before: one that is missing is a disk
that is not mounted, and an empty one in its place would look as if the keys were lost.
"""

import os

from hal.compat import sync
from hal.drivers.file_storage import FileStorage
from hal.drivers.linux.private_files import open_private, require_private_folder
from hal.drivers.software_key import SoftwareKey
from hal.errors import E_NOHARDWARE, DeviceError
from hal.files import Files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hal.clock import Clock


class KeyFile(SoftwareKey):
    """See hal.drivers.software_key. Files and folder are looked at with each use: raises DeviceError no_permission as soon as others may
    read them, and unplugged as long as the folder is not there.
    """

    part = "key_file"

    def __init__(self, folder: str, clock: "Clock") -> None:
        """clock: as every driver of a board is given; nothing here waits."""
        super().__init__(FileStorage(_PrivateFiles(folder)))


class _PrivateFiles(Files):
    """Each call is durable when it returns, names included."""

    def names(self, folder: str = "") -> "list[str]":
        try:
            require_private_folder(self.root, KeyFile.kind)
        except (FileNotFoundError, NotADirectoryError):
            raise DeviceError(E_NOHARDWARE, KeyFile.kind, "there is no folder " + self.root, cause="unplugged") from None
        return super().names(folder)

    def read(self, name: str, offset: int, length: int) -> bytes:
        with open_private(self.root + "/" + name, KeyFile.kind) as file:
            file.seek(offset)
            return file.read(length)

    def append(self, name: str, data: "bytes | bytearray | memoryview") -> None:
        with open(os.open(self.root + "/" + name, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600), "ab") as file:
            file.write(data)
            sync(file)
        self._sync_folder()

    def remove(self, name: str) -> None:
        super().remove(name)
        self._sync_folder()

    def _sync_folder(self) -> None:
        folder = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
