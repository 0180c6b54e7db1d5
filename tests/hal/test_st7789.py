"""The display driver on the controller's model: what a person sees, and what the health check can and cannot tell."""

from __future__ import annotations

from typing import Any

import pytest

from hal.device import HEALTH_FAIL, HEALTH_NOT_RUN, HEALTH_SUCCESS
from hal.drivers.st7789 import St7789
from hal.drivers.system_clock import SystemClock
from hal.errors import CH_EXTERNAL, CH_INTERNAL, E_DISABLED, E_FAILURE, E_ILLEGAL, E_NOHARDWARE, DeviceError
from host_sim.bench import Bench
from host_sim.buses import SpiBus
from host_sim.chips.st7789 import BLACK, UNLIT, St7789Chip
from host_sim.machine.machine import Machine
from host_sim.simulated_time import SimulatedTime
from tests.hal.counter import enabled

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


class Wired:
    """A display on its own bus."""

    def __init__(
        self,
        width_px: int = 320,
        height_px: int = 240,
        miso: int | None = 13,
        baudrate_hz: int | None = 40_000_000,
        reads_back: bool = False,
    ) -> None:
        self.time = SimulatedTime()
        bus = {"kind": "spi", "id": 1, "sck": 12, "mosi": 11} | ({"miso": miso} if miso is not None else {})
        part = {"part": "st7789", "bus": "bus", "cs": 10, "dc": 14, "reset": 21, "backlight": 47}
        part |= {"width_px": width_px, "height_px": height_px}
        self.bench = Bench({"id": "display", "buses": {"bus": bus}, "parts": {"display": part}}, self.time)
        chip = self.bench.chips["display"]
        assert isinstance(chip, St7789Chip)
        self.chip = chip
        machine = Machine(self.bench)
        miso_pin = machine.Pin(miso) if miso is not None else None
        self.display = St7789(
            machine.SPI(1, baudrate=40_000_000, sck=machine.Pin(12), mosi=machine.Pin(11), miso=miso_pin),
            machine.Pin(10, machine.Pin.OUT, value=1),
            machine.Pin(14, machine.Pin.OUT, value=0),
            machine.Pin(21, machine.Pin.OUT, value=1),
            machine.Pin(47, machine.Pin.OUT, value=0),
            width_px,
            height_px,
            SystemClock(self.time, machine.RTC(), self.time.sleep_ms),
            baudrate_hz,
            reads_back,
        )

    def bring_up(self) -> Wired:
        self.time.run(enabled(self.display))
        return self

    def health(self, level: int = 1) -> Any:
        return self.time.run(self.display.check_health(level))

    def seen(self, x: int, y: int) -> Any:
        return self.chip.picture().getpixel((x, y))


def test_a_program_that_starts_finds_the_display_black_and_lit_after_bring_up() -> None:
    wired = Wired()
    assert wired.seen(0, 0) != BLACK  # nobody has switched anything on
    wired.bring_up()
    assert wired.chip.picture().getcolors() == [(320 * 240, BLACK)]


@pytest.mark.parametrize(("colour", "seen"), [(0xFF0000, RED), (0x00FF00, GREEN), (0x0000FF, BLUE), (0xFFFFFF, WHITE)])
def test_a_fill_covers_every_pixel_in_its_colour(colour: int, seen: tuple[int, int, int]) -> None:
    wired = Wired().bring_up()
    wired.display.fill(colour)
    assert wired.chip.picture().getcolors() == [(320 * 240, seen)]


@pytest.mark.parametrize(("width_px", "height_px"), [(320, 240), (240, 320)])
def test_a_picture_stands_upright_where_it_was_drawn_and_nowhere_else(width_px: int, height_px: int) -> None:
    wired = Wired(width_px, height_px).bring_up()
    x_px, y_px = 16, 24
    rows = [0b10000000_00000001, 0b11110000_00000000, 0b00000000_11111111]
    bits = b"".join(row.to_bytes(2, "big") for row in rows)
    wired.display.draw_bitmap(x_px, y_px, 16, 3, bits, 0xFF0000, 0x0000FF)
    picture = wired.chip.picture()
    assert picture.size == (width_px, height_px)
    for y in range(height_px):
        for x in range(width_px):
            if x_px <= x < x_px + 16 and y_px <= y < y_px + 3:
                ink = rows[y - y_px] >> (15 - (x - x_px)) & 1
                assert picture.getpixel((x, y)) == (RED if ink else BLUE), (x, y)
            else:
                assert picture.getpixel((x, y)) == BLACK, (x, y)


