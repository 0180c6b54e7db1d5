"""A board's manifest lists what its agent needs on the device, and nothing that only CPython can import."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from host_sim.boards import board_folders
from host_sim.microcontroller import micropython_binary

ROOT = Path(__file__).parents[2]
FOLDERS = {
    board: folder
    for board, folder in board_folders().items()
    if json.loads((folder / "board.json").read_text(encoding="utf-8"))["runtime"] == "micropython"
}
HEAP_KB = 1000


class Listed:
    """Runs a manifest as MicroPython's build tools do: in its own folder, with the functions of the manifest language."""

    def __init__(self, board: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.board = board
        self.files: dict[str, Path] = {}  # path on the device -> file here
        self.data: dict[str, Path] = {}  # likewise, for what is no module
        self.cpython_only: set[str] = set()
        self.described: dict[str, Any] = {}
        self._monkeypatch = monkeypatch
        self._include(str(FOLDERS[board] / "manifest.py"))

    def _include(self, manifest_path: str) -> None:
        manifest = Path(manifest_path).resolve()
        before = Path.cwd()
        self._monkeypatch.chdir(manifest.parent)
        names: dict[str, Any] = {"metadata": self._metadata, "include": self._include, "package": self._package, "module": self._module}
        exec(compile(manifest.read_text(encoding="utf-8"), str(manifest), "exec"), names)
        self.data |= {path: Path(file).resolve() for path, file in names.get("DATA", {}).items()}
        self.cpython_only |= set(names.get("CPYTHON_ONLY", ()))
        self._monkeypatch.chdir(before)

    def _metadata(self, **facts: str) -> None:
        assert not self.files and not self.described, "metadata comes first, and once"
        self.described = facts

    def _package(self, package_path: str, files: list[str], base_path: str = ".") -> None:
        for file in files:
            self._add(f"{package_path}/{file}", Path(base_path, package_path, file).resolve())

    def _module(self, module_path: str, base_path: str = ".") -> None:
        self._add(module_path, Path(base_path, module_path).resolve())

    def _add(self, target: str, file: Path) -> None:
        assert self.described, "metadata comes first"
        assert file.is_file(), file
        assert target not in self.files, target
        self.files[target] = file


@pytest.fixture(params=list(FOLDERS))
def listed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Listed:
    return Listed(request.param, monkeypatch)


def test_every_board_has_a_manifest() -> None:
    assert FOLDERS
    assert all((folder / "manifest.py").is_file() for folder in FOLDERS.values())


def test_only_modules_are_listed_and_the_data_beside_them_exists(listed: Listed) -> None:
    assert all(target.endswith(".py") for target in listed.files)
    assert all(file.is_file() for file in listed.data.values())


def test_the_manifest_leaves_out_what_needs_cpython_and_nothing_else(listed: Listed) -> None:
    shipped = {path.relative_to(ROOT).as_posix() for package in ("hal", "firmware_agent") for path in (ROOT / package).rglob("*.py")}
    assert {path for path in shipped - set(listed.files) if not path.startswith("hal/drivers/linux/")} == listed.cpython_only
    assert not [path for path in listed.files if path.startswith("hal/drivers/linux/")]


def test_the_version_is_that_of_the_agent(listed: Listed) -> None:
    from firmware_agent import VERSION

    assert listed.described["version"] == VERSION


def test_every_file_of_data_in_the_packages_is_listed(listed: Listed) -> None:
    folders = {"hal": ROOT / "hal", "firmware_agent": ROOT / "firmware_agent", f"boards/{listed.board}": FOLDERS[listed.board]}
    data = {
        f"{name}/{path.relative_to(folder).as_posix()}": path.resolve()
        for name, folder in folders.items()
        for path in folder.rglob("*")
        if path.suffix in (".json", ".bin", ".txt") and "LICENSE" not in path.name
    }
    assert listed.data == data


@pytest.mark.needs("micropython")
def test_the_agent_and_the_board_import_from_the_listed_files_alone(listed: Listed, tmp_path: Path) -> None:
    for target, file in {**listed.files, **listed.data}.items():
        (tmp_path / target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, tmp_path / target)
    board = listed.board
    program = (
        f"import boards.{board}.board as board; import firmware_agent.agent; import firmware_agent.links.mqtt_stream;"
        "from firmware_agent.screens.font import Font; Font(); print(board.facts()['id'])"
    )
    run = subprocess.run(
        [micropython_binary(), "-X", f"heapsize={HEAP_KB}k", "-c", program],
        env={"MICROPYPATH": f"{tmp_path}:.frozen", "PATH": os.environ["PATH"]},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.stdout == f"{board}\n", run.stdout + run.stderr
