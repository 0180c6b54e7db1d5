"""Driver: the display behind a Linux framebuffer (/dev/fb0), with its panel's light. Contract: hal/display.py.

Sources: linux/fb.h; in the kernel's Documentation, fb/api.rst, ABI/testing/sysfs-class-graphics and ABI/stable/sysfs-class-backlight.

The memory has the layout that an mmap of the device shows, and is written by pwrite: a store into a mapping whose device was unplugged, or
whose file is shorter than it was, ends the process with SIGBUS, while pwrite gives an error.
A console on the same panel draws its text over the picture: the boot parameter `fbcon=map:1` keeps it away, `vt.global_cursor_default=0`
its cursor alone.
"""

import errno
import fcntl
import glob
import os
import stat
import struct
import sys

from PIL import Image

from hal.device import HEALTH_FAIL, HEALTH_NOT_RUN, HEALTH_SUCCESS, Device, Health
from hal.display import CONTRACT, check_bitmap
from hal.drivers.linux.device_file import unusable
from hal.errors import E_FAILURE, E_ILLEGAL, SUCCESS, DeviceError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hal.clock import Clock

# linux/fb.h
FBIOGET_VSCREENINFO = 0x4600
FBIOGET_FSCREENINFO = 0x4602
FBIOBLANK = 0x4611
FB_BLANK_UNBLANK = 0  # also in bl_power
FB_BLANK_POWERDOWN = 4
_VISUALS = (2, 4)  # FB_VISUAL_TRUECOLOR, FB_VISUAL_DIRECTCOLOR: a pixel holds red, green and blue
# xres, yres, xres_virtual, yres_virtual, xoffset, yoffset, bits_per_pixel, grayscale; offset, length, msb_right of red, green, blue and
# transp; 16 more
_VARIABLE = struct.Struct("40I")
# id, smem_start, smem_len, type, type_aux, visual, xpanstep, ypanstep, ywrapstep, line_length; mmio_start, mmio_len, accel,
# capabilities, reserved
_FIXED = struct.Struct("@16sL4I3HILII3H0L")

_MODES = {16: "LA", 24: "RGB", 32: "RGBA"}  # bits a pixel -> Pillow's mode of as many bytes, which here hold whatever the fields say
_USUAL_FIELDS = {16: ((11, 5), (5, 6), (0, 5)), 24: ((16, 8), (8, 8), (0, 8)), 32: ((16, 8), (8, 8), (0, 8))}  # RGB565, XRGB8888
_LEAST_WIDTH_PX, _LEAST_HEIGHT_PX = 320, 240  # that a panel keeps when its pixels are drawn larger
_NOT_SWITCHED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.EINVAL, errno.ENOTTY, errno.ENOSYS, errno.EOPNOTSUPP)


class Geometry:
    """How pixels lie in the memory. fields: offset and length in bits of red, green and blue in a pixel; opaque: bits always set."""

    def __init__(
        self,
        width_px: int,
        height_px: int,
        bits_per_pixel: int,
        line_bytes: int,
        memory_bytes: int,  # 0: not told
        offset_px: "tuple[int, int]",
        fields: "tuple[tuple[int, int], ...]",
        opaque: int = 0,
    ) -> None:
        self.width_px = width_px
        self.height_px = height_px
        self.bits_per_pixel = bits_per_pixel
        self.pixel_bytes = bits_per_pixel // 8
        self.line_bytes = line_bytes
        self.start = offset_px[1] * line_bytes + offset_px[0] * self.pixel_bytes
        self.end = self.start + (height_px - 1) * line_bytes + width_px * self.pixel_bytes
        self.memory_bytes = memory_bytes
        self.fields = fields
        self.opaque = opaque

    def problem(self) -> str:
        """Why nothing can be drawn with it; '' when it can."""
        if self.bits_per_pixel not in _MODES or not self.fields:
            return "%d bits a pixel: 16, 24 or 32 can be drawn, of red, green and blue" % self.bits_per_pixel
        if max([offset + length for offset, length in self.fields] + [self.opaque.bit_length()]) > self.bits_per_pixel:
            return "a colour that is not within the %d bits of a pixel" % self.bits_per_pixel
        if min(self.width_px, self.height_px) < 1 or self.line_bytes < self.width_px * self.pixel_bytes:
            return "%dx%d pixels in lines of %d bytes" % (self.width_px, self.height_px, self.line_bytes)
        if self.memory_bytes and self.memory_bytes < self.end:
            return "a memory of %d bytes, %d are drawn" % (self.memory_bytes, self.end)
        return ""

    def pixel(self, colour: int) -> bytes:
        """0xRRGGBB as it lies in the memory."""
        value = self.opaque
        for shift, (offset, length) in zip((16, 8, 0), self.fields, strict=True):
            level = colour >> shift & 0xFF
            value |= (level >> 8 - length if length <= 8 else level << length - 8) << offset
        return value.to_bytes(self.pixel_bytes, sys.byteorder)


