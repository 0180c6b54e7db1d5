"""The fault matrix: what is in it, what it finds in samples of every kind, and what the command says."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from firmware_agent.selftest.diagnosis import CAUSES, COMPONENTS
from hal.hal import KINDS
from host_sim.cli import GOOD, WRONG_USAGE, main
from host_sim.fault_matrix import Case, Finding, Matrix, cases
from host_sim.world import open_shop

BOARDS = ("esp32s3_counter", "esp32_mpos")
LEAST_FAULTS = 80  # on the counter terminal
# Found by the power-on plan, so that a run is short: one of each place that can break.
SAMPLES = (
    "card_reader.no_answer",
    "clock.lost",
    "display.dead_controller",
    "firmware.changed_file",
    "keypad.stuck_5",
    "network.wrong_password",
    "printer.cutter_jam",
    "scanner.silent",
    "secure_element.no_wake",
    "security_bus.stuck_line",
    "storage.rotten",
)


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


@pytest.mark.needs("micropython")
@pytest.mark.parametrize("runtime", ["cpython", "micropython"])
def test_samples_of_every_kind_are_found_and_a_sound_terminal_is_not_complained_of(
    runtime: str, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = [sample for sample in SAMPLES if runtime == "cpython" or sample[:3] in ("sec", "pri", "sto")]
    documents = []
    for sample in chosen:
        status = main(["faults", "--runtime", runtime, "--only", sample, "--clean-runs", "0", "--json"])
        documents.append(json.loads(capsys.readouterr().out))
        assert status == GOOD, documents[-1]
    for sample, document in zip(chosen, documents, strict=True):
        assert (document["board"], document["runtime"], document["total"]) == ("esp32s3_counter", runtime, 1)
        (fault,) = document["faults"]
        assert fault["id"] == sample and fault["device"] == sample.split(".")[0]
        assert fault["diagnosed"] == fault["expected"]
        assert (document["detected"], document["correct_component"]) == (1, 1)
    assert main(["faults", "--runtime", runtime, "--board", "esp32_mpos", "--only", "nothing", "--clean-runs", "1", "--json"]) == GOOD
    document = json.loads(capsys.readouterr().out)
    assert (document["total"], document["clean_runs"], document["false_alarms"]) == (0, 1, 0)


def test_bars_are_held_one_by_one() -> None:
    case = Case("printer.paper_out", "printer", "paper_out", "printer", "paper_out")
    right, wrong = Finding("printer", "paper_out"), Finding("scanner", "no_answer")
    assert Matrix("b", "cpython", [(case, right)], [None]).holds
    assert not Matrix("b", "cpython", [(case, None)], [None]).holds
    assert not Matrix("b", "cpython", [(case, wrong)], [None]).holds
    assert not Matrix("b", "cpython", [(case, right)], [None, right]).holds
    assert Matrix("b", "cpython", [(case, right)] * 98 + [(case, wrong)] * 2, []).holds
    assert not Matrix("b", "cpython", [(case, right)] * 97 + [(case, wrong)] * 3, []).holds


def test_a_pattern_that_matches_nothing_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["faults", "--runtime", "cpython", "--only", "toaster.*", "--clean-runs", "0"]) == WRONG_USAGE
    (line,) = capsys.readouterr().err.splitlines()
    assert "toaster" in line


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--board", "toaster"], "esp32s3_counter"),
        (["--runtime", "toaster"], "micropython"),
        (["--clean-runs", "few"], "whole number"),
    ],
)
def test_what_does_not_exist_is_refused_with_what_does(arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["faults", *arguments])
    assert ended.value.code == WRONG_USAGE
    assert told in capsys.readouterr().err.splitlines()[-1]
