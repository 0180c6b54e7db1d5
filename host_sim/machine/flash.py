"""The terminal's files with the model of its flash in front of them: each call of hal.files asks the medium first. Both runtimes."""

from hal.files import Files
from host_sim.machine.machine import FLASH_CALL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from host_sim.machine.machine import Port

_READ, _APPEND, _REMOVE = 0, 1, 2  # as in host_sim.chips.flash
_ENOSPC = 28  # MicroPython's errno has no name for it


class FlashFiles(Files):
    """The files lie where `root` says; what the medium refuses raises OSError before they are touched."""

    port: "Port"

    def names(self, folder: str = "") -> "list[str]":
        self._call(_READ)
        return super().names(folder)

    def size(self, name: str) -> int:
        self._call(_READ)
        return super().size(name)

    def read(self, name: str, offset: int, length: int) -> bytes:
        self._call(_READ)
        return super().read(name, offset, length)

    def is_folder(self, name: str) -> bool:
        self._call(_READ)
        return super().is_folder(name)

    def read_into(self, name: str, offset: int, buffer: "bytearray | memoryview") -> int:
        self._call(_READ)
        return super().read_into(name, offset, buffer)

    def append(self, name: str, data: "bytes | bytearray | memoryview") -> None:
        wrong_bits = self._call(_APPEND)
        if wrong_bits and len(data):
            data = bytes(data[:-1]) + bytes([data[-1] ^ wrong_bits])
        super().append(name, data)

    def free_kib(self) -> int:
        self._call(_READ)
        try:
            self._call(_APPEND)
        except OSError as error:
            if error.args[0] == _ENOSPC:
                return 0
        return super().free_kib()

    def remove(self, name: str) -> None:
        self._call(_REMOVE)
        super().remove(name)

    def _call(self, call: int) -> int:
        return self.port.transact(FLASH_CALL, 0, call, b"")[0]


def files_on(port: "Port") -> "type[Files]":
    """The class hal.files.Files for a terminal whose flash is behind this port."""
    return type("Files", (FlashFiles,), {"port": port})
