"""docs/porting.md makes a board: its files, written into an empty folder elsewhere, keep what the page promises of them."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from host_sim.boards import FURTHER

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "porting.md").read_text(encoding="utf-8")
BOARD = "acme_kiosk"
BIN = "reinstate/.venv/bin/"
PROGRAMS = {BIN + "python": [sys.executable], BIN + "reinstate": [sys.executable, "-m", "host_sim.cli"]}
# Part of a command -> what it has to say, beside ending well.
SAYS = {
    "reinstate/tests/hal": (" passed",),
    " pytest tests": ("3 passed",),
    " run ": ("sounder fail no_answer", "-> in_service", "passed"),
    " faults ": (
        "sounder.silent: sounder not_heard (diagnosis sounder not_heard by sounder.tone fail)",
        "sounder.unplugged: sounder no_answer (diagnosis sounder no_answer by sounder fail)",
        "2 faults, 2 found, 2 put down to the right component",
    ),
}


def files() -> dict[str, str]:
    """Path -> content: the blocks that have their path as a line above them."""
    return dict(re.findall(r"^`([\w./]+)`:\n\n```\w+\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))


def commands() -> list[str]:
    """What the page has its reader type, in its order."""
    return [line for block in re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL) for line in block.splitlines()]


def marks(command: str) -> list[pytest.MarkDecorator]:
    return [pytest.mark.needs("micropython")] if "--runtime micropython" in command else []


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree as the page describes it, with this repository in it."""
    (tmp_path / "reinstate").symlink_to(ROOT)
    for path, content in files().items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(content, encoding="utf-8")
    return tmp_path


def run(tree: Path, command: str) -> subprocess.CompletedProcess[str]:
    """A command in that tree, with this Python in the place of the one that `make` installs."""
    program, *arguments = shlex.split(command)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    return subprocess.run(
        [*PROGRAMS[program], *arguments],
        cwd=tree,
        env={**environment, FURTHER: "boards"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_the_page_has_every_file_of_a_board() -> None:
    ours = {path.name for path in (ROOT / "boards" / "esp32s3_counter").iterdir() if path.is_file()}
    told = {path.split("/")[-1] for path in files() if path.startswith(f"boards/{BOARD}/")}
    assert told == ours | {"active_buzzer.py", "wiring.py"}


@pytest.mark.parametrize("command", [pytest.param(line, id=line.replace(BIN, ""), marks=marks(line)) for line in commands()])
def test_each_command_of_the_page_ends_well(tree: Path, command: str) -> None:
    done = run(tree, command)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    for what, says in SAYS.items():
        if what in command:
            assert all(text in done.stdout for text in says), done.stdout[-3000:]


def test_the_page_has_a_command_for_each_of_these() -> None:
    assert all(any(what in command for command in commands()) for what in SAYS)
    assert {"cpython", "micropython"} <= set(re.findall(r"--runtime (\w+)", "\n".join(commands())))


@pytest.mark.parametrize(
    ("path", "old", "new", "by"),
    [
        ("README.md", "| sounder | PIN | 14 |", "| sounder | PIN | 21 |", "board_readme"),
        ("board.json", f'"id": "{BOARD}"', '"id": "another"', "contracts"),
        ("active_buzzer.py", "async def tone(", "async def sound(", "contracts"),
        pytest.param("manifest.py", f', "{BOARD}/active_buzzer.py"', "", "board_manifest", marks=pytest.mark.needs("micropython")),
    ],
)
def test_a_mistake_in_a_file_is_found_by_the_tests_of_this_repository(tree: Path, path: str, old: str, new: str, by: str) -> None:
    file = tree / "boards" / BOARD / path
    assert old in file.read_text(encoding="utf-8")
    file.write_text(file.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    done = run(tree, f"{BIN}python -m pytest -q reinstate/tests/hal/test_{by}.py")
    assert done.returncode == 1, done.stdout[-3000:] + done.stderr[-3000:]


def test_the_driver_goes_on_the_device_and_the_model_does_not(tree: Path) -> None:
    program = f"from host_sim.firmware import listed_files; print(*listed_files({BOARD!r}))"
    done = run(tree, f"{BIN}python -c {shlex.quote(program)}")
    listed = {path for path in done.stdout.split() if BOARD in path}
    assert listed == {f"boards/{BOARD}/{name}" for name in ("__init__.py", "active_buzzer.py", "board.json", "board.py")}
    assert {"main.py", "hal/device.py", "firmware_agent/start.py"} <= set(done.stdout.split())


def test_of_two_boards_with_one_id_that_of_this_repository_counts(tree: Path) -> None:
    (tree / "boards" / BOARD).rename(tree / "boards" / "esp32_mpos")
    program = "from host_sim.boards import board_folders; print(board_folders()['esp32_mpos'])"
    assert Path(run(tree, f"{BIN}python -c {shlex.quote(program)}").stdout.strip()) == ROOT / "boards" / "esp32_mpos"


def test_without_its_model_a_part_is_named_as_the_one_that_is_missing(tree: Path) -> None:
    (tree / "boards" / BOARD / "wiring.py").unlink()
    done = run(tree, f"{BIN}reinstate faults --board {BOARD} --runtime cpython --only 'sounder.*' --clean-runs 0")
    assert done.returncode == 2
    assert done.stderr.startswith(f"reinstate: board {BOARD}: no chip model for part 'active_buzzer' (sounder); there are: ")