def test_a_picture_of_the_whole_display_reaches_the_last_row() -> None:
    wired = Wired().bring_up()
    bits = bytes(40 * 239) + b"\xff" * 40
    wired.display.draw_bitmap(0, 0, 320, 240, bits, 0xFFFFFF, 0x000000)
    assert wired.seen(0, 238) == BLACK
    assert [wired.seen(x, 239) for x in (0, 160, 319)] == [WHITE] * 3


@pytest.mark.parametrize(
    ("x", "y", "width", "height", "size"),
    [(4, 0, 8, 1, 1), (0, 0, 12, 1, 2), (-8, 0, 8, 1, 1), (0, -1, 8, 1, 1), (320, 0, 8, 1, 1), (0, 240, 8, 1, 1), (0, 0, 328, 1, 41)]
    + [(0, 0, 8, 2, 1), (0, 0, 8, 1, 2), (0, 0, 0, 1, 0), (0, 0, 8, 0, 0)],
)
def test_a_picture_that_does_not_fit_is_refused_and_draws_nothing(x: int, y: int, width: int, height: int, size: int) -> None:
    wired = Wired().bring_up()
    with pytest.raises(DeviceError) as refused:
        wired.display.draw_bitmap(x, y, width, height, b"\xff" * size, 0xFFFFFF, 0)
    assert refused.value.code == E_ILLEGAL
    assert wired.chip.picture().getcolors() == [(320 * 240, BLACK)]


def test_drawing_before_enable_is_refused() -> None:
    with pytest.raises(DeviceError) as refused:
        Wired().display.fill(0)
    assert refused.value.code == E_DISABLED


def test_the_backlight_goes_off_and_on_and_off_when_disabled() -> None:
    wired = Wired().bring_up()
    wired.display.fill(0xFFFFFF)
    wired.display.set_backlight(False)
    assert wired.seen(0, 0) == UNLIT
    wired.display.set_backlight(True)
    assert wired.seen(0, 0) == WHITE
    wired.display.disable()
    assert wired.seen(0, 0) == UNLIT
    assert not wired.chip.display_on


def test_a_display_put_to_sleep_by_disable_comes_back_by_enable() -> None:
    wired = Wired().bring_up()
    wired.display.disable()
    wired.time.run(wired.display.enable())
    wired.display.fill(0xFFFFFF)
    assert wired.seen(319, 239) == WHITE


def test_bring_up_recovers_a_controller_that_a_crash_left_in_the_middle_of_a_picture() -> None:
    wired = Wired().bring_up()
    machine = Machine(wired.bench)
    machine.Pin(14, machine.Pin.OUT, value=0)
    machine.Pin(10, machine.Pin.OUT, value=0)  # still selected
    spi = machine.SPI(1, baudrate=40_000_000, sck=12, mosi=11, miso=13)
    spi.write(b"\x36")
    machine.Pin(14, machine.Pin.OUT, value=1)
    spi.write(b"\x08")  # red and blue exchanged
    wired.time.run(wired.display.enable())
    wired.display.fill(0xFF0000)
    assert wired.chip.picture().getcolors() == [(320 * 240, RED)]


def test_a_healthy_controller_is_read_back() -> None:
    health = Wired().bring_up().health()
    assert (health.outcome, health.measurements) == (HEALTH_SUCCESS, {"identity": 0x858552})


def test_a_portrait_display_is_healthy_too() -> None:
    assert Wired(240, 320).bring_up().health().outcome == HEALTH_SUCCESS


def test_a_module_without_miso_is_not_run_rather_than_failed() -> None:
    health = Wired(miso=None).bring_up().health()
    assert (health.outcome, health.cause) == (HEALTH_NOT_RUN, "no_read_back")


def test_a_controller_read_faster_than_it_can_answer_is_not_run() -> None:
    assert Wired(baudrate_hz=None).bring_up().health().outcome == HEALTH_NOT_RUN


def test_a_dead_controller_shows_black_and_cannot_be_read() -> None:
    wired = Wired()
    wired.chip.fault("dead_controller")
    wired.bring_up()
    wired.display.fill(0xFFFFFF)
    assert wired.seen(0, 0) == BLACK
    assert wired.health().outcome == HEALTH_NOT_RUN


@pytest.mark.parametrize("fault", ["dead_controller", "silence", "stuck_line"])
def test_where_the_board_wires_miso_a_display_dead_from_power_on_is_failed(fault: str) -> None:
    wired = Wired(reads_back=True)
    if fault == "dead_controller":
        wired.chip.fault(fault)
    else:
        wired.bench.bus_fault("bus", fault)
    health = wired.bring_up().health()
    assert (health.outcome, health.cause, health.code) == (HEALTH_FAIL, "no_answer", E_NOHARDWARE)


