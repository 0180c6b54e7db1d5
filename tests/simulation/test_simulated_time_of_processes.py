"""Simulated time of programs in other processes, of threads and of sockets: it passes only where all of them wait."""

from __future__ import annotations

import asyncio
import importlib
import os
import socket
import ssl
import struct
import tempfile
import threading
from os import urandom
from pathlib import Path
from typing import Any

import pytest

from firmware_agent.links.mqtt_paho import MqttPahoLink
from firmware_agent.links.mqtt_stream import MqttStreamLink
from host_sim.bench import Bench
from host_sim.machine.client import ANSWER_FORMAT, REQUEST_FORMAT
from host_sim.machine.machine import TIME_FORMAT, TIME_WAIT
from host_sim.machine.server import BenchServer
from host_sim.microcontroller import OVERLAY, OVERLAY_SIMULATED, SEED_VARIABLE, link_class, micropython_binary
from host_sim.pki import TestAuthority
from host_sim.platform import RealTime
from host_sim.simulated_time import FOR_EVER, SimulatedTime
from host_sim.terminal import TerminalFailure, desktop_terminal, has_simulated_time

ROOT = Path(__file__).parents[2]
BOARD: Any = importlib.import_module("boards.esp32s3_counter.board")
DAY_S = 86400
LIMIT_S = 60


