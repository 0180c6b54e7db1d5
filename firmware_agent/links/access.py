"""What lies below the link: the board's network device, kept joined, and the address of a host."""

from firmware_agent.links.link import LinkError
from hal.errors import E_NOEXIST, E_TIMEOUT, DeviceError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from hal.hal import Hal

JOIN_TIMEOUT_MS = 15000
RESOLVE_TIMEOUT_MS = 5000


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


async def address_of(hal: "Hal", host: str) -> str:
    """The numeric address of a host. A board without a network device leaves the look-up to its link: gives the name as it is.

    Raises LinkError E_RESOLVE (there is none, or nobody answers), E_OFFLINE (the network has gone).
    """
    if hal.network is None:
        return host
    try:
        return await hal.network.resolve(host, RESOLVE_TIMEOUT_MS)
    except DeviceError as error:
        if error.code in (E_NOEXIST, E_TIMEOUT):
            raise LinkError("E_RESOLVE", error.detail)
        raise LinkError("E_OFFLINE", error.detail)
