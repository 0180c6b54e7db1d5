"""The pytest plugin: light where nobody asks for a terminal, one line where it is asked wrongly, and evidence where a test fails."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

Run = Callable[..., subprocess.CompletedProcess[str]]

IMPORTED = """
import sys, threading

def test_nothing_of_it_is_there(request):
    ours = {"host_sim", "host_sim.pytest_plugin"}
    told = {name for name in sys.modules if name.partition(".")[0] in ("host_sim", "firmware_agent", "hal", "boards")}
    assert told == ours
    assert not [thread for thread in threading.enumerate() if "reinstate" in thread.name]
"""
OWN = """
import pytest

@pytest.fixture
def terminal():
    return "a tty"

def test_of_something_else(terminal):
    assert terminal == "a tty"
"""
UNTOUCHED = """
def test_a(terminal):
    pass
"""


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """pytest, as its user starts it, on one file with this text in a folder of its own."""

    def run(text: str, *arguments: str, settings: str = "") -> subprocess.CompletedProcess[str]:
        (tmp_path / "test_theirs.py").write_text(text, encoding="utf-8")
        (tmp_path / "pytest.ini").write_text(f"[pytest]\n{settings}\n", encoding="utf-8")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "REINSTATE"))}
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=100, check=False)

    return run


@pytest.mark.parametrize("arguments", [(), ("-n", "1"), ("-p", "no:randomly")], ids=" ".join)
def test_a_suite_that_asks_for_no_terminal_imports_nothing_of_it(run: Run, arguments: tuple[str, ...]) -> None:
    done = run(IMPORTED, *arguments)
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout


def test_a_fixture_of_the_same_name_is_the_suites_own(run: Run) -> None:
    done = run(OWN, "-v")
    assert done.returncode == 0, done.stdout
    assert "test_theirs.py::test_of_something_else PASSED" in done.stdout  # no kind of terminal in its name


@pytest.mark.parametrize(
    ("marker", "arguments", "says"),
    [
        ("", ("--reinstate-board", "toaster"), "unknown board 'toaster'; allowed: esp32_mpos, esp32s3_counter"),
        ("", ("--reinstate-runtime", "lua"), "unknown runtime 'lua'; allowed: micropython, cpython, all"),
        ("", ("--reinstate-lang", "fr"), "unknown language 'fr'; allowed: en, zh-CN, all"),
        ("@pytest.mark.reinstate(bord='esp32_mpos')", (), "the marker reinstate takes board, runtime, language, time, by name"),
        ("@pytest.mark.reinstate('esp32_mpos')", (), "the marker reinstate takes board, runtime, language, time, by name"),
        ("@pytest.mark.reinstate(language=['en', 'fr'])", (), "unknown language 'fr'"),
        ("", ("--reinstate-time", "fast"), "with broker embedded 'fast'; allowed: simulated, real, all"),
        (
            "@pytest.mark.reinstate(time='simulated')",
            ("--reinstate-broker", "mosquitto"),
            "with broker mosquitto 'simulated'; allowed: real",
        ),
        ("@pytest.mark.reinstate(time='simulated', board='linux_terminal')", (), "time of linux_terminal with broker embedded 'simulated'"),
    ],
)
def test_what_is_asked_for_wrongly_is_told_in_one_line_before_anything_starts(
    run: Run, marker: str, arguments: tuple[str, ...], says: str
) -> None:
    done = run(f"import pytest\n{marker}\ndef test_a(terminal):\n    pass\n", *arguments)
    assert done.returncode == 2
    (line,) = [line for line in done.stdout.splitlines() if says in line and not line.startswith("ERROR")]
    assert "test_a" in line
    assert "Traceback" not in done.stdout


def test_folders_of_boards_that_are_not_there_are_told_in_one_line(run: Run) -> None:
    done = run(UNTOUCHED, settings="reinstate_boards = nowhere")
    assert done.returncode == 4
    assert "nowhere is no folder" in done.stderr


@pytest.mark.parametrize(
    ("marker", "arguments", "kinds"),
    [
        ("", (), ["esp32s3_counter-micropython-en-simulated"]),
        ("", ("--reinstate-board", "linux_terminal"), ["linux_terminal-cpython-en-real"]),
        ("", ("--reinstate-runtime", "all"), ["esp32s3_counter-micropython-en-simulated", "esp32s3_counter-cpython-en-simulated"]),
        ("@pytest.mark.reinstate(runtime='cpython', language='all')", (), [
            "esp32s3_counter-cpython-en-simulated", "esp32s3_counter-cpython-zh-CN-simulated"]),
        ("", ("--reinstate-broker", "mosquitto"), ["esp32s3_counter-micropython-en-real"]),
        ("", ("--reinstate-time", "all"), ["esp32s3_counter-micropython-en-simulated", "esp32s3_counter-micropython-en-real"]),
        ("@pytest.mark.reinstate(time='all', board='linux_terminal')", (), ["linux_terminal-cpython-en-real"]),
        ("@pytest.mark.reinstate(board='esp32_mpos')", ("--reinstate-board", "linux_terminal"), ["esp32_mpos-micropython-en-simulated"]),
        ("@pytest.mark.reinstate(board=['esp32_mpos', 'linux_terminal'], runtime='all')", (), [
            "esp32_mpos-micropython-en-simulated", "esp32_mpos-cpython-en-simulated", "linux_terminal-cpython-en-real"]),
    ],
)  # fmt: skip
def test_a_test_is_there_once_for_each_kind_of_terminal_and_the_marker_comes_before_the_option(
    run: Run, marker: str, arguments: tuple[str, ...], kinds: list[str]
) -> None:
    done = run(f"import pytest\n{marker}\ndef test_a(terminal):\n    pass\n", "--collect-only", "-q", "-p", "no:randomly", *arguments)
    assert done.returncode == 0, done.stdout
    assert [line for line in done.stdout.splitlines() if "::" in line] == [f"test_theirs.py::test_a[{kind}]" for kind in kinds]


FAILING = """
import asyncio
import pytest
from host_sim.scenarios.looking import StepFailed
from host_sim.testing import WorldFailure

