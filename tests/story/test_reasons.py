"""Each of the twelve reasons is recovered from, as a merchant does it: each once here, the boards, runtimes and languages by turns."""

from __future__ import annotations

import asyncio
from itertools import product
from pathlib import Path

import pytest

from firmware_agent.state.reasons import REASON_KINDS
from firmware_agent.texts import LANGUAGES
from host_sim.scenarios.runs import Run, run_all
from host_sim.terminal import RUNTIMES

REASONS = Path(__file__).parent.parent.parent / "scenarios" / "reasons"
PLACES = list(product(("esp32s3_counter", "esp32_mpos"), RUNTIMES, LANGUAGES))


@pytest.mark.needs("micropython")
@pytest.mark.parametrize("number", range(len(REASON_KINDS)), ids=lambda number: REASON_KINDS[number].code)
def test_a_reason_is_recovered_from(number: int) -> None:
    place = PLACES[number % len(PLACES)]
    told: list[str] = []
    total = asyncio.run(run_all([Run(REASONS / f"{REASON_KINDS[number].code}.yaml", *place)], 1, told.append))
    assert total.passed == 1, told


def test_there_is_one_scenario_for_each() -> None:
    assert {path.stem for path in REASONS.iterdir()} == {kind.code for kind in REASON_KINDS}