class Framebuffer(Device):
    """device: the framebuffer; scale: pixels of the panel a side of each of the contract's, 0: see `fitting`; sysfs: where the kernel tells
    of its devices. There lies the light of the panel, and there a framebuffer that knows no ioctl (a file that another program shows) has
    its geometry.

    Level 2 where the panel's light can be switched. What is left of the panel around the picture is drawn by `fill` alone.
    """

    kind = CONTRACT.kind
    part = "framebuffer"
    level = 1

    def __init__(self, device: str, clock: "Clock", scale: int = 0, sysfs: str = "/sys") -> None:
        super().__init__()
        self.width_px = 0  # both are known from bring-up on
        self.height_px = 0
        self._device = device
        self._sysfs = sysfs
        self._wanted_scale = scale
        self._scale = 1
        self._left = 0  # of the picture on the panel
        self._top = 0
        self._geometry = Geometry(0, 0, 0, 0, 0, (0, 0), ())
        self._memory = -1  # the open device

    # The contract.

    def fill(self, colour: int) -> None:
        """One colour (0xRRGGBB) everywhere. Raises DeviceError E_DISABLED, E_NOHARDWARE ('unplugged'), E_FAILURE."""
        self.require_enabled()
        self._find()
        self._fill(colour)

    def draw_bitmap(
        self, x_px: int, y_px: int, width_px: int, height_px: int, bits: "bytes | bytearray | memoryview", ink: int, paper: int
    ) -> None:
        """See hal.display. Raises DeviceError E_ILLEGAL (not within the display, or not as many bits), E_DISABLED, E_NOHARDWARE
        ('unplugged'), E_FAILURE.
        """
        self.require_enabled()
        self._find()
        check_bitmap(self, x_px, y_px, width_px, height_px, bits)
        geometry, scale = self._geometry, self._scale
        shape = Image.frombytes("1", (width_px, height_px), bytes(bits))
        shape = shape.resize((width_px * scale, height_px * scale), Image.Resampling.NEAREST)
        pixels = Image.new(_MODES[geometry.bits_per_pixel], shape.size, tuple(geometry.pixel(paper)))
        pixels.paste(tuple(geometry.pixel(ink)), mask=shape)
        row_bytes = shape.width * geometry.pixel_bytes
        rows = pixels.tobytes()
        for row in range(shape.height):
            self._write(self._left + x_px * scale, self._top + y_px * scale + row, rows[row * row_bytes : (row + 1) * row_bytes])

    def set_backlight(self, on: bool) -> None:
        """Raises DeviceError E_ILLEGAL (a light that cannot be switched: level 1), E_DISABLED, E_NOHARDWARE ('unplugged'), E_FAILURE."""
        self.require_enabled()
        self._find()
        if not self._switch_light(on):
            raise DeviceError(E_ILLEGAL, self.kind, "the light of this panel cannot be switched")

    # The life cycle.

    async def _bring_up(self) -> None:
        self._forget()
        self._find()

    def _shut_down(self) -> None:
        """The light goes out where it can; a device that is gone needs nothing."""
        if self._is_there():
            self._switch_light(False)
        self._forget()

    async def _check_health(self, level: int) -> Health:
        """Internal: that the device is there, and that two pixels of its memory, in the corner, are read as they were written. What the
        panel shows only a person can tell.
        """
        self._find()
        try:
            if vars(self._read_geometry()) != vars(self._geometry):  # another mode was set: it is taken over
                self._forget()
                self._find()
            before = self._read_corner()
            pattern, inverted = self._corner(False), self._corner(True)
            if len(before) != len(pattern):
                return self._not_read()
            self._write(0, 0, pattern)
            plainly = self._read_corner()
            self._write(0, 0, inverted)
            invertedly = self._read_corner()
            self._write(0, 0, before)
        except OSError as error:
            if error.errno in (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
                return self._not_read()
            raise self._refused(error) from None
        # Bits that belong to no colour may be read as anything.
        wrong = (_bits(plainly) ^ _bits(pattern) | _bits(invertedly) ^ _bits(inverted)) & (_bits(pattern) ^ _bits(inverted))
        if wrong:
            detail = "memory: bits %0*x of two pixels read otherwise than written" % (2 * len(before), wrong)
            return Health(HEALTH_FAIL, self.kind, "self_diagnostic", E_FAILURE, detail=detail)
        return Health(HEALTH_SUCCESS, self.kind)

    def _not_read(self) -> Health:
        return Health(HEALTH_NOT_RUN, self.kind, "no_read_back", SUCCESS, detail="the framebuffer cannot be read")

    def _corner(self, inverted: bool) -> bytes:
        """Two pixels, one of all colours and one of none."""
        pixels = [self._geometry.pixel(0xFFFFFF), self._geometry.pixel(0)]
        return b"".join(reversed(pixels) if inverted else pixels)

    def _read_corner(self) -> bytes:
        return os.pread(self._memory, 2 * self._geometry.pixel_bytes, self._geometry.start)

    # The device: it may be gone, and be there again.

    def _find(self) -> None:
        """Whatever is at the place of the device is in use: what is there anew is taken into use as at bring-up.

        Raises DeviceError E_NOHARDWARE ('unplugged'), E_FAILURE ('no_permission', 'garbled_answer').
        """
        if self._is_there():
            return
        self._forget()
        try:
            self._memory = os.open(self._device, os.O_RDWR | os.O_CLOEXEC)
            geometry = self._read_geometry()
        except OSError as error:
            raise self._refused(error) from None
        problem = geometry.problem()
        if problem:
            self._forget()
            raise DeviceError(E_FAILURE, self.kind, problem, cause="garbled_answer")
        self._geometry = geometry
        self._scale = scale = self._wanted_scale or fitting(geometry.width_px, geometry.height_px)
        self.width_px = geometry.width_px // scale // 8 * 8
        self.height_px = geometry.height_px // scale
        self._left = (geometry.width_px - self.width_px * scale) // 2
        self._top = (geometry.height_px - self.height_px * scale) // 2
        self._fill(0)
        self.level = 2 if self._switch_light(True) else 1

    def _is_there(self) -> bool:
        """Whether the device in use is still what is found at its place, with all of its memory."""
        if self._memory < 0:
            return False
        try:
            there = os.stat(self._device)
        except OSError:
            return False  # why, it says when it is opened anew
        is_whole = not stat.S_ISREG(there.st_mode) or there.st_size >= self._geometry.end
        return is_whole and os.path.samestat(there, os.fstat(self._memory))

    def _forget(self) -> None:
        memory, self._memory = self._memory, -1
        if memory >= 0:
            os.close(memory)

    def _refused(self, error: OSError) -> DeviceError:
        self._forget()
        return unusable(self.kind, error.filename or self._device, error)

    def _read_geometry(self) -> Geometry:
        """As the device says; where it knows no ioctl, as the kernel's files on each say. Raises OSError, DeviceError E_FAILURE."""
        try:
            variable = fcntl.ioctl(self._memory, FBIOGET_VSCREENINFO, bytes(_VARIABLE.size))
            return geometry_of(variable, fcntl.ioctl(self._memory, FBIOGET_FSCREENINFO, bytes(_FIXED.size)))
        except OSError as error:
            if error.errno not in (errno.ENOTTY, errno.EINVAL):
                raise
        folder = os.path.join(self._sysfs, "class/graphics", os.path.basename(self._device))
        try:
            width_px, height_px = _numbers(folder, "virtual_size", ",")
            (bits_per_pixel,) = _numbers(folder, "bits_per_pixel")
            (line_bytes,) = _numbers(folder, "stride")
            left_px, top_px = _numbers(folder, "pan", ",")
            mode = _text(folder, "modes").partition("\n")[0]  # 'U:800x480p-60': what is seen of the virtual size
            if mode:
                width_px, height_px = (int(number) for number in mode[2:].partition("p-")[0].split("x"))
        except ValueError as error:
            raise DeviceError(E_FAILURE, self.kind, "%s: %s" % (folder, error), cause="garbled_answer") from None
        memory = os.fstat(self._memory)
        memory_bytes = memory.st_size if stat.S_ISREG(memory.st_mode) else 0
        fields = _USUAL_FIELDS.get(bits_per_pixel, ())
        return Geometry(width_px, height_px, bits_per_pixel, line_bytes, memory_bytes, (left_px, top_px), fields)

    def _fill(self, colour: int) -> None:
        row = self._geometry.pixel(colour) * self._geometry.width_px
        for y in range(self._geometry.height_px):
            self._write(0, y, row)

    def _write(self, x: int, y: int, row: bytes) -> None:
        """Pixels into one line of the panel. Raises DeviceError E_NOHARDWARE ('unplugged'), E_FAILURE."""
        geometry = self._geometry
        try:
            written = os.pwrite(self._memory, row, geometry.start + y * geometry.line_bytes + x * geometry.pixel_bytes)
        except OSError as error:
            raise self._refused(error) from None
        if written != len(row):
            raise DeviceError(E_FAILURE, self.kind, "%d of %d bytes written" % (written, len(row)))

    def _switch_light(self, on: bool) -> bool:
        """False where nothing switches it. Raises DeviceError E_NOHARDWARE ('unplugged'), E_FAILURE."""
        power = FB_BLANK_UNBLANK if on else FB_BLANK_POWERDOWN
        for path in sorted(glob.glob(os.path.join(glob.escape(self._sysfs), "class/backlight/*/bl_power"))):
            try:
                with open(path, "w") as file:
                    file.write("%d\n" % power)
                return True
            except OSError as error:
                if error.errno not in _NOT_SWITCHED:
                    raise unusable(self.kind, path, error) from None
        try:
            fcntl.ioctl(self._memory, FBIOBLANK, power)
        except OSError as error:
            if error.errno in _NOT_SWITCHED:
                return False
            raise self._refused(error) from None
        return True


def fitting(width_px: int, height_px: int) -> int:
    """The largest scale at which a panel has still 320x240 pixels; 1 for one that has fewer."""
    return max(1, min(width_px // _LEAST_WIDTH_PX, height_px // _LEAST_HEIGHT_PX))


def geometry_of(variable: bytes, fixed: bytes) -> Geometry:
    """What the two structures of linux/fb.h say."""
    width_px, height_px, _, _, left_px, top_px, bits_per_pixel, _, *rest = _VARIABLE.unpack(variable)
    red, green, blue, transparency = [(rest[at], rest[at + 1]) for at in range(0, 12, 3)]
    _, _, memory_bytes, _, _, visual, _, _, _, line_bytes, *_ = _FIXED.unpack(fixed)
    fields = (red, green, blue) if visual in _VISUALS else ()
    opaque = ((1 << transparency[1]) - 1) << transparency[0]
    return Geometry(width_px, height_px, bits_per_pixel, line_bytes, memory_bytes, (left_px, top_px), fields, opaque)


def _text(folder: str, name: str) -> str:
    with open(os.path.join(folder, name)) as file:
        return file.read().strip()


def _numbers(folder: str, name: str, separator: "str | None" = None) -> "list[int]":
    return [int(number) for number in _text(folder, name).split(separator)]


def _bits(pixels: bytes) -> int:
    return int.from_bytes(pixels, "big")
