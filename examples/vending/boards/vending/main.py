"""What runs on the device after boot: the only place that imports machine and network."""

import machine  # type: ignore[import-not-found]
import network  # type: ignore[import-not-found]

from firmware_agent.boot.slots import program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hal.hal import Hal
    from hal.platform import Platform


def build(platform: "Platform") -> "Hal":
    """The board's devices, imported only now: a start is counted before anything big is loaded."""
    from boards.vending import board

    return board.build(platform)


program()(machine, network, build)
