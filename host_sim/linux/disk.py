"""The disk of a Linux terminal: a small file system of its own, mounted where the agent keeps its state."""

from __future__ import annotations

import subprocess
from pathlib import Path

from host_sim.chips.faces import Fault
from host_sim.chips.flash import rot_in
from host_sim.linux.interface import Interface

SIZE_KIB = 4096
FILLER = "filler"
PLACE = "disk"  # in a terminal's folder
MOUNT_TIMEOUT_S = 10.0


class Disk(Interface):
    """A file system in memory, mounted at `folder` from start to stop: needs root. It outlives the terminal's power cuts, as a disk does.

    state: the folder on it that the agent keeps its state in.
    """

    kind = "storage"
    FAULTS = {
        "full": Fault("something else has filled the disk", "full"),
        "read_only": Fault("the kernel has made the disk read-only, as it does after errors", "not_writable"),
        "rotten": Fault("a byte in the middle of the largest file changes, once, when this is switched on", "damaged"),
    }

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.state = folder / "state"

    async def start(self) -> None:
        """Raises OSError with what the system said."""
        _run("mount", "-t", "tmpfs", "-o", f"size={SIZE_KIB}k", "reinstate", str(self.folder))
        self.state.mkdir(mode=0o700)

    async def stop(self) -> None:
        if self.folder.is_mount():
            _run("umount", "--lazy", str(self.folder))

    def fault(self, name: str, on: bool = True) -> None:
        if self.has(name) == on:
            return
        super().fault(name, on)
        if name == "read_only":
            _run("mount", "-o", f"remount,{'ro' if on else 'rw'}", str(self.folder))
        elif name == "rotten" and on:
            rot_in(self.state)
        elif name == "full" and on:
            self._fill()
        elif name == "full":
            (self.folder / FILLER).unlink()

    def _fill(self) -> None:
        """To the last byte."""
        with (self.folder / FILLER).open("wb", buffering=0) as file:
            try:
                while file.write(bytes(4096)):
                    pass
            except OSError:
                return  # which is what was wanted


def unmount_in(folder: Path) -> None:
    """The disks that a program which was killed has left there. Raises OSError."""
    for place in folder.rglob(PLACE):
        if place.is_mount():
            _run("umount", "--lazy", str(place))


def _run(*command: str) -> None:
    """mount and umount answer at once. Raises OSError with what they said, in one line."""
    ended = subprocess.run(command, capture_output=True, text=True, timeout=MOUNT_TIMEOUT_S, check=False)
    if ended.returncode:
        raise OSError(f"{command[0]}: {' '.join(ended.stderr.split())}")
