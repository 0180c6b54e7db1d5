"""The bench: wires as the board lists them, the ways in which each kind of wire goes wrong, power and watchdog."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any

import pytest

from boards.esp32s3_counter import board
from host_sim.bench import Bench
from host_sim.buses import I2cBus, SpiBus, UartLine
from host_sim.chips.faces import I2cChip, UartChip
from host_sim.chips.flash import Flash
from host_sim.machine import machine as op
from host_sim.machine import network
from host_sim.machine.machine import Machine
from host_sim.machine.network import Network
from host_sim.platform import in_process_platform
from host_sim.simulated_time import SimulatedTime


class EchoI2c(I2cChip):
    """Gives back what was written last."""

    written = b""

    def write(self, data: bytes) -> None:
        self.written = data

    def read(self, length: int) -> bytes:
        return (self.written + bytes(length))[:length]


class EchoUart(UartChip):
    received = b""

    def receive(self, data: bytes) -> None:
        self.received += data
        self.send(data)


class SilentUart(UartChip):
    def receive(self, data: bytes) -> None:
        """Says nothing."""


class Wired:
    def __init__(self) -> None:
        self.time = SimulatedTime()
        buses = {
            "i2c": {"kind": "i2c", "id": 0, "scl": 9, "sda": 8},
            "line": {"kind": "uart", "id": 1, "tx": 17, "rx": 18, "baudrate": 9600},
            "spi": {"kind": "spi", "id": 1, "sck": 12, "mosi": 11, "miso": 13},
        }
        self.bench = Bench({"id": "wires", "buses": buses, "parts": {}}, self.time)
        self.memory = EchoI2c(self.time.now_ms)
        self.bench.on_i2c("i2c", 0x50, self.memory)
        self.echo = EchoUart(self.time.now_ms)
        self.bench.on_uart("line", self.echo)
        self.machine = Machine(self.bench)
        self.i2c = self.machine.I2C(0, scl=9, sda=8)
        self.uart = self.uart_at(9600)

    def uart_at(self, baudrate: int, rxbuf: int = 64) -> Any:
        return self.machine.UART(1, baudrate=baudrate, tx=17, rx=18, timeout=0, rxbuf=rxbuf)


def _errno(call: Callable[..., object], *arguments: object) -> int | None:
    with pytest.raises(OSError) as refused:
        call(*arguments)
    return refused.value.errno


DATA = bytes(range(64))


def test_a_good_i2c_bus_carries_every_byte() -> None:
    wired = Wired()
    assert wired.i2c.scan() == [0x50]
    assert wired.i2c.writeto(0x50, DATA) == 64
    assert wired.i2c.readfrom(0x50, 64) == DATA
    wired.i2c.writeto_mem(0x50, 0x1234, b"ab", addrsize=16)
    assert wired.memory.written == b"\x12\x34ab"
    assert wired.i2c.readfrom_mem(0x50, 7, 3) == b"\x07\x00\x00"
    buffer = bytearray(2)
    wired.i2c.readfrom_mem_into(0x50, 9, buffer)
    assert buffer == b"\x09\x00"
    wired.i2c.writevto(0x50, [b"a", b"bc"])
    wired.i2c.readfrom_into(0x50, buffer)
    assert buffer == b"ab"


def test_an_address_without_a_chip_is_not_acknowledged() -> None:
    assert _errno(Wired().i2c.writeto, 0x51, b"x") == errno.ENODEV


def test_i2c_no_acknowledge() -> None:
    wired = Wired()
    wired.bench.bus_fault("i2c", "no_acknowledge")
    assert _errno(wired.i2c.writeto, 0x50, b"x") == errno.ENODEV
    assert wired.i2c.scan() == []
    wired.bench.bus_fault("i2c", "no_acknowledge", on=False)
    assert wired.i2c.scan() == [0x50]


def test_i2c_stuck_line() -> None:
    wired = Wired()
    wired.bench.bus_fault("i2c", "stuck_line")
    assert _errno(wired.i2c.writeto, 0x50, b"x") == errno.ETIMEDOUT
    assert _errno(wired.i2c.readfrom, 0x50, 1) == errno.ETIMEDOUT


def test_i2c_silence() -> None:
    wired = Wired()
    wired.bench.bus_fault("i2c", "silence")
    assert wired.i2c.writeto(0x50, b"x") == 1
    assert wired.memory.written == b""
    assert wired.i2c.readfrom(0x50, 3) == b"\xff\xff\xff"


def _bits_changed(left: bytes, right: bytes) -> int:
    return sum((a ^ b).bit_count() for a, b in zip(left, right, strict=True))


def test_flipped_bits_are_few_and_garbage_is_not() -> None:
    for fault, least, most in (("flipped_bits", 1, 6), ("garbage", 64, 448)):
        wired = Wired()
        wired.bench.bus_fault("i2c", fault)
        wired.i2c.writeto(0x50, DATA)
        assert least <= _bits_changed(wired.memory.written, DATA) <= most
        wired.memory.written = DATA
        assert least <= _bits_changed(wired.i2c.readfrom(0x50, 64), DATA) <= most


def test_a_serial_line_carries_every_byte_both_ways() -> None:
    wired = Wired()
    assert wired.uart.read() is None and wired.uart.any() == 0
    assert wired.uart.write(b"abcdef") == 6
    assert wired.uart.any() == 6
    assert wired.uart.read(2) == b"ab"
    buffer = bytearray(8)
    assert wired.uart.readinto(buffer, 3) == 3 and buffer[:3] == b"cde"
    assert wired.uart.readinto(buffer) == 1 and wired.uart.readinto(buffer) is None


def test_a_full_receive_buffer_loses_what_comes_after() -> None:
    wired = Wired()
    wired.uart.write(bytes(range(100)))
    assert wired.uart.read() == bytes(range(64))


def test_what_a_chip_says_before_the_line_is_opened_is_lost() -> None:
    wired = Wired()
    wired.bench.power_cycle()
    wired.echo.send(b"hello")
    assert wired.uart_at(9600).any() == 0


def test_another_baud_rate_than_the_chips_is_garbage_both_ways() -> None:
    wired = Wired()
    uart = wired.uart_at(115200)
    uart.write(DATA)
    assert len(wired.echo.received) == 64 and _bits_changed(wired.echo.received, DATA) > 64
    assert uart.read() != wired.echo.received


@pytest.mark.parametrize(("fault", "heard"), [("silence", b""), ("stuck_line", bytes(64))])
def test_a_broken_serial_line(fault: str, heard: bytes) -> None:
    wired = Wired()
    wired.bench.bus_fault("line", fault)
    wired.uart.write(DATA)
    assert wired.echo.received == heard


def test_a_noisy_serial_line() -> None:
    for fault, most in (("flipped_bits", 6), ("garbage", 448)):
        wired = Wired()
        wired.bench.bus_fault("line", fault)
        wired.uart.write(DATA)
        assert 1 <= _bits_changed(wired.echo.received, DATA) <= most


def test_single_bit_errors_of_a_serial_line_lie_bytes_apart_however_it_is_written_to() -> None:
    wired = Wired()
    wired.bench.bus_fault("line", "flipped_bits")
    for number in range(200):
        wired.uart.write(bytes([number]))
    wrong = [at for at, byte in enumerate(wired.echo.received) if byte != at]
    assert 200 // 24 - 1 <= len(wrong) <= 200 // 8
    assert all(8 <= later - earlier <= 24 for earlier, later in zip(wrong, wrong[1:], strict=False))
    assert _bits_changed(wired.echo.received, bytes(range(200))) == len(wrong)


def test_a_line_of_noise_is_heard_even_where_the_chip_is_silent() -> None:
    wired = Wired()
    wired.bench.on_uart("line", SilentUart(wired.time.now_ms))
    wired.bench.bus_fault("line", "garbage")
    wired.uart.write(b"abc")
    assert wired.uart.any() == 3


def test_an_open_drain_output_is_read_as_its_line_is() -> None:
    wired = Wired()
    pin_kind = wired.machine.Pin
    pin = pin_kind(5, pin_kind.OPEN_DRAIN, pin_kind.PULL_UP, value=1)
    assert pin.value() == 1
    wired.bench.pins.sources[5] = lambda: 0
    assert pin.value() == 0  # somebody else pulls it low
    wired.bench.pins.sources[5] = lambda: 1
    pin.value(0)
    assert pin.value() == 0
    assert pin_kind(5, pin_kind.OUT, value=1).value() == 1


def test_the_same_board_has_the_same_noise_each_time() -> None:
    heard = []
    for _ in range(2):
        wired = Wired()
        wired.bench.bus_fault("line", "garbage")
        wired.uart.write(DATA)
        heard.append(wired.uart.read())
    assert heard[0] == heard[1]


@pytest.mark.parametrize(("bus", "kind"), [("i2c", I2cBus), ("line", UartLine), ("spi", SpiBus)])
def test_a_fault_that_a_wire_cannot_have_is_refused_with_those_it_can(bus: str, kind: Any) -> None:
    bench = Wired().bench
    with pytest.raises(ValueError, match="garbage.*silence.*stuck_line"):
        bench.bus_fault(bus, "no_such_fault")
    assert {"flipped_bits", "garbage", "silence", "stuck_line"} <= set(kind.FAULTS)
    with pytest.raises(ValueError, match="no bus"):
        bench.bus_fault("nowhere", "silence")


def test_only_an_i2c_bus_can_fail_to_acknowledge() -> None:
    bench = Wired().bench
    for bus in ("line", "spi"):
        with pytest.raises(ValueError, match="has no fault 'no_acknowledge'"):
            bench.bus_fault(bus, "no_acknowledge")


def test_buses_on_pins_to_which_nothing_is_wired_are_dead() -> None:
    wired = Wired()
    assert wired.machine.I2C(0, scl=8, sda=9).scan() == []
    uart = wired.machine.UART(1, baudrate=9600, tx=18, rx=17, rxbuf=64)
    uart.write(b"abc")
    assert wired.echo.received == b"" and uart.read() is None
    assert wired.machine.SPI(1, sck=12, mosi=13, miso=11).read(2) == b"\xff\xff"


def test_an_output_starts_at_its_value_and_an_input_has_its_pull() -> None:
    wired = Wired()
    told: list[int] = []
    wired.bench.pins.listeners[5] = told.append
    pin_kind = wired.machine.Pin
    pin = pin_kind(5, pin_kind.OUT, value=1)
    pin.off()
    pin.off()
    pin.init(pin_kind.IN)
    assert told == [1, 0, 1]
    assert pin_kind(6, pin_kind.IN, pin_kind.PULL_UP).value() == 1
    assert pin_kind(6, pin_kind.IN, pin_kind.PULL_DOWN).value() == 0
    pin.init(pin_kind.OUT, value=0)
    assert pin() == 0
    pin(1)
    pin.on()
    assert pin.value() == 1


def test_the_watchdog_expires_unless_it_is_fed() -> None:
    wired = Wired()
    assert not wired.bench.watchdog_expired()
    watchdog = wired.machine.WDT(timeout=1000)
    wired.time.advance(900)
    watchdog.feed()
    wired.time.advance(900)
    assert not wired.bench.watchdog_expired()
    wired.time.advance(101)
    assert wired.bench.watchdog_expired()
    wired.bench.watchdog_reset()
    assert not wired.bench.watchdog_expired()
    assert wired.machine.reset_cause() == op.WDT_RESET


def test_the_hardware_clock_runs_with_the_chips_time() -> None:
    wired = Wired()
    rtc = wired.machine.RTC()
    assert rtc.datetime()[:3] == (2000, 1, 1)
    rtc.datetime((2024, 2, 28, 0, 23, 59, 59, 0))
    wired.time.advance(1500)
    assert rtc.datetime() == (2024, 2, 29, 3, 0, 0, 0, 500_000)


def test_power_returns_the_chips_to_their_reset_values_and_leaves_what_is_broken_broken() -> None:
    time = SimulatedTime()
    bench = Bench(board.facts(), time)
    hal = board.build(in_process_platform(bench, Flash(), time))
    display: Any = bench.chips["display"]
    time.run(hal.bring_up())
    assert display.display_on
    display.fault("dead_backlight")
    bench.power_cycle()
    assert not display.display_on and display.asleep and display.has("dead_backlight")


def test_two_benches_in_one_process_know_nothing_of_each_other() -> None:
    left, right = Bench(board.facts()), Bench(board.facts())
    left_pin = Machine(left).Pin(5, op.Pin.OUT, value=0)
    right_pin = Machine(right).Pin(5, op.Pin.OUT, value=1)
    assert (left_pin.value(), right_pin.value()) == (0, 1)
    left.unique_id = b"\x00\x00\x00\x00\x00\x09"
    assert Machine(right).unique_id() != left.unique_id


def test_a_part_without_a_model_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="no chip model for part 'teleprinter'"):
        Bench({"id": "x", "buses": {}, "parts": {"printer": {"part": "teleprinter"}}})


def test_a_board_without_wifi_has_no_station() -> None:
    assert _errno(Network(Wired().bench).WLAN(network.STA_IF).active, True) == errno.ENODEV


def test_the_station_module_keeps_to_the_calls_of_the_real_one() -> None:
    time = SimulatedTime()
    bench = Bench(board.facts(), time)
    module = Network(bench)
    station = module.WLAN(module.STA_IF)
    assert not station.active() and station.status() == module.STAT_IDLE
    with pytest.raises(OSError):
        station.connect("reinstate", "reinstate")
    assert station.active(True)
    station.connect("reinstate", "reinstate")
    assert station.status() == module.STAT_CONNECTING and station.ifconfig()[0] == "0.0.0.0"
    with pytest.raises(OSError):
        station.status("rssi")
    time.advance(200)
    assert station.isconnected() and station.status("rssi") == -55
    assert station.ifconfig() == ("192.168.4.2", "255.255.255.0", "192.168.4.1", "192.168.4.1")
    assert station.config("mac") == bench.unique_id and station.config("ssid") == "reinstate"
    station.config(reconnects=3)
    assert station.config("reconnects") == 3
    with pytest.raises(ValueError):
        station.config("tea")
    with pytest.raises(ValueError):
        station.config(tea=1)
    with pytest.raises(ValueError):
        station.status("tea")
    with pytest.raises(ValueError):
        module.WLAN(1)
    station.disconnect()
    assert station.status() == module.STAT_IDLE


def test_settings_that_the_wires_cannot_have_are_refused() -> None:
    machine = Machine(Wired().bench)
    with pytest.raises(ValueError):
        machine.SPI(1, polarity=1, sck=12, mosi=11)
    with pytest.raises(ValueError):
        machine.UART(1, parity=1, tx=17, rx=18)
    with pytest.raises(ValueError):
        machine.UART(1, timeout=100, tx=17, rx=18)
    with pytest.raises(ValueError):
        machine.SPI(1, sck=12, mosi=11).write_readinto(b"ab", bytearray(3))
