"""One of the acquirer's workers as a process, as `reinstate work` is.

    python -m host_sim.fleet.worker FOLDER [--alone] [--ca FILE]

--alone: it is the only one, and shares its subscriptions with nobody. mosquitto 2.0.11 restores a session's own subscriptions when it is
restarted, and not those that are shared: what it takes before such a worker is back goes to nobody (docs/fleet.md).
--ca: who issued the broker's certificate, DER, if not the acquirer's own authority.

Says `at work` when it is, and then what is not as usual.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from pathlib import Path

from firmware_agent.links.link import LinkSettings, Tls
from host_sim.acquirer.office import GROUP, KEEPALIVE_S, Office, OfficeError
from host_sim.acquirer.shared_link import SharedLink

AT_WORK = "at work"
REFUSED = "refused a message on "  # how the acquirer begins that line


class _OwnLink(SharedLink):
    """Its subscriptions are its own."""

    async def subscribe(self, topic: str, timeout_ms: int) -> None:
        await self._subscribe(topic, timeout_ms)


class _Office(Office):
    """alone, broker_authority: as above; the latter in DER, b'' for the acquirer's own."""

    def __init__(self, folder: Path, alone: bool, broker_authority: bytes) -> None:
        super().__init__(folder)
        self._alone = alone
        self._broker_authority = broker_authority or self.authority.certificate_der

    def link(self, seat: int, fetch_state: bool) -> SharedLink:
        credential = self.authority.client(self.name)
        tls = Tls(self._broker_authority, credential.certificate_der, credential.private_key_der, self.broker_host)
        settings = LinkSettings(self.broker_host, self.broker_port, f"{self.name}-{seat}", KEEPALIVE_S, tls)
        return (_OwnLink if self._alone else SharedLink)(settings, GROUP, fetch_state)


async def work(office: Office) -> None:
    """Until it is told to end."""
    end = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end.set)

    def told(line: str) -> None:
        if ": verified " not in line:
            print(line, flush=True)

    async with office.at_work(told, as_worker=True):
        print(AT_WORK, flush=True)
        await end.wait()


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--alone", action="store_true")
    parser.add_argument("--ca", type=Path)
    options = parser.parse_args(arguments)
    try:
        asyncio.run(work(_Office(options.folder, options.alone, options.ca.read_bytes() if options.ca else b"")))
    except OfficeError as error:
        print(error, flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
