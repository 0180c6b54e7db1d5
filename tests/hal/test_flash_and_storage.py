"""Storage on files: the driver on the flash's model and on a real folder, and the model's power cuts at every byte."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hal.device import HEALTH_FAIL, HEALTH_SUCCESS
from hal.drivers.file_storage import FileStorage
from hal.errors import E_FAILURE, E_ILLEGAL, E_NOEXIST, DeviceError
from hal.files import Files
from host_sim.chips.flash import Flash, PowerCut
from host_sim.simulated_time import SimulatedTime
from tests.hal.counter import enabled


@pytest.fixture(params=["flash", "folder"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return Flash() if request.param == "flash" else Files(str(tmp_path))


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


@pytest.mark.parametrize("fault", ["full", "worn"])
def test_a_medium_that_takes_no_more_is_a_failure_and_can_still_be_read(fault: str) -> None:
    flash = Flash()
    storage = FileStorage(flash)  # type: ignore[arg-type]
    storage.append("a", b"abc")
    flash.fault(fault)
    assert _code(storage.append, "a", b"d") == E_FAILURE
    assert storage.read("a", 0, 9) == b"abc"
    health = _health(storage)
    assert (health.outcome, health.cause) == (HEALTH_FAIL, "not_writable")


def test_a_dead_medium_fails_at_bring_up() -> None:
    flash = Flash()
    flash.fault("dead")
    with pytest.raises(DeviceError) as refused:
        SimulatedTime().run(enabled(FileStorage(flash)))  # type: ignore[arg-type]
    assert refused.value.code == E_FAILURE


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
