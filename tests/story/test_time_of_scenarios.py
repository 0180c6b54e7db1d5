"""A scenario in simulated time tells the same at the same milliseconds, each time it is run."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from host_sim.cli import WRONG_USAGE, main
from host_sim.scenarios.scenario import load
from host_sim.scenarios.story import Outcome, play
from host_sim.simulated_time import SimulatedTime
from host_sim.terminal import RUNTIMES

AN_ORDER = """scenario: An order, and an hour without power
language: en
steps:
  - boot
  - expect_page: idle
  - order: {action: suspend, reason: dormant, case: C-1}
  - expect_page: suspended
  - cut_power
  - time: {forward_s: 3600}
  - boot
  - expect_page: suspended
  - expect_online: "yes"
"""

AN_OUTAGE = """scenario: An outage, after which the terminal comes back when chance has it
language: en
steps:
  - boot
  - expect_page: idle
  - expect_online: "yes"
  - uplink: cut
  - time: {forward_s: 15}
  - uplink: restore
  - time: {forward_s: 30}
  - expect_online: "yes"
"""
BOARDS = ("esp32s3_counter", "esp32_mpos")  # chance from a chip of its own, and from the runtime


def scenario_in(folder: Path, text: str = AN_ORDER) -> Path:
    path = folder / "an_order.yaml"
    path.write_text(text)
    return path


def run(folder: Path, runtime: str, time: SimulatedTime | None, text: str = AN_ORDER, board: str = "") -> tuple[Outcome, list[str]]:
    """What came of it, and what was told, at which millisecond."""
    told: list[str] = []
    scenario = load(scenario_in(folder.parent, text))
    folder.mkdir()
    program = play(
        scenario,
        folder,
        board=board or scenario.board,
        runtime=runtime,
        language="en",
        broker="embedded",
        tell=lambda who, what: told.append(f"{time.now_ms() if time is not None else 0} {who}: {what}"),
        time=time,
    )
    return (time.run(program) if time is not None else asyncio.run(program)), told


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_two_runs_of_a_scenario_are_alike_to_the_millisecond(runtime: str, tmp_path: Path) -> None:
    (first, told_first), (second, told_second) = (run(tmp_path / name, runtime, SimulatedTime()) for name in ("a", "b"))
    assert first.passed, told_first
    end = next(at for at, line in enumerate(told_first) if "cuts the power" in line)
    assert told_first[:end] == told_second[:end]
    assert [step.duration_s for step in first.steps] == [step.duration_s for step in second.steps]
    assert first.duration_s > 3600 > 60 > first.real_s


@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_after_an_outage_a_terminal_comes_back_at_the_same_millisecond_with_the_same_seed_alone(
    runtime: str, board: str, tmp_path: Path
) -> None:
    runs = [run(tmp_path / name, runtime, SimulatedTime(seed=seed), AN_OUTAGE, board) for name, seed in (("a", 1), ("b", 1), ("c", 2))]
    assert all(outcome.passed for outcome, _ in runs), runs
    first, second, other = ([line for line in told if int(line.split()[0]) < outcome.duration_s * 1000] for outcome, told in runs)
    assert any("uplink: restore" in line for line in first)
    assert first == second
    assert first != other


def test_time_that_is_real_is_not_forwarded(tmp_path: Path) -> None:
    outcome, _ = run(tmp_path / "a", "cpython", None)
    assert [step.message for step in outcome.steps if not step.passed] == [
        "this run is in real time, which nobody can forward; it takes simulated time"
    ]


@pytest.mark.parametrize(
    ("option", "value", "missing"), [("--broker", "mosquitto", "broker mosquitto"), ("--board", "linux_terminal", "board linux")]
)
def test_who_has_no_simulated_time_says_so_before_anything_starts(
    option: str, value: str, missing: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["run", str(scenario_in(tmp_path)), "--runtime", "cpython", "--time", "simulated", option, value])
    error = capsys.readouterr().err
    if "needs root" not in error:  # a Linux terminal says that first
        assert (code, missing in error, "--time real" in error) == (WRONG_USAGE, True, True), error


def test_another_seed_is_printed_and_is_for_simulated_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(scenario_in(tmp_path, "scenario: Nothing\nlanguage: en\nsteps:\n  - say: nothing happens\n"))
    assert main(["run", path, "--runtime", "cpython", "--seed", "7"]) == 0
    assert capsys.readouterr().out.startswith("seed 7\n")
    assert main(["run", path, "--runtime", "cpython"]) == 0
    assert "seed" not in capsys.readouterr().out
    assert main(["run", path, "--runtime", "cpython", "--time", "real", "--seed", "7"]) == WRONG_USAGE
    assert "--seed is for simulated time" in capsys.readouterr().err
