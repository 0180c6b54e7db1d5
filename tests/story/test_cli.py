"""The command as its user meets it: exit codes, one line for wrong input, JSON alone on stdout, JUnit XML, pictures."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image

ROOT = Path(__file__).parent.parent.parent
SHORT = "scenario: boots and is idle\nsteps:\n  - boot\n  - expect_state: in_service\n  - expect_page: idle\n"


def reinstate(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "host_sim.cli", *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, timeout=100, check=False
    )


@pytest.fixture
def short(tmp_path: Path) -> Path:
    path = tmp_path / "short.yaml"
    path.write_text(SHORT)
    return path


def test_json_is_one_document_and_nothing_else(short: Path, tmp_path: Path) -> None:
    run = reinstate("run", short, "--runtime", "cpython", "--json", "--junit", tmp_path / "out.xml", "--screens", tmp_path / "screens")
    assert run.returncode == 0, run.stderr
    document = json.loads(run.stdout)
    assert {"scenario", "board", "runtime", "passed", "final_state", "steps", "messages", "duration_s"} <= set(document)
    assert document["passed"] is True
    assert document["runtime"] == "cpython"
    assert document["final_state"] == "in_service"
    assert set(document["messages"]) == {"published", "verified", "refused"}
    assert document["messages"]["verified"] >= 1  # the state, in time for the step that awaits it
    suite = ElementTree.parse(tmp_path / "out.xml").getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("3", "0")
    (picture,) = (tmp_path / "screens").glob("*.png")
    assert Image.open(picture).size == (320, 240)


def test_a_failed_step_is_exit_code_1_and_a_failure_in_junit(tmp_path: Path) -> None:
    path = tmp_path / "fails.yaml"
    path.write_text("scenario: fails\nsteps:\n  - boot\n  - press: no_such_key\n")
    run = reinstate("run", path, "--runtime", "cpython", "--junit", tmp_path / "out.xml")
    assert run.returncode == 1
    assert "no key 'no_such_key'; there are: 1, 2, 3" in run.stdout
    assert "FAILED" in run.stdout
    assert ElementTree.parse(tmp_path / "out.xml").getroot().get("failures") == "1"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("run", "no_such_file.yaml"), "no_such_file.yaml: cannot be read"),
        (("run", "scenarios/violation.yaml", "--runtime", "java"), "invalid choice"),
        (("run", "scenarios/violation.yaml", "--board", "toaster"), "invalid choice"),
        ((), "required"),
    ],
)
def test_wrong_usage_is_exit_code_2(arguments: tuple[str, ...], says: str) -> None:
    run = reinstate(*arguments)
    assert run.returncode == 2
    assert says in run.stderr
    assert "Traceback" not in run.stderr


def test_an_error_in_a_scenario_is_one_line_on_stderr(tmp_path: Path) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text("scenario: x\nsteps:\n  - dance\n")
    run = reinstate("run", path)
    assert run.returncode == 2
    assert run.stdout == ""
    (line,) = run.stderr.splitlines()
    assert line.startswith(f"reinstate: {path}:3:5: unknown verb 'dance'; allowed: ")


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_who_has_read_enough_is_told_no_more(form: tuple[str, ...], short: Path) -> None:
    """As `head` reads: what comes after it is no defect of ours."""
    command = [sys.executable, "-m", "host_sim.cli", "run", str(short), "--runtime", "cpython", *form]
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as pipe:
        run = subprocess.run(command, cwd=ROOT, stdout=pipe, stderr=subprocess.PIPE, text=True, timeout=100, check=False)
    assert run.returncode == 1
    assert "Error" not in run.stderr
