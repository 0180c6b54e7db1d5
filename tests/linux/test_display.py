"""Displays of a Linux terminal: a framebuffer, as a file with the kernel's layout, and a text terminal, through a pseudo-terminal."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import threading
import time
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zxingcpp
from PIL import Image

from firmware_agent.flows.handout import draw_code
from firmware_agent.screens.font import Font
from firmware_agent.screens.page import TONE_ALERT, Page
from firmware_agent.screens.page_view import MORE_ABOVE, MORE_BELOW, PageView
from firmware_agent.screens.qr import qr_code
from firmware_agent.selftest.engine import run_phase
from firmware_agent.selftest.examination import COLOURS
from firmware_agent.selftest.phases import FAIL, PASS, Result
from firmware_agent.selftest.plans import phase_named
from firmware_agent.selftest.subject import Subject
from hal.device import HEALTH_NOT_RUN, HEALTH_SUCCESS, Health
from hal.display import CONTRACT
from hal.drivers.linux.framebuffer import Framebuffer, fitting, geometry_of
from hal.drivers.linux.tty_display import TtyDisplay
from hal.errors import E_DISABLED, E_FAILURE, E_ILLEGAL, E_NOHARDWARE, E_TIMEOUT, DeviceError
from hal.hal import Hal
from host_sim.linux.framebuffer_file import BLACK, UNLIT, FramebufferFile
from host_sim.reading import text_of_picture
from tests.linux.support import bring_up, real_clock

WHITE = (255, 255, 255)
ORANGE, BLUE = 0xFF8000, 0x0040C0
PAGES = {
    "en": (
        Page("p", "Terminal suspended", ["Since: 2026-11-20\t10:31", "Reason: printer fault"], [("1", "Start")], "ENTER", TONE_ALERT),
        ["Terminal suspended", "Since: 2026-11-20 10:31", "Reason: printer fault", "1 Start", "ENTER"],
    ),
    "zh-CN": (
        Page("p", "终端已停用", ["停用原因：打印机故障", "自 2026-11-20"], [("1", "开始恢复"), ("2", "返回")], "确认键：继续"),
        ["终端已停用", "停用原因：打印机故障", "自 2026-11-20", "1 开始恢复", "2 返回", "确认键：继续"],
    ),
}


def error_of(action: Callable[[], object]) -> DeviceError:
    with pytest.raises(DeviceError) as caught:
        action()
    return caught.value


# The framebuffer.


class Wired:
    """A panel that is plugged in, and its driver."""

    def __init__(self, folder: Path, *faults: str, enabled: bool = True, **panel: Any) -> None:
        folder.mkdir(exist_ok=True)
        self.panel = FramebufferFile(folder, **panel)
        for name in faults:
            self.panel.fault(name)
        asyncio.run(self.panel.start())
        section: Any = self.panel.section()
        self.display = Framebuffer(clock=real_clock(), **section)
        if enabled:
            asyncio.run(bring_up(self.display))

    def health(self) -> Health:
        return asyncio.run(self.display.check_health())

    def tested(self) -> Result:
        """What a self-test finds."""
        hal: Any = Hal("board", "id", real_clock(), None, None, display=self.display)  # type: ignore[arg-type]
        return asyncio.run(run_phase(Subject(hal), phase_named("display", hal)))

    @property
    def colours(self) -> list[tuple[int, Any]]:
        return self.panel.panel().getcolors() or []

    def set_fact(self, name: str, text: str) -> None:
        (self.panel.folder / "sys/class/graphics/fb0" / name).write_text(text)


def test_both_displays_keep_the_contract(tmp_path: Path) -> None:
    assert CONTRACT.missing(Wired(tmp_path).display) == []
    assert CONTRACT.missing(Wired(tmp_path / "2", "lasting_light").display) == []
    assert CONTRACT.missing(TtyDisplay(clock=real_clock())) == []


def test_nothing_is_touched_before_the_bring_up(tmp_path: Path) -> None:
    display = Framebuffer(device=str(tmp_path / "none"), clock=real_clock())
    for action in (lambda: display.fill(0), lambda: display.draw_bitmap(0, 0, 8, 1, b"\0", 0, 0), lambda: display.set_backlight(True)):
        assert error_of(action).code == E_DISABLED
    assert list(tmp_path.iterdir()) == []


def test_what_a_program_before_left_on_the_panel_is_gone_after_the_bring_up(tmp_path: Path) -> None:
    wired = Wired(tmp_path, enabled=False, width_px=40, height_px=2)
    wired.panel.device.write_bytes(b"\x77" * 2 * wired.panel.line_bytes)
    asyncio.run(bring_up(wired.display))
    assert wired.colours == [(80, BLACK)]


@pytest.mark.parametrize(
    ("bits_per_pixel", "ink", "paper"),
    [(16, b"\x00\xfc", b"\x18\x02"), (32, b"\x00\x80\xff\x00", b"\xc0\x40\x00\x00")],
)
def test_a_picture_lies_in_the_memory_byte_for_byte(tmp_path: Path, bits_per_pixel: int, ink: bytes, paper: bytes) -> None:
    wired = Wired(tmp_path, width_px=40, height_px=3, bits_per_pixel=bits_per_pixel)
    line_bytes = wired.panel.line_bytes
    assert line_bytes > 40 * len(ink), "lines are padded"
    wired.panel.device.write_bytes(b"\x77" * 3 * line_bytes)
    wired.display.draw_bitmap(8, 1, 16, 2, b"\xa0\x01\x0f\xff", ORANGE, BLUE)

    line = bytearray(b"\x77" * line_bytes)
    rows = [bytes(line)]
    for bits in ("1010000000000001", "0000111111111111"):
        line[8 * len(ink) : 24 * len(ink)] = b"".join(ink if bit == "1" else paper for bit in bits)
        rows.append(bytes(line))
    assert wired.panel.device.read_bytes() == b"".join(rows)


def test_a_fill_leaves_the_padding_of_the_lines(tmp_path: Path) -> None:
    wired = Wired(tmp_path, width_px=40, height_px=2, bits_per_pixel=16)
    wired.panel.device.write_bytes(b"\x77" * 2 * wired.panel.line_bytes)
    wired.display.fill(ORANGE)
    assert wired.panel.device.read_bytes() == (b"\x00\xfc" * 40 + b"\x77" * (wired.panel.line_bytes - 80)) * 2


def test_a_pixel_of_a_picture_is_a_square_of_the_panel_and_the_edges_are_left(tmp_path: Path) -> None:
    wired = Wired(tmp_path, width_px=55, height_px=11, scale=3)
    assert (wired.display.width_px, wired.display.height_px) == (16, 3)
    wired.display.fill(0x0000FF)
    wired.display.draw_bitmap(0, 0, 16, 3, b"\x80\x00\x00\x00\x00\x01", 0xFF0000, 0x00FF00)
    panel = wired.panel.panel()
    left = (55 - 48) // 2
    expected = Image.new("RGB", (55, 11), (0, 0, 255))
    expected.paste((0, 255, 0), (left, 1, left + 48, 10))
    expected.paste((255, 0, 0), (left, 1, left + 3, 4))
    expected.paste((255, 0, 0), (left + 45, 7, left + 48, 10))
    assert panel.tobytes() == expected.tobytes()


@pytest.mark.parametrize(
    ("width_px", "height_px", "scale"),
    [(320, 240, 1), (240, 320, 1), (128, 64, 1), (640, 480, 2), (800, 480, 2), (1024, 600, 2), (1280, 800, 3), (1920, 1080, 4)],
)
def test_the_scale_leaves_the_pages_a_panel_of_320_by_240(width_px: int, height_px: int, scale: int) -> None:
    assert fitting(width_px, height_px) == scale


def test_what_is_not_within_the_display_is_refused_and_nothing_drawn(tmp_path: Path) -> None:
    wired = Wired(tmp_path, width_px=40, height_px=8)
    for x, y, width, height, size in ((0, 0, 48, 1, 6), (0, 8, 8, 1, 1), (4, 0, 8, 1, 1), (0, -1, 8, 1, 1), (0, 0, 8, 2, 1)):
        error = error_of(lambda: wired.display.draw_bitmap(x, y, width, height, b"\xff" * size, 0xFFFFFF, 0))  # noqa: B023
        assert error.code == E_ILLEGAL
    assert wired.colours == [(320, BLACK)]


@pytest.mark.parametrize("language", PAGES)
@pytest.mark.parametrize("bits_per_pixel", [16, 32])
@pytest.mark.parametrize(("width_px", "height_px", "scale"), [(800, 480, 0), (320, 240, 0), (1024, 600, 3)])
def test_a_page_is_read_back(tmp_path: Path, width_px: int, height_px: int, scale: int, bits_per_pixel: int, language: str) -> None:
    page, lines = PAGES[language]
    wired = Wired(tmp_path, width_px=width_px, height_px=height_px, bits_per_pixel=bits_per_pixel, scale=scale)
    font = Font()
    PageView(wired.display, font).draw(page)
    seen = text_of_picture(wired.panel.picture(), font)
    font.close()
    assert [" ".join(line.split()) for line in seen] == lines
    assert len(wired.panel.panel().getcolors() or []) <= 5, "no colour is mixed"


def test_what_is_seen_of_a_larger_memory_is_what_is_drawn(tmp_path: Path) -> None:
    """Two pages of memory, of which the second is shown: 'pan' says from where."""
    wired = Wired(tmp_path, width_px=40, height_px=4, enabled=False)
    wired.panel.device.write_bytes(bytes(8 * wired.panel.line_bytes))
    wired.set_fact("virtual_size", "40,8\n")
    wired.set_fact("pan", "0,4\n")
    asyncio.run(bring_up(wired.display))
    assert (wired.display.width_px, wired.display.height_px) == (40, 4)
    wired.display.fill(0xFFFFFF)
    memory = wired.panel.device.read_bytes()
    first, second = memory[: len(memory) // 2], memory[len(memory) // 2 :]
    assert not any(first) and second == (b"\xff\xff\xff\x00" * 40 + bytes(wired.panel.line_bytes - 160)) * 4


def test_another_mode_is_taken_over_at_the_next_check(tmp_path: Path) -> None:
    wired = Wired(tmp_path, width_px=400, height_px=300)
    assert (wired.display.width_px, wired.display.height_px) == (400, 300)
    wired.set_fact("modes", "U:320x240p-60\n")
    assert wired.health().outcome == HEALTH_SUCCESS
    assert (wired.display.width_px, wired.display.height_px) == (320, 240)


@pytest.mark.parametrize(
    ("name", "text", "detail"),
    [
        ("bits_per_pixel", "8\n", "8 bits a pixel"),
        ("stride", "100\n", "lines of 100 bytes"),
        ("stride", "many\n", "many"),
        ("modes", "U:0x0p-0\n", "0x0 pixels"),
        ("virtual_size", "800\n", "sys/class/graphics/fb0"),
    ],
)
def test_a_geometry_that_makes_no_sense_is_not_drawn_by(tmp_path: Path, name: str, text: str, detail: str) -> None:
    wired = Wired(tmp_path, enabled=False)
    wired.set_fact(name, text)
    error = error_of(lambda: asyncio.run(bring_up(wired.display)))
    assert (error.code, error.cause) == (E_FAILURE, "garbled_answer")
    assert detail in error.detail


def structures(
    bits_per_pixel: int,
    fields: tuple[tuple[int, int], ...],
    visual: int = 2,
    memory_bytes: int = 10_000,
    offset_px: tuple[int, int] = (0, 0),
) -> tuple[bytes, bytes]:
    """fb_var_screeninfo and fb_fix_screeninfo of a 40x4 panel, by the places that linux/fb.h gives their members on 64 bits."""
    variable, fixed = bytearray(160), bytearray(80)
    struct.pack_into("=7I", variable, 0, 40, 4, 40, 8, *offset_px, bits_per_pixel)
    for index, (offset, length) in enumerate(fields):
        struct.pack_into("=2I", variable, 32 + 12 * index, offset, length)
    struct.pack_into("=I", fixed, 24, memory_bytes)
    struct.pack_into("=I", fixed, 36, visual)
    struct.pack_into("=I", fixed, 48, 192)
    return bytes(variable), bytes(fixed)


@pytest.mark.parametrize(
    ("bits_per_pixel", "fields", "pixel"),
    [
        (16, ((11, 5), (5, 6), (0, 5), (0, 0)), "00fc"),
        (16, ((0, 5), (5, 6), (11, 5), (0, 0)), "1f04"),
        (16, ((10, 5), (5, 5), (0, 5), (15, 1)), "00fe"),
        (24, ((16, 8), (8, 8), (0, 8), (0, 0)), "0080ff"),
        (32, ((16, 8), (8, 8), (0, 8), (0, 0)), "0080ff00"),
        (32, ((0, 8), (8, 8), (16, 8), (24, 8)), "ff8000ff"),
        (32, ((20, 10), (10, 10), (0, 10), (30, 2)), "0000c8ff"),
    ],
)
def test_a_colour_lies_in_the_fields_that_the_kernel_names(bits_per_pixel: int, fields: tuple[tuple[int, int], ...], pixel: str) -> None:
    geometry = geometry_of(*structures(bits_per_pixel, fields))
    assert geometry.problem() == ""
    assert geometry.pixel(ORANGE).hex() == pixel
    assert (geometry.width_px, geometry.height_px, geometry.line_bytes) == (40, 4, 192)


RGB565 = ((11, 5), (5, 6), (0, 5), (0, 0))


def test_the_kernels_offset_is_where_the_picture_begins() -> None:
    geometry = geometry_of(*structures(16, RGB565, offset_px=(3, 2)))
    assert (geometry.start, geometry.end) == (2 * 192 + 6, 2 * 192 + 6 + 3 * 192 + 80)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (structures(8, RGB565), "8 bits a pixel"),
        (structures(16, RGB565, visual=3), "16 bits a pixel"),  # FB_VISUAL_PSEUDOCOLOR
        (structures(16, ((16, 8), (8, 8), (0, 8), (0, 0))), "not within the 16 bits"),
        (structures(16, RGB565, memory_bytes=655), "655 bytes, 656 are drawn"),
    ],
)
def test_a_layout_that_cannot_be_drawn_says_why(given: tuple[bytes, bytes], problem: str) -> None:
    assert problem in geometry_of(*given).problem()
    assert geometry_of(*structures(16, RGB565, memory_bytes=656)).problem() == ""


KERNEL = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <linux/fb.h>
#include <stdarg.h>
#include <stdio.h>
int ioctl(int file, unsigned long request, ...) {
    va_list arguments; va_start(arguments, request); void *argument = va_arg(arguments, void *); va_end(arguments);
    if (request == FBIOGET_VSCREENINFO) {
        *(struct fb_var_screeninfo *)argument = (struct fb_var_screeninfo){.xres = 40, .yres = 4, .xres_virtual = 48, .yres_virtual = 8,
            .xoffset = 2, .yoffset = 1, .bits_per_pixel = 32,
            .red = {0, 8, 0}, .green = {8, 8, 0}, .blue = {16, 8, 0}, .transp = {24, 8, 0}};
        return 0;
    }
    if (request == FBIOGET_FSCREENINFO) {
        *(struct fb_fix_screeninfo *)argument = (struct fb_fix_screeninfo){
            .smem_len = 8 * 192, .visual = FB_VISUAL_TRUECOLOR, .line_length = 192};
        return 0;
    }
    if (request == FBIOBLANK) return printf("blank %ld\n", (long)argument), fflush(stdout), 0;
    return ((int (*)(int, unsigned long, ...))dlsym(RTLD_NEXT, "ioctl"))(file, request, argument);
}
"""
PROGRAM = """
import asyncio, sys
from hal.drivers.linux.framebuffer import Framebuffer
from tests.linux.support import bring_up, real_clock
display = Framebuffer(device=sys.argv[1], clock=real_clock(), sysfs="/none")
asyncio.run(bring_up(display))
display.fill(0xFF8000)
print(asyncio.run(display.check_health()).outcome, display.level)
display.disable()
"""


