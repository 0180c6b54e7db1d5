"""examples/vending is tested as its owner tests it: by pytest in its own folder, with the plugin that came with Reinstate."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "vending"


def pytest_there(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "REINSTATE"))}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(command, cwd=EXAMPLE, env=environment, capture_output=True, text=True, timeout=200, check=False)


@pytest.mark.needs("micropython")
def test_it_passes_on_both_runtimes_in_any_order_and_on_two_workers() -> None:
    done = pytest_there("-v", "-n", "2")
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    recovered = re.findall(r"PASSED .*brings_it_back\w*\[vending-(\w+)-en-simulated\]", done.stdout)
    assert sorted(recovered) == ["cpython", "micropython"]
    assert re.search(r"\b9 passed\b", done.stdout)


def test_its_board_keeps_what_this_repositorys_tests_ask_of_one() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "vending", "tests/hal/test_board_readme.py"]
    command += ["tests/hal/test_contracts.py", "tests/hal/test_board_manifest.py"]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**environment, "REINSTATE_BOARDS": str(EXAMPLE / "boards")},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert " passed" in done.stdout
