"""Every scenario that ships runs to its end: in simulated time, and some of them against mosquitto with TLS, client certificates and access
rules, in the machine's own.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest

from host_sim.platform import RealTime
from host_sim.scenarios.scenario import load
from host_sim.scenarios.story import Outcome, play
from host_sim.simulated_time import SimulatedTime
from host_sim.terminal import RUNTIMES

FOLDER = Path(__file__).parent.parent.parent / "scenarios"
SCENARIOS = sorted(FOLDER.glob("*.yaml"))
REASONS = sorted(FOLDER.glob("reasons/*.yaml"))
ON_MOSQUITTO = ("hostile", "offline", "technician", "violation")
# What has not to do with a microcontroller.
ON_LINUX = ("activation", "hostile", "offline", "power", "printer_fault", "technician", "violation")
LINUX_PROGRAMS = ("root", "mosquitto", "pcscd", "vsmartcard-vpcd", "softhsm2", "python3-dbusmock", "dbus-daemon")


def needs_linux(test: Any) -> Any:
    """Marks what runs a Linux terminal on real interfaces."""
    for program in LINUX_PROGRAMS:
        test = pytest.mark.needs(program)(test)
    return test


def run(
    path: Path,
    runtime: str,
    broker: str = "embedded",
    language: str | None = None,
    screens: Path | None = None,
    board: str | None = None,
    is_real: bool = False,
) -> tuple[Outcome, str]:
    """The outcome, and what was told."""
    scenario = load(path)
    told: list[str] = []
    time = RealTime() if is_real else SimulatedTime()
    with tempfile.TemporaryDirectory(prefix="reinstate-") as folder:
        outcome = time.run(
            play(
                scenario,
                Path(folder),
                board=board or scenario.board,
                runtime=runtime,
                language=language or scenario.language,
                broker=broker,
                tell=lambda who, what: told.append(f"{who}: {what}"),
                time=time,
                pictures=screens,
            )
        )
    return outcome, "\n".join(told)


@pytest.mark.needs("micropython")
@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_scenario_runs_to_its_end(path: Path) -> None:
    outcome, told = run(path, "micropython")
    assert outcome.passed, told[-4000:]
    assert outcome.verified > 0
    assert "Traceback" not in told


@pytest.mark.parametrize("path", REASONS, ids=lambda path: path.stem)
def test_the_way_back_from_each_reason_leads_back(path: Path) -> None:
    outcome, told = run(path, "cpython")
    assert outcome.passed, told[-4000:]
    assert outcome.final_state in ("in_service", "probation")


@pytest.mark.needs("mosquitto")
@pytest.mark.needs("micropython")
@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("name", ON_MOSQUITTO)
def test_scenario_runs_to_its_end_on_mosquitto(name: str, runtime: str) -> None:
    outcome, told = run(FOLDER / f"{name}.yaml", runtime, "mosquitto", is_real=True)
    assert outcome.passed, told[-4000:]
    assert outcome.verified > 0
    assert "Traceback" not in told


@needs_linux
@pytest.mark.parametrize("name", ON_LINUX)
def test_the_same_scenario_runs_on_a_linux_terminal(name: str) -> None:
    (path,) = (path for path in SCENARIOS if path.stem == name)
    outcome, told = run(path, "cpython", "mosquitto", board="linux_terminal", is_real=True)
    assert outcome.passed, told[-4000:]
    assert outcome.board == "linux_terminal" and outcome.verified > 0
    assert "Traceback" not in told


def test_the_demonstration_runs_on_the_embedded_broker_in_english_too(tmp_path: Path) -> None:
    (path,) = (path for path in SCENARIOS if path.stem == "violation")
    outcome, told = run(path, "cpython", "embedded", "en", tmp_path / "screens")
    assert outcome.passed, told[-4000:]
    assert outcome.final_state == "in_service"
    pages = dict(outcome.screens)
    assert "Reason: Rule violation" in pages["suspended"]
    assert "Not a receipt. No money was" in outcome.slip
    assert len(list((tmp_path / "screens").glob("*.png"))) == len(outcome.screens) + 1


def test_a_step_that_does_not_come_true_fails_with_what_was_there_instead(tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text("scenario: wrong\nsteps:\n  - boot\n  - expect_state: out_of_order\n  - say: never reached\n")
    outcome, told = run(path, "cpython", "embedded")
    assert not outcome.passed
    assert [step.passed for step in outcome.steps] == [True, False]
    assert "the verified state is in_service" in outcome.steps[-1].message
    assert f"{path}:4: expect_state out_of_order" in told
