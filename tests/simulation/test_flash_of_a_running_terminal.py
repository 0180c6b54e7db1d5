"""The flash of a terminal that runs: its own process writes the files, and the medium's faults reach it, in both runtimes."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from boards.esp32s3_counter import board
from firmware_agent.store import Store
from hal.errors import DeviceError
from hal.files import Files
from host_sim.bench import Bench
from host_sim.chips import flash as model
from host_sim.machine import flash
from host_sim.microcontroller import Microcontroller, micropython_binary
from tests.simulation.joined import run_joined

PROGRAM = """
import machine
import asyncio, json, os
from hal.drivers.file_storage import FileStorage
from hal.errors import DeviceError
from hal.files import Files

async def main():
    storage = FileStorage(Files("data"))
    storage.open()
    storage.claim()
    found = {}
    try:
        await storage.enable()
        storage.append("a", b"abc")
    except DeviceError as error:
        found["error"] = error.cause
    health = await storage.check_health(1)
    found["health"] = [health.outcome, health.cause]
    found["has_room"] = health.measurements.get("free_kib", -1) > 0
    print(json.dumps(found))

asyncio.run(main())
"""


def run(folder: Path, fault: str) -> dict[str, Any]:
    (folder / "data").mkdir()
    bench = Bench(board.facts())
    if fault:
        bench.chips["storage"].fault(fault)
    status, said = asyncio.run(run_joined(micropython_binary(), bench, folder, PROGRAM))
    assert status == 0, said
    found: dict[str, Any] = json.loads(said)
    return found


@pytest.mark.needs("micropython")
@pytest.mark.parametrize(
    ("fault", "found"),
    [
        ("", {"health": ["success", ""], "has_room": True}),
        ("full", {"error": "full", "health": ["fail", "full"], "has_room": False}),
        ("worn", {"error": "", "health": ["fail", "not_writable"], "has_room": True}),
        ("weak_cells", {"health": ["fail", "wrong_data"], "has_room": True}),
        ("dead", {"error": "", "health": ["fail", "no_answer"], "has_room": False}),
    ],
)
def test_the_process_of_a_microcontroller_meets_the_faults_of_its_flash(tmp_path: Path, fault: str, found: dict[str, Any]) -> None:
    assert run(tmp_path, fault) == found
    written = tmp_path / "data" / "a"
    if fault in ("full", "worn", "dead"):
        assert not written.exists()
    else:
        assert written.read_bytes() == (b"abb" if fault == "weak_cells" else b"abc")


def test_a_terminal_in_this_process_meets_them_too(tmp_path: Path) -> None:
    terminal = Microcontroller("esp32s3_counter", "cpython", tmp_path, lambda line: None)
    storage: Any = terminal.hal().storage
    storage.append("a", b"abc")
    assert (terminal.data / "a").read_bytes() == b"abc"
    terminal.bench.chips["storage"].fault("full")
    with pytest.raises(DeviceError) as refused:
        storage.append("a", b"d")
    assert refused.value.cause == "full"
    assert storage.read("a", 0, 9) == b"abc"


def test_rot_in_the_folder_of_a_terminal_is_found_by_its_agents_memory(tmp_path: Path) -> None:
    terminal = Microcontroller("esp32s3_counter", "cpython", tmp_path, lambda line: None)
    store = Store(terminal.hal().storage)
    store.open()
    for number in range(10):
        store.put("key%d" % number, bytes(80))
    terminal.bench.chips["storage"].fault("rotten")
    assert store.verify() == 1


def test_every_call_of_the_files_asks_the_medium_first(tmp_path: Path) -> None:
    """A call that hal.files gains and this does not know would go past the medium."""
    public = {name for name in vars(Files) if not name.startswith("_")}
    assert public <= {name for name in vars(flash.FlashFiles) if not name.startswith("_")}


def test_a_terminal_without_a_model_of_its_flash_has_sound_files(tmp_path: Path) -> None:
    bench = Bench({"id": "bare", "buses": {}, "parts": {}})
    files = flash.files_on(bench)(str(tmp_path))
    files.append("a", b"abc")
    assert files.read("a", 0, 3) == b"abc" and files.names() == ["a"] and files.free_kib() > 0
    files.remove("a")
    assert files.names() == []


def test_the_model_and_its_files_agree_on_the_numbers_of_the_calls() -> None:
    assert (model.READ, model.APPEND, model.REMOVE) == (flash._READ, flash._APPEND, flash._REMOVE)
