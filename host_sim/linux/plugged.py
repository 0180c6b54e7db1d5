"""A device at a USB port as udev shows it: a name in by-id that stays, and behind it a file that is another one each time."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from host_sim.chips.faces import Fault
from host_sim.linux.interface import Interface

# A setting of the kernel's that can only be written. It is no device; but it is a file that nobody may open to read, root neither.
FORBIDDEN = Path("/proc/sys/net/ipv4/route/flush")


class PluggedDevice(Interface):
    """A model writes `_plug_in` and `_pull_out`. Nothing is there before start and after stop."""

    PLUG_FAULTS: ClassVar[dict[str, Fault]] = {
        "unplugged": Fault("its plug is out: the kernel has no such device", "unplugged"),
        "no_permission": Fault("udev has given its file to a group that the agent is not in", "no_permission"),
    }

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.place = folder / "by-id" / f"usb-{self.kind}"  # where the terminal looks for it
        self._is_started = False
        self._is_there = False
        self._number = 0  # of the kernel's, one more each time

    async def start(self) -> None:
        self.place.parent.mkdir(exist_ok=True)
        self._is_started = True
        self._arrange()

    async def stop(self) -> None:
        self._is_started = False
        self._arrange()

    def section(self) -> dict[str, str | int | bool]:
        return {"device": str(self.place)}

    def fault(self, name: str, on: bool = True) -> None:
        """One who may not open the file any more is found out at the next opening: it is plugged in anew."""
        super().fault(name, on)
        self._arrange()

    def _arrange(self) -> None:
        """Make what is there what the faults say."""
        is_there = self._is_started and not self.has("unplugged") and not self.has("no_permission")
        if self._is_there and not is_there:
            self._pull_out()
        if is_there != self._is_there or not is_there:
            self.place.unlink(missing_ok=True)
        if is_there and not self._is_there:
            self._number += 1
            self.place.symlink_to(self._plug_in(self._number))
        elif self._is_started and self.has("no_permission") and not self.has("unplugged"):
            self.place.symlink_to(FORBIDDEN)
        self._is_there = is_there

    def _plug_in(self, number: int) -> Path:
        """Make the file of the device. Gives its path."""
        raise NotImplementedError

    def _pull_out(self) -> None:
        """Take the file away, from under whoever has it open, too."""
        raise NotImplementedError
