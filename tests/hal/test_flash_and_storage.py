"""Storage on files: the driver on the flash's model and on a real folder, and the model's power cuts at every byte."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from firmware_agent.store import Store
from hal.device import HEALTH_FAIL, HEALTH_SUCCESS
from hal.drivers.file_storage import FileStorage
from hal.errors import E_FAILURE, E_ILLEGAL, E_NOEXIST, DeviceError
from hal.files import Files
from host_sim.bench import Bench
from host_sim.chips.flash import Flash, FlashChip, PowerCut
from host_sim.machine.flash import files_on
from host_sim.simulated_time import SimulatedTime
from tests.hal.counter import enabled


@pytest.fixture(params=["flash", "folder", "folder of a terminal"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    if request.param == "folder of a terminal":
        return files_on(Terminal(tmp_path).bench)(str(tmp_path))
    return Flash() if request.param == "flash" else Files(str(tmp_path))


class Terminal:
    """The flash of a terminal as it runs on the desktop: its files in a folder, the medium on the bench."""

    def __init__(self, folder: Path) -> None:
        self.bench = Bench({"id": "flash", "buses": {}, "parts": {"storage": {"part": "file_storage"}}})
        chip = self.bench.chips["storage"]
        assert isinstance(chip, FlashChip)
        self.chip: FlashChip = chip
        self.chip.folder = folder
        self.files: Any = files_on(self.bench)(str(folder))


class InMemory:
    """The same with the medium that keeps its files itself."""

    def __init__(self) -> None:
        self.chip = Flash()
        self.files: Any = self.chip


@pytest.fixture(params=["flash", "folder of a terminal"])
def medium(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return InMemory() if request.param == "flash" else Terminal(tmp_path)


@pytest.fixture
def storage(files: Any) -> FileStorage:
    return FileStorage(files)


def _code(call: Any, *arguments: Any) -> int:
    with pytest.raises(DeviceError) as refused:
        call(*arguments)
    return refused.value.code


def test_what_is_appended_is_read_back_in_order(storage: FileStorage) -> None:
    storage.append("log.1", b"abc")
    storage.append("log.1", bytearray(b"def"))
    storage.append("log.1", memoryview(b"xghi")[1:])
    assert storage.size("log.1") == 9
    assert storage.read("log.1", 0, 100) == b"abcdefghi"
    assert storage.read("log.1", 4, 3) == b"efg"
    assert storage.read("log.1", 9, 3) == b""
    assert storage.read("log.1", 100, 3) == b""


def test_files_are_listed_in_order_and_removed(storage: FileStorage) -> None:
    for name in ("b", "a", "c_1-x.y"):
        storage.append(name, b"")
    assert storage.names() == ["a", "b", "c_1-x.y"]
    storage.remove("b")
    assert storage.names() == ["a", "c_1-x.y"]


def test_a_file_that_is_not_there_is_told_as_such_and_may_be_removed(storage: FileStorage) -> None:
    assert _code(storage.read, "none", 0, 1) == E_NOEXIST
    assert _code(storage.size, "none") == E_NOEXIST
    storage.remove("none")


@pytest.mark.parametrize("name", ["", "a" * 33, "A", "a/b", "..", "../a", ".hidden", "a b", "a\x00", "ä"])
def test_a_name_that_is_none_is_refused_by_every_method(storage: FileStorage, name: str) -> None:
    assert _code(storage.append, name, b"x") == E_ILLEGAL
    assert _code(storage.read, name, 0, 1) == E_ILLEGAL
    assert _code(storage.size, name) == E_ILLEGAL
    assert _code(storage.remove, name) == E_ILLEGAL
    assert storage.names() == []


def test_negative_offsets_and_lengths_are_refused(storage: FileStorage) -> None:
    storage.append("a", b"abc")
    assert _code(storage.read, "a", -1, 1) == E_ILLEGAL
    assert _code(storage.read, "a", 0, -1) == E_ILLEGAL


def _health(storage: FileStorage) -> Any:
    async def program() -> Any:
        return await (await enabled(storage)).check_health(1)

    return SimulatedTime().run(program())


def test_a_healthy_medium_is_written_read_and_left_as_it_was(storage: FileStorage) -> None:
    storage.append("a", b"abc")
    assert _health(storage).outcome == HEALTH_SUCCESS
    assert storage.names() == ["a"]


def test_the_room_that_is_left_is_measured(storage: FileStorage) -> None:
    assert _health(storage).measurements["free_kib"] > 0


@pytest.mark.parametrize(("fault", "cause"), [("full", "full"), ("worn", "not_writable")])
def test_a_medium_that_takes_no_more_is_named_and_can_still_be_read(medium: Any, fault: str, cause: str) -> None:
    storage = FileStorage(medium.files)
    storage.append("a", b"abc")
    medium.chip.fault(fault)
    with pytest.raises(DeviceError) as refused:
        storage.append("a", b"d")
    assert refused.value.code == E_FAILURE
    assert refused.value.cause == ("full" if fault == "full" else "")
    assert storage.read("a", 0, 9) == b"abc"
    health = _health(storage)
    assert (health.outcome, health.cause, health.code) == (HEALTH_FAIL, cause, E_FAILURE)
    medium.chip.fault(fault, on=False)
    assert _health(FileStorage(medium.files)).outcome == HEALTH_SUCCESS


def test_a_full_medium_has_no_room_and_lets_files_be_removed(medium: Any) -> None:
    storage = FileStorage(medium.files)
    storage.append("a", b"abc")
    medium.chip.fault("full")
    assert _health(storage).measurements["free_kib"] == 0
    storage.remove("a")
    assert storage.names() == []


def test_a_medium_that_is_really_full_is_named_too() -> None:
    flash = Flash(capacity_bytes=100)
    health = _health(FileStorage(flash))  # type: ignore[arg-type]
    assert (health.outcome, health.cause) == (HEALTH_FAIL, "full")


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES])
def test_a_folder_that_may_not_be_written_is_not_writable(tmp_path: Path, number: int) -> None:
    class ReadOnly(Files):
        def append(self, name: str, data: Any) -> None:
            raise OSError(number, "refused")

    health = _health(FileStorage(ReadOnly(str(tmp_path))))
    assert (health.outcome, health.cause) == (HEALTH_FAIL, "not_writable")


def test_a_medium_that_keeps_other_data_than_it_was_given_is_wrong_data(medium: Any) -> None:
    medium.chip.fault("weak_cells")
    health = _health(FileStorage(medium.files))
    assert (health.outcome, health.cause, health.code) == (HEALTH_FAIL, "wrong_data", E_FAILURE)


def test_a_dead_medium_gives_no_answer_from_bring_up_on(medium: Any) -> None:
    medium.chip.fault("dead")
    storage = FileStorage(medium.files)
    with pytest.raises(DeviceError) as refused:
        SimulatedTime().run(enabled(storage))
    assert refused.value.code == E_FAILURE
    health = SimulatedTime().run(storage.check_health(1))
    assert (health.outcome, health.cause) == (HEALTH_FAIL, "no_answer")


def test_a_medium_that_dies_later_gives_no_answer(medium: Any) -> None:
    storage = FileStorage(medium.files)
    SimulatedTime().run(enabled(storage))
    medium.chip.fault("dead")
    for call in (storage.names, lambda: storage.read("a", 0, 1), lambda: storage.size("a"), lambda: storage.remove("a")):
        assert _code(call) == E_FAILURE
    health = SimulatedTime().run(storage.check_health(1))
    assert (health.outcome, health.cause) == (HEALTH_FAIL, "no_answer")


def test_a_folder_that_has_gone_gives_no_answer(tmp_path: Path) -> None:
    storage = FileStorage(Files(str(tmp_path / "gone")))
    with pytest.raises(DeviceError):
        SimulatedTime().run(enabled(storage))
    health = SimulatedTime().run(storage.check_health(1))
    assert (health.outcome, health.cause) == (HEALTH_FAIL, "no_answer")


def test_rot_changes_one_byte_of_the_largest_file_for_good_and_only_its_owner_can_find_it(medium: Any) -> None:
    storage = FileStorage(medium.files)
    storage.append("large", bytes(100))
    storage.append("small", bytes(10))
    medium.chip.fault("rotten")
    medium.chip.fault("rotten", on=False)
    assert storage.read("small", 0, 100) == bytes(10)
    changed = storage.read("large", 0, 1000)
    assert len(changed) == 100 and sum(byte != 0 for byte in changed) == 1
    assert _health(storage).outcome == HEALTH_SUCCESS


def test_rot_finds_nothing_on_an_empty_medium(medium: Any) -> None:
    medium.chip.fault("rotten")
    assert FileStorage(medium.files).names() == []


def test_what_rots_in_the_agents_memory_is_counted_by_the_agent(medium: Any) -> None:
    storage = FileStorage(medium.files)
    store = Store(storage)
    store.open()
    for number in range(20):
        store.put("key%d" % number, bytes(50))
    medium.chip.fault("rotten")
    again = Store(storage)
    again.open()
    assert again.damaged == 1


def test_a_check_cut_short_leaves_nothing_that_hinders_the_next() -> None:
    flash = Flash()
    storage = FileStorage(flash)  # type: ignore[arg-type]
    flash.power_cut(keep_bytes=10)
    with pytest.raises(PowerCut):
        _health(storage)
    flash.power_up()
    assert storage.names() == []
    assert _health(FileStorage(flash)).outcome == HEALTH_SUCCESS  # type: ignore[arg-type]


def test_the_capacity_is_that_of_all_files_together() -> None:
    flash = Flash(capacity_bytes=10)
    flash.append("a", b"12345")
    flash.append("b", b"12345")
    with pytest.raises(OSError) as refused:
        flash.append("a", b"6")
    assert refused.value.errno == errno.ENOSPC
    assert flash.read("a", 0, 99) == b"12345"
    flash.remove("b")
    flash.append("a", b"6")


@pytest.mark.parametrize("keep_bytes", range(6))
def test_a_power_cut_leaves_any_prefix_of_what_was_being_appended(keep_bytes: int) -> None:
    flash = Flash()
    flash.append("a", b"old")
    flash.power_cut(after_write=2, keep_bytes=keep_bytes)
    flash.append("a", b"-")
    with pytest.raises(PowerCut):
        flash.append("a", b"12345")
    calls: list[Callable[[], object]] = [flash.names, lambda: flash.size("a"), lambda: flash.read("a", 0, 1)]
    calls += [lambda: flash.append("a", b""), lambda: flash.remove("a")]
    for call in calls:
        with pytest.raises(PowerCut):
            call()
    flash.power_up()
    assert flash.read("a", 0, 99) == b"old-" + b"12345"[:keep_bytes]
    flash.append("a", b"!")


def test_a_power_cut_before_the_first_byte_makes_no_file() -> None:
    flash = Flash()
    flash.power_cut()
    with pytest.raises(PowerCut):
        flash.append("new", b"abc")
    flash.power_up()
    assert flash.names() == []


@pytest.mark.parametrize(("keep_bytes", "left"), [(0, ["a"]), (1, [])])
def test_a_power_cut_in_a_removal_leaves_the_file_whole_or_not_at_all(keep_bytes: int, left: list[str]) -> None:
    flash = Flash()
    flash.append("a", b"abc")
    flash.power_cut(keep_bytes=keep_bytes)
    with pytest.raises(PowerCut):
        flash.remove("a")
    flash.power_up()
    assert flash.names() == left


def test_a_power_cut_is_not_handled_by_a_driver() -> None:
    flash = Flash()
    flash.power_cut()
    with pytest.raises(PowerCut):
        FileStorage(flash).append("a", b"x")  # type: ignore[arg-type]


def test_writes_are_counted() -> None:
    flash = Flash()
    flash.append("a", b"1")
    flash.read("a", 0, 1)
    flash.remove("a")
    assert flash.writes == 2
