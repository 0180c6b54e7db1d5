"""Model of a panel behind a Linux framebuffer: a file with the layout of its memory, and beside it what the kernel tells of both.

Layout after linux/fb.h, as the kernel's DRM drivers have it: RGB565 or XRGB8888, each line padded. The texts after the kernel's
Documentation/ABI, sysfs-class-graphics and sysfs-class-backlight.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from PIL import Image

from hal.drivers.linux.framebuffer import fitting
from host_sim.chips.faces import Fault
from host_sim.linux.interface import Interface
from host_sim.linux.plugged import FORBIDDEN

RAW_MODES = {16: "BGR;16", 32: "BGRX"}  # bits a pixel -> how Pillow calls their order
LINE_STEP_BYTES = 64  # a line begins at a multiple of it
BLACK = (0, 0, 0)
_AT_THE_DEVICE = ("unplugged", "no_permission", "short_memory", "dead_memory", "lasting_light")
UNLIT = (24, 26, 28)  # what a person sees of a panel without light


class FramebufferFile(Interface):
    """width_px, height_px: of the panel; bits_per_pixel: 16 or 32; scale: as in the terminal's configuration."""

    kind = "display"
    part = "framebuffer"

    FAULTS = {
        "unplugged": Fault("the panel is dark: its plug is out, and its device is gone", "unplugged"),
        "no_permission": Fault("the panel is dark: udev has given its device to a group that the agent is not in", "no_permission"),
        "short_memory": Fault("the lower half is black: there is less memory than its geometry says", "garbled_answer"),
        "dead_memory": Fault("the panel is black: its memory takes nothing, and is read as zeros", "self_diagnostic"),
        "stuck_rows": Fault("some rows in the middle stay white", "lines"),
        "stuck_columns": Fault("some columns in the middle stay black", "lines"),
        "dead_backlight": Fault("the backlight stays dark", "dark"),
        "wrong_colours": Fault("red and blue are exchanged", "wrong_colours"),
    }
    HABITS = {"lasting_light": "a panel whose light nothing switches"}

    def __init__(self, folder: Path, width_px: int = 800, height_px: int = 480, bits_per_pixel: int = 32, scale: int = 0) -> None:
        super().__init__(folder)
        if bits_per_pixel not in RAW_MODES:
            raise ValueError(f"no layout of {bits_per_pixel} bits a pixel; there are: {', '.join(map(str, RAW_MODES))}")
        self.size = (width_px, height_px)
        self.bits_per_pixel = bits_per_pixel
        self.line_bytes = -(-width_px * bits_per_pixel // 8 // LINE_STEP_BYTES) * LINE_STEP_BYTES
        self.device = folder / "fb0"
        self._scale = scale
        self._sysfs = folder / "sys"
        self._geometry = self._sysfs / "class" / "graphics" / self.device.name
        self._light = self._sysfs / "class" / "backlight" / "panel" / "bl_power"
        self._is_on = False
        self._seen: tuple[bytes, bool, frozenset[str]] | None = None
        self._changes = 0

    # The interface.

    async def start(self) -> None:
        self._is_on = True
        self._connect()

    async def stop(self) -> None:
        self._is_on = False
        self._disconnect()

    def power_up(self) -> None:
        """The memory is black again."""
        if self._is_on:
            self._disconnect()
            self._connect()

    def section(self) -> dict[str, str | int | bool]:
        return {"device": str(self.device), "scale": self._scale, "sysfs": str(self._sysfs)}

    def fault(self, name: str, on: bool = True) -> None:
        """What breaks or is mended at the plug, at the memory or at the light is there at once."""
        was = self.has(name)
        super().fault(name, on)
        if self._is_on and was != on and name in _AT_THE_DEVICE:
            self._disconnect()
            self._connect()

    def _connect(self) -> None:
        """What the kernel makes when it finds the panel: a memory of its own each time, black."""
        if self.has("unplugged"):
            return
        width_px, height_px = self.size
        facts = {
            "name": "panel",
            "bits_per_pixel": self.bits_per_pixel,
            "modes": f"U:{width_px}x{height_px}p-0",
            "pan": "0,0",
            "stride": self.line_bytes,
            "virtual_size": f"{width_px},{height_px}",
        }
        self._geometry.mkdir(parents=True)
        for name, fact in facts.items():
            (self._geometry / name).write_text(f"{fact}\n")
        if not self.has("lasting_light"):
            self._light.parent.mkdir(parents=True)
            self._light.write_text("0\n")
        if self.has("no_permission") or self.has("dead_memory"):
            self.device.symlink_to(FORBIDDEN if self.has("no_permission") else "/dev/zero")
            return
        rows = height_px // 2 if self.has("short_memory") else height_px
        self.device.write_bytes(bytes(rows * self.line_bytes))

    def _disconnect(self) -> None:
        self.device.unlink(missing_ok=True)
        shutil.rmtree(self._sysfs, ignore_errors=True)

    # The back face.

    def panel(self) -> Image.Image:
        """The panel as a person sees it, pixel by pixel: RGB."""
        memory, is_lit, _ = self._look()
        if not is_lit:
            return Image.new("RGB", self.size, UNLIT)
        width_px, height_px = self.size
        memory = memory.ljust(self.line_bytes * height_px, b"\x00")
        picture = Image.frombuffer("RGB", self.size, memory, "raw", RAW_MODES[self.bits_per_pixel], self.line_bytes, 1).copy()
        if self.has("wrong_colours"):
            red, green, blue = picture.split()
            picture = Image.merge("RGB", (blue, green, red))
        broken = 8 * self._pixels_a_side
        if self.has("stuck_rows"):
            picture.paste((255, 255, 255), (0, height_px // 2, width_px, height_px // 2 + broken))
        if self.has("stuck_columns"):
            picture.paste(BLACK, (width_px // 2, 0, width_px // 2 + broken, height_px))
        return picture

    def picture(self) -> Image.Image:
        """The same, of each pixel of the terminal's pictures one of the panel's, and without the edges that they leave: what is read."""
        side = self._pixels_a_side
        width_px, height_px = self.size[0] // side // 8 * 8, self.size[1] // side
        left, top = (self.size[0] - width_px * side) // 2, (self.size[1] - height_px * side) // 2
        picture = self.panel().crop((left, top, left + width_px * side, top + height_px * side))
        return picture.resize((width_px, height_px), Image.Resampling.NEAREST)

    @property
    def frames_changed(self) -> int:
        """Counts the changes of the picture that were there when it was asked for, for whoever watches for one."""
        look = self._look()
        if look != self._seen:
            self._seen = look
            self._changes += 1
        return self._changes

    @property
    def _pixels_a_side(self) -> int:
        return self._scale or fitting(*self.size)

    def _look(self) -> tuple[bytes, bool, frozenset[str]]:
        """The memory, whether it is lit, and what is broken."""
        is_lit = self._is_on and not (self.has("unplugged") or self.has("no_permission") or self.has("dead_backlight"))
        if is_lit and self._light.exists():
            is_lit = self._light.read_text().strip() in ("", "0")  # empty while it is being written
        memory = self.device.read_bytes() if self.device.is_file() else b""
        return memory, is_lit, frozenset(self._faults)
