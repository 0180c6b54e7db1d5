"""`--state DIR`: what is ended goes on where it was, whenever it was ended; what is not ours, or somebody else's, is left as it is."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from host_sim.chips.atecc608 import Atecc608Chip
from host_sim.chips.ds3231 import STATUS, STOPPED, Ds3231Chip
from host_sim.desktop.command import SimulatorError
from host_sim.desktop.session import Session
from host_sim.desktop.state_folder import FORMAT, LOCK, MANIFEST, Kept, KeptTerminal, opened
from host_sim.linux.disk import Disk
from host_sim.whole_file import write_whole
from host_sim.world import Backend, KeptShop
from tests.desktop.sim_desk import OneTerminal, desk

SHOP = KeptShop(4711, 4712, {"first": "first2", "second": "second3"}, "second", "router", "secret")
TERMINAL = KeptTerminal("s1", "esp32s3_counter", "cpython", "en", 7, SHOP, "123456789012", 2, 5, {"5": "approved"})


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    with opened(tmp_path / "new" / "folder") as state:
        assert state.kept == Kept()
        state.write(Kept(3, {"T0000001": TERMINAL}))
    with opened(tmp_path / "new" / "folder") as state:
        assert state.kept == Kept(3, {"T0000001": TERMINAL})


def test_what_nobody_names_any_more_goes_and_nothing_else(tmp_path: Path) -> None:
    with opened(tmp_path) as state:
        state.write(Kept(3, {"T0000001": TERMINAL}))
    for path in ("s1/first1", "s1/first2", "s1/second3", "s1/other", "s2/first1", "broker", "mine"):
        (tmp_path / path).mkdir(parents=True)
    with opened(tmp_path) as state:
        assert state.new_folder() == tmp_path / "s2"
    left = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_dir()}
    assert left == {"s1", "s1/first2", "s1/second3", "s1/other", "broker", "mine"}


@pytest.mark.needs("root")
def test_a_disk_that_a_killed_simulator_has_left_mounted_goes_with_its_terminal(tmp_path: Path) -> None:
    with opened(tmp_path):
        place = tmp_path / "s1" / "first1" / "disk"
        place.mkdir(parents=True)
        asyncio.run(Disk(place).start())
    with opened(tmp_path):
        assert not (tmp_path / "s1").exists()


@pytest.mark.parametrize(
    ("written", "told"),
    [
        (b"", "cannot be read"),
        (b'{"format": 1, "next_number": 1, "terminals": {"T0000001": {"fol', "cannot be read"),
        (b"[]", "cannot be read"),
        (b'{"format": 1, "next_number": 1, "terminals": {"T0000001": {"folder": "s1"}}}', "cannot be read"),
        (json.dumps({"format": FORMAT + 1, "whatever": "it has"}).encode(), f"format {FORMAT + 1}, where this one has {FORMAT}"),
    ],
)
def test_a_folder_that_cannot_be_read_is_named_in_one_line_and_left_as_it_is(written: bytes, told: str, tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_bytes(written)
    (tmp_path / "s1").mkdir()
    with pytest.raises(SimulatorError, match=told) as refused, opened(tmp_path):
        pass
    assert str(tmp_path) in str(refused.value) and "\n" not in str(refused.value)
    assert (tmp_path / MANIFEST).read_bytes() == written and (tmp_path / "s1").is_dir()


def test_a_second_simulator_on_the_same_folder_is_told_who_has_it(tmp_path: Path) -> None:
    with opened(tmp_path), pytest.raises(SimulatorError, match=r"in use by another simulator \(process \d+\)"), opened(tmp_path):
        pass
    with opened(tmp_path):
        pass


def test_whoever_was_killed_while_he_began_leaves_a_folder_that_opens(tmp_path: Path) -> None:
    (tmp_path / LOCK).write_text("4711")
    (tmp_path / (MANIFEST + ".new")).write_text("{")
    with opened(tmp_path) as state:
        assert state.kept == Kept()


def test_who_is_killed_while_he_writes_leaves_what_was_there(tmp_path: Path) -> None:
    file = tmp_path / "file"
    write_whole(file, b"before")
    assert file.stat().st_mode & 0o077 == 0
    (tmp_path / "file.new").write_bytes(b"aft")  # as far as he came
    assert file.read_bytes() == b"before"
    write_whole(file, b"after")
    assert [path.name for path in tmp_path.iterdir()] == ["file"] and file.read_bytes() == b"after"


def test_keys_and_registry_of_an_acquirer_go_on_and_nobody_is_online(tmp_path: Path) -> None:
    async def once(backend: Backend) -> tuple[bytes, bytes, bytes]:
        async with backend.running():
            acquirer = backend.acquirer
            if "T1" in acquirer.accounts:
                assert acquirer.accounts["T1"].public_key == bytes(64) and not acquirer.accounts["T1"].online
            else:
                acquirer.enrol("T1", bytes(64))
            with acquirer.registry.entry("T1") as entry:
                entry._change(online=True)
            return backend.authority.certificate_der, acquirer.public_key, acquirer.public_sealing_key

    first = asyncio.run(once(Backend(tmp_path, is_kept=True)))
    again = Backend(tmp_path, is_kept=True)
    again.authority.client("T1")
    assert asyncio.run(once(again)) == first
    assert Backend(tmp_path, is_kept=True).authority.revoke("T1") == 1  # which remembers whom it has issued certificates


def test_a_terminal_that_cannot_go_on_is_named_with_why(tmp_path: Path) -> None:
    with opened(tmp_path) as state:
        state.write(Kept(2, {"T0000001": replace(TERMINAL, board="linux_terminal"), "T0000002": replace(TERMINAL, folder="s2")}))
    with opened(tmp_path) as state:
        told = Session(state, defaults={}).resumed()
    assert told == [
        "T0000001 is not there any more: its disk and its token are the kernel's, in memory, and went with the simulator",
        "goes on with T0000002, switched off, as after a power cut",
        "the embedded broker has forgotten its sessions: acquirer and terminals send again what had no receipt",
    ]


def test_a_secure_element_has_its_keys_and_counters_again(tmp_path: Path) -> None:
    def chip() -> Atecc608Chip:
        made = Atecc608Chip(lambda: 0)
        made.keep(tmp_path / "chip.json")
        return made

    first = chip()
    first._gen_key(0x04, 0, b"")
    first._counter(1, 0, b"")
    first._counter(1, 0, b"")
    first.lock_slot(2)
    again = chip()
    assert first.keys and again.keys == first.keys
    assert again.counters == [2, 0]
    assert again._gen_key(0x04, 2, b"") == first._gen_key(0x04, 2, b"")  # refused by both
    again.forget_keys()
    assert chip().keys == {}


def test_a_clock_has_run_on_its_battery(tmp_path: Path) -> None:
    def chip() -> Ds3231Chip:
        made = Ds3231Chip(lambda: 0)
        made.keep(tmp_path / "clock.json")
        return made

    chip().set_time(1_800_000_000)
    kept = json.loads((tmp_path / "clock.json").read_text())
    assert abs(kept["at"] - time.time()) < 60
    (tmp_path / "clock.json").write_text(json.dumps(kept | {"at": kept["at"] - 3600}))
    again = chip()
    assert 3600 <= again.wall_s() - 1_800_000_000 < 3660
    again.fault("lost")
    lost = chip()
    lost.write(bytes([STATUS]))
    assert lost.read(1)[0] & STOPPED and lost.wall_s() < 1_800_000_000  # and says so after all, as its registers do


@pytest.mark.parametrize(
    ("runtime", "broker"),
    [
        ("cpython", "embedded"),
        pytest.param("micropython", "mosquitto", marks=[pytest.mark.needs("micropython"), pytest.mark.needs("mosquitto")]),
    ],
)
def test_a_suspended_terminal_is_suspended_still_and_is_lifted(runtime: str, broker: str, tmp_path: Path) -> None:
    """With a second device beside it, at another router, after its simulator was ended while the terminal was on."""
    state = tmp_path / "d"

    def facts(terminal: OneTerminal) -> tuple[Any, ...]:
        document = terminal.document()
        chips = terminal.on_the_bench
        return (*(document[name] for name in ("id", "board", "runtime", "language", "device")), chips["secure_element"].keys)

    with desk(broker, state) as begun:
        removed, terminal = begun.terminal(), begun.terminal(runtime=runtime)
        begun.client.delete(removed.path).raise_for_status()
        terminal.do("device", "second")
        terminal.do("device", "first")
        terminal.starts()
        terminal.do("notice", {"about": "policy", "text": "New rules from May."})
        terminal.sees("notice")
        terminal.do("press", "1")
        terminal.sees("idle")
        terminal.do("order", {"action": "suspend", "reason": "dormant", "case": "C-1"})
        terminal.sees("suspended")
        terminal.until(lambda: terminal.account()["mode"] == "suspended", "the state at the acquirer")
        before = facts(terminal)
    with desk(broker, state) as resumed:
        (number,) = resumed.session.terminals
        terminal = OneTerminal(resumed, number)
        assert (number, facts(terminal)) == (removed.id[:-1] + "2", before)
        document = terminal.document()
        assert not document["on"] and document["account"]["mode"] == "suspended" and not document["account"]["online"]
        assert set(resumed.session.terminals[number].shop.devices) == {"first", "second"}
        assert resumed.session.resumed()[0] == f"goes on with {number}, switched off, as after a power cut"
        terminal.do("boot")
        terminal.sees("suspended")
        terminal.until(lambda: terminal.account()["online"], "online")
        terminal.do("order", {"action": "lift", "reason": "dormant"})
        terminal.until(lambda: terminal.account()["mode"] != "suspended", "lifted")
        assert resumed.session.terminals[number].actions.notices == 1
        assert resumed.terminal().id == removed.id[:-1] + "3"
        terminal.do("factory_new")
        assert terminal.account()["mode"] == ""
    with opened(state) as left:
        shop = left.kept.terminals[number].shop
        assert set(shop.devices) == {"first", "second"} and shop.in_hand == "first"
        assert {path.name for path in (state / left.kept.terminals[number].folder).iterdir() if path.is_dir()} >= set(shop.devices.values())
        assert not (state / left.kept.terminals[number].folder / "first1").exists()  # the old one went
