"""A MicroPython process drives the chip models over a socket as a program in this process does, and no frame takes the server down."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import random
import struct
from pathlib import Path
from typing import Any

import pytest

from boards.esp32s3_counter import board
from hal.files import Files
from hal.hal import Hal
from host_sim.bench import MOST_BYTES, RTC_AT_POWER_UP_S, Bench
from host_sim.chips.key_matrix import KeyMatrixChip
from host_sim.chips.st7789 import St7789Chip
from host_sim.machine import machine as op
from host_sim.machine.client import ANSWER_FORMAT, REQUEST_FORMAT
from host_sim.machine.machine import Machine, MachineReset
from host_sim.machine.server import BenchServer
from host_sim.microcontroller import micropython_binary
from host_sim.platform import in_process_platform
from host_sim.simulated_time import SimulatedTime
from tests.simulation.joined import OVERLAY, ROOT, run_joined

PROGRAM = """
import asyncio, json, machine, network, time
from boards.esp32s3_counter.board import build
from hal.files import Files
from hal.platform import Platform
from hal.resolver import resolve

async def main():
    hal = build(Platform(machine, network, time, asyncio.sleep_ms, Files("data"), resolve, Files(".")))
    errors = await hal.bring_up()
    picture = bytes([index * 37 & 255 for index in range(9600)])
    hal.display.draw_bitmap(0, 0, 320, 240, picture, 0xFF8000, 0x0040C0)
    hal.display.draw_bitmap(64, 100, 72, 9, b"\\xa5" * 81, 0xFFFFFF, 0)
    print("ready")
    keys = []
    while len(keys) < 3:
        keys.append(await hal.keypad.read(20000))
    hal.network.configure("reinstate", "reinstate")
    await hal.network.connect(5000)
    broker = await hal.network.resolve("broker.acq1.example", 5000)
    health = []
    for device in hal.devices():
        health.append(await device.check_health(1))
    print(json.dumps({
        "errors": [str(error) for error in errors], "keys": keys, "id": hal.hardware_id, "address": hal.network.address(),
        "signal": hal.network.signal_dbm(), "wall_s": hal.clock.wall_s() // 3600, "broker": broker,
        "health": [[found.kind, found.outcome, found.cause] for found in health],
    }))

