"""Model of a Wi-Fi station, the access point it may join, and those of the neighbours, behind network.WLAN."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import ClassVar

from host_sim.chips.faces import Chip, Fault
from host_sim.machine import network

JOIN_MS = 40  # association and keys
ADDRESS_MS = 60  # and then DHCP
NO_ADDRESSES = ("0.0.0.0", "0.0.0.0", "0.0.0.0", "0.0.0.0")
DHCP_ADDRESSES = ("192.168.4.2", "255.255.255.0", "192.168.4.1", "192.168.4.1")
SUBNET = "192.168.4."  # of the access point, which is 192.168.4.1, and the DNS server there
SECURITY_OPEN, SECURITY_WPA2 = 0, 3  # wifi_auth_mode_t


class WifiChip(Chip):
    """ssid, password, signal_dbm: of the shop's access point; names: what its DNS server knows, host name -> address; neighbours: networks
    that are heard, too, name -> (signal, kind of security): an open one can be joined, and leads nowhere.
    """

    FAULTS: ClassVar[dict[str, Fault]] = {
        "out_of_range": Fault("the access point is not heard", "no_network"),
        "wrong_password": Fault("the access point refuses the password, whatever it is", "wrong_password"),
        "no_address": Fault("the access point joins the station, but DHCP never answers", "no_address"),
        "weak_signal": Fault("the signal is barely heard", "weak_signal"),
        "dead_radio": Fault("the radio does not start", "dead_radio"),
        "dns_fails": Fault("no host name has an address: the DNS server does not answer", "dns_failed"),
    }

    BREAK_IN_SERVICE = frozenset({"dns_fails"})

    def __init__(self, now_ms: Callable[[], int]) -> None:
        super().__init__(now_ms)
        self.ssid = "reinstate"
        self.password = "reinstate"
        self.signal_dbm = -55
        self.names = {"broker.acq1.example": "127.0.0.1", "payment.acq1.example": "127.0.0.1"}
        self.neighbours = {"Cafe guests": (-71, SECURITY_OPEN), "隔壁小店": (-78, SECURITY_WPA2)}
        self.on_link: list[Callable[[bool], None]] = []  # told when the air begins or ceases to carry: True, False
        self.is_up = True
        self._carried = True
        self.restart()

    # The back face.

    def link(self, up: bool) -> None:
        """The way beyond the access point is there, or gone: the station joins either way only while it is up."""
        self.is_up = up
        self._tell()

    def fault(self, name: str, on: bool = True) -> None:
        super().fault(name, on)
        self._tell()

    def _tell(self) -> None:
        carries = self.is_up and not self.has("out_of_range") and not self.has("dead_radio")
        if carries != self._carried:
            self._carried = carries
            for tell in list(self.on_link):
                tell(carries)

    # The face to network.WLAN.

    def restart(self) -> None:
        """The microcontroller, of which the radio is a part, started anew."""
        self.active = False
        self._ssid: str | None = None
        self._password = ""
        self._since_ms = 0
        self._own_addresses: tuple[str, ...] | None = None

    def power_up(self) -> None:
        self.restart()

    def activate(self, on: bool) -> None:
        if self.has("dead_radio"):
            raise OSError(errno.EIO, "Wifi Internal Error")
        if on != self.active:
            own = self._own_addresses  # they outlive it
            self.restart()
            self._own_addresses = own
            self.active = on

    def connect(self, ssid: str, password: str) -> None:
        if not self.active or self.has("dead_radio"):
            raise OSError(errno.EIO, "Wifi Internal State Error")
        self._ssid, self._password, self._since_ms = ssid, password, self.now_ms()

    def disconnect(self) -> None:
        self._ssid = None

    def status(self) -> int:
        if not self.active or self._ssid is None or self.has("dead_radio"):
            return network.STAT_IDLE
        waited_ms = self.now_ms() - self._since_ms
        if waited_ms < JOIN_MS:
            return network.STAT_CONNECTING
        security = self._heard().get(self._ssid, (0, None))[1]
        if security is None:
            return network.STAT_NO_AP_FOUND
        password = self.password if self._ssid == self.ssid else None
        if security and (self.has("wrong_password") or self._password != password):
            return network.STAT_WRONG_PASSWORD
        if (self.has("no_address") or waited_ms < JOIN_MS + ADDRESS_MS) and self._own_addresses is None:
            return network.STAT_CONNECTING
        return network.STAT_GOT_IP

    def scan(self) -> list[tuple[bytes, int, int, int]]:
        """(ssid, channel, RSSI, security) of each network heard; none while the station is joining one, as on the ESP32."""
        if not self.active or self.has("dead_radio"):
            raise OSError(errno.EIO, "STA must be active")
        if self.status() == network.STAT_CONNECTING:
            return []
        return [(ssid.encode(), 1, signal_dbm, security) for ssid, (signal_dbm, security) in self._heard().items()]

    def _heard(self) -> dict[str, tuple[int, int]]:
        if self.has("out_of_range") or not self.is_up:
            return dict(self.neighbours)
        own = (self._level_dbm(), SECURITY_WPA2 if self.password else SECURITY_OPEN)
        return {**self.neighbours, self.ssid: own}

    def _level_dbm(self) -> int:
        return -91 if self.has("weak_signal") else self.signal_dbm

    def rssi(self) -> int:
        """Raises OSError while the station has not joined, as the ESP32 port does."""
        if self.status() != network.STAT_GOT_IP:
            raise OSError(errno.EIO, "Wifi Not Connected")
        return self._level_dbm() if self._ssid == self.ssid else self.neighbours[self._ssid or ""][0]

    def have_addresses(self, addresses: tuple[str, ...] | None) -> None:
        """(address, mask, gateway, DNS), or None for those that the access point gives."""
        self._own_addresses = addresses

    def addresses(self) -> tuple[str, ...]:
        if self.status() != network.STAT_GOT_IP:
            return NO_ADDRESSES
        return self._own_addresses or DHCP_ADDRESSES

    def resolve(self, host: str) -> str:
        """What the look-up of a host name gives. Raises OSError(ENOENT) for none."""
        address, _, gateway, dns = self.addresses()
        answers = address.startswith(SUBNET) and gateway == dns == DHCP_ADDRESSES[2] and self._ssid == self.ssid
        if self.status() != network.STAT_GOT_IP or self.has("dns_fails") or not answers or host not in self.names:
            raise OSError(errno.ENOENT, "no address for this name")
        return self.names[host]
