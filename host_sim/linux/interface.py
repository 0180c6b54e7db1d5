"""A device behind a real interface: the back face of a chip model, and what the terminal's configuration says of it."""

from __future__ import annotations

from pathlib import Path

from host_sim.chips.faces import Chip
from host_sim.platform import RealTime


class Interface(Chip):
    """folder: of its own, there already; short, for sockets lie in it. Between start and stop the terminal finds it at its place."""

    kind = ""  # as in hal.KINDS
    part = ""  # as the terminal's configuration calls it

    def __init__(self, folder: Path) -> None:
        super().__init__(RealTime().ticks_ms)
        self.folder = folder

    async def start(self) -> None:
        """Open the interface: what the machine has when the terminal is switched on."""

    async def settled(self) -> None:
        """Until what was switched shows at the interface. Raises OSError when it does not."""

    async def stop(self) -> None:
        """Close it; nothing of it is left running."""

    def section(self) -> dict[str, str | int | bool]:
        """The keys and values of its section in the terminal's configuration, without `part`."""
        return {}

    def environment(self) -> dict[str, str]:
        """What the agent's process finds it by, where a library takes it from the environment."""
        return {}
