"""A scenario file with an error is refused with one line that says where and what is allowed."""

from __future__ import annotations

from pathlib import Path

import pytest

from host_sim.scenarios.actions import Actions
from host_sim.scenarios.expectations import Expectations
from host_sim.scenarios.scenario import EXPECTS, VERBS, ScenarioError, load

HEAD = "scenario: a test\nsteps:\n"


def refusal(tmp_path: Path, text: str) -> str:
    path = tmp_path / "broken.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ScenarioError) as caught:
        load(path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(str(path))
    return message.removeprefix(str(path))


@pytest.mark.parametrize(
    ("text", "place", "says"),
    [
        ("", ":1:1", "empty"),
        ("[1, 2", ":1:", "not YAML"),
        ("scenario: x\n\tsteps: y\n", ":2:1", "not YAML"),
        ("- a\n", ":1:1", "a mapping is wanted"),
        ("scenario: x\n", ":1:1", "'steps' is missing"),
        (HEAD, ":2:7", "at least one step"),
        ("scenario: x\ncovers: S1\nsteps:\n  - boot\n", ":2:9", "at least one row"),
        ("scenario: x\ncovers: [S1, P16]\nsteps:\n  - boot\n", ":2:14", "unknown row 'P16'; allowed: S1, S2"),
        ("scenario: x\ncovers: [S1, S1]\nsteps:\n  - boot\n", ":2:14", "given twice"),
        (HEAD + "  - where_there_is: printer\n", ":3:21", "a mapping is wanted"),
        (HEAD + "  - where_there_is: {toaster: [boot]}\n", ":3:22", "unknown key 'toaster'; allowed: printer, scanner, sounder"),
        (HEAD + "  - where_there_is: {printer: []}\n", ":3:31", "at least one step"),
        (HEAD + "  - where_there_is: {printer: [where_there_is: {scanner: [boot]}]}\n", ":3:32", "unknown verb 'where_there_is'"),
        ("scenario: x\nbord: y\nsteps:\n  - boot\n", ":2:1", "unknown key 'bord'; allowed: scenario, covers, board"),
        ("scenario: x\nboard: toaster\nsteps:\n  - boot\n", ":2:8", "unknown value 'toaster'; allowed: esp32_mpos, esp32s3_counter"),
        ("scenario: x\nlanguage: fr\nsteps:\n  - boot\n", ":2:11", "allowed: en, zh-CN"),
        (HEAD + "  - expct_page: idle\n", ":3:5", "unknown verb 'expct_page'; allowed: say, boot"),
        (HEAD + "  - boot: now\n", ":3:11", "boot takes no argument"),
        (HEAD + "  - press\n", ":3:5", "press needs an argument"),
        (HEAD + "  - broker: pause\n", ":3:13", "unknown broker 'pause'; allowed: stop, start"),
        (HEAD + "  - broker\n", ":3:5", "broker needs an argument: stop, start"),
        (HEAD + "  - order: {action: suspend, reason: laziness}\n", ":3:38", "unknown reason 'laziness'; allowed: maintenance"),
        (HEAD + "  - order: {reason: violation}\n", ":3:12", "'action' is missing"),
        (HEAD + "  - order: {action: suspend, action: lift}\n", ":3:30", "given twice"),
        (HEAD + "  - order: {action: lift, probation_s: soon}\n", ":3:40", "whole number"),
        (HEAD + "  - order: suspend\n", ":3:12", "a mapping is wanted"),
        (HEAD + "  - {boot: , press: '1'}\n", ":3:5", "one verb"),
        (HEAD + "  - [boot]\n", ":3:5", "one verb"),
    ],
)
def test_an_error_is_one_line_with_its_place(tmp_path: Path, text: str, place: str, says: str) -> None:
    message = refusal(tmp_path, text)
    assert message.startswith(place), message
    assert says in message


def test_a_file_that_is_not_there_or_no_text_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="cannot be read"):
        load(tmp_path / "nothing.yaml")
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ScenarioError, match="cannot be read"):
        load(binary)


def test_steps_may_be_for_terminals_that_have_a_device(tmp_path: Path) -> None:
    path = tmp_path / "portable.yaml"
    path.write_text(HEAD + "  - boot\n  - where_there_is: {printer: [expect_slip: slip.no_value], scanner: [code: 1]}\n  - cut_power\n")
    told = [(step.verb, step.device) for step in load(path).steps]
    assert told == [("boot", ""), ("expect_slip", "printer"), ("code", "scanner"), ("cut_power", "")]


def test_words_that_yaml_takes_for_something_else_stay_words(tmp_path: Path) -> None:
    path = tmp_path / "words.yaml"
    path.write_text(HEAD + "  - press: 1\n  - expect_online: no\n  - code: 007\n")
    assert [step.argument for step in load(path).steps] == ["1", "no", "007"]


def test_every_verb_is_carried_out() -> None:
    expected = {verb for verb in VERBS if verb.startswith(EXPECTS)}
    assert expected == {name for name in vars(Expectations) if name.startswith(EXPECTS)}
    assert VERBS.keys() - expected == {name.removeprefix("do_") for name in vars(Actions) if name.startswith("do_")}