async def run_guest(time: SimulatedTime, folder: Path, program: str) -> list[str]:
    """What a MicroPython program prints whose time this is."""
    server_path = str(folder / "bench")
    with time.guest() as guest:
        server = BenchServer(Bench(BOARD.facts(), time), server_path, guest)
        await server.start()
        process = await asyncio.create_subprocess_exec(
            micropython_binary(),
            "-c",
            program,
            env={
                "MICROPYPATH": f"{OVERLAY_SIMULATED}:{OVERLAY}:{ROOT}:.frozen",
                server.ENVIRONMENT: server_path,
                SEED_VARIABLE: str(guest.seed),
            },
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said = (await process.communicate())[0].decode()
        await server.stop()
    assert process.returncode == 0, said
    return said.split("\n")[:-1]


@pytest.mark.needs("micropython")
def test_a_process_that_waits_a_day_is_woken_at_the_very_millisecond(tmp_path: Path) -> None:
    time = SimulatedTime(wall_s=1_000_000)
    program = "import time\nt = time.ticks_ms()\ntime.sleep(86400)\nprint(time.ticks_diff(time.ticks_ms(), t), time.time())"
    assert time.run(run_guest(time, tmp_path, program)) == ["86400000 1086400"]


@pytest.mark.needs("micropython")
def test_a_process_draws_four_bytes_by_the_seed_and_what_is_longer_is_nobodys_to_foretell(tmp_path: Path) -> None:
    program = "import os\nprint(os.urandom(4).hex(), os.urandom(3).hex(), os.urandom(32).hex(), len(os.urandom(0)))"
    drawn = []
    for seed in (1, 1, 2):
        time = SimulatedTime(seed=seed)
        drawn.append(time.run(run_guest(time, tmp_path, program))[0].split())
    first, second, other = drawn
    assert first[:2] == second[:2] and first[2][:8] == second[2][:8]
    assert first[2][8:] != second[2][8:] and len(first[2]) == len(second[2]) == 64
    assert other[:2] != first[:2] and first[3] == "0"


def test_a_run_draws_by_its_seed_in_its_own_thread_and_until_it_ends() -> None:
    async def program() -> tuple[bytes, bytes, bytes]:
        return os.urandom(4), os.urandom(32), await asyncio.to_thread(os.urandom, 4)

    first, second, other = (SimulatedTime(seed=seed).run(program()) for seed in (1, 1, 2))
    assert first[0] == second[0] != other[0]
    assert first[1][:4] == second[1][:4] and first[1][4:] != second[1][4:]
    assert first[2] != second[2]
    assert os.urandom is urandom


@pytest.mark.needs("micropython")
def test_tasks_of_a_process_and_of_the_loop_take_turns_in_the_order_of_their_deadlines(tmp_path: Path) -> None:
    """At the same millisecond the loop is first, and tasks of the process run as they came."""
    program = """
import machine, asyncio, time
async def sleeper(name, *durations_ms):
    for duration_ms in durations_ms:
        await asyncio.sleep_ms(duration_ms)
        print(name, time.ticks_ms())
        machine.Pin(21, machine.Pin.OUT).value(1)
async def main():
    await asyncio.gather(sleeper("a", 7, 7), sleeper("b", 10), sleeper("c", 10), sleeper("d", 3600000))
asyncio.run(main())
"""
    time = SimulatedTime()
    woken: list[int] = []

    async def both() -> list[str]:
        async def own() -> None:
            for duration_ms in (10, 1_800_000):
                await time.sleep_ms(duration_ms)
                woken.append(time.now_ms())

        task = asyncio.create_task(own())
        said = await run_guest(time, tmp_path, program)
        await task
        return said

    assert time.run(both()) == ["a 7", "b 10", "c 10", "a 14", "d 3600000"]
    assert woken == [10, 1_800_010]


@pytest.mark.needs("micropython")
def test_a_process_cancels_waits_and_times_out_as_the_built_in_tasks_do(tmp_path: Path) -> None:
    program = """
import machine, asyncio, time
async def never():
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        print("cancelled", time.ticks_ms())
        raise
async def fails():
    await asyncio.sleep_ms(5)
    raise ValueError("told")
async def rest(duration_ms):
    await asyncio.sleep_ms(duration_ms)
async def main():
    try:
        await asyncio.wait_for_ms(never(), 250)
    except asyncio.TimeoutError:
        print("timeout", time.ticks_ms())
    task = asyncio.create_task(rest(100000))
    await asyncio.sleep_ms(1)
    print(task.done(), task.cancel())
    try:
        await task
    except asyncio.CancelledError:
        print("gone", time.ticks_ms(), task.done(), task.cancel())
    try:
        await asyncio.create_task(fails())
    except ValueError as error:
        print(error, time.ticks_ms())
    done = asyncio.create_task(rest(0))
    await asyncio.sleep_ms(1)
    await done
    print("awaited after its end", time.ticks_ms())
asyncio.run(main())
"""
    time = SimulatedTime()
    assert time.run(run_guest(time, tmp_path, program)) == [
        "cancelled 250",
        "timeout 250",
        "False True",
        "gone 251 True False",
        "told 256",
        "awaited after its end 257",
    ]


@pytest.mark.needs("micropython")
def test_what_a_process_is_sent_over_tcp_arrives_in_the_millisecond_in_which_it_was_sent(tmp_path: Path) -> None:
    """And what it answers, though it computes for a while before: no time passes meanwhile."""
    program = """
import machine, asyncio, time
async def main():
    reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
    for _ in range(5):
        line = await reader.readline()
        for _ in range(20000):
            pass
        writer.write(b"%d " % time.ticks_ms() + line)
        await writer.drain()
asyncio.run(main())
"""
    time = SimulatedTime()
    heard: list[tuple[int, bytes]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for number in range(5):
            await time.sleep_ms(1000 + number)
            writer.write(b"%d\n" % time.now_ms())
            line = await reader.readline()
            heard.append((time.now_ms(), line))
        writer.close()

    async def both() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        await run_guest(time, tmp_path, program.replace("PORT", str(port)))
        server.close()

    time.run(both())
    assert heard == [(ms, b"%d %d\n" % (ms, ms)) for ms in (1000, 2001, 3003, 4006, 5010)]


def test_no_time_passes_while_a_thread_works_for_a_task() -> None:
    time = SimulatedTime()
    done = threading.Event()

    async def program() -> tuple[int, int]:
        timer = asyncio.create_task(asyncio.sleep(3600))
        asyncio.get_running_loop().call_soon(done.set)
        await asyncio.to_thread(done.wait, LIMIT_S)
        during_ms = time.now_ms()
        await timer
        return during_ms, time.now_ms()

    assert time.run(program()) == (0, 3_600_000)


def test_what_is_sent_between_two_tasks_over_tls_takes_no_time() -> None:
    """A hundred messages there and back, with a deadline every millisecond that would let time pass."""
    authority = TestAuthority()
    credential = authority.server()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile() as file:
        Path(file.name).write_bytes(credential.private_key_pem + credential.certificate_pem)
        context.load_cert_chain(file.name)
    trusting = ssl.create_default_context(cadata=authority.certificate_der)
    time = SimulatedTime()

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(line)
        writer.close()

    async def ticking() -> None:
        while True:
            await time.sleep_ms(1)

    async def program() -> list[int]:
        server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=context)
        port = server.sockets[0].getsockname()[1]
        clock = asyncio.create_task(ticking())
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting, server_hostname="localhost")
        moments = []
        for _ in range(100):
            writer.write(b"x" * 100 + b"\n")
            await reader.readline()
            moments.append(time.now_ms())
        writer.close()
        clock.cancel()
        server.close()
        return moments

    assert set(time.run(program())) == {0}


