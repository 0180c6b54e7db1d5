"""The fault matrix: what is in it, what it finds in samples of every kind, and what the command says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from firmware_agent.selftest.diagnosis import CAUSES, COMPONENTS
from hal.hal import KINDS
from host_sim.cli import GOOD, WRONG_USAGE, main
from host_sim.fault_matrix import Case, Finding, Matrix, cases, run_matrix
from host_sim.linux.machine import LinuxMachine
from host_sim.terminal import RUNTIMES, TerminalFailure
from host_sim.world import open_shop

BOARDS = ("esp32s3_counter", "esp32_mpos")
LEAST_FAULTS = 80  # on the counter terminal
# One of each place that can break: most are found by the power-on plan, some need a person, and the last two begin while in service.
SAMPLES = (
    "card_reader.no_answer",
    "display.dead_controller",
    "display_bus.silence",
    "firmware.changed_file",
    "keypad.stuck_5",
    "network.wrong_password",
    "payment.unreachable",
    "power.brownouts",
    "printer.head_cold",
    "printer_line.silence",
    "program.hang",
    "reader_bus.no_acknowledge",
    "scanner.silent",
    "scanner_line.garbage",
    "secure_element.no_wake",
    "security_bus.stuck_line",
    "sounder.silent",
    "storage.rotten",
    "clock.jumps",
    "uplink.slow",
)
# With an agent in a process of its own: its sockets, its watchdog, and a person who waits for it.
SAMPLES_OF_A_PROCESS = ("printer.head_cold", "program.hang", "security_bus.stuck_line", "uplink.host_unreachable")


def cases_of(board: str, folder: Path) -> list[Case]:
    async def found() -> list[Case]:
        async with open_shop(folder, board=board, runtime="cpython", language="en", tell=print) as shop:
            return cases(shop)

    return asyncio.run(found())


@pytest.mark.parametrize("board", BOARDS)
def test_every_fault_of_every_model_is_in_the_matrix_with_a_cause_that_has_words(board: str, tmp_path: Path) -> None:
    found = cases_of(board, tmp_path)
    assert len({case.id for case in found}) == len(found)
    causes = {cause.code for cause in CAUSES}
    for case in found:
        assert case.cause in causes, case.id
        assert case.component in (*KINDS, *COMPONENTS), case.id
    assert {"display", "keypad", "card_reader", "network", "storage", "firmware", "power", "uplink"} <= {case.place for case in found}
    if board == "esp32s3_counter":
        assert len(found) >= LEAST_FAULTS
        assert set(SAMPLES) <= {case.id for case in found}
        assert {case.place for case in found} == {sample.split(".")[0] for sample in SAMPLES}


@pytest.mark.parametrize(("runtime", "samples"), [("cpython", SAMPLES), ("micropython", SAMPLES_OF_A_PROCESS)])
def test_samples_of_every_kind_are_found_and_a_sound_terminal_is_not_complained_of(
    runtime: str, samples: Sequence[str], capsys: pytest.CaptureFixture[str]
) -> None:
    only = [word for sample in samples for word in ("--only", sample)]
    assert main(["faults", "--runtime", runtime, *only, "--clean-runs", "1", "--json"]) == GOOD
    document = json.loads(capsys.readouterr().out)
    assert (document["board"], document["runtime"], document["time"]) == ("esp32s3_counter", runtime, "simulated")
    assert [fault["id"] for fault in document["faults"]] == sorted(samples)
    for fault in document["faults"]:
        assert fault["device"] == fault["id"].split(".")[0]
        assert fault["diagnosed"] == fault["expected"], fault["id"]
    assert document["total"] == document["detected"] == document["correct_component"] == len(samples)
    assert (document["clean_runs"], document["false_alarms"]) == (1, 0)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_sound_handheld_is_not_complained_of(runtime: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["faults", "--runtime", runtime, "--board", "esp32_mpos", "--only", "nothing", "--clean-runs", "1", "--json"]) == GOOD
    document = json.loads(capsys.readouterr().out)
    assert (document["total"], document["clean_runs"], document["false_alarms"]) == (0, 1, 0)


def test_in_real_time_a_fault_is_found_too(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--runtime", "cpython", "--only", "printer.cutter_jam", "--clean-runs", "0"]
    assert main(["faults", *arguments, "--time", "real", "--json"]) == GOOD
    document = json.loads(capsys.readouterr().out)
    assert (document["time"], document["detected"]) == ("real", 1)


def test_a_run_that_does_not_end_is_ended_and_told(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(TerminalFailure, match="did not end in 0.01 s"):
        run_matrix("esp32_mpos", "cpython", ["power.brownouts"], 0, time="simulated", jobs=1, seed=1, tell=print, limit_s=0.01)
    assert "most recent call first" in capfd.readouterr().err  # where it stood: the stack as far as it is seen while it moves


def test_bars_are_held_one_by_one() -> None:
    case = Case("printer.paper_out", "printer", "paper_out", "printer", "paper_out")
    right, wrong = Finding("printer", "paper_out"), Finding("scanner", "no_answer")
    assert Matrix("b", "cpython", "real", [(case, right)], [None]).holds
    assert not Matrix("b", "cpython", "real", [(case, None)], [None]).holds
    assert not Matrix("b", "cpython", "real", [(case, wrong)], [None]).holds
    assert not Matrix("b", "cpython", "real", [(case, right)], [None, right]).holds
    assert Matrix("b", "cpython", "real", [(case, right)] * 98 + [(case, wrong)] * 2, []).holds
    assert not Matrix("b", "cpython", "real", [(case, right)] * 97 + [(case, wrong)] * 3, []).holds


def test_a_pattern_that_matches_nothing_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["faults", "--runtime", "cpython", "--only", "toaster.*", "--clean-runs", "0"]) == WRONG_USAGE
    (line,) = capsys.readouterr().err.splitlines()
    assert "toaster" in line


def test_who_has_no_simulated_time_says_so_before_anything_starts(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LinuxMachine, "check_runtime", lambda board, runtime: None)  # which asks for root first
    assert main(["faults", "--board", "linux_terminal", "--time", "simulated"]) == WRONG_USAGE
    (line,) = capsys.readouterr().err.splitlines()
    assert "board linux_terminal has no simulated time" in line and "--time real" in line


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--board", "toaster"], "esp32s3_counter"),
        (["--runtime", "toaster"], "micropython"),
        (["--clean-runs", "few"], "whole number"),
        (["--time", "lunar"], "simulated"),
    ],
)
def test_what_does_not_exist_is_refused_with_what_does(arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["faults", *arguments])
    assert ended.value.code == WRONG_USAGE
    assert told in capsys.readouterr().err.splitlines()[-1]
