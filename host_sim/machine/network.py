"""The `network` module of MicroPython over a port, like machine.py beside it: WLAN in station mode.

Constants are those of the ESP32 port; the STAT_ numbers below 1000 are ESP-IDF's reasons for a disconnection (wifi_err_reason_t).
"""

from host_sim.machine.machine import (
    WLAN_ACTIVE,
    WLAN_ADDRESSES,
    WLAN_CONNECT,
    WLAN_DISCONNECT,
    WLAN_MAC,
    WLAN_RSSI,
    WLAN_SCAN,
    WLAN_STATUS,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from host_sim.machine.machine import Port

STA_IF = 0
STAT_BEACON_TIMEOUT = 200
STAT_NO_AP_FOUND = 201
STAT_WRONG_PASSWORD = 202
STAT_ASSOC_FAIL = 203
STAT_HANDSHAKE_TIMEOUT = 204
STAT_IDLE = 1000
STAT_CONNECTING = 1001
STAT_GOT_IP = 1010


class WLAN:
    port: "Port"

    def __init__(self, interface_id: int = STA_IF) -> None:
        if interface_id != STA_IF:
            raise ValueError("only STA_IF")
        self._settings: dict[str, Any] = {"reconnects": -1, "ssid": ""}

    def active(self, is_active: "bool | int | None" = None) -> bool:
        argument = -1 if is_active is None else 1 if is_active else 0
        return bool(self.port.transact(WLAN_ACTIVE, 0, argument, b"")[0])

    def connect(self, ssid: str, key: str = "") -> None:
        """Begin to join; raises OSError when the interface is not active."""
        self._settings["ssid"] = ssid
        self.port.transact(WLAN_CONNECT, 0, 0, ssid.encode() + b"\x00" + key.encode())

    def disconnect(self) -> None:
        self.port.transact(WLAN_DISCONNECT, 0, 0, b"")

    def isconnected(self) -> bool:
        return self.status() == STAT_GOT_IP

    def status(self, param: "str | None" = None) -> int:
        if param is None:
            return self.port.transact(WLAN_STATUS, 0, 0, b"")[0]
        if param == "rssi":
            return self.port.transact(WLAN_RSSI, 0, 0, b"")[0]
        raise ValueError("unknown status param")

    def ifconfig(self, configtuple: "tuple[str, str, str, str] | str | None" = None) -> "tuple[str, ...] | None":
        """(address, mask, gateway, DNS); all '0.0.0.0' while there is no link. Or have these, or those of DHCP ('dhcp')."""
        wanted = configtuple if isinstance(configtuple, str) else " ".join(configtuple or ())
        if isinstance(configtuple, str) and configtuple != "dhcp":
            raise ValueError("invalid arguments")
        addresses = self.port.transact(WLAN_ADDRESSES, 0, 0, wanted.encode())[1]
        return tuple(addresses.decode().split(" ")) if configtuple is None else None

    def scan(self) -> "list[tuple[bytes, bytes, int, int, int, bool]]":
        """(ssid, bssid, channel, RSSI, security, hidden) of each network heard; none while one is being joined."""
        found = []
        lines = self.port.transact(WLAN_SCAN, 0, 0, b"")[1].decode()
        for line in lines.split("\n") if lines else []:
            name, channel, rssi, security = line.split(" ")
            found.append((bytes.fromhex(name), b"\x02\x00\x00\x00\x00\x01", int(channel), int(rssi), int(security), False))
        return found

    def config(self, param: "str | None" = None, **settings: "Any") -> "Any":
        """config('mac'), config('ssid'), config('reconnects'), config(reconnects=n)."""
        if param == "mac":
            return self.port.transact(WLAN_MAC, 0, 0, b"")[1]
        if param is not None:
            if param not in self._settings:
                raise ValueError("unknown config param")
            return self._settings[param]
        for name in settings:
            if name != "reconnects":
                raise ValueError("unknown config param")
            self._settings[name] = settings[name]
        return None


class Network:
    """The names of the module `network`, bound to one port."""

    STA_IF = STA_IF
    STAT_BEACON_TIMEOUT = STAT_BEACON_TIMEOUT
    STAT_NO_AP_FOUND = STAT_NO_AP_FOUND
    STAT_WRONG_PASSWORD = STAT_WRONG_PASSWORD
    STAT_ASSOC_FAIL = STAT_ASSOC_FAIL
    STAT_HANDSHAKE_TIMEOUT = STAT_HANDSHAKE_TIMEOUT
    STAT_IDLE = STAT_IDLE
    STAT_CONNECTING = STAT_CONNECTING
    STAT_GOT_IP = STAT_GOT_IP

    def __init__(self, port: "Port") -> None:
        self.WLAN: Any = type("WLAN", (WLAN,), {"port": port})
