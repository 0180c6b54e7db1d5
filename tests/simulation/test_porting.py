"""docs/porting.md makes a board: its files, written into an empty folder outside of this repository, keep what the page promises of them."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from host_sim.firmware import listed_files

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "porting.md").read_text(encoding="utf-8")
BOARD = "acme_kiosk"
PROGRAMS = {
    "reinstate/.venv/bin/python": [sys.executable],
    "reinstate/.venv/bin/reinstate": [sys.executable, "-m", "host_sim.cli"],
}


def files() -> dict[str, str]:
    """Path -> content: the blocks that have their path as a line above them."""
    return dict(re.findall(r"^`([\w./]+)`:\n\n```\w+\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))


def commands() -> list[str]:
    return [line for block in re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL) for line in block.splitlines()]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree as the page describes it, with this repository in it."""
    folder = tmp_path_factory.mktemp("acme")
    (folder / "reinstate").symlink_to(ROOT)
    for path, content in files().items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(content, encoding="utf-8")
    return folder


def run(tree: Path, command: str) -> subprocess.CompletedProcess[str]:
    """A command of the page, in its tree, with this Python in the place of the one that `make` installs."""
    program, *arguments = shlex.split(command)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    return subprocess.run(
        [*PROGRAMS[program], *arguments],
        cwd=tree,
        env={**environment, "PYTHONPATH": f"{tree}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_the_page_has_every_file_of_a_board() -> None:
    names = {path.split("/")[-1] for path in files() if path.startswith(f"boards/{BOARD}/")}
    assert names == {path.name for path in (ROOT / "boards" / "esp32s3_counter").iterdir() if path.is_file()} | {
        "active_buzzer.py",
        "wiring.py",
    }


@pytest.mark.parametrize("command", [pytest.param(line, id=line.split("/")[-1]) for line in commands()])
def test_each_command_of_the_page_does_what_the_page_says(tree: Path, command: str) -> None:
    done = run(tree, command)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert " skipped" not in done.stdout
