"""A port whose bench is in another process: what a MicroPython process has under its `machine` and `network` modules."""

import os
import socket
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SOCKET_VARIABLE = "REINSTATE_MACHINE_SOCKET"  # the environment variable that names the server's Unix socket
REQUEST_FORMAT = "<BHiI"  # operation, unit, argument, length of the data that follow
ANSWER_FORMAT = "<HiI"  # errno, number, length of the data that follow
UNANSWERED = (2,)  # operations (of machine.py) that give nothing, and cannot fail: PIN_WRITE. They are half of all
UNEXPECTED = 0xFFFF  # in the place of an errno: an error that is no OSError
_ANSWER_BYTES = struct.calcsize(ANSWER_FORMAT)
_AF_UNIX = 1
_JOIN_BELOW_BYTES = 1024  # up to which copying header and data together costs less than a second write


class SocketPort:
    """path: of the server's Unix socket. Raises OSError when nobody listens there."""

    def __init__(self, path: str) -> None:
        self._socket: Any = socket.socket(_AF_UNIX, socket.SOCK_STREAM)
        # MicroPython takes the address as a packed struct sockaddr_un, CPython as the path.
        packed = struct.pack("<H", _AF_UNIX) + path.encode() + b"\x00"
        self._socket.connect(packed if hasattr(socket, "sockaddr") else path)
        self._stream: Any = self._socket.makefile("rb")

    def transact(self, operation: int, unit: int, argument: int, data: bytes) -> "tuple[int, bytes]":
        header = struct.pack(REQUEST_FORMAT, operation, unit, argument, len(data))
        if len(data) <= _JOIN_BELOW_BYTES:
            self._socket.sendall(header + data)
        else:
            self._socket.sendall(header)
            self._socket.sendall(data)
        if operation in UNANSWERED:
            return 0, b""
        code, number, length = struct.unpack(ANSWER_FORMAT, self._read(_ANSWER_BYTES))
        answer = self._read(length) if length else b""
        if code == UNEXPECTED:
            raise RuntimeError("a defect of the program")
        if code:
            raise OSError(code)
        return number, answer

    def close(self) -> None:
        self._stream.close()
        self._socket.close()

    def _read(self, length: int) -> bytes:
        data: bytes = self._stream.read(length)
        if data is None or len(data) != length:
            raise SystemExit("the machine's server has gone: " + SOCKET_VARIABLE)
        return data


def port_of_environment() -> SocketPort:
    """The port named by the environment. Raises SystemExit with what is missing."""
    path = os.getenv(SOCKET_VARIABLE)
    if not path:
        raise SystemExit("set " + SOCKET_VARIABLE + " to the path of the machine's socket")
    return SocketPort(path)
