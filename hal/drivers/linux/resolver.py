"""Addresses of host names from the system's own resolver, which blocks: asked in a thread, and waited for with a limit."""

from hal.drivers.linux.worker import Worker
from hal.errors import E_NOEXIST, E_OFFLINE, DeviceError
from hal.network import CONTRACT, is_numeric
from hal.resolver import resolve

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from hal.clock import Clock


class Resolver:
    """What /etc/nsswitch.conf names is asked: hosts file, DNS, systemd-resolved."""

    def __init__(self, clock: "Clock") -> None:
        self._worker = Worker("resolver", clock)

    async def address_of(self, host: str, is_connected: "Callable[[], bool]", timeout_ms: int) -> str:
        """The first IPv4 address of a host name, as text; a numeric one as it is. Raises DeviceError E_OFFLINE (not connected), E_NOEXIST
        (no such name, or nobody answers in time).
        """
        if is_numeric(host):
            return host
        if not is_connected():
            raise DeviceError(E_OFFLINE, CONTRACT.kind, "not connected", cause="no_link")
        try:
            return await self._worker.call(lambda: resolve(host), timeout_ms)
        except (OSError, UnicodeError) as error:  # UnicodeError: a label of more than 63 characters, or none
            raise DeviceError(E_NOEXIST, CONTRACT.kind, "no address for %s" % host, cause="dns_failed") from error

    def stop(self) -> None:
        self._worker.stop()
