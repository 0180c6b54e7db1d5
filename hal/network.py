"""Contract: network. The interface that carries TCP/IP; sockets themselves are the runtime's.

Level 1: `configure(ssid, password)` names the radio network to join; where there is nothing to choose, as with a cable, it means nothing.
  `async connect(timeout_ms)` joins the configured network, or waits for the one that the cable leads to (raises E_OFFLINE: no such network,
  or nothing at the other end of the cable; E_FAILURE: wrong password; E_TIMEOUT: no address; E_NOHARDWARE: the interface has gone).
  `is_connected()`: joined, with an address; `address()` gives the IPv4 address or '';
  `async resolve(host, timeout_ms)` gives the IPv4 address of a host name as text, and a numeric one as it is (E_NOEXIST: no such name, or
  nobody answers; E_OFFLINE: not connected). Where the runtime's look-up blocks, the limit is the TCP/IP stack's own, not timeout_ms.
Level 2, over radio only: `signal_dbm()` gives the received signal strength, -120..0 dBm. A driver for either is of level 2 once its
  bring-up has found a radio.
Health: only a radio that has no network to join is 'not_configured', and HEALTH_NOT_RUN.
"""

from hal.contract import Contract

CONTRACT = Contract("network", {1: ("configure", "connect", "is_connected", "address", "resolve"), 2: ("signal_dbm",)})

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from hal.device import Health

    class Network(Protocol):
        level: int
        enabled: bool

        def configure(self, ssid: str, password: str) -> None: ...
        async def connect(self, timeout_ms: int) -> None: ...
        def is_connected(self) -> bool: ...
        def address(self) -> str: ...
        async def resolve(self, host: str, timeout_ms: int) -> str: ...
        def signal_dbm(self) -> int: ...
        async def check_health(self, level: int = 1) -> Health: ...


def is_numeric(host: str) -> bool:
    """Whether it is an IPv4 address and not a name."""
    parts = host.split(".")
    return len(parts) == 4 and all([part.isdigit() and len(part) <= 3 and int(part) <= 255 for part in parts])