def test_a_weak_booster_shows_in_the_controllers_own_diagnosis_at_the_next_bring_up_or_the_external_check() -> None:
    wired = Wired()
    wired.chip.fault("weak_booster")
    health = wired.bring_up().health()
    assert (health.outcome, health.cause, health.code) == (HEALTH_FAIL, "self_diagnostic", E_FAILURE)
    wired = Wired().bring_up()
    wired.display.fill(0xFFFFFF)
    wired.chip.fault("weak_booster")
    assert wired.health(CH_INTERNAL).outcome == HEALTH_SUCCESS  # nothing visible is done to find it
    assert wired.health(CH_EXTERNAL).cause == "self_diagnostic"
    wired.chip.fault("weak_booster", on=False)
    assert wired.health(CH_EXTERNAL).outcome == HEALTH_SUCCESS
    assert wired.chip.picture().getcolors() == [(320 * 240, WHITE)]


@pytest.mark.parametrize(("width_px", "height_px"), [(320, 240), (240, 320)])
def test_a_stuck_bit_of_the_memory_is_found_by_writing_and_reading_two_pixels(width_px: int, height_px: int) -> None:
    wired = Wired(width_px, height_px).bring_up()
    wired.chip.fault("stuck_memory")
    health = wired.health()
    assert (health.outcome, health.cause, health.code) == (HEALTH_FAIL, "self_diagnostic", E_FAILURE)
    assert "000080" in health.detail  # the highest bit of blue


@pytest.mark.parametrize(("width_px", "height_px"), [(320, 240), (240, 320)])
def test_the_check_leaves_the_picture_as_it_was(width_px: int, height_px: int) -> None:
    wired = Wired(width_px, height_px).bring_up()
    wired.display.fill(0x123456)
    wired.display.draw_bitmap(0, 0, 8, 2, b"\xaa\x55", 0xFFFFFF, 0xFF0000)
    before = wired.chip.picture().tobytes()
    for level in (CH_INTERNAL, CH_EXTERNAL):
        assert wired.health(level).outcome == HEALTH_SUCCESS
        assert wired.chip.picture().tobytes() == before
    wired.display.fill(0x00FF00)  # and the driver's own pixel format
    assert wired.chip.picture().getcolors() == [(width_px * height_px, GREEN)]


class TappedSpi:
    """Between the driver and the machine's SPI: each transfer, commands marked by the level of the data line."""

    def __init__(self, wired: Wired) -> None:
        self._spi = wired.display._spi
        self._chip = wired.chip
        self.seen: list[str] = []
        wired.display._spi = self

    def init(self, baudrate: int) -> None:
        self._spi.init(baudrate=baudrate)

    def write(self, data: bytes) -> None:
        self.seen.append(("" if self._chip._is_data else "command ") + bytes(data).hex())
        self._spi.write(data)

    def read(self, length: int) -> bytes:
        answer: bytes = self._spi.read(length)
        self.seen.append("read " + answer.hex())
        return answer


def test_the_check_sends_the_commands_of_the_datasheet_and_reads_each_register_in_its_own_way() -> None:
    """24 and 32 bits come after one dummy clock, the memory after a dummy byte, three bytes a pixel."""
    wired = Wired().bring_up()
    wired.display.fill(0xFFFFFF)
    tap = TappedSpi(wired)
    assert wired.health().outcome == HEALTH_SUCCESS
    window = ["command 2a", "00000001", "command 2b", "00000000"]
    assert tap.seen[:16] == ["command 04", "read 42c2a900"] * 8
    assert tap.seen[16:18] == ["command 09", "read " + ((0x80532400 | 0x60 << 23) << 7).to_bytes(5, "big").hex()]
    written = "a854f850a800"
    inverted = (int(written, 16) ^ 0xF8FCF8F8FCF8).to_bytes(6, "big").hex()
    read_window = [*window, "command 2c", "command 2e"]
    assert tap.seen[18:] == [
        *["command 3a", "66"],
        *[*read_window, "read 00f8fcf8f8fcf8"],
        *[*window, "command 2c", written],
        *[*read_window, "read 00" + written],
        *[*window, "command 2c", inverted],
        *[*read_window, "read 00" + inverted],
        *[*window, "command 2c", "f8fcf8f8fcf8"],
        *["command 3a", "55"],
    ]


