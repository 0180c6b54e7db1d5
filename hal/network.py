"""Contract: network. The interface that carries TCP/IP; sockets themselves are the runtime's.

Level 1: `async connect(timeout_ms)` joins the configured network (raises E_OFFLINE: no such network; E_FAILURE: wrong password;
  E_TIMEOUT: no address); `configure(ssid, password)`; `is_connected()`; `address()` gives the IPv4 address or '';
  `async resolve(host, timeout_ms)` gives the IPv4 address of a host name as text, and a numeric one as it is (E_NOEXIST: no such name, or
  nobody answers; E_OFFLINE: not connected). Where the runtime's look-up blocks, the limit is the TCP/IP stack's own, not timeout_ms.
Level 2: `signal_dbm()` gives the received signal strength, -120..0 dBm.
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
