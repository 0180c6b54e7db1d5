"""What a board is built from: the platform's own modules, handed in, so that a board never imports them itself."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any

    from hal.files import Files


class Platform:
    """machine, network, time: MicroPython's modules of those names, or objects that keep to the same calls;
    sleep_ms: `async sleep_ms(duration_ms)`; files: see hal.files; resolve: `resolve(host)` gives the IPv4 address of a host name as text,
    and raises OSError where there is none. It may block until the TCP/IP stack gives up, as hal.resolver does;
    program: the files of the program itself, from the folder that its packages lie in; spare: the folder for a newer one, None where
    somebody else installs it.
    """

    def __init__(
        self,
        machine: "Any",
        network: "Any",
        time: "Any",
        sleep_ms: "Callable[[int], Awaitable[None]]",
        files: "Files",
        resolve: "Callable[[str], str]",
        program: "Files",
        spare: "Files | None" = None,
    ) -> None:
        self.machine = machine
        self.network = network
        self.time = time
        self.sleep_ms = sleep_ms
        self.files = files
        self.resolve = resolve
        self.program = program
        self.spare = spare