asyncio.run(main())
"""


def _tap_when_ready(bench: Bench) -> None:
    matrix = bench.chips["keypad"]
    assert isinstance(matrix, KeyMatrixChip)
    for key in ("3", "3", "enter"):
        matrix.tap(key)


async def _in_process(hal: Hal, bench: Bench) -> dict[str, Any]:
    """The steps of PROGRAM."""
    errors = await hal.bring_up()
    assert hal.display and hal.keypad and hal.network
    picture = bytes([index * 37 & 255 for index in range(9600)])
    hal.display.draw_bitmap(0, 0, 320, 240, picture, 0xFF8000, 0x0040C0)
    hal.display.draw_bitmap(64, 100, 72, 9, b"\xa5" * 81, 0xFFFFFF, 0)
    _tap_when_ready(bench)
    keys: list[str | None] = []
    while len(keys) < 3:
        keys.append(await hal.keypad.read(20000))
    hal.network.configure("reinstate", "reinstate")
    await hal.network.connect(5000)
    health = [await device.check_health(1) for device in hal.devices()]
    return {
        "errors": [str(error) for error in errors],
        "keys": keys,
        "id": hal.hardware_id,
        "address": hal.network.address(),
        "signal": hal.network.signal_dbm(),
        "wall_s": hal.clock.wall_s() // 3600,
        "broker": await hal.network.resolve("broker.acq1.example", 5000),
        "health": [[found.kind, found.outcome, found.cause] for found in health],
    }


@pytest.mark.needs("micropython")
def test_a_micropython_process_drives_the_unmodified_board_as_this_process_does(tmp_path: Path) -> None:
    binary = micropython_binary()
    (tmp_path / "data").mkdir()
    (tmp_path / "here").mkdir()
    there, here = Bench(board.facts()), Bench(board.facts())

    async def both() -> tuple[str, dict[str, Any]]:
        joined = asyncio.create_task(run_joined(binary, there, tmp_path, PROGRAM, "640k"))
        display = there.chips["display"]
        assert isinstance(display, St7789Chip)
        while not joined.done() and not (display.display_on and any(display.pixels)):
            await asyncio.sleep(0.01)
        _tap_when_ready(there)
        status, said = await joined
        assert status == 0, said
        hal = board.build(in_process_platform(here, Files(str(tmp_path / "here"))))
        return said, await _in_process(hal, here)

    said, found_here = asyncio.run(both())
    found_there = json.loads(said.splitlines()[-1])
    assert found_there == found_here
    assert found_here["keys"] == ["3", "3", "enter"] and found_here["errors"] == []
    display_there, display_here = there.chips["display"], here.chips["display"]
    assert isinstance(display_there, St7789Chip) and isinstance(display_here, St7789Chip)
    assert display_there.pixels == display_here.pixels
    assert display_there.picture().tobytes() == display_here.picture().tobytes()


CALLS = """
def calls(machine):
    log = []
    def call(function, *arguments, **keywords):
        try:
            result = function(*arguments, **keywords)
        except OSError as error:
            result = "errno %d" % error.errno
        log.append(list(result) if isinstance(result, (bytes, tuple)) else result)
    Pin = machine.Pin
    row = Pin(1, Pin.IN, Pin.PULL_UP)
    column = Pin(5, Pin.OUT, value=1)
    call(row.value); call(column.value); column.off(); call(column); column(1); call(column.value); call(row)
    i2c = machine.I2C(0, scl=Pin(9), sda=Pin(8), freq=400000)
    call(i2c.scan); call(i2c.writeto, 0x50, b"x"); call(i2c.readfrom, 0x50, 3); call(i2c.readfrom_mem, 0x50, 1, 2)
    call(i2c.writeto, 36, bytes([0, 0, 255, 2, 254, 212, 2, 42, 0])); call(i2c.readfrom, 36, 8)
    spi = machine.SPI(1, baudrate=1000000, sck=Pin(12), mosi=Pin(11), miso=Pin(13))
    select = Pin(10, Pin.OUT, value=0); command = Pin(14, Pin.OUT, value=0)
    call(spi.write, bytes([0x04])); command.on(); call(spi.read, 4)
    buffer = bytearray(3); spi.readinto(buffer); log.append(list(buffer))
    spi.write_readinto(b"abc", buffer); log.append(list(buffer))
    uart = machine.UART(1, baudrate=115200, tx=Pin(17), rx=Pin(18), timeout=0, rxbuf=512)
    call(uart.any); call(uart.read); call(uart.write, b"\\x10\\x04\\x01"); call(uart.any); call(uart.read, 10)
    rtc = machine.RTC()
    rtc.datetime((2026, 2, 28, 5, 23, 59, 30, 0)); call(lambda: rtc.datetime()[:6])
    call(rtc.datetime, (2026, 2, 30, 0, 0, 0, 0, 0))
    call(machine.unique_id); call(machine.reset_cause); call(machine.ADC(Pin(33)).read_u16)
    machine.WDT(timeout=2000).feed()
    return log
