"""Several runs are told one by one and summed up; what does not run is a run that failed."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from host_sim.cli import main
from host_sim.scenarios.runs import Ended, Run, Sum, run_all

GOOD = "scenario: nothing much\nsteps:\n  - say: nothing\n"
BAD = "scenario: cannot be\nsteps:\n  - press: no such key\n"


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_all_of_something_is_a_run_for_each(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = written(tmp_path, "good.yaml", GOOD), written(tmp_path, "bad.yaml", BAD)
    assert main(["run", str(good), str(bad), "--board", "esp32_mpos", "--runtime", "cpython", "--lang", "all", "--json"]) == 1
    out = capsys.readouterr()
    told = json.loads(out.out)
    assert (told["total"], told["passed"]) == (4, 2)
    assert [(run["board"], run["runtime"], run["language"], run["passed"]) for run in told["runs"]] == [
        ("esp32_mpos", "cpython", "en", True),
        ("esp32_mpos", "cpython", "zh-CN", True),
        ("esp32_mpos", "cpython", "en", False),
        ("esp32_mpos", "cpython", "zh-CN", False),
    ]
    assert told["runs"][2]["message"].startswith("line 3: press no such key: no key 'no such key'")
    assert out.err.count("passed  esp32_mpos") == 2 and out.err.count("FAILED  esp32_mpos") == 2


def test_the_table_has_a_line_for_each_scenario_and_the_sum() -> None:
    runs = [Run(Path(f"{name}.yaml"), "b", "cpython", language) for name in ("one", "another") for language in ("en", "zh-CN")]
    total = Sum([Ended(run, run != runs[1]) for run in runs])
    assert total.table() == [
        "one.yaml        1 of 2 passed",
        "another.yaml    2 of 2 passed",
        "sum             3 of 4 passed",
    ]


def test_a_scenario_that_cannot_be_run_is_a_run_that_failed(tmp_path: Path) -> None:
    nowhere = Run(tmp_path / "nowhere.yaml", "esp32_mpos", "cpython", "en")
    (ended,) = asyncio.run(run_all([nowhere], 1, lambda line: None)).ended
    assert not ended.passed and "cannot be read" in ended.message


def test_what_is_wrong_with_one_is_said_before_any_begins(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = written(tmp_path, "good.yaml", GOOD)
    assert main(["run", str(good), str(tmp_path / "nowhere.yaml")]) == 2
    assert main(["run", str(good), "--lang", "all", "--junit", str(tmp_path / "out.xml")]) == 2
    assert "one run" in capsys.readouterr().err
