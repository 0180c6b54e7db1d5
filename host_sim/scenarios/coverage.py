"""Which rows of docs/coverage.md hold: every scenario that covers something is run now; what `reinstate coverage` does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from host_sim.scenarios.runs import Run, Sum
from host_sim.scenarios.scenario import ROWS, ScenarioError, load

SCENARIOS = Path(__file__).resolve().parents[2] / "scenarios"


@dataclass(frozen=True)
class Row:
    """One row. tests: the scenarios that cover it."""

    id: str
    holds: bool
    tests: tuple[str, ...]


def covering(folder: Path = SCENARIOS) -> dict[Path, tuple[str, ...]]:
    """Scenario -> the rows that it covers, of those that cover something. Raises ScenarioError: a file is none, the folder is missing."""
    if not folder.is_dir():
        raise ScenarioError(f"{folder}: no scenarios here; they are in the repository, not in the installed package")
    covers = {path: load(path).covers for path in sorted(folder.rglob("*.yaml"))}
    return {path: rows for path, rows in covers.items() if rows}


def runs_on(board: str, runtime: str, language: str | None) -> list[Run]:
    """A run of each. language: of the screens; None: as the scenario says."""
    return [Run(path, board, runtime, language or load(path).language) for path in covering()]


def rows_of(total: Sum) -> list[Row]:
    """A row holds when each scenario that covers it has passed, and there is one."""
    covers = covering()
    rows = []
    for row in ROWS:
        results = [ended for ended in total.ended if row in covers[ended.run.scenario]]
        tests = tuple(name_of(ended.run.scenario) for ended in results)
        rows.append(Row(row, bool(results) and all(ended.passed for ended in results), tests))
    return rows


def name_of(scenario: Path) -> str:
    """As docs/coverage.md names it."""
    return scenario.relative_to(SCENARIOS.parent).as_posix()


def document(rows: Sequence[Row]) -> dict[str, Any]:
    """For `--json`."""
    told = [{"id": row.id, "holds": row.holds, "tests": list(row.tests)} for row in rows]
    return {"rows": told, "total": len(rows), "hold": sum(row.holds for row in rows)}
