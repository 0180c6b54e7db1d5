"""Joining the network below the link: the board's network device, kept joined."""

from hal.errors import DeviceError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from hal.hal import Hal

JOIN_TIMEOUT_MS = 15000


def joined(hal: "Hal") -> bool:
    """A board without a network device has its network from elsewhere: always joined."""
    return hal.network is None or hal.network.is_connected()


async def join(hal: "Hal", log: "Callable[[str], None]") -> None:
    """Join the configured network, if it is not joined; a failure is logged, and tried again by whoever keeps house."""
    if hal.network is None or joined(hal):
        return
    try:
        await hal.network.connect(JOIN_TIMEOUT_MS)
    except DeviceError as error:
        log("network %s" % error)
