"""The names that a Linux terminal's resolver knows: its hosts file, and a server that nobody runs."""

from __future__ import annotations

from typing import ClassVar

from host_sim.chips.faces import Fault
from host_sim.linux.interface import Interface

NAMES = {"broker.acq1.example": "127.0.0.1", "payment.acq1.example": "127.0.0.1"}


class Names(Interface):
    """hosts, resolver: the files that take the places of /etc/hosts and /etc/resolv.conf for the agent."""

    FAULTS: ClassVar[dict[str, Fault]] = {
        "dns_fails": Fault("no host name has an address: the DNS server does not answer", "dns_failed", "network")
    }
    BREAK_IN_SERVICE = frozenset({"dns_fails"})

    async def start(self) -> None:
        self.hosts = self.folder / "hosts"
        self.resolver = self.folder / "resolv.conf"
        self.resolver.write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
        self._write()

    def fault(self, name: str, on: bool = True) -> None:
        super().fault(name, on)
        self._write()

    def _write(self) -> None:
        """In place: another file of that name would not be the one that the agent sees."""
        lines = ["127.0.0.1 localhost"]
        if not self.has("dns_fails"):
            lines += [f"{address} {name}" for name, address in NAMES.items()]
        self.hosts.write_text("\n".join(lines) + "\n")