@pytest.mark.needs("gcc")
def test_the_geometry_is_asked_by_the_calls_of_the_kernels_own_header(tmp_path: Path) -> None:
    """A C library that answers them with the structures as the compiler lays them out."""
    (tmp_path / "kernel.c").write_text(KERNEL)
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", "kernel.so", "kernel.c"], cwd=tmp_path, check=True, timeout=60)
    memory = tmp_path / "fb0"
    memory.write_bytes(bytes(8 * 192))
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, memory],
        env={**os.environ, "LD_PRELOAD": str(tmp_path / "kernel.so")},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.stdout.split("\n")[:3] == ["blank 0", "success 2", "blank 4"], ended.stderr
    lines = [memory.read_bytes()[start : start + 192] for start in range(0, 8 * 192, 192)]
    assert lines == [bytes(192)] + 4 * [bytes(8) + b"\xff\x80\x00\xff" * 40 + bytes(24)] + 3 * [bytes(192)]


# Health, light and faults.


def test_a_check_leaves_the_picture_as_it_was(tmp_path: Path) -> None:
    wired = Wired(tmp_path, width_px=40, height_px=4, bits_per_pixel=16)
    wired.display.draw_bitmap(0, 0, 8, 1, b"\xa5", ORANGE, BLUE)
    before = wired.panel.device.read_bytes()
    assert wired.health().outcome == HEALTH_SUCCESS
    assert wired.panel.device.read_bytes() == before


