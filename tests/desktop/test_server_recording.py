"""What is done on the desktop is written down as a scenario, and the scenario does it again."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from host_sim.desktop.recorder import STEADY_S, Reader, Recorder, Sight
from host_sim.scenarios.scenario import Step, load
from host_sim.scenarios.story import play
from tests.desktop.sim_desk import Desk, OneTerminal, desk

READER = Reader("en")


@pytest.fixture(scope="module")
def a_desk() -> Iterator[Desk]:
    with desk() as opened:
        yield opened


def steps_of(text: str, folder: Path) -> list[Step]:
    file = folder / "recorded.yaml"
    file.write_text(text, encoding="utf-8")
    return [Step(step.verb, step.argument, 0) for step in load(file).steps]


def a_recorder() -> Recorder:
    return Recorder("esp32s3_counter", "cpython", READER)


def seen(*lines: str, mode: str = "", for_s: float = 60.0) -> Sight:
    return READER.sight(lines)._replace(mode=mode, since=time.monotonic() - for_s)


def test_a_recorded_session_replays(a_desk: Desk, tmp_path: Path) -> None:
    terminal = a_desk.terminal()
    terminal.starts()
    terminal.do("order", {"action": "suspend", "reason": "operator_error", "case": "C-1"})
    terminal.sees("suspended")
    terminal.until(lambda: "- expect_state: suspended" in terminal.get("/recording").text, "a verified state that stays")
    terminal.do("press", "help")
    terminal.sees("menu")
    terminal.do("press", "cancel")
    terminal.sees("suspended")
    terminal.do("cut_power")
    terminal.do("boot")
    terminal.sees("suspended")
    text = terminal.get("/recording").text
    file = tmp_path / "recorded.yaml"
    file.write_text(text, encoding="utf-8")
    scenario = load(file)
    acted = [step.verb for step in scenario.steps if not step.verb.startswith("expect_")]
    assert acted == ["boot", "order", "press", "press", "cut_power", "boot"]
    assert (scenario.board, scenario.language) == ("esp32s3_counter", "en")
    assert [step.argument for step in scenario.steps if step.verb == "expect_page"] == [
        "idle",
        "suspended",
        "menu",
        "suspended",
        "suspended",
    ]
    with tempfile.TemporaryDirectory(prefix="reinstate-") as folder:
        outcome = asyncio.run(
            play(scenario, Path(folder), board=scenario.board, runtime="cpython", language="en", broker="embedded", tell=print)
        )
    assert outcome.passed and outcome.final_state == "suspended"
    assert len(outcome.steps) == len(scenario.steps)


def test_a_recording_begins_anew_with_a_new_device(a_desk: Desk) -> None:
    terminal = a_desk.terminal()
    terminal.do("fault", {"device": "printer", "name": "paper_out"})
    terminal.do("boot")
    assert terminal.document()["steps"] == 2
    answer = a_desk.client.delete(terminal.path + "/recording")
    assert answer.status_code == 200
    document = OneTerminal(a_desk, terminal.id).document()
    assert (document["steps"], document["on"]) == (0, False)
    assert not [fault for fault in document["faults"] if fault["on"]]
    assert "steps: []" in terminal.get("/recording").text
    terminal.starts()  # and it is a good one


def test_a_tap_is_one_step_and_a_key_held_down_is_two(tmp_path: Path) -> None:
    recorder = a_recorder()
    recorder.did("hold", "5", None)
    recorder.did("let_go", "5", None)
    assert steps_of(recorder.scenario(None), tmp_path) == [Step("press", "5", 0)]
    recorder.did("hold", "6", None)
    recorder.did("hold", "7", None)
    recorder.did("let_go", "6", None)
    recorder.did("let_go", "7", None)
    assert [step.verb for step in steps_of(recorder.scenario(None), tmp_path)] == ["press", "hold", "hold", "let_go", "let_go"]
    assert recorder.actions == 5


def test_what_the_person_saw_newly_is_waited_for_and_nothing_else(tmp_path: Path) -> None:
    recorder = a_recorder()
    recorder.did("boot", "", None)
    recorder.did("press", "help", seen("In service", "Ready for payments."))
    recorder.did("press", "cancel", seen("Menu"))
    recorder.did("press", "help", seen("Menu"))
    recorder.did("say", "x", seen("Self-test 3/9", "Printer pass"))
    recorder.did("cut_power", "", seen("Menu"))
    recorder.did("boot", "", None)
    told = [str(step) for step in steps_of(recorder.scenario(seen("Menu")), tmp_path)]
    assert told == [
        "boot",
        "expect_page idle",
        "press help",
        "expect_page menu",
        "press cancel",
        "press help",
        "say x",
        "expect_page menu",
        "cut_power",
        "boot",
        "expect_page menu",
    ]


def test_a_page_of_the_same_title_is_told_by_what_stands_newly_on_it(tmp_path: Path) -> None:
    recorder = a_recorder()
    recorder.did("press", "1", seen("Test: print"))
    recorder.did("press", "1", seen("Test: print", "Is the slip good?", "1 Yes"))
    told = [step for step in steps_of(recorder.scenario(None), tmp_path) if step.verb.startswith("expect_")]
    assert [step.verb for step in told][0] == "expect_page"
    assert all(step.verb in ("expect_page", "expect_text") for step in told)


def test_pages_of_one_title_are_told_apart_by_what_else_stands_there_or_all_are_named() -> None:
    reader = Reader("zh-CN")
    texts = {key: text for text, key in ((reader._texts[key], key) for key in reader._texts)}
    title = texts["statement.title"]
    assert title == texts["explanation.title"]
    assert reader.pages([title, texts["statement.violation.1"]]) == ["statement"]
    assert reader.pages([title, texts["explanation.text"]]) == ["explanation"]
    assert reader.pages([title]) == ["explanation", "statement"]
    assert reader.pages(["?"]) == []


def test_a_state_is_waited_for_where_it_came_since_the_last_action_and_stayed(tmp_path: Path) -> None:
    recorder = a_recorder()
    recorder.did("say", "first", seen("In service", mode="in_service"))
    recorder._acted -= 60
    recorder.did("say", "second", seen("In service", mode="suspended", for_s=STEADY_S / 2))
    recorder._acted -= 60
    recorder.did("say", "third", seen("In service", mode="recovering", for_s=2 * STEADY_S))
    recorder.did("say", "fourth", seen("In service", mode="commissioning", for_s=2 * STEADY_S))
    states = [step.argument for step in steps_of(recorder.scenario(None), tmp_path) if step.verb == "expect_state"]
    assert states == ["in_service", "recovering"]


@pytest.mark.parametrize(
    ("verb", "argument"),
    [
        ("press", "1"),
        ("say", "yes"),
        ("say", "a: b # c"),
        ("say", "two\nlines"),
        ("say", "你好 😀"),
        ("say", "~"),
        ("say", " blanks "),
        ("say", "x" * 3000),
        ("latency", "40"),
        ("clock", "-3600"),
        ("order", {"action": "message", "text": "a, b} {c: 'd'"}),
        ("order", {"action": "suspend", "until_s": "0600", "reason": "violation"}),
        ("fault", {"device": "printer", "name": "paper_out", "on": "no"}),
    ],
)
def test_whatever_is_in_a_step_is_read_back_as_it_was(verb: str, argument: str | dict[str, str], tmp_path: Path) -> None:
    recorder = a_recorder()
    recorder.did(verb, argument, None)
    assert steps_of(recorder.scenario(None), tmp_path) == [Step(verb, argument, 0)]
