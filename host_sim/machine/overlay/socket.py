"""What `import socket` finds in a MicroPython process that is joined to a bench: host names are the bench's, all else is the runtime's."""

import usocket  # type: ignore[import-not-found]
from usocket import *  # noqa: F403

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_NUMERIC = "0123456789."


def getaddrinfo(host: str, port: int, *more: int) -> "list[Any]":
    """Numeric addresses as the runtime gives them. Of a name, a socket address as microcontrollers have it: (address, port). No name
    leaves this machine.
    """
    if all([character in _NUMERIC for character in host]):
        return usocket.getaddrinfo(host, port, *more)  # type: ignore[no-any-return]
    from machine import PORT  # type: ignore[import-not-found]  # the one beside this file, which itself imports socket

    from host_sim.machine.machine import NET_RESOLVE

    address = PORT.transact(NET_RESOLVE, 0, 0, host.encode())[1].decode()
    return [(usocket.AF_INET, usocket.SOCK_STREAM, 0, "", (address, port))]