def on_device(wired: Wired, device: str) -> None:
    wired.panel.device.unlink()
    wired.panel.device.symlink_to(device)


def test_a_memory_that_cannot_be_read_is_no_failure(tmp_path: Path) -> None:
    wired = Wired(tmp_path)
    on_device(wired, "/dev/null")
    health = wired.health()
    assert (health.outcome, health.cause) == (HEALTH_NOT_RUN, "no_read_back")


def test_a_memory_that_has_no_room_is_told(tmp_path: Path) -> None:
    wired = Wired(tmp_path)
    on_device(wired, "/dev/full")
    assert error_of(lambda: wired.display.fill(0)).code in (E_FAILURE, E_NOHARDWARE)
    assert wired.health().outcome == "fail"


def test_the_light_is_switched_and_goes_out_at_the_end(tmp_path: Path) -> None:
    wired = Wired(tmp_path, width_px=40, height_px=4)
    assert wired.display.level == 2
    assert wired.colours == [(160, BLACK)]
    wired.display.set_backlight(False)
    assert wired.colours == [(160, UNLIT)]
    wired.display.set_backlight(True)
    assert wired.colours == [(160, BLACK)]
    wired.display.disable()
    assert wired.colours == [(160, UNLIT)]


def test_a_light_that_nothing_switches_makes_a_display_of_level_1(tmp_path: Path) -> None:
    wired = Wired(tmp_path, "lasting_light", width_px=40, height_px=4)
    assert wired.display.level == 1
    assert error_of(lambda: wired.display.set_backlight(False)).code == E_ILLEGAL
    assert wired.tested().outcome == PASS
    wired.display.disable()
    assert wired.colours == [(160, BLACK)]