pytestmark = pytest.mark.reinstate(runtime="cpython")

def test_fails(terminal):
    terminal.do("boot")
    terminal.expect("state", "in_service")
    terminal.expect("page", "idle")
    terminal.do("press", "no such key")

def test_crash_that_nobody_looked_at(terminal, acquirer):
    terminal.do("boot")
    terminal.expect("state", "in_service")
    terminal.ask(lambda shop: shop.terminal._heard("crash of a test"))

@pytest.mark.reinstate(time="real")
def test_waits_end(reinstate_world, terminal):
    with pytest.raises(StepFailed, match="did not come in 0.1 s: the moon"):
        terminal.until(lambda shop: False, "the moon", 0.1)
    with pytest.raises(WorldFailure, match="does not answer for 0.1 s"):
        reinstate_world.call(asyncio.sleep(60), 0.1)
    with pytest.raises(StepFailed, match="real time, which nobody can forward"):
        terminal.do("time", forward_s=60)
    with pytest.raises(KeyError):
        terminal.ask(lambda shop: {}["nothing"])
    assert terminal.state == {} and terminal.lines == []
    assert not terminal.has("toaster") and terminal.has("printer")

def test_every_way_of_asking(terminal, acquirer, tmp_path):
    scenario = tmp_path / "own.yaml"
    scenario.write_text('scenario: its own\\nsteps:\\n  - boot\\n  - expect_state: in_service\\n')
    terminal.play(scenario)
    terminal.expect("online", True)
    assert acquirer.send("order", action="unlock")["refusal"] == "not_locked"
    terminal.do("fault", device="printer", name="paper_out", on=True)
    terminal.do("fault", device="printer", name="paper_out", on=False)
    assert [body["plan"] for body in acquirer.messages("report")] == ["power_on"]
    acquirer.publish(acquirer.topic("order"), b"no message")
    assert acquirer.receipt_of(b"no message")["refusal"] == "malformed"
    assert acquirer.refused == []
    assert terminal.picture().size == (320, 240)
"""


def test_what_fails_is_told_with_what_was_to_be_seen_and_waits_have_limits(run: Run, tmp_path: Path) -> None:
    done = run(FAILING, "--reinstate-screens", "pictures", "-rA", "-p", "no:randomly")
    assert done.returncode == 1
    assert "3 passed" in done.stdout and "1 failed" in done.stdout and "1 error" in done.stdout, done.stdout[-4000:]
    report = done.stdout
    assert "press no such key: no key 'no such key'; there are: 1, 2, 3" in report
    assert "host_sim/scenarios/looking.py" not in report and "host_sim/testing.py" not in report  # the test's own line is shown
    assert "Ready for payments." in report.partition("Terminal: display")[2]
    assert "acquirer  T0000001: verified state in_service" in report.partition("Terminal: end of the log")[2]
    assert "TerminalFailure: the program ended with an error: crash of a test" in report
    assert f"{tmp_path}/pictures/test_theirs.py-test_fails" in report
    (picture,) = (tmp_path / "pictures").glob("*.png")
    assert picture.name == "test_theirs.py-test_fails-esp32s3_counter-cpython-en-simulated-display.png"
    with Image.open(picture) as seen:
        assert seen.size == (320, 240) and len(seen.getcolors() or ()) > 1


TIMED = """
import asyncio, concurrent.futures, time
import pytest
from host_sim.scenarios.looking import StepFailed
from host_sim.testing import WorldFailure

