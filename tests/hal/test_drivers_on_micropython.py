"""The drivers of printer, card reader and scanner in a MicroPython process with a bounded heap, on the chip models of this one."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from host_sim.bench import Bench
from host_sim.chips.cards import PaymentCard
from host_sim.chips.escpos_printer import EscposPrinterChip
from host_sim.chips.pn532 import Pn532Chip
from host_sim.chips.serial_scanner import SerialScannerChip
from host_sim.machine.server import BenchServer
from host_sim.microcontroller import micropython_binary
from tests.hal.wired import BOARD

ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / "tests" / "hal" / "drivers_on_micropython.py"
HEAP = "224k"
TIMEOUT_S = 60


def run(folder: Path, prepare: Callable[[Bench], None], program: Path = PROGRAM) -> tuple[dict[str, Any], Bench]:
    """What the program found on a bench that `prepare` has prepared."""

    async def serve() -> tuple[dict[str, Any], Bench]:
        bench = Bench(BOARD)
        prepare(bench)
        server = BenchServer(bench, str(folder / "bench"))
        await server.start()
        try:
            process = await asyncio.create_subprocess_exec(
                micropython_binary(),
                "-X",
                "heapsize=" + HEAP,
                str(program),
                env={
                    **os.environ,
                    BenchServer.ENVIRONMENT: str(folder / "bench"),
                    "MICROPYPATH": f"{ROOT / 'host_sim' / 'machine' / 'overlay'}:{ROOT}:.frozen",
                },
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
            try:
                said = (await asyncio.wait_for(process.communicate(), TIMEOUT_S))[0].decode()
            except TimeoutError:
                process.kill()
                await process.wait()
                raise
        finally:
            await server.stop()
        assert process.returncode == 0, said
        found: dict[str, Any] = json.loads(said.splitlines()[-1])
        return found, bench

    return asyncio.run(serve())


def chips(bench: Bench) -> tuple[EscposPrinterChip, Pn532Chip, SerialScannerChip]:
    printer, reader, scanner = bench.chips["printer"], bench.chips["card_reader"], bench.chips["scanner"]
    assert isinstance(printer, EscposPrinterChip)
    assert isinstance(reader, Pn532Chip)
    assert isinstance(scanner, SerialScannerChip)
    return printer, reader, scanner


@pytest.mark.needs("micropython")
def test_good_devices_are_healthy_and_work(tmp_path: Path) -> None:
    def prepare(bench: Bench) -> None:
        _, reader, scanner = chips(bench)
        reader.insert_card(PaymentCard())
        scanner.present("\u652f\u4ed8 123")

    found, bench = run(tmp_path, prepare)
    assert found["runtime"] == "micropython"
    assert [found[kind] for kind in ("printer", "card_reader", "scanner")] == [["success", ""]] * 3
    assert (found["firmware"], found["card"], found["code"]) == ("PN532 1.6", "9000", "\u652f\u4ed8 123")
    printer = chips(bench)[0]
    assert printer.cut_slips[0].text() == "PRINTER TEST 0123456789\nPrinted by MicroPython ?\n"
    assert printer.cut_slips[0].bitmaps()[0].bits == bytes(range(48)) * 100
    assert found["garbage_bytes"] < 150_000


@pytest.mark.needs("micropython")
def test_failing_devices_get_the_same_causes_as_on_cpython(tmp_path: Path) -> None:
    def prepare(bench: Bench) -> None:
        printer, reader, scanner = chips(bench)
        printer.fault("paper_out")
        reader.fault("no_answer")
        scanner.fault("garbage")

    found, _ = run(tmp_path, prepare)
    assert found["printer"] == ["fail", "paper_out"]
    assert found["card_reader"] == ["fail", "no_answer"]
    assert found["card_reader_bring_up"] == "E_NOHARDWARE"
    assert found["scanner"] == ["fail", "garbled_answer"]
    assert found["error"] == ["printer", "EPTR_REC_EMPTY"]


@pytest.mark.needs("micropython")
def test_noise_gets_the_same_causes_as_on_cpython(tmp_path: Path) -> None:
    def prepare(bench: Bench) -> None:
        printer, reader, scanner = chips(bench)
        printer.fault("garbled_line")
        reader.fault("garbled_frames")
        scanner.fault("silent")

    found, _ = run(tmp_path, prepare)
    assert found["printer"] == ["fail", "garbled_answer"]
    assert found["card_reader"] == ["fail", "garbled_answer"]
    assert found["scanner"] == ["not-run", "no_answer"]
