"""One of the acquirer's workers as a process, as `reinstate work` is, at a broker that another authority may have certified.

    python -m host_sim.fleet.worker FOLDER [CA]

CA: who issued the broker's certificate, DER, if not the acquirer's own authority. Says `at work` when it is, and then what is not as usual.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

from firmware_agent.links.link import LinkSettings, Tls
from host_sim.acquirer.office import GROUP, KEEPALIVE_S, Office, OfficeError
from host_sim.acquirer.shared_link import SharedLink

AT_WORK = "at work"
REFUSED = "refused a message on "  # how the acquirer begins that line


class _OfficeElsewhere(Office):
    """broker_authority: DER."""

    def __init__(self, folder: Path, broker_authority: bytes) -> None:
        super().__init__(folder)
        self._broker_authority = broker_authority

    def link(self, seat: int, fetch_state: bool) -> SharedLink:
        credential = self.authority.client(self.name)
        tls = Tls(self._broker_authority, credential.certificate_der, credential.private_key_der, self.broker_host)
        settings = LinkSettings(self.broker_host, self.broker_port, f"{self.name}-{seat}", KEEPALIVE_S, tls)
        return SharedLink(settings, GROUP, fetch_state)


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
    folder, *ca = map(Path, arguments)
    try:
        asyncio.run(work(_OfficeElsewhere(folder, ca[0].read_bytes()) if ca else Office(folder)))
    except OfficeError as error:
        print(f"{error}", flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
