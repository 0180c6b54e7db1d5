"""pcscd, the PC/SC service, as a process of a terminal's own: with its own socket, and a reader whose slot is a port that no other sees."""

from __future__ import annotations

import ctypes
import os
import shlex
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

DRIVER = Path("/usr/lib/pcsc/drivers/serial/libifdvpcd.so")  # of vsmartcard-vpcd: the reader's slot is a TCP port, a card connects to it
READER = "Counter Card Reader"  # pcscd appends the numbers of reader and slot: ' 00 00'
SLOT_PORT = 35963
SLOT = ("127.0.0.1", SLOT_PORT)
PLACE = "/run/pcscd"  # where pcscd has its files
USB = "/dev/bus/usb"
CLONE_NEWNET = 0x40000000  # linux/sched.h

START_TIMEOUT_S = 10.0
LOOK_S = 0.005


class Pcscd:
    """folder: of its own, there already. The process lives in namespaces of its own, which needs root: it finds a folder in `folder` in the
    place of its own, no reader of this machine, and no network but a loopback. The methods block.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._place = folder / "run"
        self._process: subprocess.Popen[bytes] | None = None
        self.socket = self._place / "pcscd.comm"  # by which a client reaches it

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def process_id(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self, has_reader: bool = True) -> None:
        """Start it, and wait until it takes calls. has_reader: whether the reader is plugged in. Raises OSError with what is missing."""
        if os.geteuid():
            raise PermissionError("a pcscd of its own needs root, for namespaces of its own")
        if not DRIVER.exists():
            raise FileNotFoundError(f"{DRIVER} is not there: on Debian, apt install vsmartcard-vpcd")
        self._place.mkdir(exist_ok=True)
        self._clear()
        readers = self._folder / "reader.conf"
        lines = [f'FRIENDLYNAME "{READER}"', f"DEVICENAME /dev/null:{SLOT_PORT}", f"LIBPATH {DRIVER}", f"CHANNELID {SLOT_PORT}"]
        readers.write_text("\n".join(lines) + "\n" if has_reader else "# none\n")
        script = (
            f"ip link set lo up && mkdir -p {PLACE} && mount --bind {shlex.quote(str(self._place))} {PLACE}"
            f" && if [ -d {USB} ]; then mount -t tmpfs none {USB}; fi"
            f" && exec pcscd --foreground --config {shlex.quote(str(readers))}"
        )
        log = self._folder / "pcscd.log"
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                ["unshare", "--mount", "--net", "sh", "-c", script], stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        until_s = time.monotonic() + START_TIMEOUT_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > until_s:
                self.kill()
                raise OSError(f"pcscd did not start: {log.read_text(errors='replace').strip()}")
            time.sleep(LOOK_S)

    def kill(self) -> None:
        """End it at once, as a crash does: its socket stays, and nobody answers there."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def stop(self) -> None:
        """End it, and nothing is left of it."""
        self.kill()
        self._clear()

    def card_socket(self) -> socket.socket:
        """A socket in the network of the reader's slot, not connected; it never blocks."""
        network = f"/proc/{self.process_id}/ns/net"

        def make() -> socket.socket:
            """In a thread that ends after it: a thread that has gone into another network stays there."""
            with open(network, "rb") as file:
                libc = ctypes.CDLL(None, use_errno=True)
                if libc.setns(file.fileno(), CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), "cannot enter the network of the reader's slot")
            return socket.socket(type=socket.SOCK_STREAM | socket.SOCK_NONBLOCK)

        with ThreadPoolExecutor(1) as thread:
            return thread.submit(make).result()

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as client:
            return client.connect_ex(str(self.socket)) == 0

    def _clear(self) -> None:
        for name in (self.socket, self._place / "pcscd.pid"):
            name.unlink(missing_ok=True)