FOUND = {name: fault.cause for name, fault in FramebufferFile.FAULTS.items() if fault.cause not in ("lines", "dark", "wrong_colours")}


@pytest.mark.parametrize("in_service", [False, True], ids=["from the start", "in service"])
@pytest.mark.parametrize("name", FOUND)
def test_a_fault_is_found_and_once_mended_the_display_works_again(tmp_path: Path, name: str, in_service: bool) -> None:
    wired = Wired(tmp_path, *([] if in_service else [name]), enabled=False, width_px=40, height_px=8)
    if in_service:
        asyncio.run(bring_up(wired.display))
        wired.panel.fault(name)
    result = wired.tested()
    assert (result.outcome, result.cause) == (FAIL, FOUND[name])
    assert wired.tested().cause == FOUND[name]
    wired.panel.fault(name, False)
    assert wired.tested().outcome == PASS
    wired.display.fill(0xFFFFFF)
    assert wired.colours == [(320, WHITE)]


def test_a_display_that_was_unplugged_is_found_again_by_the_next_drawing(tmp_path: Path) -> None:
    wired = Wired(tmp_path, width_px=40, height_px=8)
    wired.panel.fault("unplugged")
    for action in (lambda: wired.display.fill(0), lambda: wired.display.draw_bitmap(0, 0, 8, 1, b"\xff", 0, 0)):
        error = error_of(action)
        assert (error.code, error.cause) == (E_NOHARDWARE, "unplugged")
    wired.panel.fault("unplugged", False)
    wired.display.draw_bitmap(0, 0, 8, 1, b"\xff", 0xFFFFFF, 0)
    assert sorted(wired.colours) == [(8, WHITE), (312, BLACK)]


