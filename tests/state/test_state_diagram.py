"""The diagrams of the state machine are drawn from it, are current, and show no way into service past its gates."""

from __future__ import annotations

from pathlib import Path

import pytest

from firmware_agent.state.machine import COMMISSIONING, IN_SERVICE, MODES, OUT_OF_ORDER, PROBATION, STEPS
from tools.build_state_diagram import DOCUMENT, drawn, edges, main


def test_the_diagrams_are_current() -> None:
    assert main(["--check"]) == 0


def test_the_check_says_what_to_run_for_a_diagram_that_is_not_current(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    document = tmp_path / "state-machine.md"
    document.write_text(text.replace("    in_service --> suspended: Suspended\n", ""), encoding="utf-8")
    assert main(["--document", str(document), "--check"]) == 1
    assert capsys.readouterr().err == "state-machine.md is not current: run python tools/build_state_diagram.py\n"
    assert main(["--document", str(document)]) == 0
    assert document.read_text(encoding="utf-8") == text


def test_a_document_without_a_place_for_a_diagram_is_refused() -> None:
    with pytest.raises(ValueError, match="no place for the diagram of the modes"):
        drawn("# The state machine\n")


def test_every_mode_and_step_is_reached_and_service_only_past_its_gates() -> None:
    modes, steps = edges()
    assert {mode for _, _, mode in modes} == set(MODES)
    assert {"reason"} | {step for _, _, step in steps} == set(STEPS)
    into_service = {(origin, name) for origin, name, mode in modes if mode in (IN_SERVICE, PROBATION)}
    assert {name for origin, name in into_service if origin == COMMISSIONING} == {"FunctionTestPassed"}
    assert {name for origin, name in into_service if origin not in (COMMISSIONING, PROBATION)} == {"FaultCleared"}
    assert not any(origin == OUT_OF_ORDER for origin, _ in into_service)