"""


@pytest.mark.needs("micropython")
def test_every_call_gives_the_same_bytes_and_errors_over_the_socket(tmp_path: Path) -> None:
    names: dict[str, Any] = {}
    exec(CALLS, names)
    time = SimulatedTime()
    here, there = Bench(board.facts(), time), Bench(board.facts(), time)
    here.analogue[33] = there.analogue[33] = 777
    time.advance(1000)  # the chips have started
    expected = names["calls"](Machine(here))
    program = CALLS + "\nimport machine, json\nprint(json.dumps(calls(machine)))"
    status, said = asyncio.run(run_joined(micropython_binary(), there, tmp_path, program))
    assert status == 0, said
    assert json.loads(said) == json.loads(json.dumps(expected))
    assert [0, 0x42, 0xC2, 0xA9] not in expected  # the dummy clock shifts the identity by one bit
    assert [0x42, 0xC2, 0xA9, 0x00] in expected
    assert "errno %d" % errno.ENODEV in expected and 777 in expected


@pytest.mark.needs("micropython")
def test_a_reset_ends_the_program_and_the_chips_keep_their_state(tmp_path: Path) -> None:
    bench = Bench(board.facts())
    asked: list[bool] = []
    bench.on_reset = lambda: asked.append(True)
    program = "import machine\nmachine.Pin(47, machine.Pin.OUT, value=0)\nmachine.reset()\nprint('still here')"
    status, said = asyncio.run(run_joined(micropython_binary(), bench, tmp_path, program))
    assert status != 0 and "still here" not in said
    assert asked == [True] and bench.reset_cause == op.HARD_RESET
    with pytest.raises(MachineReset):
        Machine(bench).reset()


@pytest.mark.needs("micropython")
def test_a_program_without_a_server_says_what_is_missing(tmp_path: Path) -> None:
    async def run() -> tuple[int | None, str]:
        process = await asyncio.create_subprocess_exec(
            micropython_binary(),
            "-c",
            "import machine",
            env={"MICROPYPATH": f"{OVERLAY}:{ROOT}:.frozen"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said = (await process.communicate())[0].decode()
        return process.returncode, said

    status, said = asyncio.run(run())
    assert status != 0 and BenchServer.ENVIRONMENT in said


async def _exchange(path: Path, data: bytes) -> tuple[int, int, bytes]:
    """One good request on a new connection."""
    reader, writer = await asyncio.open_unix_connection(str(path))
    writer.write(data)
    code, number, length = struct.unpack(ANSWER_FORMAT, await reader.readexactly(struct.calcsize(ANSWER_FORMAT)))
    answer = await reader.readexactly(length)
    writer.close()
    return code, number, answer


def _request(operation: int, unit: int = 0, argument: int = 0, data: bytes = b"") -> bytes:
    return struct.pack(REQUEST_FORMAT, operation, unit, argument, len(data)) + data


def _garbage() -> list[bytes]:
    chaos = random.Random(7)
    frames = [b"", b"\x00", b"\xff" * 200, struct.pack(REQUEST_FORMAT, op.SPI_WRITE, 1, 0, MOST_BYTES + 1) + b"x" * 5000]
    frames += [chaos.randbytes(chaos.randrange(1, 400)) for _ in range(60)]
    for operation in range(100):  # well formed, and nonsense
        arguments = [(chaos.randrange(65536), chaos.randrange(-(2**31), 2**31), chaos.randbytes(length)) for length in range(20)]
        frames.append(b"".join(_request(operation, *argument) for argument in arguments))
    return frames


def test_garbage_closes_a_connection_at_most_and_the_next_is_served(tmp_path: Path) -> None:
    bench = Bench(board.facts())
    problems: list[dict[str, Any]] = []

    async def run() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: problems.append(context))
        server = BenchServer(bench, str(tmp_path / "bench"))
        await server.start()
        for frame in _garbage():
            reader, writer = await asyncio.open_unix_connection(str(tmp_path / "bench"))
            with contextlib.suppress(ConnectionError):
                writer.write(frame)
                writer.write_eof()
                await asyncio.wait_for(reader.read(), 5)
            writer.close()
        assert await _exchange(tmp_path / "bench", _request(op.UNIQUE_ID)) == (0, 0, bench.unique_id)
        await server.stop()

    asyncio.run(run())
    assert problems == []


def test_what_no_program_sends_is_answered_with_an_error() -> None:
    bench = Bench(board.facts())
    hostile = [
        (0, 0, 0, b""),
        (255, 0, 0, b""),
        (op.I2C_WRITE, 9, 36, b"x"),  # a bus that is not open
        (op.UART_OPEN, 0, 9600, b"\x01"),
        (op.RTC_WRITE, 0, 0, b"short"),
        (op.RTC_WRITE, 0, 0, struct.pack(op.RTC_FORMAT, 9999, 12, 31, 0, 23, 59, 59, 0)),
        (op.WDT_OPEN, 0, -1, b""),
        (op.WDT_FEED, 0, 0, b""),
        (op.WLAN_CONNECT, 0, 0, b"\xff\xfe\x00x"),
        (op.SPI_TRANSFER, 1, 0, bytes(MOST_BYTES + 1)),
    ]
    for request in hostile:
        with pytest.raises(OSError):
            bench.transact(*request)
    bench.transact(op.I2C_OPEN, 0, 400_000, bytes([9, 8]))
    for argument in (-1, (MOST_BYTES + 1) << 8):
        with pytest.raises(OSError):
            bench.transact(op.I2C_READ, 0, argument, b"")


def test_a_frame_in_pieces_is_one_frame_and_several_in_one_piece_are_several(tmp_path: Path) -> None:
    bench = Bench(board.facts())

    async def run() -> None:
        server = BenchServer(bench, str(tmp_path / "bench"))
        await server.start()
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / "bench"))
        for byte in _request(op.UNIQUE_ID):
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0)
        size = struct.calcsize(ANSWER_FORMAT)
        assert (await reader.readexactly(size + 6))[size:] == bench.unique_id
        writer.write(_request(op.UNIQUE_ID) * 3)
        assert len(await reader.readexactly(3 * (size + 6))) == 48
        writer.close()
        await server.stop()

    asyncio.run(run())


def test_a_client_that_does_not_read_its_answers_is_not_read_either(tmp_path: Path) -> None:
    bench = Bench(board.facts())
    bench.transact(op.SPI_OPEN, 1, 1_000_000, bytes([12, 11, 13]))

    async def run() -> None:
        server = BenchServer(bench, str(tmp_path / "bench"))
        await server.start()
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / "bench"))
        for _ in range(100):
            writer.write(_request(op.SPI_TRANSFER, 1, 0, bytes(100_000)))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(_drained(writer), 0.3)
        assert await _exchange(tmp_path / "bench", _request(op.UNIQUE_ID)) == (0, 0, bench.unique_id)
        writer.transport.abort()
        await server.stop()

    async def _drained(writer: asyncio.StreamWriter) -> None:
        while writer.transport.get_write_buffer_size():
            await asyncio.sleep(0.01)

    asyncio.run(run())


def test_stopping_closes_connections_and_takes_the_socket_away(tmp_path: Path) -> None:
    async def run() -> bytes:
        server = BenchServer(Bench(board.facts()), str(tmp_path / "bench"))
        await server.start()
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / "bench"))
        await _exchange(tmp_path / "bench", _request(op.RESET_CAUSE))
        await server.stop()
        await server.stop()
        rest = await asyncio.wait_for(reader.read(), 5)
        writer.close()
        return rest

    assert asyncio.run(run()) == b""
    assert os.listdir(tmp_path) == []


def test_a_power_cycle_brings_back_the_clock_of_a_machine_without_battery() -> None:
    bench = Bench(board.facts())
    rtc = Machine(bench).RTC()
    rtc.datetime((2026, 1, 1, 3, 0, 0, 0, 0))
    bench.power_cycle()
    assert rtc.datetime()[0] == 2000 and RTC_AT_POWER_UP_S == 946_684_800
    assert bench.reset_cause == op.PWRON_RESET


NAMES = """
import socket
from hal.resolver import resolve

print(resolve("broker.acq1.example"))
print(socket.getaddrinfo("127.0.0.1", 80)[0][0] == socket.AF_INET)
for host in ("localhost", "broker.elsewhere.example"):
    try:
        print(resolve(host))
    except OSError as error:
        print("none", error.errno)
"""


@pytest.mark.needs("micropython")
def test_a_joined_process_asks_the_bench_for_names_and_nobody_else(tmp_path: Path) -> None:
    bench = Bench(board.facts())
    wifi: Any = bench.chips["network"]
    wifi.activate(True)
    wifi.connect(wifi.ssid, wifi.password)
    wifi._since_ms -= 1000  # joined a second ago
    status, said = asyncio.run(run_joined(micropython_binary(), bench, tmp_path, NAMES))
    assert (status, said.splitlines()) == (0, ["127.0.0.1", "True", f"none {errno.ENOENT}", f"none {errno.ENOENT}"])
    wifi.fault("dns_fails")
    status, said = asyncio.run(run_joined(micropython_binary(), bench, tmp_path, NAMES))
    assert status != 0 and "ENOENT" in said
