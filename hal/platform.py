"""What a board is built from: the platform's own modules, handed in, so that a board never imports them itself."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any

    from hal.files import Files


class Platform:
    """machine, network, time: MicroPython's modules of those names, or objects that keep to the same calls;
    sleep_ms: `async sleep_ms(duration_ms)`; files: see hal.files.
    """

    def __init__(
        self, machine: "Any", network: "Any", time: "Any", sleep_ms: "Callable[[int], Awaitable[None]]", files: "Files"
    ) -> None:
        self.machine = machine
        self.network = network
        self.time = time
        self.sleep_ms = sleep_ms
        self.files = files
