"""Tests that are killed leave no simulator behind."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from pathlib import Path

import pytest

from tests.browser.desk import BEGIN_S, END_S, ROOT

TESTS = """
import sys
from pathlib import Path
from tests.browser.desk import Simulator

simulator = Simulator(Path(sys.argv[1]))
simulator.start()
print(simulator.process_id, flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel there tells no child that its parent is gone")
def test_a_simulator_ends_cleanly_when_the_tests_are_killed(tmp_path: Path) -> None:
    errors = tmp_path / "errors"
    with subprocess.Popen(
        [sys.executable, "-c", TESTS, str(errors)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as tests:
        assert tests.stdout is not None
        began, _, _ = select.select([tests.stdout], [], [], BEGIN_S)
        assert began, errors.read_text()
        simulator = os.pidfd_open(int(tests.stdout.readline()))
        tests.kill()
    try:
        ended, _, _ = select.select([simulator], [], [], END_S)
    finally:
        os.close(simulator)
    assert ended, "the simulator goes on"
    assert errors.read_text() == ""
