"""Every scenario that ships runs to its end against mosquitto with TLS, client certificates and access rules."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import pytest

from host_sim.scenario import load
from host_sim.story import Outcome, play
from host_sim.terminal import RUNTIMES

SCENARIOS = sorted((Path(__file__).parent.parent.parent / "scenarios").glob("*.yaml"))
BOTH_RUNTIMES = ("hostile", "technician", "violation")  # the others on what the boards are made for
RUNS = [(path, runtime) for path in SCENARIOS for runtime in RUNTIMES if runtime == "micropython" or path.stem in BOTH_RUNTIMES]

ON_LINUX = ("activation", "hostile", "offline", "power", "printer_fault", "technician", "violation")  # what has not to do with a microcontroller
LINUX_PROGRAMS = ("root", "mosquitto", "pcscd", "vsmartcard-vpcd", "softhsm2", "python3-dbusmock", "dbus-daemon")


def needs_linux(test: Any) -> Any:
    """Marks what runs a Linux terminal on real interfaces."""
    for program in LINUX_PROGRAMS:
        test = pytest.mark.needs(program)(test)
    return test


def run(
    path: Path,
    runtime: str,
    broker: str = "mosquitto",
    language: str | None = None,
    screens: Path | None = None,
    board: str | None = None,
) -> tuple[Outcome, str]:
    """The outcome, and what was told."""
    scenario = load(path)
    told: list[str] = []
    with tempfile.TemporaryDirectory(prefix="reinstate-") as folder:
        outcome = asyncio.run(
            play(
                scenario,
                Path(folder),
                board=board or scenario.board,
                runtime=runtime,
                language=language or scenario.language,
                broker=broker,
                tell=lambda who, what: told.append(f"{who}: {what}"),
                pictures=screens,
            )
        )
    return outcome, "\n".join(told)


@pytest.mark.needs("mosquitto")
@pytest.mark.parametrize(("path", "runtime"), RUNS, ids=lambda value: getattr(value, "stem", value))
def test_scenario_runs_to_its_end(path: Path, runtime: str) -> None:
    outcome, told = run(path, runtime)
    assert outcome.passed, told[-4000:]
    assert outcome.verified > 0
    assert "Traceback" not in told


@needs_linux
@pytest.mark.parametrize("name", ON_LINUX)
def test_the_same_scenario_runs_on_a_linux_terminal(name: str) -> None:
    (path,) = (path for path in SCENARIOS if path.stem == name)
    outcome, told = run(path, "cpython", board="linux_terminal")
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


def test_a_step_that_does_not_come_true_fails_with_what_was_there_instead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("host_sim.story.STEP_TIMEOUT_S", 5.0)
    path = tmp_path / "wrong.yaml"
    path.write_text("scenario: wrong\nsteps:\n  - boot\n  - expect_state: out_of_order\n  - say: never reached\n")
    outcome, told = run(path, "cpython", "embedded")
    assert not outcome.passed
    assert [step.passed for step in outcome.steps] == [True, False]
    assert "the verified state is in_service" in outcome.steps[-1].message
    assert f"{path}:4: expect_state out_of_order" in told
