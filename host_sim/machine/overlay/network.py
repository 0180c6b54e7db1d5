"""What `import network` finds in a MicroPython process that is joined to a bench."""

from machine import PORT  # type: ignore[import-not-found]  # the one beside this file

from host_sim.machine.network import Network

_network = Network(PORT)

WLAN = _network.WLAN
STA_IF = _network.STA_IF
STAT_BEACON_TIMEOUT = _network.STAT_BEACON_TIMEOUT
STAT_NO_AP_FOUND = _network.STAT_NO_AP_FOUND
STAT_WRONG_PASSWORD = _network.STAT_WRONG_PASSWORD
STAT_ASSOC_FAIL = _network.STAT_ASSOC_FAIL
STAT_HANDSHAKE_TIMEOUT = _network.STAT_HANDSHAKE_TIMEOUT
STAT_IDLE = _network.STAT_IDLE
STAT_CONNECTING = _network.STAT_CONNECTING
STAT_GOT_IP = _network.STAT_GOT_IP