def test_a_display_that_is_gone_is_shut_down_all_the_same(tmp_path: Path) -> None:
    wired = Wired(tmp_path)
    wired.panel.fault("unplugged")
    wired.display.close()
    assert not wired.display.enabled


def test_a_memory_that_has_become_shorter_is_not_written_to(tmp_path: Path) -> None:
    wired = Wired(tmp_path, width_px=40, height_px=8)
    os.truncate(wired.panel.device, 100)
    error = error_of(lambda: wired.display.fill(0xFFFFFF))
    assert (error.code, error.cause) == (E_FAILURE, "garbled_answer")
    assert wired.panel.device.read_bytes() == bytes(100)


def test_who_may_not_use_it_is_told_who_may(tmp_path: Path) -> None:
    wired = Wired(tmp_path, "no_permission", enabled=False)
    error = error_of(lambda: asyncio.run(bring_up(wired.display)))
    assert (error.code, error.cause) == (E_FAILURE, "no_permission")
    assert str(wired.panel.device) in error.detail and "root" in error.detail


def seen(wired: Wired) -> list[list[tuple[int, Any]]]:
    """What a person sees of each colour of the examination."""
    pictures = []
    for colour in COLOURS:
        wired.display.fill(colour)
        pictures.append(wired.colours)
    return pictures


@pytest.mark.parametrize("bits_per_pixel", [16, 32])
def test_what_only_a_person_can_see_is_seen(tmp_path: Path, bits_per_pixel: int) -> None:
    red, green, blue = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    wired = Wired(tmp_path, width_px=64, height_px=64, bits_per_pixel=bits_per_pixel)
    even = [[(64 * 64, colour)] for colour in (red, green, blue, WHITE, BLACK)]
    assert seen(wired) == even
    shown: dict[str, Any] = {}
    for name in set(FramebufferFile.FAULTS) - set(FOUND):
        wired.panel.fault(name)
        assert wired.tested().outcome == PASS, "it is hidden from the terminal"
        shown[name] = seen(wired)
        wired.panel.fault(name, False)
    assert shown.pop("dead_backlight") == [[(64 * 64, UNLIT)]] * 5
    assert shown.pop("wrong_colours") == [even[index] for index in (2, 1, 0, 3, 4)]
    assert [len(picture) for picture in shown.pop("stuck_rows")] == [2, 2, 2, 1, 2]
    assert [len(picture) for picture in shown.pop("stuck_columns")] == [2, 2, 2, 2, 1]
    assert not shown
    assert seen(wired) == even


def test_whoever_watches_the_panel_sees_each_change_once(tmp_path: Path) -> None:
    wired = Wired(tmp_path, width_px=40, height_px=8)
    still = wired.panel.frames_changed
    assert wired.panel.frames_changed == still
    for count, change in enumerate(
        (
            lambda: wired.display.fill(0xFFFFFF),
            lambda: wired.display.draw_bitmap(0, 0, 8, 1, b"\x01", 0, 0xFFFFFF),
            lambda: wired.display.set_backlight(False),
            lambda: wired.panel.fault("stuck_rows"),
        ),
        1,
    ):
        change()
        assert wired.panel.frames_changed == still + count
        assert wired.panel.frames_changed == still + count


def test_a_stopped_panel_leaves_nothing_and_shows_nothing(tmp_path: Path) -> None:
    wired = Wired(tmp_path, width_px=40, height_px=8)
    asyncio.run(wired.panel.stop())
    assert list(tmp_path.iterdir()) == []
    assert wired.colours == [(320, UNLIT)]


def test_a_layout_without_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="16, 32"):
        FramebufferFile(tmp_path, bits_per_pixel=24)


# The text terminal.

CUBE = (0, 95, 135, 175, 215, 255)  # xterm's colours 16..231
Colour = tuple[int, int, int]
SETTLED = b"\x05"  # ENQ: no terminal shows it; here it says that all before it has been read
LIMIT_S = 10


