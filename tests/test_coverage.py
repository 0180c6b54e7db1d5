"""What docs/coverage.md and docs/interruptions.md say is shown by files, scenarios and tests that are there."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from firmware_agent.state.reasons import REASON_KINDS
from host_sim.scenarios.coverage import SCENARIOS, covering, document, rows_of
from host_sim.scenarios.runs import Ended, Run, Sum
from host_sim.scenarios.scenario import ROWS, ScenarioError

ROOT = Path(__file__).parent.parent
TESTS = ROOT / "tests"


def table_rows(document: str, columns: int) -> list[list[str]]:
    """The cells of the rows of its tables, heads and rules left out."""
    lines = (ROOT / "docs" / document).read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]
    rows = [row for row in rows if row[0] not in ("row", "interrupted") and not set(row[0]) <= set("-")]
    assert all(len(row) == columns for row in rows)
    return rows


def named(cell: str) -> list[str]:
    names = re.findall(r"`([^`]+)`", cell)
    assert re.sub(r"`[^`]+`|[ ,]", "", cell) == "", cell
    return names


@cache
def functions_in(path: Path) -> set[str]:
    """Functions by name; methods of a hypothesis machine are none."""
    return {node.name for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.FunctionDef)}


def is_there(test: str) -> bool:
    """'core/test_x.py::test_y', 'core/test_x.py' or a scenario."""
    if test.startswith("scenarios/"):
        return (ROOT / test).is_file()
    path, _, name = test.partition("::")
    return (TESTS / path).is_file() and (not name or (name.startswith("test_") and name in functions_in(TESTS / path)))


COVERAGE = table_rows("coverage.md", 6)
INTERRUPTIONS = table_rows("interruptions.md", 3)


def test_each_row_is_there_once_and_in_its_order() -> None:
    assert [row[0] for row in COVERAGE] == list(ROWS)
    assert len(ROWS) == 55


@pytest.mark.parametrize("row", COVERAGE, ids=lambda row: row[0])
def test_what_does_and_what_shows_a_row_is_there(row: list[str]) -> None:
    _, chinese, english, files, scenarios, tests = row
    assert chinese and english
    assert files and all((ROOT / "firmware_agent" / name).is_file() for name in named(files)), files
    assert tests and all(is_there(test) for test in named(tests)), tests
    assert named(scenarios), "no scenario shows it"


def test_the_scenarios_say_the_same() -> None:
    told = {row[0]: set(named(row[4])) for row in COVERAGE}
    covers = covering()
    for row in ROWS:
        assert told[row] == {path.relative_to(SCENARIOS).as_posix() for path, rows in covers.items() if row in rows}, row


def test_each_of_the_twelve_reasons_has_its_whole_recovery() -> None:
    covers = covering()
    for kind in REASON_KINDS:
        assert f"S{kind.number}" in covers[SCENARIOS / "reasons" / f"{kind.code}.yaml"]


def test_without_the_repository_it_is_said_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="no scenarios here; they are in the repository"):
        covering(tmp_path / "scenarios")


def test_a_row_holds_when_every_scenario_that_covers_it_passes_and_there_is_one() -> None:
    paths = list(covering())
    runs = [Run(path, "esp32s3_counter", "cpython", "en") for path in paths]
    all_good = document(rows_of(Sum([Ended(run, True) for run in runs])))
    assert all_good["total"] == all_good["hold"] == 55
    assert [row["id"] for row in all_good["rows"]] == list(ROWS)
    failed = SCENARIOS / "hostile.yaml"
    one_failed = document(rows_of(Sum([Ended(run, run.scenario != failed) for run in runs])))
    assert [row["id"] for row in one_failed["rows"] if not row["holds"]] == list(covering()[failed])
    none = document(rows_of(Sum([])))
    assert none["hold"] == 0 and none["rows"][0] == {"id": "S1", "holds": False, "tests": []}


@pytest.mark.parametrize("row", INTERRUPTIONS, ids=lambda row: row[0][:60])
def test_what_happens_after_an_interruption_is_shown(row: list[str]) -> None:
    _, then, shown_by = row
    assert then and named(shown_by)
    assert all(is_there(test) for test in named(shown_by)), shown_by
