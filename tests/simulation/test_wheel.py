"""The wheel has all that the programs in it need."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("boards", "firmware_agent", "hal", "host_sim")
OF_THE_PROJECT = ("LICENSE", "README.md", "pyproject.toml", "setup.cfg")
LIMIT_S = 200


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, as it lies in site-packages. It is built from a copy: building writes beside its sources."""
    folder = tmp_path_factory.mktemp("wheel")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / "sources" / package, ignore=shutil.ignore_patterns("__pycache__"))
    for file in OF_THE_PROJECT:
        shutil.copy(ROOT / file, folder / "sources")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(folder / "sources")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(folder / "installed")
    return folder / "installed"


def test_every_file_of_the_packages_is_in_the_wheel_but_pages_for_people(installed: Path) -> None:
    files = [path for package in PACKAGES for path in (ROOT / package).rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    missing = [str(path.relative_to(ROOT)) for path in files if path.suffix != ".md" and not (installed / path.relative_to(ROOT)).exists()]
    assert missing == []


@pytest.mark.needs("micropython")
def test_a_scenario_runs_from_the_wheel_with_the_agent_on_micropython(installed: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "host_sim.cli", "run", str(ROOT / "scenarios" / "self_test.yaml"), "--runtime", "micropython"]
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert done.returncode == 0 and done.stdout.endswith("passed\n"), done.stdout + done.stderr
