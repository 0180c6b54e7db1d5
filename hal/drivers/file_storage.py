"""Driver: storage in a folder of flat files."""

import errno

from hal.device import HEALTH_FAIL, HEALTH_SUCCESS, Device, Health
from hal.errors import E_FAILURE, E_ILLEGAL, E_NOEXIST, DeviceError
from hal.storage import CONTRACT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hal.files import Files

_NAME_LIMIT = 32
_NAME_CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789._-"
_CHECK_NAME = "health.check"
_CHECK_DATA = bytes(range(256))
_ENOSPC = 28  # no room left; MicroPython's errno has no name for it
_NOT_WRITABLE = (errno.EPERM, errno.EACCES, 30)  # 30: EROFS, mounted read-only


class FileStorage(Device):
    """files: see hal.files. A part of the terminal that everything needs, so it works without being enabled."""

    kind = CONTRACT.kind
    part = "file_storage"

    def __init__(self, files: "Files") -> None:
        super().__init__()
        self._files = files

    def names(self) -> "list[str]":
        try:
            return [name for name in self._files.names() if name != _CHECK_NAME]
        except OSError as error:
            raise self._error(error) from None

    def size(self, name: str) -> int:
        self._check_name(name)
        try:
            return self._files.size(name)
        except OSError as error:
            raise self._error(error) from None

    def read(self, name: str, offset: int, length: int) -> bytes:
        self._check_name(name)
        if offset < 0 or length < 0:
            raise DeviceError(E_ILLEGAL, self.kind, "offset and length are not negative")
        try:
            return self._files.read(name, offset, length)
        except OSError as error:
            raise self._error(error) from None

    def append(self, name: str, data: "bytes | bytearray | memoryview") -> None:
        self._check_name(name)
        try:
            self._files.append(name, data)
        except OSError as error:
            raise self._error(error) from None

    def remove(self, name: str) -> None:
        self._check_name(name)
        try:
            self._files.remove(name)
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise self._error(error) from None

    async def _bring_up(self) -> None:
        self.names()

    async def _check_health(self, level: int) -> Health:
        """Writes a small file, reads it back and removes it."""
        measurements = {"files": len(self.names())}  # a medium that cannot even be listed gives no answer
        try:
            free_kib = self._files.free_kib()
            if free_kib >= 0:
                measurements["free_kib"] = free_kib
            self.remove(_CHECK_NAME)  # what a power cut in an earlier check left
            self.append(_CHECK_NAME, _CHECK_DATA)
            same = self.read(_CHECK_NAME, 0, len(_CHECK_DATA) + 1) == _CHECK_DATA
            self.remove(_CHECK_NAME)
        except DeviceError as error:
            return Health(HEALTH_FAIL, self.kind, error.cause or "not_writable", error.code, 0, error.detail, measurements)
        except OSError as error:
            return self.failed(self._error(error), "no_answer")
        if not same:
            detail = "a file reads otherwise than it was written"
            return Health(HEALTH_FAIL, self.kind, "wrong_data", E_FAILURE, 0, detail, measurements)
        return Health(HEALTH_SUCCESS, self.kind, measurements=measurements)

    def failed(self, error: DeviceError, cause: str) -> Health:
        """What names no cause itself is a medium that does not answer, in bring-up as later."""
        return super().failed(error, "no_answer")

    def _check_name(self, name: str) -> None:
        if not 0 < len(name) <= _NAME_LIMIT or name[0] == ".":
            raise DeviceError(E_ILLEGAL, self.kind, "name of 1 to %d characters, not beginning with a dot" % _NAME_LIMIT)
        for character in name:
            if character not in _NAME_CHARACTERS:
                raise DeviceError(E_ILLEGAL, self.kind, "name may have a-z 0-9 . _ - only")

    def _error(self, error: OSError) -> DeviceError:
        code = E_NOEXIST if error.errno == errno.ENOENT else E_FAILURE
        cause = ""
        if error.errno == _ENOSPC:
            cause = "full"
        elif error.errno in _NOT_WRITABLE:
            cause = "not_writable"
        return DeviceError(code, self.kind, "errno %s" % error.errno, cause=cause)
