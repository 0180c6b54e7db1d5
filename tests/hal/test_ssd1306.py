"""The OLED's driver on its controller's model: what a person sees, what a crash leaves, and what the health check can tell."""

from __future__ import annotations

import errno
from random import Random
from typing import Any

import pytest

from firmware_agent.screens.font import Font
from firmware_agent.screens.page import TONES, Page
from firmware_agent.screens.page_view import PageView
from hal.device import HEALTH_FAIL, HEALTH_SUCCESS
from hal.drivers.ssd1306 import Ssd1306
from hal.drivers.system_clock import SystemClock
from hal.errors import E_DISABLED, E_FAILURE, E_ILLEGAL, E_NOHARDWARE, DeviceError
from host_sim.bench import Bench
from host_sim.chips.ssd1306 import BLACK, LIGHT, PARAMETERS, Ssd1306Chip
from host_sim.machine.machine import Machine
from host_sim.reading import text_of_picture
from host_sim.simulated_time import SimulatedTime

ADDRESS = 0x3C
SCROLLS = (0x26, 0x27, 0x29, 0x2A)  # set up, which shows only once one begins
WHITE, DARK_BLUE, NEAR_BLACK, LIGHT_GREY = 0xFFFFFF, 0x0B3C6F, 0x111111, 0xE4E7EB


class Wired:
    """A display on its own bus."""

    def __init__(self, height_px: int = 64) -> None:
        self.time = SimulatedTime()
        bus = {"kind": "i2c", "id": 0, "scl": 22, "sda": 21, "frequency_hz": 400000}
        part = {"part": "ssd1306", "bus": "bus", "address": ADDRESS, "width_px": 128, "height_px": height_px}
        self.bench = Bench({"id": "display", "buses": {"bus": bus}, "parts": {"display": part}}, self.time)
        chip = self.bench.chips["display"]
        assert isinstance(chip, Ssd1306Chip)
        self.chip = chip
        machine = Machine(self.bench)
        self.i2c = machine.I2C(0, scl=machine.Pin(22), sda=machine.Pin(21), freq=400000)
        clock = SystemClock(self.time, machine.RTC(), self.time.sleep_ms)
        self.display = Ssd1306(self.i2c, ADDRESS, 128, height_px, clock)

    def bring_up(self) -> Wired:
        self.display.open()
        self.display.claim()
        return self.enable()

    def enable(self) -> Wired:
        self.time.run(self.display.enable())
        return self

    def health(self) -> Any:
        return self.time.run(self.display.check_health(1))

    def levels(self) -> bytes:
        """1 for each pixel that is lit, row by row."""
        return bytes(int(level > 0) for level in self.chip.picture().convert("L").tobytes())


def _watched(wired: Wired) -> list[bool]:
    """After each transaction from now on: whether the display was on."""
    on: list[bool] = []
    write = wired.chip.write

    def watch(data: bytes) -> None:
        write(data)
        on.append(wired.chip.display_on)

    wired.chip.write = watch  # type: ignore[method-assign]
    return on


def test_the_display_is_dark_until_its_memory_is_cleared_and_black_after_it() -> None:
    wired = Wired()
    assert any(wired.chip.pixels), "the memory of a chip that got its power holds anything"
    on = _watched(wired)
    wired.bring_up()
    assert on == [False] * (len(on) - 1) + [True]
    assert set(wired.levels()) == {0}
    wired.display.fill(WHITE)
    assert set(wired.levels()) == {1}


@pytest.mark.parametrize("height_px", [64, 32])
def test_a_picture_stands_upright_where_it_was_drawn_and_nowhere_else(height_px: int) -> None:
    wired = Wired(height_px).bring_up()
    rows = [0b10000000_00000001, 0b11110000_00000000, 0b00000000_11111111]
    bits = b"".join(row.to_bytes(2, "big") for row in rows)
    wired.display.draw_bitmap(16, 14, 16, 3, bits, WHITE, 0)
    levels = wired.levels()
    for y in range(height_px):
        for x in range(128):
            inside = 16 <= x < 32 and 14 <= y < 17
            lit = rows[y - 14] >> (31 - x) & 1 if inside else 0
            assert levels[y * 128 + x] == lit, (x, y)


