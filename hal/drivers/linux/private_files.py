"""Files that hold secrets: used only when nobody but the agent's user may read them, as ssh does with its keys. Nothing is mended here."""

import os
import pwd
import stat

from hal.errors import E_FAILURE, DeviceError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_ROOT = 0  # may read everything anyway


def open_private(path: str, kind: str) -> "BinaryIO":
    """Open a file to read it. kind: of the device that it is for.

    Raises OSError (not there), DeviceError no_permission: others may read it, or the agent may not.
    """
    try:
        file = open(path, "rb", opener=_opened)
    except PermissionError:
        raise _no_permission(path, kind) from None
    try:
        _require_private(path, os.fstat(file.fileno()), kind)
    except DeviceError:
        file.close()
        raise
    return file


def require_private_folder(path: str, kind: str) -> None:
    """Raises OSError (not there), DeviceError no_permission: others may enter it, or the agent may not."""
    try:
        status = os.stat(path)
    except PermissionError:
        raise _no_permission(path, kind) from None
    _require_private(path, status, kind)


def _require_private(path: str, status: os.stat_result, kind: str) -> None:
    if status.st_mode & _OTHERS or status.st_uid not in (_ROOT, os.geteuid()):
        raise _no_permission(path, kind)


def _opened(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # a pipe of that name would wait for its writer


def _no_permission(path: str, kind: str) -> DeviceError:
    """Says whose it is and whose it should be, as far as that can be seen."""
    wanted = "%s has to be of user %s alone" % (path, _user(os.geteuid()))
    try:
        status = os.stat(path)
        allowed = "mode 0700" if stat.S_ISDIR(status.st_mode) else "mode 0600 or 0400"
        found = "(%s); it is of %s, mode %04o" % (allowed, _user(status.st_uid), stat.S_IMODE(status.st_mode))
    except OSError as error:
        found = "and the folders above it may not be entered (errno %s)" % error.errno
    return DeviceError(E_FAILURE, kind, wanted + " " + found, cause="no_permission")


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)