HOUR_S = 3600
pytestmark = pytest.mark.reinstate(runtime="cpython")

def now_ms(terminal):
    return terminal.ask(lambda shop: shop.backend.time.now_ms())

@pytest.mark.reinstate(time="all", runtime="all")
def test_the_same_in_each_time(terminal, acquirer):
    terminal.do("boot")
    terminal.expect("state", "in_service")
    terminal.do("order", action="suspend", reason="maintenance", case="V-17")
    terminal.expect("page", "suspended")
    assert acquirer.send("order", action="unlock")["refusal"] == "not_locked"

def test_time_passes_only_while_a_call_is_under_way(terminal):
    terminal.do("boot")
    terminal.expect("page", "idle")
    before = now_ms(terminal), terminal.lines
    time.sleep(0.3)
    assert (now_ms(terminal), terminal.lines) == before
    terminal.do("time", forward_s=1)
    assert now_ms(terminal) == before[0] + 1000

def test_an_hour_without_power(terminal):
    terminal.do("boot")
    terminal.expect("state", "in_service")
    terminal.do("cut_power")
    before, begun = now_ms(terminal), time.monotonic()
    terminal.do("time", forward_s=HOUR_S)
    assert now_ms(terminal) == before + HOUR_S * 1000
    assert time.monotonic() - begun < HOUR_S / 10
    terminal.do("boot")
    terminal.expect("online", True)

def test_waits_end_by_its_own_time(reinstate_world, terminal):
    before, begun = now_ms(terminal), time.monotonic()
    with pytest.raises(StepFailed, match="did not come in 600 s: the moon"):
        terminal.until(lambda shop: False, "the moon", 600)
    assert now_ms(terminal) == before + 600_000
    assert time.monotonic() - begun < 300

    async def hang():
        time.sleep(1)

    async def gives_up():
        raise asyncio.CancelledError

    with pytest.raises(concurrent.futures.CancelledError):
        reinstate_world.call(gives_up())
    with pytest.raises(WorldFailure, match="does not answer for 0.1 s"):
        reinstate_world.call(hang(), 0.1)

def test_a_back_end_has_a_clock_of_its_own(acquirer, tmp_path):
    with pytest.raises(WorldFailure, match="this test takes time real"):
        acquirer.hand_over(tmp_path)
"""
ALIKE = """
import time
import pytest

TOLD = []

@pytest.mark.reinstate(runtime="all")
@pytest.mark.parametrize("think_s", [0, 0.05])
def test_told(terminal, reinstate_world, think_s):
    terminal.do("boot")
    terminal.expect("state", "in_service")
    time.sleep(think_s)
    terminal.do("order", action="suspend", reason="maintenance", case="V-17")
    terminal.expect("page", "suspended")
    time.sleep(think_s)
    terminal.do("press", "1")
    terminal.expect("page", "recovery.reason")
    TOLD.append((str(reinstate_world.kind), list(reinstate_world.log)))  # before its end, whose order is the kernel's choice

def test_alike():
    assert len(TOLD) == 4
    for kind, log in TOLD:
        assert len(log) > 20
        assert log == next(first for of, first in TOLD if of == kind)
"""


@pytest.mark.needs("micropython")
def test_time_passes_by_the_calls_of_a_test_alone(run: Run) -> None:
    done = run(TIMED)
    assert done.returncode == 0, done.stdout[-4000:]
    assert "8 passed" in done.stdout


@pytest.mark.needs("micropython")
def test_two_runs_of_a_test_tell_the_same_at_the_same_milliseconds_however_long_it_thinks(run: Run) -> None:
    done = run(ALIKE, "-p", "no:randomly")
    assert done.returncode == 0, done.stdout[-4000:]
    assert "5 passed" in done.stdout