def test_pictures_in_any_row_leave_the_rows_beside_them_as_they_were() -> None:
    wired = Wired().bring_up()
    random = Random(1306)
    expected = bytearray(128 * 64)
    for _ in range(60):
        width, height = 8 * random.randint(1, 16), random.randint(1, 40)
        x, y = 8 * random.randint(0, 16 - width // 8), random.randint(0, 64 - height)
        bits = random.randbytes(width // 8 * height)
        ink, paper = random.choice([(WHITE, 0), (0, WHITE)])
        wired.display.draw_bitmap(x, y, width, height, bits, ink, paper)
        for row in range(height):
            for column in range(width):
                is_ink = bits[(row * width + column) // 8] >> (7 - column % 8) & 1
                expected[(y + row) * 128 + x + column] = is_ink if ink == WHITE else 1 - is_ink
    assert wired.levels() == bytes(expected)


def test_a_view_of_a_longer_buffer_is_drawn() -> None:
    """As page_view hands in its strip."""
    wired = Wired().bring_up()
    wired.display.draw_bitmap(0, 0, 8, 2, memoryview(bytearray(b"\xff\x00\xff\xff"))[:2], WHITE, 0)
    assert wired.levels()[:8] == b"\x01" * 8
    assert not any(wired.levels()[8:])


@pytest.mark.parametrize(
    ("ink", "paper", "ink_is_lit"),
    [(WHITE, DARK_BLUE, 1), (NEAR_BLACK, WHITE, 0), (DARK_BLUE, WHITE, 0), (NEAR_BLACK, LIGHT_GREY, 0)]
    + [(0x808080, 0x909090, 0), (0x202020, 0x101010, 1), (0x0000FF, 0x1D1D1C, 1)],
)
def test_ink_and_paper_never_look_alike(ink: int, paper: int, ink_is_lit: int) -> None:
    wired = Wired().bring_up()
    wired.display.draw_bitmap(0, 0, 8, 1, b"\xf0", ink, paper)
    assert wired.levels()[:8] == bytes([ink_is_lit] * 4 + [1 - ink_is_lit] * 4)


@pytest.mark.parametrize(("colour", "lit"), [(WHITE, 1), (LIGHT_GREY, 1), (0x00FF00, 1), (0xFF0000, 0), (DARK_BLUE, 0), (0, 0)])
def test_one_colour_all_over_is_light_or_dark_by_its_own_lightness(colour: int, lit: int) -> None:
    wired = Wired().bring_up()
    wired.display.fill(WHITE if not lit else 0)
    wired.display.draw_bitmap(0, 8, 128, 8, bytes(64) + b"\xff" * 64, colour, colour)
    assert set(wired.levels()[128 * 8 : 128 * 16]) == {lit}
    wired.display.fill(colour)
    assert set(wired.levels()) == {lit}


@pytest.mark.parametrize("tone", TONES)
def test_a_page_is_read_off_the_panel_in_every_tone(tone: str) -> None:
    wired = Wired().bring_up()
    font = Font()
    PageView(wired.display, font).draw(Page("p", "终端已停用", ["显示屏\tpass", "Since: today"], [("1", "继续")], tone=tone))
    assert text_of_picture(wired.chip.picture(), font) == ["终端已停用", "显示屏    pass", "Since: today", "1 继续"]
    levels = wired.levels()
    assert (levels[0], levels[128 * 20]) == (0, 1), "the title bar is in reverse"


@pytest.mark.parametrize(
    ("x", "y", "width", "height", "size"),
    [(4, 0, 8, 1, 1), (0, 0, 12, 1, 2), (-8, 0, 8, 1, 1), (0, -1, 8, 1, 1), (128, 0, 8, 1, 1), (0, 64, 8, 1, 1), (0, 0, 136, 1, 17)]
    + [(0, 0, 8, 2, 1), (0, 0, 8, 1, 2), (0, 0, 0, 1, 0), (0, 0, 8, 0, 0)],
)
def test_a_picture_that_does_not_fit_is_refused_and_draws_nothing(x: int, y: int, width: int, height: int, size: int) -> None:
    wired = Wired().bring_up()
    with pytest.raises(DeviceError) as refused:
        wired.display.draw_bitmap(x, y, width, height, b"\xff" * size, WHITE, 0)
    assert refused.value.code == E_ILLEGAL
    assert set(wired.levels()) == {0}


def test_drawing_before_enable_is_refused() -> None:
    for draw in (lambda display: display.fill(0), lambda display: display.draw_bitmap(0, 0, 8, 1, b"\x00", WHITE, 0)):
        with pytest.raises(DeviceError) as refused:
            draw(Wired().display)
        assert refused.value.code == E_DISABLED


def test_disable_leaves_it_dark_and_enable_brings_it_back() -> None:
    wired = Wired().bring_up()
    wired.display.fill(WHITE)
    wired.display.disable()
    assert set(wired.levels()) == {0} and not wired.chip.display_on
    wired.enable()
    wired.display.fill(WHITE)
    assert set(wired.levels()) == {1}


# What a crash leaves behind.


@pytest.mark.parametrize("command", sorted(PARAMETERS))
@pytest.mark.parametrize("given", range(6))
def test_bring_up_recovers_a_controller_that_waits_for_parameters(command: int, given: int) -> None:
    wired = Wired().bring_up()
    wired.i2c.writeto(ADDRESS, bytes([0x00, command] + [0x01] * min(given, PARAMETERS[command] - 1)))
    on = _watched(wired)
    wired.enable()
    assert on == [False] * (len(on) - 1) + [True], "dark until all is set and cleared"
    _still_draws(wired)


@pytest.mark.parametrize(
    "commands",
    ["a5", "a7", "a0c0", "75", "d325", "a81f", "200187", "2002b500", "2f", "2600000700ff2f", "a31020", "da02", "81ff", "d511", "8d10", "ae"]
    + ["21082022030520", "d9ffdb00d500", "e3e3e3"],
)
def test_bring_up_sets_every_register_that_may_have_been_changed(commands: str) -> None:
    wired = Wired().bring_up()
    wired.i2c.writeto(ADDRESS, b"\x00" + bytes.fromhex(commands))
    _still_draws(wired.enable())


def test_bring_up_recovers_a_controller_that_was_left_in_the_middle_of_a_picture() -> None:
    wired = Wired().bring_up()
    wired.i2c.writeto(ADDRESS, bytes.fromhex("00210837220204"))
    wired.i2c.writeto(ADDRESS, b"\x40" + b"\xff" * 21)
    _still_draws(wired.enable())


def test_bring_up_knocks_again_where_the_first_time_nobody_acknowledges() -> None:
    """A program that was stopped in the middle of a byte leaves a chip that holds the line for a clock or two."""
    wired = Wired()
    write = wired.chip.write
    knocks = []

    def late(data: bytes) -> None:
        knocks.append(data)
        if len(knocks) == 1:
            raise OSError(errno.ENODEV, "no acknowledge")
        write(data)

    wired.chip.write = late  # type: ignore[method-assign]
    _still_draws(wired.bring_up())


def _still_draws(wired: Wired) -> None:
    assert wired.health().outcome == HEALTH_SUCCESS
    assert set(wired.levels()) == {0}, "what was drawn before is gone"
    registers = {command: value for command, value in wired.chip.registers.items() if command not in SCROLLS}
    assert registers == Wired().bring_up().chip.registers
    bits = bytes(at * 37 & 0xFF for at in range(1024))
    wired.display.draw_bitmap(0, 0, 128, 64, bits, WHITE, 0)
    assert wired.levels() == bytes(byte >> (7 - bit) & 1 for byte in bits for bit in range(8))


# Health.


def test_a_healthy_controller_acknowledges_and_says_that_it_is_on() -> None:
    health = Wired().bring_up().health()
    assert health.outcome == HEALTH_SUCCESS
    assert health.measurements["status"] & 0x40 == 0


def test_a_dead_controller_fails_at_bring_up_and_says_so_after_it() -> None:
    wired = Wired()
    wired.chip.fault("dead_controller")
    with pytest.raises(DeviceError) as error:
        wired.bring_up()
    assert error.value.code == E_NOHARDWARE
    health = wired.health()
    assert (health.outcome, health.cause, health.code) == (HEALTH_FAIL, "no_answer", E_NOHARDWARE)
    assert set(wired.levels()) == {0}
    wired.chip.fault("dead_controller", False)
    _still_draws(wired.enable())


def test_a_controller_that_dies_is_found_by_the_check_and_by_the_next_drawing() -> None:
    wired = Wired().bring_up()
    wired.chip.fault("dead_controller")
    health = wired.health()
    assert (health.outcome, health.cause, health.code) == (HEALTH_FAIL, "no_answer", E_NOHARDWARE)
    with pytest.raises(DeviceError) as error:
        wired.display.fill(WHITE)
    assert error.value.code == E_NOHARDWARE


@pytest.mark.parametrize("happens", [lambda chip: chip.power_up(), lambda chip: chip.write(b"\x00\xae")])
def test_a_display_that_lost_its_settings_is_found_and_mended_by_enable(happens: Any) -> None:
    wired = Wired().bring_up()
    happens(wired.chip)
    health = wired.health()
    assert (health.outcome, health.cause, health.code) == (HEALTH_FAIL, "lost_settings", E_FAILURE)
    _still_draws(wired.enable())


@pytest.mark.parametrize("before", [True, False])
def test_a_display_that_switches_itself_off_is_found_whenever_it_began(before: bool) -> None:
    wired = Wired() if before else Wired().bring_up()
    wired.chip.fault("switches_off")
    if before:
        wired.bring_up()
    else:
        wired.enable()
    wired.display.fill(WHITE)
    assert set(wired.levels()) == {0}
    assert (wired.health().outcome, wired.health().cause) == (HEALTH_FAIL, "lost_settings")


@pytest.mark.parametrize("fault", ["garbage", "flipped_bits"])
def test_a_noisy_bus_is_told_apart_from_a_broken_display(fault: str) -> None:
    wired = Wired().bring_up()
    wired.bench.bus_fault("bus", fault)
    assert (wired.health().outcome, wired.health().cause) == (HEALTH_FAIL, "unstable_bus")


@pytest.mark.parametrize("fault", ["no_acknowledge", "stuck_line", "silence"])
def test_a_broken_wire_is_no_answer(fault: str) -> None:
    wired = Wired().bring_up()
    wired.bench.bus_fault("bus", fault)
    assert (wired.health().outcome, wired.health().cause) == (HEALTH_FAIL, "no_answer")


# What only a person sees.


def test_a_dark_panel_passes_the_internal_check() -> None:
    wired = Wired().bring_up()
    wired.chip.fault("dark_panel")
    wired.display.fill(WHITE)
    assert wired.chip.picture().getcolors() == [(128 * 64, BLACK)]
    assert wired.health().outcome == HEALTH_SUCCESS


@pytest.mark.parametrize(("fault", "fill", "count"), [("stuck_rows", 0, 8 * 128), ("stuck_columns", WHITE, 8 * 64)])
def test_stuck_lines_of_the_panel_show_across_it(fault: str, fill: int, count: int) -> None:
    wired = Wired().bring_up()
    wired.display.fill(fill)
    wired.chip.fault(fault)
    counts = {seen: number for number, seen in wired.chip.picture().getcolors() or []}
    assert counts[LIGHT if fill == 0 else BLACK] == count
    assert wired.health().outcome == HEALTH_SUCCESS


def test_an_inverted_panel_shows_light_for_dark() -> None:
    wired = Wired().bring_up()
    wired.chip.fault("inverted")
    assert set(wired.levels()) == {1}
    wired.display.fill(WHITE)
    assert set(wired.levels()) == {0}


# The model.


def test_the_model_takes_single_bytes_with_a_control_byte_each() -> None:
    """Co = 1, as drivers do that send one byte a time."""
    wired = Wired().bring_up()
    for transaction in ("8021", "8008", "8008", "8022", "8001800180e3", "c0ff"):
        wired.i2c.writeto(ADDRESS, bytes.fromhex(transaction))
    lit = [at for at, level in enumerate(wired.levels()) if level]
    assert lit == [row * 128 + 8 for row in range(8, 16)]


def test_the_model_addresses_in_pages_after_power_up_and_in_columns_when_told() -> None:
    wired = Wired()
    wired.i2c.writeto(ADDRESS, bytes.fromhex("00b30a12"))
    wired.i2c.writeto(ADDRESS, b"\x40\x11\x22")
    assert wired.chip.pixels[3 * 128 + 0x2A : 3 * 128 + 0x2C] == b"\x11\x22"
    wired.i2c.writeto(ADDRESS, bytes.fromhex("002001210506220102"))
    wired.i2c.writeto(ADDRESS, b"\x40\x01\x02\x03\x04\x05")
    assert [wired.chip.pixels[page * 128 + column] for column in (5, 6) for page in (1, 2)] == [5, 2, 3, 4]


def test_a_panel_that_an_ssd1306_cannot_drive_is_refused() -> None:
    with pytest.raises(ValueError, match="not 132x64"):
        Ssd1306Chip(lambda: 0, 132, 64)
