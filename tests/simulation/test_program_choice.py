"""Which program main.py runs, on both runtimes: the factory's, one in a slot, or the one before it where that cannot be imported."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from firmware_agent.boot.slots import SLOTS, Slots
from hal.files import Files
from host_sim.microcontroller import micropython_binary

ROOT = Path(__file__).parent.parent.parent
NEEDED = ("firmware_agent/__init__.py", "firmware_agent/boot/slots.py", "hal/__init__.py", "hal/files.py", "hal/compat.py")
START = "def run(machine, network, build, spare=''):\n    print('runs', %r, build, spare.rsplit('/', 1)[-1])\n"
A, B = SLOTS


def program(folder: Path, name: str, start: str = "") -> None:
    for path in NEEDED:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / path, folder / path)
    (folder / "firmware_agent" / "start.py").write_text(start or START % name)


class Device:
    """Its files, and what main.py says on it."""

    def __init__(self, folder: Path, command: list[str]) -> None:
        self.root = folder / "device"
        self._command = command
        self._folder = folder
        (folder / "data").mkdir()
        program(self.root, "factory")
        (self.root / "main.py").write_text("from firmware_agent.boot.slots import program\n\nprogram()(None, None, 'board')\n")

    def slots(self) -> Slots:
        return Slots(Files(str(self._folder / "data")))

    def start(self) -> str:
        environment = {"MICROPYPATH": f"{self.root}:.frozen", "PYTHONDONTWRITEBYTECODE": "1"}
        command = [*self._command, str(self.root / "main.py")]
        done = subprocess.run(command, cwd=self._folder, env=environment, capture_output=True, text=True, timeout=60, check=True)
        return done.stdout.splitlines()[-1]


@pytest.fixture(params=[pytest.param("micropython", marks=pytest.mark.needs("micropython")), "cpython"])
def device(request: pytest.FixtureRequest, tmp_path: Path) -> Device:
    return Device(tmp_path, [micropython_binary()] if request.param == "micropython" else [sys.executable])


def test_the_factorys_program_runs_until_a_newer_one_is_tried(device: Device) -> None:
    assert device.start() == f"runs factory board {A}"
    program(device.root / A, "newer")
    assert device.start() == f"runs factory board {A}"
    device.slots().give_trial(A)
    assert device.start() == f"runs newer board {B}"
    device.slots().settle(A)
    assert [device.start() for _ in range(3)] == [f"runs newer board {B}"] * 3


@pytest.mark.parametrize("start", ["raise NameError('x')\n", "import of_another_board\n", "def run(:\n", "x = 1\n"])
def test_what_cannot_be_imported_gives_way_at_once(device: Device, start: str) -> None:
    program(device.root / A, "good")
    device.slots().give_trial(A)
    device.start()
    device.slots().settle(A)
    program(device.root / B, "", start)
    device.slots().give_trial(B)
    assert [device.start() for _ in range(3)] == [f"runs good board {B}"] * 3
    assert device.slots().outcome(A) == "update_fell_back"


def test_a_slot_that_is_gone_leaves_the_factorys_program(device: Device) -> None:
    device.slots().give_trial(A)
    assert device.start() == f"runs factory board {A}" == device.start()


def test_without_a_folder_for_its_files_the_factorys_program_runs(device: Device) -> None:
    shutil.rmtree(device.root.parent / "data")
    assert device.start() == f"runs factory board {A}"