def test_a_guest_looks_again_before_time_passes_whenever_the_loop_has_done_something(tmp_path: Path) -> None:
    """A guest without a program of its own: this test speaks for it, from a thread."""
    time = SimulatedTime()
    seen: list[tuple[int, int]] = []

    def speak(path: str) -> None:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(path)
            stream = connection.makefile("rb")
            connection.sendall(struct.pack(REQUEST_FORMAT, TIME_WAIT, 0, 100, 0))
            while head := stream.read(struct.calcsize(ANSWER_FORMAT)):
                _, has_news, length = struct.unpack(ANSWER_FORMAT, head)
                seen.append((struct.unpack(TIME_FORMAT, stream.read(length))[0], has_news))
                connection.sendall(struct.pack(REQUEST_FORMAT, TIME_WAIT, 0, 100, 0))

    async def program() -> None:
        with time.guest() as guest:
            server = BenchServer(Bench(BOARD.facts(), time), str(tmp_path / "bench"), guest)
            await server.start()
            speaker = threading.Thread(target=speak, args=(str(tmp_path / "bench"),))
            speaker.start()
            await time.sleep_ms(150)
            await time.sleep_ms(249)
            await server.stop()
            await asyncio.to_thread(speaker.join, LIMIT_S)

    time.run(program())
    assert seen == [(0, 1), (100, 0), (150, 1), (250, 0), (350, 0)]


def test_time_goes_on_without_a_guest_that_stands_still() -> None:
    time = SimulatedTime()

    async def program() -> int:
        with time.guest() as guest:
            guest.stand_still()
            await asyncio.sleep(DAY_S)
        return time.now_ms()

    assert time.run(program()) == DAY_S * 1000


def test_guests_go_on_in_the_order_of_their_deadlines_and_then_of_their_coming() -> None:
    time = SimulatedTime()
    order: list[str] = []

    async def program() -> None:
        with time.guest() as first, time.guest() as second, time.guest() as third:
            for guest, name, duration_ms in ((first, "first", 20), (second, "second", 10), (third, "third", 20)):

                def resume(has_news: bool, guest: Any = guest, name: str = name) -> None:
                    order.append(f"{name} {time.now_ms()}")
                    guest.wait(FOR_EVER, lambda has_news: guest.stand_still())

                guest.wait(duration_ms, resume)
                guest.has_looked = True
            await time.sleep_ms(50)

    time.run(program())
    assert order == ["second 10", "first 20", "third 20"]


def test_a_terminal_of_a_linux_machine_refuses_simulated_time(tmp_path: Path) -> None:
    assert not has_simulated_time("linux_terminal") and has_simulated_time("esp32s3_counter")
    with pytest.raises(TerminalFailure, match="no simulated time"):
        desktop_terminal("linux_terminal", "cpython", tmp_path, lambda line: None, SimulatedTime())


def test_in_simulated_time_nobody_uses_a_client_that_waits_by_the_machines_own() -> None:
    assert link_class(SimulatedTime()) is MqttStreamLink
    assert link_class(RealTime()) is MqttPahoLink


def test_a_certificate_made_on_a_simulated_day_is_good_for_who_judges_by_this_machines_clock() -> None:
    time = SimulatedTime()
    authority = TestAuthority(now_s=time.time)
    time.advance(20 * DAY_S * 1000)
    certificate = authority.client("T1").certificate
    assert certificate.not_valid_before_utc.timestamp() < RealTime().time()
    assert abs(certificate.not_valid_after_utc.timestamp() - time.time() - 30 * DAY_S) < 2
    expired = authority.server(days=-1).certificate
    assert expired.not_valid_after_utc.timestamp() < RealTime().time()
    future = authority.server(days=3, from_day=2).certificate
    assert future.not_valid_before_utc.timestamp() > time.time() + DAY_S


def test_the_clock_on_the_bench_and_its_chips_keep_the_simulated_time() -> None:
    time = SimulatedTime(wall_s=1_800_000_000)
    bench = Bench(BOARD.facts(), time)
    time.advance(DAY_S * 1000)
    clock: Any = bench.chips["clock"]
    assert clock.wall_s() == 1_800_000_000 + DAY_S
    assert bench.now_ms() == DAY_S * 1000
