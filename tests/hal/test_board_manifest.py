"""A board's manifest lists what its agent needs on the device, and nothing that only CPython can import."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from host_sim.terminal import micropython_binary

ROOT = Path(__file__).parents[2]
MANIFESTS = sorted(ROOT.glob("boards/*/manifest.py"))
HEAP_KB = 1000


class Listed:
    """Runs a manifest as MicroPython's build tools do: in its own folder, with the functions of the manifest language."""

    def __init__(self, manifest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.files: dict[str, Path] = {}  # path on the device -> file here
        self.described: dict[str, Any] = {}
        monkeypatch.chdir(manifest.parent)
        names = {"metadata": self._metadata, "package": self._package, "module": self._module}
        self.names: dict[str, Any] = dict(names)
        exec(compile(manifest.read_text(encoding="utf-8"), str(manifest), "exec"), self.names)

    def _metadata(self, **facts: str) -> None:
        assert not self.files, "metadata comes first"
        self.described = facts

    def _package(self, package_path: str, files: list[str], base_path: str = ".") -> None:
        for file in files:
            self._add(f"{package_path}/{file}", Path(base_path, package_path, file).resolve())

    def _module(self, module_path: str, base_path: str = ".") -> None:
        self._add(module_path, Path(base_path, module_path).resolve())

    def _add(self, target: str, file: Path) -> None:
        assert file.is_file(), file
        assert target not in self.files, target
        self.files[target] = file


@pytest.fixture(params=MANIFESTS, ids=lambda manifest: manifest.parent.name)
def listed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Listed:
    return Listed(request.param, monkeypatch)


def test_there_is_a_manifest() -> None:
    assert MANIFESTS


def test_only_modules_are_listed_and_the_data_beside_them_exists(listed: Listed) -> None:
    assert all(target.endswith(".py") for target in listed.files)
    assert all((ROOT / path).is_file() for path in listed.names["DATA"])


def test_the_manifest_leaves_out_what_needs_cpython_and_nothing_else(listed: Listed) -> None:
    shipped = {path.relative_to(ROOT).as_posix() for package in ("hal", "firmware_agent") for path in (ROOT / package).rglob("*.py")}
    assert shipped - set(listed.files) == set(listed.names["CPYTHON_ONLY"])


def test_the_version_is_that_of_the_agent(listed: Listed) -> None:
    from firmware_agent import VERSION

    assert listed.described["version"] == VERSION


def test_every_file_of_data_in_the_packages_is_listed(listed: Listed) -> None:
    board = next(target.split("/")[1] for target in listed.files if target.endswith("/board.py"))
    folders = (ROOT / "hal", ROOT / "firmware_agent", ROOT / "boards" / board)
    data = {
        path.relative_to(ROOT).as_posix()
        for folder in folders
        for path in folder.rglob("*")
        if path.suffix in (".json", ".bin")
    }
    assert data == set(listed.names["DATA"])


@pytest.mark.needs("micropython")
def test_the_agent_and_the_board_import_from_the_listed_files_alone(listed: Listed, tmp_path: Path) -> None:
    for target, file in listed.files.items():
        (tmp_path / target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, tmp_path / target)
    for path in listed.names["DATA"]:
        shutil.copy(ROOT / path, tmp_path / path)
    board = next(target.split("/")[1] for target in listed.files if target.endswith("/board.py"))
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
