"""Contract: network. The interface that carries TCP/IP; sockets themselves are the runtime's.

Level 1: `configure(ssid, password, static)` names the radio network to join; static: None for an address that the network gives, else
  (address, mask, gateway, DNS). Where there is nothing to choose, as with a cable, it means nothing.
  `async connect(timeout_ms)` joins the configured network, or waits for the one that the cable leads to (raises E_OFFLINE: no such network,
  or nothing at the other end of the cable; E_FAILURE: wrong password; E_TIMEOUT: no address; E_NOHARDWARE: the interface has gone).
  `is_connected()`: joined, with an address; `address()` gives the IPv4 address or '';
  `async resolve(host, timeout_ms)` gives the IPv4 address of a host name as text, and a numeric one as it is (E_NOEXIST: no such name, or
  nobody answers; E_OFFLINE: not connected). Where the runtime's look-up blocks, the limit is the TCP/IP stack's own, not timeout_ms.
Level 2, over radio only: `signal_dbm()` gives the received signal strength, -120..0 dBm.
Level 3, a radio that `configure` has a say in: `async scan(timeout_ms)` gives the networks in range as a list of (ssid, signal in dBm,
  is_protected), the strongest first, each name once; none whose name is hidden or is no text (raises E_OFFLINE: the radio cannot look now;
  E_NOHARDWARE). An attempt to join that is under way is waited for.
A driver for cable and radio is of level 2 or 3 once its bring-up has found a radio.
Health: only a radio that has no network to join is 'not_configured', and HEALTH_NOT_RUN.
"""

from hal.contract import Contract

CONTRACT = Contract("network", {1: ("configure", "connect", "is_connected", "address", "resolve"), 2: ("signal_dbm",), 3: ("scan",)})

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from hal.device import Health

    Static = tuple[str, str, str, str]
    Heard = list[tuple[str, int, bool]]

    class Network(Protocol):
        level: int
        enabled: bool

        def configure(self, ssid: str, password: str, static: Static | None = None) -> None: ...
        async def connect(self, timeout_ms: int) -> None: ...
        def is_connected(self) -> bool: ...
        def address(self) -> str: ...
        async def resolve(self, host: str, timeout_ms: int) -> str: ...
        def signal_dbm(self) -> int: ...
        async def scan(self, timeout_ms: int) -> Heard: ...
        async def check_health(self, level: int = 1) -> Health: ...


def is_numeric(host: str) -> bool:
    """Whether it is an IPv4 address and not a name."""
    parts = host.split(".")
    return len(parts) == 4 and all([part.isdigit() and len(part) <= 3 and int(part) <= 255 for part in parts])


def strongest_first(heard: "list[tuple[bytes, int, bool]]") -> "Heard":
    """What `scan` gives, of what a radio has heard: a name once for each access point that offers it, as it was sent."""
    best: dict[str, tuple[str, int, bool]] = {}
    for name, signal_dbm, is_protected in heard:
        try:
            ssid = name.decode()
        except ValueError:  # UnicodeError: no text
            continue
        if ssid and "\x00" not in ssid and (ssid not in best or best[ssid][1] < signal_dbm):
            best[ssid] = (ssid, signal_dbm, is_protected)
    return sorted(best.values(), key=lambda network: (-network[1], network[0]))
