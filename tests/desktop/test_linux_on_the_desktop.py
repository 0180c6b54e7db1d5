"""A Linux terminal on the desktop: what people do to it reaches a real process on real interfaces, and nothing of it is left behind."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from host_sim.desktop.choices import choices
from host_sim.linux import machine, pcscd
from host_sim.linux.machine import CAP_SYS_ADMIN, LinuxMachine
from tests.desktop.sim_desk import Desk, OneTerminal, desk

BOARD = "linux_terminal"
PROGRAMS = ("root", "pcscd", "vsmartcard-vpcd", "softhsm2", "python3-dbusmock", "dbus-daemon", "iproute2")
pytestmark = [pytest.mark.needs(program) for program in PROGRAMS]


@pytest.fixture(scope="module")
def a_desk() -> Iterator[Desk]:
    with desk() as opened:
        yield opened


@pytest.fixture(scope="module")
def shared(a_desk: Desk) -> OneTerminal:
    """In service; whoever uses it leaves it so."""
    terminal = a_desk.terminal(board=BOARD)
    terminal.starts()
    return terminal


def mounts_in(folder: Path) -> list[str]:
    return [line for line in Path("/proc/self/mounts").read_text().splitlines() if f" {folder}/" in line]


def processes_of(folder: Path) -> list[str]:
    """Command lines that name it."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            command = (place / "cmdline").read_bytes().replace(b"\x00", b" ").decode(errors="replace")
        except OSError:
            continue  # it has ended since
        if f"{folder}/" in command:
            found.append(command)
    return found


def machine_of(terminal: OneTerminal) -> LinuxMachine:
    device = terminal.desk.session.terminals[terminal.id].terminal
    assert isinstance(device, LinuxMachine)
    return device


def found_by_a_test(terminal: OneTerminal) -> dict[str, str]:
    """Device -> cause, as the acquirer verified it of a self-test that it ordered."""
    before = terminal.newest
    terminal.do("order", {"action": "self_test", "plan": "daily"})

    terminal.until(lambda: terminal.messages(before, kind="report", verdict="verified"), "the report")
    report = terminal.account()["reports"][-1]
    return {result["device"]: result["cause"] for result in report["results"] if result["cause"]}


def test_keys_are_tapped_and_held(shared: OneTerminal) -> None:
    shared.do("press", "help")
    shared.sees("menu")
    shared.do("hold", "cancel")
    shared.do("let_go", "cancel")
    shared.sees("idle")


def test_a_suspension_outlives_a_power_cut_and_is_lifted(a_desk: Desk) -> None:
    terminal = a_desk.terminal(board=BOARD)
    terminal.starts()
    terminal.do("order", {"action": "suspend", "reason": "violation", "case": "C-2026-1107"})
    terminal.sees("suspended")
    terminal.do("press", "1")
    terminal.sees("recovery.reason")
    terminal.do("cut_power")
    assert terminal.get("/screen").json()["lines"] == []
    terminal.do("boot")
    terminal.sees("recovery.reason")
    assert terminal.account()["reasons"][0]["case"] == "C-2026-1107"


def test_what_breaks_is_reported_and_what_is_mended_is_well_again(a_desk: Desk) -> None:
    terminal = a_desk.terminal(board=BOARD)
    terminal.starts()
    faults = [("printer", "paper_out", "paper_out"), ("scanner", "unplugged", "unplugged")]
    for device, name, _ in faults:
        terminal.do("fault", {"device": device, "name": name})
    assert found_by_a_test(terminal) == {device: cause for device, _, cause in faults}
    for device, name, _ in faults:
        terminal.do("fault", {"device": device, "name": name, "on": "no"})
    assert found_by_a_test(terminal) == {}


def test_a_display_whose_plug_was_out_is_dark_until_something_is_drawn(shared: OneTerminal) -> None:
    shared.do("fault", {"device": "display", "name": "unplugged"})
    assert shared.get("/screen").json()["lines"] == []
    shared.do("fault", {"device": "display", "name": "unplugged", "on": "no"})
    assert shared.get("/screen").json()["lines"] == []
    shared.do("press", "help")
    shared.sees("menu")
    shared.do("press", "cancel")
    shared.sees("idle")


def test_what_a_microcontroller_alone_has_is_refused_in_one_line(shared: OneTerminal) -> None:
    for verb, argument in (("cut_power_after_write", None), ("clock", 60)):
        answer = shared.try_to(verb, argument)
        assert answer.status_code == 409 and len(answer.json()["error"].splitlines()) == 1, answer.text


def test_its_recording_is_of_its_board(shared: OneTerminal) -> None:
    assert f"board: {BOARD}\n" in shared.get("/recording").text


def test_nothing_is_left_of_one_that_was_removed_or_replaced(a_desk: Desk) -> None:
    terminal = a_desk.terminal(board=BOARD)
    terminal.do("boot")
    terminal.sees("idle")
    folder = machine_of(terminal).folder
    assert mounts_in(folder) and processes_of(folder)
    assert a_desk.client.delete(f"{terminal.path}/recording").status_code == 200
    assert mounts_in(folder) == processes_of(folder) == []

    folder = machine_of(terminal).folder
    assert mounts_in(folder)
    assert a_desk.client.delete(terminal.path).status_code == 200
    assert mounts_in(folder) == processes_of(folder) == []


def test_what_cannot_be_set_up_is_told_in_one_line_and_nothing_is_left_of_it(a_desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    before = Path("/proc/self/mounts").read_text()
    monkeypatch.setattr(pcscd, "DRIVER", Path("/nowhere/libifdvpcd.so"))
    answer = a_desk.client.post("/api/terminals", json={"board": BOARD, "runtime": "cpython", "language": "en"})
    assert answer.status_code == 409
    assert answer.json() == {"error": "card_reader: /nowhere/libifdvpcd.so is not there: on Debian, apt install vsmartcard-vpcd"}
    assert Path("/proc/self/mounts").read_text() == before


@pytest.mark.parametrize(
    ("missing", "told"),
    [
        ("root", "needs root here"),
        ("capability", "needs the capability SYS_ADMIN here"),
        ("program", "on Debian: apt install pcscd"),
        ("module", "needs Python modules (no_such_module): pip install 'reinstate[linux]'"),
    ],
)
def test_a_machine_that_cannot_have_it_says_so_before_anybody_asks_for_one(
    missing: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if missing == "root":
        monkeypatch.setattr(os, "geteuid", lambda: 1000)
    elif missing == "capability":
        capabilities = machine.capabilities()
        monkeypatch.setattr(machine, "capabilities", lambda: capabilities & ~CAP_SYS_ADMIN)
    elif missing == "program":
        monkeypatch.setitem(machine.PACKAGES, "pcscd", "/nowhere/pcscd")
    else:
        monkeypatch.setattr(machine, "MODULES", ("no_such_module",))
    document = choices({})
    (lack,) = [lack for lack in document["missing_runtimes"] if BOARD in lack["boards"]]
    assert told in lack["why"] and len(lack["why"].splitlines()) == 1
    (board,) = [board for board in document["boards"] if board["id"] == BOARD]
    assert board["runtimes"] == []