def test_a_reading_of_the_diagnosis_is_eight_bits_without_a_dummy() -> None:
    wired = Wired()
    tap = TappedSpi(wired)
    wired.bring_up()
    start = tap.seen.index("command 0f")
    assert tap.seen[start : start + 5] == ["command 0f", "read 00", "command 11", "command 0f", "read c0"]


@pytest.mark.parametrize("habit", sorted(St7789Chip.HABITS))
def test_a_compatible_controller_that_cannot_do_all_is_not_complained_of(habit: str) -> None:
    wired = Wired(reads_back=True)
    wired.chip.fault(habit)
    wired.bring_up()
    for level in (CH_INTERNAL, CH_EXTERNAL):
        health = wired.health(level)
        assert (health.outcome, health.cause) == (HEALTH_SUCCESS, "")


def test_a_controller_that_dies_after_it_has_answered_is_failed() -> None:
    wired = Wired().bring_up()
    wired.chip.fault("dead_controller")
    health = wired.health()
    assert (health.outcome, health.cause, health.code) == (HEALTH_FAIL, "no_answer", E_NOHARDWARE)


def test_a_controller_that_lost_its_settings_by_a_brownout_is_failed_and_mended_by_enable() -> None:
    wired = Wired().bring_up()
    wired.chip.power_up()
    wired.time.advance(10)
    health = wired.health()
    assert (health.outcome, health.cause, health.code) == (HEALTH_FAIL, "lost_settings", E_FAILURE)
    wired.time.run(wired.display.enable())
    assert wired.health().outcome == HEALTH_SUCCESS


@pytest.mark.parametrize("fault", ["garbage", "flipped_bits"])
def test_a_noisy_bus_is_unstable(fault: str) -> None:
    wired = Wired().bring_up()
    wired.bench.bus_fault("bus", fault)
    health = wired.health()
    assert (health.outcome, health.cause, health.code) == (HEALTH_FAIL, SpiBus.FAULTS[fault].cause, E_FAILURE)


@pytest.mark.parametrize("fault", ["silence", "stuck_line"])
def test_a_broken_wire_is_found_once_the_controller_has_answered(fault: str) -> None:
    wired = Wired().bring_up()
    wired.bench.bus_fault("bus", fault)
    health = wired.health()
    assert (health.outcome, health.cause) == (HEALTH_FAIL, "no_answer")


def test_a_dead_backlight_leaves_the_picture_in_the_dark() -> None:
    wired = Wired().bring_up()
    wired.display.fill(0xFFFFFF)
    wired.chip.fault("dead_backlight")
    assert wired.seen(100, 100) == UNLIT
    assert wired.health().outcome == HEALTH_SUCCESS  # only a person can tell


def test_wrong_colours_exchange_red_and_blue() -> None:
    wired = Wired().bring_up()
    wired.chip.fault("wrong_colours")
    wired.display.fill(0xFF0000)
    assert wired.seen(0, 0) == BLUE


@pytest.mark.parametrize(("fault", "colour"), [("stuck_rows", BLACK), ("stuck_columns", WHITE)])
def test_stuck_lines_of_the_panel_show_across_it(fault: str, colour: tuple[int, int, int]) -> None:
    wired = Wired(240, 320).bring_up()
    wired.display.fill(int.from_bytes(bytes(colour), "big"))
    wired.chip.fault(fault)
    counts = {seen: count for count, seen in wired.chip.picture().getcolors() or []}
    stuck = WHITE if colour == BLACK else BLACK
    assert counts[stuck] == (8 * 240 if fault == "stuck_rows" else 8 * 320)


def test_the_model_ignores_commands_right_after_a_reset() -> None:
    wired = Wired()
    machine = Machine(wired.bench)
    machine.Pin(21, machine.Pin.OUT, value=0).value(1)
    machine.Pin(14, machine.Pin.OUT, value=0)
    machine.Pin(10, machine.Pin.OUT, value=0)
    spi = machine.SPI(1, baudrate=1_000_000, sck=12, mosi=11, miso=13)
    spi.write(b"\x29")
    assert not wired.chip.display_on
    wired.time.advance(10)
    spi.write(b"\x29")
    assert wired.chip.display_on


def test_a_bus_on_other_pins_than_the_wired_ones_reaches_nothing() -> None:
    wired = Wired()
    wired.time.advance(10)
    machine = Machine(wired.bench)
    machine.Pin(14, machine.Pin.OUT, value=0)
    machine.Pin(10, machine.Pin.OUT, value=0)
    machine.SPI(1, baudrate=1_000_000, sck=11, mosi=12, miso=13).write(b"\x29")
    assert not wired.chip.display_on