class Terminal:
    """A pseudo-terminal and what a person would see on it: as much of ECMA-48 and xterm as a display needs, and nothing else passes."""

    def __init__(self, columns: int = 80, rows: int = 24) -> None:
        self._master, self._slave = pty.openpty()
        self._end, self._ending = os.pipe()
        self.path = os.ttyname(self._slave)
        self.modes: set[int] = {7, 25}  # wraps at the right edge, cursor
        self.heard = b""
        self._settled = threading.Semaphore(0)
        self._error: Exception | None = None
        self._ink: Colour = WHITE
        self._paper: Colour = BLACK
        self.resize(columns, rows)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def resize(self, columns: int, rows: int) -> None:
        self.columns, self.rows = columns or 80, rows or 24
        self.cells: list[list[tuple[str, Colour, Colour]]] = [[(" ", WHITE, BLACK)] * self.columns for _ in range(self.rows)]
        self._row = self._column = 0
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, struct.pack("4H", rows, columns, 0, 0))

    # What a person sees.

    def settle(self) -> Terminal:
        """Wait until all that was written is on the screen."""
        os.write(self._slave, SETTLED)
        assert self._settled.acquire(timeout=LIMIT_S)
        if self._error is not None:
            raise self._error
        return self

    def text(self) -> list[str]:
        self.settle()
        return ["".join(cell[0] for cell in row).strip() for row in self.cells]

    def papers(self, row: int) -> set[Colour]:
        return {cell[2] for cell in self.cells[row]}

    def picture(self) -> Image.Image:
        """Each character as its two halves."""
        self.settle()
        image = Image.new("RGB", (self.columns, 2 * self.rows))
        for y, row in enumerate(self.cells):
            for x, (character, ink, paper) in enumerate(row):
                assert character in " \u2580"
                image.putpixel((x, 2 * y), ink if character == "\u2580" else paper)
                image.putpixel((x, 2 * y + 1), paper)
        return image

    # The line.

    def pause(self) -> None:
        """As Ctrl-S does."""
        termios.tcflow(self._slave, termios.TCOOFF)

    def go_on(self) -> None:
        termios.tcflow(self._slave, termios.TCOON)

    def hang_up(self) -> None:
        """All of its files are closed: who has opened it finds it dead."""
        os.write(self._ending, b"e")
        self._thread.join(LIMIT_S)
        assert not self._thread.is_alive()
        for file in (self._slave, self._master, self._end, self._ending):
            os.close(file)

    def _read(self) -> None:
        pending = b""
        while self._end not in select.select([self._master, self._end], [], [])[0]:
            read = os.read(self._master, 4096)
            self.heard += read
            try:
                pending = self._interpret(pending + read)
            except (ValueError, IndexError, AssertionError) as error:
                self._error = error
            for _ in range(read.count(SETTLED)):
                self._settled.release()

    def _interpret(self, data: bytes) -> bytes:
        """Show it; gives what has to wait for the rest of its sequence."""
        text = data.decode(errors="surrogateescape")
        at = 0
        while at < len(text):
            character = text[at]
            if character == "\x1b":
                end = at + 2
                while end < len(text) and not "@" <= text[end] <= "~":
                    end += 1
                if end >= len(text):
                    break
                assert text[at + 1] == "["
                self._obey(text[at + 2 : end], text[end])
                at = end + 1
                continue
            if "\udc80" <= character <= "\udcff":
                break  # of a character whose other bytes are still to come
            if character != SETTLED.decode():
                self._show(character)
            at += 1
        return text[at:].encode(errors="surrogateescape")

    def _obey(self, parameters: str, final: str) -> None:
        if final in "hl":
            number = int(parameters.removeprefix("?"))
            (self.modes.add if final == "h" else self.modes.discard)(number)
        elif final == "H":
            self._row, self._column = (int(number) - 1 for number in parameters.split(";"))
        elif final == "m" and parameters == "0":
            self._ink, self._paper = WHITE, BLACK
        elif final == "m":
            numbers = [int(number) for number in parameters.split(";")]
            assert (numbers[:2], numbers[3:5], len(numbers)) == ([38, 5], [48, 5], 6)
            self._ink, self._paper = _of_cube(numbers[2]), _of_cube(numbers[5])
        else:
            raise ValueError(f"CSI {parameters} {final}")

    def _show(self, character: str) -> None:
        assert unicodedata.category(character)[0] not in "CM", f"{character!r} reaches the terminal"
        width = 2 if unicodedata.east_asian_width(character) in "WF" else 1
        assert self._column + width <= self.columns and self._row < self.rows, "beyond the edge"
        self.cells[self._row][self._column] = (character, self._ink, self._paper)
        if width == 2:
            self.cells[self._row][self._column + 1] = ("", self._ink, self._paper)
        self._column += width


def _of_cube(number: int) -> Colour:
    red, rest = divmod(number - 16, 36)
    return CUBE[red], CUBE[rest // 6], CUBE[rest % 6]


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    opened = Terminal()
    yield opened
    with contextlib.suppress(OSError):  # a test may have hung up
        opened.hang_up()


@pytest.fixture
def font() -> Iterator[Font]:
    opened = Font()
    yield opened
    opened.close()


def shown_on(terminal: Terminal) -> TtyDisplay:
    display = TtyDisplay(clock=real_clock(), device=terminal.path)
    asyncio.run(bring_up(display))
    return display


def test_bring_up_takes_the_whole_screen_and_shut_down_gives_it_back(terminal: Terminal) -> None:
    display = shown_on(terminal)
    assert terminal.settle().modes == {1049}, "alternate screen, no cursor, no wrapping"
    assert terminal.picture().getcolors() == [(80 * 48, BLACK)]
    display.close()
    assert terminal.settle().modes == {7, 25}
    assert terminal.heard.endswith(b"\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l" + SETTLED)


@pytest.mark.parametrize("language", PAGES)
def test_a_page_is_text_on_a_terminal(terminal: Terminal, font: Font, language: str) -> None:
    page, lines = PAGES[language]
    PageView(shown_on(terminal), font).draw(page)
    assert [" ".join(line.split()) for line in terminal.text() if line] == lines
    assert terminal.text()[0] == page.title and terminal.text()[-1] == page.footer
    body, title = terminal.papers(1), terminal.papers(0)
    assert body == {WHITE} and len(title) == 1 and title != body
    assert terminal.papers(23) not in (title, body)


def test_a_wide_character_takes_two_columns_and_right_is_at_the_right_edge(terminal: Terminal, font: Font) -> None:
    PageView(shown_on(terminal), font).draw(Page("p", "T", ["停用原因\t通过"]))
    row = terminal.settle().cells[1]
    assert [cell[0] for cell in row[:6]] == [" ", "停", "", "用", "", "原"]
    assert [cell[0] for cell in row[75:]] == ["通", "", "过", "", " "]


def test_a_long_page_scrolls_with_marks_at_the_edge(terminal: Terminal, font: Font) -> None:
    view = PageView(shown_on(terminal), font)
    view.draw(Page("p", "T", [f"line {number}" for number in range(30)]))
    assert terminal.settle().cells[-1][-1][0] == MORE_BELOW
    assert terminal.text()[-1].split()[:2] == ["line", "22"]
    view.scroll(1)
    assert terminal.settle().cells[0][-1][0] == MORE_ABOVE and terminal.cells[-1][-1][0] == " "
    assert terminal.text()[-1] == "line 29"


def test_a_terminal_that_was_resized_is_drawn_to_its_new_edges(terminal: Terminal, font: Font) -> None:
    display = shown_on(terminal)
    view = PageView(display, font)
    page, lines = PAGES["en"]
    view.draw(page)
    for columns, rows in ((40, 12), (100, 30)):
        terminal.settle().resize(columns, rows)
        assert (display.columns, display.rows, display.width_px, display.height_px) == (columns, rows, columns // 8 * 8, 2 * rows)
        view.scroll(1)
        assert [" ".join(line.split()) for line in terminal.text() if line] == lines
        assert terminal.text()[-1] == page.footer


def test_a_terminal_that_tells_no_size_has_the_usual_one(terminal: Terminal) -> None:
    terminal.resize(0, 0)
    display = shown_on(terminal)
    assert (display.columns, display.rows) == (80, 24)


def test_a_terminal_too_small_for_pages_shows_no_more_than_it_has(terminal: Terminal) -> None:
    terminal.resize(3, 2)
    display = shown_on(terminal)
    assert (display.columns, display.rows) == (16, 4)


@pytest.mark.parametrize(
    "text",
    ["\x1b[2J", "\x1b]0;title\x07", "\x9b31m", "\r", "\n", "\x00", "\x7f", "\u202e", "\u0301", "\u2028", "\ud800", "\u200b"],
    ids=ascii,
)
def test_no_text_does_anything_but_be_seen(terminal: Terminal, text: str) -> None:
    display = shown_on(terminal)
    display.draw_row(5, f"a{text}b", 0, 0xFFFFFF)
    seen = terminal.text()[5]
    assert (seen[0], seen[-1]) == ("a", "b") and set(seen[1:-1]) <= set("\ufffd[2J]0;title31m")
    assert terminal.text()[4] == terminal.text()[6] == "" and terminal.modes == {1049}


def test_a_row_is_cut_at_the_right_edge_and_no_wide_character_in_half(terminal: Terminal) -> None:
    terminal.resize(21, 5)
    display = shown_on(terminal)
    display.draw_row(0, "字" * 20, 0, 0xFFFFFF)
    display.draw_row(4, "x" * 50, 0, 0xFFFFFF)
    assert (terminal.text()[0], terminal.text()[4]) == ("字" * 10, "x" * 21)
    assert error_of(lambda: display.draw_row(5, "", 0, 0)).code == E_ILLEGAL
    assert error_of(lambda: display.draw_row(-1, "", 0, 0)).code == E_ILLEGAL


def test_where_a_terminal_may_take_two_columns_for_a_character_the_next_one_has_its_place_all_the_same(terminal: Terminal) -> None:
    shown_on(terminal).draw_row(2, "a…b", 0, 0xFFFFFF)
    assert terminal.text()[2] == "a…b"
    assert "…\x1b[3;3Hb".encode() in terminal.heard


@pytest.mark.parametrize("colour", COLOURS)
def test_a_fill_is_of_one_colour_everywhere(terminal: Terminal, colour: int) -> None:
    terminal.resize(83, 24)
    shown_on(terminal).fill(colour)
    assert terminal.picture().getcolors() == [(83 * 48, (colour >> 16, colour >> 8 & 0xFF, colour & 0xFF))]


def test_a_picture_is_drawn_two_pixels_a_character_whatever_row_it_begins_in(terminal: Terminal) -> None:
    display = shown_on(terminal)
    display.fill(0xFFFFFF)
    display.draw_bitmap(8, 3, 16, 2, b"\x80\x01\xff\x00", 0xFF0000, 0x00FF00)
    display.draw_bitmap(8, 5, 8, 1, b"\x00", 0, 0x0000FF)
    picture = terminal.picture()
    expected = Image.new("RGB", (80, 48), WHITE)
    expected.paste((0, 255, 0), (8, 3, 24, 5))
    expected.paste((255, 0, 0), (8, 4, 16, 5))
    expected.putpixel((8, 3), (255, 0, 0))
    expected.putpixel((23, 3), (255, 0, 0))
    expected.paste((0, 0, 255), (8, 5, 16, 6))
    assert picture.tobytes() == expected.tobytes()
    assert error_of(lambda: display.draw_bitmap(0, 47, 8, 2, b"\0\0", 0, 0)).code == E_ILLEGAL


def test_a_code_is_read_by_a_telephone(terminal: Terminal) -> None:
    content = "RS1:" + "A7+" * 115
    display = shown_on(terminal)
    assert not draw_code(display, qr_code(content)), "24 rows have no room for it"
    terminal.settle().resize(132, 50)
    assert draw_code(display, qr_code(content))
    picture = terminal.picture()
    larger = picture.resize((picture.width * 4, picture.height * 4), Image.Resampling.NEAREST)
    (barcode,) = zxingcpp.read_barcodes(larger, formats=zxingcpp.BarcodeFormat.QRCode)
    assert barcode.valid and barcode.text == content


def test_all_of_a_large_screen_comes_through(terminal: Terminal, font: Font) -> None:
    """More than the terminal's line holds at once."""
    terminal.resize(400, 200)
    display = shown_on(terminal)
    PageView(display, font).draw(Page("p", "T", ["字" * 190 for _ in range(190)], footer="foot"))
    assert terminal.text()[1:191] == ["字" * 190] * 190


def test_the_check_is_passed_by_a_terminal_that_takes_characters(terminal: Terminal) -> None:
    display = shown_on(terminal)
    display.draw_row(0, "text", 0xFFFFFF, 0)
    assert asyncio.run(display.check_health()).outcome == HEALTH_SUCCESS
    assert terminal.text()[0] == "text"


def test_a_terminal_that_is_stopped_holds_nothing_up_and_goes_on(terminal: Terminal) -> None:
    display = shown_on(terminal)
    terminal.settle().pause()
    error = error_of(lambda: display.fill(0xFFFFFF))
    assert (error.code, error.cause) == (E_TIMEOUT, "no_answer")
    began = time.monotonic()
    for row in range(24):
        assert error_of(lambda: display.draw_row(row, "text", 0, 0)).cause == "no_answer"  # noqa: B023
    assert time.monotonic() - began < 0.5, "it is not waited for again"
    health = asyncio.run(display.check_health())
    assert (health.outcome, health.cause) == ("fail", "no_answer")
    terminal.go_on()
    display.draw_row(3, "again", 0, 0xFFFFFF)
    assert terminal.text()[3] == "again"
    assert asyncio.run(display.check_health()).outcome == HEALTH_SUCCESS


def test_a_terminal_that_hung_up_is_found_again(tmp_path: Path, terminal: Terminal) -> None:
    place = tmp_path / "tty"
    place.symlink_to(terminal.path)
    display = TtyDisplay(clock=real_clock(), device=str(place))
    asyncio.run(bring_up(display))
    terminal.settle().hang_up()
    place.unlink()
    for action in (lambda: display.fill(0), lambda: display.draw_row(0, "", 0, 0), lambda: display.draw_bitmap(0, 0, 8, 1, b"\0", 0, 0)):
        error = error_of(action)
        assert (error.code, error.cause) == (E_NOHARDWARE, "unplugged")
    assert asyncio.run(display.check_health()).cause == "unplugged"
    other = Terminal(90, 20)
    place.symlink_to(other.path)
    display.draw_row(1, "again", 0, 0xFFFFFF)
    assert other.text()[1] == "again" and other.modes == {1049}
    assert (display.columns, display.rows) == (90, 20)
    other.hang_up()
    display.close()


def test_a_terminal_that_is_not_there_is_found_by_a_later_bring_up(tmp_path: Path, terminal: Terminal) -> None:
    place = tmp_path / "tty"
    display = TtyDisplay(clock=real_clock(), device=str(place))
    error = error_of(lambda: asyncio.run(bring_up(display)))
    assert (error.code, error.cause) == (E_NOHARDWARE, "unplugged")
    assert error_of(lambda: display.fill(0)).code == E_DISABLED
    place.symlink_to(terminal.path)
    asyncio.run(display.enable())
    display.draw_row(0, "here", 0, 0xFFFFFF)
    assert terminal.text()[0] == "here"


def test_a_file_is_no_terminal(tmp_path: Path) -> None:
    (tmp_path / "tty").write_text("text")
    error = error_of(lambda: asyncio.run(bring_up(TtyDisplay(clock=real_clock(), device=str(tmp_path / "tty")))))
    assert error.code == E_FAILURE and "no terminal" in error.detail
    assert (tmp_path / "tty").read_text() == "text"
